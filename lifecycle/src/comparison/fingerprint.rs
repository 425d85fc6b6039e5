//! What a run was asked for, in pieces that can be named when two runs differ.

use std::collections::BTreeMap;

use crucible_crds::{
    TestPlanSpec,
    fault::Fault,
    test_plan::{Factor, Load, LoadModel, ResultsSpec},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    contract::{FrozenArm, FrozenPlan},
    load::{arrivals_in_words, stages_in_words},
    plan::{HostPort, sha256_hex},
    results::{Facts, FixtureFact},
};

/// The piece that is what a comparison is for, so that it may always differ.
const VERSION: &str = "version";
const UNKNOWN: &str = "not known";
/// The piece of the variants that a run compares with each other.
const ARMS: &str = "arms";

/// What a run was asked for, piece by piece, in words short enough to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint {
    pieces: BTreeMap<String, String>,
}

/// One piece that two runs do not have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The piece's name.
    pub piece: String,
    /// What the earlier run had.
    pub baseline: String,
    /// What the run itself had.
    pub candidate: String,
    /// Whether it may differ.
    pub expected: bool,
}

impl Fingerprint {
    /// The fingerprint of a run, with what was found out about its system under test.
    #[must_use]
    pub fn of(plan: &FrozenPlan, facts: &Facts) -> Self {
        // Limits, deadlines, what is compared and what is read besides do not change what is measured. What the fixtures came to is among the facts.
        let TestPlanSpec { target, workload: _, load, slos: _, validity: _, abort: _, faults, observe: _, compare: _, results, deadlines: _, fixtures: _ } =
            &plan.spec;
        let host_port = HostPort::of(target).map_or_else(|_| target.endpoint.to_string(), |endpoint| endpoint.to_string());
        let pieces = [
            (Factor::Queries.as_str(), digest(&json!(plan.queries), &format!("{} queries", plan.queries.len()))),
            (Factor::Engine.as_str(), target.engine.as_str().to_owned()),
            (Factor::Endpoint.as_str(), host_port),
            (Factor::Database.as_str(), target.database.to_string()),
            (Factor::Tls.as_str(), json!(target.tls.mode).as_str().unwrap_or_default().to_owned()),
            (Factor::Resources.as_str(), resources(load.resources.cpu.as_deref(), load.resources.memory.as_deref())),
            (Factor::Sampling.as_str(), sampling(results).to_owned()),
            (Factor::Faults.as_str(), broken(faults)),
            ("load", digest(&load_as_asked(load), &in_words(plan))),
            (VERSION, facts.server_version.as_deref().map_or(UNKNOWN, str::trim).chars().take(128).collect()),
        ];
        // A plan without arms or without fixtures has no such piece, so that earlier fingerprints stay as they are.
        let arms = (!plan.arms.is_empty()).then(|| (ARMS, digest(&json!(plan.arms), &arms_in_words(&plan.arms))));
        let fixtures = (!facts.fixtures.is_empty()).then(|| (Factor::Fixtures.as_str(), loaded(&facts.fixtures)));
        Self { pieces: pieces.into_iter().chain(arms).chain(fixtures).map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    /// The pieces by name.
    #[must_use]
    pub fn pieces(&self) -> &BTreeMap<String, String> {
        &self.pieces
    }

    /// The version of the system under test.
    #[must_use]
    pub fn version(&self) -> &str {
        self.pieces.get(VERSION).map_or(UNKNOWN, String::as_str)
    }

    /// In what this run differs from an earlier one. A piece that only one of them knows differs, too.
    #[must_use]
    pub fn differences_from(&self, earlier: &Self, may_differ: &[Factor]) -> Vec<Difference> {
        let names: std::collections::BTreeSet<&String> = self.pieces.keys().chain(earlier.pieces.keys()).collect();
        let of = |side: &Self, name: &str| side.pieces.get(name).map_or(UNKNOWN, String::as_str).to_owned();
        let differing = names.into_iter().map(|name| (name, of(earlier, name), of(self, name))).filter(|(_, baseline, candidate)| baseline != candidate);
        differing
            .map(|(name, baseline, candidate)| Difference {
                expected: name == VERSION || may_differ.iter().any(|factor| factor.as_str() == name),
                piece: name.clone(),
                baseline,
                candidate,
            })
            .collect()
    }
}

/// Words with the beginning of a digest, so that what the words leave out still differs.
fn digest(of: &serde_json::Value, words: &str) -> String {
    let hash = sha256_hex(of.to_string().as_bytes());
    let words: String = words.chars().take(300).collect();
    format!("{words} ({})", hash.get(..12).unwrap_or_default())
}

/// How queries were packed into k6 iterations: k6's own metrics cost throughput.
fn sampling(results: &ResultsSpec) -> &'static str {
    match (results.raw_samples, results.remote_write.is_some()) {
        (true, true) => "every sample kept, k6's metrics sent",
        (true, false) => "every sample kept",
        (false, true) => "k6's metrics sent",
        (false, false) => "histograms only",
    }
}

fn broken(faults: &[Fault]) -> String {
    let names: Vec<&str> = faults.iter().map(|fault| &*fault.name).collect();
    if names.is_empty() { "none".to_owned() } else { digest(&json!(faults), &names.join(", ")) }
}

/// The tables with their rows: `shop.orders 15000 rows, shop.customer 1500 rows`. Rows may have come in other files: what counts is what is in the table.
fn loaded(fixtures: &[FixtureFact]) -> String {
    let words = |fixture: &FixtureFact| fixture.rows.map_or_else(|| fixture.table.clone(), |rows| format!("{} {rows} rows", fixture.table));
    let content: Vec<_> = fixtures.iter().map(|fixture| (&fixture.table, &fixture.content)).collect();
    digest(&json!(content), &fixtures.iter().map(words).collect::<Vec<_>>().join(", "))
}

/// The arms with where they are: `now at mariadb:3306/shop, next at mariadb:3307/shop`.
pub(crate) fn arms_in_words(arms: &[FrozenArm]) -> String {
    let words = |arm: &FrozenArm| format!("{} at {}/{}", arm.name, arm.target.endpoint, arm.target.database);
    arms.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn resources(cpu: Option<&str>, memory: Option<&str>) -> String {
    format!("cpu {}, memory {}", cpu.unwrap_or("by default"), memory.unwrap_or("by default"))
}

/// What is asked of the load. The closed model's is as it was before there was another one, so that its digests stay.
fn load_as_asked(load: &Load) -> serde_json::Value {
    // The steps of a search are stages, and so are those of every round.
    let Load { workers, model, arrivals, max_vus, stages, repeat: _, find_max: _, query_timeout, resources: _ } = load;
    match model {
        LoadModel::Closed => json!([workers, model, stages, query_timeout]),
        LoadModel::Open => json!([workers, model, stages, query_timeout, arrivals.unwrap_or_default(), max_vus]),
    }
}

fn in_words(plan: &FrozenPlan) -> String {
    let load = &plan.spec.load;
    format!("{} workers, {}{}", load.workers, stages_in_words(&plan.spec), arrivals_in_words(load))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::plan;

    fn of(fields: serde_json::Value, version: &str) -> Fingerprint {
        Fingerprint::of(&plan(fields), &Facts { server_version: Some(version.to_owned()), ..Facts::default() })
    }

    fn told(differences: &[Difference]) -> Vec<String> {
        differences.iter().map(|one| format!("{}: {} -> {}, {}", one.piece, one.baseline, one.candidate, one.expected)).collect()
    }

    #[test]
    fn every_piece_can_be_read() {
        let fingerprint = of(json!({}), "11.4.2-MariaDB");
        let pieces: Vec<_> = fingerprint.pieces().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            pieces,
            [
                "database: shop",
                "endpoint: mariadb.sut.svc:3306",
                "engine: mysql",
                "faults: none",
                "load: 2 workers, warmup 2s 4 users, steady 3s 8 users, peak 5s to 16 users (00b230d08c5f)",
                "queries: 2 queries (894c150ba160)",
                "resources: cpu by default, memory by default",
                "sampling: histograms only",
                "tls: verify",
                "version: 11.4.2-MariaDB",
            ]
        );
    }

    #[test]
    fn limits_do_not_make_another_run_of_it_but_what_is_measured_does() {
        let before = of(json!({}), "11.4.2");
        assert_eq!(of(json!({"slos": [{"metric": "p99", "below": "1s"}], "compare": {}}), "11.4.2").differences_from(&before, &[]), []);
        let target = json!({"engine": "mysql", "endpoint": "other.sut.svc", "database": "shop", "credentialsRef": {"name": "x"}});
        let after = of(json!({"target": target, "results": {"rawSamples": true}}), "11.8.1");
        assert_eq!(
            told(&after.differences_from(&before, &[Factor::Endpoint])),
            [
                "endpoint: mariadb.sut.svc:3306 -> other.sut.svc:3306, true",
                "sampling: histograms only -> every sample kept, false",
                "version: 11.4.2 -> 11.8.1, true",
            ]
        );
    }

    #[test]
    fn another_rate_another_spacing_and_other_users_of_the_open_model_are_another_load() {
        use crucible_crds::test_plan::Arrivals;
        let plan = crate::results::sample::open_plan(json!({}));
        let before = Fingerprint::of(&plan, &Facts::default());
        let differs = |change: &dyn Fn(&mut Load)| {
            let mut other = plan.clone();
            change(&mut other.spec.load);
            let differences = Fingerprint::of(&other, &Facts::default()).differences_from(&before, &[]);
            differences.iter().map(|one| one.piece.clone()).collect::<Vec<_>>()
        };
        assert_eq!(differs(&|load| load.stages[1].rate = Some(100.5)), ["load"]);
        assert_eq!(differs(&|load| load.max_vus = Some(17)), ["load"]);
        assert_eq!(differs(&|load| load.arrivals = Some(Arrivals::Poisson)), ["load"]);
        assert_eq!(differs(&|load| load.arrivals = Some(Arrivals::Regular)), [""; 0], "as without a word");
    }

    #[test]
    fn other_rows_in_a_table_of_a_fixture_are_told_apart_unless_they_may_differ() {
        let of = |rows, content: &str| {
            let orders = FixtureFact { table: "shop.orders".into(), rows, content: content.into() };
            Fingerprint::of(&plan(json!({})), &Facts { fixtures: vec![orders], ..Facts::default() })
        };
        let before = of(Some(15_000), "a");
        assert_eq!(of(Some(15_000), "a").differences_from(&before, &[]), []);
        let told = |after: &Fingerprint, may: &[Factor]| told(&after.differences_from(&before, may));
        let other = of(Some(15_000), "b");
        assert_eq!(
            told(&other, &[]),
            ["fixtures: shop.orders 15000 rows (1706cb72728e) -> shop.orders 15000 rows (31ddf2c80d95), false"],
            "as many rows, and not the same"
        );
        assert!(told(&other, &[Factor::Fixtures])[0].ends_with(", true"));
        let without = Fingerprint::of(&plan(json!({})), &Facts::default());
        assert_eq!(told(&without, &[]).len(), 1, "nor are a run with a fixture and one without alike");
    }

    #[test]
    fn a_piece_that_one_run_does_not_know_differs() {
        let newer: Fingerprint = serde_json::from_value(json!({"topology": "3 nodes"})).unwrap();
        assert_eq!(told(&newer.differences_from(&Fingerprint::default(), &[])), ["topology: not known -> 3 nodes, false"]);
        assert_eq!(told(&Fingerprint::default().differences_from(&newer, &[])), ["topology: 3 nodes -> not known, false"]);
    }
}
