//! Container images, made without a container engine: layers are tar files kept in the cache under the hash of what goes into them, an
//! image is a few JSON documents above them. An image whose content has not changed costs the hashing of its programs.

mod binary;
mod debian;
mod hash;
mod layer;
mod layout;
mod recipe;

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cluster;
use crate::say;

pub use binary::compile;
pub use hash::hash_text;
pub use layout::Built;

/// An image of this repository; in the cluster it is `localhost/crucible/NAME:dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Image {
    /// Holds a pod's namespaces
    Pause,
    /// The embedded cluster's name server
    Coredns,
    /// The controllers
    Operator,
    /// Runs the load and loads fixtures
    Worker,
    /// The REST API
    Gateway,
    /// Load testing for agents
    Mcp,
    /// S3 server of the development cluster
    S3,
    /// A system under test
    Mariadb,
    /// The ledger, and a system under test
    Postgres,
    /// What is read about a system under test, and where k6 can send its metrics
    Prometheus,
    /// A system under test that reads the bucket itself
    Trino,
    /// Chaos Mesh's controllers
    ChaosMesh,
    /// What Chaos Mesh runs on each node
    ChaosDaemon,
}

impl Image {
    /// What the development cluster needs.
    pub const DEVELOPMENT: [Self; 8] = [Self::Operator, Self::Worker, Self::Gateway, Self::Mcp, Self::S3, Self::Mariadb, Self::Postgres, Self::Prometheus];
    /// A system under test that most do without: it is large.
    pub const TRINO: [Self; 1] = [Self::Trino];
    /// What faults need.
    pub const CHAOS: [Self; 2] = [Self::ChaosMesh, Self::ChaosDaemon];

    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Coredns => "coredns",
            Self::Operator => "operator",
            Self::Worker => "worker",
            Self::Gateway => "gateway",
            Self::Mcp => "mcp",
            Self::S3 => "s3",
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
            Self::Prometheus => "prometheus",
            Self::Trino => "trino",
            Self::ChaosMesh => "chaos-mesh",
            Self::ChaosDaemon => "chaos-daemon",
        }
    }

    /// The name under which pods ask for it.
    pub fn reference(self) -> String {
        format!("localhost/crucible/{}:dev", self.name())
    }
}

/// Where the Rust programs in images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Compiled here, quickly
    Dev,
    /// Compiled here, for speed
    Release,
    /// Compiled already, in this directory
    In(PathBuf),
}

/// The words after `cargo xtask images`.
#[derive(clap::Args)]
pub struct Args {
    /// Which images; all that the development cluster runs where none is named
    images: Vec<Image>,
    /// Compile the Rust programs for speed
    #[arg(long)]
    release: bool,
    /// Take the Rust programs from this directory and compile nothing
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "release")]
    programs: Option<PathBuf>,
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        let images = if self.images.is_empty() { Image::DEVELOPMENT.to_vec() } else { self.images };
        let programs = match self.programs {
            Some(directory) => Programs::In(directory),
            None if self.release => Programs::Release,
            None => Programs::Dev,
        };
        build_and_load(&images, &programs).map(|_| ())
    }
}

/// Lays the images out in the cache: compiles and installs what goes into them, and does nothing where that has not changed.
pub fn build(images: &[Image], programs: &Programs) -> Result<Vec<Built>> {
    if images.iter().any(|image| recipe::holds_rust(*image)) {
        binary::compile(programs)?;
    }
    images.iter().map(|image| recipe::recipe(*image, programs)?.lay_out(*image)).collect()
}

/// Builds the images, loads those into the running cluster that it does not have already, and answers what was built.
pub fn build_and_load(images: &[Image], programs: &Programs) -> Result<Vec<Built>> {
    let start = Instant::now();
    let built = build(images, programs)?;
    let Some(cluster) = cluster::current()? else {
        say::note(format!("{} images are ready after {}; no cluster is up to load them into", built.len(), say::took(start)));
        return Ok(built);
    };
    // One image's unpacking overlaps another's copying.
    thread::scope(|threads| {
        let loads: Vec<_> = built.iter().map(|image| threads.spawn(|| cluster.load_image(image))).collect();
        loads.into_iter().try_for_each(|load| load.join().unwrap_or_else(|_| bail!("loading an image panicked")))
    })?;
    say::note(format!("{} images are in the cluster after {}", built.len(), say::took(start)));
    Ok(built)
}
