//! Tokens of a file, kept as hashes: whoever reads the file can use none of them.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::UserInfo;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Caller;

/// One entry of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// SHA-256 of the token, in 64 hex digits. Tokens are random; a password that somebody made up does not belong here.
    pub sha256: String,
    /// Who the token stands for.
    pub user: String,
    /// The groups that they belong to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("failed to read tokens from {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is no list of tokens.
    #[error("failed to understand the tokens in {}: {reason}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Whose tokens are whose.
pub struct StaticTokens(Vec<([u8; 32], Caller)>);

impl StaticTokens {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, TokensError> {
        let text = std::fs::read_to_string(file).map_err(|source| TokensError::Read { file: file.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| TokensError::Format { file: file.to_owned(), reason })
    }

    /// Understands a file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known: Vec<Known> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if known.is_empty() {
            return Err("there is none, so nobody could ever come in".to_owned());
        }
        let entry = |known: Known| {
            let Known { sha256, user, groups } = known;
            let hash = digest(&sha256).ok_or_else(|| format!("the sha256 of {user} is not 64 hex digits"))?;
            if user.is_empty() {
                return Err("a token stands for nobody".to_owned());
            }
            Ok((hash, Caller::of(UserInfo { username: Some(user), groups: Some(groups), ..UserInfo::default() })))
        };
        known.into_iter().map(entry).collect::<Result<_, String>>().map(Self)
    }

    /// Whose token it is. Every entry is compared to its end, so that the time tells nothing.
    pub(super) fn caller(&self, token: &str) -> Option<Caller> {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for (hash, caller) in &self.0 {
            let difference = hash.iter().zip(given).fold(0, |all, (left, right)| all | (left ^ right));
            if difference == 0 {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The SHA-256 of `swordfish`.
    const FILE: &str = "- {sha256: b9f195c5cc7ef6afadbfbc42892ad47d3b24c6bc94bb510c4564a90a14e8b799, user: anna, groups: [testers]}\n";

    #[test]
    fn a_token_is_found_by_its_hash() {
        let tokens = StaticTokens::parse(FILE).unwrap();
        assert_eq!(tokens.caller("swordfish").unwrap().user(), "anna");
        assert_eq!(tokens.caller("swordfish "), None);
        assert_eq!(tokens.caller(""), None);
    }

    #[test]
    fn a_file_that_lets_nobody_in_or_hides_a_mistake_is_refused() {
        let table = ["[]", "- {sha256: abc, user: anna}", "- {user: anna}", "- {sha256: x, user: anna, group: y}", "anna", &FILE.replace("anna", "''")];
        for text in table {
            assert!(StaticTokens::parse(text).is_err(), "{text}");
        }
    }
}
