//! The operator's process: arguments in, everything else in the library.

use clap::Parser;
use crucible_operator::{Args, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().into_config();
    telemetry::init(&config.log)?;
    crucible_operator::serve(config).await
}
