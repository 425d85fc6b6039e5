//! The password out of sight: what is stored and shown of a plan has a mask where the password stood, and every other byte
//! as its author wrote it.

use serde_json::Value;

use super::text_of;
use crate::legacy::{
    detail::Detail,
    document::{self, Kind, Node},
};

/// What stands for a password.
pub const MASK: &str = "********";
/// Where the password is.
const PLACE: [&str; 3] = ["test_environment", "component_spec", "cluster_info"];
/// Parts of the names of notes that nothing of ours reads and somebody's secret may be in.
const SECRETIVE: [&str; 3] = ["password", "secret", "token"];

/// The text of a plan without its password. A plan that has none, or that has the mask already, is returned as it is.
///
/// # Errors
/// Where the text is not YAML, or exceeds what is read.
pub fn masked(text: &str) -> Result<String, Vec<Detail>> {
    let node = document::read(text).map_err(|detail| vec![detail])?;
    let mut places: Vec<_> = secrets(&node).iter().map(|(_, secret)| secret.bytes.clone()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.start));
    let mut masked = text.to_owned();
    for place in places {
        if !place.is_empty() && masked.get(place.clone()).is_some() {
            masked.replace_range(place, &format!("\"{MASK}\""));
        }
    }
    // A scalar over several lines, or one that an alias repeats, may not be replaceable in its place. Then the plan is
    // written anew: its author's comments are lost, the secret is not shown.
    let wanted = value_without_secrets(&node);
    let kept = document::read(&masked).is_ok_and(|read| read.to_value() == wanted);
    Ok(if kept { masked } else { text_of(&wanted) })
}

/// The plan as JSON without its password, whether or not it is one that could be run.
///
/// # Errors
/// Where the text is not YAML, exceeds what is read, or is no mapping.
pub fn shown(text: &str) -> Result<Value, Vec<Detail>> {
    let node = document::read(text).map_err(|detail| vec![detail])?;
    if !matches!(node.kind, Kind::Map(_)) {
        return Err(vec![Detail::new(Vec::new(), "a plan is a mapping", "dict_type")]);
    }
    Ok(value_without_secrets(&node))
}

fn value_without_secrets(node: &Node) -> Value {
    let mut value = node.to_value();
    for (name, _) in secrets(node) {
        let info = PLACE.iter().try_fold(&mut value, |value, step| value.get_mut(step));
        if let Some(secret) = info.and_then(|info| info.get_mut(name)) {
            *secret = Value::from(MASK);
        }
    }
    value
}

/// What is a secret in a plan, by its name in `cluster_info`. Nothing is not a secret, and the mask is none any more.
fn secrets(node: &Node) -> Vec<(&str, &Node)> {
    let Some(Node { kind: Kind::Map(fields), .. }) = PLACE.iter().try_fold(node, |node, step| node.field(step)) else { return Vec::new() };
    let secretive = |name: &str| SECRETIVE.iter().any(|part| name.to_ascii_lowercase().contains(part));
    let bare = |node: &Node| !node.is_null() && !matches!(&node.kind, Kind::Scalar { text, .. } if text == MASK);
    fields.iter().filter(|(name, node)| secretive(name) && bare(node)).map(|(name, node)| (name.as_str(), node)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn plan(info: &str) -> String {
        format!("# mine\ntest_environment:\n  component_spec:\n    cluster_info: {info}   # here\n    type:   mysql\n")
    }

    #[test]
    fn the_mask_takes_the_place_of_the_password_and_every_other_byte_stays() {
        let cases = [
            ("{host: db, password: hunter2, username: u}", "{host: db, password: \"********\", username: u}"),
            ("{password: \"p, }: \\\"q\\\"\"}", "{password: \"********\"}"),
            ("{password: 'it''s'}", "{password: \"********\"}"),
            ("{password: \"\"}", "{password: \"********\"}"),
            ("{password: 12345}", "{password: \"********\"}"),
            ("{\"password\":\"x\"}", "{\"password\":\"********\"}"),
            (
                "\n      host: db\n      password: über geheim\n      Admin_Token: abc\n",
                "\n      host: db\n      password: \"********\"\n      Admin_Token: \"********\"\n",
            ),
        ];
        for (info, expected) in cases {
            assert_eq!(masked(&plan(info)).unwrap(), plan(expected), "{info}");
        }
    }

    #[test]
    fn what_has_no_password_or_the_mask_already_stays_as_it_is() {
        for text in [
            plan("{host: db}"),
            plan("{password: \"********\"}"),
            plan("{password: '********'}"),
            plan("{password: }"),
            "a: 1\n".to_owned(),
            "- 1\n".to_owned(),
        ] {
            assert_eq!(masked(&text).unwrap(), text);
        }
    }

    #[test]
    fn a_password_that_cannot_be_replaced_in_its_place_is_hidden_all_the_same() {
        for info in [
            "\n      password: |\n        hunter2\n      host: db\n",
            "\n      password: >-\n        hunter2\n        hunter2\n      host: db\n",
            "\n      password: hunter2\n        hunter2\n      host: db\n",
            "{password: &p hunter2, http_password: *p, host: db}",
        ] {
            let masked = masked(&plan(info)).unwrap();
            assert!(!masked.contains("hunter2"), "{masked}");
            assert_eq!(shown(&masked).unwrap()["test_environment"]["component_spec"]["cluster_info"]["host"], "db");
            assert_eq!(shown(&masked).unwrap()["test_environment"]["component_spec"]["type"], "mysql");
        }
    }

    #[test]
    fn a_plan_is_shown_as_json_without_its_password() {
        let shown_plan = shown(&plan("{host: db, password: hunter2, http_port: 8030}")).unwrap();
        let info = json!({"host": "db", "password": "********", "http_port": 8030});
        assert_eq!(shown_plan, json!({"test_environment": {"component_spec": {"cluster_info": info, "type": "mysql"}}}));
        assert_eq!(shown("hello\n").unwrap_err()[0].msg, "a plan is a mapping");
    }

    proptest! {
        #[test]
        fn no_password_survives(password in "[a-zA-Z]{6,20}[ -~]{0,20}", before in "[a-z]{0,3}") {
            let value = json!({"a": before, "test_environment": {"component_spec": {"cluster_info": {"host": "db", "password": password}, "type": "mysql"}}});
            let masked = masked(&text_of(&value)).unwrap();
            prop_assert!(!masked.contains(&password));
            let shown = shown(&masked).unwrap();
            prop_assert_eq!(shown["test_environment"]["component_spec"]["cluster_info"]["password"].as_str(), Some(MASK));
        }
    }
}
