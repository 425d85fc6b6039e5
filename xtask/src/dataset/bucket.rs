//! A bucket that files are uploaded to. curl signs the requests: a client library would be compiled by everybody who runs this tool.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::is_ours;
use crate::tools::{self, Package};
use crate::{chart, cluster, program};

/// Where a bucket is, and who asks.
pub struct Bucket {
    endpoint: String,
    name: String,
    region: String,
    /// `key:secret`, which curl reads from its standard input: arguments of a process are there for all to see.
    login: String,
}

impl Bucket {
    /// The bucket that the environment says, or else that of the development cluster.
    pub fn find() -> Result<Self> {
        tools::ensure_packages(&[Package::new("curl", "curl")])?;
        if env::var_os("CRUCIBLE_S3_ENDPOINT").is_some() {
            return Self::of(|name| env::var(name).with_context(|| format!("CRUCIBLE_S3_ENDPOINT is set, and {name} is not")));
        }
        let cluster =
            cluster::current()?.context("there is no development cluster (cargo xtask cluster up), and CRUCIBLE_S3_ENDPOINT names no other bucket")?;
        let variables = chart::bucket_environment(&cluster)?;
        Self::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            found.with_context(|| format!("the development cluster does not say {name}"))
        })
    }

    fn of(variable: impl Fn(&str) -> Result<String>) -> Result<Self> {
        Ok(Self {
            endpoint: variable("CRUCIBLE_S3_ENDPOINT")?.trim_end_matches('/').to_owned(),
            name: variable("CRUCIBLE_BUCKET")?,
            region: env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
            login: format!("{}:{}", variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?),
        })
    }

    /// The place of a key, for people.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Uploads a file.
    pub fn put(&self, file: &Path, key: &str) -> Result<()> {
        let mut curl = self.curl(key, "");
        curl.arg("--upload-file").arg(file);
        self.ask(&mut curl).map(drop).with_context(|| format!("failed to upload {}", self.address(key)))
    }

    /// Deletes what an earlier call left below a prefix: rows of two scales are no dataset.
    pub fn clear(&self, prefix: &str) -> Result<()> {
        loop {
            let query = format!("?list-type=2&prefix={}%2F", prefix.replace('/', "%2F"));
            let listed = self.ask(&mut self.curl("", &query)).with_context(|| format!("failed to list {}", self.address(prefix)))?;
            let keys = keys(&listed);
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                if !is_ours(key.rsplit('/').next().unwrap_or_default()) {
                    bail!("{} was not written by this command, and would be taken for a part of the dataset: delete it first", self.address(key));
                }
                let mut curl = self.curl(key, "");
                curl.args(["--request", "DELETE"]);
                self.ask(&mut curl).with_context(|| format!("failed to delete {}", self.address(key)))?;
            }
        }
    }

    /// A signed request; what is sent is not part of the signature, because curl would have to read a file twice for it.
    fn curl(&self, key: &str, query: &str) -> Command {
        let mut curl = program::command("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--config", "-", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        curl.arg("--aws-sigv4").arg(format!("aws:amz:{}:s3", self.region)).arg(format!("{}/{}/{key}{query}", self.endpoint, self.name));
        curl
    }

    fn ask(&self, curl: &mut Command) -> Result<String> {
        program::output_with_input(curl, &format!("user = \"{}\"\n", self.login))
    }
}

/// The keys of a listing. Those of ours have no letter that XML writes otherwise.
fn keys(listing: &str) -> Vec<&str> {
    listing.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>").map(|(key, _)| key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_out_of_a_listing() {
        let listing = "<ListBucketResult><Name>b</Name><Contents><Key>fixtures/tpch-part/part-00001.csv</Key><Size>1</Size></Contents>\
            <Contents><Key>fixtures/tpch-part/part-00002.csv</Key></Contents></ListBucketResult>";
        assert_eq!(keys(listing), ["fixtures/tpch-part/part-00001.csv", "fixtures/tpch-part/part-00002.csv"]);
        assert_eq!(keys("<ListBucketResult></ListBucketResult>"), [""; 0]);
    }
}
