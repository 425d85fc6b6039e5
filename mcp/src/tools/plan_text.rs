//! A plan's text with the remote write address put in where it names none. The text stays as its author wrote it.

use serde_json::{Map, Value};

const KEY: &str = "k6_prometheus_rw_server_url";

/// The plan with this remote write address, where it has none of its own. A text that is no plan stays as it is: the gateway says why.
pub fn with_remote_write(plan_yaml: &str, address: Option<&str>) -> String {
    let Some(address) = address else { return plan_yaml.to_owned() };
    let quoted = Value::from(address);
    if plan_yaml.trim_start().starts_with('{') {
        return match serde_json::from_str::<Map<String, Value>>(plan_yaml) {
            Ok(mut plan) => {
                plan.entry(KEY).or_insert(quoted);
                Value::Object(plan).to_string()
            }
            Err(_) => plan_yaml.to_owned(),
        };
    }
    let names_it = |line: &str| line.trim_start_matches(['"', '\'']).starts_with(KEY);
    // A document that is ended or followed by another one has no line to add to.
    let ends = |line: &str| line.starts_with("...");
    if plan_yaml.lines().any(|line| names_it(line) || ends(line)) {
        return plan_yaml.to_owned();
    }
    let gap = if plan_yaml.ends_with('\n') { "" } else { "\n" };
    format!("{plan_yaml}{gap}{KEY}: {quoted}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Option<&str> = Some("http://prometheus:9090/api/v1/write");

    #[test]
    fn an_address_is_put_into_a_plan_that_names_none() {
        let expected = "execution: {}\nk6_prometheus_rw_server_url: \"http://prometheus:9090/api/v1/write\"\n";
        assert_eq!(with_remote_write("execution: {}", ADDRESS), expected);
        assert_eq!(with_remote_write("execution: {}\n", ADDRESS), expected);
        assert_eq!(with_remote_write("{\"a\": 1}", ADDRESS), "{\"a\":1,\"k6_prometheus_rw_server_url\":\"http://prometheus:9090/api/v1/write\"}");
    }

    #[test]
    fn a_plan_with_an_address_of_its_own_keeps_it() {
        for own in ["k6_prometheus_rw_server_url: http://mine\na: 1", "\"k6_prometheus_rw_server_url\": x", "a: 1\n...\n", "{not: json}"] {
            assert_eq!(with_remote_write(own, ADDRESS), own);
        }
        assert_eq!(with_remote_write("{\"k6_prometheus_rw_server_url\":\"x\"}", ADDRESS), "{\"k6_prometheus_rw_server_url\":\"x\"}");
        assert_eq!(with_remote_write("a: 1", None), "a: 1");
    }
}
