//! The words of a scenario script.
//!
//! `given …` sets the world up, `start` creates the run, `after <time> …` lets time pass and then something happen.
//! Several things that happen at once are parted by commas.

use crucible_crds::{Outcome, Reason};
use crucible_lifecycle::{
    contract::WorkerState,
    run::observed::{Collection, Contender, Fleet, HolderState, LeaseView, PodState},
    seen::Seen,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::World;

/// Plays a story and gives back the timeline of what was decided.
pub fn play(story: &str) -> String {
    let mut world = World::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "given" => all(&mut world, rest),
            "start" => world.settle(),
            "after" => {
                let (span, events) = rest.split_once(' ').unwrap_or((rest, ""));
                world.pass(span.parse::<crucible_crds::Duration>().unwrap_or_else(|error| panic!("{line}: {error}")).span());
                all(&mut world, events);
                world.settle();
            }
            _ => panic!("{line}: a line begins with given, start or after"),
        }
    }
    world.timeline
}

fn all(world: &mut World, events: &str) {
    for event in events.split(", ").map(str::trim).filter(|event| !event.is_empty()) {
        happen(world, event);
    }
}

fn happen(world: &mut World, event: &str) {
    let words: Vec<&str> = event.split(' ').collect();
    match words.as_slice() {
        ["workers", state] => [0, 1].into_iter().for_each(|index| {
            world.report(index, state_of(state));
        }),
        ["worker", index, "fails", reason, message @ ..] => world.fail_worker(number(index), reason, &message.join(" ")),
        ["worker", index, "vanishes"] => {
            world.pods.remove(&number(index));
        }
        ["worker", index, "exits", code, reason] => world.end_pod(number(index), code.parse().unwrap(), reason, None),
        ["worker", index, "leaves", "after", "its", "upload"] => world.end_pod(number(index), 0, "Completed", Some(WorkerState::Uploaded)),
        ["worker", index, "ends", "early"] => world.report(number(index), WorkerState::Finished).interrupted = true,
        ["worker", index, "falls", "silent"] => silence(world, number(index)),
        ["worker", index, state] => {
            world.report(number(index), state_of(state));
        }
        ["pods", "end"] => [0, 1].into_iter().for_each(|index| world.end_pod(index, 143, "Error", None)),
        ["pods", "are", "gone"] => world.pods.clear(),
        ["pod", index, "finds", "no", "node"] => pod(world, index, PodState::Unschedulable("0/1 nodes are available: insufficient cpu".to_owned())),
        ["pod", index, "cannot", "pull", "its", "image"] => pod(world, index, PodState::ImagePull("manifest unknown".to_owned())),
        ["pods", "are", "refused"] => {
            world.pods.clear();
            if let Some(job) = &mut world.job {
                job.create_error = Some("exceeded quota: pods".to_owned());
            }
        }
        ["load", "for", seconds, "s", "with", ok, "ok", "and", errors, "errors", "each"] => {
            world.live(seconds.parse().unwrap(), ok.parse().unwrap(), errors.parse().unwrap());
        }
        ["next", "decision", "is", "out", "of", "date"] => world.outdated = true,
        ["user", "stops"] => {
            world.run.spec.stop = true;
            world.run.metadata.generation = Some(2);
        }
        ["user", "deletes"] => {
            if world.run.metadata.finalizers.is_some() {
                world.run.metadata.deletion_timestamp = Some(Time(world.now));
            }
        }
        ["run", "is", "kept", "for", span] => world.run.spec.ttl_after_finished = Some(span.parse().unwrap()),
        ["plan", "is", "edited"] => {
            let plan = world.plan_mut();
            plan.spec.load.workers = 5;
            plan.metadata.generation = Some(4);
        }
        ["plan", "asks", "for", query] => {
            world.plan_mut().spec.workload.mix = vec![crucible_crds::test_plan::MixEntry { query: (*query).into(), weight: 1 }];
        }
        ["plan", "kills", "a", "pod", "at", at, "for", span] => world.plan_fault("kill", at, span, "{podChaos: {action: pod-kill}}"),
        ["plan", "cuts", "the", "network", "at", at, "for", span] => {
            world.plan_fault("cut", at, span, "{networkChaos: {action: partition, peer: {workers: true}}}");
        }
        ["plan", "kills", "a", "pod", "when", "steady"] => world.plan_steady_fault("kill", "{podChaos: {action: pod-kill}}"),
        ["plan", "loads", table] => {
            let fixture = format!("shop-{table}").as_str().into();
            world.plan_mut().spec.fixtures.push(crucible_crds::fixture::FixtureUse { fixture, table: (*table).into() });
        }
        ["plan", "writes"] => {
            world.plan_mut().spec.workload.source.inline = Some("-- @type: sql\n-- @name: Pay\nUPDATE orders SET paid = 1 WHERE id = :id\n".to_owned());
        }
        ["fixture" | "loader", ..] => world.loader.happen(&words, world.now),
        ["chaos", "mesh", "is", "missing"] => world.chaos.missing = true,
        ["namespace", "sut", "lets", "no", "faults", "in"] => world.chaos.closed = true,
        ["no", "pod", "fits"] => world.chaos.pods = 0,
        ["a", "pod", "fits"] => world.chaos.pods = 1,
        ["fault", name, "is", "confirmed"] => world.chaos.confirm(name, world.now),
        ["fault", name, "is", "refused"] => world.chaos.refused = Some((*name).to_owned()),
        ["fault", name, "finds", "no", "target"] => world.chaos.trouble(name, world.now),
        ["fault", name, "is", "healed"] => world.chaos.recover(name, world.now),
        ["pod", "db-0", "is", "replaced"] => world.chaos.replaced = vec!["sut/db-0".to_owned()],
        ["nothing", "is", "replaced"] => world.chaos.replaced.clear(),
        ["the", "limit", "is", most, "targets"] => world.most_targets = most.parse().unwrap(),
        ["fault", name, "is", "gone"] => world.chaos.vanish(name),
        ["chaos", "cannot", "be", "read"] => world.chaos.unreadable = true,
        ["chaos", "can", "be", "read"] => world.chaos.unreadable = false,
        ["plan", "is", "missing" | "deleted"] => world.plan = Seen::Absent,
        ["plan", "comes"] => world.plan = World::new().plan,
        ["frozen", "plan", "is", "deleted"] => world.frozen = Seen::Absent,
        ["frozen", "plan", "cannot", "be", "read"] => {
            let unreadable = Seen::Unreadable("the API server does not answer".to_owned());
            world.withheld = Some(std::mem::replace(&mut world.frozen, unreadable));
        }
        ["frozen", "plan", "can", "be", "read"] => world.frozen = world.withheld.take().unwrap(),
        ["workload", "is", "unreadable"] => world.workload = Some(vec![Seen::Unreadable("the bucket does not answer".to_owned())]),
        ["workload", "is", "readable"] => world.workload = None,
        ["workload", "is", "in", "two", "objects"] => {
            let keys = ["workloads/shop", "workloads/more"].map(|key| crucible_crds::test_plan::ObjectRef { key: key.into() });
            let source = &mut world.plan_mut().spec.workload.source;
            let text = source.inline.take();
            source.objects = Some(keys.into());
            world.workload = Some(vec![text.into(), Seen::Absent]);
        }
        ["second", "object", "comes", "with", query] => {
            if let Some([_, second]) = world.workload.as_deref_mut() {
                *second = Seen::Found(format!("-- @name: {query}\nSELECT 1\n"));
            }
        }
        ["run", "says", "its", "cluster", "is", kind] => {
            world.run.spec.cluster_spec = Some(serde_json::from_str(&format!("{{\"type\": \"{kind}\", \"version\": \"11\"}}")).unwrap());
        }
        ["run", "asks", "for", "the", "id", id] => world.run.spec.run_id = Some((*id).into()),
        ["another", "run", "has", "that", "id"] => world.namesake = Seen::Found("team-b/earlier".to_owned()),
        ["runs", "cannot", "be", "listed"] => world.namesake = Seen::Unreadable("the API server answered 500 InternalError".to_owned()),
        ["runs", "can", "be", "listed"] => world.namesake = Seen::Absent,
        ["secret", "is", "missing"] => world.secret = Seen::Absent,
        ["secret", "has", "only", "username"] => world.secret = Seen::Found(["username".to_owned()].into()),
        ["another", "run", "holds", "the", "database"] => {
            world.ahead = vec![Contender { uid: "other".to_owned(), name: "shop-tests/earlier".to_owned() }];
            world.lease = Some(LeaseView {
                holder_uid: "other".to_owned(),
                holder: "shop-tests/earlier".to_owned(),
                holder_state: HolderState::Live,
                resource_version: "1".to_owned(),
            });
        }
        ["arms", "are", "at", "two", "systems"] => {
            let arms = serde_json::from_str(r#"{"arms": [{"name": "now"}, {"name": "next", "endpoint": "next-db.sut.svc:3306"}]}"#).unwrap();
            world.plan_mut().spec.compare = Some(arms);
        }
        ["another", "run", "holds", "the", "second", "system"] => {
            world.second_lease = Some(LeaseView {
                holder_uid: "other".to_owned(),
                holder: "shop-tests/earlier".to_owned(),
                holder_state: HolderState::Live,
                resource_version: "1".to_owned(),
            });
        }
        ["the", "second", "system", "is", "given", "back"] => world.second_lease = None,
        ["the", "other", "run", "ends"] => {
            world.ahead.clear();
            world.lease = None;
        }
        ["the", "other", "run", "vanishes"] => {
            world.ahead.clear();
            if let Some(held) = &mut world.lease {
                held.holder_state = HolderState::Gone;
            }
        }
        ["results", "are", "merged", outcome] => world.merged(outcome_of(outcome), 2),
        ["results", "of", workers, "are", "merged", outcome] => world.merged(outcome_of(outcome), number(workers)),
        ["results", "are", "corrupt"] => world.lose_results(Reason::ResultsCorrupt, "histograms/worker-1.hlog is not what worker 1 handed in"),
        ["operator", "comes", "back"] => world.away = false,
        ["operator", "dies" | "goes", ..] => {
            world.away = words[1] == "goes";
            let Fleet { workers, live } = Fleet::default();
            (world.reports, world.live) = (workers, live);
            world.collection = Collection::Idle;
            world.loader.forget();
            world.order = crucible_lifecycle::run::Order::None;
        }
        _ => panic!("{event:?}: nothing is known that happens like this"),
    }
}

fn pod(world: &mut World, index: &str, state: PodState) {
    if let Some(pod) = world.pods.get_mut(&number(index)) {
        pod.state = state;
    }
}

/// A worker whose node is gone: the pod still looks as if it ran, and nothing is heard any more.
fn silence(world: &mut World, index: u32) {
    world.silent.insert(index);
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

fn outcome_of(word: &str) -> Outcome {
    match word {
        "Passed" => Outcome::Passed,
        "Failed" => Outcome::Failed,
        "Aborted" => Outcome::Aborted,
        "Inconclusive" => Outcome::Inconclusive,
        _ => panic!("{word} is not a verdict of these scripts"),
    }
}

fn state_of(word: &str) -> WorkerState {
    match word {
        "preparing" => WorkerState::Preparing,
        "ready" => WorkerState::Ready,
        "armed" => WorkerState::Armed,
        "running" => WorkerState::Running,
        "draining" => WorkerState::Draining,
        "finished" => WorkerState::Finished,
        "uploaded" => WorkerState::Uploaded,
        _ => panic!("{word} is not a state of a worker"),
    }
}
