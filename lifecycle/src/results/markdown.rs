//! `summary.md`: the answer in the order in which people ask: what is the verdict and why, what was measured, what went
//! wrong, and what exactly was run.

mod rounds;

use std::fmt::Write as _;

use crucible_crds::Check;

use super::{FaultFact, Latency, Recovery, Report, Resilience, Row, SampleGroup, Summary, resilience};
use crate::{
    comparison::{Comparison, Difference, Trend, arms_in_words, interval_in_words, signed_percent},
    histogram::arrivals::ArrivalCounts,
    latency::{human, human_mean},
    load::{arrivals_in_words, is_open, stages_in_words},
    statistics::bootstrap::Measure,
    verdict::{Search, Step, search},
};

/// The most error samples that are shown; all of them are in `results.json`.
const SHOWN_SAMPLES: usize = 10;

pub(super) fn summary(report: &Report<'_>) -> String {
    let Report { plan, summary, verdict, facts, samples, sources: _, comparison, trend, collected_at: _ } = report;
    let mut text = format!("# {}: {}\n\n", cell(&plan.run.id), verdict.outcome.as_str());
    for reason in &verdict.reasons {
        line(&mut text, &format!("- {}", cell(reason)));
    }
    checks(&mut text, &verdict.checks);
    if let Some(found) = search(plan, summary) {
        searched(&mut text, &found);
    }
    headline(&mut text, &summary.headline);
    if is_open(&plan.spec.load) {
        arrivals(&mut text, summary);
    }
    table(&mut text, "Queries, measured stages", "query", summary.queries.iter().map(|row| (row.query.as_deref().unwrap_or_default().to_owned(), row)));
    table(&mut text, "Stages, all queries", "stage", summary.stages.iter().map(|row| (stage_name(row), row)));
    rounds::rounds(&mut text, plan, summary);
    if !facts.faults.is_empty() {
        faults(&mut text, &facts.faults, &resilience(plan, summary, &facts.faults));
        table(
            &mut text,
            "Faults and recoveries, all queries",
            "time",
            summary
                .windows
                .iter()
                .map(|of| (format!("{} of {}, seconds {} to {}", of.window.part.as_str(), of.window.fault, of.window.from, of.window.to), &of.row)),
        );
    }
    if let Some(comparison) = comparison {
        compared(&mut text, comparison, *trend);
    }
    errors(&mut text, &summary.stages, samples);
    identity(&mut text, report);
    text
}

fn checks(text: &mut String, checks: &[Check]) {
    line(text, "\n| check | limit | observed | answer | owner |\n|---|---|---|---|---|");
    for Check { name, limit, observed, held, decided, owner } in checks {
        let answer = match (decided, held) {
            (false, _) => "undecided",
            (true, true) => "held",
            (true, false) => "**broken**",
        };
        let owner = format!("{owner:?}").to_lowercase();
        line(text, &format!("| {} | {} | {} | {answer} | {owner} |", cell(name), cell(limit), cell(observed)));
    }
}

fn headline(text: &mut String, row: &Row) {
    line(
        text,
        &format!(
            "\n## Headline\n\n{} queries answered in {:.1} s of measured load: {:.1} per second, error rate {:.4} %.",
            row.ok,
            row.seconds,
            row.throughput(),
            row.error_rate() * 100.0
        ),
    );
    if let Some(Latency { count: _, min, mean, p50, p90, p95, p99, p999, max }) = &row.latency {
        let [min, p50, p90, p95, p99, p999, max] = [min, p50, p90, p95, p99, p999, max].map(|micros| human(*micros));
        line(text, &format!("Latency: p50 {p50}, p90 {p90}, p95 {p95}, p99 {p99}, p99.9 {p999}, mean {}, from {min} to {max}.", human_mean(*mean)));
    }
}

/// What a search for the highest rate found.
fn searched(text: &mut String, found: &Search) {
    let rate = |at: Option<usize>| at.and_then(|at| found.steps.get(at)).map_or_else(|| "none".to_owned(), |step| format!("{}/s", step.rate));
    line(text, &format!("\n## Search\n\nHighest rate within the limits: **{}**. The knee is at {}.", rate(found.best), rate(found.knee)));
    line(text, "\n| step | arrivals per second | answered per second | |\n|---|---:|---:|---|");
    for Step { stage, rate, throughput, limiting } in &found.steps {
        let said = limiting.as_ref().map_or_else(|| "held".to_owned(), |limiting| limiting.what.clone());
        line(text, &format!("| {} | {rate} | {throughput:.1} | {} |", cell(stage), cell(&said)));
    }
}

