//! Whether the measurement is to be believed: every worker's results, a common start, a load generator with room left.

use crucible_crds::{Owner, test_plan::Validity};

use super::{Judged, check, number};
use crate::{contract::FrozenPlan, latency::human, results::Facts};

/// The checks of the measurement itself, in a fixed order; only those that the plan asks for, and that no worker is lost.
pub(super) fn checks(plan: &FrozenPlan, facts: &Facts) -> Vec<Judged> {
    let Validity { max_worker_cpu, max_start_skew, min_queries: _ } = &plan.spec.validity;
    let Facts { expected_workers, merged_workers, start_skew_micros, worker_cpu_share, ended_early: _, without_raw_samples: _, faults: _, invariants: _ } =
        facts;
    let mut checks = vec![Judged {
        check: check(
            "workers with results",
            &expected_workers.to_string(),
            &merged_workers.to_string(),
            merged_workers >= expected_workers,
            true,
            Owner::Harness,
        ),
        broken: "WorkersMissing",
        undecided: "TooLittleData",
    }];
    if let Some(limit) = max_start_skew {
        let observed = start_skew_micros.map(i64::unsigned_abs);
        let held = observed.is_some_and(|micros| u128::from(micros) * 1000 <= limit.span().as_nanos());
        checks.push(Judged {
            check: check("start skew", &format!("<= {limit}"), &observed.map_or_else(no_data, human), held, observed.is_some(), Owner::Harness),
            broken: "StartSkewTooLarge",
            undecided: "TooLittleData",
        });
    }
    if let Some(limit) = max_worker_cpu {
        let observed = worker_cpu_share.filter(|share| share.is_finite());
        let held = observed.is_some_and(|share| share <= *limit);
        checks.push(Judged {
            check: check(
                "worker processor share",
                &format!("<= {}", number(*limit)),
                &observed.map_or_else(no_data, number),
                held,
                observed.is_some(),
                Owner::Harness,
            ),
            broken: "LoadGeneratorSaturated",
            undecided: "TooLittleData",
        });
    }
    checks
}

fn no_data() -> String {
    "no data".to_owned()
}
