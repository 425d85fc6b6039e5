//! What is asked of the database, in the two forms in which the contenders read it: the frozen plan of a run for our worker, the file
//! that our worker writes for its k6 for the two yardsticks.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::database::ROWS;

/// One mix of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One row by its primary key
    Lookups,
    /// A hundred rows in the order of the primary key
    Ranges,
    /// As many lookups as ranges
    Mix,
}

impl Case {
    /// Every case.
    pub const ALL: [Self; 3] = [Self::Lookups, Self::Ranges, Self::Mix];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Ranges => "ranges",
            Self::Mix => "mix",
        }
    }

    fn queries(self) -> Value {
        let columns = "id, customer, city, amount, placed";
        let query = |name: &str, rest: &str, last: u32| {
            let binding = json!({"kind": "intRange", "name": "id", "min": 1, "max": last});
            json!({"name": name, "sql": format!("SELECT {columns} FROM orders WHERE id {rest}"), "weight": 1, "bindings": [binding]})
        };
        let lookup = query("Lookup", "= ?", ROWS);
        let range = query("Range", ">= ? ORDER BY id LIMIT 100", ROWS - 99);
        match self {
            Self::Lookups => json!([lookup]),
            Self::Ranges => json!([range]),
            Self::Mix => json!([lookup, range]),
        }
    }
}

/// Whom everybody asks.
pub struct Sut {
    /// The engine in the words of a plan
    pub engine: &'static str,
    /// Its port on 127.0.0.1
    pub port: u16,
    /// The database in the words of a plan
    pub database: String,
}

/// Queries for so long over so many connections.
#[derive(Clone)]
pub struct Load {
    /// What the load is called in results
    pub name: &'static str,
    /// What is asked
    pub queries: Value,
    /// How long
    pub length: Duration,
    /// Over how many connections, each of which asks again when it was answered
    pub connections: u32,
}

impl Load {
    /// The load of a case.
    pub fn of(case: Case, length: Duration, connections: u32) -> Self {
        Self { name: case.name(), queries: case.queries(), length, connections }
    }

    /// The frozen plan of a run with one worker.
    pub fn plan(&self, sut: &Sut, uid: &str) -> Value {
        json!({
            "protocol": 1,
            "run": {"namespace": "bench", "name": self.name, "uid": uid, "id": format!("bench_{}", self.name)},
            "planName": "bench", "planGeneration": 1, "digest": "bench",
            "spec": {
                "target": {
                    "engine": sut.engine, "endpoint": format!("127.0.0.1:{}", sut.port), "database": sut.database,
                    "credentialsRef": {"name": "bench"}, "tls": {"mode": "disable"}
                },
                "workload": {"source": {"inline": "-- @type: sql"}},
                "load": {"workers": 1, "stages": [{"name": "steady", "duration": format!("{}ms", self.length.as_millis()), "vus": self.connections}]}
            },
            "queries": self.queries
        })
    }

    /// The same for a yardstick.
    pub fn engine(&self, sut: &Sut, credentials: &Path) -> Value {
        json!({
            "target": {
                "engine": sut.engine, "host": "127.0.0.1", "port": sut.port, "database": sut.database, "tls": "disable",
                "usernameFile": credentials.join("username"), "passwordFile": credentials.join("password")
            },
            "queries": self.queries,
            "stages": [{"name": "steady", "durationNanos": u64::try_from(self.length.as_nanos()).unwrap_or(u64::MAX), "vus": self.connections}],
            "seed": 1
        })
    }
}
