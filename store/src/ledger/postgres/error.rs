//! What an answer of Postgres means. No message passes through: the server quotes rows in them.

use sqlx::{Error, error::DatabaseError, migrate::MigrateError};

use crate::ledger::LedgerError;

/// The one place that says what an error means.
pub fn classify(error: &Error) -> LedgerError {
    let unavailable = |cause: &str| LedgerError::Unavailable { cause: cause.to_owned() };
    match error {
        Error::Database(error) => by_code(error.as_ref()),
        Error::Io(error) => unavailable(&format!("no connection: {}", error.kind())),
        Error::Tls(_) => unavailable("no secured connection"),
        Error::PoolTimedOut => unavailable("no connection in time"),
        Error::PoolClosed | Error::WorkerCrashed => unavailable("the pool is closed"),
        Error::Protocol(_) => unavailable("the connection broke off"),
        Error::ColumnDecode { index, .. } => LedgerError::Refused { code: format!("column {index} cannot be read") },
        Error::ColumnNotFound(name) => unavailable(&format!("there is no column {name}")),
        _ => LedgerError::Refused { code: "the statement cannot be sent".to_owned() },
    }
}

/// What went wrong while migrating.
pub fn classify_migration(error: &MigrateError) -> LedgerError {
    match error {
        MigrateError::Execute(error) => classify(error),
        MigrateError::ExecuteMigration(error, version) => match classify(error) {
            LedgerError::Refused { code } => LedgerError::Refused { code: format!("migration {version}: {code}") },
            other => other,
        },
        MigrateError::VersionMismatch(version) => LedgerError::Refused { code: format!("migration {version} was made by another release") },
        other => LedgerError::Refused { code: format!("the database cannot be migrated: {}", other.to_string().lines().next().unwrap_or_default()) },
    }
}

fn by_code(error: &dyn DatabaseError) -> LedgerError {
    let code = error.code().unwrap_or_default();
    let about = error.constraint().map(|name| format!(", {name}")).unwrap_or_default();
    meaning(&code, &about)
}

/// The meaning of an SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. Only what is wrong with the data
/// itself is refused for good; a missing table, right or password is mended by somebody, and then the same request is right.
fn meaning(code: &str, about: &str) -> LedgerError {
    match code.get(..2).unwrap_or_default() {
        "40" | "55" => LedgerError::Conflict { code: code.to_owned() },
        "22" | "23" | "54" => LedgerError::Refused { code: format!("SQLSTATE {code}{about}") },
        _ => LedgerError::Unavailable { cause: format!("SQLSTATE {code}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_data_is_refused_for_good() {
        let table = [
            ("40001", "the ledger's row was written by somebody else at the same time (40001)"),
            ("40P01", "the ledger's row was written by somebody else at the same time (40P01)"),
            ("57P01", "the ledger is unavailable (SQLSTATE 57P01)"),
            ("57014", "the ledger is unavailable (SQLSTATE 57014)"),
            ("25006", "the ledger is unavailable (SQLSTATE 25006)"),
            ("28P01", "the ledger is unavailable (SQLSTATE 28P01)"),
            ("42P01", "the ledger is unavailable (SQLSTATE 42P01)"),
            ("23514", "the ledger refused (SQLSTATE 23514, run_phase)"),
            ("22P05", "the ledger refused (SQLSTATE 22P05, run_phase)"),
        ];
        for (code, expected) in table {
            assert_eq!(meaning(code, ", run_phase").to_string(), expected);
        }
    }

    #[test]
    fn a_pool_without_connections_is_unavailable() {
        assert!(classify(&Error::PoolTimedOut).is_transient());
        assert!(classify(&Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))).is_transient());
    }
}
