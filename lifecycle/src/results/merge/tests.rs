use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    histogram::log::HEADER,
    results::{
        Row,
        sample::{arrivals, line, merge, open_plan, plan},
    },
};

fn problem(plan: &FrozenPlan, lines: &[&str]) -> MergeError {
    let mut merger = Merger::new(plan, 1);
    lines.iter().find_map(|line| merger.push(0, line).err()).unwrap()
}

#[test]
fn rows_hold_every_query_once_and_warm_up_is_not_in_the_headline() {
    let plan = plan(json!({}));
    let summary = merge(
        &plan,
        &[
            vec![
                HEADER.to_owned(),
                line("PointLookup|warmup|ok", 0, &[900; 50]),
                line("PointLookup|steady|ok", 2, &[100; 60]),
                line("CountAll|peak|timeout", 9, &[30_000_000; 4]),
            ],
            vec![line("PointLookup|steady|ok", 3, &[300; 40]), line("CountAll|peak|ok", 6, &[2_000; 20])],
        ],
        false,
    );

    let shape = |row: &Row| (row.ok, row.failures(), row.seconds);
    assert_eq!(shape(&summary.headline), (120, 4, 8.0));
    assert_eq!(summary.queries.iter().map(shape).collect::<Vec<_>>(), [(100, 0, 8.0), (20, 4, 8.0)]);
    assert_eq!(summary.stages.iter().map(shape).collect::<Vec<_>>(), [(50, 0, 2.0), (100, 0, 3.0), (20, 4, 5.0)]);
    assert_eq!(summary.stages.iter().map(|row| row.measured).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(summary.cells.len(), 6);

    let steady = summary.cells.iter().find(|row| row.query.as_deref() == Some("PointLookup") && row.stage.as_deref() == Some("steady")).unwrap();
    let latency = steady.latency.unwrap();
    assert_eq!((latency.count, latency.min, latency.p50, latency.p90, latency.max, latency.mean), (100, 100, 100, 300, 300, 180.0));
    assert!((steady.throughput() - 33.333_333).abs() < 1e-5);
    assert_eq!(summary.headline.errors, BTreeMap::from([(Class::Timeout, 4)]));
    assert_eq!(summary.headline.failed[&Class::Timeout].min, 29_999_104);
    assert_eq!(summary.headline.total.unwrap().count, 124);
    assert!((summary.headline.error_rate() - 4.0 / 124.0).abs() < 1e-12);
    assert_eq!(
        summary.workers,
        [
            WorkerRow { ok: 110, failures: 4, last_second: Some(9), active_seconds: 3 },
            WorkerRow { ok: 60, failures: 0, last_second: Some(6), active_seconds: 2 }
        ]
    );
}

#[test]
fn percentiles_are_those_of_the_union_and_not_an_average() {
    let plan = plan(json!({}));
    let summary = merge(&plan, &[vec![line("PointLookup|steady|ok", 2, &[100; 99])], vec![line("PointLookup|steady|ok", 2, &[1_000_000])]], false);
    let latency = summary.headline.latency.unwrap();
    assert_eq!((latency.p50, latency.p99, latency.max), (100, 100, 1_000_447));
    assert_eq!(summary.timeline.points[2].latency.unwrap().p99, 100);
}

#[test]
fn the_timeline_has_every_second_up_to_the_last_one() {
    let plan = plan(json!({}));
    let summary = merge(
        &plan,
        &[
            vec![line("PointLookup|warmup|ok", 1, &[100; 2]), line("CountAll|warmup|connection", 1, &[7; 3])],
            vec![line("PointLookup|warmup|ok", 1, &[300]), line("PointLookup|steady|ok", 4, &[500])],
        ],
        false,
    );
    assert_eq!(summary.timeline.seconds_per_point, 1);
    let points: Vec<_> = summary
        .timeline
        .points
        .iter()
        .map(|point| (point.second, point.ok, point.errors.values().sum::<u64>(), point.latency.map(|latency| latency.p99)))
        .collect();
    assert_eq!(points, [(0, 0, 0, None), (1, 3, 3, Some(300)), (2, 0, 0, None), (3, 0, 0, None), (4, 1, 0, Some(500))]);
}

#[test]
fn a_load_of_a_day_has_at_most_7200_points() {
    let plan = plan(
        json!({"load": {"workers": 1, "stages": [{"name": "warmup", "duration": "1s", "vus": 1, "measured": false}, {"name": "steady", "duration": "23h", "vus": 1}]}}),
    );
    let lines: Vec<String> = [0, 11, 12, 23, 82_800].iter().map(|second| line("PointLookup|steady|ok", *second, &[100])).collect();
    let timeline = merge(&plan, &[lines], false).timeline;
    assert_eq!(timeline.seconds_per_point, 12);
    assert_eq!(timeline.points.len(), 6901);
    assert_eq!(timeline.points[..3].iter().map(|point| (point.second, point.ok)).collect::<Vec<_>>(), [(0, 2), (12, 2), (24, 0)]);
}

#[test]
fn a_load_that_ended_early_counts_up_to_its_last_second() {
    let plan = plan(json!({}));
    let logs = [vec![line("PointLookup|warmup|ok", 0, &[100]), line("PointLookup|steady|ok", 3, &[100; 40])]];
    let seconds = |ended_early| merge(&plan, &logs, ended_early).stages.iter().map(|row| row.seconds).collect::<Vec<_>>();
    assert_eq!(seconds(false), [2.0, 3.0, 5.0]);
    assert_eq!(seconds(true), [2.0, 2.0, 0.0]);
    let throughput = |logs: &[Vec<String>]| format!("{:.3}", merge(&plan, logs, true).headline.throughput());
    assert_eq!((throughput(&logs), throughput(&[vec![]])), ("20.000".to_owned(), "0.000".to_owned()));
}

#[test]
fn the_worker_that_is_furthest_behind_is_wanted_next() {
    let plan = plan(json!({}));
    let mut merger = Merger::new(&plan, 3);
    assert_eq!(merger.wants(), Some(0));
    merger.push(0, &line("PointLookup|steady|ok", 4, &[1])).unwrap();
    assert_eq!(merger.wants(), Some(1));
    merger.push(1, "# a comment\n").unwrap();
    assert_eq!(merger.wants(), Some(1));
    merger.push(1, &line("PointLookup|steady|ok", 2, &[1])).unwrap();
    assert_eq!(merger.wants(), Some(2));
    merger.end(2);
    assert_eq!(merger.wants(), Some(1), "second 2 is taken in, second 4 of worker 0 still waits");
    merger.end(1);
    assert_eq!(merger.wants(), Some(0));
    merger.end(0);
    assert_eq!(merger.wants(), None);
    assert_eq!(merger.finish(false).headline.ok, 2);
}

#[test]
fn a_line_that_is_not_wanted_now_is_refused() {
    let plan = plan(json!({}));
    let mut merger = Merger::new(&plan, 2);
    merger.push(0, &line("PointLookup|steady|ok", 4, &[1])).unwrap();
    assert_eq!(merger.push(0, "x").unwrap_err().problem, MergeProblem::NotWanted);
    assert_eq!(merger.push(9, "x").unwrap_err().problem, MergeProblem::NotWanted);
}

#[test]
fn a_bad_line_is_named_by_worker_and_number() {
    let plan = plan(json!({}));
    let good = line("PointLookup|steady|ok", 4, &[1]);
    let cases = [
        (vec!["# comment", "nonsense"], 2, MergeProblem::Line(LineError::Tag)),
        (vec![good.as_str(), "Tag=PointLookup|steady|ok,3.000,1.000,0.000,x"], 2, MergeProblem::BackInTime { second: 3, after: 4 }),
        (vec!["Tag=PointLookup|steady|ok,4.000,1.000,0.000,!!"], 1, MergeProblem::Histogram(WireError::NotBase64)),
        (vec!["Tag=Nowhere|steady|ok,4.000,1.000,0.000,x"], 1, MergeProblem::UnknownQuery("Nowhere".into())),
        (vec!["Tag=PointLookup|lunch|ok,4.000,1.000,0.000,x"], 1, MergeProblem::UnknownStage("lunch".into())),
        (vec!["Tag=PointLookup|steady|splendid,4.000,1.000,0.000,x"], 1, MergeProblem::Line(LineError::Class)),
        (vec!["Tag=PointLookup|steady|ok,101.000,1.000,0.000,x"], 1, MergeProblem::BeyondTheEnd(101)),
    ];
    for (lines, number, expected) in cases {
        let error = problem(&plan, &lines);
        assert_eq!((error.worker, error.line, &error.problem), (0, number, &expected), "{lines:?}");
    }
    let error = problem(&plan, &["nonsense"]);
    assert_eq!(error.to_string(), "failed to merge line 1 of worker 0");
    assert_eq!(error.problem.to_string(), "the line does not begin with Tag=<query>|<stage>|<outcome>");
}

#[test]
fn service_times_stand_beside_response_times_and_arrivals_are_added_up() {
    let plan = open_plan(json!({}));
    let summary = merge(
        &plan,
        &[
            vec![
                line("PointLookup|steady|ok", 2, &[1000, 3000]),
                line("PointLookup|steady|ok|service", 2, &[500, 700]),
                arrivals("steady", 2, [50, 40, 7, 1, 40]),
                line("CountAll|steady|timeout", 4, &[9000]),
                line("CountAll|steady|timeout|service", 4, &[8000]),
                arrivals("steady", 4, [0, 1, 1, 0, 0]),
                arrivals("peak", 4, [10, 10, 0, 0, 10]),
            ],
            vec![arrivals("warmup", 0, [1, 1, 0, 0, 1]), arrivals("steady", 2, [50, 50, 0, 0, 50]), line("PointLookup|peak|ok|service", 6, &[40])],
        ],
        false,
    );
    let counts = |due, sent, late, behind, begun| ArrivalCounts { due, sent, late, behind, begun };
    assert_eq!(summary.arrivals, [counts(1, 1, 0, 0, 1), counts(100, 91, 8, 1, 90), counts(10, 10, 0, 0, 10)]);
    assert_eq!(summary.measured_arrivals(), Some(counts(110, 101, 8, 1, 100)));
    let row = &summary.queries[0];
    assert_eq!((row.ok, row.latency.map(|latency| latency.max), row.service.map(|service| (service.count, service.max))), (2, Some(3001), Some((3, 700))));
    assert_eq!(summary.queries[1].service, None, "what failed has no row of service times");
    assert_eq!(summary.headline.ended(), 3, "a service time is no query of its own");
    assert_eq!(summary.spectra[0].service.last(), Some(&(100_000, 700)));
    let points: Vec<_> = summary.timeline.points.iter().map(|point| (point.second, point.ok, point.arrivals.due)).collect();
    assert_eq!(points, [(0, 0, 1), (1, 0, 0), (2, 2, 100), (3, 0, 0), (4, 0, 10)]);
    assert_eq!(summary.workers[1], WorkerRow::default(), "arrivals and service times are no queries that ended");
    assert_eq!(summary.active_seconds, 2);
}

#[test]
fn the_closed_model_has_neither_service_times_nor_arrivals() {
    let summary = merge(&plan(json!({})), &[vec![line("PointLookup|steady|ok", 2, &[1000])]], false);
    assert_eq!((summary.headline.service, summary.measured_arrivals(), summary.spectra[0].service.len()), (None, None, 0));
}

#[test]
fn a_line_about_arrivals_is_read_to_the_letter() {
    let plan = open_plan(json!({}));
    let cases = [
        ("#[Arrivals: second=2 stage=steady]".to_owned(), MergeProblem::Line(LineError::Arrivals)),
        (arrivals("lunch", 2, [0; 5]), MergeProblem::UnknownStage("lunch".into())),
        (arrivals("steady", 101, [0; 5]), MergeProblem::BeyondTheEnd(101)),
    ];
    for (line, expected) in cases {
        assert_eq!(problem(&plan, &[&line]).problem, expected, "{line}");
    }
    let back = [arrivals("steady", 4, [0; 5]), line("PointLookup|steady|ok", 3, &[1])];
    assert_eq!(problem(&plan, &[&back[0], &back[1]]).problem, MergeProblem::BackInTime { second: 3, after: 4 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever worker a query ran on, the results are the same.
    #[test]
    fn the_results_do_not_depend_on_who_ran_what(
        seconds in prop::collection::vec((0..10_u64, 0..2_usize, 0..3_usize, 0..9_usize, prop::collection::vec(1..10_000_000_u64, 1..4), 0..4_usize), 0..30)
    ) {
        let plan = plan(json!({}));
        let mut seconds = seconds;
        seconds.sort_by_key(|(second, ..)| *second);
        let tag = |query: usize, stage: usize, class: usize| format!("{}|{}|{}", ["PointLookup", "CountAll"][query], ["warmup", "steady", "peak"][stage], Class::ALL[class]);
        let mut spread = vec![Vec::new(); 4];
        let mut single = Vec::new();
        for (second, query, stage, class, latencies, worker) in &seconds {
            let line = line(&tag(*query, *stage, *class), *second, latencies);
            spread[*worker].push(line.clone());
            single.push(line);
        }
        let (spread, single) = (merge(&plan, &spread, false), merge(&plan, &[single], false));
        prop_assert_eq!((spread.headline, spread.queries, spread.stages, spread.cells, spread.timeline), (single.headline, single.queries, single.stages, single.cells, single.timeline));
    }

    #[test]
    fn any_line_is_merged_or_refused(lines in prop::collection::vec("(Tag=PointLookup\\|steady\\|ok,[0-9]{1,3}\\.000,1\\.000,0\\.000,)?\\PC{0,40}", 0..10)) {
        let plan = plan(json!({}));
        let mut merger = Merger::new(&plan, 1);
        for line in lines {
            let _ = merger.push(0, &line);
        }
        let _ = merger.finish(true);
    }
}
