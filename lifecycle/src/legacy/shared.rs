//! Plans that runs share: what such a plan is called, and when it is taken away.
//!
//! Runs of a stored plan differ in their label and in what is said of their cluster; the TestPlan and the Secret are the same for all of
//! them. Both are named after what they hold, so they are made and taken away but never changed: what is stored later under the same
//! name changes nothing for a run that still waits.

use std::time::Duration;

use crucible_crds::TestPlanSpec;
use jiff::Timestamp;
use serde_json::json;

use super::ids;
use crate::plan::canonical_digest;

/// Hex digits that tell one content from another.
const DIGITS: usize = 16;
/// What is left of the plan's own name. With the digits it is a DNS label.
const LONGEST_READABLE: usize = 44;
/// How long a plan is kept that no run names: whoever runs it every now and then finds it there.
const KEPT: Duration = Duration::from_hours(1);
/// How long after it was marked a plan is taken away. A request that had seen it without the mark has made its run by then, or was
/// given up: no request may last so long.
pub const NOTICE: Duration = Duration::from_mins(10);

/// The names of a TestPlan and of the Secret with its login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the TestPlan.
    pub plan: String,
    /// Of the Secret.
    pub login: String,
    /// What both are found by, together with the runs that name the plan: a label's value.
    pub content: String,
}

impl Names {
    /// The names for this content. `salt` is known to nobody else, so that nobody can try passwords by the names that they give.
    #[must_use]
    pub fn of(plan_name: &str, spec: &TestPlanSpec, username: &str, password: &str, salt: &str) -> Self {
        let digest = canonical_digest(&json!([salt, plan_name, spec, username, password]));
        let content = digest.get(..DIGITS).unwrap_or_default().to_owned();
        let readable = ids::readable(plan_name, LONGEST_READABLE);
        let plan = format!("{}-{content}", if readable.is_empty() { "plan" } else { &readable });
        Self { login: format!("{plan}-login"), plan, content }
    }
}

/// A plan that runs share, as the cluster has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is marked as unused, where it is.
    pub unused_since: Option<Timestamp>,
    /// Whether a run names it.
    pub used: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Mark it: whoever wants it from now on takes the mark off first.
    Mark,
    /// Take the mark off.
    Unmark,
    /// Take it away, unless somebody has touched it since.
    Remove,
}

/// What is to be done about a shared plan. Marked first and taken away later, it is never taken from a run that was about to name it.
#[must_use]
pub fn step(plan: Shared, now: Timestamp) -> Step {
    let for_longer = |since: Timestamp, span: Duration| now.duration_since(since).unsigned_abs() >= span && now >= since;
    match plan {
        Shared { used: true, unused_since: None, .. } => Step::Keep,
        Shared { used: true, unused_since: Some(_), .. } => Step::Unmark,
        Shared { unused_since: Some(since), .. } if for_longer(since, NOTICE) => Step::Remove,
        Shared { unused_since: None, created, .. } if for_longer(created, KEPT) => Step::Mark,
        Shared { .. } => Step::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_600_000;

    fn spec(endpoint: &str) -> TestPlanSpec {
        let spec = json!({
            "target": {"engine": "mysql", "endpoint": endpoint, "database": "shop", "credentialsRef": {"name": "login"}},
            "workload": {"source": {"inline": "-- @name: A\nSELECT 1;"}},
            "load": {"stages": [{"name": "steady", "duration": "1s", "vus": 1}]}
        });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn the_same_content_has_the_same_name_and_any_other_another() {
        let name = |plan: &str, endpoint: &str, user: &str, password: &str, salt: &str| Names::of(plan, &spec(endpoint), user, password, salt);
        let one = name("Checkout.v2", "db:1", "u", "p", "s");
        assert_eq!(one, name("Checkout.v2", "db:1", "u", "p", "s"));
        assert!(one.plan.starts_with("checkout-v2-") && one.plan.ends_with(&one.content) && one.login == format!("{}-login", one.plan), "{one:?}");
        let others = [
            name("Checkout_v2", "db:1", "u", "p", "s"),
            name("Checkout.v2", "db:2", "u", "p", "s"),
            name("Checkout.v2", "db:1", "v", "p", "s"),
            name("Checkout.v2", "db:1", "u", "q", "s"),
            name("Checkout.v2", "db:1", "u", "p", "t"),
        ];
        for other in others {
            assert_ne!(one.content, other.content);
        }
        let long = name(&"x".repeat(200), "db:1", "u", "p", "s").plan;
        assert!(long.len() <= 63, "{long} is no DNS label");
        assert!(name("___1", "db:1", "u", "p", "s").plan.starts_with("1-"));
    }

    #[test]
    fn a_plan_is_marked_after_an_hour_without_runs_and_goes_ten_minutes_later() {
        let ago = |minutes: i64| Timestamp::from_second(NOW - minutes * 60).unwrap();
        let table = [
            (600, None, true, Step::Keep),
            (600, Some(60), true, Step::Unmark),
            (59, None, false, Step::Keep),
            (60, None, false, Step::Mark),
            (600, Some(9), false, Step::Keep),
            (600, Some(10), false, Step::Remove),
            // Clocks differ: what was made or marked in the future is left alone.
            (-600, None, false, Step::Keep),
            (600, Some(-600), false, Step::Keep),
        ];
        for (created, marked, used, expected) in table {
            let plan = Shared { created: ago(created), unused_since: marked.map(ago), used };
            assert_eq!(step(plan, ago(0)), expected, "{plan:?}");
        }
    }
}
