//! The vault over S3 and everything that speaks like it. The only file of the workspace that knows the AWS client.
//!
//! Two clients share one configuration: ours talks to the endpoint as the operator sees it; the other only signs, for
//! the endpoint as the worker pods see it, since the host is part of the signature.

mod uploads;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    presigning::{PresignedRequest, PresigningConfig},
    primitives::{ByteStream, DateTime},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;

use super::{Entry, GetOnce, ObjectReader, Part, PartOnce, PendingUpload, PutOnce, SignedRequest, Vault, VaultError};

/// How long one attempt may wait for the first byte of an answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the bucket is. The credentials come from the AWS environment (`AWS_ACCESS_KEY_ID`, a web identity, …), never from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// `http(s)://host[:port]` of the server; none: AWS itself.
    pub endpoint: Option<String>,
    /// The same server as the worker pods reach it; none: as the operator does.
    pub worker_endpoint: Option<String>,
    /// The region; servers that have none accept any.
    pub region: String,
}

/// A bucket of an S3 server.
#[derive(Clone, Debug)]
pub struct S3Vault {
    client: Client,
    signer: Client,
    bucket: String,
}

impl S3Vault {
    /// Makes the clients. Nothing is sent yet.
    pub async fn new(settings: S3Settings) -> Self {
        let S3Settings { bucket, endpoint, worker_endpoint, region } = settings;
        let shared = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region)).load().await;
        let client_for = |endpoint: Option<String>| {
            let mut config = aws_sdk_s3::config::Builder::from(&shared)
                .force_path_style(true)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .retry_config(RetryConfig::standard().with_max_attempts(3))
                .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).read_timeout(ATTEMPT_TIMEOUT).build());
            config.set_endpoint_url(endpoint);
            Client::from_conf(config.build())
        };
        Self { signer: client_for(worker_endpoint.or_else(|| endpoint.clone())), client: client_for(endpoint), bucket }
    }

    /// For how long a signature holds.
    fn within(&self, key: &str, expires: Duration) -> Result<PresigningConfig, VaultError> {
        let refused = |_| VaultError::Refused { bucket: self.bucket.clone(), key: key.to_owned(), code: "the expiry is out of range".to_owned() };
        PresigningConfig::expires_in(expires).map_err(refused)
    }

    fn error<E, R>(&self, key: &str, error: &SdkError<E, R>) -> VaultError
    where
        E: ProvideErrorMetadata,
        R: HttpStatus,
    {
        let (status, code) = match error {
            SdkError::ServiceError(context) => (Some(context.raw().status()), context.err().code().map(str::to_owned)),
            SdkError::ResponseError(context) => (Some(context.raw().status()), None),
            SdkError::ConstructionFailure(_) => (None, Some("the request could not be signed".to_owned())),
            SdkError::TimeoutError(_) => (None, Some("time-out".to_owned())),
            SdkError::DispatchFailure(_) | _ => (None, Some("no connection".to_owned())),
        };
        classify(self.bucket.clone(), key.to_owned(), status, code)
    }
}

