//! What stands behind the numbers: the workers, what errors looked like, and what exactly was run.

use super::markup::{Column, TableRow, folded, grouped, section, shortened, table, text};
use crate::{
    comparison::arms_in_words,
    contract::Query,
    latency::human,
    load::{arrivals_in_words, stages_in_words},
    results::{Report, SampleGroup, WorkerRow},
};

/// The most workers, samples and queries that are listed.
const MOST_WORKERS: usize = 40;
const MOST_SAMPLES: usize = 50;
const MOST_QUERIES: usize = 64;
/// The most characters of a query's text.
const LONGEST_SQL: usize = 2000;

/// The section of the workers: what each one did, the farthest from the others first.
#[expect(clippy::cast_precision_loss, reason = "shares for people")]
pub(super) fn workers(report: &Report<'_>) -> String {
    let Report { summary, facts, .. } = report;
    let total: u64 = summary.workers.iter().map(WorkerRow::ended).sum();
    let fair = total as f64 / (summary.workers.len().max(1)) as f64;
    let off = |row: &WorkerRow| if fair > 0.0 { row.ended() as f64 / fair - 1.0 } else { 0.0 };
    let mut rows: Vec<(usize, &WorkerRow)> = summary.workers.iter().enumerate().collect();
    rows.sort_by(|(_, one), (_, other)| off(other).abs().total_cmp(&off(one).abs()));
    let left_out = rows.len().saturating_sub(MOST_WORKERS);
    rows.truncate(MOST_WORKERS);
    let skew = facts
        .start_skew_micros
        .map_or_else(|| "their start skew is not known".to_owned(), |micros| format!("they started within {}", human(micros.unsigned_abs())));
    let busiest =
        facts.worker_cpu_share.map_or_else(|| "how busy they were is not known".to_owned(), |share| format!("the busiest used {share:.2} of one processor"));
    let facts = format!("Results of {} of {} workers; {skew}; {busiest}.", facts.merged_workers, facts.expected_workers);
    let row = |(index, row): &(usize, &WorkerRow)| {
        TableRow::from(vec![
            format!("worker {index}"),
            grouped(row.ok),
            grouped(row.failures),
            format!("{:+.1} %", off(row) * 100.0),
            row.last_second.map_or_else(|| "–".to_owned(), |second| format!("{second} s")),
        ])
    };
    let head = [Column("worker", false), Column("answered", true), Column("errors", true), Column("off the mean", true), Column("last query after", true)];
    let caption = if left_out > 0 { format!("The {MOST_WORKERS} farthest from the mean; {left_out} more") } else { "Farthest from the mean first".to_owned() };
    section("workers", "Workers", &format!("<p>{}</p>\n{}", text(&facts), table(&caption, &head, rows.iter().map(row))))
}

/// The section of the error samples.
pub(super) fn samples(report: &Report<'_>) -> String {
    if report.samples.is_empty() {
        let failed = report.summary.stages.iter().any(|row| row.failures() > 0);
        let said = if failed { "Queries failed, but no sample of an error was kept." } else { "No query failed." };
        return section("samples", "Error samples", &format!("<p>{said}</p>\n"));
    }
    let row = |group: &SampleGroup| {
        let SampleGroup { query, class, code, message, count, first_second, first_worker } = group;
        TableRow::from(vec![
            text(query),
            text(class),
            text(code),
            grouped(*count),
            format!("{first_second} s, worker {first_worker}"),
            format!("<code>{}</code>", text(message)),
        ])
    };
    let head = [
        Column("query", false),
        Column("class", false),
        Column("code", false),
        Column("sampled", true),
        Column("first after", false),
        Column("message", false),
    ];
    let left_out = report.samples.len().saturating_sub(MOST_SAMPLES);
    let caption = if left_out > 0 { format!("The most frequent; {left_out} more kinds are in results.json") } else { "The most frequent first".to_owned() };
    section("samples", "Error samples", &table(&caption, &head, report.samples.iter().take(MOST_SAMPLES).map(row)))
}

/// The section that says what was run, and how to run it again.
pub(super) fn identity(report: &Report<'_>) -> String {
    let Report { plan, facts, collected_at, .. } = report;
    let target = &plan.spec.target;
    let load = &plan.spec.load;
    let tls = match target.tls.mode {
        crucible_crds::test_plan::TlsMode::Verify => "encrypted, certificate checked",
        crucible_crds::test_plan::TlsMode::InsecureSkipVerify => "encrypted, certificate not checked",
        crucible_crds::test_plan::TlsMode::Disable => "not encrypted",
    };
    let rows = [
        ("run", format!("{}/{} ({})", plan.run.namespace, plan.run.name, plan.run.uid)),
        ("plan", format!("{}, generation {}", plan.plan_name, plan.plan_generation)),
        ("plan digest", plan.digest.clone()),
        ("target", format!("{} at {}, database {}", target.engine.as_str(), target.endpoint, target.database)),
        ("version", facts.server_version.clone().unwrap_or_else(|| "not known".to_owned())),
        ("connections", tls.to_owned()),
        ("load", format!("{} workers: {}{}", load.workers, stages_in_words(&plan.spec), arrivals_in_words(load))),
        ("arms", arms_in_words(&plan.arms)),
        ("query time-out", load.query_timeout.to_string()),
        ("collected at", format!("{collected_at:.0}")),
    ];
    let rows = rows.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| TableRow::from(vec![(*name).to_owned(), text(value)]));
    let again = format!(
        "kubectl create -n {} -f - <<EOF\napiVersion: crucible.dev/v1alpha1\nkind: TestRun\nmetadata: {{generateName: {}-}}\nspec: {{planRef: {{name: {}}}}}\nEOF",
        plan.run.namespace, plan.plan_name, plan.plan_name
    );
    let content = table("What was run", &[Column("", false), Column("", false)], rows)
        + &folded("Run it again", &format!("<p>The plan may have changed since; the digest above tells.</p><pre>{}</pre>", text(&again)))
        + &folded(&format!("The {} queries", plan.queries.len()), &queries(&plan.queries));
    section("identity", "What was run", &content)
}

fn queries(queries: &[Query]) -> String {
    let one = |query: &Query| {
        format!("<h3>{} <span class=\"soft\">weight {}</span></h3><pre>{}</pre>\n", text(&query.name), query.weight, text(&shortened(&query.sql, LONGEST_SQL)))
    };
    let left_out = queries.len().saturating_sub(MOST_QUERIES);
    let more = if left_out > 0 { format!("<p>{left_out} more are in the frozen plan.</p>\n") } else { String::new() };
    queries.iter().take(MOST_QUERIES).map(one).collect::<String>() + &more
}
