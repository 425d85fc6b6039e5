//! `reset: snapshot`: a second table keeps the rows as they were loaded, with their proof. A table that has changed since gets them from there,
//! within the database; what comes out is proved as what is loaded from files is.

use std::sync::Arc;

use crucible_crds::test_run::TableState;
use crucible_lifecycle::fixture::{Comment, Mark};

use super::{
    super::{
        engine::{beside, kept},
        tally::checksum,
        trouble::Trouble,
    },
    FixtureReset, Hand,
};

impl Hand<'_> {
    /// The proof of the rows that are kept, where they are those of this dataset.
    pub(super) async fn kept(&mut self) -> Result<Option<Mark>, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        if recipe.reset != FixtureReset::Snapshot {
            return Ok(None);
        }
        match self.comment(&kept(&recipe.table)).await? {
            Some(Comment::Proved(mark)) if mark.digest == recipe.digest => Ok(Some(mark)),
            Some(_) | None => Ok(None),
        }
    }

    /// Brings the kept rows into the table. Answers false where they are not what they were, or do not fit the table any more: then the files do it.
    pub(super) async fn restore(&mut self, mark: &Mark) -> Result<bool, Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let (into, from) = (beside(&recipe.table), kept(&recipe.table));
        self.clear().await?;
        let exists = self.comment(&recipe.table).await?.is_some();
        let like = if exists { &recipe.table } else { &from };
        if let Err(why) = self.copy(&from, &into, like, (mark.rows, &mark.checksum)).await? {
            tracing::warn!(table = recipe.table, why, "the rows that were kept are of no use, the files are loaded");
            return Ok(false);
        }
        let proof = self.loader.proof(mark.rows, &mark.checksum);
        let last = self.sql.swap(&recipe.table, exists, &proof);
        self.execute_all("it is filled and cannot take its place", &last).await?;
        self.unlock().await;
        tracing::info!(table = recipe.table, rows = mark.rows, "brought back from the rows that were kept");
        self.loader.tell(|report| {
            (report.files, report.bytes) = (recipe.files.len() as u64, recipe.files.iter().map(|file| file.bytes).sum());
        });
        self.loader.ready(TableState::Restored, mark.rows, mark.checksum.clone());
        Ok(true)
    }

    /// Keeps the rows of a table that was just proved. Where that cannot be, the table is as good; only the next run reads the files again.
    pub(super) async fn keep(&mut self, from: &str, rows: u64, checksum: &str) -> Result<(), Trouble> {
        let recipe = Arc::clone(&self.loader.recipe);
        let into = kept(&recipe.table);
        let drop = self.sql.drop(&into);
        self.execute("the rows that were kept before cannot be dropped", &drop).await?;
        if let Err(why) = self.copy(from, &into, from, (rows, checksum)).await? {
            tracing::warn!(table = recipe.table, why, "its rows are not kept");
            return self.execute("what was kept in vain cannot be dropped", &drop).await;
        }
        let Comment::Proved(mark) = self.loader.proof(rows, checksum) else { return Ok(()) };
        let proof = self.sql.set_comment(&into, &Comment::Proved(Mark { dirty: false, ..mark }));
        self.execute("the rows that are kept cannot be marked", &proof).await
    }

    /// Copies every row into a new table with the columns and keys of a third. The inner error is why that is of no use: the database does not do it, or
    /// over all columns something else comes out.
    async fn copy(&mut self, from: &str, into: &str, like: &str, expected: (u64, &str)) -> Result<Result<(), String>, Trouble> {
        match self.copied(from, into, like).await {
            Ok((rows, checksum)) if (rows, checksum.as_str()) == expected => Ok(Ok(())),
            Ok((rows, _)) => Ok(Err(format!("{rows} rows came out where {} were expected, or with other values or columns", expected.0))),
            Err(Trouble::Refused(failure)) => Ok(Err(failure.message)),
            Err(trouble) => Err(trouble),
        }
    }

    /// The same; answers what has come out, by rows and checksum over all columns.
    async fn copied(&mut self, from: &str, into: &str, like: &str) -> Result<(u64, String), Trouble> {
        let made = self.sql.create_like(into, like);
        self.execute_all("a table for its rows cannot be made", &made).await?;
        let sql = self.sql.columns(from);
        let rows = self.session.query(&sql).await.map_err(|error| self.loader.sql("its columns cannot be read", &error))?;
        let columns = self.sql.read_columns(rows);
        let columns: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.class)).collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let sql = self.sql.copy(into, from, &names);
        self.execute("its rows cannot be copied", &sql).await?;
        let measured = self.loader.measure(&mut self.session, into, &columns).await?;
        Ok((measured.rows, checksum(&names, &measured)))
    }
}
