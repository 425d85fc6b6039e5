//! Is it slower than before? One total function: the plan's question, what was found of the earlier run, and both series
//! in; intervals, named differences and an answer out. The two arms of one run are compared by the same arithmetic.

mod arms;
mod fingerprint;
mod past;
mod rounds;

pub use arms::compare_arms;
pub(crate) use fingerprint::arms_in_words;
pub use fingerprint::{Difference, Fingerprint};
pub use past::{Past, PastQuery, Shelf};
pub use rounds::Across;

use crucible_crds::{
    name::{Label, QueryName},
    test_plan::{Compare, CompareMetric, Stage},
};

use crate::{
    contract::FrozenPlan,
    results::{RoundRows, Series},
    statistics::{
        Change, Interval,
        bootstrap::{self, Measure, Sample, Shift},
        change_points::{self, ChangePoint},
        generator::Generator,
        mann_whitney,
    },
};

/// What was found of the earlier run.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is no such run with valid results.
    Nothing,
    /// There is one, and this keeps it from being compared with.
    Unusable(Box<Past>, String),
    /// There is one, with its latencies over time.
    Run(Box<Past>, Series),
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What was asked for, in words.
    pub asked: String,
    /// The names of the two arms that were compared, the first of them in the place of the earlier run; nothing where an earlier run was asked for.
    pub arms: Option<[Label; 2]>,
    /// Whether the plan names the earlier run, so that its absence leaves the verdict open.
    pub required: bool,
    /// The percentile that decides.
    pub measure: Measure,
    /// The largest slowdown that is allowed, as a share.
    pub limit: f64,
    /// The earlier run, where there is one. Arms have none.
    pub baseline: Option<Past>,
    /// In what the two runs differ, by name.
    pub differences: Vec<Difference>,
    /// Why nothing was compared, where nothing was.
    pub obstacle: Option<String>,
    /// All queries together first, then each one that both runs have.
    pub rows: Vec<ComparedRow>,
    /// The deciding percentile of the earlier run over time, all queries together: the first second of each slot, and microseconds.
    pub earlier: Vec<(u64, u64)>,
    /// What the comparison says.
    pub change: Change,
}

/// One query of both runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedRow {
    /// The query; nothing for all of them.
    pub query: Option<QueryName>,
    /// Every measure, in the order of [`Measure::ALL`].
    pub shifts: [Shift; 4],
    /// The deciding percentile in the rounds of both; nothing where one has fewer than 4.
    pub across: Option<Across>,
    /// What the deciding percentile says.
    pub change: Change,
}

impl ComparedRow {
    /// The deciding measure of the row.
    #[must_use]
    pub fn deciding(&self, measure: Measure) -> Option<&Shift> {
        self.shifts.iter().find(|shift| shift.measure == measure)
    }
}

impl Comparison {
    /// The row that the answer comes from: the slowest beyond doubt, else the one that reaches highest, else all queries.
    #[must_use]
    pub fn deciding_row(&self) -> Option<&ComparedRow> {
        let key = |row: &ComparedRow| {
            let interval = row.deciding(self.measure).and_then(|shift| shift.interval);
            interval.map_or(f64::NEG_INFINITY, |interval| if row.change == Change::Slower { f64::MAX } else { interval.high })
        };
        let estimate = |row: &ComparedRow| row.deciding(self.measure).and_then(|shift| shift.interval).map_or(0.0, |interval| interval.estimate);
        self.rows.iter().max_by(|one, other| key(one).total_cmp(&key(other)).then(estimate(one).total_cmp(&estimate(other))))
    }
}

/// The run itself, as the comparison needs it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its plan.
    pub plan: &'a FrozenPlan,
    /// What it was asked for.
    pub fingerprint: &'a Fingerprint,
    /// Its latencies over time.
    pub series: &'a Series,
    /// Its rounds, where its load has any.
    pub rounds: &'a [RoundRows],
}

