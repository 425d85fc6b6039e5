//! Objects of the bucket that are read whole, within bounds.

use std::collections::BTreeMap;

use crucible_store::{Vault, VaultError};
use tokio::io::AsyncReadExt;

use crate::error::ApiError;

/// The bytes of an object, where it is there. One that is larger than `most` is not read to its end.
pub async fn read(vault: &dyn Vault, key: &str, most: u64) -> Result<Option<Vec<u8>>, ApiError> {
    Ok(read_noted(vault, key, most).await?.map(|(bytes, _)| bytes))
}

/// The same, with the metadata that it was stored with.
pub async fn read_noted(vault: &dyn Vault, key: &str, most: u64) -> Result<Option<(Vec<u8>, BTreeMap<String, String>)>, ApiError> {
    let (object, notes) = match vault.get_noted(key).await {
        Ok(found) => found,
        Err(VaultError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    let broken = |error: std::io::Error| ApiError::Unavailable { what: "object storage", cause: format!("{key} broke off: {error}") };
    object.take(most + 1).read_to_end(&mut bytes).await.map_err(broken)?;
    if bytes.len() as u64 > most {
        return Err(ApiError::Wrong(vec![format!("'{key}' is larger than {most} bytes")]));
    }
    Ok(Some((bytes, notes)))
}
