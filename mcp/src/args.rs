//! What the server is told when it starts. The names of the environment variables are those of the earlier system where it had them.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::gateway::Token;

/// Serves database load testing to agents over the Model Context Protocol.
///
/// On a laptop, started by the agent: set `CRUCIBLE_API_URL` and `CRUCIBLE_API_TOKEN`. As a service: `TRANSPORT=sse` serves
/// streamable HTTP at `/mcp`, and every caller brings a token of its own.
#[derive(Clone, Parser)]
#[command(version)]
pub struct Args {
    /// Where the gateway answers, for example `https://crucible.example.com`.
    #[arg(long, env = "CRUCIBLE_API_URL", default_value = "http://127.0.0.1:8000")]
    pub api_url: String,

    /// The token for the gateway over stdio. Over HTTP callers bring their own.
    #[arg(long, env = "CRUCIBLE_API_TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,

    /// How callers reach this server.
    #[arg(long, env = "TRANSPORT", value_enum, ignore_case = true, default_value_t = Transport::Stdio)]
    pub transport: Transport,

    /// The address that HTTP listens on.
    #[arg(long, env = "SSE_HOST", default_value = "127.0.0.1", value_parser = host)]
    pub host: IpAddr,

    /// The port that HTTP listens on.
    #[arg(long, env = "SSE_PORT", default_value_t = 8001)]
    pub port: u16,

    /// How callers over HTTP are told apart.
    #[arg(long, env = "CRUCIBLE_MCP_AUTH", value_enum, ignore_case = true, default_value_t = AuthKind::Bearer)]
    pub auth: AuthKind,

    /// Names under which callers reach this server over HTTP, with or without a port. Requests to other hosts are refused.
    #[arg(long, env = "CRUCIBLE_MCP_ALLOWED_HOSTS", value_delimiter = ',', default_value = "localhost,127.0.0.1,::1")]
    pub allowed_hosts: Vec<String>,

    /// Web origins whose pages may call this server, for example `https://chat.example.com:443`. Others are refused.
    #[arg(long, env = "CRUCIBLE_MCP_ALLOWED_ORIGINS", value_delimiter = ',', default_value = "http://localhost:*,http://127.0.0.1:*")]
    pub allowed_origins: Vec<String>,

    /// This server's address as callers know it, for the resource metadata.
    #[arg(long, env = "CRUCIBLE_MCP_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Issuers of tokens for the gateway, for the resource metadata.
    #[arg(long, env = "CRUCIBLE_MCP_AUTHORIZATION_SERVERS", value_delimiter = ',')]
    pub authorization_servers: Vec<String>,

    /// The remote write address that is put into submitted plans which name none.
    #[arg(long, env = "K6_PROMETHEUS_RW_URL")]
    pub remote_write_url: Option<String>,

    /// What is logged to standard error, in the words of tracing's `EnvFilter`.
    #[arg(long, env = "CRUCIBLE_LOG", default_value = "info")]
    pub log: String,
}

/// How callers reach this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Standard input and output of this process.
    Stdio,
    /// Streamable HTTP at `/mcp`. The name is that of the transport which streamable HTTP has replaced.
    #[value(alias = "http", alias = "streamable-http")]
    Sse,
}

/// How callers over HTTP are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthKind {
    /// By a bearer token that the gateway accepts. It is passed on to the gateway, and nowhere else.
    Bearer,
    /// Not at all: whoever reaches the port acts with this server's own token, where it has one.
    None,
}

/// The arguments, sorted by who needs them.
#[derive(Clone)]
pub struct Config {
    /// Where the gateway answers.
    pub api_url: http::Uri,
    /// This server's own token.
    pub api_token: Option<Token>,
    /// The remote write address for plans without one.
    pub remote_write_url: Option<String>,
    /// Where HTTP is served; stdio where nothing stands here.
    pub http: Option<HttpConfig>,
    /// What is logged.
    pub log: String,
}

