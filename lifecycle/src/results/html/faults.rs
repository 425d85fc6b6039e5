//! What was broken while the load was on: where it stands in every chart over time, and how well the system took it.

use super::{
    chart::{Stretch, clock},
    markup::{Column, TableRow, grouped, section, table, text},
    rows,
};
use crate::results::{FaultFact, Part, Recovery, Report, Resilience, Window, WindowRow, resilience};

/// The times in which faults were on, for the charts.
pub(super) fn stretches(report: &Report<'_>) -> Vec<Stretch> {
    let stretch = |fact: &FaultFact| {
        let from = fact.from?.max(0.0);
        Some(Stretch { from, to: fact.to.unwrap_or(from).max(from), name: fact.name.clone() })
    };
    report.facts.faults.iter().filter_map(stretch).collect()
}

/// The section of the faults; nothing where the plan has none.
pub(super) fn section_of(report: &Report<'_>) -> String {
    let Report { plan, summary, facts, .. } = report;
    if facts.faults.is_empty() {
        return String::new();
    }
    let numbers = resilience(plan, summary, &facts.faults);
    let row = |fact: &FaultFact| row(fact, numbers.iter().find(|one| one.fault == fact.name));
    let head = [
        Column("fault", false),
        Column("injected", false),
        Column("on from", true),
        Column("healed", true),
        Column("first error after", true),
        Column("longest gap", true),
        Column("errors", true),
        Column("new connections", true),
        Column("recovered", true),
    ];
    let intro = "<p class=\"soft\">Recovered is when throughput and p99 were back within a tenth of what they were before the fault, counted from the healing. \
                 The longest gap is the longest time in which no query was answered.</p>\n";
    let content =
        intro.to_owned() + &table("What was broken, and how well the system took it", &head, facts.faults.iter().map(row)) + &windows(&summary.windows);
    section("faults", "Faults", &content)
}

fn row(fact: &FaultFact, numbers: Option<&Resilience>) -> TableRow {
    let FaultFact { name, kind, confirmed, targets, from, to, message } = fact;
    let none = || "–".to_owned();
    let at = |seconds: &Option<f64>| seconds.map_or_else(none, |seconds| clock(std::time::Duration::from_secs_f64(seconds.max(0.0)).as_secs()));
    let lasting = |seconds: f64| format!("{seconds:.1} s");
    let injected = match confirmed {
        true if *targets == 1 => "<span class=\"mark good\">✓ 1 target</span>".to_owned(),
        true => format!("<span class=\"mark good\">✓ {targets} targets</span>"),
        false => "<span class=\"mark open\">? not confirmed</span>".to_owned(),
    };
    let message = message.as_deref().map(|message| format!("<br><span class=\"soft\">{}</span>", text(message))).unwrap_or_default();
    let recovered = match numbers.map(|numbers| numbers.recovery) {
        Some(Recovery::After(seconds)) => format!("after {}", lasting(seconds)),
        Some(Recovery::NotWithin(seconds)) => format!("<span class=\"mark bad\">✗ not within {}</span>", lasting(seconds)),
        Some(Recovery::Unknown) => "not known".to_owned(),
        None => none(),
    };
    TableRow {
        class: if *confirmed { "" } else { "open" },
        cells: vec![
            format!("{}<br><span class=\"soft\">{}</span>", text(name), text(kind)),
            injected + &message,
            at(from),
            at(to),
            numbers.and_then(|numbers| numbers.time_to_first_error).map_or_else(none, lasting),
            numbers.map_or_else(none, |numbers| lasting(numbers.longest_gap)),
            numbers.map_or_else(none, |numbers| grouped(numbers.errors.values().sum())),
            numbers.map_or_else(none, |numbers| grouped(numbers.reconnects)),
            recovered,
        ],
    }
}

/// What was measured while each fault was on, and after it.
fn windows(windows: &[WindowRow]) -> String {
    if windows.is_empty() {
        return String::new();
    }
    let name = |Window { fault, part, from, to }: &Window| {
        let when = format!("{} to {}", clock(*from), clock(*to));
        match part {
            Part::Fault => format!("{fault} on, {when}"),
            Part::Recovery => format!("after {fault}, {when}"),
        }
    };
    rows::rows("While each fault was on, and after it; all queries together", windows.iter().map(|one| (name(&one.window), &one.row)))
}
