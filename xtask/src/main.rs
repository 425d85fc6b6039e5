//! `cargo xtask`: the developer's tool. Everything that a person or CI does with this repository is one of its commands.

mod bench;
mod chaos;
mod chart;
mod cluster;
mod dataset;
mod demo;
mod engines;
mod generate;
mod images;
mod paths;
mod program;
mod say;
mod test;
mod tools;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
enum Command {
    /// Bring up a cluster with everything in it and run a load test
    Demo(demo::Args),
    /// Run every test there is and print the totals
    Test(test::Args),
    /// Start, stop or look at the development cluster
    Cluster(cluster::Args),
    /// Build container images without a container engine and load them into the cluster
    Images(images::Args),
    /// Start, stop or test against real database servers on this machine
    Engines(engines::Args),
    /// Make the tables of TPC-H as files for fixtures, on disk or in the bucket
    Dataset(dataset::Args),
    /// Measure what we claim
    Bench(bench::Args),
    /// Write the files that are made from the types
    Generate,
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Cluster(args) => args.run(),
        Command::Images(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Test(args) => return args.run(),
        Command::Engines(args) => args.run(),
        Command::Dataset(args) => args.run(),
        Command::Bench(args) => args.run(),
        Command::Generate => generate::run(),
    };
    // The sentence is what the developer needs; a backtrace through this tool is not.
    done.map_or_else(|error| say::failure(&error), |()| ExitCode::SUCCESS)
}
