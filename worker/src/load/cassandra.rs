//! Cassandra: rows by prepared statements, each sent to a replica that keeps it, few of them in flight.
//!
//! A table cannot be renamed there, so it is filled where it is: its proof is taken back before it is emptied, and it has another only when
//! every row was read back ([`standing`]). Whoever holds its row in a table of ours ([`right`]) is the only one who touches it.

mod cluster;
mod proof;
mod right;
mod standing;
pub mod types;
mod writer;

use std::sync::Arc;

use crucible_crds::{Reason, fixture::FixtureFormat, test_run::TableState};
use crucible_lifecycle::{
    contract::TableRecipe,
    fixture::{Comment, Judgement, Mark, judge},
};

use super::{
    encode::{Layout, Wire},
    flow::{Contents, Flow, Taker},
    table::{Loader, contents_of, not_ours},
    trouble::Trouble,
    value::{Class, Column, Slot},
};
use cluster::{Cluster, CqlError, literal, name};
use right::Right;
use standing::{OURS, Standing};
use types::CqlType;
pub use writer::Writer;

/// What the files hold, where they have to be loaded. Nothing is touched.
pub async fn look(loader: &Loader) -> Result<Option<Arc<Contents>>, Trouble> {
    let TableRecipe { fixture, table, format, .. } = &*loader.recipe;
    if *format == FixtureFormat::Sql {
        return Err(Trouble::invalid(format!("Fixture {fixture} is SQL, which Cassandra cannot run: table {table} is loaded from Parquet and CSV alone")));
    }
    let hand = Hand::reach(loader).await?;
    let columns = hand.columns().await?;
    match hand.judge(hand.standing().await?.as_ref()) {
        Judgement::Believe(_) => return Ok(None),
        Judgement::Refuse => return Err(not_ours(&loader.recipe)),
        Judgement::Load(_) => {}
    }
    let contents = contents_of(&loader.bucket, &loader.recipe).await?;
    if columns.is_empty() {
        create(&hand.table(), &loader.recipe, &contents.columns)?;
    } else {
        hand.layout(&contents.columns, &columns)?;
    }
    Ok(Some(contents))
}

/// Brings the table to what it should be, or finds that it is.
pub async fn load(loader: &Loader, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
    let hand = Hand::reach(loader).await?;
    let right = Right::take(&hand.cluster, &loader.recipe.table).await?;
    let ended = hand.load(&right, contents).await;
    // Whatever came of it, the next loader need not wait.
    right.give_back().await;
    ended
}

/// A cluster, with the table that is meant.
struct Hand<'a> {
    loader: &'a Loader,
    cluster: Arc<Cluster>,
}

/// A column of a table that is there.
struct Known {
    name: String,
    cql: String,
    /// Whether it is part of the primary key.
    key: bool,
    /// Whether it is one of those that decide which nodes keep a row.
    partition: bool,
}

impl<'a> Hand<'a> {
    async fn reach(loader: &'a Loader) -> Result<Self, Trouble> {
        Ok(Self { loader, cluster: Arc::new(Cluster::connect(&loader.endpoint).await?) })
    }

    /// The table as a statement has it.
    fn table(&self) -> String {
        self.cluster.table(&self.loader.recipe.table)
    }

