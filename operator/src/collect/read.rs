//! Reads what workers handed in, and makes sure that it is what they handed in.

use crucible_lifecycle::contract::ResultFile;
use crucible_store::{Vault, vault::ObjectReader};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

use super::Error;

/// No line of a log is longer: a full histogram of three digits stays far below it.
const LONGEST_LINE: u64 = 1024 * 1024;
/// No file of error samples is longer.
const LONGEST_FILE: u64 = 8 * 1024 * 1024;

/// The lines of one log, as they arrive. When the last one was read, length and checksum have been compared.
pub(super) struct Lines {
    key: String,
    expected: ResultFile,
    reader: ObjectReader,
    digest: Sha256,
    bytes: u64,
    line: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(super) async fn open(vault: &dyn Vault, key: String, expected: &ResultFile) -> Result<Self, Error> {
        let reader = vault.get(&key).await?;
        Ok(Self { key, expected: expected.clone(), reader, digest: Sha256::new(), bytes: 0, line: Vec::new(), ended: false })
    }

    /// The next line without its end; nothing after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.line.clear();
        let limited = &mut (&mut self.reader).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut self.line).await.map_err(|source| Error::Read { key: self.key.clone(), source })?;
        if read == 0 {
            self.ended = true;
            return verify(&self.key, &self.expected, self.bytes, &self.digest.clone().finalize()).map(|()| None);
        }
        if read as u64 == LONGEST_LINE {
            return Err(self.corrupt("a line is too long"));
        }
        self.bytes += read as u64;
        self.digest.update(&self.line);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = std::str::from_utf8(line).map_err(|_| self.corrupt("it is not text"))?;
        Ok(Some(text.to_owned()))
    }

    fn corrupt(&self, problem: &str) -> Error {
        Error::Corrupt { key: self.key.clone(), problem: problem.to_owned() }
    }
}

/// A small file as a whole, verified.
pub(super) async fn whole(vault: &dyn Vault, key: String, expected: &ResultFile) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = vault.get(&key).await?.take(LONGEST_FILE).read_to_end(&mut bytes).await;
    read.map_err(|source| Error::Read { key: key.clone(), source })?;
    verify(&key, expected, bytes.len() as u64, &Sha256::digest(&bytes))?;
    Ok(bytes)
}

/// SHA-256 in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    hex_of(&Sha256::digest(bytes))
}

fn hex_of(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn verify(key: &str, expected: &ResultFile, bytes: u64, digest: &[u8]) -> Result<(), Error> {
    if bytes != expected.bytes {
        return Err(Error::Corrupt { key: key.to_owned(), problem: format!("it has {bytes} bytes instead of {}", expected.bytes) });
    }
    if hex_of(digest) != expected.sha256.to_ascii_lowercase() {
        return Err(Error::Corrupt { key: key.to_owned(), problem: "its checksum differs".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use crucible_store::vault::MemoryVault;

    use super::*;

    async fn read_all(stored: &'static str, expected: ResultFile) -> Result<Vec<String>, String> {
        let vault = MemoryVault::default();
        vault.put("results/a/x", Bytes::from_static(stored.as_bytes()), "text/plain", &BTreeMap::new()).await.unwrap();
        let mut lines = Lines::open(&vault, "results/a/x".to_owned(), &expected).await.unwrap();
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.map_err(|error| error.to_string())? {
            read.push(line);
        }
        Ok(read)
    }

    fn file(bytes: u64, sha256: &str) -> ResultFile {
        ResultFile { name: "x".to_owned(), bytes, sha256: sha256.to_owned() }
    }

    const ONE_TWO: &str = "68409fc4c73cde6454b42c9be5e9c8c6da9ff3da86ab0bb21a2ef3e79d4af8a0";

    #[tokio::test]
    async fn a_log_is_read_line_by_line_and_compared_at_its_end() {
        let digest = hex(b"one\ntwo");
        assert_eq!(read_all("one\ntwo", file(7, &digest)).await, Ok(vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(read_all("one\ntwo", file(8, &digest)).await, Err("failed to verify results/a/x: it has 7 bytes instead of 8".to_owned()));
        assert_eq!(read_all("one\ntwo", file(7, ONE_TWO)).await, Err("failed to verify results/a/x: its checksum differs".to_owned()));
    }
}
