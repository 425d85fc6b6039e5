//! Paths of the gateway's routes, put together step by step, so that no name can become more than one step.

use std::fmt::Write;

/// A path with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    asks: bool,
}

impl Path {
    /// A route of ours.
    pub fn to(route: &'static str) -> Self {
        Self { text: route.to_owned(), asks: false }
    }

    /// One step down, whatever its name is made of.
    #[must_use]
    pub fn step(mut self, name: &str) -> Self {
        self.text.push('/');
        encode(name, &mut self.text);
        self
    }

    /// One question more, where there is something to ask.
    #[must_use]
    pub fn query(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.text.push(if self.asks { '&' } else { '?' });
            self.asks = true;
            self.text.push_str(key);
            self.text.push('=');
            encode(value, &mut self.text);
        }
        self
    }

    /// The path as it is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            to.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_step_and_a_question_one_value() {
        let path = Path::to("/v1/test-runs").step("a/b?c#d é").query("run_label", "x&limit=9").query("cursor", "").query("limit", "5");
        assert_eq!(path.as_str(), "/v1/test-runs/a%2Fb%3Fc%23d%20%C3%A9?run_label=x%26limit%3D9&limit=5");
    }
}
