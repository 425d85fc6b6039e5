//! The server as its callers meet it: the real client over a pipe, requests against the HTTP routes; the gateway is played from its contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "clippy takes only functions marked as tests for tests")]

#[path = "mcp/bad_input.rs"]
mod bad_input;
#[path = "mcp/client.rs"]
mod client;
#[path = "mcp/gateway.rs"]
mod gateway;
#[path = "mcp/http.rs"]
mod http;
#[path = "mcp/listing.rs"]
mod listing;
#[path = "mcp/reading.rs"]
mod reading;
#[path = "mcp/story.rs"]
mod story;
