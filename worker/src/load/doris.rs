//! Apache Doris: statements over MySQL's wire protocol, rows over HTTP as stream loads ([`stream`]). Rows go into a table beside the one that
//! is meant, which takes its place in one statement: `ALTER TABLE … REPLACE WITH TABLE … PROPERTIES('swap' = 'false')`
//! (`docs/sql-manual/…/ALTER-TABLE-REPLACE.md` of apache/doris-website).
//!
//! No Doris could be run where this was written: it is made from its documentation and sources, as they are named here and below, and
//! shown against a stub of its HTTP protocol and MariaDB.

mod right;
mod sql;
mod stream;

use std::{sync::Arc, time::Duration};

use crucible_crds::{Reason, fixture::FixtureFormat, test_run::TableState};
use crucible_lifecycle::{
    contract::TableRecipe,
    fixture::{Comment, Judgement, Mark, Way, judge},
};

use super::{
    encode::Layout,
    engine::{aside, beside},
    flow::{Contents, Flow, Taker},
    session::Session,
    table::{Loader, contents_of, not_ours},
    tally::{Measured, Tally, checksum},
    text::Reader,
    trouble::Trouble,
    value::{Class, Column, Kind, Slot},
};
use right::Right;
pub use stream::Writer;

/// How often a table is asked again whose last rows may not be seen yet, and how long is waited before that.
const LOOKS: u32 = 6;
const LATER: Duration = Duration::from_secs(2);

/// What the files hold, where they have to be loaded. Nothing is touched.
pub async fn look(loader: &Loader) -> Result<Option<Arc<Contents>>, Trouble> {
    let TableRecipe { fixture, table, format, .. } = &*loader.recipe;
    if *format == FixtureFormat::Sql {
        return Err(Trouble::invalid(format!("Fixture {fixture} is SQL, which is not run on Doris: table {table} is loaded from Parquet and CSV alone")));
    }
    let mut hand = Hand::reach(loader).await?;
    match hand.judge().await? {
        Judgement::Believe(_) => Ok(None),
        Judgement::Refuse => Err(not_ours(&loader.recipe)),
        Judgement::Load(way) => {
            let contents = contents_of(&loader.bucket, &loader.recipe).await?;
            if way == Way::Make {
                hand.create(&contents.columns).await?;
            } else {
                hand.layout(table, &contents.columns).await?;
            }
            Ok(Some(contents))
        }
    }
}

/// Brings the table to what it should be, or finds that it is.
pub async fn load(loader: &Loader, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
    let right = Right::take(&loader.endpoint, &loader.recipe.table).await?;
    let ended = match Hand::reach(loader).await {
        Ok(mut hand) => hand.load(&right, contents).await,
        Err(trouble) => Err(trouble),
    };
    // Whatever came of it, the next loader need not wait.
    right.give_back().await;
    ended
}

/// A session, with the table that is meant.
struct Hand<'a> {
    loader: &'a Loader,
    session: Session,
}

impl<'a> Hand<'a> {
    async fn reach(loader: &'a Loader) -> Result<Self, Trouble> {
        Ok(Self { loader, session: Session::connect(&loader.endpoint).await? })
    }

    async fn ask(&mut self, what: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Trouble> {
        let table = &self.loader.recipe.table;
        self.session.query(sql).await.map_err(|error| error.trouble(&format!("Table {table}: {what}")))
    }

    async fn execute_all(&mut self, what: &str, statements: &[String]) -> Result<(), Trouble> {
        let table = &self.loader.recipe.table;
        for sql in statements {
            self.session.execute(sql).await.map_err(|error| error.trouble(&format!("Table {table}: {what}")))?;
        }
        Ok(())
    }

    async fn judge(&mut self) -> Result<Judgement, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let rows = self.ask("its comment cannot be read", &sql::comment(&recipe.table)).await?;
        let comment = rows.into_iter().next().map(|row| Comment::parse(&row.into_iter().next().flatten().unwrap_or_default()));
        Ok(judge(&recipe, comment.as_ref()))
    }

    async fn load(&mut self, right: &Right, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let TableRecipe { fixture, table, .. } = &*recipe;
        let way = match self.judge().await? {
            Judgement::Believe(mark) => {
                let counted = self.ask("its rows cannot be counted", &sql::count(table)).await?;
                let rows: u64 = counted.into_iter().flatten().flatten().next().and_then(|count| count.parse().ok()).unwrap_or_default();
                if mark.rows == rows {
                    return self.found(mark).await;
                }
                tracing::warn!(table, was = mark.rows, rows, "the table has other rows than it says, it is loaded anew");
                crucible_lifecycle::fixture::table::way(&recipe, true)
            }
            Judgement::Refuse => return Err(not_ours(&self.loader.recipe)),
            Judgement::Load(way) => way,
        };
        tracing::info!(table, fixture, ?way, "loading");
        self.loader.tell(|report| report.state = TableState::Loading);
        let contents = match contents {
            Some(contents) => contents,
            None => contents_of(&self.loader.bucket, &self.loader.recipe).await?,
        };
        self.fill(right, way, contents).await
    }

    async fn found(&mut self, mark: Mark) -> Result<(), Trouble> {
        let table = self.loader.recipe.table.clone();
        self.clear().await?;
        if self.loader.recipe.writes {
            let dirty = sql::set_comment(&table, &Comment::Proved(Mark { dirty: true, ..mark.clone() }));
            self.execute_all("it cannot be marked as changed", &[dirty]).await?;
        }
        tracing::info!(table, rows = mark.rows, "found as it was loaded");
        self.loader.ready(TableState::Found, mark.rows, mark.checksum);
        Ok(())
    }

