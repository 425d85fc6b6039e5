//! The right to fill a table. Doris has no locks for its users, and two statements for one row exclude nobody; but a table of one name is
//! only made once. So the right is a table, whose comment says until when it is had: whoever finds the newest one past its time makes the next,
//! and whoever has it looks for a newer one before each time that it is kept.

use crucible_lifecycle::build::names::short_hash;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    super::{
        session::{Endpoint, Session, SqlError},
        trouble::Trouble,
        watch::{EVERY, LASTS, Watch, lost},
    },
    sql::{literal, name},
};

/// What MySQL and Doris say of a table that is there already.
const EXISTS: u32 = 1050;

/// The right to fill a table.
pub struct Right {
    held: Held,
    endpoint: Endpoint,
    watch: Watch,
    keeping: JoinHandle<()>,
}

/// What says that it is had.
#[derive(Clone)]
struct Held {
    table: String,
    /// What the names of all tables for this right begin with.
    prefix: String,
    number: u64,
}

/// What was found of such tables.
struct Newest {
    number: u64,
    until: u64,
    now: u64,
    /// All of them.
    names: Vec<String>,
}

impl Right {
    /// Takes it, if nobody has it.
    pub async fn take(endpoint: &Endpoint, table: &str) -> Result<Self, Trouble> {
        let failed = |error: &SqlError| error.trouble(&format!("Table {table}: the right to fill it cannot be had"));
        let mut session = Session::connect(endpoint).await?;
        let prefix = format!("crucible_lock_{}_", short_hash(table, 12));
        let since = Instant::now();
        let newest = look(&mut session, &prefix).await.map_err(|error| failed(&error))?;
        let taken = || Trouble::Again(format!("another loader fills table {table}"));
        if newest.until > newest.now {
            return Err(taken());
        }
        let held = Held { table: table.to_owned(), prefix, number: newest.number + 1 };
        let made = format!(
            "CREATE TABLE {} (`held` INT) DUPLICATE KEY(`held`) COMMENT {} DISTRIBUTED BY HASH(`held`) BUCKETS 1{}",
            name(&held.name()),
            literal(&until(newest.now)),
            super::sql::replicas(&mut session).await.map(|replicas| format!(" PROPERTIES (\"replication_num\" = \"{replicas}\")")).unwrap_or_default()
        );
        match session.execute(&made).await {
            Ok(()) => {}
            Err(error) if error.code == Some(EXISTS) => return Err(taken()),
            Err(error) => return Err(failed(&error)),
        }
        for old in newest.names {
            // Whoever had it is past its time; what stays is dropped by the next.
            let _ = session.execute(&format!("DROP TABLE IF EXISTS {}", name(&old))).await;
        }
        let watch = Watch::new(since);
        let keeping = tokio::spawn(keep(session, held.clone(), watch.clone()));
        Ok(Self { held, endpoint: endpoint.clone(), watch, keeping })
    }

    /// What says whether it is still had.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Asks whether it is still had.
    pub async fn confirm(&self) -> Result<(), Trouble> {
        let mut session = Session::connect(&self.endpoint).await?;
        let since = Instant::now();
        match renew(&mut session, &self.held).await {
            Ok(true) => {
                self.watch.set(Some(since));
                Ok(())
            }
            Ok(false) => Err(lost(&self.held.table)),
            Err(error) => Err(error.trouble(&format!("Table {}: whether the right to fill it is still had cannot be known", self.held.table))),
        }
    }

    /// Gives it back. Where that fails it ends by itself.
    pub async fn give_back(self) {
        self.keeping.abort();
        if let Ok(mut session) = Session::connect(&self.endpoint).await {
            let _ = session.execute(&format!("DROP TABLE IF EXISTS {}", name(&self.held.name()))).await;
        }
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl Held {
    fn name(&self) -> String {
        format!("{}{:010}", self.prefix, self.number)
    }
}

/// What the comment says, by the server's clock.
fn until(now: u64) -> String {
    format!("crucible until={}", now + LASTS.as_secs())
}

async fn look(session: &mut Session, prefix: &str) -> Result<Newest, SqlError> {
    let rows = session.query("SELECT UNIX_TIMESTAMP()").await?;
    let now = rows.into_iter().flatten().flatten().next().and_then(|now| now.split('.').next()?.parse().ok()).unwrap_or_default();
    let known = format!(
        "SELECT table_name, table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE {}",
        literal(&format!("{prefix}%"))
    );
    let mut newest = Newest { number: 0, until: 0, now, names: Vec::new() };
    for row in session.query(&known).await? {
        let mut fields = row.into_iter();
        let (Some(table), comment) = (fields.next().flatten(), fields.next().flatten().unwrap_or_default()) else { continue };
        // An underscore stands for any character in such a pattern.
        let Some(number) = table.strip_prefix(prefix).and_then(|number| number.parse().ok()) else { continue };
        if number > newest.number {
            newest.number = number;
            newest.until = comment.strip_prefix("crucible until=").and_then(|until| until.parse().ok()).unwrap_or_default();
        }
        newest.names.push(table);
    }
    Ok(newest)
}

async fn renew(session: &mut Session, held: &Held) -> Result<bool, SqlError> {
    let newest = look(session, &held.prefix).await?;
    if newest.number != held.number {
        return Ok(false);
    }
    session.execute(&format!("ALTER TABLE {} MODIFY COMMENT {}", name(&held.name()), literal(&until(newest.now)))).await?;
    Ok(true)
}

/// Keeps the right for as long as it is ours.
async fn keep(mut session: Session, held: Held, watch: Watch) {
    loop {
        tokio::time::sleep(EVERY).await;
        let since = Instant::now();
        match renew(&mut session, &held).await {
            Ok(true) => watch.set(Some(since)),
            Ok(false) => {
                tracing::warn!(table = held.table, "another loader has taken the right to fill the table");
                watch.set(None);
                return;
            }
            Err(error) => tracing::warn!(table = held.table, why = error.said(), "failed to keep the right to fill the table, trying on"),
        }
    }
}
