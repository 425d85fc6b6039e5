//! `junit.xml`: the verdict for build servers, one case for each check and one for the verdict itself. Only a run that
//! has passed is green: what could not be decided is an error there, never a skipped case.

use std::fmt::Write as _;

use crucible_crds::{Check, Outcome, Owner};

use super::Report;

pub(super) fn suite(report: &Report<'_>) -> String {
    let Report { plan, verdict, summary, .. } = report;
    let broken = verdict.checks.iter().filter(|check| check.decided && !check.held).count();
    let open = verdict.checks.iter().filter(|check| !check.decided).count();
    let (failed, erred) = match verdict.outcome {
        Outcome::Passed => (0, 0),
        Outcome::Failed => (1, 0),
        Outcome::Inconclusive | Outcome::Invalid | Outcome::Aborted | Outcome::HarnessError => (0, 1),
    };
    let seconds: f64 = summary.stages.iter().map(|row| row.seconds).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\">\n",
        text(&plan.run.id),
        verdict.checks.len() + 1,
        broken + failed,
        open + erred
    );
    let word = verdict.outcome.as_str();
    let reasons = verdict.reasons.join("\n");
    case(&mut xml, &plan.plan_name, "verdict", if failed > 0 { "failure" } else { "error" }, (failed + erred > 0).then_some((word, reasons)));
    for Check { name, limit, observed, held, decided, owner } in &verdict.checks {
        let class = match owner {
            Owner::Sut => "system under test",
            Owner::Harness => "harness",
            Owner::Environment => "environment",
        };
        let message = format!("observed {observed}, the limit is {limit}");
        match (decided, held) {
            (true, true) => case(&mut xml, class, name, "failure", None),
            (true, false) => case(&mut xml, class, name, "failure", Some(("broken", message))),
            (false, _) => case(&mut xml, class, name, "error", Some(("undecided", message))),
        }
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn case(xml: &mut String, class: &str, name: &str, element: &str, problem: Option<(&str, String)>) {
    // Writing into memory does not fail.
    let _ = match problem {
        None => writeln!(xml, "  <testcase classname=\"{}\" name=\"{}\"/>", text(class), text(name)),
        Some((kind, message)) => {
            let (class, name, message) = (text(class), text(name), text(&message));
            writeln!(xml, "  <testcase classname=\"{class}\" name=\"{name}\"><{element} type=\"{kind}\" message=\"{message}\"/></testcase>")
        }
    };
}

/// A text as data. Characters that XML cannot hold are replaced.
fn text(from_outside: &str) -> String {
    let mut safe = String::with_capacity(from_outside.len());
    for character in from_outside.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' => safe.push_str("&#10;"),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
