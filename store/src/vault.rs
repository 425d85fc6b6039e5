//! The vault: one bucket of object storage, behind a trait small enough to be played in memory.
//!
//! Keys are whole paths such as `results/{run id}/results.json`. Whoever calls has made sure that they are made of
//! checked names; the vault itself only carries them.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::AsyncBufRead;

pub mod memory;
pub mod multipart;
pub mod s3;

pub use memory::MemoryVault;
pub use multipart::{Part, PartOnce, PendingUpload};
pub use s3::{S3Settings, S3Vault};

/// How long a server may take to make a file of its parts ([`Vault::complete_upload`]). One that keeps files copies every byte, and says nothing until it is
/// done: minutes for tens of gigabytes. Whoever waits for the vault waits as long.
pub const ASSEMBLING: Duration = Duration::from_mins(15);

/// The bytes of an object as they arrive. Nothing is held but what was read ahead.
pub type ObjectReader = Pin<Box<dyn AsyncBufRead + Send>>;

/// One bucket of object storage.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// The bucket's name, for people and for status.
    fn bucket(&self) -> &str;

    /// Opens an object for reading from its first byte on.
    async fn get(&self, key: &str) -> Result<ObjectReader, VaultError> {
        Ok(self.get_noted(key).await?.0)
    }

    /// The same, with the metadata that it was stored with.
    async fn get_noted(&self, key: &str) -> Result<(ObjectReader, BTreeMap<String, String>), VaultError>;

    /// What is known of an object without reading it.
    async fn head(&self, key: &str) -> Result<Entry, VaultError>;

    /// Stores an object whole, or replaces it.
    async fn put(&self, key: &str, body: Bytes, content_type: &str, metadata: &BTreeMap<String, String>) -> Result<(), VaultError>;

    /// Removes an object. One that is not there is removed already.
    async fn delete(&self, key: &str) -> Result<(), VaultError>;

    /// Every object whose key begins with `prefix`, in the order of their keys.
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, VaultError>;

    /// At most `most` objects whose keys begin with `prefix` and come after `after`, in the order of their keys.
    async fn list_after(&self, prefix: &str, after: &str, most: u16) -> Result<Vec<Entry>, VaultError>;

    /// A request that stores exactly these bytes under exactly this key, once signed usable by whoever holds it until it expires.
    async fn presign_put(&self, put: &PutOnce<'_>) -> Result<SignedRequest, VaultError>;

    /// A request that reads exactly this object and has browsers store it rather than show it, usable by whoever holds it until it expires.
    async fn presign_get(&self, get: &GetOnce<'_>) -> Result<SignedRequest, VaultError>;

    /// The names right below a prefix that ends in `/`: of `a/b/c` below `a/` that is `b`. Objects that lie there themselves are not among them.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, VaultError>;

    /// Begins an object that arrives in parts, and answers the id that the parts are sent under. Nothing is stored under the key until it is completed.
    async fn begin_upload(&self, key: &str) -> Result<String, VaultError>;

    /// A request that stores one part of an upload, once signed usable by whoever holds it until it expires.
    async fn presign_part(&self, part: &PartOnce<'_>) -> Result<SignedRequest, VaultError>;

    /// Makes the object out of its parts, in the order of their numbers. Completing twice is completing once.
    async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), VaultError>;

    /// Forgets an upload and its parts. One that is not there is forgotten already.
    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), VaultError>;

    /// Every upload below `prefix` that was begun and neither completed nor aborted.
    async fn pending_uploads(&self, prefix: &str) -> Result<Vec<PendingUpload>, VaultError>;
}

/// What a signed request may read: one key, once stored under one name.
#[derive(Clone, Copy, Debug)]
pub struct GetOnce<'a> {
    /// The object's key.
    pub key: &'a str,
    /// What a browser stores it as.
    pub file_name: &'a str,
    /// For how long the request may be used.
    pub expires: Duration,
}

/// What a signed request may store: one key, one length, one content.
#[derive(Clone, Copy, Debug)]
pub struct PutOnce<'a> {
    /// The object's key.
    pub key: &'a str,
    /// Its length; another one is refused by the server.
    pub bytes: u64,
    /// SHA-256 of its bytes; other bytes are refused by the server.
    pub sha256: [u8; 32],
    /// For how long the request may be used.
    pub expires: Duration,
}

/// An object of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was stored, where the server says so.
    pub modified: Option<Timestamp>,
    /// The server's tag of its content, without quotes; empty where there is none. The same content stored again may have another one.
    pub tag: String,
}

/// A request that somebody else may make. It carries no credentials beyond its own signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// Where to. It holds the signature, so it is never shown.
    pub url: String,
    /// The headers that the signature covers, to be sent as they are.
    pub headers: BTreeMap<String, String>,
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").field("url", &"[signed]").field("headers", &self.headers.keys()).finish()
    }
}

/// Why the vault did not do what it was asked. No message holds a secret or a signed address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no such object, or no such bucket.
    #[error("object s3://{bucket}/{key} was not found")]
    NotFound {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// The bucket's owner does not let us.
    #[error("access to s3://{bucket}/{key} was denied ({code})")]
    AccessDenied {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The server's own word.
        code: String,
    },
    /// The server did not answer, or said that it cannot now. Asking again may help.
    #[error("object storage is unavailable for s3://{bucket}/{key} ({cause})")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// What was seen.
        cause: String,
    },
    /// The server refused for a reason that asking again does not mend.
    #[error("object storage refused s3://{bucket}/{key} ({code})")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The server's own word.
        code: String,
    },
}

impl VaultError {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unavailability_is_worth_asking_again() {
        let (bucket, key, code) = ("reports".to_owned(), "results/a".to_owned(), "SlowDown".to_owned());
        let table = [
            (VaultError::NotFound { bucket: bucket.clone(), key: key.clone() }, false, "object s3://reports/results/a was not found"),
            (
                VaultError::AccessDenied { bucket: bucket.clone(), key: key.clone(), code: "AccessDenied".to_owned() },
                false,
                "access to s3://reports/results/a was denied (AccessDenied)",
            ),
            (
                VaultError::Unavailable { bucket: bucket.clone(), key: key.clone(), cause: code.clone() },
                true,
                "object storage is unavailable for s3://reports/results/a (SlowDown)",
            ),
            (VaultError::Refused { bucket, key, code }, false, "object storage refused s3://reports/results/a (SlowDown)"),
        ];
        for (error, transient, text) in table {
            assert_eq!(error.is_transient(), transient, "{error}");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_signed_request_does_not_show_its_signature() {
        let request = SignedRequest { url: "https://s3/x?X-Amz-Signature=abc".to_owned(), headers: BTreeMap::new() };
        assert!(!format!("{request:?}").contains("abc"));
    }
}
