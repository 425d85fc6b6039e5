//! PostgreSQL: rows by `COPY`, in binary form where the table holds exactly what the files have.

use crucible_crds::test_plan::TlsMode;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, ValueRef as _,
    postgres::{PgConnectOptions, PgDatabaseError, PgSslMode},
};

use super::session::{Endpoint, SqlError};

/// Whatever the server is set to: text is read in one way, and nothing is cut short.
const SESSION: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET statement_timeout = 0; SET lock_timeout = '60s'; SET standard_conforming_strings = on; \
    SET client_min_messages = warning";

pub async fn connect(endpoint: &Endpoint) -> Result<PgConnection, SqlError> {
    let tls = match endpoint.tls {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Verify => PgSslMode::VerifyFull,
        TlsMode::InsecureSkipVerify => PgSslMode::Require,
    };
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&endpoint.host)
        .port(endpoint.port)
        .username(&endpoint.login.username)
        .password(&endpoint.login.password)
        .database(&endpoint.database)
        .ssl_mode(tls)
        .application_name("crucible-loader")
        .disable_statement_logging();
    if let (TlsMode::Verify, Some(path)) = (endpoint.tls, &endpoint.login.authorities) {
        options = options.ssl_root_cert(path);
    }
    let mut connection = options.connect().await.map_err(|error| of(&error))?;
    execute(&mut connection, SESSION).await?;
    Ok(connection)
}

pub async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), SqlError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ()).map_err(|error| of(&error))
}

pub async fn query(connection: &mut PgConnection, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|error| of(&error))?;
    let text = |row: &sqlx::postgres::PgRow, at: usize| {
        let value = row.try_get_raw(at).ok().filter(|value| !value.is_null())?;
        value.as_str().ok().map(str::to_owned)
    };
    Ok(rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect())
}

pub async fn load(connection: &mut PgConnection, sql: &str, bytes: Vec<u8>, rows: u64) -> Result<(), SqlError> {
    let mut copy = connection.copy_in_raw(sql).await.map_err(|error| of(&error))?;
    copy.send(bytes).await.map_err(|error| of(&error))?;
    let taken = copy.finish().await.map_err(|error| of(&error))?;
    if taken == rows {
        Ok(())
    } else {
        Err(SqlError { state: "HY000".to_owned(), code: None, message: format!("of {rows} rows {taken} were taken"), row: None })
    }
}

fn of(error: &sqlx::Error) -> SqlError {
    match error {
        sqlx::Error::Database(database) => {
            let Some(database) = database.try_downcast_ref::<PgDatabaseError>() else { return SqlError::broken(database.to_string()) };
            let detail = database.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            let place = database.r#where().unwrap_or_default();
            let column = column_in(place).map(|column| format!("column {column}: ")).unwrap_or_default();
            SqlError { state: database.code().to_owned(), code: None, message: format!("{column}{}{detail}", database.message()), row: row_in(place) }
        }
        sqlx::Error::Tls(tls) => SqlError { state: "TLS".to_owned(), code: None, message: tls.to_string(), row: None },
        other => SqlError::broken(other.to_string()),
    }
}

/// The row of `COPY t, line 7, column a: "x"`.
fn row_in(place: &str) -> Option<u64> {
    let (_, rest) = place.split_once(", line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The column of the same.
fn column_in(place: &str) -> Option<&str> {
    let (_, rest) = place.split_once(", column ")?;
    rest.split([':', ',']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_and_column_are_read_out_of_a_context() {
        let cases = [
            ("COPY crucible_new_x, line 7, column a: \"x\"", Some(7), Some("a")),
            ("COPY t, line 12", Some(12), None),
            ("COPY t, line 3, column l_tax", Some(3), Some("l_tax")),
            ("SQL function \"f\"", None, None),
        ];
        for (place, row, column) in cases {
            assert_eq!((row_in(place), column_in(place)), (row, column), "{place}");
        }
    }
}