/// Compares a run with the earlier one that its plan asks for.
#[must_use]
pub fn compare(asked: &Compare, candidate: Candidate<'_>, found: Found) -> Comparison {
    let Candidate { plan, fingerprint, series, rounds: _ } = candidate;
    let measure = measure(asked.metric);
    let nothing = Comparison {
        asked: in_words(asked, &plan.plan_name),
        arms: None,
        required: asked.baseline.is_some(),
        measure,
        limit: asked.max_slowdown,
        baseline: None,
        differences: Vec::new(),
        obstacle: None,
        rows: Vec::new(),
        earlier: Vec::new(),
        change: Change::NotEnoughData,
    };
    let (past, found) = match found {
        Found::Nothing => return Comparison { obstacle: Some(format!("There is no {} with valid results", nothing.asked)), ..nothing },
        Found::Unusable(past, why) => (*past, Err(why)),
        Found::Run(past, series) => (*past, Ok(series)),
    };
    let differences = fingerprint.differences_from(&past.fingerprint, &asked.may_differ);
    let unexpected: Vec<&str> = differences.iter().filter(|difference| !difference.expected).map(|difference| difference.piece.as_str()).collect();
    let obstacle = (!unexpected.is_empty()).then(|| format!("Run {} was asked for something else: {} differ", past.run_id, unexpected.join(", ")));
    let (obstacle, earlier) = match (obstacle, found) {
        (None, Ok(earlier)) => (None, earlier),
        (None, Err(why)) => (Some(why), Series::default()),
        (Some(obstacle), _) => (Some(obstacle), Series::default()),
    };
    let made = Comparison { baseline: Some(past), differences, ..nothing };
    if obstacle.is_some() {
        return Comparison { obstacle, ..made };
    }
    let seed = format!("{} {}", plan.run.id, made.baseline.as_ref().map_or("", |past| &past.run_id));
    let rounds = |query: Option<&QueryName>| {
        let earlier = made.baseline.as_ref().map(|past| past.rounds(query, measure)).unwrap_or_default();
        Across::of(&earlier, &of_rounds(candidate.rounds.iter(), query, measure))
    };
    let stages: &[Stage] = &plan.spec.load.stages;
    let sample = |query: Option<&QueryName>| [earlier.sample(stages, query), series.sample(stages, query)];
    let both = plan.queries.iter().map(|query| &query.name).filter(|name| earlier.records.iter().any(|record| record.query == ***name));
    let rows = rows(&both.collect::<Vec<_>>(), sample, measure, asked.max_slowdown, rounds, &mut Generator::seeded(&seed));
    let over_time = earlier.columns().into_iter().filter_map(|(second, column)| Some((second, column.quantile(thousandths(measure))?))).collect();
    Comparison { change: answer(&rows, measure), rows, earlier: over_time, ..made }
}

/// All queries together, then each of these, with intervals that hold together. `sample` gives the measured time of both sides.
fn rows(
    queries: &[&QueryName],
    sample: impl Fn(Option<&QueryName>) -> [Sample; 2],
    measure: Measure,
    limit: f64,
    across: impl Fn(Option<&QueryName>) -> Option<Across>,
    generator: &mut Generator,
) -> Vec<ComparedRow> {
    let together = queries.len() + 1;
    let row = |query: Option<&QueryName>| {
        let [before, after] = sample(query);
        let shifts = bootstrap::compare(&before, &after, together, generator);
        let interval = shifts.iter().find(|shift| shift.measure == measure).and_then(|shift| shift.interval);
        let across = across(query);
        ComparedRow { query: query.cloned(), shifts, change: rounds::settled(Change::of(interval, limit), across.as_ref()), across }
    };
    std::iter::once(None).chain(queries.iter().copied().map(Some)).map(row).collect()
}

/// A percentile of a query in each of some rounds, as far as they have it.
fn of_rounds<'a>(rounds: impl Iterator<Item = &'a RoundRows>, query: Option<&QueryName>, measure: Measure) -> Vec<f64> {
    rounds.filter_map(|round| round.of(query)?.figure(measure)).collect()
}

/// What all rows say together. A query that is too rare for an interval does not decide; one whose interval reaches over
/// the limit does.
fn answer(rows: &[ComparedRow], measure: Measure) -> Change {
    let all = rows.first().map_or(Change::NotEnoughData, |row| row.change);
    let open = |row: &ComparedRow| row.change == Change::NotEnoughData && row.deciding(measure).is_some_and(|shift| shift.interval.is_some());
    if rows.iter().any(|row| row.change == Change::Slower) {
        Change::Slower
    } else if all == Change::NotEnoughData || rows.iter().any(open) {
        Change::NotEnoughData
    } else {
        all
    }
}

