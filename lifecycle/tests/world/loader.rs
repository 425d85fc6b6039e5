//! The bucket and the loader of a scenario: what is listed, what the loader says, and what becomes of its pod.

use crucible_crds::{Phase, TestRunStatus, test_run::TableState};
use crucible_lifecycle::{
    contract::{Failure, FrozenPlan, LoadReport, LoaderState, PROTOCOL, StoredFile, TableReport},
    fixture::{FixtureView, Listing},
    run::observed::{HeardLoader, JobView, LoaderPod, LoaderView, PodState},
    seen::Seen,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

/// The bucket and the loader.
#[derive(Default)]
pub struct Loader {
    listing: Option<Listing>,
    tables: Vec<(String, String)>,
    job: Option<JobView>,
    pods: Vec<LoaderPod>,
    heard: Option<HeardLoader>,
}

impl Loader {
    /// What the bucket holds: one file of each dataset, unless the story says otherwise. Looked at as the operator does.
    pub fn fixtures(&self, status: Option<&TestRunStatus>, frozen: Option<&FrozenPlan>) -> Vec<FixtureView> {
        let looked = status.is_some_and(|status| status.phase == Some(Phase::Loading) && status.fixtures.is_empty());
        let uses = frozen.map(|frozen| frozen.spec.fixtures.as_slice()).filter(|_| looked).unwrap_or_default();
        let one = |name: &str| Listing::Files(vec![StoredFile { key: format!("fixtures/{name}/part-0.parquet"), bytes: 1_000_000, tag: "t".to_owned() }]);
        uses.iter().map(|wanted| FixtureView { object: Seen::Absent, files: self.listing.clone().unwrap_or_else(|| one(&wanted.fixture)) }).collect()
    }

    /// What is known of the loader, where the plan has one.
    pub fn view(&self, frozen: Option<&FrozenPlan>) -> LoaderView {
        if frozen.is_none_or(|frozen| frozen.spec.fixtures.is_empty()) {
            return LoaderView::not_asked();
        }
        let pods = if self.pods.is_empty() { Seen::Absent } else { Seen::Found(self.pods.clone()) };
        LoaderView { job: self.job.clone().into(), pods, heard: self.heard.clone() }
    }

    /// The operator that heard it is gone.
    pub fn forget(&mut self) {
        self.heard = None;
    }

    pub fn make(&mut self, job: &Job, now: Timestamp) -> Option<String> {
        if self.job.is_some() {
            return None;
        }
        self.job = Some(JobView { created: now, deleting: false, create_error: None, failed: None });
        self.start(now);
        Some(format!("ensure job/{}", job.metadata.name.as_deref().unwrap()))
    }

    fn start(&mut self, now: Timestamp) {
        self.pods.push(LoaderPod { name: format!("run-a-loader-{}", self.pods.len()), created: now, state: PodState::Running });
    }

    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.job.take()?;
        for pod in self.pods.iter_mut().filter(|pod| !matches!(pod.state, PodState::Ended { .. })) {
            pod.state = PodState::Leaving("deleted".to_owned());
        }
        Some(format!("remove job/{name}"))
    }

    fn end(&mut self, exit_code: i32, reason: &str) {
        if let Some(pod) = self.pods.last_mut() {
            pod.state = PodState::Ended { exit_code, reason: reason.to_owned(), outcome: None };
        }
    }

    fn say(&mut self, now: Timestamp, state: LoaderState, failure: Option<Failure>, tables: Vec<TableReport>) {
        let report = LoadReport {
            protocol: PROTOCOL,
            namespace: "shop-tests".to_owned(),
            run: "run-a".to_owned(),
            run_uid: super::UID.to_owned(),
            state,
            failure,
            tables,
            wants_recipe: false,
            wants_keys: Vec::new(),
        };
        self.heard = Some(HeardLoader { at: now, report });
    }

    fn table(table: &str, state: TableState, rows: &str) -> TableReport {
        let ready = state.is_ready();
        TableReport {
            fixture: format!("shop-{table}"),
            table: table.to_owned(),
            state,
            files: u64::from(ready),
            bytes: if ready { 1_000_000 } else { 250_000 },
            rows: rows.parse().unwrap(),
            checksum: ready.then(|| "c".repeat(64)),
        }
    }

    pub fn happen(&mut self, words: &[&str], now: Timestamp) {
        match words {
            ["fixture", "has", "no", "file"] => self.listing = Some(Listing::Files(Vec::new())),
            ["fixture", "is", "an", "archive"] => {
                self.listing = Some(Listing::Files(vec![StoredFile { key: "fixtures/shop-orders/all.zip".to_owned(), bytes: 9, tag: String::new() }]));
            }
            ["fixture", "cannot", "be", "listed"] => self.listing = Some(Listing::Unreadable("no connection".to_owned())),
            ["fixture", "can", "be", "listed"] => self.listing = None,
            ["loader", "sends", rows, "rows", "to", table] => {
                let report = Self::table(table, TableState::Loading, rows);
                self.say(now, LoaderState::Loading, None, vec![report]);
            }
            ["loader", how @ ("loads" | "finds"), rows, "rows", "in", table] => {
                let state = if *how == "loads" { TableState::Loaded } else { TableState::Found };
                let report = Self::table(table, state, rows);
                self.tables.push(((*table).to_owned(), (*rows).to_owned()));
                let mut tables: Vec<TableReport> = self.heard.take().map(|heard| heard.report.tables).unwrap_or_default();
                tables.retain(|told| told.table != *table);
                tables.push(report);
                self.say(now, LoaderState::Done, None, tables);
            }
            ["loader", "fails", reason, message @ ..] => {
                let failure = Failure { reason: (*reason).to_owned(), message: message.join(" ") };
                self.say(now, LoaderState::Failed, Some(failure), Vec::new());
            }
            ["loader", "is", "killed"] => {
                self.end(137, "Error");
                self.start(now);
                self.heard = None;
            }
            ["loader", "is", "out", "of", "memory"] => self.end(137, "OOMKilled"),
            ["loader", "is", "given", "up"] => {
                self.end(137, "Error");
                self.job.as_mut().unwrap().failed = Some("BackoffLimitExceeded".to_owned());
            }
            ["loader", "job", "is", "deleted"] => {
                self.job = None;
                self.pods.clear();
                self.heard = None;
            }
            ["loader", "ends"] => self.end(143, "Error"),
            _ => panic!("{words:?}: nothing is known of fixtures that happens like this"),
        }
    }
}