/// What serving HTTP needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address to listen on.
    pub address: SocketAddr,
    /// How callers are told apart.
    pub auth: AuthKind,
    /// Names under which callers reach this server.
    pub allowed_hosts: Vec<String>,
    /// Web origins whose pages may call.
    pub allowed_origins: Vec<String>,
    /// This server's address as callers know it.
    pub public_url: String,
    /// Issuers of tokens.
    pub authorization_servers: Vec<String>,
}

impl Args {
    /// Sorts the arguments. Every field is named here, so that a new argument cannot be forgotten.
    pub fn into_config(self) -> anyhow::Result<Config> {
        let Self { api_url, api_token, transport, host, port, auth, allowed_hosts, allowed_origins, public_url, authorization_servers, remote_write_url, log } =
            self;
        let address = SocketAddr::new(host, port);
        let public_url =
            filled(public_url).unwrap_or_else(|| format!("http://{}", if host.is_unspecified() { format!("localhost:{port}") } else { address.to_string() }));
        let http = HttpConfig {
            address,
            auth,
            allowed_hosts: words(allowed_hosts),
            allowed_origins: words(allowed_origins),
            public_url: public_url.trim_end_matches('/').to_owned(),
            authorization_servers: words(authorization_servers),
        };
        anyhow::ensure!(
            !http.allowed_hosts.is_empty(),
            "--allowed-hosts must not be empty: a page of any site could call this server through its reader's browser"
        );
        let api_token = filled(api_token).map(Token::try_from).transpose().context("--api-token cannot be sent")?;
        let api_url: http::Uri = api_url.trim_end_matches('/').parse().context("--api-url is not a URL")?;
        anyhow::ensure!(matches!(api_url.scheme_str(), Some("http" | "https")), "--api-url must begin with http:// or https://");
        anyhow::ensure!(!api_url.authority().is_some_and(|authority| authority.as_str().contains('@')), "--api-url must not hold a password; use --api-token");
        Ok(Config { api_url, api_token, remote_write_url: filled(remote_write_url), http: (transport == Transport::Sse).then_some(http), log })
    }
}

/// An address to listen on, or the one name that everybody means the same by.
fn host(text: &str) -> Result<IpAddr, std::net::AddrParseError> {
    if text == "localhost" { Ok(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)) } else { text.parse() }
}

/// An environment variable that is set to nothing counts as absent: charts render empty values.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn words(list: Vec<String>) -> Vec<String> {
    list.into_iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &[&str]) -> anyhow::Result<Config> {
        Args::try_parse_from(std::iter::once("mcp").chain(more.iter().copied())).unwrap().into_config()
    }

    #[test]
    fn nothing_said_is_stdio_to_a_gateway_on_this_machine() {
        let config = config(&[]).unwrap();
        assert_eq!((config.api_url.to_string().as_str(), config.http), ("http://127.0.0.1:8000/", None));
    }

    #[test]
    fn sse_means_http_and_asks_for_a_token_unless_told_otherwise() {
        let http = config(&["--transport", "sse", "--host", "0.0.0.0"]).unwrap().http.unwrap();
        assert_eq!((http.auth, http.public_url.as_str(), http.address.port()), (AuthKind::Bearer, "http://localhost:8001", 8001));
        assert_eq!(config(&["--transport", "sse", "--host", "localhost"]).unwrap().http.unwrap().public_url, "http://127.0.0.1:8001");
        assert_eq!(config(&["--transport", "SSE", "--auth", "none"]).unwrap().http.unwrap().auth, AuthKind::None);
    }

    #[test]
    fn a_server_without_a_host_check_does_not_start() {
        assert!(config(&["--allowed-hosts", " ,"]).is_err());
    }

    #[test]
    fn an_address_that_is_none_or_holds_a_password_is_refused() {
        for url in ["crucible.example.com", "ftp://crucible", "http://u:p@crucible"] {
            assert!(config(&["--api-url", url]).is_err(), "{url}");
        }
    }
}
