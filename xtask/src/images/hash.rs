//! SHA-256 by the program that every Debian has: it uses the processor's own instructions, which an unoptimised build of ours would not.

use std::path::Path;

use anyhow::{Context, Result};

use crate::program;

/// The hash of a file's content, in hexadecimal.
pub fn hash_file(file: &Path) -> Result<String> {
    first_word(&program::output(program::command("sha256sum").arg("--binary").arg(file))?)
}

/// The hash of a text, in hexadecimal.
pub fn hash_text(text: &str) -> Result<String> {
    first_word(&program::output_with_input(&mut program::command("sha256sum"), text)?)
}

fn first_word(said: &str) -> Result<String> {
    // A backslash before the hash marks a file name that had to be escaped.
    let hash = said.split_whitespace().next().context("sha256sum said nothing")?;
    Ok(hash.trim_start_matches('\\').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_known_one() {
        assert_eq!(hash_text("").unwrap(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
