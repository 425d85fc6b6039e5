//! Uploads in parts, in memory, refusing what a server refuses.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    super::{
        Part, PendingUpload, SignedRequest, VaultError,
        multipart::{bare, etag_of, etag_of_parts},
    },
    BUCKET, MemoryVault, not_found,
};

#[derive(Debug, Default)]
pub(super) struct Uploads {
    begun: usize,
    pending: BTreeMap<String, Pending>,
    /// What the parts made that an object was completed from, by its key.
    completed: BTreeMap<String, Option<String>>,
}

#[derive(Debug)]
struct Pending {
    key: String,
    begun: Option<Timestamp>,
    parts: BTreeMap<u16, Bytes>,
}

impl Uploads {
    pub(super) fn begin(&mut self, key: &str) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        self.pending.insert(id.clone(), Pending { key: key.to_owned(), begun: None, parts: BTreeMap::new() });
        id
    }

    /// The object's bytes; nothing where it was completed from these parts before.
    pub(super) fn complete(&mut self, key: &str, upload_id: &str, parts: &[Part]) -> Result<Option<Bytes>, VaultError> {
        let refused = |code: &str| VaultError::Refused { bucket: BUCKET.to_owned(), key: key.to_owned(), code: code.to_owned() };
        let made = etag_of_parts(parts);
        let Some(pending) = self.pending.get(upload_id).filter(|pending| pending.key == key) else {
            let again = made.is_some() && self.completed.get(key) == Some(&made);
            return if again { Ok(None) } else { Err(not_found(key)) };
        };
        if !parts.is_sorted_by(|left, right| left.number < right.number) {
            return Err(refused("InvalidPartOrder"));
        }
        let mut body = Vec::new();
        for Part { number, etag } in parts {
            let stored = pending.parts.get(number).filter(|stored| bare(&etag_of(stored)) == bare(etag)).ok_or_else(|| refused("InvalidPart"))?;
            body.extend_from_slice(stored);
        }
        self.pending.remove(upload_id);
        self.completed.insert(key.to_owned(), made);
        Ok(Some(Bytes::from(body)))
    }

    pub(super) fn abort(&mut self, key: &str, upload_id: &str) {
        self.pending.retain(|id, pending| id != upload_id || pending.key != key);
    }

    pub(super) fn pending(&self, prefix: &str) -> Vec<PendingUpload> {
        let below = self.pending.iter().filter(|(_, pending)| pending.key.starts_with(prefix));
        below.map(|(id, pending)| PendingUpload { key: pending.key.clone(), upload_id: id.clone(), begun: pending.begun }).collect()
    }
}

impl MemoryVault {
    /// Does what the holder of a signed request for a part does, and answers what the part's content is called from then on.
    pub fn put_part(&self, request: &SignedRequest, body: Bytes) -> Option<String> {
        let (_, query) = request.url.split_once('?')?;
        let said = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let etag = etag_of(&body);
        self.state().uploads.pending.get_mut(said("uploadId")?)?.parts.insert(said("partNumber")?.parse().ok()?, body);
        Some(etag)
    }

    /// Says when an upload was begun: time does not pass in here.
    pub fn date_upload(&self, upload_id: &str, begun: Timestamp) {
        if let Some(pending) = self.state().uploads.pending.get_mut(upload_id) {
            pending.begun = Some(begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vault::{PartOnce, Vault};

    const KEY: &str = "fixtures/shop/orders.csv";

    async fn stored(vault: &MemoryVault, upload_id: &str, number: u16, body: &'static [u8]) -> Part {
        let request = vault.presign_part(&PartOnce { key: KEY, upload_id, number, expires: Duration::from_hours(1) }).await.unwrap();
        Part { number, etag: vault.put_part(&request, Bytes::from_static(body)).unwrap() }
    }

    #[tokio::test]
    async fn parts_become_an_object_once_however_often_that_is_asked() {
        let vault = MemoryVault::default();
        let id = vault.begin_upload(KEY).await.unwrap();
        let parts = [stored(&vault, &id, 1, b"one,").await, stored(&vault, &id, 2, b"two").await];
        assert_eq!(vault.list("fixtures/").await.unwrap(), []);
        vault.complete_upload(KEY, &id, &parts).await.unwrap();
        assert_eq!(vault.objects()[KEY], "one,two");
        vault.complete_upload(KEY, &id, &parts).await.unwrap();
        assert_eq!(vault.folders("fixtures/").await.unwrap(), ["shop"]);
        assert_eq!(vault.pending_uploads("fixtures/").await.unwrap(), []);
        let other = [Part { number: 1, etag: etag_of(b"other") }];
        assert_eq!(vault.complete_upload(KEY, &id, &other).await.unwrap_err(), not_found(KEY));
    }

    #[tokio::test]
    async fn what_was_not_stored_is_not_completed() {
        let vault = MemoryVault::default();
        let id = vault.begin_upload(KEY).await.unwrap();
        let (first, second) = (stored(&vault, &id, 1, b"one").await, stored(&vault, &id, 2, b"two").await);
        let code = async |parts: &[Part]| vault.complete_upload(KEY, &id, parts).await.unwrap_err().to_string();
        assert_eq!(code(&[Part { number: 1, etag: second.etag.clone() }]).await, format!("object storage refused s3://memory/{KEY} (InvalidPart)"));
        assert_eq!(code(&[second.clone(), first.clone()]).await, format!("object storage refused s3://memory/{KEY} (InvalidPartOrder)"));
        assert!(vault.objects().is_empty());
        vault.abort_upload(KEY, &id).await.unwrap();
        vault.abort_upload(KEY, &id).await.unwrap();
        assert_eq!(vault.complete_upload(KEY, &id, &[first]).await.unwrap_err(), not_found(KEY));
    }

    #[tokio::test]
    async fn what_was_begun_and_not_ended_is_known() {
        let vault = MemoryVault::default();
        let id = vault.begin_upload(KEY).await.unwrap();
        vault.begin_upload("results/a/b").await.unwrap();
        let begun: Timestamp = "2026-03-07T00:00:00Z".parse().unwrap();
        vault.date_upload(&id, begun);
        assert_eq!(vault.pending_uploads("fixtures/").await.unwrap(), [PendingUpload { key: KEY.to_owned(), upload_id: id, begun: Some(begun) }]);
    }
}
