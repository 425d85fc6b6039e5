//! The operator's whole life, played against a cluster in memory: no socket, no clock but the test's own.
//!
//! `fake_api` is the API server under the real Kubernetes client, `world` is everything else: the Job controller,
//! kubelet, workers, users, and operators that die. `fault_sweep` asks for the same end whatever dies when; `requests`
//! shows exactly what one happy run asks of the API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Simulated time is seconds as floating point; simulated lives are large futures.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::large_futures)]
// Expected texts are written by `UPDATE_EXPECT=1`.
#![allow(clippy::needless_raw_string_hashes)]

mod admin;
mod comparison;
mod election;
mod fake_api;
mod fault_sweep;
mod mirror;
mod requests;
mod world;