/// What became of each stage's arrivals, and what waiting added to how long the system under test took.
fn arrivals(text: &mut String, summary: &Summary) {
    line(
        text,
        "\nLatencies are response times: they begin when an arrival was due.\n\n## Arrivals\n\n| stage | due | begun while it lasted | late | dropped | achieved |\n|---|---:|---:|---:|---:|---:|",
    );
    for (row, counts) in summary.stages.iter().zip(&summary.arrivals) {
        let ArrivalCounts { due, sent: _, late, behind: _, begun } = counts;
        let achieved = counts.achieved().map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", share * 100.0));
        line(text, &format!("| {} | {due} | {begun} | {late} | {} | {achieved} |", cell(&stage_name(row)), counts.dropped()));
    }
    line(text, "\n| query | response p50 | p99 | max | service p50 | p99 | max |\n|---|---:|---:|---:|---:|---:|---:|");
    for row in std::iter::once(&summary.headline).chain(&summary.queries) {
        let name = row.query.as_deref().unwrap_or("all queries");
        let times = |latency: Option<Latency>| match latency {
            Some(Latency { p50, p99, max, .. }) => [p50, p99, max].map(human).join(" | "),
            None => "– | – | –".to_owned(),
        };
        line(text, &format!("| {} | {} | {} |", cell(name), times(row.latency), times(row.service)));
    }
}

fn stage_name(row: &Row) -> String {
    let name = row.stage.as_deref().unwrap_or_default();
    if row.measured { name.to_owned() } else { format!("{name} (not measured)") }
}

fn table<'a>(text: &mut String, title: &str, first: &str, rows: impl Iterator<Item = (String, &'a Row)>) {
    line(
        text,
        &format!("\n## {title}\n\n| {first} | answered | errors | per second | p50 | p95 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"),
    );
    for (name, row) in rows {
        let shown = |of: fn(&Latency) -> u64| row.latency.as_ref().map_or_else(|| "–".to_owned(), |latency| human(of(latency)));
        line(
            text,
            &format!(
                "| {} | {} | {} | {:.1} | {} | {} | {} | {} | {} |",
                cell(&name),
                row.ok,
                row.failures(),
                row.throughput(),
                shown(|l| l.p50),
                shown(|l| l.p95),
                shown(|l| l.p99),
                shown(|l| l.p999),
                shown(|l| l.max)
            ),
        );
    }
}

/// What became of each fault, and how well the system took it.
fn faults(text: &mut String, faults: &[FaultFact], numbers: &[Resilience]) {
    line(
        text,
        "\n## Faults\n\n| fault | kind | confirmed | targets | injected | healed | first error | longest gap | errors | recovered | |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    );
    let shown = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1} s"));
    for FaultFact { name, kind, confirmed, targets, from, to, message } in faults {
        let of = numbers.iter().find(|one| one.fault == *name);
        let recovery = of.map_or_else(
            || "–".to_owned(),
            |of| match of.recovery {
                Recovery::After(seconds) => format!("{seconds:.1} s"),
                Recovery::NotWithin(seconds) => format!("not within {seconds:.1} s"),
                Recovery::Unknown => "unknown".to_owned(),
            },
        );
        line(
            text,
            &format!(
                "| {} | {} | {} | {targets} | {} | {} | {} | {} | {} | {recovery} | {} |",
                cell(name),
                cell(kind),
                if *confirmed { "yes" } else { "**no**" },
                shown(*from),
                shown(*to),
                shown(of.and_then(|of| of.time_to_first_error)),
                shown(of.map(|of| of.longest_gap)),
                of.map_or(0, |of| of.errors.values().sum::<u64>()),
                cell(message.as_deref().unwrap_or_default())
            ),
        );
    }
}

