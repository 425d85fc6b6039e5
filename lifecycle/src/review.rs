//! A plan on its own: whether it could be run, said before anybody runs it.

use std::time::Duration;

use crucible_crds::{ConditionType, Reason, TestPlanStatus, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{plan, run::observed::PlanView, seen::Seen, wake::Wake, workload};

/// How soon a plan is looked at again whose workload is not there or cannot be read: it is not ours to watch.
const AGAIN: Duration = Duration::from_secs(30);

/// What is to be done about a plan: nothing but saying how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// The plan's status as it shall be. Written only where it differs.
    pub status: TestPlanStatus,
    /// When to look again.
    pub wake: Wake,
}

/// Says whether a plan could be run.
pub fn review(view: &PlanView, now: Timestamp) -> Review {
    let generation = view.plan.metadata.generation;
    let old = view.plan.status.clone().unwrap_or_default();
    let judged = judge(view);
    let (queries, digest) = match &judged {
        Judgement::Good { queries, digest } => (Some(*queries), Some(digest.clone())),
        Judgement::Wrong(..) | Judgement::Unclear(..) => (None, None),
    };
    let wake = if matches!(judged, Judgement::Unclear(..)) { Wake::After(AGAIN) } else { Wake::OnChange };
    let conditions = conditions(&judged, &old.conditions, generation, now);
    Review { status: TestPlanStatus { observed_generation: generation, queries, digest, conditions }, wake }
}

enum Judgement {
    Good { queries: u32, digest: String },
    Wrong(Reason, String),
    Unclear(Reason, String),
}

fn judge(view: &PlanView) -> Judgement {
    let places = workload::places(&view.plan.spec.workload.source);
    let mut texts = Vec::with_capacity(places.len());
    for (place, seen) in places.iter().zip(&view.workload) {
        let path = "spec.workload.source";
        match seen {
            Seen::Found(text) => texts.push(text),
            Seen::Absent => return Judgement::Unclear(Reason::WorkloadNotFound, format!("{path}: the workload does not exist: {place}")),
            Seen::Unreadable(why) => return Judgement::Unclear(Reason::WorkloadNotFound, format!("{path}: the workload cannot be read from {place}: {why}")),
        }
    }
    match plan::resolve(&view.plan.spec, &texts) {
        Ok(resolved) => Judgement::Good { queries: u32::try_from(resolved.queries.len()).unwrap_or(u32::MAX), digest: resolved.digest },
        Err(problems) => {
            let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Judgement::Wrong(Reason::PlanInvalid, listed.join("; "))
        }
    }
}

fn conditions(judged: &Judgement, old: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let (good, reason, message) = match judged {
        Judgement::Good { queries, .. } => (true, Reason::PlanValid, format!("The plan can be run with {queries} queries")),
        Judgement::Wrong(reason, message) | Judgement::Unclear(reason, message) => (false, *reason, crate::run::bounded(message.clone(), 1024)),
    };
    let unclear = matches!(judged, Judgement::Unclear(..));
    let wrong = matches!(judged, Judgement::Wrong(..));
    [
        (ConditionType::Ready, good, reason),
        (ConditionType::Reconciling, unclear, if unclear { reason } else { Reason::AsExpected }),
        (ConditionType::Stalled, wrong, if wrong { reason } else { Reason::AsExpected }),
        (ConditionType::Accepted, good, reason),
    ]
    .into_iter()
    .map(|(of, holds, reason)| {
        let value = if holds { "True" } else { "False" };
        let since = condition::find(old, of).filter(|before| before.status == value).map_or(Time(now), |before| before.last_transition_time.clone());
        Condition {
            type_: of.to_string(),
            status: value.to_owned(),
            reason: reason.to_string(),
            message: if reason == Reason::AsExpected { String::new() } else { message.clone() },
            observed_generation: generation,
            last_transition_time: since,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestPlan
metadata: {name: checkout, namespace: shop-tests, generation: 2}
spec:
  target: {engine: mysql, endpoint: 'orders-db.sut.svc:3306', database: orders, credentialsRef: {name: orders-login}}
  workload: {source: {inline: \"-- @type: sql\\n-- @name: One\\nSELECT 1\\n\"}}
  load: {stages: [{name: steady, duration: 5s, vus: 2}]}
";

    fn view(workload: Seen<String>) -> PlanView {
        PlanView { plan: serde_saphyr::from_str(PLAN).unwrap(), workload: vec![workload] }
    }

    fn accepted(review: &Review) -> (&str, &str, &str) {
        let found = condition::find(&review.status.conditions, ConditionType::Accepted).unwrap();
        (&found.status, &found.reason, &found.message)
    }

    #[test]
    fn a_plan_that_can_be_run_is_accepted_and_left_alone() {
        let review = review(&view(Seen::Found("-- @type: sql\n-- @name: One\nSELECT 1\n".to_owned())), Timestamp::UNIX_EPOCH);
        assert_eq!(accepted(&review), ("True", "PlanValid", "The plan can be run with 1 queries"));
        assert_eq!((review.status.queries, review.status.observed_generation, review.wake), (Some(1), Some(2), Wake::OnChange));
    }

    #[test]
    fn a_plan_without_queries_is_refused_with_its_line() {
        let review = review(&view(Seen::Found("-- @type: sql\n".to_owned())), Timestamp::UNIX_EPOCH);
        let (status, reason, message) = accepted(&review);
        assert_eq!((status, reason), ("False", "PlanInvalid"));
        assert!(message.starts_with("spec.workload.source"), "{message}");
    }

    #[test]
    fn a_workload_that_may_still_come_is_looked_for_again() {
        let review = review(&view(Seen::Absent), Timestamp::UNIX_EPOCH);
        assert_eq!(accepted(&review).1, "WorkloadNotFound");
        assert_eq!(review.wake, Wake::After(Duration::from_secs(30)));
    }

    #[test]
    fn an_unchanged_plan_keeps_its_transition_times() {
        let text = Seen::Found("-- @type: sql\n-- @name: One\nSELECT 1\n".to_owned());
        let mut view = view(text);
        let first = review(&view, Timestamp::UNIX_EPOCH);
        view.plan.status = Some(first.status.clone());
        assert_eq!(review(&view, Timestamp::from_second(60).unwrap()).status, first.status);
    }
}
