//! The keys of maps in a plan. The API server's schema knows no patterns for keys, so they are looked at here, and a wrong
//! one is told with the field that it stands in.

use crucible_crds::{
    Fault,
    chaos::{HttpChaos, HttpPatch, HttpReplace},
    fault::PodSelector,
    name::HttpName,
};

use crate::problem::Problems;

/// The longest prefix of a label's key, and the longest name after it.
const LONGEST_PREFIX: usize = 253;
const LONGEST_LABEL: usize = 63;
/// The longest name of a header or parameter.
const LONGEST_HTTP_NAME: usize = 128;

/// Every key of every map of a fault.
pub(super) fn check(fault: &Fault, path: &str, problems: &mut Problems) {
    let peer = fault.chaos.network_chaos.as_ref().and_then(|chaos| chaos.peer.as_ref()).and_then(|peer| peer.pods.as_ref());
    let selectors = [("target.pods", fault.target.pods.as_ref()), ("chaos.networkChaos.peer.pods", peer)];
    for (place, PodSelector { namespaces: _, label_selectors, expression_selectors: _ }) in selectors.iter().filter_map(|(place, pods)| Some((place, (*pods)?)))
    {
        for key in label_selectors.keys().filter(|key| !is_label_key(key)) {
            problems.add(format!("{path}.{place}.labelSelectors"), format!("{} is not the key of a label", shown(key)));
        }
    }
    if let Some(http) = &fault.chaos.http_chaos {
        check_http(http, &format!("{path}.chaos.httpChaos"), problems);
    }
}

fn check_http(http: &HttpChaos, path: &str, problems: &mut Problems) {
    let HttpChaos { request_headers, response_headers, replace, patch, .. } = http;
    let replaced = replace.iter().flat_map(|HttpReplace { queries, headers, .. }| [("replace.queries", queries), ("replace.headers", headers)]);
    let patched = patch.iter().flat_map(|HttpPatch { queries, headers, .. }| [("patch.queries", queries), ("patch.headers", headers)]);
    let maps = [("requestHeaders", request_headers), ("responseHeaders", response_headers)].into_iter().chain(replaced).chain(patched);
    for (place, map) in maps {
        for key in map.keys().filter(|key| !is_http_name(key)) {
            problems.add(format!("{path}.{place}"), format!("{} is not the name of a header or parameter", shown(key)));
        }
    }
}

/// A name of letters, digits, `-`, `_` and `.`, with or without a DNS name and a slash before it.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |text: &str| [text.bytes().next(), text.bytes().last()].iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()));
    let low = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let prefixed = prefix.is_none_or(|prefix| prefix.len() <= LONGEST_PREFIX && ends(prefix) && prefix.bytes().all(low));
    prefixed && name.len() <= LONGEST_LABEL && ends(name) && name.bytes().all(inner)
}

fn is_http_name(HttpName(name): &HttpName) -> bool {
    (1..=LONGEST_HTTP_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A key as it may stand in a message: it was never checked before.
fn shown(key: &str) -> String {
    let short: String = key.chars().take(LONGEST_LABEL).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(target: &Value, chaos: &Value) -> Vec<String> {
        let fault = json!({"name": "cut", "start": {"steady": true}, "duration": "10s", "target": {"pods": target}, "chaos": chaos});
        let mut problems = Problems::default();
        check(&serde_json::from_value(fault).unwrap(), "spec.faults[0]", &mut problems);
        problems.none_or(()).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_of_labels_are_those_that_kubernetes_knows() {
        for key in ["app", "app.kubernetes.io/component", "a.b/C_d-e.f", "0"] {
            assert!(is_label_key(key), "{key}");
        }
        for key in ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "a b", "A/b", "a=b", "a,b", "é", &"a".repeat(64), &format!("{}/a", "a".repeat(254))] {
            assert!(!is_label_key(key), "{key}");
        }
    }

    #[test]
    fn a_key_that_the_schema_cannot_refuse_is_refused_with_its_field() {
        let good = json!({"namespaces": ["sut"], "labelSelectors": {"app": "db"}});
        let bad = json!({"namespaces": ["sut"], "labelSelectors": {"app in (db),x": "db"}});
        let peer = json!({"networkChaos": {"action": "partition", "peer": {"mode": "all", "pods": bad}}});
        assert_eq!(said(&good, &json!({"podChaos": {"action": "pod-kill"}})), Vec::<String>::new());
        assert_eq!(
            said(&bad, &json!({"podChaos": {"action": "pod-kill"}})),
            [r#"spec.faults[0].target.pods.labelSelectors: "app in (db),x" is not the key of a label"#]
        );
        assert_eq!(said(&good, &peer), [r#"spec.faults[0].chaos.networkChaos.peer.pods.labelSelectors: "app in (db),x" is not the key of a label"#]);
        let http = json!({"httpChaos": {"target": "Request", "port": 80, "requestHeaders": {"X-Ok": "1", "a b": "1"}, "replace": {"queries": {"": "1"}},
            "patch": {"headers": {"a\nb": "1"}}}});
        let expected = [
            r#"spec.faults[0].chaos.httpChaos.requestHeaders: "a b" is not the name of a header or parameter"#,
            r#"spec.faults[0].chaos.httpChaos.replace.queries: "" is not the name of a header or parameter"#,
            r#"spec.faults[0].chaos.httpChaos.patch.headers: "a\nb" is not the name of a header or parameter"#,
        ];
        assert_eq!(said(&good, &http), expected);
    }
}
