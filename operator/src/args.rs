//! What the operator is told when it starts. The chart sets the environment variables; nothing else reads them.

use std::{convert::Infallible, fmt, net::SocketAddr, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};
use crucible_lifecycle::{results::observability::Server, run::observed::Settings};
use crucible_store::vault::S3Settings;

/// Runs load tests declared as TestPlan and TestRun objects.
///
/// Credentials of the bucket come from the AWS environment (`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or a
/// web identity); those of the cluster from the pod's service account or the kubeconfig.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// The operator's own namespace. The leases of systems under test and of the leader live there.
    #[arg(long, env = "CRUCIBLE_NAMESPACE")]
    pub namespace: String,

    /// The name of the operator's own pod: what the leader's lease is held by.
    #[arg(long, env = "CRUCIBLE_POD_NAME")]
    pub pod_name: String,

    /// Only runs and plans of this namespace are looked at. All namespaces when absent.
    #[arg(long, env = "CRUCIBLE_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// The image of the worker pods.
    #[arg(long, env = "CRUCIBLE_WORKER_IMAGE")]
    pub worker_image: String,

    /// When the image of the worker pods is pulled.
    #[arg(long, env = "CRUCIBLE_WORKER_IMAGE_PULL_POLICY", value_enum, default_value_t = PullPolicy::IfNotPresent)]
    pub worker_image_pull_policy: PullPolicy,

    /// Where workers check in, as worker pods reach it, for example `http://crucible-operator.crucible.svc:9090`.
    #[arg(long, env = "CRUCIBLE_CHECK_IN_URL")]
    pub check_in_url: String,

    /// The bucket of the results.
    #[arg(long, env = "CRUCIBLE_BUCKET")]
    pub bucket: String,

    /// `http(s)://host[:port]` of the S3 server. AWS itself when absent.
    #[arg(long, env = "CRUCIBLE_S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,

    /// The same server as worker pods reach it. As the operator reaches it when absent.
    #[arg(long, env = "CRUCIBLE_S3_WORKER_ENDPOINT")]
    pub s3_worker_endpoint: Option<String>,

    /// The region of the bucket.
    #[arg(long, env = "CRUCIBLE_S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,

    /// The ledger: `postgres://user:password@host:port/database`, with `sslmode` and the like as parameters. Runs are not remembered
    /// once they are deleted when absent.
    #[arg(long, env = "CRUCIBLE_LEDGER_URL", hide_env_values = true)]
    pub ledger_url: Option<LedgerUrl>,

    /// How long a deleted run is held while the ledger cannot be told of its end.
    #[arg(long, env = "CRUCIBLE_MIRROR_ESCAPE", default_value = "1h")]
    pub mirror_escape: crucible_crds::Duration,
    /// The Prometheus servers that plans may have read, as JSON: `[{"name": "cluster", "url": "http://prometheus.monitoring.svc:9090"}]`.
    /// Nothing else is ever asked. None when absent.
    #[arg(long, env = "CRUCIBLE_PROMETHEUS_SOURCES", default_value = "")]
    pub prometheus_sources: PrometheusSources,

    /// The most pods or machines that one fault may hit. A run with a fault that would hit more is refused before any load.
    #[arg(long, env = "CRUCIBLE_CHAOS_MAX_TARGETS", default_value_t = 25)]
    pub chaos_max_targets: u32,

    /// Where /healthz, /readyz and /metrics answer.
    #[arg(long, env = "CRUCIBLE_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,

    /// Where the workers' check-in answers.
    #[arg(long, env = "CRUCIBLE_CHECK_IN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub check_in_address: SocketAddr,

    /// What is logged, in the words of tracing's `EnvFilter`.
    #[arg(long, env = "CRUCIBLE_LOG", default_value = "info,kube=warn")]
    pub log: String,
}

/// The ledger's address. It holds a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerUrl(String);

impl LedgerUrl {
    /// The address itself, for whoever connects.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for LedgerUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerUrl(…)")
    }
}

/// A list of Prometheus servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrometheusSources(pub Vec<Server>);

impl FromStr for PrometheusSources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let servers: Vec<Server> = serde_json::from_str(text).map_err(|error| format!("this is no list of names and addresses: {error}"))?;
        for (index, Server { name, url }) in servers.iter().enumerate() {
            if name.is_empty() || servers.iter().take(index).any(|other| other.name == *name) {
                return Err(format!("the name {name:?} is empty or stands twice"));
            }
            let parsed = url.parse::<http::Uri>().ok();
            let usable =
                |uri: http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(|host| !host.as_str().contains('@'));
            if !parsed.is_some_and(usable) {
                // The address may hold a password.
                return Err(format!("the address of {name:?} is not http(s)://host[:port][/path] without user and password"));
            }
        }
        Ok(Self(servers))
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// It is expected on the node.
    Never,
}

