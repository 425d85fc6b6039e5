//! Prints one object of the development bucket: `vault KEY`, with the bucket's address and credentials in the environment.

use std::{
    env,
    io::{Write, stdout},
};

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let key = env::args().nth(1).context("name the key of an object")?;
    let object = crucible_e2e::vault::Bucket::from_environment().await?.get(&key).await?;
    stdout().write_all(&object).context("failed to print the object")
}
