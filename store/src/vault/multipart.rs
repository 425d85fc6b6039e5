//! Objects that arrive in parts: what both vaults know of an upload.

use std::time::Duration;

use jiff::Timestamp;
use md5::{Digest, Md5};

/// What a signed request may store: one part of one upload.
#[derive(Clone, Copy, Debug)]
pub struct PartOnce<'a> {
    /// The object's key.
    pub key: &'a str,
    /// The id of the upload.
    pub upload_id: &'a str,
    /// The part's number, 1 to 10,000.
    pub number: u16,
    /// For how long the request may be used.
    pub expires: Duration,
}

/// A part that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, 1 to 10,000.
    pub number: u16,
    /// What the server called its content when it was stored.
    pub etag: String,
}

/// An upload that was begun and is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingUpload {
    /// The key of the object that it will be.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// When it was begun, where the server says so.
    pub begun: Option<Timestamp>,
}

/// What servers call the object that these parts make: MD5 over the MD5 of each, and how many there are. Nothing where a
/// part's name is no MD5, as with some ways of encrypting.
pub(super) fn etag_of_parts(parts: &[Part]) -> Option<String> {
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by_key(|part| part.number);
    let mut digest = Md5::new();
    for part in &parts {
        digest.update(bare(&part.etag).as_bytes().chunks(2).map(hex_byte).collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 16)?);
    }
    Some(format!("{}-{}", to_hex(&digest.finalize()), parts.len()))
}

/// What servers call the content of one part.
pub(super) fn etag_of(content: &[u8]) -> String {
    format!("\"{}\"", to_hex(&Md5::digest(content)))
}

/// An etag without its quotes.
pub(super) fn bare(etag: &str) -> &str {
    etag.trim_matches('"')
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(high)? << 4 | value(low)?)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u16, etag: &str) -> Part {
        Part { number, etag: etag.to_owned() }
    }

    #[test]
    fn the_name_of_an_object_follows_from_the_names_of_its_parts() {
        // MD5 of "a" and of "b"; then of the 32 bytes of both.
        let (a, b) = ("0cc175b9c0f1b6a831c399e269772661", "\"92eb5ffee6ae2fec3ad71c777531578f\"");
        assert_eq!(etag_of(b"a"), format!("\"{a}\""));
        assert_eq!(etag_of_parts(&[part(1, a), part(2, b)]).as_deref(), Some("96e024ba2074fe77e8e965ba43a704be-2"));
        assert_eq!(etag_of_parts(&[part(2, b), part(1, a)]), etag_of_parts(&[part(1, a), part(2, b)]));
    }

    #[test]
    fn what_is_no_md5_says_nothing() {
        for etag in ["", "x", "0cc175b9", "zcc175b9c0f1b6a831c399e269772661"] {
            assert_eq!(etag_of_parts(&[part(1, etag)]), None, "{etag}");
        }
    }
}