/// The arguments, sorted by who needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What decisions depend on.
    pub settings: Settings,
    /// Where the bucket is.
    pub s3: S3Settings,
    /// The Prometheus servers that may be asked.
    pub prometheus: Vec<Server>,
    /// What the leader's lease is held by.
    pub pod_name: String,
    /// The one namespace that is looked at, where it is one.
    pub watch_namespace: Option<String>,
    /// Where the ledger is, where there is one.
    pub ledger_url: Option<LedgerUrl>,
    /// How long a deleted run is held for it.
    pub mirror_escape: Duration,
    /// Where health and metrics answer.
    pub admin_address: SocketAddr,
    /// Where the workers' check-in answers.
    pub check_in_address: SocketAddr,
    /// What is logged.
    pub log: String,
}

impl Args {
    /// Sorts the arguments. Every field is named here, so that a new argument cannot be forgotten.
    #[must_use]
    pub fn into_config(self) -> Config {
        let Self {
            namespace,
            pod_name,
            watch_namespace,
            worker_image,
            worker_image_pull_policy,
            check_in_url,
            bucket,
            s3_endpoint,
            s3_worker_endpoint,
            s3_region,
            ledger_url,
            mirror_escape,
            prometheus_sources,
            chaos_max_targets,
            admin_address,
            check_in_address,
            log,
        } = self;
        let image_pull_policy = match worker_image_pull_policy {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        };
        let ledger_url = ledger_url.filter(|url| !url.0.is_empty());
        let ledger = ledger_url.is_some();
        Config {
            settings: Settings {
                namespace,
                worker_image,
                image_pull_policy: image_pull_policy.to_owned(),
                check_in_url,
                bucket: bucket.clone(),
                ledger,
                most_targets: chaos_max_targets,
            },
            s3: S3Settings { bucket, endpoint: filled(s3_endpoint), worker_endpoint: filled(s3_worker_endpoint), region: s3_region },
            prometheus: prometheus_sources.0,
            pod_name,
            watch_namespace: filled(watch_namespace),
            ledger_url,
            mirror_escape: mirror_escape.span(),
            admin_address,
            check_in_address,
            log,
        }
    }
}

/// An environment variable that is set to nothing counts as absent: charts render empty values.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Args, clap::Error> {
        let needed = [
            "operator",
            "--namespace",
            "crucible",
            "--pod-name",
            "operator-0",
            "--worker-image",
            "worker:1",
            "--check-in-url",
            "http://operator:9090",
            "--bucket",
            "reports",
        ];
        Args::try_parse_from(needed.iter().chain(more))
    }

    #[test]
    fn what_is_needed_is_enough() {
        let config = parse(&[]).unwrap().into_config();
        assert_eq!(config.settings.image_pull_policy, "IfNotPresent");
        assert_eq!(config.s3.region, "us-east-1");
        assert_eq!(config.watch_namespace, None);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        let config = parse(&["--watch-namespace", "", "--s3-endpoint", ""]).unwrap().into_config();
        assert_eq!((config.watch_namespace, config.s3.endpoint), (None, None));
    }

    #[test]
    fn a_ledger_is_taken_from_its_address_which_is_never_shown() {
        assert!(!parse(&["--ledger-url", ""]).unwrap().into_config().settings.ledger);
        let args = parse(&["--ledger-url", "postgres://u:hunter2@db/x", "--mirror-escape", "1h30m"]).unwrap();
        let shown = format!("{args:?}");
        let config = args.into_config();
        assert!(config.settings.ledger && !shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
        assert_eq!((config.mirror_escape, config.ledger_url.unwrap().reveal()), (Duration::from_mins(90), "postgres://u:hunter2@db/x"));
        assert!(parse(&["--mirror-escape", "soon"]).is_err());
    }

    #[test]
    fn a_pull_policy_is_spelt_as_kubernetes_spells_it() {
        assert_eq!(parse(&["--worker-image-pull-policy", "Never"]).unwrap().into_config().settings.image_pull_policy, "Never");
        assert!(parse(&["--worker-image-pull-policy", "never"]).is_err());
    }

    #[test]
    fn prometheus_servers_are_a_list_of_names_and_addresses() {
        let listed = |text: &str| text.parse::<PrometheusSources>().map(|listed| listed.0.into_iter().map(|server| server.name).collect::<Vec<_>>());
        assert_eq!(listed(""), Ok(vec![]));
        assert_eq!(
            listed(r#"[{"name":"a","url":"http://prometheus:9090"},{"name":"b","url":"https://m.example/p"}]"#),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        for wrong in [
            "prometheus",
            r#"[{"name":"a"}]"#,
            r#"[{"name":"","url":"http://prometheus:9090"}]"#,
            r#"[{"name":"a","url":"http://prometheus:9090"},{"name":"a","url":"http://other:9090"}]"#,
            r#"[{"name":"a","url":"prometheus:9090"}]"#,
            r#"[{"name":"a","url":"/metrics"}]"#,
            r#"[{"name":"a","url":"ftp://prometheus"}]"#,
            r#"[{"name":"a","url":"http://prometheus:9090","token":"x"}]"#,
        ] {
            assert!(listed(wrong).is_err(), "{wrong}");
        }
        let refused = listed(r#"[{"name":"a","url":"http://user:secret@prometheus:9090"}]"#).unwrap_err();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
