//! Digests and ids: which plan something is, and what a run is called.

use crucible_crds::TestPlanSpec;
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::contract::Query;

/// SHA-256 over the canonical JSON of spec and queries, in hex: the same for whoever asks for the same thing. The name of the Secret
/// does not count: runs of the REST gateway have one each.
#[must_use]
pub fn digest(spec: &TestPlanSpec, queries: &[Query]) -> String {
    let mut text = String::new();
    // Neither type has a map with keys that are not text, which is all that could fail here.
    let mut spec = serde_json::to_value(spec).unwrap_or_default();
    if let Some(target) = spec.get_mut("target").and_then(Value::as_object_mut) {
        target.remove("credentialsRef");
    }
    for value in [Ok(spec), serde_json::to_value(queries)] {
        write_canonical(&value.unwrap_or_default(), &mut text);
        text.push('\n');
    }
    sha256_hex(text.as_bytes())
}

/// SHA-256 over the canonical form of a JSON value, in hex.
#[must_use]
pub fn canonical_digest(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    sha256_hex(text.as_bytes())
}

/// SHA-256 of bytes as 64 hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into memory does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What a run is called in results and by clients outside Kubernetes: the plan's name, the minute of its creation in
/// UTC and eight hex digits of its uid's hash.
#[must_use]
pub fn run_id(plan_name: &str, created: Timestamp, uid: &str) -> String {
    named_run(plan_name, created, sha256_hex(uid.as_bytes()).get(..8).unwrap_or_default())
}

/// The same for whoever has to know the name before there is a uid, with eight hex digits of its own.
#[must_use]
pub fn named_run(plan_name: &str, created: Timestamp, hex8: &str) -> String {
    let plan: String = plan_name.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' }).collect();
    let at = created.to_zoned(TimeZone::UTC);
    format!("{plan}_{:04}{:02}{:02}-{:02}{:02}_{hex8}", at.year(), at.month(), at.day(), at.hour(), at.minute())
}

/// How far the clock of a client that makes up a run's id may be off, in minutes.
const CLOCKS_DIFFER: i64 = 15;

/// Whether a run's id holds the minute of its creation, give or take what clocks differ by.
#[must_use]
pub fn is_of_its_time(run_id: &str, created: Timestamp) -> bool {
    let minute = run_id.rsplit('_').nth(1).and_then(|minute| civil::DateTime::strptime("%Y%m%d-%H%M", minute).ok());
    let minute = minute.and_then(|minute| minute.to_zoned(TimeZone::UTC).ok());
    minute.is_some_and(|minute| created.duration_since(minute.timestamp()).as_mins().abs() <= CLOCKS_DIFFER)
}

/// JSON with sorted keys and no white space, whatever order the map type keeps.
fn write_canonical(value: &Value, to: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            write_list(to, "{", "}", fields, |(key, value), to| {
                to.push_str(&Value::from(key.as_str()).to_string());
                to.push(':');
                write_canonical(value, to);
            });
        }
        Value::Array(items) => write_list(to, "[", "]", items, write_canonical),
        scalar => to.push_str(&scalar.to_string()),
    }
}

fn write_list<T>(to: &mut String, open: &str, close: &str, items: impl IntoIterator<Item = T>, write: impl Fn(T, &mut String)) {
    to.push_str(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        write(item, to);
    }
    to.push_str(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_id_is_plan_minute_and_eight_hex_digits() {
        let created: Timestamp = "2026-03-07T23:59:58Z".parse().unwrap();
        assert_eq!(run_id("checkout", created, "6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa"), "checkout_20260307-2359_5b54ae4d");
        assert_eq!(run_id("my plan/ü", created, ""), "my_plan___20260307-2359_e3b0c442");
    }

    #[test]
    fn an_id_is_of_its_time_by_the_quarter_of_an_hour() {
        let created: Timestamp = "2026-03-07T23:59:58Z".parse().unwrap();
        let cases = [
            ("a_b_20260307-2359_5b54ae4d", true),
            ("checkout_20260308-0014_5b54ae4d", true),
            ("checkout_20260307-2345_5b54ae4d", true),
            ("checkout_20260307-2343_5b54ae4d", false),
            ("checkout_20260308-0016_5b54ae4d", false),
            ("checkout_20250307-2359_5b54ae4d", false),
            ("checkout_20261307-2359_5b54ae4d", false),
            ("checkout", false),
        ];
        for (id, expected) in cases {
            assert_eq!(is_of_its_time(id, created), expected, "{id}");
        }
    }

    #[test]
    fn canonical_json_has_sorted_keys_and_no_white_space() {
        let mut text = String::new();
        write_canonical(&json!({"b": [1, 2.5, {"z": null, "a": true}], "a": "x\"y"}), &mut text);
        assert_eq!(text, r#"{"a":"x\"y","b":[1,2.5,{"a":true,"z":null}]}"#);
    }
}
