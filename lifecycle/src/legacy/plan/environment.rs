//! `test_environment`: which database, what is loaded into it before, and who is asked about it afterwards.

use crucible_crds::{
    Duration,
    test_plan::{Engine, TlsMode},
};

use super::{MASK, Password};
use crate::{
    legacy::{
        detail::{Details, shown},
        field::{Field, Fields},
    },
    plan::HostPort,
};

/// The most sources of metrics, and the most metrics of one.
const MOST_SOURCES: usize = 8;
const MOST_METRICS: usize = 32;
/// The most datasets.
const MOST_FIXTURES: usize = 64;
/// The most values that Prometheus itself gives for one series.
const MOST_POINTS: u32 = 11_000;
const DAY_IN_SECONDS: u32 = 86_400;

pub(super) struct Environment {
    pub(super) target_db: String,
    pub(super) engine: Engine,
    pub(super) host: String,
    pub(super) username: String,
    pub(super) password: Password,
    pub(super) tls: TlsMode,
    pub(super) fixtures: Vec<FixtureUse>,
    pub(super) sources: Vec<SourceOfMetrics>,
}

/// A dataset and the table that it is loaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixtureUse {
    /// The dataset: the objects under `fixtures/{id}/`.
    pub fixture_id: String,
    /// The table.
    pub table: String,
}

/// A Prometheus server and what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOfMetrics {
    /// What the results call it.
    pub name: String,
    /// Where it answers.
    pub url: String,
    /// What it is asked.
    pub metrics: Vec<SourceMetric>,
    /// The least time between two values.
    pub resolution: Duration,
    /// The most values of one series.
    pub max_points: u32,
}

/// One question to a Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMetric {
    /// What the results call it.
    pub name: String,
    /// The question, in `PromQL`.
    pub query: String,
}

/// Where the database is and who logs in.
struct ClusterInfo {
    host: String,
    username: String,
    password: Password,
    tls: TlsMode,
}

pub(super) fn read(field: &Field<'_>, details: &mut Details) -> Option<Environment> {
    let mut fields = field.fields(details)?;
    let long_lived = fields.required("env_type", details).and_then(|field| long_lived(&field, details));
    let target_db = fields.required("target_db", details).and_then(|field| database(&field, details));
    let component = fields.required("component_spec", details).and_then(|field| component(&field, details));
    let fixtures = fields.optional("fixtures").map_or(Some(Vec::new()), |field| fixtures(&field, details));
    let sources = fields.optional("observability").map_or(Some(Vec::new()), |field| observability(&field, details));
    fields.close(details);
    long_lived?;
    let (engine, ClusterInfo { host, username, password, tls }) = component?;
    Some(Environment { target_db: target_db?, engine, host, username, password, tls, fixtures: fixtures?, sources: sources? })
}

fn long_lived(field: &Field<'_>, details: &mut Details) -> Option<()> {
    let found = field.word(&[("long-lived", true), ("disposable", false)], details)?;
    if !found {
        field.refuse(details, "env_type 'disposable' is not available yet; use long-lived, with a database that is there already", "not_available");
    }
    found.then_some(())
}

/// A database's name as a TestPlan takes it.
fn database(field: &Field<'_>, details: &mut Details) -> Option<String> {
    let text = field.line(64, details)?;
    let is_name = |part: &str| {
        let begins = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-'))
    };
    // Trino has a catalog and a schema; that others have not is said by whoever reviews the TestPlan.
    let (first, second) = text.split_once('.').unwrap_or((text, "_"));
    if is_name(first) && is_name(second) {
        return Some(text.to_owned());
    }
    field.refuse(details, "the name of a database begins with a letter or _ and has letters, digits, _, $ and -", "string_pattern_mismatch");
    None
}

fn component(field: &Field<'_>, details: &mut Details) -> Option<(Engine, ClusterInfo)> {
    let mut fields = field.fields(details)?;
    let engine = fields.required("type", details).and_then(|field| engine(&field, details));
    let info = fields.required("cluster_info", details).and_then(|field| cluster_info(&field, engine, details));
    fields.close(details);
    Some((engine?, info?))
}

fn engine(field: &Field<'_>, details: &mut Details) -> Option<Engine> {
    let text = field.text(details)?;
    let found = Engine::ALL.iter().find(|engine| engine.as_str() == text);
    if found.is_none() {
        let known = Engine::ALL.map(Engine::as_str).join(", ");
        field.refuse(details, format!("{} is not a known engine; known are {known}", shown(text)), "enum");
    }
    found.copied()
}

fn cluster_info(field: &Field<'_>, engine: Option<Engine>, details: &mut Details) -> Option<ClusterInfo> {
    let mut fields = field.fields(details)?;
    let host = fields.required("host", details).and_then(|field| host(&field, engine, details));
    let username = fields.required("username", details).and_then(|field| field.line(256, details)).map(str::to_owned);
    let password = fields.optional("password").map_or(Some(Password::Given(String::new())), |field| password(&field, details));
    let modes = [("verify", TlsMode::Verify), ("insecureSkipVerify", TlsMode::InsecureSkipVerify), ("disable", TlsMode::Disable)];
    let tls = fields.optional("tls").map_or(Some(TlsMode::Disable), |field| field.word(&modes, details));
    // Whatever else stands here is a note of the plan's author, so the mapping is not closed.
    Some(ClusterInfo { host: host?, username: username?, password: password?, tls: tls? })
}

