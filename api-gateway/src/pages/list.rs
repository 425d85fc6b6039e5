//! The list of runs, newest first: those that the cluster knows as they are right now, then those that only the ledger remembers.

use std::fmt::Write as _;

use axum::{extract::State, response::Html};
use crucible_crds::Phase;
use crucible_lifecycle::results::pieces::markup::{Column, TableRow, table, text};
use crucible_store::ledger::{Cursor, LONGEST_PAGE, ListRuns};
use serde::Deserialize;

use super::{form, frame::Frame, seen::Seen, words};
use crate::{
    error::ApiError,
    legacy::{self, RunId, read_cursor, write_cursor},
    runs::Listed,
    state::Gateway,
};

/// How many runs a page has.
const PAGE: usize = 50;
/// How many runs are looked through for one page at most.
const LOOKED_THROUGH: usize = 2_000;
/// The longest word that is searched for; no run has a longer one.
const LONGEST_WORD: usize = 256;
/// How often a browser asks again.
const SECONDS: u32 = 3;
/// The same where many runs are looked through for it.
const SECONDS_OF_A_SEARCH: u32 = 10;

/// Which runs are asked for. A form sends what is not filled in as well.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    plan: Option<String>,
    label: Option<String>,
    phase: Option<String>,
    cursor: Option<String>,
}

/// The same, understood.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    plan: Option<String>,
    label: Option<String>,
    phase: Wanted,
}

/// In which phases runs are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// In any.
    #[default]
    Any,
    /// In one that something follows.
    Live,
    /// In this one.
    One(Phase),
}

impl Wanted {
    fn of(word: &str) -> Option<Self> {
        match word {
            "" => Some(Self::Any),
            "Live" => Some(Self::Live),
            word => Phase::ALL.into_iter().find(|phase| phase.as_str() == word).map(Self::One),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Live => "Live",
            Self::One(phase) => phase.as_str(),
        }
    }
}

impl Filter {
    fn of(which: &Which) -> Result<Self, ApiError> {
        let wrong = |name: &str, what: &str| ApiError::invalid(&["query", name], what.to_owned(), "value_error");
        let word = |name: &str, given: &Option<String>| match given.as_deref().map(str::trim).filter(|word| !word.is_empty()) {
            Some(word) if word.len() > LONGEST_WORD || word.contains('\0') => Err(wrong(name, "is no word that a run could have")),
            word => Ok(word.map(str::to_owned)),
        };
        let phase = Wanted::of(which.phase.as_deref().unwrap_or_default()).ok_or_else(|| wrong("phase", "is not a phase of a run"))?;
        Ok(Self { plan: word("plan", &which.plan)?, label: word("label", &which.label)?, phase })
    }

    /// Whether the stores themselves can look for it.
    fn is_cheap(&self) -> bool {
        self.plan.is_none() && self.phase == Wanted::Any
    }

    fn wants(&self, run: &Seen) -> bool {
        let in_phase = match self.phase {
            Wanted::Any => true,
            Wanted::Live => run.is_live(),
            Wanted::One(phase) => run.phase == Some(phase),
        };
        in_phase && self.plan.as_ref().is_none_or(|plan| *plan == run.plan)
    }

    /// The address of a list like this one, from a place on.
    fn address(&self, after: Option<&Cursor>) -> String {
        let words =
            [("plan", self.plan.clone()), ("label", self.label.clone()), ("phase", Some(self.phase.word().to_owned())), ("cursor", after.map(write_cursor))];
        let words = words.iter().filter_map(|(name, word)| Some((name, word.as_ref().filter(|word| !word.is_empty())?)));
        let words: Vec<String> = words.map(|(name, word)| format!("{name}={}", form::word(word))).collect();
        if words.is_empty() { "/ui/".to_owned() } else { format!("/ui/?{}", words.join("&")) }
    }
}

/// One page of runs.
struct Found {
    runs: Vec<Seen>,
    next: Option<Cursor>,
    /// Whether the ledger could be asked.
    complete: bool,
    /// Whether the search was ended before the page was full.
    cut: bool,
}