#[async_trait]
impl Vault for S3Vault {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn get_noted(&self, key: &str) -> Result<(ObjectReader, BTreeMap<String, String>), VaultError> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await.map_err(|e| self.error(key, &e))?;
        Ok((Box::pin(answer.body.into_async_read()), answer.metadata.into_iter().flatten().collect()))
    }

    async fn head(&self, key: &str) -> Result<Entry, VaultError> {
        let answer = self.client.head_object().bucket(&self.bucket).key(key).send().await.map_err(|e| self.error(key, &e))?;
        Ok(Entry { key: key.to_owned(), bytes: length(answer.content_length()), modified: time(answer.last_modified()), tag: tag(answer.e_tag()) })
    }

    async fn put(&self, key: &str, body: Bytes, content_type: &str, metadata: &BTreeMap<String, String>) -> Result<(), VaultError> {
        let mut request = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type).body(ByteStream::from(body));
        for (name, value) in metadata {
            request = request.metadata(name, value);
        }
        request.send().await.map(|_| ()).map_err(|e| self.error(key, &e))
    }

    async fn delete(&self, key: &str) -> Result<(), VaultError> {
        match self.client.delete_object().bucket(&self.bucket).key(key).send().await.map_err(|e| self.error(key, &e)) {
            Ok(_) | Err(VaultError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, VaultError> {
        let mut entries = Vec::new();
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.error(prefix, &e))?;
            entries.extend(page.contents().iter().map(entry));
        }
        Ok(entries)
    }

    async fn list_after(&self, prefix: &str, after: &str, most: u16) -> Result<Vec<Entry>, VaultError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).start_after(after).max_keys(most.into());
        let page = request.send().await.map_err(|e| self.error(prefix, &e))?;
        Ok(page.contents().iter().map(entry).collect())
    }

    async fn presign_put(&self, put: &PutOnce<'_>) -> Result<SignedRequest, VaultError> {
        let PutOnce { key, bytes, sha256, expires } = *put;
        let refused = |code: &str| VaultError::Refused { bucket: self.bucket.clone(), key: key.to_owned(), code: code.to_owned() };
        let expires = self.within(key, expires)?;
        let length = i64::try_from(bytes).map_err(|_| refused("the object is too large"))?;
        let request = self
            .signer
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_length(length)
            .checksum_sha256(checksum(&sha256))
            .presigned(expires)
            .await
            .map_err(|e| self.error(key, &e))?;
        Ok(signed(&request))
    }

    async fn presign_get(&self, get: &GetOnce<'_>) -> Result<SignedRequest, VaultError> {
        let GetOnce { key, file_name, expires } = *get;
        let name: String = file_name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
        let request = self.signer.get_object().bucket(&self.bucket).key(key);
        // What somebody else wrote is stored by a browser, never run in it.
        let request = request.response_content_disposition(format!("attachment; filename=\"{name}\"")).response_content_type("application/octet-stream");
        let request = request.presigned(self.within(key, expires)?).await.map_err(|e| self.error(key, &e))?;
        Ok(signed(&request))
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, VaultError> {
        let mut names = Vec::new();
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/").into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.error(prefix, &e))?;
            let below = page.common_prefixes().iter().filter_map(|found| found.prefix()?.strip_prefix(prefix)?.strip_suffix('/'));
            names.extend(below.map(str::to_owned));
        }
        Ok(names)
    }

    async fn begin_upload(&self, key: &str) -> Result<String, VaultError> {
        self.begin(key).await
    }

    async fn presign_part(&self, part: &PartOnce<'_>) -> Result<SignedRequest, VaultError> {
        self.sign_part(part).await
    }

    async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), VaultError> {
        self.complete(key, upload_id, parts).await
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), VaultError> {
        self.abort(key, upload_id).await
    }

    async fn pending_uploads(&self, prefix: &str) -> Result<Vec<PendingUpload>, VaultError> {
        self.pending(prefix).await
    }
}

fn signed(request: &PresignedRequest) -> SignedRequest {
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    SignedRequest { url: request.uri().to_owned(), headers }
}

/// What a listing says of an object.
fn entry(object: &aws_sdk_s3::types::Object) -> Entry {
    Entry { key: object.key().unwrap_or_default().to_owned(), bytes: length(object.size()), modified: time(object.last_modified()), tag: tag(object.e_tag()) }
}

/// What is common to the raw answers of the AWS client.
trait HttpStatus {
    fn status(&self) -> u16;
}

impl HttpStatus for aws_sdk_s3::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

/// The one place that says what an answer of the server means.
fn classify(bucket: String, key: String, status: Option<u16>, code: Option<String>) -> VaultError {
    let code = code.unwrap_or_else(|| status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}")));
    match (status, code.as_str()) {
        (_, "NoSuchKey" | "NoSuchBucket" | "NotFound") | (Some(404), _) => VaultError::NotFound { bucket, key },
        (_, "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable") | (None | Some(408 | 429 | 500..), _) => {
            VaultError::Unavailable { bucket, key, cause: code }
        }
        (Some(401 | 403), _) => VaultError::AccessDenied { bucket, key, code },
        (Some(_), _) => VaultError::Refused { bucket, key, code },
    }
}

fn length(declared: Option<i64>) -> u64 {
    declared.and_then(|length| u64::try_from(length).ok()).unwrap_or_default()
}

fn tag(said: Option<&str>) -> String {
    said.unwrap_or_default().trim_start_matches("W/").trim_matches('"').to_owned()
}

fn time(said: Option<&DateTime>) -> Option<Timestamp> {
    let said = said?;
    Timestamp::new(said.secs(), i32::try_from(said.subsec_nanos()).ok()?).ok()
}

/// Base64 of 32 bytes, as the checksum header wants it.
fn checksum(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_one_meaning() {
        let table = [
            (Some(404), Some("NoSuchKey"), "object s3://b/k was not found"),
            (Some(404), None, "object s3://b/k was not found"),
            (Some(403), Some("SignatureDoesNotMatch"), "access to s3://b/k was denied (SignatureDoesNotMatch)"),
            (Some(403), None, "access to s3://b/k was denied (HTTP 403)"),
            (Some(503), Some("SlowDown"), "object storage is unavailable for s3://b/k (SlowDown)"),
            (Some(500), None, "object storage is unavailable for s3://b/k (HTTP 500)"),
            (Some(429), None, "object storage is unavailable for s3://b/k (HTTP 429)"),
            (None, Some("time-out"), "object storage is unavailable for s3://b/k (time-out)"),
            (Some(400), Some("EntityTooLarge"), "object storage refused s3://b/k (EntityTooLarge)"),
        ];
        for (status, code, text) in table {
            assert_eq!(classify("b".to_owned(), "k".to_owned(), status, code.map(str::to_owned)).to_string(), text);
        }
    }
}
