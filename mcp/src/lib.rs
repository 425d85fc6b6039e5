//! The MCP server: tools, resources and prompts for an agent that runs database load tests, over the gateway's REST API.
//!
//! A call goes one way: [`server`] reads the protocol, [`tool`] reads the arguments, one file of `tools` says what to ask,
//! [`gateway`] asks with the caller's own token. The server holds no state and no right of its own: whatever a caller may
//! do here, the gateway lets that caller do.

pub mod args;
pub mod argument;
pub mod failure;
pub mod gateway;
pub mod guide;
pub mod http;
pub mod prompts;
pub mod resources;
mod serve;
pub mod server;
pub mod telemetry;
pub mod tool;
pub mod tools;

pub use args::{Args, Config};
pub use serve::serve;
pub use server::Server;
