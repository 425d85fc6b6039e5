//! Tables, one after another: what stands in each, whether that is believed, and how it comes to be what it should.

mod keeping;

use std::{sync::Arc, time::Duration};

use crucible_crds::{
    Reason,
    fixture::{FixtureFormat, FixtureReset},
    test_plan::Engine,
    test_run::TableState,
};
use crucible_lifecycle::{
    contract::{LoaderState, StoredFile, TableRecipe},
    fixture::{Comment, Judgement, Mark, Way, judge},
    workload,
};

use super::{
    cassandra, doris,
    dump::{Dump, DumpError},
    encode::{Layout, Wire},
    engine::{Dialect, aside, beside, kept},
    flow::{self, Contents, FileContents, Flow, Taker},
    link::Link,
    object::Bucket,
    parquet,
    session::{Endpoint, Session, SqlError},
    tally::{Tally, checksum},
    trouble::Trouble,
    value::{Column, Slot},
};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Loads every table of the recipe.
pub async fn load_all(link: &Arc<Link>, endpoint: Endpoint) -> Result<(), Trouble> {
    let recipe = link.recipe().await?;
    let bucket = Bucket::new(Arc::clone(link));
    let mut tables = Vec::with_capacity(recipe.tables.len());
    for (number, recipe) in recipe.tables.into_iter().enumerate() {
        let loader = Loader { link: Arc::clone(link), bucket: bucket.clone(), endpoint: endpoint.clone(), number, recipe: Arc::new(recipe) };
        tables.push(loader);
    }
    load_each(link, tables).await
}

/// What brings one table in, in two steps.
pub trait TableLoader {
    /// The table's name.
    fn table(&self) -> &str;
    /// What the files hold, where they have to be loaded. Nothing is touched.
    fn look(&self) -> impl Future<Output = Result<Option<Arc<Contents>>, Trouble>> + Send;
    /// Brings the table to what it should be, or finds that it is.
    fn load(&self, contents: Option<Arc<Contents>>) -> impl Future<Output = Result<(), Trouble>> + Send;
}

/// Brings tables in, one after another. What is wrong with the files of any, or stands in the way, is found before anything is touched.
pub async fn load_each<L: TableLoader>(link: &Link, tables: Vec<L>) -> Result<(), Trouble> {
    let mut looked = Vec::with_capacity(tables.len());
    for table in tables {
        let contents = again(link, table.table(), || table.look()).await?;
        looked.push((table, contents));
    }
    link.enter(LoaderState::Loading, None);
    for (table, contents) in looked {
        again(link, table.table(), || table.load(contents.clone())).await?;
    }
    Ok(())
}

/// Tries to bring a table in until it works or cannot.
async fn again<T, F: Future<Output = Result<T, Trouble>>>(link: &Link, table: &str, attempt: impl Fn() -> F) -> Result<T, Trouble> {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Err(Trouble::Again(why)) => {
                tracing::warn!(table, why, "begins anew");
                link.pause(pause).await?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            ended => return ended,
        }
    }
}

/// What the files of a table hold.
pub async fn contents_of(bucket: &Bucket, recipe: &Arc<TableRecipe>) -> Result<Arc<Contents>, Trouble> {
    let (bucket, files) = (bucket.clone(), Arc::clone(recipe));
    match tokio::task::spawn_blocking(move || look_at_all(&bucket, &files)).await {
        Ok(contents) => contents.map(Arc::new),
        Err(error) => Err(Trouble::invalid(format!("A file of fixture {} cannot be read: its reader broke off ({error})", recipe.fixture))),
    }
}

/// A table that somebody else made stands in the way.
pub fn not_ours(recipe: &TableRecipe) -> Trouble {
    let TableRecipe { fixture, table, .. } = recipe;
    let message =
        format!("Table {table} was not loaded by Crucible, so it is left alone; fixture {fixture} has to say replaceExisting for its rows to be given up");
    Trouble::refused(Reason::FixtureTableNotOurs, message)
}

/// What loads one table.
pub struct Loader {
    pub link: Arc<Link>,
    pub bucket: Bucket,
    pub endpoint: Endpoint,
    pub number: usize,
    pub recipe: Arc<TableRecipe>,
}

/// The session that holds the right to fill the table. The table is only ever changed through it.
struct Hand<'a> {
    loader: &'a Loader,
    session: Session,
    sql: Dialect,
}

impl TableLoader for Loader {
    fn table(&self) -> &str {
        &self.recipe.table
    }