fn host(field: &Field<'_>, engine: Option<Engine>, details: &mut Details) -> Option<String> {
    let text = field.line(260, details)?;
    // Where the engine is unknown that is told already; any port will do to check the rest.
    let parsed = HostPort::parse(text, engine.map_or(1, Engine::default_port));
    // What a TestPlan's endpoint takes is a little less than what resolvers do.
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']')) && !text.ends_with('.');
    match parsed {
        Ok(_) if plain => return Some(text.to_owned()),
        Ok(_) => field.refuse(details, "the host must be a DNS name of letters, digits, - and ., or an IP address", "host"),
        Err(error) => field.refuse(details, error.to_string(), "host"),
    }
    None
}

fn password(field: &Field<'_>, details: &mut Details) -> Option<Password> {
    if field.node.aliased {
        field.refuse(details, "the password must be written out: what an alias names would stay readable", "value_error");
        return None;
    }
    if field.node.is_ambiguous() {
        // Not the usual message: it would repeat the password.
        field.refuse(details, "without quotes this is not a text to every reader of YAML; write the password in quotes", "string_type");
        return None;
    }
    let text = field.text(details)?;
    if text.len() > 1024 || text.contains(char::is_control) {
        field.refuse(details, "the password must have at most 1024 bytes and no control characters", "value_error");
        return None;
    }
    Some(if text == MASK { Password::Kept } else { Password::Given(text.to_owned()) })
}

fn fixtures(field: &Field<'_>, details: &mut Details) -> Option<Vec<FixtureUse>> {
    let entries = field.entries(details)?;
    if entries.len() > MOST_FIXTURES {
        field.refuse(details, format!("at most {MOST_FIXTURES} fixtures are possible"), "too_long");
        return None;
    }
    entries.iter().map(|entry| fixture(entry, details)).collect::<Vec<_>>().into_iter().collect()
}

fn fixture(field: &Field<'_>, details: &mut Details) -> Option<FixtureUse> {
    let mut fields = field.fields(details)?;
    let fixture_id = fields.required("fixture_id", details).and_then(|field| {
        let text = field.line(128, details)?;
        let fits = crate::legacy::ids::is_fixture_name(text);
        if !fits {
            field.refuse(details, "the id of a fixture begins with a letter or digit and has letters, digits, ., _ and -", "string_pattern_mismatch");
        }
        fits.then(|| text.to_owned())
    });
    let table = fields.required("table", details).and_then(|field| database(&field, details));
    fields.close(details);
    Some(FixtureUse { fixture_id: fixture_id?, table: table? })
}

fn observability(field: &Field<'_>, details: &mut Details) -> Option<Vec<SourceOfMetrics>> {
    let mut fields = field.fields(details)?;
    let sources = fields.optional("prometheus_sources").map_or(Some(Vec::new()), |field| sources(&field, details));
    fields.close(details);
    sources
}

fn sources(field: &Field<'_>, details: &mut Details) -> Option<Vec<SourceOfMetrics>> {
    let entries = field.entries(details)?;
    if entries.len() > MOST_SOURCES {
        field.refuse(details, format!("at most {MOST_SOURCES} sources are possible"), "too_long");
        return None;
    }
    let read: Vec<_> = entries.iter().map(|entry| source(entry, details)).collect();
    for (index, (entry, source)) in entries.iter().zip(&read).enumerate() {
        let name = source.as_ref().map(|source| &source.name);
        if name.is_some() && read.iter().take(index).any(|earlier| earlier.as_ref().map(|source| &source.name) == name) {
            entry.refuse(details, "a source of this name stands before it", "value_error");
        }
    }
    read.into_iter().collect()
}

fn source(field: &Field<'_>, details: &mut Details) -> Option<SourceOfMetrics> {
    let mut fields = field.fields(details)?;
    let name = fields.required("name", details).and_then(|field| field.line(128, details)).map(str::to_owned);
    let url = fields.required("url", details).and_then(|field| field.web_address(details)).map(str::to_owned);
    let metrics = fields.required("metrics", details).and_then(|field| {
        let entries = field.some_entries(MOST_METRICS, details)?;
        entries.iter().map(|entry| metric(entry, details)).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    });
    let resolution = fields.optional("resolution").map_or(Some(15), |field| field.whole(1, DAY_IN_SECONDS, details));
    let max_points = fields.optional("max_data_points").map_or(Some(500), |field| field.whole(1, MOST_POINTS, details));
    fields.close(details);
    Some(SourceOfMetrics { name: name?, url: url?, metrics: metrics?, resolution: Duration::from_secs(resolution?), max_points: max_points? })
}

fn metric(field: &Field<'_>, details: &mut Details) -> Option<SourceMetric> {
    let mut fields: Fields<'_> = field.fields(details)?;
    let name = fields.required("name", details).and_then(|field| field.line(128, details)).map(str::to_owned);
    let query = fields.required("query", details).and_then(|field| {
        let text = field.text(details)?;
        let fits = !text.trim().is_empty() && text.chars().count() <= 4096;
        if !fits {
            field.refuse(details, "a query of 1 to 4096 characters is needed here", "value_error");
        }
        fits.then(|| text.to_owned())
    });
    fields.close(details);
    Some(SourceMetric { name: name?, query: query? })
}
