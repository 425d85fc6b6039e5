//! What a client says about the system under test of one run: its kind and shape. Only the kind and the number of backend
//! nodes mean something; everything else is kept as it came.

use crucible_crds::test_plan::Engine;
use serde_json::{Map, Value};

use super::detail::{Detail, Details, Loc, shown};

/// The most workers of a run.
const MOST_WORKERS: u64 = 1000;
/// The largest that is kept with a run.
const MOST_BYTES: usize = 16 * 1024;
/// The deepest that it may be nested: what is kept in Kubernetes is read by programs that recurse.
const MOST_LEVELS: usize = 16;

/// What a client says about the system under test, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    kind: String,
    replicas: Option<u32>,
    value: Map<String, Value>,
}

impl ClusterSpec {
    /// What stands for one that is absent: the plan's own engine and nothing else.
    #[must_use]
    pub fn of_engine(engine: Engine) -> Self {
        let value = Map::from_iter([("type".to_owned(), Value::from(engine.as_str()))]);
        Self { kind: engine.as_str().to_owned(), replicas: None, value }
    }

    /// The kind of system.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How many backend nodes it has, where that is said.
    #[must_use]
    pub fn replicas(&self) -> Option<u32> {
        self.replicas
    }

    /// Everything as it came.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.value
    }
}

/// Reads a `cluster_spec`. Paths begin at the request's field `cluster_spec`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(value: &Value) -> Result<ClusterSpec, Vec<Detail>> {
    let mut details = Details::default();
    let spec = read(value, &mut details);
    details.none_or(spec)
}

fn place(steps: &[&str]) -> Vec<Loc> {
    std::iter::once("cluster_spec").chain(steps.iter().copied()).map(Loc::from).collect()
}

fn read(value: &Value, details: &mut Details) -> Option<ClusterSpec> {
    let Value::Object(fields) = value else {
        details.add(&place(&[]), "a mapping with at least type is needed here", "dict_type");
        return None;
    };
    if !is_shallow(value, MOST_LEVELS) || value.to_string().len() > MOST_BYTES {
        details.add(&place(&[]), format!("at most {MOST_BYTES} bytes in {MOST_LEVELS} levels are kept"), "too_long");
        return None;
    }
    // No text of the ledger can hold it.
    if value.to_string().contains("\\u0000") {
        details.add(&place(&[]), "NUL cannot be kept", "value_error");
        return None;
    }
    let kind = kind(fields, details);
    if fields.get("version").is_some_and(|version| !version.is_string() && !version.is_null()) {
        details.add(&place(&["version"]), "a text is needed here; write it in quotes", "string_type");
    }
    for name in ["frontend_node", "node"] {
        node(fields, name, details);
    }
    let replicas = node(fields, "backend_node", details);
    Some(ClusterSpec { kind: kind?, replicas, value: fields.clone() })
}

fn kind(fields: &Map<String, Value>, details: &mut Details) -> Option<String> {
    let (message, word) = match fields.get("type") {
        None | Some(Value::Null) => ("the field is missing".to_owned(), "missing"),
        Some(Value::String(kind)) if Engine::ALL.iter().any(|engine| engine.as_str() == kind) => return Some(kind.clone()),
        Some(Value::String(kind)) => (format!("{} is not a known type; known are {}", shown(kind), Engine::ALL.map(Engine::as_str).join(", ")), "enum"),
        Some(_) => ("a text is needed here".to_owned(), "string_type"),
    };
    details.add(&place(&["type"]), message, word);
    None
}

/// The number of nodes of a kind, where it is said.
fn node(fields: &Map<String, Value>, name: &str, details: &mut Details) -> Option<u32> {
    let node = match fields.get(name) {
        None | Some(Value::Null) => return None,
        Some(Value::Object(node)) => node,
        Some(_) => {
            details.add(&place(&[name]), "a mapping is needed here", "dict_type");
            return None;
        }
    };
    let replica = match node.get("replica") {
        None | Some(Value::Null) => return None,
        Some(replica) => replica.as_u64().filter(|replica| (1..=MOST_WORKERS).contains(replica)),
    };
    if replica.is_none() {
        details.add(&place(&[name, "replica"]), format!("a whole number from 1 to {MOST_WORKERS} is needed here"), "greater_than_equal");
    }
    replica.and_then(|replica| u32::try_from(replica).ok())
}

/// Whether a value is nested no deeper than `most`. It looks no further than that.
fn is_shallow(value: &Value, most: usize) -> bool {
    let below = |value: &Value| most > 0 && is_shallow(value, most - 1);
    match value {
        Value::Array(entries) => entries.iter().all(below),
        Value::Object(fields) => fields.values().all(below),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_is_kept_and_the_backend_nodes_are_counted() {
        let value = json!({"type": "mysql", "version": "10.11", "backend_node": {"replica": 2, "cpu_per_node": 4}, "colour": "green"});
        let spec = parse(&value).unwrap();
        assert_eq!((spec.kind(), spec.replicas()), ("mysql", Some(2)));
        assert_eq!(Value::Object(spec.as_map().clone()), value);
        let doris = parse(&json!({"type": "doris", "frontend_node": {"replica": 1}, "backend_node": {"replica": 3, "memory_per_node": "8Gi"}})).unwrap();
        assert_eq!(doris.replicas(), Some(3));
        assert_eq!(parse(&json!({"type": "trino", "node": null, "version": null})).unwrap().replicas(), None);
        assert_eq!(ClusterSpec::of_engine(Engine::Postgres), parse(&json!({"type": "postgres"})).unwrap());
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let deep = (0..17).fold(json!(1), |value, _| json!([value]));
        let cases = [
            (json!({}), "cluster_spec.type: the field is missing"),
            (json!({"type": null}), "cluster_spec.type: the field is missing"),
            (json!([]), "cluster_spec: a mapping with at least type is needed here"),
            (json!("mysql"), "cluster_spec: a mapping with at least type is needed here"),
            (json!({"type": 7}), "cluster_spec.type: a text is needed here"),
            (json!({"type": "oracle8"}), "cluster_spec.type: \"oracle8\" is not a known type; known are mysql, doris, postgres, trino, cassandra"),
            (json!({"type": "mysql", "version": 8}), "cluster_spec.version: a text is needed here; write it in quotes"),
            (json!({"type": "mysql", "node": 3}), "cluster_spec.node: a mapping is needed here"),
            (json!({"type": "mysql", "backend_node": {"replica": 0}}), "cluster_spec.backend_node.replica: a whole number from 1 to 1000 is needed here"),
            (json!({"type": "mysql", "backend_node": {"replica": "2"}}), "cluster_spec.backend_node.replica: a whole number from 1 to 1000 is needed here"),
            (json!({"type": "mysql", "backend_node": {"replica": 1.5}}), "cluster_spec.backend_node.replica: a whole number from 1 to 1000 is needed here"),
            (json!({"type": "mysql", "a": "b\u{0}"}), "cluster_spec: NUL cannot be kept"),
            (json!({"type": "mysql", "a": deep}), "cluster_spec: at most 16384 bytes in 16 levels are kept"),
            (json!({"type": "mysql", "a": "x".repeat(20_000)}), "cluster_spec: at most 16384 bytes in 16 levels are kept"),
        ];
        for (value, message) in cases {
            let told: Vec<String> = parse(&value).unwrap_err().iter().map(ToString::to_string).collect();
            assert_eq!(told, [message]);
        }
    }
}
