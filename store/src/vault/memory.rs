//! A vault in memory: for tests, and for nothing else. It can be told to be unavailable.

mod uploads;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Entry, GetOnce, ObjectReader, Part, PartOnce, PendingUpload, PutOnce, SignedRequest, Vault, VaultError};

/// The name that every vault in memory gives its bucket.
pub const BUCKET: &str = "memory";

/// A bucket that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryVault {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    notes: BTreeMap<String, BTreeMap<String, String>>,
    uploads: uploads::Uploads,
    down: bool,
}

impl MemoryVault {
    /// From now on every call answers `Unavailable`, until told otherwise.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Every object with its bytes.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        self.state().objects.clone()
    }

    /// Changes the last byte of every object, as a broken disk might.
    pub fn tamper(&self) {
        for body in self.state().objects.values_mut() {
            let mut changed = body.to_vec();
            if let Some(last) = changed.last_mut() {
                *last ^= 1;
            }
            *body = Bytes::from(changed);
        }
    }

    /// Does what the holder of a signed request does. Returns whether the bytes are those that were signed for.
    pub fn put_signed(&self, request: &SignedRequest, body: Bytes) -> bool {
        let Some(key) = request.url.strip_prefix("memory://") else { return false };
        let digest = hex(&Sha256::digest(&body));
        let wanted = request.headers.get("x-amz-checksum-sha256");
        let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
        if wanted != Some(&digest) || length != Some(body.len()) {
            return false;
        }
        self.state().objects.insert(key.to_owned(), body);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self, key: &str) -> Result<MutexGuard<'_, State>, VaultError> {
        let state = self.state();
        if state.down {
            return Err(VaultError::Unavailable { bucket: BUCKET.to_owned(), key: key.to_owned(), cause: "told to be down".to_owned() });
        }
        Ok(state)
    }
}

/// What a listing says of an object: its content stands for itself.
fn entry(key: &str, body: &Bytes) -> Entry {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(body);
    Entry { key: key.to_owned(), bytes: body.len() as u64, modified: None, tag: hex(&digest) }
}

#[async_trait]
impl Vault for MemoryVault {
    fn bucket(&self) -> &str {
        BUCKET
    }

    async fn get_noted(&self, key: &str) -> Result<(ObjectReader, BTreeMap<String, String>), VaultError> {
        let state = self.reachable(key)?;
        let body = state.objects.get(key).cloned().ok_or_else(|| not_found(key))?;
        Ok((Box::pin(std::io::Cursor::new(body)), state.notes.get(key).cloned().unwrap_or_default()))
    }

    async fn head(&self, key: &str) -> Result<Entry, VaultError> {
        let state = self.reachable(key)?;
        let body = state.objects.get(key).ok_or_else(|| not_found(key))?;
        Ok(entry(key, body))
    }

    async fn put(&self, key: &str, body: Bytes, _: &str, metadata: &BTreeMap<String, String>) -> Result<(), VaultError> {
        let mut state = self.reachable(key)?;
        state.objects.insert(key.to_owned(), body);
        state.notes.insert(key.to_owned(), metadata.clone());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), VaultError> {
        self.reachable(key)?.objects.remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, VaultError> {
        let state = self.reachable(prefix)?;
        let below = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(below.map(|(key, body)| entry(key, body)).collect())
    }

    async fn list_after(&self, prefix: &str, after: &str, most: u16) -> Result<Vec<Entry>, VaultError> {
        let below = self.list(prefix).await?;
        Ok(below.into_iter().filter(|entry| *entry.key > *after).take(most.into()).collect())
    }

    async fn presign_put(&self, put: &PutOnce<'_>) -> Result<SignedRequest, VaultError> {
        let headers = BTreeMap::from([("content-length".to_owned(), put.bytes.to_string()), ("x-amz-checksum-sha256".to_owned(), hex(&put.sha256))]);
        Ok(SignedRequest { url: format!("memory://{}", put.key), headers })
    }

    async fn presign_get(&self, get: &GetOnce<'_>) -> Result<SignedRequest, VaultError> {
        Ok(SignedRequest { url: format!("memory://{}?attachment={}&expires={}", get.key, get.file_name, get.expires.as_secs()), headers: BTreeMap::new() })
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, VaultError> {
        let state = self.reachable(prefix)?;
        let names = state.objects.keys().filter_map(|key| key.strip_prefix(prefix)?.split_once('/')).map(|(name, _)| name.to_owned());
        Ok(names.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    async fn begin_upload(&self, key: &str) -> Result<String, VaultError> {
        Ok(self.reachable(key)?.uploads.begin(key))
    }

    async fn presign_part(&self, part: &PartOnce<'_>) -> Result<SignedRequest, VaultError> {
        let PartOnce { key, upload_id, number, expires } = part;
        Ok(SignedRequest { url: format!("memory://{key}?uploadId={upload_id}&partNumber={number}&expires={}", expires.as_secs()), headers: BTreeMap::new() })
    }

    async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), VaultError> {
        let mut state = self.reachable(key)?;
        if let Some(body) = state.uploads.complete(key, upload_id, parts)? {
            state.objects.insert(key.to_owned(), body);
        }
        Ok(())
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), VaultError> {
        self.reachable(key)?.uploads.abort(key, upload_id);
        Ok(())
    }

    async fn pending_uploads(&self, prefix: &str) -> Result<Vec<PendingUpload>, VaultError> {
        Ok(self.reachable(prefix)?.uploads.pending(prefix))
    }
}

fn not_found(key: &str) -> VaultError {
    VaultError::NotFound { bucket: BUCKET.to_owned(), key: key.to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_was_put_is_read_listed_and_measured() {
        let vault = MemoryVault::default();
        vault.put("results/a/x", Bytes::from_static(b"one\ntwo\n"), "text/plain", &BTreeMap::new()).await.unwrap();
        let mut text = String::new();
        vault.get("results/a/x").await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert_eq!(vault.list("results/a/").await.unwrap(), [entry("results/a/x", &Bytes::from_static(b"one\ntwo\n"))]);
        assert_eq!(vault.list("results/b/").await.unwrap(), []);
        vault.delete("results/a/x").await.unwrap();
        vault.delete("results/a/x").await.unwrap();
        assert_eq!(vault.list("results/a/").await.unwrap(), []);
        assert_eq!(vault.head("results/a/y").await.unwrap_err().to_string(), "object s3://memory/results/a/y was not found");
    }

    #[tokio::test]
    async fn a_signed_request_takes_only_the_bytes_that_it_was_signed_for() {
        let vault = MemoryVault::default();
        let sha256: [u8; 32] = Sha256::digest(b"right").into();
        let put = PutOnce { key: "results/a/x", bytes: 5, sha256, expires: Duration::from_mins(15) };
        let request = vault.presign_put(&put).await.unwrap();
        assert!(!vault.put_signed(&request, Bytes::from_static(b"wrong")));
        assert!(vault.put_signed(&request, Bytes::from_static(b"right")));
    }

    #[tokio::test]
    async fn a_vault_that_is_down_says_so() {
        let vault = MemoryVault::default();
        vault.set_down(true);
        assert!(vault.list("").await.unwrap_err().is_transient());
    }
}
