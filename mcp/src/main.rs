//! The MCP server's process: arguments in, everything else in the library.

use clap::Parser;
use crucible_mcp::{Args, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().into_config()?;
    telemetry::init(&config.log)?;
    crucible_mcp::serve(config).await
}