const fn measure(metric: CompareMetric) -> Measure {
    match metric {
        CompareMetric::P50 => Measure::P50,
        CompareMetric::P95 => Measure::P95,
        CompareMetric::P99 => Measure::P99,
    }
}

const fn thousandths(measure: Measure) -> u32 {
    match measure {
        Measure::P50 => 500,
        Measure::P95 => 950,
        Measure::P99 | Measure::Throughput => 990,
    }
}

fn in_words(asked: &Compare, plan_name: &str) -> String {
    match asked.baseline.as_ref().map(|baseline| (&baseline.run, &baseline.label)) {
        Some((Some(run), _)) => format!("run {run}"),
        Some((None, Some(label))) => format!("earlier run labelled {label}"),
        Some((None, None)) | None => format!("earlier run of plan {plan_name} that has passed"),
    }
}

/// The runs of a plan over time, oldest first, and where their deciding percentile changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// The runs that were asked for the same thing, the newest last.
    pub runs: Vec<Past>,
    /// Where the percentile came to another level, by position among `runs`; the levels are in microseconds.
    pub changes: Vec<ChangePoint>,
    /// Runs against the earlier and against the present version of the system under test, where there are several of both.
    pub repeats: Option<Repeats>,
}

/// Repeated runs against two versions of the system under test.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeats {
    /// The version of the earlier run, and how many runs there are against it.
    pub baseline: (String, usize),
    /// The version of the run itself, and how many runs there are against it.
    pub candidate: (String, usize),
    /// What the test of Mann and Whitney says of their deciding percentiles.
    pub answer: mann_whitney::Answer,
}

impl Trend {
    /// The trend up to a run, from whatever is known of earlier ones. Runs of other loads, queries or systems are left out;
    /// the version of the system under test may differ.
    #[must_use]
    pub fn of(asked: &Compare, run: Past, earlier: Vec<Past>, baseline: Option<&Past>) -> Self {
        let measure = measure(asked.metric);
        let alike = |past: &Past| run.fingerprint.differences_from(&past.fingerprint, &asked.may_differ).iter().all(|difference| difference.expected);
        let mut runs: Vec<Past> = earlier.into_iter().filter(|past| past.run_id != run.run_id && alike(past)).collect();
        let seed = format!("trend {}", run.run_id);
        let versions = baseline.map(|baseline| (baseline.fingerprint.version().to_owned(), run.fingerprint.version().to_owned()));
        runs.push(run);
        runs.retain(|past| past.micros(measure).is_some());
        runs.sort_by(|one, other| (one.started_at, &one.run_id).cmp(&(other.started_at, &other.run_id)));
        let logarithms: Vec<f64> = runs.iter().filter_map(|past| past.micros(measure)).map(f64::ln).collect();
        let changes = change_points::find(&logarithms, &mut Generator::seeded(&seed)).into_iter();
        let repeats = versions.and_then(|(earlier, present)| repeats(&runs, measure, earlier, present));
        Self { changes: changes.map(|point| ChangePoint { before: point.before.exp(), after: point.after.exp(), ..point }).collect(), repeats, runs }
    }
}

/// Compares all runs against one version with all runs against another.
fn repeats(runs: &[Past], measure: Measure, earlier: String, present: String) -> Option<Repeats> {
    let against =
        |version: &str| -> Vec<f64> { runs.iter().filter(|past| past.fingerprint.version() == version).filter_map(|past| past.micros(measure)).collect() };
    let (before, after) = (against(&earlier), against(&present));
    if earlier == present || before.len().min(after.len()) < rounds::FEWEST {
        return None;
    }
    let answer = mann_whitney::compare(&before, &after)?;
    Some(Repeats { baseline: (earlier, before.len()), candidate: (present, after.len()), answer })
}

/// A relative change as people read it: `+12.3 %`.
#[must_use]
pub fn signed_percent(share: f64) -> String {
    let text = format!("{:+.1} %", share * 100.0);
    // What rounds to nothing has no direction.
    if matches!(text.as_str(), "+0.0 %" | "-0.0 %") { "0.0 %".to_owned() } else { text }
}

/// A change with its bounds: `+12.3 % (+10.1 % to +14.6 %)`.
#[must_use]
pub fn interval_in_words(interval: &Interval) -> String {
    let Interval { estimate, low, high } = interval;
    format!("{} ({} to {})", signed_percent(*estimate), signed_percent(*low), signed_percent(*high))
}

#[cfg(test)]
mod tests;
