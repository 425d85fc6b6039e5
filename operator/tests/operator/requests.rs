//! What one happy run asks of the API server, request by request.

use std::time::Duration;

use expect_test::expect;

use crate::world::{World, operate, scenario::Scenario};

/// Everything that one happy run asked, and how many workers it had.
fn requests(scenario: &Scenario) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::of(scenario);
        let turning = world.turn();
        operate(&world, &world.line(None, false)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        turning.abort();
        let mut log = world.api.log.lock().unwrap().clone();
        // Readings are made and workers are told side by side: their order means nothing.
        let kind = |request: &str| match request.split(' ').next() {
            Some("GET" | "LIST") => "read",
            Some("TELL") => "tell",
            _ => "write",
        };
        log.chunk_by_mut(|one, next| kind(one) != "write" && kind(one) == kind(next)).for_each(<[String]>::sort);
        log
    })
}

#[test]
fn a_happy_run_asks_for_exactly_this() {
    expect![[r#"
        GET leases/sut-8ba21b27b64d677f
        GET secrets/shop-login
        GET testplans/checkout
        LIST testruns crucible.dev/sut=8ba21b27b64d677f
        PATCH testruns/run-a
        POST configmaps/run-a-f5b6210a-plan
        POST secrets/run-a-f5b6210a-token
        POST leases/sut-8ba21b27b64d677f
        POST jobs/run-a-f5b6210a-workers
        POST events PlanFrozen
        PATCH testruns/run-a/status
        GET testruns/run-a
        POST events LoadStarted
        PATCH testruns/run-a/status
        TELL worker 0 to start
        TELL worker 1 to start
        PATCH testruns/run-a/status
        PATCH testruns/run-a/status
        PATCH testruns/run-a/status
        PATCH testruns/run-a/status
        GET testruns/run-a
        POST events LoadEnded
        PATCH testruns/run-a/status
        TELL worker 0 to upload
        TELL worker 1 to upload
        GET testruns/run-a
        POST events VerdictPassed
        PATCH testruns/run-a/status
        GET leases/sut-8ba21b27b64d677f
        DELETE leases/sut-8ba21b27b64d677f
        GET leases/sut-8ba21b27b64d677f"#]]
    .assert_eq(&requests(&Scenario::happy()).join("\n"));
}

#[test]
fn a_run_asks_little_of_the_api_server() {
    for scenario in [Scenario::happy(), Scenario::mirrored(&[])] {
        let asked = requests(&scenario).iter().filter(|request| !request.starts_with("TELL")).count();
        assert!(asked <= 40 + 3 * 2, "{asked} requests for 2 workers");
    }
}

#[test]
fn a_ledger_costs_a_run_one_write() {
    let writes = |scenario: &Scenario| requests(scenario).into_iter().filter(|request| request.starts_with("PATCH")).count();
    assert_eq!(writes(&Scenario::mirrored(&[])), writes(&Scenario::happy()) + 1);
}
