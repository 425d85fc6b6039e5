//! Connections to Trino, in the clear or over TLS, with its certificate believed as far as the plan says.

use std::{path::Path, sync::Arc};

use crucible_crds::test_plan::TlsMode;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;

use super::super::{
    session::SqlError,
    tls::{Anyone, authorities, provider},
};

/// What connects.
pub fn connector(mode: TlsMode, own: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, SqlError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
    let config = match mode {
        TlsMode::Verify | TlsMode::Disable => builder.with_root_certificates(authorities(own).map_err(|why| failed(&why))?).with_no_client_auth(),
        TlsMode::InsecureSkipVerify => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

fn failed(why: &dyn std::fmt::Display) -> SqlError {
    SqlError { state: "TLS".to_owned(), code: None, message: why.to_string(), row: None }
}
