//! What the gateway is told when it starts. The chart sets the environment variables; nothing else reads them.

use std::{fmt, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use crucible_store::vault::S3Settings;

/// Serves Crucible over REST.
///
/// Credentials of the bucket come from the AWS environment (`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or a
/// web identity); those of the cluster from the pod's service account or the kubeconfig.
#[derive(Clone, Parser)]
#[command(version)]
pub struct Args {
    /// How callers are told apart. There is no default: a gateway that was not told does not listen.
    #[arg(long, env = "CRUCIBLE_API_AUTH", value_enum)]
    pub auth: Auth,

    /// The audience that tokens have to be issued for, with `--auth token-review`.
    #[arg(long, env = "CRUCIBLE_API_AUDIENCE", default_value = "crucible")]
    pub audience: String,

    /// A YAML list of `{sha256, user, groups}`, with `--auth static`: the hash of each token and who it stands for.
    #[arg(long, env = "CRUCIBLE_API_TOKENS_FILE")]
    pub tokens_file: Option<PathBuf>,

    /// The namespace that the routes of the earlier system work in.
    #[arg(long, env = "CRUCIBLE_API_NAMESPACE", default_value = "crucible")]
    pub namespace: String,

    /// Only runs of this namespace are watched. All namespaces when absent.
    #[arg(long, env = "CRUCIBLE_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// Whether a submit without a `cluster_spec` is refused.
    #[arg(long, env = "CRUCIBLE_REQUIRE_CLUSTER_SPEC", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub require_cluster_spec: bool,

    /// `postgres://user:password@host:port/database` of the ledger. Without it only what the cluster knows is listed.
    #[arg(long, env = "CRUCIBLE_LEDGER_URL", hide_env_values = true)]
    pub ledger_url: Option<String>,

    /// The bucket of plans, workloads, fixtures and results.
    #[arg(long, env = "CRUCIBLE_BUCKET")]
    pub bucket: String,

    /// `http(s)://host[:port]` of the S3 server. AWS itself when absent.
    #[arg(long, env = "CRUCIBLE_S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,

    /// The same server as clients reach it: signed addresses name it. As the gateway reaches it when absent.
    #[arg(long, env = "CRUCIBLE_S3_PUBLIC_ENDPOINT")]
    pub s3_public_endpoint: Option<String>,

    /// The region of the bucket.
    #[arg(long, env = "CRUCIBLE_S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,

    /// Where the API answers.
    #[arg(long, env = "CRUCIBLE_API_ADDRESS", default_value = "0.0.0.0:8000")]
    pub address: SocketAddr,

    /// Where /healthz, /readyz and /metrics answer.
    #[arg(long, env = "CRUCIBLE_API_METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,

    /// What is logged, in the words of tracing's `EnvFilter`.
    #[arg(long, env = "CRUCIBLE_LOG", default_value = "info,kube=warn")]
    pub log: String,
}

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// The cluster's API server says whose a token is (`TokenReview`), and what they may do (`SubjectAccessReview`).
    TokenReview,
    /// A file says whose a token is; the API server says what they may do.
    Static,
    /// Everybody may do everything that the gateway may do.
    None,
}

/// The arguments, sorted by who needs them.
#[derive(Clone)]
pub struct Config {
    /// How callers are told apart.
    pub auth: AuthConfig,
    /// What the routes depend on.
    pub settings: Settings,
    /// The one namespace that is watched, where it is one.
    pub watch_namespace: Option<String>,
    /// Where the ledger is, password included: never shown.
    pub ledger_url: Option<String>,
    /// Where the bucket is.
    pub s3: S3Settings,
    /// Where the API answers.
    pub address: SocketAddr,
    /// Where health and metrics answer.
    pub metrics_address: SocketAddr,
    /// What is logged.
    pub log: String,
}

/// How callers are told apart, with what that needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthConfig {
    /// By the API server, for this audience.
    TokenReview {
        /// The audience that tokens have to be issued for.
        audience: String,
    },
    /// By this file.
    Static {
        /// Where it is.
        file: PathBuf,
    },
    /// Not at all.
    None,
}

/// What the routes depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespace that the routes of the earlier system work in.
    pub namespace: String,
    /// Whether a submit without a `cluster_spec` is refused.
    pub require_cluster_spec: bool,
}

impl fmt::Debug for Config {
    /// Without the ledger's address, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("auth", &self.auth).field("settings", &self.settings).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Args {
    /// Sorts the arguments. Every field is named here, so that a new argument cannot be forgotten.
    pub fn into_config(self) -> anyhow::Result<Config> {
        let Self {
            auth,
            audience,
            tokens_file,
            namespace,
            watch_namespace,
            require_cluster_spec,
            ledger_url,
            bucket,
            s3_endpoint,
            s3_public_endpoint,
            s3_region,
            address,
            metrics_address,
            log,
        } = self;
        let auth = match auth {
            Auth::TokenReview => {
                anyhow::ensure!(!audience.is_empty(), "--auth token-review needs an audience");
                AuthConfig::TokenReview { audience }
            }
            Auth::Static => AuthConfig::Static { file: tokens_file.filter(|file| !file.as_os_str().is_empty()).context("--auth static needs --tokens-file")? },
            Auth::None => AuthConfig::None,
        };
        Ok(Config {
            auth,
            settings: Settings { namespace, require_cluster_spec },
            watch_namespace: filled(watch_namespace),
            ledger_url: filled(ledger_url),
            s3: S3Settings { bucket, endpoint: filled(s3_endpoint), worker_endpoint: filled(s3_public_endpoint), region: s3_region },
            address,
            metrics_address,
            log,
        })
    }
}

/// An environment variable that is set to nothing counts as absent: charts render empty values.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> anyhow::Result<Config> {
        let needed = ["gateway", "--bucket", "reports"];
        Args::try_parse_from(needed.iter().chain(more))?.into_config()
    }

    #[test]
    fn a_gateway_that_was_not_told_how_callers_are_told_apart_does_not_start() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["--auth", ""]).is_err());
        assert!(parse(&["--auth", "off"]).is_err());
        assert!(parse(&["--auth", "static"]).unwrap_err().to_string().contains("--tokens-file"));
        assert!(parse(&["--auth", "token-review", "--audience", ""]).is_err());
    }

    #[test]
    fn what_is_needed_is_enough() {
        let config = parse(&["--auth", "token-review"]).unwrap();
        assert_eq!(config.auth, AuthConfig::TokenReview { audience: "crucible".to_owned() });
        assert_eq!(config.settings, Settings { namespace: "crucible".to_owned(), require_cluster_spec: false });
        assert_eq!(config.address.port(), 8000);
        assert_eq!(config.ledger_url, None);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        let config = parse(&["--auth", "none", "--ledger-url", "", "--s3-public-endpoint", "", "--watch-namespace", ""]).unwrap();
        assert_eq!((config.ledger_url, config.s3.worker_endpoint, config.watch_namespace), (None, None, None));
    }

    #[test]
    fn a_cluster_spec_is_required_where_that_is_asked_for() {
        for (words, required) in [(&["--require-cluster-spec"][..], true), (&["--require-cluster-spec=false"][..], false)] {
            assert_eq!(parse(&[&["--auth", "none"], words].concat()).unwrap().settings.require_cluster_spec, required);
        }
    }

    #[test]
    fn the_ledgers_address_is_not_shown() {
        let config = parse(&["--auth", "none", "--ledger-url", "postgres://u:hunter2@db/x"]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