    async fn load(&self, right: &Right, contents: Option<Arc<Contents>>) -> Result<(), Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.loader.recipe;
        let standing = self.standing().await?;
        match (self.judge(standing.as_ref()), &standing) {
            (Judgement::Believe(mark), Some(standing)) => {
                let rows = proof::count(&self.cluster, &self.table(), &PartitionKey::of(&self.columns().await?), mark.rows).await?;
                if rows == mark.rows {
                    return self.found(standing, mark).await;
                }
                tracing::warn!(table, was = mark.rows, rows, "the table has other rows than it says, it is loaded anew");
            }
            (Judgement::Refuse, _) => return Err(not_ours(&self.loader.recipe)),
            (Judgement::Load(_) | Judgement::Believe(_), _) => {}
        }
        tracing::info!(table, fixture, "loading");
        self.loader.tell(|report| report.state = TableState::Loading);
        let contents = match contents {
            Some(contents) => contents,
            None => contents_of(&self.loader.bucket, &self.loader.recipe).await?,
        };
        self.fill(right, contents).await
    }

    /// Makes the table or empties it, fills it, and proves it.
    async fn fill(&self, right: &Right, contents: Arc<Contents>) -> Result<(), Trouble> {
        let recipe = &self.loader.recipe;
        if let Some(standing) = self.standing().await? {
            // Nothing is changed before it is known that its columns take the files'.
            self.layout(&contents.columns, &self.columns().await?)?;
            standing.withdraw(&self.cluster, &recipe.table).await.map_err(self.trouble("its proof cannot be taken back"))?;
            if !standing.is_ours() {
                self.run("its comment cannot be set", &format!("ALTER TABLE {} WITH comment = {}", self.table(), literal(OURS))).await?;
            }
            self.run("it cannot be emptied", &format!("TRUNCATE TABLE {}", self.table())).await?;
        } else {
            self.run("it cannot be made", &create(&self.table(), recipe, &contents.columns)?).await?;
        }
        let gone = || Trouble::Again(format!("Table {} is not there any more", recipe.table));
        let standing = self.standing().await?.ok_or_else(gone)?;
        let there = self.columns().await?;
        let layout = Arc::new(self.layout(&contents.columns, &there)?);
        let writer = Writer::prepare(&self.cluster, &layout, right.watch(), Arc::clone(&self.loader.link)).await?;
        let flow = Flow {
            link: Arc::clone(&self.loader.link),
            bucket: self.loader.bucket.clone(),
            taker: Taker::Cassandra(Box::new(writer)),
            number: self.loader.number,
            recipe: Arc::clone(recipe),
            contents,
            layout: Arc::clone(&layout),
        };
        let tally = flow.run().await?;
        self.loader.tell(|report| report.state = TableState::Proving);
        if tally.rows() == 0 {
            return Err(Trouble::invalid(format!("Fixture {} has no rows: there is nothing to load into table {}", recipe.fixture, recipe.table)));
        }
        let found = proof::read_back(&self.cluster, &self.table(), &PartitionKey::of(&there), &layout, &tally).await?;
        if let Some(why) = found.differs(&layout.slots, &tally) {
            let message = format!("Table {} does not hold what was loaded from fixture {}: {why}", recipe.table, recipe.fixture);
            return Err(Trouble::refused(Reason::FixtureVerifyFailed, message));
        }
        let checksum = found.checksum(&layout.slots);
        // Who has lost the right has proved what may be another's by now.
        right.confirm().await?;
        self.prove(&standing, &self.loader.proof(tally.rows(), &checksum)).await?;
        tracing::info!(table = recipe.table, rows = tally.rows(), "loaded and proved");
        self.loader.ready(TableState::Loaded, tally.rows(), checksum);
        Ok(())
    }

    /// The table is as it was loaded. A run that writes makes it a changed one from here on.
    async fn found(&self, standing: &Standing, mark: Mark) -> Result<(), Trouble> {
        if self.loader.recipe.writes {
            self.prove(standing, &Comment::Proved(Mark { dirty: true, ..mark.clone() })).await?;
        }
        tracing::info!(table = self.loader.recipe.table, rows = mark.rows, "found as it was loaded");
        self.loader.ready(TableState::Found, mark.rows, mark.checksum);
        Ok(())
    }

    /// How the table stands; nothing where there is none.
    async fn standing(&self) -> Result<Option<Standing>, Trouble> {
        Standing::of(&self.cluster, &self.loader.recipe.table).await.map_err(self.trouble("what is proved of it cannot be read"))
    }

    fn judge(&self, standing: Option<&Standing>) -> Judgement {
        judge(&self.loader.recipe, standing.map(Standing::in_words).as_ref())
    }

    /// Writes down what was proved of the table.
    async fn prove(&self, standing: &Standing, proof: &Comment) -> Result<(), Trouble> {
        standing.prove(&self.cluster, &self.loader.recipe.table, proof).await.map_err(self.trouble("its proof cannot be written"))
    }

    fn trouble(&self, what: &str) -> impl Fn(CqlError) -> Trouble + use<> {
        let what = format!("Table {}: {what}", self.loader.recipe.table);
        move |error| error.trouble(&what)
    }

    async fn run(&self, what: &str, cql: &str) -> Result<(), Trouble> {
        self.cluster.change(cql).await.map_err(self.trouble(what))
    }

    /// The columns of the table, those of its key in their order; none where there is no table.
    async fn columns(&self) -> Result<Vec<Known>, Trouble> {
        let cql = "SELECT column_name, type, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
        let mut rows = self.of_schema::<(String, String, String, i32)>("its columns cannot be read", cql).await?;
        // `partition_key` comes before `clustering` and that before `regular` in the key, not in the alphabet.
        rows.sort_by_key(|(_, _, kind, position)| (kind != "partition_key", kind != "clustering", *position));
        let known = |(name, cql, kind, _): (String, String, String, i32)| {
            let partition = kind == "partition_key";
            Known { name, cql, key: partition || kind == "clustering", partition }
        };
        Ok(rows.into_iter().map(known).collect())
    }

    async fn of_schema<T>(&self, what: &str, cql: &str) -> Result<Vec<T>, Trouble>
    where
        T: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
    {
        let rows = self.cluster.ask(cql, (self.cluster.keyspace(), self.loader.recipe.table.as_str())).await;
        rows.map_err(self.trouble(what))
    }

    /// Which column of the files goes into which of the table.
    fn layout(&self, columns: &[Column], there: &[Known]) -> Result<Layout, Trouble> {
        let TableRecipe { fixture, table, .. } = &*self.loader.recipe;
        if let Some(missing) = there.iter().find(|known| known.key && !columns.iter().any(|column| column.name == known.name)) {
            return Err(Trouble::invalid(format!("Table {table} has column {} in its primary key, and fixture {fixture} does not have it", missing.name)));
        }
        let mut slots = Vec::with_capacity(columns.len());
        for Column { name, kind } in columns {
            let Some(known) = there.iter().find(|known| known.name == *name) else {
                let some: Vec<&str> = there.iter().take(8).map(|known| known.name.as_str()).collect();
                return Err(Trouble::invalid(format!("Column {name} of fixture {fixture} is not in table {table}, which has {}", some.join(", "))));
            };
            let Some(cql) = CqlType::parse(&known.cql).filter(|cql| cql.takes(*kind)) else {
                return Err(Trouble::invalid(format!(
                    "Column {name} of fixture {fixture} is {kind}, and table {table} has it as {}, which does not take that",
                    known.cql
                )));
            };
            slots.push(Slot { name: name.clone(), kind: *kind, class: Class::Cql { cql, key: known.key } });
        }
        Ok(Layout { fixture: fixture.clone(), table: table.clone(), slots, wire: Wire::Cql })
    }
}