    async fn look(&self) -> Result<Option<Arc<Contents>>, Trouble> {
        match self.endpoint.engine {
            Engine::Cassandra => return cassandra::look(self).await,
            Engine::Doris => return doris::look(self).await,
            Engine::Mysql | Engine::Postgres | Engine::Trino => {}
        }
        let mut hand = self.hand().await?;
        match hand.judge().await? {
            Judgement::Believe(_) | Judgement::Load(Way::Run) => return Ok(None),
            Judgement::Refuse => return Err(not_ours(&self.recipe)),
            Judgement::Load(Way::Make | Way::Swap | Way::Refill) => {}
        }
        if hand.kept().await?.is_some() {
            return Ok(None);
        }
        contents_of(&self.bucket, &self.recipe).await.map(Some)
    }

    async fn load(&self, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.recipe;
        self.tell(|report| (report.files, report.bytes, report.rows) = (0, 0, 0));
        match self.endpoint.engine {
            Engine::Cassandra => return cassandra::load(self, contents).await,
            Engine::Doris => return doris::load(self, contents).await,
            Engine::Mysql | Engine::Postgres | Engine::Trino => {}
        }
        let mut hand = self.hand().await?;
        hand.lock().await?;
        let way = match hand.judge().await? {
            Judgement::Believe(mark) => {
                let rows = hand.count(table).await?;
                if rows == mark.rows {
                    return hand.found(mark).await;
                }
                tracing::warn!(table, was = mark.rows, rows, "the table has other rows than it says, it is loaded anew");
                crucible_lifecycle::fixture::table::way(&self.recipe, true)
            }
            Judgement::Refuse => return Err(not_ours(&self.recipe)),
            Judgement::Load(way) => way,
        };
        tracing::info!(table, fixture, ?way, "loading");
        self.tell(|report| report.state = TableState::Loading);
        if way == Way::Run {
            return hand.run_dump().await;
        }
        if let Some(mark) = hand.kept().await?
            && hand.restore(&mark).await?
        {
            return Ok(());
        }
        let contents = match contents {
            Some(contents) => contents,
            None => contents_of(&self.bucket, &self.recipe).await?,
        };
        let filled = hand.fill(way, contents).await;
        if let Err(Trouble::Refused(_) | Trouble::Stopped) = &filled {
            // Nobody goes on with it. Where it cannot be dropped now, the next loader of the table does it.
            if let Err(trouble) = hand.clear().await {
                tracing::warn!(table, %trouble, "what was loaded until now is left");
            }
        }
        filled
    }
}

impl Loader {
    async fn hand(&self) -> Result<Hand<'_>, Trouble> {
        let session = Session::connect(&self.endpoint).await?;
        Ok(Hand { loader: self, sql: session.dialect(), session })
    }

    /// Changes what is told of the table.
    pub fn tell(&self, change: impl FnOnce(&mut crucible_lifecycle::contract::TableReport)) {
        self.link.tell(self.number, change);
    }

    /// What the table says from now on. A run that writes makes it a changed one at once.
    pub fn proof(&self, rows: u64, checksum: &str) -> Comment {
        let TableRecipe { fixture, digest, writes, .. } = &*self.recipe;
        Comment::Proved(Mark {
            fixture: fixture.clone(),
            digest: digest.clone(),
            rows,
            checksum: checksum.to_owned(),
            run: self.link.run_id().to_owned(),
            dirty: *writes,
        })
    }

    /// It is where it should be.
    pub fn ready(&self, state: TableState, rows: u64, checksum: String) {
        self.tell(|report| (report.state, report.rows, report.checksum) = (state, rows, Some(checksum)));
    }

    /// What a statement about the table has come to.
    pub fn sql(&self, what: &str, error: &SqlError) -> Trouble {
        error.trouble(&format!("Table {}: {what}", self.recipe.table))
    }
}

