//! Names of clients turned into names that the bucket, the ledger and Kubernetes take, and the other way round: which
//! names can be there at all.

use jiff::Timestamp;

use crate::plan::{named_run, sha256_hex};

/// The longest name of a plan.
const LONGEST_PLAN_NAME: usize = 200;
/// The longest id of a run, as the ledger and status keep it.
const LONGEST_RUN_ID: usize = 300;
/// The longest name of an object that is taken over as it is. A suffix of ours still leaves it a DNS label.
const LONGEST_KEPT: usize = 52;
/// Hex digits that keep two names apart whose readable parts are the same.
const DIGEST_DIGITS: usize = 10;

/// A plan's name as the bucket has it: what is not a letter, a digit, `_`, `.` or `-` becomes `_`, and no name begins with a
/// point or has two of them in a row, so that none can be taken for a path. `None` where nothing is left to name a plan by.
#[must_use]
pub fn sanitise(name: &str) -> Option<String> {
    let mut clean = String::with_capacity(name.len());
    for letter in name.trim().chars() {
        let letter = if letter.is_ascii_alphanumeric() || "_.-".contains(letter) { letter } else { '_' };
        if !(letter == '.' && (clean.is_empty() || clean.ends_with('.'))) {
            clean.push(letter);
        }
    }
    let named = clean.contains(|c: char| c.is_ascii_alphanumeric()) && clean.len() <= LONGEST_PLAN_NAME;
    named.then_some(clean)
}

/// Whether a plan can have this name: one that [`sanitise`] leaves alone.
#[must_use]
pub fn is_plan_name(name: &str) -> bool {
    name.len() <= LONGEST_PLAN_NAME && sanitise(name).as_deref() == Some(name)
}

/// The id of a new run: the plan's name, the minute in UTC, and eight hex digits that are drawn for it.
#[must_use]
pub fn run_id(plan_name: &str, now: Timestamp, hex8: &str) -> String {
    named_run(plan_name, now, hex8)
}

/// Whether a run can have this id. What comes from elsewhere may have another form than ours, but never that of a path.
#[must_use]
pub fn is_run_id(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    letters && text.contains(|c: char| c.is_ascii_alphanumeric()) && text.len() <= LONGEST_RUN_ID && !text.starts_with('.') && !text.contains("..")
}

/// Whether a dataset or a file of one can have this name.
#[must_use]
pub fn is_fixture_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    begins && letters && text.len() <= 128 && !text.contains("..") && !text.ends_with('.')
}

