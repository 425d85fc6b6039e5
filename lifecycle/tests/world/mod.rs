//! A world small enough to read: it holds what a run can see, does what is decided, and writes down both.

mod chaos;
mod loader;
mod script;

use std::{collections::BTreeMap, collections::BTreeSet, fmt::Write, time::Duration};

use crucible_crds::{ConditionType, Outcome, Reason, TestPlan, TestRun, TestRunSpec, Verdict, condition};
use crucible_lifecycle::{
    contract::{Failure, FrozenPlan, PROTOCOL, ResultFile, WorkerOutcome, WorkerReport, WorkerState},
    notice::Severity,
    results::Headline,
    run::{
        Child, Decision, Gone, Observed, Order, decide,
        observed::{
            Collected, Collection, Contender, Fleet, FleetSecond, Heard, HolderState, JobView, LeaseView, LiveView, PlanView, PodState, PodView, Settings,
        },
    },
    seen::Seen,
    wake::Wake,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

pub use script::play;

const UID: &str = "7d1f6a52-0000-4000-8000-00000000000a";

const PLAN: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestPlan
metadata: {name: checkout, namespace: shop-tests, generation: 3}
spec:
  target:
    engine: mysql
    endpoint: orders-db.sut.svc:3306
    database: orders
    credentialsRef: {name: orders-login}
  workload:
    source:
      inline: |
        -- @type: sql
        -- @name: PointLookup
        SELECT total FROM orders WHERE id = :id
    parameters: [{name: id, range: [1, 1000]}]
  load:
    workers: 2
    stages:
      - {name: warmup, duration: 10s, vus: 4, measured: false}
      - {name: steady, duration: 60s, vus: 8}
  slos: [{metric: p95, below: 200ms}]
  abort: [{metric: errorRate, above: 0.5, over: 10s, after: 10s}]
  deadlines: {queue: 10m, barrier: 30s, drain: 20s, collect: 30s}
";

/// What exists in the world.
pub struct World {
    start: Timestamp,
    now: Timestamp,
    run: TestRun,
    plan: Seen<TestPlan>,
    workload: Option<Vec<Seen<String>>>,
    namesake: Seen<String>,
    secret: Seen<BTreeSet<String>>,
    frozen: Seen<FrozenPlan>,
    /// The frozen plan, while the API server does not give it out.
    withheld: Option<Seen<FrozenPlan>>,
    token: bool,
    lease: Option<LeaseView>,
    second_lease: Option<LeaseView>,
    ahead: Vec<Contender>,
    job: Option<JobView>,
    pods: BTreeMap<u32, PodView>,
    reports: BTreeMap<u32, Heard>,
    silent: BTreeSet<u32>,
    live: LiveView,
    collection: Collection,
    chaos: chaos::Chaos,
    pub most_targets: u32,
    loader: loader::Loader,
    away: bool,
    /// Somebody changes the run while the next decision about it is carried out.
    outdated: bool,
    order: Order,
    next_look: Option<Timestamp>,
    timeline: String,
}

impl World {
    fn new() -> Self {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let plan: TestPlan = serde_saphyr::from_str(PLAN).unwrap();
        let mut run = TestRun::new(
            "run-a",
            TestRunSpec {
                plan_ref: crucible_crds::test_run::PlanRef { name: "checkout".into() },
                label: None,
                run_id: None,
                cluster_spec: None,
                cluster_settings: None,
                stop: false,
                ttl_after_finished: None,
            },
        );
        run.metadata = ObjectMeta {
            uid: Some(UID.to_owned()),
            namespace: Some("shop-tests".to_owned()),
            name: Some("run-a".to_owned()),
            generation: Some(1),
            creation_timestamp: Some(Time(start)),
            ..ObjectMeta::default()
        };
        Self {
            start,
            now: start,
            run,
            plan: Seen::Found(plan),
            workload: None,
            namesake: Seen::Absent,
            secret: Seen::Found(["username", "password"].map(str::to_owned).into()),
            frozen: Seen::Absent,
            withheld: None,
            token: false,
            lease: None,
            second_lease: None,
            ahead: Vec::new(),
            job: None,
            pods: BTreeMap::new(),
            reports: BTreeMap::new(),
            silent: BTreeSet::new(),
            live: LiveView::default(),
            collection: Collection::Idle,
            chaos: chaos::Chaos::default(),
            most_targets: 25,
            loader: loader::Loader::default(),
            away: false,
            outdated: false,
            order: Order::None,
            next_look: None,
            timeline: String::new(),
        }
    }

    fn plan_mut(&mut self) -> &mut TestPlan {
        match &mut self.plan {
            Seen::Found(plan) => plan,
            _ => panic!("the script changes a plan that does not exist"),
        }
    }

    fn observe(&self) -> Observed {
        let plan = match &self.plan {
            Seen::Found(plan) => {
                let inline = || vec![plan.spec.workload.source.inline.clone().into()];
                Seen::Found(PlanView { plan: plan.clone(), workload: self.workload.clone().unwrap_or_else(inline) })
            }
            Seen::Absent => Seen::Absent,
            Seen::Unreadable(why) => Seen::Unreadable(why.clone()),
        };
        let frozen_faults = self.frozen.found().map(|frozen| frozen.spec.faults.clone());
        let plan_faults = frozen_faults.or_else(|| self.plan.found().map(|plan| plan.spec.faults.clone())).unwrap_or_default();
        let mut queue = self.ahead.clone();
        if self.run.metadata.labels.is_some() {
            queue.push(Contender { uid: UID.to_owned(), name: "shop-tests/run-a".to_owned() });
        }
        Observed {
            now: self.now,
            run: self.run.clone(),
            settings: Settings {
                namespace: "crucible".to_owned(),
                worker_image: "example/worker:1".to_owned(),
                image_pull_policy: "IfNotPresent".to_owned(),
                check_in_url: "http://operator.crucible.svc:9090".to_owned(),
                bucket: "results".to_owned(),
                ledger: false,
                most_targets: self.most_targets,
            },
            plan,
            namesake: self.namesake.clone(),
            frozen: self.frozen.clone(),
            credentials: self.secret.clone(),
            token: self.token.then_some(()).into(),
            entropy: "e".repeat(64),
            lease: self.lease.clone().into(),
            second_lease: self.second_lease.clone().into(),
            queue: Seen::Found(queue),
            job: self.job.clone().into(),
            pods: if self.pods.is_empty() { Seen::Absent } else { Seen::Found(self.pods.values().cloned().collect()) },
            fleet: Fleet { workers: self.reports.clone(), live: self.live.clone() },
            collection: self.collection.clone(),
            faults: self.chaos.views(&plan_faults),
            fixtures: self.loader.fixtures(self.run.status.as_ref(), self.frozen.found()),
            loader: self.loader.view(self.frozen.found()),
        }
    }

    /// Looks and acts until nothing changes any more.
    fn settle(&mut self) {
        if self.away {
            return;
        }
        for _ in 0..10 {
            let before = self.run.clone();
            let decision = decide(&self.observe());
            if std::mem::take(&mut self.outdated) {
                return self.break_off(decision);
            }
            if !self.apply(&before, decision) {
                let again = decide(&self.observe()).status;
                assert_eq!(Some(&again), self.run.status.as_ref(), "a stable run is not written again");
                return;
            }
        }
        panic!("the run does not settle:\n{}", self.timeline);
    }

    /// Makes what was decided to be made; the status is not written, since it was decided about a run that has changed meanwhile.
    fn break_off(&mut self, decision: Decision) {
        writeln!(self.timeline, "{:>5}  what is decided is out of date when it is to be written down", self.clock(self.now)).unwrap();
        for word in decision.ensure.into_iter().filter_map(|child| self.ensure(child)).collect::<Vec<_>>() {
            writeln!(self.timeline, "         {word}").unwrap();
        }
    }

    /// Does what was decided, in the order that the operator does it; says whether anything but times changed.
    fn apply(&mut self, before: &TestRun, decision: Decision) -> bool {
        let Decision { ensure, status, remove, order, collect, notices, wake } = decision;
        let old = before.status.clone().unwrap_or_default();
        let mut words = Vec::new();
        for child in ensure {
            words.extend(self.ensure(child));
        }
        for moved in status.transitions.iter().skip(old.transitions.len()) {
            assert!(!old.phase.unwrap_or_default().is_terminal(), "a finished run moved");
            assert_ne!(Some(moved.phase), old.phase);
        }
        let path: Vec<&str> = status.transitions.iter().skip(old.transitions.len().saturating_sub(1)).map(|moved| moved.phase.as_str()).collect();
        let moved = status.transitions.len() > old.transitions.len();
        let said = (!moved && status.reason != old.reason).then(|| status.reason.clone()).flatten();
        words.extend(faults_healed(&old, &status));
        self.run.status = Some(status);
        for gone in remove {
            words.extend(self.remove(gone));
        }
        if order != self.order {
            words.push(match &order {
                Order::None => "order nothing".to_owned(),
                Order::Listen => "listen".to_owned(),
                Order::Start { at } => format!("order start at {}", self.clock(*at)),
                Order::Stop { reason } => format!("order stop {reason}"),
                Order::Upload { run_id } => format!("order upload results/{run_id}"),
            });
            self.order = order;
        }
        if let Some(request) = collect {
            assert_eq!(self.collection, Collection::Idle);
            self.collection = Collection::Running;
            words.push(format!("collect from {} of {}", request.files.len(), request.facts.expected_workers));
        }
        self.next_look = match wake {
            Wake::OnChange => None,
            Wake::After(span) => Some(self.now + SignedDuration::try_from(span).unwrap()),
        };
        for notice in &notices {
            let mark = if notice.severity == Severity::Warning { "warning" } else { "notice" };
            words.push(format!("{mark} {} {:?}", notice.reason, notice.message));
        }
        let shown = moved || said.is_some() || !words.is_empty();
        if shown {
            let story = if moved { path.join(" -> ") } else { path.last().copied().unwrap_or_default().to_owned() };
            let said = said.map(|reason| format!(" ({reason})")).unwrap_or_default();
            writeln!(self.timeline, "{:>5}  {story}{said}", self.clock(self.now)).unwrap();
            for word in words {
                writeln!(self.timeline, "         {word}").unwrap();
            }
        }
        shown
    }

    fn ensure(&mut self, child: Child) -> Option<String> {
        match child {
            Child::Mark { labels, finalizers } => {
                let new = self.run.metadata.labels.is_none();
                self.run.metadata.labels = Some(labels);
                assert_eq!(finalizers, ["crucible.dev/run"]);
                self.run.metadata.finalizers = Some(vec!["crucible.dev/run".to_owned()]);
                new.then(|| "ensure finalizer and labels".to_owned())
            }
            Child::FrozenPlan(map) => {
                assert!(self.frozen.is_absent(), "the frozen plan is written once");
                self.frozen = Seen::Found(serde_json::from_str(&map.data.as_ref().unwrap()["plan.json"]).unwrap());
                Some(format!("ensure configmap/{}", map.metadata.name.unwrap()))
            }
            Child::Token(secret) => {
                self.token = true;
                Some(format!("ensure secret/{}", secret.metadata.name.unwrap()))
            }
            Child::Lease { lease, replaces } => {
                let name = lease.metadata.name.unwrap();
                let place = self.lease_of(&name);
                assert_eq!(place.as_ref().map(|held| held.resource_version.clone()), replaces, "a held lease is only replaced by version");
                *place = Some(LeaseView {
                    holder_uid: UID.to_owned(),
                    holder: "shop-tests/run-a".to_owned(),
                    holder_state: HolderState::Live,
                    resource_version: "2".to_owned(),
                });
                Some(format!("ensure lease/{name}{}", if replaces.is_some() { " (taken over)" } else { "" }))
            }
            Child::Workers(job) => {
                if self.job.is_some() {
                    return None;
                }
                let held = |lease: &Option<LeaseView>| lease.as_ref().is_some_and(|held| held.holder_uid == UID);
                let second = self.frozen.found().and_then(|plan| crucible_lifecycle::plan::suts(&plan.spec).1);
                assert!(held(&self.lease) && (second.is_none() || held(&self.second_lease)), "no worker without the lease of every system");
                self.job = Some(JobView { created: self.now, deleting: false, create_error: None, failed: None });
                for index in 0..u32::try_from(job.spec.unwrap().completions.unwrap()).unwrap() {
                    self.pods.insert(index, PodView { name: format!("run-a-{index}"), index, created: self.now, state: PodState::Starting });
                }
                Some(format!("ensure job/{}", job.metadata.name.unwrap()))
            }
            Child::Loader(job) => {
                assert_eq!(self.lease.as_ref().map(|held| held.holder_uid.as_str()), Some(UID), "no loader without the lease");
                self.loader.make(&job, self.now)
            }
            Child::Fault { kind, object } => Some(self.chaos.make(kind, &object, self.now)),
        }
    }

    /// Where the lease of this name is: that of the second system, or of the first.
    fn lease_of(&mut self, name: &str) -> &mut Option<LeaseView> {
        let second = self.frozen.found().and_then(|plan| crucible_lifecycle::plan::suts(&plan.spec).1);
        let is_second = second.is_some_and(|sut| crucible_lifecycle::build::names::sut_lease(&sut) == name);
        if is_second { &mut self.second_lease } else { &mut self.lease }
    }

    fn remove(&mut self, gone: Gone) -> Option<String> {
        match gone {
            Gone::Workers { name } => {
                self.job.take()?;
                // Pods that run end their load on SIGTERM; the script says when they have ended.
                for pod in self.pods.values_mut().filter(|pod| !matches!(pod.state, PodState::Ended { .. })) {
                    pod.state = PodState::Leaving("deleted".to_owned());
                }
                Some(format!("remove job/{name}"))
            }
            Gone::Loader { name } => self.loader.remove(&name),
            Gone::Fault { kind, namespace, name, by } => self.chaos.heal(kind, &namespace, &name, by),
            Gone::Lease { name, holder_uid } => {
                self.lease_of(&name).take_if(|held| held.holder_uid == holder_uid)?;
                Some(format!("remove lease/{name}"))
            }
            Gone::Finalizer => {
                self.run.metadata.finalizers.take()?;
                Some("remove finalizer".to_owned())
            }
            Gone::Run => {
                if self.run.metadata.deletion_timestamp.is_some() {
                    return None;
                }
                self.run.metadata.deletion_timestamp = Some(Time(self.now));
                Some("remove the run".to_owned())
            }
        }
    }

    /// Lets time pass, looking whenever the run asked to be looked at.
    fn pass(&mut self, span: Duration) {
        let until = self.now + SignedDuration::try_from(span).unwrap();
        while let Some(look) = self.next_look.filter(|look| *look < until && !self.away) {
            self.now = look;
            self.refresh();
            self.settle();
        }
        self.now = until;
        self.refresh();
    }

    /// Workers that can be heard are heard all the time.
    fn refresh(&mut self) {
        for (index, heard) in &mut self.reports {
            let silent = self.silent.contains(index) || self.pods.get(index).is_none_or(|pod| !matches!(pod.state, PodState::Running));
            if !silent {
                heard.at = self.now;
            }
        }
    }

    fn clock(&self, at: Timestamp) -> String {
        let seconds = at.duration_since(self.start).as_secs_f64();
        if seconds.fract() == 0.0 { format!("{seconds:.0}s") } else { format!("{seconds:.2}s") }
    }

    fn report(&mut self, index: u32, state: WorkerState) -> &mut WorkerReport {
        let now = self.now;
        if let Some(pod) = self.pods.get_mut(&index) {
            pod.state = PodState::Running;
        }
        let heard = self.reports.entry(index).or_insert_with(|| Heard { at: now, clock_offset_millis: 0, report: blank(index) });
        heard.at = now;
        heard.report.state = state;
        if state >= WorkerState::Running && state < WorkerState::Failed {
            heard.report.late_nanos = Some(1_000_000 * i64::from(index + 1));
            heard.report.first_query_unix_nanos.get_or_insert(i64::try_from(now.as_nanosecond()).unwrap());
        }
        if state == WorkerState::Finished {
            heard.report.files = files(index);
        }
        &mut heard.report
    }

    fn fail_worker(&mut self, index: u32, reason: &str, message: &str) {
        self.report(index, WorkerState::Failed).failure = Some(Failure { reason: reason.to_owned(), message: message.to_owned() });
    }

    fn end_pod(&mut self, index: u32, exit_code: i32, reason: &str, state: Option<WorkerState>) {
        let outcome =
            state.map(|state| WorkerOutcome { protocol: PROTOCOL, index, state, failure: None, interrupted: false, files: files(index), answers: Vec::new() });
        if let Some(pod) = self.pods.get_mut(&index) {
            pod.state = PodState::Ended { exit_code, reason: reason.to_owned(), outcome };
        }
    }

    fn merged(&mut self, outcome: Outcome, workers: u32) {
        self.collection = Collection::Done(Box::new(Collected {
            verdict: Verdict { outcome, reasons: vec!["a reason".to_owned()], checks: Vec::new() },
            headline: Headline { ok: 60_000, throughput: 1000.0, p95_micros: Some(1200), ..Headline::default() },
            sha256: "5".repeat(64),
            workers,
            partial: workers < 2 || outcome == Outcome::Aborted,
        }));
    }

    fn live(&mut self, seconds: u64, ok: u64, errors: u64) {
        self.live.seconds = (0..seconds).map(|second| FleetSecond { second, ok, errors, arrivals: None, latency: None }).collect();
        self.live.p95_micros = Some(900);
    }

    fn lose_results(&mut self, reason: Reason, message: &str) {
        self.collection = Collection::Failed { reason, message: message.to_owned() };
    }
}

/// What the condition about faults says, where that changed.
fn faults_healed(old: &crucible_crds::TestRunStatus, new: &crucible_crds::TestRunStatus) -> Option<String> {
    let said = |status: &crucible_crds::TestRunStatus| {
        condition::find(&status.conditions, ConditionType::FaultsHealed).map(|of| format!("FaultsHealed={} {}", of.status, of.reason))
    };
    said(new).filter(|new| !old.faults.is_empty() && said(old).as_ref() != Some(new))
}

fn blank(index: u32) -> WorkerReport {
    WorkerReport {
        protocol: PROTOCOL,
        run_uid: UID.to_owned(),
        index,
        state: WorkerState::Preparing,
        failure: None,
        now_unix_nanos: 0,
        server_version: None,
        first_query_unix_nanos: None,
        late_nanos: None,
        last_query_unix_nanos: None,
        interrupted: false,
        seconds: Vec::new(),
        files: Vec::new(),
        answers: Vec::new(),
        cpu_seconds: 0.0,
        memory_bytes: 0,
        throttled_seconds: None,
        gc_nanos: None,
        server_started_nanos: None,
    }
}

fn files(index: u32) -> Vec<ResultFile> {
    vec![ResultFile { name: format!("histograms/worker-{index}.hlog"), bytes: 100, sha256: "0".repeat(64) }]
}
