//! The head of the page: the verdict, why, where to look next, the figures that everybody asks for, and every check.

use crucible_crds::{Check, Outcome, Owner};

use super::chart::clock;
use super::markup::{Column, TableRow, grouped, percent, rate, section, shortened, table, text};
use crate::{
    comparison::{Comparison, interval_in_words},
    latency::human,
    results::Report,
    statistics::Change,
};

/// The most reasons that stand beside the verdict; every check is in the table.
const SHOWN_REASONS: usize = 4;

/// The verdict and what led to it.
pub(super) fn head(report: &Report<'_>) -> String {
    let Report { plan, verdict, facts, .. } = report;
    let outcome = verdict.outcome;
    let reasons: Vec<String> = verdict.reasons.iter().take(SHOWN_REASONS).map(|reason| format!("<li>{}</li>", text(&sentence(reason)))).collect();
    let more = verdict.reasons.len().saturating_sub(SHOWN_REASONS);
    let more = if more > 0 { format!("<li class=\"soft\">and {more} more, all in the table of checks</li>") } else { String::new() };
    let version = facts.server_version.as_deref().map(|version| format!(" {}", shortened(version, 60))).unwrap_or_default();
    let target = &plan.spec.target;
    let began = facts.started_at.map(|at| format!(", begun {at:.0}")).unwrap_or_default();
    let label = plan.run.label.as_deref().map(|label| format!(", labelled {label}")).unwrap_or_default();
    format!(
        "<header><div class=\"verdict {}\"><h1><span class=\"word\">{} {}</span> · {}</h1>\n<p class=\"about\">{}</p>\n<ul class=\"why\">{}{more}</ul>\n<p class=\"next\">{}</p></div>\n{}</header>\n",
        class(outcome),
        mark(outcome),
        in_words(outcome),
        text(&plan.plan_name),
        text(&format!("Run {}{label}{began}, against {}{version} at {}", plan.run.id, target.engine.as_str(), target.endpoint)),
        reasons.concat(),
        next(report),
        figures(report),
    )
}

/// The colour of an outcome.
pub fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "good",
        Outcome::Failed => "bad",
        Outcome::Inconclusive | Outcome::Invalid | Outcome::Aborted | Outcome::HarnessError => "open",
    }
}

/// A sign for an outcome: colour alone tells nothing to whoever cannot see it.
pub fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "✓",
        Outcome::Failed => "✗",
        Outcome::Inconclusive => "?",
        Outcome::Invalid | Outcome::Aborted | Outcome::HarnessError => "!",
    }
}

/// An outcome as people write it.
pub fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Passed",
        Outcome::Failed => "Failed",
        Outcome::Inconclusive => "Inconclusive",
        Outcome::Invalid => "Invalid",
        Outcome::Aborted => "Aborted",
        Outcome::HarnessError => "Harness error",
    }
}

/// A reason without the word that machines know it by.
pub fn sentence(reason: &str) -> String {
    let (word, rest) = reason.split_once(": ").unwrap_or(("", reason));
    let known = !word.is_empty() && word.chars().all(|character| character.is_ascii_alphanumeric());
    with_signs(&tidy(&in_plain_words(if known { rest } else { reason })))
}

/// What begins with the name of a metric, with that as people say it.
fn in_plain_words(said: &str) -> String {
    const METRICS: [(&str, &str); 4] = [
        ("errorRate", "error rate"),
        ("recoveryTime of ", "time to recover from "),
        ("timeToFirstError of ", "time to the first error after "),
        ("longestGap of ", "longest gap after "),
    ];
    let named = METRICS.iter().find_map(|(metric, words)| Some((said.strip_prefix(metric)?, words)));
    named.map_or_else(|| said.to_owned(), |(rest, words)| format!("{words}{rest}"))
}

/// Numbers with no more digits than anybody reads: large ones in groups, shares to three digits.
fn tidy(said: &str) -> String {
    let number = |word: &str| {
        let whole = word.len() > 4 && word.bytes().all(|byte| byte.is_ascii_digit());
        let long = word.split_once('.').is_some_and(|(whole, rest)| whole == "0" && rest.len() > 4 && rest.bytes().all(|byte| byte.is_ascii_digit()));
        match (whole, long) {
            (true, _) => word.parse().map_or_else(|_| word.to_owned(), grouped),
            (false, true) => word.parse().map_or_else(|_| word.to_owned(), three_digits),
            (false, false) => word.to_owned(),
        }
    };
    said.split(' ').map(|word| word.strip_suffix(',').map_or_else(|| number(word), |word| number(word) + ",")).collect::<Vec<_>>().join(" ")
}