/// Whether a workload can have this id.
#[must_use]
pub fn is_workload_id(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The name of the Kubernetes object that stands for a client's name: the name itself where it can be one, else what is
/// left of it with a digest. Two names never share an object: what ends like a digest of ours gets one itself.
#[must_use]
pub fn object_name(name: &str) -> String {
    if is_dns_label(name) && name.len() <= LONGEST_KEPT && !ends_in_digest(name) {
        return name.to_owned();
    }
    let digest = sha256_hex(name.as_bytes());
    let digest = digest.get(..DIGEST_DIGITS).unwrap_or_default();
    let clean = dns_label(name, LONGEST_KEPT - DIGEST_DIGITS - 1);
    if clean.is_empty() { format!("x-{digest}") } else { format!("{clean}-{digest}") }
}

/// The name of the `TestRun` of a run's id. Minute and digits at the end of an id keep runs apart, so they are kept whole.
#[must_use]
pub fn run_object_name(run_id: &str) -> String {
    let own = run_id.rsplitn(3, '_').collect::<Vec<_>>();
    match own.as_slice() {
        [hex, minute, plan] if hex.len() == 8 && minute.len() == 13 => {
            let plan = dns_label(plan, LONGEST_KEPT - 23);
            dns_label(&format!("{}-{minute}-{hex}", if plan.is_empty() { "run" } else { &plan }), LONGEST_KEPT)
        }
        _ => object_name(run_id),
    }
}

/// What is left of a client's name as a DNS label of at most `most` letters, for names that something else tells apart.
#[must_use]
pub fn readable(name: &str, most: usize) -> String {
    dns_label(name, most)
}

fn is_dns_label(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

fn ends_in_digest(text: &str) -> bool {
    let is_hex = |part: &str| part.len() == DIGEST_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    text.rsplit_once('-').is_some_and(|(_, end)| is_hex(end))
}

/// What is left of a text as a DNS label of at most `most` letters; nothing where nothing is.
fn dns_label(text: &str, most: usize) -> String {
    let mut label = String::with_capacity(most);
    for letter in text.chars().map(|c| c.to_ascii_lowercase()) {
        let letter = if letter.is_ascii_alphanumeric() { letter } else { '-' };
        if label.len() < most && !(letter == '-' && (label.is_empty() || label.ends_with('-'))) {
            label.push(letter);
        }
    }
    label.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plan_name_becomes_one_that_the_bucket_takes() {
        let cases = [
            ("checkout", Some("checkout")),
            ("Contract_Inter.v2-a1", Some("Contract_Inter.v2-a1")),
            ("my plan (v2)! x", Some("my_plan__v2___x")),
            ("../../etc/passwd", Some("_._etc_passwd")),
            (" ü ", None),
            ("..", None),
            ("", None),
            ("a..b", Some("a.b")),
            (".hidden", Some("hidden")),
        ];
        for (name, clean) in cases {
            assert_eq!(sanitise(name).as_deref(), clean, "{name:?}");
        }
        assert_eq!(sanitise(&"x".repeat(201)), None);
        assert!(is_plan_name("Contract_Inter.v2-a1") && !is_plan_name("my plan") && !is_plan_name("a/b") && !is_plan_name(&"a".repeat(10_000)));
    }

    #[test]
    fn a_run_has_an_id_and_an_object() {
        let now: Timestamp = "2026-03-07T23:59:58Z".parse().unwrap();
        assert_eq!(run_id("Checkout_v2.1", now, "5b54ae4d"), "Checkout_v2.1_20260307-2359_5b54ae4d");
        let cases = [
            ("Checkout_v2.1_20260307-2359_5b54ae4d", "checkout-v2-1-20260307-2359-5b54ae4d"),
            ("___20260307-2359_5b54ae4d", "run-20260307-2359-5b54ae4d"),
            ("a-plan-with-a-name-that-is-much-longer-than-a-label_20260307-2359_5b54ae4d", "a-plan-with-a-name-that-is-mu-20260307-2359-5b54ae4d"),
            ("history-1", "history-1"),
        ];
        for (id, name) in cases {
            assert_eq!(run_object_name(id), name);
        }
    }

    #[test]
    fn ids_that_cannot_be_are_known_before_anybody_is_asked() {
        for id in ["a_20260307-2359_5b54ae4d", "history-large_20250101-0000_aa00", "x"] {
            assert!(is_run_id(id), "{id}");
        }
        for id in ["", "..", "../../x", "a/b", "a\0b", "a b", "'or 1=1", "💣", ".a", "a..b", "---", "a\nb", &"a".repeat(301)] {
            assert!(!is_run_id(id), "{id:?}");
        }
        for name in ["orders-0001.parquet", "A_b.csv", "0"] {
            assert!(is_fixture_name(name), "{name}");
        }
        for name in ["", "..", "a..b", ".hidden", "a/b", "a\\b", "a\0b", "a\nb", "💣", "-a", "a.", &"a".repeat(129)] {
            assert!(!is_fixture_name(name), "{name:?}");
        }
        assert!(is_workload_id("shop-queries_2") && !is_workload_id("a.b") && !is_workload_id("_a") && !is_workload_id(""));
    }

    #[test]
    fn an_object_is_named_as_its_plan_where_that_can_be() {
        let cases = [
            ("checkout", "checkout"),
            ("Checkout", "checkout-99e71f48c4"),
            ("my_plan", "my-plan-bcb71b876e"),
            ("ü", "x-607474ca47"),
            ("checkout-0123456789", "checkout-0123456789-8c42e249f0"),
        ];
        for (name, object) in cases {
            assert_eq!(object_name(name), object, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_object_name_is_a_dns_label(name in "\\PC{0,300}", likely in "[A-Za-z0-9_.-]{1,80}") {
            for name in [object_name(&name), object_name(&likely), run_object_name(&likely)] {
                prop_assert!(is_dns_label(&name) && name.len() <= LONGEST_KEPT, "{}", name);
            }
        }

        #[test]
        fn names_that_differ_have_objects_that_differ(one in "[Aa_.-]{1,4}[b]{0,60}", other in "[Aa_.-]{1,4}[b]{0,60}") {
            if one != other {
                prop_assert_ne!(object_name(&one), object_name(&other));
            }
            prop_assert_ne!(object_name(&object_name(&format!("A{one}"))), object_name(&format!("A{one}")));
        }

        #[test]
        fn what_is_sanitised_is_a_plan_name(name in "\\PC{0,60}") {
            if let Some(clean) = sanitise(&name) {
                prop_assert!(is_plan_name(&clean) && is_run_id(&clean), "{}", clean);
            }
        }
    }
}
