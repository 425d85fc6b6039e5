//! Datasets: their files in the bucket, and what their objects say of them where there are any.

use std::fmt::Write as _;

use axum::{extract::State, response::Html};
use crucible_crds::Fixture;
use crucible_lifecycle::results::pieces::markup::{Column, TableRow, grouped, section, table, text};
use crucible_store::{VaultError, vault::Entry};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{ResourceExt, api::DynamicObject};
use serde::Deserialize;

use super::{
    form,
    frame::{Frame, Here},
    plans::condition,
    words,
};
use crate::{
    error::ApiError,
    legacy::{Asked, FIXTURES, FixtureId},
    native::{Objects, Page, Which},
    state::Gateway,
};

/// How many datasets a page has.
const PAGE: usize = 50;
/// How many files a page has.
const FILES: u16 = 200;
/// How many files of a dataset are counted in the list; those of larger ones are said to be more.
const COUNTED: u16 = 1000;
/// How many datasets are counted at a time.
const AT_A_TIME: usize = 8;

/// Where a list begins.
#[derive(Debug, Default, Deserialize)]
pub struct After {
    after: Option<String>,
}

impl After {
    fn word(self) -> Result<String, ApiError> {
        let word = self.after.unwrap_or_default();
        let possible = word.len() <= 1024 && !word.contains('\0');
        possible.then_some(word).ok_or_else(|| ApiError::invalid(&["query", "after"], "is no name of a file", "value_error"))
    }
}

/// Every dataset.
pub async fn list(State(gateway): State<Gateway>, Asked(after): Asked<After>) -> Result<Html<String>, ApiError> {
    let after = after.word()?;
    let objects = Objects::of::<Fixture>(&gateway, &gateway.settings.namespace);
    let (objects, sets) = tokio::join!(objects.page(Asked(Which::from(None))), sets(&gateway, &after));
    let main = format!("<h1>Fixtures</h1>\n{}{}", of_the_bucket(sets?), of_the_cluster(&gateway, objects)?);
    Ok(Html(Frame { here: Here::Fixtures, ..Frame::new("Fixtures", main) }.page(&gateway)))
}

/// A dataset in few words.
struct Set {
    id: String,
    files: usize,
    bytes: u64,
    /// Whether there are files that were not counted.
    more: bool,
}

/// One page of datasets, and whether others follow.
async fn sets(gateway: &Gateway, after: &str) -> Result<(Vec<Set>, bool), ApiError> {
    let ids = gateway.vault.folders(FIXTURES).await?;
    let mut ids: Vec<String> = ids.into_iter().filter(|id| id.as_str() > after).take(PAGE + 1).collect();
    let further = ids.len() > PAGE;
    ids.truncate(PAGE);
    let count = |id: String| async move {
        let prefix = format!("{FIXTURES}{id}/");
        let entries = gateway.vault.list_after(&prefix, "", COUNTED + 1).await?;
        let files: Vec<&Entry> = entries.iter().filter(|entry| entry.key != prefix).take(COUNTED.into()).collect();
        let bytes = files.iter().map(|entry| entry.bytes).sum();
        Ok::<_, VaultError>(Set { id, files: files.len(), bytes, more: entries.len() > usize::from(COUNTED) })
    };
    let sets = stream::iter(ids).map(count).buffered(AT_A_TIME).try_collect().await?;
    Ok((sets, further))
}

fn of_the_bucket((sets, further): (Vec<Set>, bool)) -> String {
    if sets.is_empty() {
        return section("files", "Files", "<p class=\"soft\">No dataset was uploaded. <code>POST /fixtures/ID/FILE/multipart/init</code> begins one.</p>\n");
    }
    let row = |Set { id, files, bytes, more }: &Set| {
        // Other programs may have called a folder whatever they liked; only what could be an id leads somewhere.
        let link = if FixtureId::is_one(id) { format!("<a href=\"/ui/fixtures/{id}\">{}</a>", text(id)) } else { text(id) };
        let least = if *more { "more than " } else { "" };
        TableRow::from(vec![link, format!("{least}{}", grouped(*files as u64)), format!("{least}{}", words::size(*bytes))])
    };
    let mut out = table("Datasets in the bucket, by name", &[Column("dataset", false), Column("files", true), Column("size", true)], sets.iter().map(row));
    if let Some(last) = sets.last().filter(|_| further) {
        let _ = writeln!(out, "<p><a rel=\"next\" href=\"/ui/fixtures?after={}\">More datasets</a></p>", text(&form::word(&last.id)));
    }
    section("files", "Files", &out)
}

