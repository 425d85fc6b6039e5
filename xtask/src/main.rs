//! `cargo xtask`: the developer's tool. Everything that a person or CI does with this repository is one of its commands.

mod cluster;
mod images;
mod paths;
mod program;
mod say;
mod tools;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
enum Command {
    /// Start, stop or look at the development cluster
    Cluster(cluster::Args),
    /// Build container images without a container engine and load them into the cluster
    Images(images::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Cluster(args) => args.run(),
        Command::Images(args) => args.run(),
    }
}
