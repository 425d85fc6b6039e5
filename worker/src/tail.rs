//! What k6 writes to its two pipes: cut into lines of bounded length, the last ones kept for messages, some of them
//! passed on to our own log. Secrets are struck out first.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many lines are kept.
const KEPT: usize = 50;
/// The longest line, in bytes.
const LONGEST: usize = 500;
/// How many lines are passed on at once, and how many more each second.
const BURST: u32 = 100;
const PER_SECOND: u32 = 20;

/// Texts that must never be shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These texts; those too short to be told from ordinary words are left out.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self(texts.into_iter().map(|text| text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| text.len() >= 4).collect())
    }

    /// The text without any of them.
    #[must_use]
    pub fn strike_out(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| if text.contains(secret) { text.replace(secret, "***") } else { text })
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Cuts bytes into lines without ever holding more than one of bounded length.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes more bytes in.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LONGEST - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                self.end(&mut each);
            }
        }
    }

    /// Hands out what there is of the last line.
    pub fn end(&mut self, mut each: impl FnMut(String)) {
        if !self.line.is_empty() {
            each(String::from_utf8_lossy(&self.line).into_owned());
            self.line.clear();
        }
    }
}

/// The last lines, and the valve towards our own log.
#[derive(Debug)]
pub struct Tail {
    secrets: Secrets,
    lines: VecDeque<String>,
    valve: Valve,
}

impl Tail {
    /// An empty one.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, lines: VecDeque::with_capacity(KEPT), valve: Valve::new(Instant::now()) }
    }

    /// Adds a line.
    pub fn add(&mut self, line: String) {
        let line = self.secrets.strike_out(line);
        if let Some(suppressed) = self.valve.pass(Instant::now()) {
            tracing::info!(target: "k6", suppressed, "{line}");
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// Lets a burst through, then a few lines a second.
#[derive(Debug)]
struct Valve {
    since: Instant,
    left: u32,
    suppressed: u64,
}

impl Valve {
    fn new(now: Instant) -> Self {
        Self { since: now, left: BURST, suppressed: 0 }
    }

    /// How many lines were suppressed since the last one that passed, where this one passes.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        let seconds = u32::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.since += Duration::from_secs(u64::from(seconds));
            self.left = self.left.saturating_add(seconds.saturating_mul(PER_SECOND)).min(BURST);
        }
        if self.left == 0 {
            self.suppressed += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_cut_off() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.feed(b"one\ntw", |line| seen.push(line));
        lines.feed(b"o\n\n", |line| seen.push(line));
        lines.feed(&vec![b'x'; 100_000], |line| seen.push(line));
        lines.feed(b"\nend", |line| seen.push(line));
        lines.end(|line| seen.push(line));
        assert_eq!(seen, ["one", "two", &"x".repeat(LONGEST), "end"]);
    }

    #[test]
    fn a_secret_is_struck_out_wherever_it_stands() {
        let secrets = Secrets::new(["hunter2!\n".to_owned(), "abc".to_owned()]);
        assert_eq!(secrets.strike_out("dsn user:hunter2!@tcp abc".to_owned()), "dsn user:***@tcp abc");
        assert_eq!(format!("{secrets:?}"), "1 secrets");
    }

    #[test]
    fn a_flood_is_reduced_to_a_few_lines_a_second_and_counted() {
        let begin = Instant::now();
        let mut valve = Valve::new(begin);
        assert_eq!((0..1000).filter(|_| valve.pass(begin).is_some()).count(), 100);
        let later = begin + Duration::from_secs(2);
        assert_eq!(valve.pass(later), Some(900));
        assert_eq!((0..1000).filter(|_| valve.pass(later).is_some()).count(), 39);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut tail = Tail::new(Secrets::default());
        (0..120).for_each(|number| tail.add(number.to_string()));
        let lines = tail.last_lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[49].as_str()), (50, "70", "119"));
    }
}
