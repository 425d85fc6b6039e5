//! How a table stands: whether it is ours, and what is proved of it.
//!
//! That a table is ours says its comment, once and for all. What it holds is a row in a table of ours, written by lightweight transactions and bound to the
//! table's id, which another table of the same name does not have. A proof in the comment would be a change of the schema at the end of each load: the
//! whole cluster has to agree on it, and Cassandra writes what it has of the table in memory to files for it.

use crucible_lifecycle::fixture::Comment;

use super::cluster::{Cluster, CqlError};

/// The table of those rows.
pub const PROOFS: &str = "crucible_proofs";
/// Its columns and its comment.
pub const MADE_AS: [&str; 2] = ["table_name text PRIMARY KEY, table_id text, proof text", "crucible: what was proved of the tables that it has loaded"];
/// The comment of a table of ours.
pub const OURS: &str = "crucible: what it holds is told by crucible_proofs";

/// A table that is there.
pub struct Standing {
    id: String,
    comment: String,
    proof: Option<Comment>,
}

impl Standing {
    /// Looks at a table; nothing where there is none.
    pub async fn of(cluster: &Cluster, table: &str) -> Result<Option<Self>, CqlError> {
        let cql = "SELECT table_name, CAST(id AS text), comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name IN (?, ?)";
        let known: Vec<(String, String, Option<String>)> = cluster.ask(cql, (cluster.keyspace(), table, PROOFS)).await?;
        let has_proofs = known.iter().any(|(name, ..)| name == PROOFS);
        let Some((_, id, comment)) = known.into_iter().find(|(name, ..)| name == table) else { return Ok(None) };
        let mut standing = Self { id, comment: comment.unwrap_or_default(), proof: None };
        if standing.comment == OURS && has_proofs {
            let cql = format!("SELECT table_id, proof FROM {} WHERE table_name = ?", cluster.table(PROOFS));
            let rows: Vec<(Option<String>, Option<String>)> = cluster.ask_most(&cql, (table,)).await?;
            let proof = rows.into_iter().find(|(of, _)| of.as_ref() == Some(&standing.id)).and_then(|(_, proof)| proof);
            standing.proof = proof.map(|proof| Comment::parse(&proof)).filter(|proof| matches!(proof, Comment::Proved(_)));
        }
        Ok(Some(standing))
    }

    /// In the words of decisions. What is ours and has no proof is being filled, or its filling was broken off.
    pub fn in_words(&self) -> Comment {
        match (&self.proof, &*self.comment) {
            (Some(proof), _) => proof.clone(),
            (None, OURS) => Comment::Loading,
            (None, comment) => match Comment::parse(comment) {
                Comment::Foreign => Comment::Foreign,
                // As an earlier loader told of it. Nobody takes that back, so it proves nothing.
                Comment::Loading | Comment::Proved(_) => Comment::Loading,
            },
        }
    }

    /// Whether its comment says that it is ours.
    pub fn is_ours(&self) -> bool {
        self.comment == OURS
    }

    /// Writes down what was proved of it. Whoever calls this has the right to fill the table, so that nobody else writes its row.
    pub async fn prove(&self, cluster: &Cluster, table: &str, proof: &Comment) -> Result<(), CqlError> {
        let (of, proof) = (self.id.as_str(), proof.to_string());
        let proofs = cluster.table(PROOFS);
        let insert = format!("INSERT INTO {proofs} (table_name, table_id, proof) VALUES (?, ?, ?) IF NOT EXISTS");
        if cluster.compare_and_set(&insert, (table, of, &*proof)).await? {
            return Ok(());
        }
        let update = format!("UPDATE {proofs} SET table_id = ?, proof = ? WHERE table_name = ? IF EXISTS");
        if cluster.compare_and_set(&update, (of, &*proof, table)).await? {
            return Ok(());
        }
        Err(CqlError::Passing("the row of its proof comes and goes".to_owned()))
    }

    /// Takes back what was proved, before anything is changed.
    pub async fn withdraw(&self, cluster: &Cluster, table: &str) -> Result<(), CqlError> {
        if self.proof.is_some() {
            cluster.compare_and_set(&format!("DELETE FROM {} WHERE table_name = ? IF EXISTS", cluster.table(PROOFS)), (table,)).await?;
        }
        Ok(())
    }
}