/// A share below one, to three digits that count.
fn three_digits(share: f64) -> String {
    let zeros = std::iter::successors(Some(share * 10.0), |share| Some(share * 10.0)).take(6).take_while(|share| *share < 1.0).count();
    format!("{share:.*}", zeros + 3)
}

/// A limit with the signs that people write.
fn with_signs(limit: &str) -> String {
    limit.replace("<= ", "≤ ").replace(">= ", "≥ ")
}

/// Where to look next, as markup: who is asked, and which section tells more.
fn next(report: &Report<'_>) -> String {
    let broken = report.verdict.checks.iter().find(|check| check.decided && !check.held);
    let slower = report.comparison.is_some_and(|comparison| comparison.change == Change::Slower);
    match report.verdict.outcome {
        Outcome::Passed => "Every check held. <a href=\"#latency\">Latency over time</a> shows how steadily.".to_owned(),
        Outcome::Failed if broken.is_some_and(|check| check.name.starts_with("slowdown")) || (broken.is_none() && slower) => {
            let who = if report.comparison.is_some_and(|comparison| comparison.arms.is_some()) { "The second arm is slower" } else { "The system under test became slower" };
            format!("{who}. Look at the <a href=\"#comparison\">comparison</a> next: it names the queries.")
        }
        Outcome::Failed if broken.is_some_and(|check| check.name.starts_with("errorRate") || check.name.starts_with("queries answered")) => {
            let when = when_failed(report).map(|when| format!(", {when}")).unwrap_or_default();
            format!("The system under test did not answer as it should. Look at the <a href=\"#samples\">error samples</a> and at <a href=\"#load\">when they came</a>{when}.")
        }
        Outcome::Failed if broken.is_some_and(|check| ["recoveryTime", "timeToFirstError", "longestGap"].iter().any(|about| check.name.starts_with(about))) => {
            "The system under test did not take a fault as it should. Look at <a href=\"#faults\">what was broken and what came of it</a> next.".to_owned()
        }
        Outcome::Failed if broken.is_some_and(|check| check.name.starts_with("invariant")) => {
            "The data is not as it has to be once the load is over. The <a href=\"#checks\">checks</a> hold what was expected and what was found.".to_owned()
        }
        Outcome::Failed => {
            "This is about the system under test. Look at <a href=\"#latency\">latency over time</a> next, then at <a href=\"#queries\">each query</a>.".to_owned()
        }
        Outcome::Invalid if broken_about(report, "achieved rate") || broken_about(report, "dropped arrivals") => {
            "The load that was asked for was not reached: with so many virtual users the system under test is too slow for it, or the load generator is. Look at <a href=\"#load\">arrivals over time</a>, then at <a href=\"#workers\">workers</a>.".to_owned()
        }
        Outcome::Invalid => {
            "The numbers below say nothing about the system under test: the load generator did not measure as it should. Look at <a href=\"#validity\">validity</a> and <a href=\"#workers\">workers</a>.".to_owned()
        }
        Outcome::Inconclusive if report.facts.faults.iter().any(|fault| !fault.confirmed) => {
            "A fault was not confirmed, so nobody can say how the system takes it. Look at the <a href=\"#faults\">faults</a> next.".to_owned()
        }
        Outcome::Inconclusive => {
            "There is too little data to decide. Measure longer, or ask less of it; the <a href=\"#checks\">checks</a> name what is open.".to_owned()
        }
        Outcome::Aborted => "The load was ended early; what was measured until then is below. Look at the <a href=\"#load\">errors over time</a>.".to_owned(),
        Outcome::HarnessError => "Crucible or the cluster failed; nothing is said about the system under test.".to_owned(),
    }
}

/// Whether the check of this name is broken.
fn broken_about(report: &Report<'_>, name: &str) -> bool {
    report.verdict.checks.iter().any(|check| check.name == name && check.decided && !check.held)
}

/// From when to when queries failed.
fn when_failed(report: &Report<'_>) -> Option<String> {
    let timeline = &report.summary.timeline;
    let mut failed = timeline.points.iter().filter(|point| !point.errors.is_empty()).map(|point| point.second);
    let first = failed.next()?;
    let last = failed.next_back().unwrap_or(first) + timeline.seconds_per_point;
    Some(format!("all of them between {} and {} after the start", clock(first), clock(last)))
}

