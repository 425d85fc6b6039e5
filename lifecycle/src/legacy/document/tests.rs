use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn a_document_keeps_its_values_and_how_they_were_written() {
    let node = read("a: 1\nb: [x, 'no', no, ~]\nc: {d: \"2\", e: 2}\n").unwrap();
    assert_eq!(node.to_value(), json!({"a": 1, "b": ["x", "no", "no", null], "c": {"d": "2", "e": 2}}));
    let Kind::List(entries) = &node.field("b").unwrap().kind else { panic!("b is a list") };
    assert_eq!(entries.iter().map(Node::is_ambiguous).collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn a_scalar_is_found_again_in_the_text() {
    for (text, found) in
        [("a: 'x y'\nb: 1\n", "'x y'"), ("{\"a\": \"x\\ny\"}", "\"x\\ny\""), ("a:   plain text   # why\n", "plain text"), ("ü: 1\na: é\n", "é")]
    {
        assert_eq!(&text[read(text).unwrap().field("a").unwrap().bytes.clone()], found, "{text}");
    }
}

#[test]
fn aliases_are_written_out() {
    let node = read("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n").unwrap();
    assert_eq!(node.to_value(), json!({"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}));
    assert!(node.field("c").unwrap().aliased && !node.field("a").unwrap().aliased);
}

#[test]
fn what_no_plan_needs_is_refused_with_its_place() {
    let cases = [
        ("", "there is nothing in the text"),
        ("# only a comment\n", "there is nothing in the text"),
        ("a: 1\na: 2\n", "line 2, column 1: the key \"a\" stands twice"),
        ("a:\n  b: {c: 1, \"c\": 2}\n", "a.b: line 2, column 13: the key \"c\" stands twice"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "y: line 3, column 3: merge keys (<<) are not read; write the fields out"),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            "a: line 1, column 36: the tag \"!!python/object/apply:os.system\" is not read; write the value without it",
        ),
        ("a: !!str 5\n", "a: line 1, column 10: the tag \"!!str\" is not read; write the value without it"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document begins; write one document"),
        ("a: &x [1, *x]\n", "a[1]: line 1, column 11: an alias stands inside what it names"),
        ("? [1, 2]\n: 3\n", "line 1, column 8: a key must be a text"),
        ("a: b\u{0}\n", "line 1: the control character U+0000 is not text"),
        ("\u{feff}a: 1\n", "line 1: the text begins with a byte-order mark; save it as UTF-8 without one"),
    ];
    for (text, message) in cases {
        assert_eq!(refusal(text), message, "{text:?}");
    }
}

#[test]
fn what_is_no_yaml_is_answered_with_its_line() {
    for (text, line) in [
        ("execution:\n  executor: [k6\n", "line 2"),
        ("a:\n\tb: 1\n", "line 2"),
        ("a: *nobody\n", "line 1"),
        ("%YAML 1.2\n---\na: 1\n", "line 1"),
        ("a: b: c\n", "line 1"),
    ] {
        let message = refusal(text);
        assert!(message.contains(line), "{text:?}: {message}");
    }
}

#[test]
fn a_document_that_is_too_large_or_too_deep_is_refused() {
    let deep = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&deep(63)).is_ok());
    assert!(refusal(&deep(64)).ends_with("the text is nested deeper than 64 levels"));
    assert!(refusal(&deep(5000)).ends_with("the text is nested deeper than 64 levels"));
    let mut maps = String::new();
    for level in 0..600 {
        writeln!(maps, "{}a:", " ".repeat(level)).unwrap();
    }
    assert!(refusal(&maps).ends_with("the text is nested deeper than 64 levels"));
    assert_eq!(refusal(&format!("a: {}", "x".repeat(1 << 20))), "the text has 1048579 bytes; at most 262144 are read");
    assert!(refusal(&format!("[{}]", "a,".repeat(20_000))).ends_with("there are more than 20000 values"));
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", ")).unwrap();
    }
    assert!(refusal(&bomb).ends_with("there are more than 20000 values"));
    assert!(refusal(&format!("a: &a x\nb: [{}]\n", "*a,".repeat(101))).ends_with("there are more than 100 aliases"));
    assert!(refusal(&format!("a: &a {}\nb: [*a, *a, *a]\n", "x".repeat(100_000))).ends_with("aliases stand for more than 262144 bytes"));
    let mut nested = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..8 {
        writeln!(nested, "a{level}: &a{level} [[[[[[[[[*a{}]]]]]]]]]", level - 1).unwrap();
    }
    assert!(refusal(&nested).ends_with("the text is nested deeper than 64 levels"));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    assert_eq!(decode(b"a: 1\n").unwrap(), "a: 1\n");
    assert_eq!(decode(b"a: 1\nb: caf\xe9\n").unwrap_err()[0].msg, "line 2: the text is not UTF-8");
    assert_eq!(decode(&vec![b'x'; 300_000]).unwrap_err()[0].kind, "too_large");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), "\\PC{0,12}".prop_map(Value::from)];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("\\PC{0,8}", inner, 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", likely in "[-a-c{}\\[\\],:&*!<>|'\"# \n\t]{0,200}") {
        for text in [text, likely] {
            if let Err(detail) = read(&text) {
                prop_assert!(!detail.msg.is_empty());
            }
        }
    }

    #[test]
    fn json_is_read_as_what_it_is(value in json_value()) {
        prop_assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap()).unwrap().to_value(), value);
    }
}