/// What the token of a row is made of, as a statement has it.
struct PartitionKey(Vec<String>);

impl PartitionKey {
    fn of(columns: &[Known]) -> Self {
        Self(columns.iter().filter(|column| column.partition).map(|column| name(&column.name)).collect())
    }
}

/// The statement that makes a table, which says from its first moment that it is ours.
fn create(table: &str, recipe: &TableRecipe, columns: &[Column]) -> Result<String, Trouble> {
    let TableRecipe { fixture, table: short, primary_key, .. } = recipe;
    let wrong = |why: &str| Err(Trouble::invalid(format!("Fixture {fixture}: {why}")));
    if primary_key.is_empty() {
        return wrong(&format!(
            "spec.primaryKey is missing: there is no table {short} yet, and Cassandra makes none without a primary key; its first column decides which nodes keep a row"
        ));
    }
    let named = recipe.columns.iter().map(|column| &*column.name).chain(primary_key.iter().map(String::as_str));
    if let Some(unknown) = named.into_iter().find(|named| !columns.iter().any(|column| column.name == **named)) {
        return wrong(&format!("the files have no column {unknown}, which the fixture names"));
    }
    let mut parts = Vec::with_capacity(columns.len() + 1);
    for Column { name: column, kind } in columns {
        let cql = match recipe.columns.iter().find(|said| *said.name == *column) {
            None => CqlType::of(*kind),
            Some(said) => match CqlType::parse(&said.sql_type) {
                Some(cql) if cql.takes(*kind) => cql,
                Some(cql) => return wrong(&format!("column {column} is {kind} in the files, which a column of type {} does not take", cql.name())),
                None => return wrong(&format!("the type {} of column {column} is none that can be loaded: {}", &*said.sql_type, CqlType::names())),
            },
        };
        parts.push(format!("{} {}", name(column), cql.name()));
    }
    let key: Vec<String> = primary_key.iter().map(|column| name(column)).collect();
    parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    Ok(format!("CREATE TABLE {table} ({}) WITH comment = {}", parts.join(", "), literal(OURS)))
}