/// The list of runs.
pub async fn list(State(gateway): State<Gateway>, legacy::Asked(which): legacy::Asked<Which>) -> Result<Html<String>, ApiError> {
    let filter = Filter::of(&which)?;
    let after = which.cursor.as_deref().filter(|word| !word.is_empty()).map(read_cursor).transpose()?;
    let first = after.is_none();
    let found = find(&gateway, &filter, after).await?;
    let main = format!(
        "<div class=\"head\"><h1>Runs</h1><button type=\"button\" data-pause hidden>Pause updates</button></div>\n{}<div data-live=\"{}\">\n{}</div>",
        search(&filter),
        if filter.is_cheap() { SECONDS } else { SECONDS_OF_A_SEARCH },
        content(&gateway, &filter, &found, first)
    );
    Ok(Html(Frame { again_without_script: Some(10), ..Frame::new("Runs", main) }.page(&gateway)))
}

/// Looks for a page of runs. The ledger knows labels; what else is asked for is looked for here.
async fn find(gateway: &Gateway, filter: &Filter, after: Option<Cursor>) -> Result<Found, ApiError> {
    let limit = if filter.is_cheap() { u32::try_from(PAGE).unwrap_or(LONGEST_PAGE) } else { LONGEST_PAGE };
    let mut query = ListRuns { namespace: gateway.settings.namespace.clone(), label: filter.label.clone(), after, limit };
    let mut found = Found { runs: Vec::new(), next: None, complete: true, cut: false };
    let mut looked = 0;
    loop {
        let Listed { rows, next } = match gateway.listed.page(&query).await {
            Ok(listed) => listed,
            Err(error) => {
                found.complete = false;
                legacy::known(gateway, &query, &error)?
            }
        };
        looked += rows.len();
        let last = rows.len();
        for (place, row) in rows.iter().enumerate() {
            let run = Seen::of(row);
            if filter.wants(&run) {
                found.runs.push(run);
            }
            if found.runs.len() == PAGE {
                let more = place + 1 < last || next.is_some();
                found.next = more.then(|| row.cursor());
                return Ok(found);
            }
        }
        if next.is_none() || looked >= LOOKED_THROUGH {
            found.cut = next.is_some();
            found.next = next;
            return Ok(found);
        }
        query.after = next;
    }
}

/// The form above the list.
fn search(filter: &Filter) -> String {
    let option = |wanted: Wanted, name: &str| {
        let chosen = if wanted == filter.phase { " selected" } else { "" };
        format!("<option value=\"{}\"{chosen}>{name}</option>", wanted.word())
    };
    let phases: String = Phase::ALL.into_iter().map(|phase| option(Wanted::One(phase), words::phase(phase))).collect();
    let value = |word: &Option<String>| text(word.as_deref().unwrap_or_default());
    let clear = if *filter == Filter::default() { "" } else { "<a href=\"/ui/\">Show all</a>" };
    format!(
        "<form method=\"get\" action=\"/ui/\" class=\"search\" role=\"search\" aria-label=\"Runs\"><div><label for=\"plan\">Plan</label><input id=\"plan\" name=\"plan\" value=\"{}\"></div>\
         <div><label for=\"label\">Label</label><input id=\"label\" name=\"label\" value=\"{}\"></div>\
         <div><label for=\"phase\">Phase</label><select id=\"phase\" name=\"phase\">{}{}{phases}</select></div><button>Show</button>{clear}</form>\n",
        value(&filter.plan),
        value(&filter.label),
        option(Wanted::Any, "any"),
        option(Wanted::Live, "live"),
    )
}

fn content(gateway: &Gateway, filter: &Filter, found: &Found, first: bool) -> String {
    let Found { runs, next, complete, cut } = found;
    let mut out = String::new();
    if !complete {
        out += "<p class=\"note\" role=\"status\">The ledger cannot be reached right now: runs that only it remembers are left out.</p>\n";
    }
    if runs.is_empty() && *filter == Filter::default() && first {
        let _ = writeln!(
            out,
            "<p class=\"empty\">There is no run in namespace <code>{}</code> yet. Create a TestRun there, or submit a plan to <code>POST /v1/test-runs</code>; it appears here at \
             once.</p>",
            text(&gateway.settings.namespace)
        );
    } else if runs.is_empty() {
        out += "<p class=\"empty\">No run is like that.</p>\n";
    } else {
        let head = [
            Column("run", false),
            Column("plan", false),
            Column("phase", false),
            Column("verdict", false),
            Column("progress", true),
            Column("queries/s", true),
            Column("p95", true),
            Column("age", true),
        ];
        out += &table("Newest first", &head, runs.iter().map(|run| row(gateway, filter, run)));
    }
    if *cut {
        // Writing into memory does not fail.
        let _ = writeln!(out, "<p class=\"soft\">{LOOKED_THROUGH} runs were looked through; there are older ones.</p>");
    }
    let newest = if first { String::new() } else { format!("<a href=\"{}\">Newest</a>", text(&filter.address(None))) };
    let older = next.as_ref().map(|next| format!("<a rel=\"next\" href=\"{}\">Older</a>", text(&filter.address(Some(next))))).unwrap_or_default();
    if !newest.is_empty() || !older.is_empty() {
        let _ = writeln!(out, "<nav class=\"pages\" aria-label=\"More runs\">{newest}{older}</nav>");
    }
    out
}