impl Hand<'_> {
    async fn execute(&mut self, what: &str, sql: &str) -> Result<(), Trouble> {
        self.session.execute(sql).await.map_err(|error| self.loader.sql(what, &error))
    }

    async fn execute_all(&mut self, what: &str, statements: &[String]) -> Result<(), Trouble> {
        for statement in statements {
            self.execute(what, statement).await?;
        }
        Ok(())
    }

    /// The first field of the first row.
    async fn ask(&mut self, what: &str, sql: &str) -> Result<Option<String>, Trouble> {
        let rows = self.session.query(sql).await.map_err(|error| self.loader.sql(what, &error))?;
        Ok(rows.into_iter().next().map(|row| row.into_iter().next().flatten().unwrap_or_default()))
    }

    async fn lock(&mut self) -> Result<(), Trouble> {
        let sql = self.sql.lock(&self.loader.endpoint.database, &self.loader.recipe.table);
        match self.ask("the right to fill it cannot be had", &sql).await?.as_deref() {
            Some("1") => Ok(()),
            _ => Err(Trouble::Again(format!("another loader fills table {}", self.loader.recipe.table))),
        }
    }

    async fn comment(&mut self, table: &str) -> Result<Option<Comment>, Trouble> {
        let sql = self.sql.comment(table);
        Ok(self.ask("its comment cannot be read", &sql).await?.map(|text| Comment::parse(&text)))
    }

    async fn judge(&mut self) -> Result<Judgement, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let mut comment = self.comment(&recipe.table).await?;
        // What a dump makes has no comment of ours until it is whole: that it was begun stands beside it.
        if recipe.format == FixtureFormat::Sql && comment == Some(Comment::Foreign) && self.comment(&beside(&recipe.table)).await? == Some(Comment::Loading) {
            comment = Some(Comment::Loading);
        }
        Ok(judge(&recipe, comment.as_ref()))
    }

    async fn count(&mut self, table: &str) -> Result<u64, Trouble> {
        let sql = self.sql.count(table);
        Ok(self.ask("its rows cannot be counted", &sql).await?.and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// The table is as it was loaded. A run that writes makes it a changed one from here on.
    async fn found(&mut self, mark: Mark) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        // A loader that was killed at its very end has left what it replaced.
        self.clear().await?;
        if recipe.writes {
            let dirty = Comment::Proved(Mark { dirty: true, ..mark.clone() });
            let sql = self.sql.set_comment(&recipe.table, &dirty);
            self.execute("it cannot be marked as changed", &sql).await?;
        }
        tracing::info!(table = recipe.table, rows = mark.rows, "found as it was loaded");
        self.loader.ready(TableState::Found, mark.rows, mark.checksum);
        Ok(())
    }

    /// Throws away what another loader left half done, and what is not to be kept any more. Names like these are the loaders' own.
    async fn clear(&mut self) -> Result<(), Trouble> {
        let TableRecipe { table, reset, .. } = &*self.loader.recipe;
        let unwanted = (*reset != FixtureReset::Snapshot).then(|| kept(table));
        for left in [beside(table), aside(table)].into_iter().chain(unwanted) {
            let sql = self.sql.drop(&left);
            self.execute("what was left half done cannot be dropped", &sql).await?;
        }
        Ok(())
    }

    /// Fills a table from rows of files, and proves it.
    async fn fill(&mut self, way: Way, contents: Arc<Contents>) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        self.clear().await?;
        let into = if way == Way::Refill { recipe.table.clone() } else { beside(&recipe.table) };
        let made = match way {
            Way::Make => self.sql.create(&into, &recipe, &contents.columns).map_err(|why| Trouble::invalid(format!("Fixture {}: {why}", recipe.fixture)))?,
            Way::Swap => self.sql.create_like(&into, &recipe.table),
            Way::Refill | Way::Run => vec![self.sql.set_comment(&into, &Comment::Loading), self.sql.truncate(&into)],
        };
        self.execute_all("a table to fill cannot be made", &made).await?;
        let layout = Arc::new(self.layout(&into, &contents.columns).await?);
        let statement = self.sql.load(&into, &layout.slots, layout.wire == Wire::Binary);
        let Loader { link, bucket, endpoint, number, .. } = self.loader;
        let flow = Flow {
            link: Arc::clone(link),
            bucket: bucket.clone(),
            taker: Taker::Sessions(endpoint.clone(), statement),
            number: *number,
            recipe: Arc::clone(&recipe),
            contents,
            layout: Arc::clone(&layout),
        };
        let tally = flow.run().await?;
        self.loader.tell(|report| report.state = TableState::Proving);
        let (rows, checksum) = self.prove(&into, &layout, &tally).await?;
        if recipe.reset == FixtureReset::Snapshot {
            self.keep(&into, rows, &checksum).await?;
        }
        let proof = self.loader.proof(rows, &checksum);
        let last = match way {
            Way::Make => self.sql.swap(&recipe.table, false, &proof),
            Way::Swap => self.sql.swap(&recipe.table, true, &proof),
            Way::Refill | Way::Run => vec![self.sql.set_comment(&recipe.table, &proof)],
        };
        self.execute_all("it is loaded and cannot take its place", &last).await?;
        self.unlock().await;
        tracing::info!(table = recipe.table, rows, "loaded and proved");
        self.loader.ready(TableState::Loaded, rows, checksum);
        Ok(())
    }

    async fn unlock(&mut self) {
        let sql = self.sql.unlock(&self.loader.endpoint.database, &self.loader.recipe.table);
        // The end of the session gives it back too.
        let _ = self.session.query(&sql).await;
    }

    /// Which column of the files goes into which of the table.
    async fn layout(&mut self, into: &str, columns: &[Column]) -> Result<Layout, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let sql = self.sql.columns(into);
        let rows = self.session.query(&sql).await.map_err(|error| self.loader.sql("its columns cannot be read", &error))?;
        let targets = self.sql.read_columns(rows);
        let mut slots = Vec::with_capacity(columns.len());
        for Column { name, kind } in columns {
            let Some(target) = targets.iter().find(|target| target.name == *name) else {
                let known: Vec<&str> = targets.iter().take(8).map(|target| target.name.as_str()).collect();
                let message = format!("Column {name} of fixture {} is not in table {}, which has {}", recipe.fixture, recipe.table, known.join(", "));
                return Err(Trouble::invalid(message));
            };
            slots.push(Slot { name: name.clone(), kind: *kind, class: target.class });
        }
        Ok(Layout::new(&recipe.fixture, &recipe.table, slots, self.sql.reader()))
    }

    /// Asks what the table has come to, and compares it with what was put in.
    async fn prove(&mut self, into: &str, layout: &Layout, tally: &Tally) -> Result<(u64, String), Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.loader.recipe;
        if tally.rows() == 0 {
            return Err(Trouble::invalid(format!("Fixture {fixture} has no rows: there is nothing to load into table {table}")));
        }
        let columns: Vec<_> = layout.slots.iter().map(|slot| (slot.name.as_str(), slot.class)).collect();
        let measured = self.loader.measure(&mut self.session, into, &columns).await?;
        if let Some(why) = tally.differs(&layout.slots, &measured) {
            let message = format!("Table {table} does not hold what was loaded from fixture {fixture}: {why}");
            return Err(Trouble::refused(Reason::FixtureVerifyFailed, message));
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        Ok((measured.rows, checksum(&names, &measured)))
    }

    /// Runs the statements of a dump. What was begun and not ended stands beside the table, so that the next loader knows.
    async fn run_dump(&mut self) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let begun = beside(&recipe.table);
        if self.comment(&begun).await? != Some(Comment::Loading) {
            self.clear().await?;
            let sql = self.sql.create_loading(&begun, "begun INT");
            self.execute("its loading cannot be noted down", &sql).await?;
        }
        let sql = self.sql.drop(&recipe.table);
        self.execute("it cannot be dropped", &sql).await?;
        for file in &recipe.files {
            self.run_file(file).await?;
        }
        if self.comment(&recipe.table).await?.is_none() {
            return Err(Trouble::invalid(format!("The statements of fixture {} make no table {}", recipe.fixture, recipe.table)));
        }
        self.loader.tell(|report| report.state = TableState::Proving);
        let sql = self.sql.columns(&recipe.table);
        let rows = self.session.query(&sql).await.map_err(|error| self.loader.sql("its columns cannot be read", &error))?;
        let targets = self.sql.read_columns(rows);
        let columns: Vec<_> = targets.iter().map(|target| (target.name.as_str(), target.class)).collect();
        let measured = self.loader.measure(&mut self.session, &recipe.table, &columns).await?;
        if measured.rows == 0 {
            return Err(Trouble::invalid(format!("The statements of fixture {} leave table {} empty", recipe.fixture, recipe.table)));
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let checksum = checksum(&names, &measured);
        let proof = self.sql.set_comment(&recipe.table, &self.loader.proof(measured.rows, &checksum));
        let ended = self.sql.drop(&begun);
        self.execute_all("it is loaded and cannot be marked", &[proof, ended]).await?;
        self.unlock().await;
        self.loader.ready(TableState::Loaded, measured.rows, checksum);
        Ok(())
    }

    async fn run_file(&mut self, file: &StoredFile) -> Result<(), Trouble> {
        let (fixture, engine) = (self.loader.recipe.fixture.clone(), self.loader.endpoint.engine);
        let (stream, key) = (self.loader.bucket.open(file, Some(self.loader.number)), file.key.clone());
        let (out, mut statements) = tokio::sync::mpsc::channel::<(u64, String)>(4);
        let cutting = tokio::task::spawn_blocking(move || -> Result<(), DumpError> {
            let unpacked = flow::decompressed(&key, stream).map_err(DumpError::Read)?;
            let mut dump = Dump::new(std::io::BufReader::with_capacity(256 << 10, unpacked), engine);
            while let Some(statement) = dump.next()? {
                // Whoever would run it has gone, and says why.
                if out.blocking_send(statement).is_err() {
                    break;
                }
            }
            Ok(())
        });
        while let Some((line, statement)) = statements.recv().await {
            if self.loader.link.is_stopped() {
                return Err(Trouble::Stopped);
            }
            if let Some(what) = workload::destroys(&statement, engine) {
                return Err(flow::wrong(&fixture, file, &format!("the statement of line {line} is {what}, which no dump may do")));
            }
            let ran = self.session.execute(&statement).await;
            ran.map_err(|error| error.trouble(&format!("The statement of line {line} of file {} of fixture {fixture} failed", file.key)))?;
        }
        match cutting.await {
            Ok(Ok(())) => {}
            Ok(Err(DumpError::Statement(line, why))) => return Err(flow::wrong(&fixture, file, &format!("the statement of line {line}: {why}"))),
            Ok(Err(DumpError::Read(error))) => {
                return Err(Trouble::in_error(&error, |why| flow::wrong(&fixture, file, &format!("it cannot be unpacked: {why}"))));
            }
            Err(error) => return Err(flow::wrong(&fixture, file, &format!("its reader broke off ({error})"))),
        }
        self.loader.tell(|report| report.files += 1);
        Ok(())
    }
}

