//! Connections to Trino, in the clear or over TLS, with its certificate believed as far as the plan says.

use std::sync::Arc;

use crucible_crds::test_plan::TlsMode;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::super::session::{Endpoint, SqlError};

/// What connects.
pub fn connector(mode: TlsMode) -> Result<HttpsConnector<HttpConnector>, SqlError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
    let config = match mode {
        TlsMode::Verify | TlsMode::Disable => builder.with_root_certificates(authorities()?).with_no_client_auth(),
        TlsMode::InsecureSkipVerify => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

/// Those that come with the program, and those that `SSL_CERT_FILE` names.
fn authorities() -> Result<RootCertStore, SqlError> {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = Endpoint::authorities() {
        let unreadable = |why: &dyn std::fmt::Display| SqlError { message: format!("SSL_CERT_FILE {path} cannot be read: {why}"), ..failed(&"") };
        for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| unreadable(&error))? {
            store.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
        }
    }
    Ok(store)
}

fn failed(why: &dyn std::fmt::Display) -> SqlError {
    SqlError { state: "TLS".to_owned(), code: None, message: why.to_string(), row: None }
}

/// Believes every certificate, because the plan says so; that whoever shows it has its key is checked all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
