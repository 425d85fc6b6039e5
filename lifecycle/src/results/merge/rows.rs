//! From merged histograms to rows: of a query, a stage, a round or a window.

use std::collections::BTreeMap;

use crucible_crds::{name::Label, test_plan::Stage};

use super::Cell;
use crate::{
    class::Class,
    contract::FrozenPlan,
    histogram::Histogram,
    load::rounds::{self, Round},
    results::{Latency, RoundRows, Row, Spectrum, Window, WindowRow},
};

/// What rows are made of.
pub(super) struct Rows<'a> {
    pub plan: &'a FrozenPlan,
    pub cells: &'a BTreeMap<Cell, Histogram>,
    pub services: &'a BTreeMap<Cell, Histogram>,
    pub seconds: &'a [f64],
}

impl Rows<'_> {
    /// How the latencies of these queries' answers are spread over these stages.
    pub(super) fn spectrum(&self, query: Option<usize>, queries: &[usize], stages: &[usize]) -> Spectrum {
        Spectrum {
            query: query.and_then(|query| self.plan.queries.get(query)).map(|query| query.name.clone()),
            points: Spectrum::points_of(&answered(self.cells, queries, stages)),
            service: Spectrum::points_of(&answered(self.services, queries, stages)),
        }
    }

    /// The rows of each round, over its measured stages.
    pub(super) fn rounds(&self, queries: &[usize]) -> Vec<RoundRows> {
        let of_round = |round: Round| {
            let measured: Vec<usize> = round.stages.filter(|stage| self.plan.spec.load.stages.get(*stage).is_some_and(|stage| stage.measured)).collect();
            let each = queries.iter().map(|query| self.row(Some(*query), None, &[*query], &measured));
            RoundRows { number: round.number, arm: round.arm, rows: std::iter::once(self.row(None, None, queries, &measured)).chain(each).collect() }
        };
        rounds::rounds(&self.plan.spec).into_iter().map(of_round).collect()
    }

    /// The rows of each of the plan's stages over all rounds.
    pub(super) fn over_rounds(&self, queries: &[usize]) -> Vec<Row> {
        let all = rounds::rounds(&self.plan.spec);
        let once = rounds::stages_once(&self.plan.spec).iter().enumerate().filter(|_| !all.is_empty());
        let of_stage = |(position, stage): (usize, &Stage)| {
            let stages: Vec<usize> = all.iter().map(|round| round.stages.start + position).collect();
            let name: Label = rounds::name_in_plan(&stage.name).into();
            let named = |query: Option<usize>, queries: &[usize]| Row { stage: Some(name.clone()), ..self.row(query, None, queries, &stages) };
            std::iter::once(named(None, queries)).chain(queries.iter().map(|query| named(Some(*query), &[*query]))).collect::<Vec<_>>()
        };
        once.flat_map(of_stage).collect()
    }

    /// The row of these queries in these stages.
    pub(super) fn row(&self, query: Option<usize>, stage: Option<usize>, queries: &[usize], stages: &[usize]) -> Row {
        let mut by_class: BTreeMap<Class, Histogram> = BTreeMap::new();
        for query in queries {
            for ((_, stage, class), histogram) in self.cells.range((*query, 0, Class::Ok)..(*query + 1, 0, Class::Ok)) {
                if stages.contains(stage) {
                    by_class.entry(*class).or_default().add(histogram);
                }
            }
        }
        let plan_stages = &self.plan.spec.load.stages;
        Row {
            query: query.and_then(|query| self.plan.queries.get(query)).map(|query| query.name.clone()),
            stage: stage.and_then(|stage| plan_stages.get(stage)).map(|stage| stage.name.clone()),
            measured: stages.iter().all(|stage| plan_stages.get(*stage).is_some_and(|stage| stage.measured)),
            seconds: stages.iter().filter_map(|stage| self.seconds.get(*stage)).sum(),
            service: Latency::of(&answered(self.services, queries, stages)),
            ..counted(by_class)
        }
    }
}

/// The times of these queries' answers in these stages.
fn answered(cells: &BTreeMap<Cell, Histogram>, queries: &[usize], stages: &[usize]) -> Histogram {
    let mut answered = Histogram::new();
    for ((query, stage, class), histogram) in cells {
        if *class == Class::Ok && queries.contains(query) && stages.contains(stage) {
            answered.add(histogram);
        }
    }
    answered
}

/// The row of a window, which is no longer than the load was.
#[expect(clippy::cast_precision_loss, reason = "seconds of a load, at most a day")]
pub(super) fn window_row(window: Window, by_class: BTreeMap<Class, Histogram>, ended: u64) -> WindowRow {
    let seconds = window.to.min(ended.max(window.from)) - window.from;
    WindowRow { row: Row { seconds: seconds as f64, ..counted(by_class) }, window }
}

/// What a row counts, without what it is about.
fn counted(mut by_class: BTreeMap<Class, Histogram>) -> Row {
    let mut total = Histogram::new();
    for histogram in by_class.values() {
        total.add(histogram);
    }
    let ok = by_class.remove(&Class::Ok).unwrap_or_default();
    Row {
        query: None,
        stage: None,
        measured: false,
        seconds: 0.0,
        ok: ok.count(),
        errors: by_class.iter().map(|(class, histogram)| (*class, histogram.count())).filter(|(_, count)| *count > 0).collect(),
        latency: Latency::of(&ok),
        failed: by_class.iter().filter_map(|(class, histogram)| Some((*class, Latency::of(histogram)?))).collect(),
        total: Latency::of(&total),
        service: None,
    }
}