    /// Throws away what another loader left half done. Names like these are the loaders' own.
    async fn clear(&mut self) -> Result<(), Trouble> {
        let table = &self.loader.recipe.table;
        let left = [sql::drop(&beside(table)), sql::drop(&aside(table))];
        self.execute_all("what was left half done cannot be dropped", &left).await
    }

    /// Fills a table from rows of files, and proves it.
    async fn fill(&mut self, right: &Right, way: Way, contents: Arc<Contents>) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        self.clear().await?;
        let into = if way == Way::Refill { recipe.table.clone() } else { beside(&recipe.table) };
        let made = match way {
            Way::Make => vec![self.create(&contents.columns).await?],
            Way::Swap => vec![sql::create_like(&into, &recipe.table), sql::set_comment(&into, &Comment::Loading)],
            Way::Refill | Way::Run => vec![sql::set_comment(&into, &Comment::Loading), sql::truncate(&into)],
        };
        self.execute_all("a table to fill cannot be made", &made).await?;
        let layout = Arc::new(self.layout(&into, &contents.columns).await?);
        let loader = self.loader;
        let port = sql::http_port(&mut self.session).await;
        let writer = Writer::new(&loader.endpoint, port, &into, &layout, right.watch(), Arc::clone(&loader.link))?;
        let flow = Flow {
            link: Arc::clone(&loader.link),
            bucket: loader.bucket.clone(),
            taker: Taker::Doris(Box::new(writer)),
            number: loader.number,
            recipe: Arc::clone(&recipe),
            contents,
            layout: Arc::clone(&layout),
        };
        let tally = flow.run().await?;
        loader.tell(|report| report.state = TableState::Proving);
        let (rows, checksum) = self.prove(&into, &layout, &tally).await?;
        right.confirm().await?;
        let proof = loader.proof(rows, &checksum);
        let last = match way {
            Way::Make => vec![sql::set_comment(&into, &proof), sql::rename(&into, &recipe.table)],
            Way::Swap => vec![sql::set_comment(&into, &proof), sql::replace(&recipe.table, &into)],
            Way::Refill | Way::Run => vec![sql::set_comment(&recipe.table, &proof)],
        };
        self.execute_all("it is loaded and cannot take its place", &last).await?;
        tracing::info!(table = recipe.table, rows, "loaded and proved");
        loader.ready(TableState::Loaded, rows, checksum);
        Ok(())
    }

    /// The statement that makes the table beside.
    async fn create(&mut self, columns: &[Column]) -> Result<String, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let replicas = sql::replicas(&mut self.session).await;
        sql::create(&beside(&recipe.table), &recipe, columns, replicas).map_err(|why| Trouble::invalid(format!("Fixture {}: {why}", recipe.fixture)))
    }

    /// Which column of the files goes into which of the table.
    async fn layout(&mut self, into: &str, columns: &[Column]) -> Result<Layout, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let TableRecipe { fixture, table, .. } = &*recipe;
        let rows = self.ask("its columns cannot be read", &sql::columns(into)).await?;
        let targets = sql::read_columns(rows);
        let mut slots = Vec::with_capacity(columns.len());
        for Column { name, kind } in columns {
            let Some(target) = targets.iter().find(|target| target.name == *name) else {
                let some: Vec<&str> = targets.iter().take(8).map(|target| target.name.as_str()).collect();
                return Err(Trouble::invalid(format!("Column {name} of fixture {fixture} is not in table {table}, which has {}", some.join(", "))));
            };
            if *kind == Kind::Bytes {
                return Err(Trouble::invalid(format!("Column {name} of fixture {fixture} is bytes, which no stream load can have")));
            }
            // How a boolean is added up is not known.
            let class = if *kind == Kind::Bool { Class::Other } else { target.class };
            slots.push(Slot { name: name.clone(), kind: *kind, class });
        }
        Ok(Layout::new(fixture, table, slots, Reader::Doris))
    }

    /// Asks what the table has come to, and compares it with what was put in.
    async fn prove(&mut self, into: &str, layout: &Layout, tally: &Tally) -> Result<(u64, String), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let TableRecipe { fixture, table, .. } = &*recipe;
        if tally.rows() == 0 {
            return Err(Trouble::invalid(format!("Fixture {fixture} has no rows: there is nothing to load into table {table}")));
        }
        let columns: Vec<_> = layout.slots.iter().map(|slot| (slot.name.as_str(), slot.class)).collect();
        let mut looks = 1;
        loop {
            let measured = self.measure(into, &columns).await?;
            match tally.differs(&layout.slots, &measured) {
                None => {
                    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
                    return Ok((measured.rows, checksum(&names, &measured)));
                }
                // What is committed is seen a little later: "Publish Timeout" is said of such rows.
                Some(_) if measured.rows < tally.rows() && looks < LOOKS => {
                    looks += 1;
                    self.loader.link.pause(LATER).await?;
                }
                Some(why) => {
                    let message = format!("Table {table} does not hold what was loaded from fixture {fixture}: {why}");
                    return Err(Trouble::refused(Reason::FixtureVerifyFailed, message));
                }
            }
        }
    }

    async fn measure(&mut self, table: &str, columns: &[(&str, Class)]) -> Result<Measured, Trouble> {
        let rows = self.ask("it cannot be measured", &sql::measure(table, columns)).await?;
        let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
        let count = |field: Option<Option<String>>| field.flatten().and_then(|text| text.parse().ok()).unwrap_or_default();
        let rows = count(fields.next());
        let columns = columns.iter().map(|_| (count(fields.next()), fields.next().flatten())).collect();
        Ok(Measured { rows, columns })
    }
}