#[cfg(test)]
mod tests {
    use super::{super::value::Kind, *};
    use crucible_crds::fixture::FixtureReset;

    fn recipe(columns: &str, primary_key: &[&str]) -> TableRecipe {
        TableRecipe {
            fixture: "shop".into(),
            table: "orders".into(),
            format: FixtureFormat::Csv,
            reset: FixtureReset::Reload,
            replace_existing: false,
            columns: serde_json::from_str(columns).unwrap(),
            primary_key: primary_key.iter().map(|name| (*name).to_owned()).collect(),
            digest: "d1".into(),
            writes: false,
            files: Vec::new(),
        }
    }

    fn told(columns: &str, primary_key: &[&str]) -> String {
        let found = [("Id", Kind::Int { bits: 64, signed: false }), ("at", Kind::Timestamp { utc: true }), ("note", Kind::Text)];
        let found: Vec<Column> = found.into_iter().map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
        create("\"shop\".\"orders\"", &recipe(columns, primary_key), &found).unwrap_or_else(|trouble| trouble.to_string())
    }

    #[test]
    fn a_table_is_made_of_the_files_columns_and_says_that_it_is_being_filled() {
        assert_eq!(
            told("[]", &["Id", "at"]),
            "CREATE TABLE \"shop\".\"orders\" (\"Id\" varint, \"at\" timestamp, \"note\" text, PRIMARY KEY (\"Id\", \"at\")) WITH comment = 'crucible: what it holds is told by crucible_proofs'"
        );
        assert!(told(r#"[{"name": "at", "type": "BigInt"}, {"name": "note", "type": "uuid"}]"#, &["Id"]).contains("\"at\" bigint, \"note\" uuid, "));
    }

    #[test]
    fn what_no_table_can_be_made_of_is_named() {
        let missing = "Fixture shop: spec.primaryKey is missing: there is no table orders yet, and Cassandra makes none without a primary key; \
            its first column decides which nodes keep a row";
        assert_eq!(told("[]", &[]), missing);
        assert_eq!(told("[]", &["id"]), "Fixture shop: the files have no column id, which the fixture names");
        let odd = told(r#"[{"name": "note", "type": "varchar(20) not null"}]"#, &["Id"]);
        assert!(odd.starts_with("Fixture shop: the type varchar(20) not null of column note is none that can be loaded: boolean, tinyint, "), "{odd}");
        assert_eq!(
            told(r#"[{"name": "at", "type": "int"}]"#, &["Id"]),
            "Fixture shop: column at is timestamp in UTC in the files, which a column of type int does not take"
        );
    }
}
