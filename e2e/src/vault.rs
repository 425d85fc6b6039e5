//! The bucket as the tests see it: through the local port that `xtask` opened.

use std::{collections::BTreeMap, env};

use anyhow::{Context, Result};
use bytes::Bytes;
use crucible_store::vault::{S3Settings, S3Vault, Vault};
use tokio::io::AsyncReadExt;

/// The development bucket.
#[derive(Debug)]
pub struct Bucket(S3Vault);

impl Bucket {
    /// From `CRUCIBLE_S3_ENDPOINT` and `CRUCIBLE_BUCKET`, with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub async fn from_environment() -> Result<Self> {
        let bucket = env::var("CRUCIBLE_BUCKET").context("CRUCIBLE_BUCKET is not set; run this through cargo xtask")?;
        let endpoint = env::var("CRUCIBLE_S3_ENDPOINT").context("CRUCIBLE_S3_ENDPOINT is not set; run this through cargo xtask")?;
        let settings = S3Settings { bucket, endpoint: Some(endpoint), worker_endpoint: None, region: "us-east-1".to_owned() };
        Ok(Self(S3Vault::new(settings).await))
    }

    /// The bytes of an object.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>> {
        let mut reader = self.0.get(key).await.with_context(|| format!("failed to open object {key}"))?;
        let mut object = Vec::new();
        reader.read_to_end(&mut object).await.with_context(|| format!("failed to read object {key}"))?;
        Ok(object)
    }

    /// Stores an object, as another program would.
    pub async fn put(&self, key: &str, text: impl Into<Bytes>) -> Result<()> {
        let stored = self.0.put(key, text.into(), "text/plain; charset=utf-8", &BTreeMap::new()).await;
        stored.with_context(|| format!("failed to store object {key}"))
    }

    /// The keys below a prefix.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let entries = self.0.list(prefix).await.with_context(|| format!("failed to list objects below {prefix}"))?;
        Ok(entries.into_iter().map(|entry| entry.key).collect())
    }
}
