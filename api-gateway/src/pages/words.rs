//! Times, figures and phases as people read them.

use crucible_crds::{Outcome, Phase};
use crucible_lifecycle::results::pieces::{class, in_words, mark, markup};
use jiff::{Timestamp, Unit};

/// How long ago something was: `42 s`, `3 min`, `5 h`, `12 d`.
pub fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An instant as people write it, in UTC, as markup that a program can read as well.
pub fn instant(at: Timestamp) -> String {
    let at = at.round(Unit::Second).unwrap_or(at);
    format!("<time datetime=\"{at}\">{}</time>", at.strftime("%Y-%m-%d %H:%M:%S UTC"))
}

/// How long ago something was, as markup.
pub fn aged(now: Timestamp, at: Timestamp) -> String {
    format!("<time datetime=\"{at:.0}\" title=\"{}\">{}</time>", at.strftime("%Y-%m-%d %H:%M:%S UTC"), age(now, at))
}

/// A phase as people write it.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::WaitingRoom => "Waiting room",
        Phase::Pending | Phase::Queued | Phase::Loading | Phase::Executing | Phase::Collecting | Phase::Stopping | Phase::Completed | Phase::Failed => {
            phase.as_str()
        }
    }
}

/// An outcome with its sign and colour, as markup.
pub fn outcome(outcome: Outcome) -> String {
    format!("<span class=\"mark {}\">{} {}</span>", class(outcome), mark(outcome), in_words(outcome))
}

/// Queries per second as status has them, with their thousands apart.
pub fn rate(said: &str) -> String {
    said.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0).map_or_else(|| markup::text(said), markup::rate)
}

/// A latency or a share as status has it: a number and its unit are two words.
pub fn figure(said: &str) -> String {
    let unit = said.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(said.len());
    let (number, unit) = said.split_at(unit);
    let unit = if unit == "us" { "µs" } else { unit };
    if number.is_empty() || unit.is_empty() { markup::text(said) } else { format!("{}\u{202f}{}", markup::text(number), markup::text(unit)) }
}

/// A size in bytes.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit < UNITS.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    let unit = UNITS.get(unit - 1).copied().unwrap_or_default();
    if whole < 10 { format!("{whole}.{} {unit}", rest * 10 / 1024) } else { format!("{} {unit}", markup::grouped(whole)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let at = |seconds| age(Timestamp::from_second(seconds).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!([-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(at), ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }

    #[test]
    fn figures_of_status_are_set_apart_from_their_units() {
        assert_eq!(["850us", "3.21ms", "1.20s", "0.12%"].map(figure), ["850\u{202f}µs", "3.21\u{202f}ms", "1.20\u{202f}s", "0.12\u{202f}%"]);
        assert_eq!(["", "no data", "<b>"].map(figure), ["", "no data", "&lt;b&gt;"]);
        assert_eq!(["1234567.8", "9.96", "<b>", "NaN"].map(rate), ["1,234,568", "10.0", "&lt;b&gt;", "NaN"]);
    }

    #[test]
    fn a_size_has_two_digits_at_least_where_it_has_a_unit() {
        assert_eq!([0, 1023, 1024, 10 * 1024, 1_500_000, u64::MAX].map(size), ["0 B", "1023 B", "1.0 KiB", "10 KiB", "1.4 MiB", "16,383 PiB"]);
    }
}