fn row(gateway: &Gateway, filter: &Filter, run: &Seen) -> TableRow {
    let now = gateway.clock.now();
    let Seen { run_id, plan, label, said, .. } = run;
    // Other programs may have called a run whatever they liked; only what could be an id leads somewhere.
    let id = match RunId::parse(run_id) {
        Some(_) => format!("<a class=\"id\" href=\"/ui/runs/{run_id}\">{}</a>", text(run_id)),
        None => format!("<span class=\"id\">{}</span>", text(run_id)),
    };
    let label = label.as_ref().filter(|label| *label != plan).map(|label| {
        let address = Filter { label: Some(label.clone()), ..Filter::default() }.address(None);
        format!("<br><a class=\"soft\" href=\"{}\">{}</a>", text(&address), text(label))
    });
    let address = Filter { plan: Some(plan.clone()), phase: filter.phase, ..Filter::default() }.address(None);
    let verdict = said.verdict.map_or_else(|| "<span class=\"soft\">–</span>".to_owned(), words::outcome);
    let nothing = || "–".to_owned();
    let cells = vec![
        [id, label.unwrap_or_default()].concat(),
        format!("<a href=\"{}\">{}</a>", text(&address), text(plan)),
        phase_mark(run),
        verdict,
        progress(run).unwrap_or_else(nothing),
        said.queries_per_second.as_deref().map_or_else(nothing, words::rate),
        said.p95.as_deref().map_or_else(nothing, words::figure),
        said.created_at.map_or_else(nothing, |at| words::aged(now, at)),
    ];
    TableRow { class: if run.is_live() { "live" } else { "" }, cells }
}

/// Where a run is, as markup.
pub fn phase_mark(run: &Seen) -> String {
    let class = if run.is_live() { "phase live" } else { "phase" };
    format!("<span class=\"{class}\">{}</span>", text(run.word()))
}

/// How much of a load has passed, as markup; nothing once it is over.
pub fn progress(run: &Seen) -> Option<String> {
    let said = run.said.progress.as_deref().filter(|_| run.is_live())?;
    let percent: u8 = said.trim_end_matches('%').parse().ok().filter(|percent| *percent <= 100)?;
    Some(format!("<progress max=\"100\" value=\"{percent}\" aria-label=\"Progress of {}\"></progress> {percent}\u{202f}%", text(&run.run_id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(plan: &str, label: &str, phase: &str) -> Which {
        Which { plan: Some(plan.to_owned()), label: Some(label.to_owned()), phase: Some(phase.to_owned()), cursor: None }
    }

    #[test]
    fn what_a_form_leaves_empty_is_not_asked_for() {
        assert_eq!(Filter::of(&which("", " ", "")).unwrap(), Filter::default());
        assert_eq!(Filter::of(&Which::default()).unwrap(), Filter::default());
        let filter = Filter::of(&which(" checkout ", "a&b", "Live")).unwrap();
        assert_eq!(filter, Filter { plan: Some("checkout".to_owned()), label: Some("a&b".to_owned()), phase: Wanted::Live });
        assert_eq!(filter.address(None), "/ui/?plan=checkout&label=a%26b&phase=Live");
    }

    #[test]
    fn what_no_run_could_have_is_refused() {
        let long = "a".repeat(257);
        for which in [which("", "", "Finished"), which("", "", "live"), which(&long, "", ""), which("", "a\0b", "")] {
            assert!(matches!(Filter::of(&which), Err(ApiError::Invalid(_))), "{which:?}");
        }
    }
}