fn of_the_cluster(gateway: &Gateway, page: Result<Page, ApiError>) -> Result<String, ApiError> {
    let Page { objects, next } = match page {
        Ok(page) => page,
        Err(ApiError::Unavailable { .. }) => {
            return Ok(section("objects", "Fixtures", "<p class=\"note\" role=\"status\">The cluster cannot be reached right now.</p>\n"));
        }
        Err(error) => return Err(error),
    };
    let now = gateway.clock.now();
    let row = |fixture: &DynamicObject| {
        let (spec, status) = (&fixture.data["spec"], &fixture.data["status"]);
        let said = |value: &serde_json::Value| value.as_str().map_or_else(|| "–".to_owned(), text);
        let (ready, why) = condition(&fixture.data, "Ready", ["ready", "not ready", "not looked at yet"]);
        let age = fixture.creation_timestamp().map_or_else(|| "–".to_owned(), |at| words::aged(now, at.0));
        TableRow::from(vec![
            text(&fixture.name_any()),
            said(&spec["format"]),
            format!("<span class=\"id\">{}</span>", said(&spec["source"]["prefix"])),
            [ready, why].concat(),
            status["rows"].as_u64().map_or_else(|| "–".to_owned(), grouped),
            status["bytes"].as_u64().map_or_else(|| "–".to_owned(), words::size),
            age,
        ])
    };
    let head = [
        Column("fixture", false),
        Column("format", false),
        Column("prefix", false),
        Column("state", false),
        Column("rows", true),
        Column("size", true),
        Column("age", true),
    ];
    let mut out = if objects.is_empty() {
        "<p class=\"soft\">There is no Fixture object in this namespace.</p>\n".to_owned()
    } else {
        table("What the cluster knows of them", &head, objects.iter().map(row))
    };
    if next.is_some() {
        out += "<p class=\"soft\">There are more; <code>kubectl get fixtures</code> lists all.</p>\n";
    }
    Ok(section("objects", "Fixtures", &out))
}

/// The files of a dataset.
pub async fn files(State(gateway): State<Gateway>, FixtureId(id): FixtureId, Asked(after): Asked<After>) -> Result<Html<String>, ApiError> {
    let after = after.word()?;
    let prefix = format!("{FIXTURES}{id}/");
    let begin = if after.is_empty() { String::new() } else { format!("{prefix}{after}") };
    let mut entries = gateway.vault.list_after(&prefix, &begin, FILES + 1).await?;
    let further = entries.len() > usize::from(FILES);
    entries.truncate(FILES.into());
    let now = gateway.clock.now();
    let name = |entry: &Entry| entry.key.strip_prefix(&prefix).filter(|name| !name.is_empty()).map(str::to_owned);
    let row = |entry: &Entry| {
        let stored = entry.modified.map_or_else(|| "–".to_owned(), |at| words::aged(now, at));
        Some(TableRow::from(vec![format!("<span class=\"id\">{}</span>", text(&name(entry)?)), words::size(entry.bytes), stored]))
    };
    let rows: Vec<TableRow> = entries.iter().filter_map(row).collect();
    if rows.is_empty() && after.is_empty() {
        return Err(ApiError::NotFound(format!("fixture '{id}' has no files")));
    }
    let mut main = format!(
        "<p class=\"trail\"><a href=\"/ui/fixtures\">Fixtures</a></p>\n<h1>{}</h1>\n<p class=\"about\">In the bucket under <span class=\"id\">{}</span></p>\n",
        text(&id),
        text(&prefix)
    );
    main += &table("Its files, by name", &[Column("file", false), Column("size", true), Column("stored", true)], rows);
    if let Some(last) = entries.last().filter(|_| further).and_then(name) {
        let _ = writeln!(main, "<p><a rel=\"next\" href=\"/ui/fixtures/{id}?after={}\">More files</a></p>", text(&form::word(&last)));
    }
    Ok(Html(Frame { here: Here::Fixtures, ..Frame::new(&id, main) }.page(&gateway)))
}
