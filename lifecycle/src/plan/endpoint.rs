//! Where the system under test answers, and its identity: one run at a time loads the same host and port.

use std::net::Ipv6Addr;

use crucible_crds::{
    TestPlanSpec,
    test_plan::{Engine, Target},
};

use crate::load::rounds;

/// A host and a port, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A DNS name in lower case without a dot at its end, or an IP address; an IPv6 address without brackets, in its
    /// shortest form.
    pub host: String,
    /// The port, from 1.
    pub port: u16,
}

/// Why a text is not a host and a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The port is not one.
    #[error("the port must be a whole number from 1 to 65535")]
    Port,
    /// The host is not one.
    #[error("the host must be a DNS name, an IPv4 address or an IPv6 address in brackets, without scheme or options")]
    Host,
}

impl HostPort {
    /// Where a target answers: at its endpoint, on the engine's own port where that has none.
    ///
    /// # Errors
    /// Where the endpoint is not a host with or without a port.
    pub fn of(target: &Target) -> Result<Self, EndpointError> {
        Self::parse(&target.endpoint, target.engine.default_port())
    }

    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, EndpointError> {
        // The colons of an IPv6 address are inside its brackets.
        let colon = text.rfind(':').filter(|colon| text.get(*colon..).is_some_and(|rest| !rest.contains(']')));
        let (host, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
            Some((host, port)) => (host, port_number(port.trim_start_matches(':')).ok_or(EndpointError::Port)?),
            None => (text, default_port),
        };
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(bracketed) => bracketed.and_then(|host| host.parse::<Ipv6Addr>().ok()).ok_or(EndpointError::Host)?.to_string(),
            None => dns_name(host).ok_or(EndpointError::Host)?,
        };
        Ok(Self { host, port })
    }
}

fn port_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u16>().ok().filter(|port| digits && *port > 0)
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn dns_name(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    (host.len() <= 253 && host.split('.').all(label)).then_some(host)
}

/// Which system a target is: `protocol/host:port`. Two targets with the same identity are never loaded at the same time.
/// A Service's full name and its short one are the same system, so are two engines over the same wire protocol, and the
/// engine's own port whether it is written or not. Where the endpoint cannot be parsed, which a resolved plan excludes,
/// it stands as it is written.
#[must_use]
pub fn sut_identity(target: &Target) -> String {
    let endpoint = match HostPort::of(target) {
        Ok(HostPort { host, port }) => {
            let host = host.strip_suffix(".svc.cluster.local").map_or_else(|| host.clone(), |service| format!("{service}.svc"));
            HostPort { host, port }.to_string()
        }
        Err(_) => target.endpoint.to_lowercase(),
    };
    format!("{}/{endpoint}", protocol(target.engine))
}

/// The systems that a plan loads: one, or the two that its arms are at. They are in the order in which every run takes the right to load them,
/// so that no two runs ever wait for each other.
#[must_use]
pub fn suts(spec: &TestPlanSpec) -> (String, Option<String>) {
    let arms = rounds::arms(spec);
    let mut all: Vec<String> = arms.iter().map(|arm| sut_identity(&super::target_of_arm(&spec.target, arm))).collect();
    all.sort();
    all.dedup();
    let mut all = all.into_iter();
    (all.next().unwrap_or_else(|| sut_identity(&spec.target)), all.next())
}

/// What is spoken on the wire: a server answers one protocol on a port, by whatever engine a plan calls it.
const fn protocol(engine: Engine) -> &'static str {
    match engine {
        Engine::Mysql | Engine::Doris => "mysql",
        Engine::Postgres => "postgres",
        Engine::Trino => "trino",
        Engine::Cassandra => "cassandra",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(engine: &str, endpoint: &str) -> Target {
        serde_json::from_value(serde_json::json!({"engine": engine, "endpoint": endpoint, "database": "shop", "credentialsRef": {"name": "shop"}})).unwrap()
    }

    #[test]
    fn the_same_system_has_one_identity() {
        let cases = [
            ("mariadb.sut.svc:3306", "mysql/mariadb.sut.svc:3306"),
            ("mariadb.sut.svc", "mysql/mariadb.sut.svc:3306"),
            ("[2001:DB8:0:0::1]", "mysql/[2001:db8::1]:3306"),
            ("MariaDB.sut.SVC:3306", "mysql/mariadb.sut.svc:3306"),
            ("mariadb.sut.svc.:3306", "mysql/mariadb.sut.svc:3306"),
            ("mariadb.sut.svc.cluster.local:3306", "mysql/mariadb.sut.svc:3306"),
            ("mariadb.sut.svc:03306", "mysql/mariadb.sut.svc:3306"),
            ("10.0.1.5:4000", "mysql/10.0.1.5:4000"),
            ("[2001:DB8:0:0::1]:3306", "mysql/[2001:db8::1]:3306"),
            ("localhost:3306", "mysql/localhost:3306"),
        ];
        for (endpoint, identity) in cases {
            assert_eq!(sut_identity(&target("mysql", endpoint)), identity);
        }
    }

    #[test]
    fn the_engine_decides_the_port_that_is_not_written_and_the_protocol() {
        let cases = [
            ("doris", "fe.sut.svc", "mysql/fe.sut.svc:9030"),
            ("doris", "mariadb.sut.svc:3306", "mysql/mariadb.sut.svc:3306"),
            ("postgres", "db.sut.svc", "postgres/db.sut.svc:5432"),
            ("trino", "trino.sut.svc", "trino/trino.sut.svc:8080"),
            ("cassandra", "ring.sut.svc", "cassandra/ring.sut.svc:9042"),
        ];
        for (engine, endpoint, identity) in cases {
            assert_eq!(sut_identity(&target(engine, endpoint)), identity);
        }
    }

    #[test]
    fn what_is_not_a_host_and_a_port_is_refused() {
        let cases = [
            ("", EndpointError::Host),
            ("mariadb:", EndpointError::Port),
            ("mariadb:0", EndpointError::Port),
            ("mariadb:65536", EndpointError::Port),
            ("mariadb:99999", EndpointError::Port),
            ("mariadb:+1", EndpointError::Port),
            ("mariadb:3306?allowAllFiles=true", EndpointError::Port),
            (":3306", EndpointError::Host),
            ("tcp://mariadb:3306", EndpointError::Host),
            ("user@mariadb:3306", EndpointError::Host),
            ("a..b:1", EndpointError::Host),
            ("::1:3306", EndpointError::Host),
            ("[::1:3306", EndpointError::Host),
            ("[mariadb]:3306", EndpointError::Host),
            ("-a:1", EndpointError::Host),
            ("/run/mysqld.sock:1", EndpointError::Host),
        ];
        for (text, error) in cases {
            assert_eq!(HostPort::parse(text, 3306), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_what_is_parsed_is_stable(text in "\\PC{0,40}", likely in "[a-zA-Z0-9.:\\[\\]-]{0,20}:[0-9]{1,6}") {
            for text in [text, likely] {
                if let Ok(parsed) = HostPort::parse(&text, 3306) {
                    prop_assert_eq!(HostPort::parse(&parsed.to_string(), 1), Ok(parsed));
                }
            }
        }
    }
}
