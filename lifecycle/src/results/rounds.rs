//! The rounds of a load, and how much they differ: what the same system varies by itself from one round to the next.

use std::collections::BTreeSet;

use crucible_crds::name::QueryName;

use super::{Latency, Row, Summary};
use crate::statistics::bootstrap::Measure;

/// The figures of one round over its measured stages.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRows {
    /// The round's number, from 1.
    pub number: usize,
    /// Whom it asked, by position among the plan's arms; nothing where there are none.
    pub arm: Option<usize>,
    /// All queries together, then each in the plan's order.
    pub rows: Vec<Row>,
}

impl RoundRows {
    /// The row of a query, or of all of them.
    #[must_use]
    pub fn of(&self, query: Option<&QueryName>) -> Option<&Row> {
        self.rows.iter().find(|row| row.query.as_ref() == query)
    }
}

impl Row {
    /// A measure of the row: microseconds, or answers per second. Nothing where no query was answered.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
    pub fn figure(&self, measure: Measure) -> Option<f64> {
        let of = |latency: Latency| match measure {
            Measure::P50 => latency.p50 as f64,
            Measure::P95 => latency.p95 as f64,
            Measure::P99 => latency.p99 as f64,
            Measure::Throughput => self.throughput(),
        };
        self.latency.map(of)
    }
}

/// How one figure is spread over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Of how many rounds it is known; at least one.
    pub rounds: usize,
    /// The smallest.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// The standard deviation as a share of the mean (coefficient of variation); nothing of fewer than two rounds, and where the mean is 0.
    pub variation: Option<f64>,
}

impl Spread {
    /// The spread of some values; nothing where there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let variation = (values.len() > 1 && mean > 0.0).then(|| (squares / (count - 1.0)).sqrt() / mean);
        let middle = |back: usize| values.get((values.len() - back) / 2).copied().unwrap_or(max);
        Some(Self { rounds: values.len(), min, median: f64::midpoint(middle(1), middle(0)), max, variation })
    }
}

/// How the figures of one query are spread over the rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadRow {
    /// The arm whose rounds these are, by position; nothing where there are none.
    pub arm: Option<usize>,
    /// The query; nothing for all of them.
    pub query: Option<QueryName>,
    /// Queries answered without error per second, p50, p95 and p99 in microseconds, each with what it is about.
    pub measures: Vec<(Measure, Spread)>,
    /// Errors as a share of all queries.
    pub error_rate: Option<Spread>,
}

/// The spread of all queries together, then of each, over the rounds; arm by arm, where there are arms. Nothing where there are no rounds.
#[must_use]
pub fn spreads(summary: &Summary) -> Vec<SpreadRow> {
    let arms: BTreeSet<Option<usize>> = summary.rounds.iter().map(|round| round.arm).collect();
    let of_arm = |arm: Option<usize>| summary.rounds.iter().filter(|round| round.arm == arm).collect::<Vec<_>>();
    arms.into_iter().flat_map(|arm| spread_over(arm, &of_arm(arm))).collect()
}

fn spread_over(arm: Option<usize>, rounds: &[&RoundRows]) -> Vec<SpreadRow> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let of_query = |row: &Row| {
        let rows: Vec<&Row> = rounds.iter().filter_map(|round| round.of(row.query.as_ref())).collect();
        let spread = |measure| Some((measure, Spread::of(rows.iter().filter_map(|row| row.figure(measure)).collect())?));
        SpreadRow {
            arm,
            query: row.query.clone(),
            measures: Measure::ALL.into_iter().filter_map(spread).collect(),
            error_rate: Spread::of(rows.iter().filter(|row| row.ended() > 0).map(|row| row.error_rate()).collect()),
        }
    };
    first.rows.iter().map(of_query).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        load::rounds::carried_out,
        results::sample::{line, merge, plan},
    };

    #[test]
    fn a_spread_is_told_by_ends_middle_and_coefficient_of_variation() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]), Some(Spread { rounds: 1, min: 7.0, median: 7.0, max: 7.0, variation: None }));
        assert_eq!(spread(&[9.0, 11.0]), Some(Spread { rounds: 2, min: 9.0, median: 10.0, max: 11.0, variation: Some(f64::sqrt(2.0) / 10.0) }));
        let three = spread(&[12.0, 8.0, 10.0]).unwrap();
        assert_eq!((three.median, three.variation), (10.0, Some(0.2)));
        assert_eq!(spread(&[0.0, 0.0]).unwrap().variation, None, "nothing is no share of nothing");
    }

    #[test]
    fn each_round_has_its_own_figures_and_each_stage_those_of_all_rounds() {
        let mut plan = plan(json!({}));
        plan.spec.load.repeat = 2;
        plan.spec = carried_out(&plan.spec);
        // A round is a warm-up of 2 s, then 3 s and 5 s.
        let log = vec![
            line("PointLookup|warmup#1|ok", 1, &[9]),
            line("PointLookup|steady#1|ok", 2, &[1000, 1000]),
            line("CountAll|peak#1|timeout", 6, &[70]),
            line("PointLookup|steady#2|ok", 12, &[3000, 3000, 3000, 3000]),
        ];
        let summary = merge(&plan, &[log, vec![]], false);
        let told: Vec<_> =
            summary.rounds.iter().map(|round| (round.number, round.rows.iter().map(|row| (row.ok, row.failures())).collect::<Vec<_>>())).collect();
        assert_eq!(told, [(1, vec![(2, 1), (2, 0), (0, 1)]), (2, vec![(4, 0), (4, 0), (0, 0)])], "warm-ups are left out");
        assert!((summary.rounds[0].rows[0].seconds - 8.0).abs() < 1e-9);
        let steady: Vec<_> =
            summary.over_rounds.iter().filter(|row| row.stage.as_deref() == Some("steady")).map(|row| (row.query.as_deref(), row.ok)).collect();
        assert_eq!(steady, [(None, 6), (Some("PointLookup"), 6), (Some("CountAll"), 0)]);
        assert!((summary.headline.seconds - 16.0).abs() < 1e-9);

        let spreads = spreads(&summary);
        assert_eq!(spreads.iter().map(|row| row.query.as_deref()).collect::<Vec<_>>(), [None, Some("PointLookup"), Some("CountAll")]);
        let (measure, throughput) = spreads[1].measures[3];
        assert_eq!((measure, throughput.min, throughput.median, throughput.max), (Measure::Throughput, 0.25, 0.375, 0.5));
        assert!((spreads[1].measures[0].1.max - 3001.0).abs() < 1e-9);
        assert_eq!(spreads[2].measures, [], "what was never answered has no latency");
        assert!((spreads[2].error_rate.unwrap().max - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_load_that_is_carried_out_once_has_no_rounds() {
        let summary = merge(&plan(json!({})), &[vec![line("PointLookup|steady|ok", 2, &[1000])], vec![]], false);
        assert_eq!((summary.rounds.len(), summary.over_rounds.len(), spreads(&summary).len()), (0, 0, 0));
    }
}