/// What the files of a table hold: the same columns, in any order.
fn look_at_all(bucket: &Bucket, recipe: &TableRecipe) -> Result<Contents, Trouble> {
    let mut columns: Vec<Column> = Vec::new();
    let mut files = Vec::with_capacity(recipe.files.len());
    let mut rows = 0_u64;
    for (number, file) in recipe.files.iter().enumerate() {
        let (found, groups) = match recipe.format {
            FixtureFormat::Parquet => {
                let look = parquet::look(bucket, &recipe.fixture, file)?;
                rows += look.rows;
                (look.columns, look.groups)
            }
            FixtureFormat::Csv | FixtureFormat::Sql => (flow::look_at_csv(bucket, &recipe.fixture, file)?, Vec::new()),
        };
        if number == 0 {
            columns.clone_from(&found);
        }
        let first = recipe.files.first().map_or("", |first| first.key.as_str());
        let order = order(&columns, &found).map_err(|why| flow::wrong(&recipe.fixture, file, &format!("{why}, unlike file {first}")))?;
        files.push(FileContents { order, groups });
    }
    if recipe.format == FixtureFormat::Parquet && rows == 0 {
        return Err(Trouble::invalid(format!("Fixture {} has no rows: its {} files have 0 rows together", recipe.fixture, files.len())));
    }
    Ok(Contents { columns, files })
}