fn compared(text: &mut String, comparison: &Comparison, trend: Option<&Trend>) {
    let Comparison { asked, arms, required: _, measure, limit: _, baseline, differences, obstacle, rows, earlier: _, change } = comparison;
    line(text, &format!("\n## Comparison: {}\n", change.as_str()));
    if let Some([first, second]) = arms {
        line(text, &format!("Of arm {} with arm {}, asked in turns.", cell(second), cell(first)));
    }
    match (obstacle, baseline) {
        (None, Some(past)) => line(text, &format!("With the {} ({}), begun {}.", cell(asked), cell(&past.run_id), past.started_at)),
        (Some(obstacle), _) => line(text, &format!("Nothing was compared: {}.", cell(obstacle))),
        (None, None) => {}
    }
    for Difference { piece, baseline, candidate, expected: _ } in differences {
        line(text, &format!("- {} differs: {} then, {} now", cell(piece), cell(baseline), cell(candidate)));
    }
    if !rows.is_empty() {
        let head: Vec<&str> = Measure::ALL.iter().map(|measure| measure.as_str()).collect();
        line(text, &format!("\n| query | {} | {} decides |\n|---|---:|---:|---:|---:|---|", head.join(" | "), measure.as_str()));
    }
    for row in rows {
        let name = row.query.as_deref().unwrap_or("all queries");
        let shifts: Vec<String> =
            row.shifts.iter().map(|shift| shift.interval.map_or_else(|| "–".to_owned(), |interval| interval_in_words(&interval))).collect();
        let across =
            row.across.as_ref().map(|across| format!("; rounds {}, p = {:.3}", signed_percent(across.answer.change), across.answer.p)).unwrap_or_default();
        line(text, &format!("| {} | {} | {}{across} |", cell(name), shifts.join(" | "), row.change.as_str()));
    }
    let newest = trend.and_then(|trend| Some((trend, trend.changes.last()?)));
    if let Some((trend, point)) = newest {
        let since = trend.runs.get(point.at).map_or("", |past| &past.run_id);
        let (before, after) = (human_mean(point.before), human_mean(point.after));
        line(text, &format!("\nOver {} runs, {} last changed with run {}: from {before} to {after}.", trend.runs.len(), measure.as_str(), cell(since)));
    }
}

fn errors(text: &mut String, stages: &[Row], samples: &[SampleGroup]) {
    let any = stages.iter().any(|row| row.failures() > 0);
    line(text, "\n## Errors\n");
    if !any && samples.is_empty() {
        return line(text, "None.");
    }
    line(text, "| stage | class | errors | p50 | max |\n|---|---|---:|---:|---:|");
    for row in stages {
        for (class, latency) in &row.failed {
            line(
                text,
                &format!(
                    "| {} | {class} | {} | {} | {} |",
                    cell(row.stage.as_deref().unwrap_or_default()),
                    latency.count,
                    human(latency.p50),
                    human(latency.max)
                ),
            );
        }
    }
    if samples.is_empty() {
        return;
    }
    line(text, "\n| query | class | code | sampled | first in | message |\n|---|---|---|---:|---|---|");
    for SampleGroup { query, class, code, message, count, first_second, first_worker } in samples.iter().take(SHOWN_SAMPLES) {
        line(
            text,
            &format!("| {} | {} | {} | {count} | second {first_second}, worker {first_worker} | {} |", cell(query), cell(class), cell(code), cell(message)),
        );
    }
}

fn identity(text: &mut String, report: &Report<'_>) {
    let Report { plan, facts, collected_at, .. } = report;
    let target = &plan.spec.target;
    let rows = [
        ("run", format!("{}/{} ({})", plan.run.namespace, plan.run.name, plan.run.uid)),
        ("plan", format!("{} generation {}", plan.plan_name, plan.plan_generation)),
        ("plan digest", plan.digest.clone()),
        ("target", format!("{} at {}, database {}, TLS {:?}", target.engine.as_str(), target.endpoint, target.database, target.tls.mode)),
        ("load", format!("{} workers: {}{}", plan.spec.load.workers, stages_in_words(&plan.spec), arrivals_in_words(&plan.spec.load))),
        ("arms", arms_in_words(&plan.arms)),
        ("results of", format!("{} of {} workers", facts.merged_workers, facts.expected_workers)),
        ("collected at", collected_at.to_string()),
    ];
    line(text, "\n## What was run\n\n| | |\n|---|---|");
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        line(text, &format!("| {name} | {} |", cell(&value)));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing into memory does not fail.
    let _ = writeln!(text, "{line}");
}

/// A text as data in a table: it starts no cell, no line, no markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '`' | '*' | '[' | ']' | '\\' => safe.extend(['\\', character]),
            _ if character.is_control() => safe.push(' '),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
