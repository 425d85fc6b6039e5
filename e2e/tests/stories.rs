//! Stories on a real cluster, one module for each thing that must hold. They are told one after another, by `cargo xtask test`.

#[path = "../../crds/tests/table/mod.rs"]
mod table;

#[path = "stories/api_server.rs"]
mod api_server;
#[path = "stories/arms.rs"]
mod arms;
#[path = "stories/bad_input.rs"]
mod bad_input;
#[path = "stories/chart.rs"]
mod chart;
#[path = "stories/comparison.rs"]
mod comparison;
#[path = "stories/early_end.rs"]
mod early_end;
#[path = "stories/existing_clients.rs"]
mod existing_clients;
#[path = "stories/faults.rs"]
mod faults;
#[path = "stories/faults_interrupted.rs"]
mod faults_interrupted;
#[path = "stories/faults_machine.rs"]
mod faults_machine;
#[path = "stories/faults_refused.rs"]
mod faults_refused;
#[path = "stories/fixtures.rs"]
mod fixtures;
#[path = "stories/happy_path.rs"]
mod happy_path;
#[path = "stories/ledger.rs"]
mod ledger;
#[path = "stories/open_model.rs"]
mod open_model;
#[path = "stories/operator_killed.rs"]
mod operator_killed;
#[path = "stories/prometheus.rs"]
mod prometheus;
#[path = "stories/queue.rs"]
mod queue;
#[path = "stories/restarted.rs"]
mod restarted;
#[path = "stories/secrets.rs"]
mod secrets;
#[path = "stories/tpch.rs"]
mod tpch;
