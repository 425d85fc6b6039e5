//! The election of the leader, played between candidates on one API server.

use std::time::Duration;

use crucible_operator::leader::take_part;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::world::{OWN, World, scenario::Scenario};

/// One replica.
struct Replica {
    leading: watch::Receiver<bool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(world: &World, identity: &'static str) -> Self {
        let (sender, leading) = watch::channel(false);
        let stop = CancellationToken::new();
        let (client, told) = (world.api.client(world.line(None, false)), stop.clone());
        let task = tokio::spawn(async move { take_part(client, OWN, identity, &sender, &told).await });
        Self { leading, stop, task }
    }

    fn leads(&self) -> bool {
        *self.leading.borrow()
    }
}

async fn two_replicas() -> (World, Replica, Replica) {
    let world = World::of(&Scenario::happy());
    let first = Replica::start(&world, "operator-0");
    sleep(Duration::from_millis(100)).await;
    let second = Replica::start(&world, "operator-1");
    sleep(Duration::from_secs(20)).await;
    assert!(first.leads() && !second.leads(), "who was first leads for as long as it renews");
    (world, first, second)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_in_order_is_followed_at_once() {
    let (_, first, second) = two_replicas().await;
    first.stop.cancel();
    first.task.await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_is_followed_within_eight_seconds() {
    let (_, first, second) = two_replicas().await;
    first.task.abort();
    sleep(Duration::from_secs(4)).await;
    assert!(!second.leads(), "its lease has not expired");
    sleep(Duration::from_secs(4)).await;
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_restarts_in_the_same_pod_leads_again_at_once() {
    let (world, first, second) = two_replicas().await;
    first.task.abort();
    let again = Replica::start(&world, "operator-0");
    sleep(Duration::from_millis(200)).await;
    assert!(again.leads() && !second.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_says_so_and_ends() {
    let (world, first, _) = two_replicas().await;
    let key = crate::fake_api::Key { resource: "leases".to_owned(), namespace: OWN.to_owned(), name: "crucible-operator".to_owned() };
    world.api.store.lock().unwrap().merge(&key, &serde_json::json!({"spec": {"holderIdentity": "operator-9"}})).unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(!first.leads() && first.task.is_finished());
}
