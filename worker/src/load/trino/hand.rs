//! One attempt at a table: what it says, how it is filled from the files, and how that is proved.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use crucible_crds::{Reason, test_run::TableState};
use crucible_lifecycle::{
    contract::{StoredFile, TableRecipe},
    fixture::{Comment, Judgement, Mark, judge},
};

use super::{
    super::{
        flow::Contents,
        session::{Session, SqlError},
        tally::{self, Measured, adds_up},
        trouble::Trouble,
        value::Slot,
    },
    Loader, Server,
    client::{Client, End, is_external},
    names,
    sql::{self, Names, Typed},
};

/// How often something outside of Trino may fail, such as its own way to the bucket, before it is believed to stay so.
const MOST_OUTSIDE: u32 = 4;
/// How long it may take to connect and to ask for catalogs and schemas: these are queries, and a Trino that has just begun takes seconds for each.
const CONNECTING: Duration = Duration::from_mins(1);
/// The connector that can read files where they lie.
const HIVE: &str = "hive";

/// An attempt, with the client that makes it.
pub struct Hand<'a> {
    loader: &'a Loader,
    client: Client,
    names: Names,
}

/// What each column of the table is made of, in the table's order.
pub struct Types {
    /// The columns of the table over the files.
    files: Vec<Typed>,
    /// What the table shall have, each with the expression that its values come from.
    select: Vec<(String, String)>,
}

/// What is known of a column's values on one side.
type Proof = Vec<(u64, Option<String>, Option<String>)>;

impl<'a> Hand<'a> {
    /// Connects, and finds out whether what the plan names is there.
    pub async fn of(loader: &'a Loader) -> Result<Self, Trouble> {
        let server = &*loader.server;
        let connectors = connect(server).await?;
        let connector = |catalog: &str| connectors.iter().find(|(name, _)| name == catalog).map(|(_, connector)| connector.as_str());
        match connector(&server.files.catalog) {
            Some(HIVE) => {}
            found => {
                let is = found.map_or_else(|| "is not there".to_owned(), |connector| format!("is one of the connector {connector}"));
                let message = format!(
                    "Catalog {} of {}:{} {is}, and fixtures are read through one of the connector hive: name its catalog and schema in spec.target.files.database",
                    server.files.catalog, server.host, server.port
                );
                return Err(Trouble::refused(Reason::PlanInvalid, message));
            }
        }
        // Otherwise it would round what the files have to milliseconds.
        let mut properties = vec![format!("{}.timestamp_precision=NANOSECONDS", server.files.catalog)];
        if server.table.catalog != server.files.catalog && connector(&server.table.catalog) == Some(HIVE) {
            properties.push(format!("{}.timestamp_precision=NANOSECONDS", server.table.catalog));
        }
        let client = Client::new(server, &properties).map_err(|error| error.trouble("A session cannot be set up"))?;
        Ok(Self { loader, client, names: names(&loader.recipe.table) })
    }

    pub async fn judge(&self) -> Result<Judgement, Trouble> {
        let recipe = &*self.loader.recipe;
        let comment = self.comment(&recipe.table).await?;
        Ok(judge(recipe, comment.as_ref()))
    }

