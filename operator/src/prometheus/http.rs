//! Prometheus servers over HTTP. The host is resolved here and the connection goes to an address that was looked at: a
//! name that resolves elsewhere the next moment gains nothing. Redirects are answers like others, and not followed.

use std::{
    future::Future,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use crucible_lifecycle::results::observability::Server;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;

use super::{AskError, Prometheus, Range};

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// No answer is longer.
const LONGEST_ANSWER: usize = 16 << 20;

/// Prometheus servers over HTTP.
#[derive(Clone)]
pub struct HttpPrometheus {
    client: Client<HttpsConnector<HttpConnector<Checked>>, Full<Bytes>>,
}

impl HttpPrometheus {
    /// A client that trusts the system's authorities.
    ///
    /// # Errors
    /// Where the system has none.
    pub fn new() -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new_with_resolver(Checked);
        tcp.set_connect_timeout(Some(CONNECTING));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_max_idle_per_host(0).build(connector) })
    }
}

#[async_trait]
impl Prometheus for HttpPrometheus {
    async fn query_range(&self, server: &Server, ask: &Range<'_>) -> Result<Bytes, AskError> {
        let uri = address(server)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(form(ask))))
            .map_err(|_| AskError::Forbidden)?;
        let answer = self.client.request(request).await.map_err(|error| why(&error))?;
        if !answer.status().is_success() {
            return Err(AskError::Refused(answer.status().as_u16()));
        }
        match Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(AskError::TooLong),
            Err(_) => Err(AskError::Unreachable),
        }
    }
}

/// Where a server is asked. A host that is an address itself is looked at here, because no name is resolved for it.
fn address(server: &Server) -> Result<Uri, AskError> {
    let uri: Uri = format!("{}/api/v1/query_range", server.url.trim_end_matches('/')).parse().map_err(|_| AskError::Forbidden)?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) if leads_astray(ip) => Err(AskError::Forbidden),
        Ok(_) | Err(_) => Ok(uri),
    }
}

/// The question as a form, because a long one does not fit into an address.
fn form(ask: &Range<'_>) -> String {
    let Range { query, window, step } = ask;
    let seconds = |millis: i64| format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    let (start, end) = (seconds(window.from.as_millisecond()), seconds(window.to.as_millisecond()));
    format!("query={}&start={start}&end={end}&step={}.{:03}", escaped(query), step.as_secs(), step.subsec_millis())
}

fn escaped(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

/// Whether an address is one that no server on any list has: of this link, where clouds keep their metadata, or of nobody.
/// Addresses of the cluster and of this host are the operator's own choice, since only servers on its list are asked.
fn leads_astray(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| is_astray_v6(ip), |ip| leads_astray(IpAddr::V4(ip))),
    }
}

/// AWS has its metadata at a unique local address, too.
fn is_astray_v6(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast() || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
}

/// Why a request came to nothing, without what it says.
fn why(error: &hyper_util::client::legacy::Error) -> AskError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Astray>()
            || error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref).is_some_and(<dyn std::error::Error + Send + Sync>::is::<Astray>)
        {
            return AskError::Forbidden;
        }
        cause = error.source();
    }
    AskError::Unreachable
}

/// Every address of a host leads astray.
#[derive(Debug, thiserror::Error)]
#[error("the host resolves to no address that may be asked")]
struct Astray;

/// Resolves names, and lets through only addresses that may be asked.
#[derive(Clone)]
struct Checked;

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.filter(|address| !leads_astray(address.ip())).collect();
            if found.is_empty() { Err(std::io::Error::other(Astray)) } else { Ok(found.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests;