/// The figures that everybody asks for.
fn figures(report: &Report<'_>) -> String {
    let row = &report.summary.headline;
    let latency = |of: fn(&crate::results::Latency) -> u64| row.latency.as_ref().map_or_else(|| "–".to_owned(), |latency| human(of(latency)));
    let mut figures = vec![
        ("answered per second", rate(row.throughput()), format!("{} in {:.0} s", grouped(row.ok), row.seconds)),
        ("p50", latency(|latency| latency.p50), "half were faster".to_owned()),
        ("p95", latency(|latency| latency.p95), "19 of 20 were faster".to_owned()),
        ("p99", latency(|latency| latency.p99), "99 of 100 were faster".to_owned()),
        ("errors", percent(row.error_rate()), format!("{} of {}", grouped(row.failures()), grouped(row.ended()))),
    ];
    figures.extend(report.comparison.and_then(compared));
    let items = figures.iter().map(|(name, value, about)| format!("<div><dt>{name}</dt><dd>{}<small>{}</small></dd></div>", text(value), text(about)));
    format!("<dl class=\"figures\">{}</dl>\n", items.collect::<String>())
}

fn compared(comparison: &Comparison) -> Option<(&'static str, String, String)> {
    let interval = comparison.rows.first()?.deciding(comparison.measure)?.interval?;
    let whole = interval_in_words(&interval);
    let (estimate, bounds) = whole.split_once(" (")?;
    let against = if comparison.arms.is_some() { "second arm against first" } else { "against baseline" };
    Some((against, estimate.to_owned(), format!("{} {}", comparison.measure.as_str(), bounds.trim_end_matches(')'))))
}

/// The checks of the system under test.
pub(super) fn checks(report: &Report<'_>) -> String {
    let of_the_system: Vec<&Check> = report.verdict.checks.iter().filter(|check| check.owner == Owner::Sut).collect();
    if of_the_system.is_empty() {
        return section("checks", "Checks", "<p>Nothing was checked: there are no results to check.</p>\n");
    }
    section("checks", "Checks", &check_table("What the system under test was asked for", &of_the_system))
}

/// The checks of the measurement itself.
pub(super) fn validity(report: &Report<'_>) -> String {
    let of_the_measurement: Vec<&Check> = report.verdict.checks.iter().filter(|check| check.owner != Owner::Sut).collect();
    let intro = "<p class=\"soft\">Whether the measurement is to be believed. A check that does not hold makes the run invalid, whatever was measured.</p>\n";
    section("validity", "Validity", &(intro.to_owned() + &check_table("What the measurement was asked for", &of_the_measurement)))
}

/// Checks as a table, those first that somebody has to look into.
pub fn check_table(caption: &str, checks: &[&Check]) -> String {
    // What is broken comes first, then what is open: nobody has to search for it.
    let mut sorted = checks.to_vec();
    sorted.sort_by_key(|check| match (check.decided, check.held) {
        (true, false) => 0,
        (false, _) => 1,
        (true, true) => 2,
    });
    let row = |check: &&Check| {
        let Check { name, limit, observed, held, decided, owner } = check;
        let (class, answer) = match (decided, held) {
            (true, true) => ("", "<span class=\"mark good\">✓ held</span>"),
            (true, false) => ("bad", "<span class=\"mark bad\">✗ broken</span>"),
            (false, _) => ("open", "<span class=\"mark open\">? open</span>"),
        };
        let owner = match owner {
            Owner::Sut => "system under test",
            Owner::Harness => "Crucible",
            Owner::Environment => "cluster or network",
        };
        TableRow { class, cells: vec![text(&in_plain_words(name)), answer.to_owned(), text(&tidy(observed)), text(&with_signs(limit)), owner.to_owned()] }
    };
    let head = [Column("check", false), Column("answer", false), Column("observed", true), Column("limit", true), Column("who looks into it", false)];
    table(caption, &head, sorted.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_without_the_word_for_machines() {
        assert_eq!(sentence("LimitBroken: p95 was 50.0ms, the limit is < 20ms"), "p95 was 50.0ms, the limit is < 20ms");
        assert_eq!(sentence("LimitBroken: errorRate was 0.2, the limit is <= 0.001"), "error rate was 0.2, the limit is ≤ 0.001");
        assert_eq!(sentence("TooLittleData: recoveryTime of kill was no data, the limit is < 6s"), "time to recover from kill was no data, the limit is < 6s");
        assert_eq!(sentence("no word: at all"), "no word: at all");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn numbers_have_no_more_digits_than_anybody_reads() {
        let said = ["403010 of 403010", "0.269455", "0.000703", "worker imbalance was 0.018175, the limit is", "1999", "2518.8/s", "0.0076"];
        let told = ["403,010 of 403,010", "0.269", "0.000703", "worker imbalance was 0.0182, the limit is", "1999", "2518.8/s", "0.0076"];
        assert_eq!(said.map(tidy), told);
    }
}