    pub async fn count(&self, table: &str) -> Result<u64, Trouble> {
        let rows = self.ask("its rows cannot be counted", &self.loader.server.table.count(table)).await?;
        Ok(first(rows).and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// A loader that was killed between its two renames has left the name to nobody: what had it gets it back.
    pub async fn undo_half_a_swap(&self) -> Result<(), Trouble> {
        let (table, old) = (&self.loader.recipe.table, self.names.old_table());
        if self.comment(table).await?.is_none() && self.comment(&old).await?.is_some() {
            tracing::warn!(table, "was taken out of the way and nothing took its place, it gets its name back");
            self.execute("it cannot be given its name back", &self.loader.server.table.rename(&old, table)).await?;
        }
        Ok(())
    }

    /// The table is as it was loaded. A run that writes makes it a changed one from here on.
    pub async fn found(&self, mark: Mark) -> Result<(), Trouble> {
        let recipe = &*self.loader.recipe;
        self.clear().await?;
        if recipe.writes {
            let dirty = Comment::Proved(Mark { dirty: true, ..mark.clone() });
            self.execute("it cannot be marked as changed", &self.loader.server.table.set_comment(&recipe.table, &dirty)).await?;
        }
        tracing::info!(table = recipe.table, rows = mark.rows, "found as it was loaded");
        self.ready(TableState::Found, mark.rows, mark.checksum);
        Ok(())
    }

    /// What the files have and what the table shall have: what the table of that name has, or else what the fixture and the files say.
    pub async fn types(&self, contents: &Contents) -> Result<Types, Trouble> {
        let recipe = &*self.loader.recipe;
        let mut files = Vec::with_capacity(contents.columns.len());
        for column in &contents.columns {
            let sql_type = sql::type_in_files(column).map_err(|why| self.loader.invalid(&why))?;
            files.push(Typed { name: column.name.to_lowercase(), sql_type });
        }
        let there = self.columns(&recipe.table).await?;
        let shall = if there.is_empty() { sql::wanted(recipe, &contents.columns).map_err(|why| self.loader.invalid(&why))? } else { there };
        if let Some(more) = files.iter().find(|file| !shall.iter().any(|column| column.name == file.name)) {
            let known: Vec<&str> = shall.iter().take(8).map(|column| column.name.as_str()).collect();
            let message = format!("Column {} of fixture {} is not in table {}, which has {}", more.name, recipe.fixture, recipe.table, known.join(", "));
            return Err(Trouble::invalid(message));
        }
        let select = shall.into_iter().map(|Typed { name, sql_type }| {
            let value = if files.iter().any(|file| file.name == name) { sql::name(&name) } else { "NULL".to_owned() };
            (format!("CAST({value} AS {sql_type})"), name)
        });
        Ok(Types { select: select.collect(), files })
    }

    /// Fills a table of this attempt's own from the files, proves it, and puts it in its place. What is left of it where that fails is thrown away.
    pub async fn fill(&self, contents: &Contents) -> Result<(), Trouble> {
        let filled = self.fill_and_swap(contents).await;
        if filled.is_err() {
            let server = &self.loader.server;
            for folder in 0..self.loader.folders.len() {
                let _ = self.client.execute(&server.files.drop(&self.names.files(folder))).await;
            }
            let _ = self.client.execute(&server.table.drop(&self.names.new_table())).await;
        }
        filled
    }

    async fn fill_and_swap(&self, contents: &Contents) -> Result<(), Trouble> {
        let server = &self.loader.server;
        let recipe = &*self.loader.recipe;
        let types = self.types(contents).await?;
        let mut from = Vec::with_capacity(self.loader.folders.len());
        for (number, folder) in self.loader.folders.keys().enumerate() {
            let files = self.names.files(number);
            let made = server.files.over_files(&files, &types.files, &format!("{}/", self.loader.address(folder)));
            self.execute("a table over its files cannot be made", &made).await?;
            from.push(server.files.table(&files));
        }
        let new = self.names.new_table();
        self.copy(&server.table.create_as(&new, &sql::select(&types.select, &from))).await?;
        self.loader.link.tell(self.loader.number, |report| report.state = TableState::Proving);
        self.check_files(contents).await?;
        let (rows, checksum) = self.prove(&new, contents, &types, &from).await?;
        self.check_tags().await?;
        self.execute("it is loaded and cannot be marked", &server.table.set_comment(&new, &self.proof(rows, &checksum))).await?;
        self.swap(&new).await?;
        self.clear().await?;
        tracing::info!(table = recipe.table, rows, "loaded and proved");
        self.loader.link.tell(self.loader.number, |report| {
            report.files = recipe.files.len() as u64;
            report.bytes = recipe.files.iter().map(|file| file.bytes).sum();
        });
        self.ready(TableState::Loaded, rows, checksum);
        Ok(())
    }

    /// Has Trino copy the rows, and tells how far it is.
    async fn copy(&self, statement: &str) -> Result<(), Trouble> {
        let Loader { link, number, recipe, .. } = self.loader;
        let all: u64 = recipe.files.iter().map(|file| file.bytes).sum();
        let ended = self
            .client
            .run(statement, |stats| {
                link.tell(*number, |report| {
                    report.state = TableState::Loading;
                    report.rows = stats.processed_rows;
                    report.bytes = stats.progress_percentage.map_or(report.bytes, |share| share_of(all, share));
                });
                !link.is_stopped()
            })
            .await;
        match ended {
            Ok(End::Whole) => Ok(()),
            Ok(End::GivenUp) => Err(Trouble::Stopped),
            Err(error) => {
                let TableRecipe { table, fixture, .. } = &**recipe;
                Err(self.trouble(&format!("Table {table} does not take the files of fixture {fixture}"), &error))
            }
        }
    }

    /// That Trino reads exactly the files that are meant: of each as many rows as its own end says, and no others.
    async fn check_files(&self, contents: &Contents) -> Result<(), Trouble> {
        let Loader { recipe, folders, server, .. } = self.loader;
        let fixture = &recipe.fixture;
        let mut expected: BTreeMap<String, (&StoredFile, u64)> = BTreeMap::new();
        for (file, holds) in recipe.files.iter().zip(&contents.files) {
            expected.insert(self.loader.address(&file.key), (file, holds.groups.iter().sum()));
        }
        for folder in 0..folders.len() {
            let counted = self.ask("the rows of its files cannot be counted", &server.files.rows_of_files(&self.names.files(folder))).await?;
            for row in counted {
                let mut fields = row.into_iter().flatten();
                let (path, rows) = (fields.next().unwrap_or_default(), fields.next().and_then(|rows| rows.parse::<u64>().ok()).unwrap_or_default());
                match expected.remove(&path) {
                    Some((_, holds)) if holds == rows => {}
                    Some((file, holds)) => {
                        let message = format!("File {} of fixture {fixture} has {holds} rows, and Trino reads {rows} of it", file.key);
                        return Err(Trouble::refused(Reason::FixtureVerifyFailed, message));
                    }
                    None => {
                        let message = format!("Trino reads {path} with the files of fixture {fixture}, which was not there when the run began");
                        return Err(Trouble::refused(Reason::FixtureChanged, message));
                    }
                }
            }
        }
        if let Some((file, holds)) = expected.into_values().find(|(_, holds)| *holds > 0) {
            let message =
                format!("Trino does not see file {} of fixture {fixture}, which has {holds} rows: is {} the same bucket?", file.key, self.loader.location);
            return Err(Trouble::refused(Reason::FixtureVerifyFailed, message));
        }
        Ok(())
    }

    /// Compares what the files have with what has come into the table, column by column, by Trino's own word on both.
    async fn prove(&self, new: &str, contents: &Contents, types: &Types, from: &[String]) -> Result<(u64, String), Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.loader.recipe;
        let server = &self.loader.server;
        let there = self.columns(new).await?;
        let mut slots = Vec::with_capacity(contents.columns.len());
        for column in &contents.columns {
            let name = column.name.to_lowercase();
            let Some(found) = there.iter().find(|found| found.name == name) else {
                return Err(Trouble::refused(Reason::FixtureVerifyFailed, format!("Table {table} was made without column {name} of fixture {fixture}")));
            };
            slots.push((Slot { name, kind: column.kind, class: sql::class(&found.sql_type) }, found.sql_type.clone()));
        }
        let as_they_are: Vec<(String, String)> = types.files.iter().map(|file| (sql::name(&file.name), file.name.clone())).collect();
        let files = format!("({}) AS files", sql::select(&as_they_are, from));
        let of_files = slots.iter().map(|(slot, sql_type)| sql::of_files(slot, sql_type)).collect::<Vec<_>>();
        let of_table = slots.iter().map(|(slot, sql_type)| sql::of_table(slot, sql_type)).collect::<Vec<_>>();
        let (expected, shall) = self.measure(&sql::measure(&files, &of_files)).await?;
        let (rows, found) = self.measure(&sql::measure(&server.table.table(new), &of_table)).await?;
        let differs = if expected == rows {
            slots.iter().zip(shall.iter().zip(&found)).find_map(|((slot, _), (shall, found))| differs(slot, shall, found))
        } else {
            Some(format!("{expected} rows were expected and {rows} found"))
        };
        if let Some(why) = differs {
            return Err(Trouble::refused(Reason::FixtureVerifyFailed, format!("Table {table} does not hold what was loaded from fixture {fixture}: {why}")));
        }
        let names: Vec<&str> = slots.iter().map(|(slot, _)| slot.name.as_str()).collect();
        let measured = Measured { rows, columns: found.into_iter().map(|(values, sum, _)| (values, sum)).collect() };
        Ok((rows, tally::checksum(&names, &measured)))
    }

    async fn measure(&self, sql: &str) -> Result<(u64, Proof), Trouble> {
        let rows = self.ask("it cannot be measured", sql).await?;
        let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
        let number = |field: Option<Option<String>>| field.flatten().and_then(|text| text.parse().ok()).unwrap_or_default();
        let count = number(fields.next());
        let mut columns = Vec::new();
        while let Some(values) = fields.next() {
            columns.push((number(Some(values)), fields.next().flatten(), fields.next().flatten()));
        }
        Ok((count, columns))
    }

    /// That no file has changed while Trino read it: each still has the tag that it was listed with.
    async fn check_tags(&self) -> Result<(), Trouble> {
        let (bucket, recipe) = (self.loader.bucket.clone(), std::sync::Arc::clone(&self.loader.recipe));
        let checking = tokio::task::spawn_blocking(move || recipe.files.iter().try_for_each(|file| bucket.read(file, 0, 1).map(drop)));
        checking.await.unwrap_or_else(|error| Err(self.loader.invalid(&format!("its files cannot be looked at ({error})"))))
    }

    /// Puts the table in its place. Whatever stands under the real name is whole; between the two renames nothing does.
    async fn swap(&self, new: &str) -> Result<(), Trouble> {
        let (table, old, schema) = (&self.loader.recipe.table, self.names.old_table(), &self.loader.server.table);
        let what = "it is loaded and cannot take its place";
        if self.comment(table).await?.is_some() {
            self.execute(what, &schema.drop(&old)).await?;
            self.execute(what, &schema.rename(table, &old)).await?;
        }
        self.execute(what, &schema.rename(new, table)).await
    }

    /// Throws away what this and every other attempt has left. One that is still at work begins anew, and finds the table proved.
    async fn clear(&self) -> Result<(), Trouble> {
        let server = &self.loader.server;
        let what = "what was left half done cannot be dropped";
        let [new, files] = self.names.of_all();
        for (schema, pattern) in [(&server.table, new), (&server.files, files)] {
            for row in self.ask(what, &schema.tables_like(&pattern)).await? {
                if let Some(left) = row.into_iter().next().flatten() {
                    self.execute(what, &schema.drop(&left)).await?;
                }
            }
        }
        self.execute(what, &server.table.drop(&self.names.old_table())).await
    }

    fn proof(&self, rows: u64, checksum: &str) -> Comment {
        let TableRecipe { fixture, digest, writes, .. } = &*self.loader.recipe;
        Comment::Proved(Mark {
            fixture: fixture.clone(),
            digest: digest.clone(),
            rows,
            checksum: checksum.to_owned(),
            run: self.loader.link.run_id().to_owned(),
            dirty: *writes,
        })
    }

    fn ready(&self, state: TableState, rows: u64, checksum: String) {
        self.loader.link.tell(self.loader.number, |report| (report.state, report.rows, report.checksum) = (state, rows, Some(checksum)));
    }

    async fn comment(&self, table: &str) -> Result<Option<Comment>, Trouble> {
        let rows = self.ask("its comment cannot be read", &self.loader.server.table.comment(table)).await?;
        Ok(rows.into_iter().next().map(|row| Comment::parse(row.into_iter().next().flatten().as_deref().unwrap_or_default())))
    }

    async fn columns(&self, table: &str) -> Result<Vec<Typed>, Trouble> {
        let rows = self.ask("its columns cannot be read", &self.loader.server.table.columns(table)).await?;
        let typed = |row: Vec<Option<String>>| {
            let mut fields = row.into_iter().flatten();
            Some(Typed { name: fields.next()?, sql_type: fields.next()? })
        };
        Ok(rows.into_iter().filter_map(typed).collect())
    }

    async fn ask(&self, what: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Trouble> {
        self.client.query(sql).await.map_err(|error| self.said(what, &error))
    }

    async fn execute(&self, what: &str, sql: &str) -> Result<(), Trouble> {
        self.client.execute(sql).await.map_err(|error| self.said(what, &error))
    }

    fn said(&self, what: &str, error: &SqlError) -> Trouble {
        self.trouble(&format!("Table {}: {what}", self.loader.recipe.table), error)
    }

    /// What an error means here: another loader of the same table may have been quicker, and Trino's own way to the files may fail for a moment.
    fn trouble(&self, what: &str, error: &SqlError) -> Trouble {
        let raced = matches!(error.state.as_str(), "TABLE_NOT_FOUND" | "TABLE_ALREADY_EXISTS" | "NOT_FOUND" | "ALREADY_EXISTS");
        let passes = (is_external(error) || raced) && self.loader.outside.fetch_add(1, Ordering::Relaxed) < MOST_OUTSIDE;
        if passes { Trouble::Again(format!("{what}: {}", error.said())) } else { error.trouble(what) }
    }
}

/// Connects and finds the plan's schemas; answers the catalogs with their connectors. A server that does not answer is tried a few times.
async fn connect(server: &Server) -> Result<Vec<(String, String)>, Trouble> {
    let attempt = || async {
        let client = Client::new(server, &[])?;
        let catalogs = client.query("SELECT catalog_name, connector_name FROM system.metadata.catalogs").await?;
        let schemas = if server.files == server.table { vec![&server.table] } else { vec![&server.table, &server.files] };
        for schema in schemas {
            let there = client.query(&schema.exists()).await.map_err(|error| match error.state.as_str() {
                "CATALOG_NOT_FOUND" | "MISSING_CATALOG_NAME" => SqlError { state: "3D000".to_owned(), ..error },
                _ => error,
            })?;
            if there.is_empty() {
                let message = format!("there is no schema {}", schema.schema);
                return Err(SqlError { state: "3D000".to_owned(), code: None, message, row: None });
            }
        }
        let pair = |row: Vec<Option<String>>| {
            let mut fields = row.into_iter().flatten();
            Some((fields.next()?, fields.next()?))
        };
        Ok(catalogs.into_iter().filter_map(pair).collect())
    };
    let database = format!("{}.{}", server.table.catalog, server.table.schema);
    Session::reach(CONNECTING, (server.host.as_str(), server.port), &server.login.username, &database, attempt).await
}

/// What differs between what a column of the files has and what is in the table, if anything.
fn differs(slot: &Slot, expected: &(u64, Option<String>, Option<String>), found: &(u64, Option<String>, Option<String>)) -> Option<String> {
    let Slot { name, .. } = slot;
    if expected.0 != found.0 {
        return Some(format!("column {name}: {} values were expected that are not NULL, and {} found", expected.0, found.0));
    }
    if adds_up(slot) {
        let (shall, is) = (expected.1.as_deref().unwrap_or("NULL"), found.1.as_deref().unwrap_or("NULL"));
        if shall != is && !tally::is_same(shall, is) {
            return Some(format!("column {name}: a sum of {shall} was expected and {is} found"));
        }
    }
    (expected.2 != found.2).then(|| format!("column {name}: its values are not those of the files"))
}

fn first(rows: Vec<Vec<Option<String>>>) -> Option<String> {
    rows.into_iter().next()?.into_iter().next()?
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // A share for people.
fn share_of(all: u64, percentage: f64) -> u64 {
    (all as f64 * percentage.clamp(0.0, 100.0) / 100.0) as u64
}
