//! Whether the run is slower than the earlier one that the plan names, or its second arm than its first, by more than the plan allows.

use crucible_crds::Owner;

use super::{Judged, number};
use crate::{
    comparison::{Comparison, interval_in_words},
    statistics::Change,
};

/// The check of a comparison; nothing where none could be made and the plan does not insist on one: the first run of a
/// plan has no earlier one, and must be able to pass.
pub(super) fn check(comparison: &Comparison) -> Option<Judged> {
    let Comparison { asked, arms, required, measure, limit, baseline, differences: _, obstacle, rows: _, earlier: _, change } = comparison;
    if obstacle.is_some() && !required {
        return None;
    }
    let against = baseline.as_ref().filter(|_| obstacle.is_none()).map_or(asked, |past| &past.run_id);
    let of = arms.as_ref().map_or_else(String::new, |[_, second]| format!(" of arm {second}"));
    let deciding = comparison.deciding_row().and_then(|row| Some((row, row.deciding(*measure)?.interval?)));
    let observed = deciding.map_or_else(
        || "no data".to_owned(),
        |(row, interval)| row.query.as_ref().map_or_else(|| interval_in_words(&interval), |query| format!("{} {query}", interval_in_words(&interval))),
    );
    let (held, decided) = (matches!(change, Change::NoChange | Change::Faster), *change != Change::NotEnoughData);
    let limit = format!("<= +{} %", number(limit * 100.0));
    Some(Judged {
        check: super::check(&format!("slowdown of {}{of} against {against}", measure.as_str()), &limit, &observed, held, decided, Owner::Sut),
        broken: if arms.is_some() { "SlowerThanFirstArm" } else { "SlowerThanBaseline" },
        undecided: "TooLittleData",
    })
}
