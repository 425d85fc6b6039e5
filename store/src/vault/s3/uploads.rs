//! Uploads in parts, as S3 knows them.

use aws_sdk_s3::{
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    types::{CompletedMultipartUpload, CompletedPart, MultipartUpload},
};
use jiff::Timestamp;

use super::{
    super::{
        ASSEMBLING, Part, PartOnce, PendingUpload, SignedRequest, VaultError,
        multipart::{bare, etag_of_parts},
    },
    S3Vault, signed,
};

impl S3Vault {
    pub(super) async fn begin(&self, key: &str) -> Result<String, VaultError> {
        let answer = self.client.create_multipart_upload().bucket(&self.bucket).key(key).send().await.map_err(|e| self.error(key, &e))?;
        let nameless = || VaultError::Refused { bucket: self.bucket.clone(), key: key.to_owned(), code: "the upload has no id".to_owned() };
        answer.upload_id().map(str::to_owned).ok_or_else(nameless)
    }

    pub(super) async fn sign_part(&self, part: &PartOnce<'_>) -> Result<SignedRequest, VaultError> {
        let PartOnce { key, upload_id, number, expires } = *part;
        let request = self.signer.upload_part().bucket(&self.bucket).key(key).upload_id(upload_id).part_number(i32::from(number));
        let request = request.presigned(self.within(key, expires)?).await.map_err(|e| self.error(key, &e))?;
        Ok(signed(&request))
    }

    pub(super) async fn complete(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), VaultError> {
        let named = parts.iter().map(|part| CompletedPart::builder().part_number(i32::from(part.number)).e_tag(&part.etag).build()).collect();
        let whole = CompletedMultipartUpload::builder().set_parts(Some(named)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id).multipart_upload(whole);
        // A second attempt would have the server copy all of it a second time, beside the first.
        let patient = Builder::new().timeout_config(TimeoutConfig::builder().read_timeout(ASSEMBLING).build()).retry_config(RetryConfig::disabled());
        let answer = match request.customize().config_override(patient).send().await.map_err(|e| self.error(key, &e)) {
            // Some servers look at the parts before they look for the upload.
            Err(refused @ VaultError::Refused { .. }) => Err(self.require_upload(key, upload_id).await.err().unwrap_or(refused)),
            answer => answer,
        };
        match answer {
            Ok(_) => Ok(()),
            // The server has forgotten the upload: because it never was, or because it is completed. What lies there tells.
            Err(error @ VaultError::NotFound { .. }) => {
                if self.is_made_of(key, parts).await? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Fails where the server knows no such upload.
    async fn require_upload(&self, key: &str, upload_id: &str) -> Result<(), VaultError> {
        let request = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(upload_id).max_parts(1);
        request.send().await.map(|_| ()).map_err(|e| self.error(key, &e))
    }

    /// Whether the object that lies under a key is what these parts make.
    async fn is_made_of(&self, key: &str, parts: &[Part]) -> Result<bool, VaultError> {
        let Some(made) = etag_of_parts(parts) else { return Ok(false) };
        match self.client.head_object().bucket(&self.bucket).key(key).send().await.map_err(|e| self.error(key, &e)) {
            Ok(there) => Ok(there.e_tag().map(bare) == Some(&*made)),
            Err(VaultError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), VaultError> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id);
        match request.send().await.map_err(|e| self.error(key, &e)) {
            Ok(_) | Err(VaultError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pending(&self, prefix: &str) -> Result<Vec<PendingUpload>, VaultError> {
        let (mut pending, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
            let page = request.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await.map_err(|e| self.error(prefix, &e))?;
            pending.extend(page.uploads().iter().filter_map(upload));
            key_marker = page.next_key_marker().filter(|marker| !marker.is_empty()).map(str::to_owned);
            id_marker = page.next_upload_id_marker().filter(|marker| !marker.is_empty()).map(str::to_owned);
            // Without a place to go on from, going on would begin anew.
            if page.is_truncated() != Some(true) || key_marker.is_none() {
                return Ok(pending);
            }
        }
    }
}

fn upload(known: &MultipartUpload) -> Option<PendingUpload> {
    let begun = known.initiated().and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok());
    Some(PendingUpload { key: known.key()?.to_owned(), upload_id: known.upload_id()?.to_owned(), begun })
}
