//! Trino reads the bucket itself: a table is made over the files of a fixture, and the rows go from there into the table that is meant without
//! coming by here. What is read here are the ends of the files, which say what columns and how many rows they have.
//!
//! Trino has neither locks nor statements that swap two tables. So each attempt fills a table of its own name; the one before is renamed out of the
//! way and comes back when nothing took its place; and whoever is late finds the table proved.

mod client;
mod hand;
mod sql;
mod tls;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU32},
};

use crucible_crds::{
    Reason,
    test_plan::{Engine, Target, TlsMode},
};
use crucible_lifecycle::{
    contract::{Failure, StoredFile, TableRecipe},
    fixture::{Judgement, unsuited},
    plan::HostPort,
};

use self::{
    hand::Hand,
    sql::{Names, Schema},
};
use super::{
    flow::Contents,
    link::Link,
    object::Bucket,
    session::Login,
    table::{TableLoader, contents_of, load_each, not_ours},
    trouble::Trouble,
};
use crate::outcome;

/// Into how many folders the files of a fixture may be laid: each is read through a table of its own.
const MOST_FOLDERS: usize = 64;

/// Where a Trino is, what is loaded in it, and who asks.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Where the tables go.
    pub table: Schema,
    /// Where the files are looked at from.
    pub files: Schema,
    /// Where the bucket is, as Trino knows it; nothing where it has the operator's name.
    pub location: Option<String>,
    pub login: Login,
    pub tls: TlsMode,
}

impl Server {
    /// The target of a plan with its credentials.
    pub fn of(target: &Target, login: Login) -> Result<Self, Failure> {
        let invalid = |field: &str, why: &dyn std::fmt::Display| outcome::failure(Reason::PlanInvalid, format!("spec.target.{field}: {why}"));
        let HostPort { host, port } = HostPort::of(target).map_err(|error| invalid("endpoint", &error))?;
        let whole = |field: &str, text: &str| Schema::parse(text).ok_or_else(|| invalid(field, &format!("{text} is no catalog and schema")));
        let table = whole("database", &target.database)?;
        let own = target.files.as_ref();
        let files = own.and_then(|files| files.database.as_ref()).map(|database| whole("files.database", database)).transpose()?;
        let location = own.and_then(|files| files.location.as_ref()).map(ToString::to_string);
        Ok(Self { host, port, files: files.unwrap_or_else(|| table.clone()), table, location, login, tls: target.tls.mode })
    }
}

/// Loads every table of the recipe.
pub async fn load_all(link: &Arc<Link>, server: Server) -> Result<(), Trouble> {
    let recipe = link.recipe().await?;
    let bucket = Bucket::new(Arc::clone(link));
    let location = server.location.clone().unwrap_or_else(|| format!("s3://{}", recipe.bucket));
    let server = Arc::new(server);
    let mut tables = Vec::with_capacity(recipe.tables.len());
    for (number, recipe) in recipe.tables.into_iter().enumerate() {
        let folders = folders(&recipe)?;
        let loader = Loader {
            link: Arc::clone(link),
            bucket: bucket.clone(),
            server: Arc::clone(&server),
            location: location.clone(),
            folders,
            number,
            recipe: Arc::new(recipe),
            outside: AtomicU32::new(0),
        };
        tables.push(loader);
    }
    load_each(link, tables).await
}

/// What loads one table.
struct Loader {
    link: Arc<Link>,
    bucket: Bucket,
    server: Arc<Server>,
    location: String,
    /// The folders of the files, each with those in it.
    folders: BTreeMap<String, Vec<StoredFile>>,
    number: usize,
    recipe: Arc<TableRecipe>,
    /// How often something outside of Trino has failed.
    outside: AtomicU32,
}

impl TableLoader for Loader {
    fn table(&self) -> &str {
        &self.recipe.table
    }

    async fn look(&self) -> Result<Option<Arc<Contents>>, Trouble> {
        let hand = Hand::of(self).await?;
        match hand.judge().await? {
            Judgement::Believe(_) => return Ok(None),
            Judgement::Refuse => return Err(not_ours(&self.recipe)),
            Judgement::Load(_) => {}
        }
        let contents = self.contents().await?;
        hand.types(&contents).await?;
        Ok(Some(contents))
    }

    async fn load(&self, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.recipe;
        self.link.tell(self.number, |report| (report.files, report.bytes, report.rows) = (0, 0, 0));
        let hand = Hand::of(self).await?;
        hand.undo_half_a_swap().await?;
        match hand.judge().await? {
            Judgement::Believe(mark) => {
                let rows = hand.count(table).await?;
                if rows == mark.rows {
                    return hand.found(mark).await;
                }
                tracing::warn!(table, was = mark.rows, rows, "the table has other rows than it says, it is loaded anew");
            }
            Judgement::Refuse => return Err(not_ours(&self.recipe)),
            Judgement::Load(_) => {}
        }
        tracing::info!(table, fixture, "loading");
        let contents = match contents {
            Some(contents) => contents,
            None => self.contents().await?,
        };
        hand.fill(&contents).await
    }
}

impl Loader {
    /// What the files hold, which Trino has to be able to tell apart.
    async fn contents(&self) -> Result<Arc<Contents>, Trouble> {
        let contents = contents_of(&self.bucket, &self.recipe).await?;
        let names: Vec<String> = contents.columns.iter().map(|column| column.name.to_lowercase()).collect();
        if let Some(twice) = names.iter().enumerate().find_map(|(at, name)| names.iter().take(at).any(|earlier| earlier == name).then_some(name)) {
            return Err(self.invalid(&format!("its files have the column {twice} twice for Trino, which knows no capitals")));
        }
        for column in &contents.columns {
            sql::type_in_files(column).map_err(|why| self.invalid(&why))?;
        }
        Ok(contents)
    }

    /// The address of a file, or of a folder, as Trino has it.
    fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.location)
    }

    fn invalid(&self, why: &str) -> Trouble {
        Trouble::invalid(format!("Fixture {}: {why}", self.recipe.fixture))
    }
}

/// The folders of a recipe's files. What Trino cannot load is refused here, whoever wrote the recipe.
fn folders(recipe: &TableRecipe) -> Result<BTreeMap<String, Vec<StoredFile>>, Trouble> {
    let TableRecipe { fixture, format, reset, files, .. } = recipe;
    if let Some(why) = unsuited(Engine::Trino, *format, *reset) {
        return Err(Trouble::invalid(format!("Fixture {fixture} cannot be loaded into trino: {why}")));
    }
    let mut folders: BTreeMap<String, Vec<StoredFile>> = BTreeMap::new();
    for file in files {
        let folder = file.key.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder.to_owned()).or_default().push(file.clone());
    }
    if folders.len() > MOST_FOLDERS {
        let message = format!("Fixture {fixture}: its files lie in {} folders, and Trino is given at most {MOST_FOLDERS}", folders.len());
        return Err(Trouble::invalid(message));
    }
    Ok(folders)
}

/// The names of an attempt, which no other has: neither another pod's nor an earlier one of this.
fn names(table: &str) -> Names {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let pod = std::env::var("HOSTNAME").unwrap_or_default();
    Names::new(table, &format!("{pod} {} {}", std::process::id(), now.as_nanos()))
}