/// Where each of the columns stands in a file.
fn order(columns: &[Column], found: &[Column]) -> Result<Vec<usize>, String> {
    if let Some(more) = found.iter().find(|found| !columns.iter().any(|column| column.name == found.name)) {
        return Err(format!("it has a column {}", more.name));
    }
    columns
        .iter()
        .map(|column| {
            let at = found.iter().position(|found| found.name == column.name).ok_or_else(|| format!("it has no column {}", column.name))?;
            match found.get(at) {
                Some(there) if there.kind != column.kind => Err(format!("its column {} is {} and not {}", column.name, there.kind, column.kind)),
                _ => Ok(at),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::value::Kind, *};

    fn columns(names: &[(&str, Kind)]) -> Vec<Column> {
        names.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind }).collect()
    }

    #[test]
    fn files_may_have_their_columns_in_any_order_and_none_more_or_less() {
        let first = columns(&[("a", Kind::Text), ("b", Kind::Date)]);
        assert_eq!(order(&first, &columns(&[("b", Kind::Date), ("a", Kind::Text)])), Ok(vec![1, 0]));
        assert_eq!(order(&first, &columns(&[("a", Kind::Text)])), Err("it has no column b".to_owned()));
        assert_eq!(order(&first, &columns(&[("a", Kind::Text), ("b", Kind::Date), ("c", Kind::Bool)])), Err("it has a column c".to_owned()));
        assert_eq!(
            order(&first, &columns(&[("a", Kind::Text), ("b", Kind::Timestamp { utc: true })])),
            Err("its column b is timestamp in UTC and not date".to_owned())
        );
    }
}
