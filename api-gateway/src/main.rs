//! The gateway's process: arguments in, everything else in the library.

use clap::Parser;
use crucible_api_gateway::{Args, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().into_config()?;
    telemetry::init(&config.log)?;
    crucible_api_gateway::serve(config).await
}
