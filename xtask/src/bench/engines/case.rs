//! What is asked of each engine, and where it answers.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::engines::Server;

/// One row by its key, and a hundred rows in the order of the key.
pub const NAMES: [&str; 2] = ["lookups", "ranges"];

/// The engine that a server is driven as.
pub const fn engine(server: Server) -> &'static str {
    match server {
        Server::Mariadb => "mysql",
        Server::Postgres => "postgres",
        Server::Trino => "trino",
        Server::Cassandra => "cassandra",
    }
}

/// The queries of a case. The tables are those that `bench/peers/bare -fill` makes; Trino's are its own.
pub fn queries(server: Server, case: &str) -> Value {
    let lookup = case == "lookups";
    let columns = "id, customer, city, amount, placed";
    let (sql, bindings) = match (server, lookup) {
        (Server::Mariadb, true) => (format!("SELECT {columns} FROM bench_orders WHERE id = ?"), vec![("id", 1, 100_000)]),
        (Server::Mariadb, false) => (format!("SELECT {columns} FROM bench_orders WHERE id >= ? ORDER BY id LIMIT 100"), vec![("id", 1, 99_901)]),
        (Server::Postgres, true) => (format!("SELECT {columns} FROM bench_orders WHERE id = $1"), vec![("id", 1, 100_000)]),
        (Server::Postgres, false) => (format!("SELECT {columns} FROM bench_orders WHERE id >= $1 ORDER BY id LIMIT 100"), vec![("id", 1, 99_901)]),
        (Server::Cassandra, true) => (format!("SELECT {columns} FROM bench_orders WHERE part = ? AND id = ?"), vec![("part", 0, 999), ("id", 0, 99)]),
        (Server::Cassandra, false) => (format!("SELECT {columns} FROM bench_orders WHERE part = ?"), vec![("part", 0, 999)]),
        (Server::Trino, true) => {
            ("SELECT orderkey, custkey, orderstatus, totalprice, orderdate FROM tpch.tiny.orders WHERE orderkey = ?".to_owned(), vec![("id", 1, 60_000)])
        }
        (Server::Trino, false) => (
            "SELECT orderkey, custkey, orderstatus, totalprice, orderdate FROM tpch.tiny.orders WHERE orderkey >= ? LIMIT 100".to_owned(),
            vec![("id", 1, 59_000)],
        ),
    };
    let bindings: Vec<Value> = bindings.iter().map(|(name, min, max)| json!({"kind": "intRange", "name": name, "min": min, "max": max})).collect();
    json!([{"name": if lookup { "Lookup" } else { "Range" }, "sql": sql, "weight": 1, "bindings": bindings}])
}

/// Where a server answers, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its port on 127.0.0.1, without TLS
    pub port: u16,
    /// The database in the words of a plan
    pub database: String,
    /// The account
    pub username: String,
    /// Its password
    pub password: String,
}

impl Address {
    /// Reads what a recipe prints for the conformance suite: `user:password@tcp(host:port)/database`, or a URL.
    pub fn read(server: Server, variables: &str) -> Result<Self> {
        let value = |name: &str| {
            let line = variables.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches('\'').to_owned()).with_context(|| format!("the recipe does not print {name}"))
        };
        let text = match server {
            Server::Mariadb => value("CRUCIBLE_TEST_MYSQL")?,
            Server::Postgres => value("CRUCIBLE_TEST_POSTGRES")?,
            Server::Trino => value("CRUCIBLE_TEST_TRINO")?,
            Server::Cassandra => value("CRUCIBLE_TEST_CASSANDRA")?,
        };
        let wrong = || format!("{text:?} is no address");
        let plain = text.split_once("://").map_or(&*text, |(_, rest)| rest).replace("tcp(", "").replace(')', "");
        let (account, place) = plain.split_once('@').with_context(wrong)?;
        let (username, password) = account.split_once(':').with_context(wrong)?;
        let (host, database) = place.split_once('/').with_context(wrong)?;
        let port = if server == Server::Trino { value("CRUCIBLE_TEST_TRINO_PLAIN")? } else { host.rsplit_once(':').with_context(wrong)?.1.to_owned() };
        Ok(Self {
            port: port.parse().with_context(wrong)?,
            database: database.split('?').next().unwrap_or_default().to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_every_form_that_recipes_print() {
        let of = |port, database: &str, username: &str| Address { port, database: database.into(), username: username.into(), password: "p".into() };
        let table = [
            (
                Server::Mariadb,
                "export CRUCIBLE_TEST_MYSQL='crucible:p@tcp(127.0.0.1:23306)/shop'\nexport CRUCIBLE_TEST_MYSQL_STOP='x'",
                of(23306, "shop", "crucible"),
            ),
            (Server::Postgres, "export CRUCIBLE_TEST_POSTGRES='postgres://crucible:p@127.0.0.1:25432/shop'", of(25432, "shop", "crucible")),
            (
                Server::Trino,
                "export CRUCIBLE_TEST_TRINO='trino://crucible:p@127.0.0.1:28443/memory.default?tls=insecureSkipVerify'\nexport CRUCIBLE_TEST_TRINO_PLAIN=28080",
                of(28080, "memory.default", "crucible"),
            ),
        ];
        for (server, printed, address) in table {
            assert_eq!(Address::read(server, printed).unwrap(), address);
        }
        assert!(Address::read(Server::Cassandra, "export CRUCIBLE_TEST_MYSQL='x'").is_err());
    }
}
