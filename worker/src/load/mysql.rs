//! MySQL and MariaDB: rows by `LOAD DATA LOCAL`, whose warnings are errors here. With `LOCAL` the server turns what it would refuse
//! into warnings: a duplicate key drops the row, a value that does not fit is bent until it does.

use std::borrow::Cow;

use bytes::Bytes;
use crucible_crds::test_plan::{Engine, TlsMode};
use futures::{StreamExt, stream};
use mysql_async::{Conn, Error, IoError, OptsBuilder, Row, SslOpts, Value, prelude::Queryable};

use super::session::{Endpoint, SqlError};

/// Whatever the server is set to, values that do not fit are not bent, and times are UTC.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', net_read_timeout = 600, \
    net_write_timeout = 600, wait_timeout = 28800";
/// Doris bends nothing that is sent to it as a stream load is here.
const DORIS_SESSION: &str = "SET time_zone = '+00:00'";
/// How much of a chunk goes into one packet.
const PACKET: usize = 1 << 20;

pub async fn connect(endpoint: &Endpoint) -> Result<Conn, SqlError> {
    let tls = match endpoint.tls {
        TlsMode::Disable => None,
        TlsMode::Verify => Some(SslOpts::default().with_root_certs(endpoint.login.authorities.clone().map(Into::into).into_iter().collect())),
        TlsMode::InsecureSkipVerify => Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)),
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(endpoint.host.clone())
        .tcp_port(endpoint.port)
        .user(Some(endpoint.login.username.clone()))
        .pass(Some(endpoint.login.password.clone()))
        .db_name(Some(endpoint.database.clone()))
        .prefer_socket(false)
        .ssl_opts(tls);
    let mut connection = Conn::new(options).await.map_err(|error| of(&error))?;
    execute(&mut connection, if endpoint.engine == Engine::Doris { DORIS_SESSION } else { SESSION }).await?;
    Ok(connection)
}

pub async fn execute(connection: &mut Conn, sql: &str) -> Result<(), SqlError> {
    connection.query_drop(sql).await.map_err(|error| of(&error))
}

pub async fn query(connection: &mut Conn, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
    let rows: Vec<Row> = connection.query(sql).await.map_err(|error| of(&error))?;
    let text = |value: Value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    };
    Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
}

pub async fn load(connection: &mut Conn, sql: &str, bytes: Vec<u8>, rows: u64) -> Result<(), SqlError> {
    let bytes = Bytes::from(bytes);
    connection.set_infile_handler(async move {
        let pieces = (0..bytes.len()).step_by(PACKET).map(move |start| Ok(bytes.slice(start..bytes.len().min(start + PACKET))));
        Ok(stream::iter(pieces).boxed())
    });
    execute(connection, sql).await.map_err(hint)?;
    let (taken, warnings) = (connection.affected_rows(), connection.get_warnings());
    if warnings > 0
        && let Some(warning) = first_warning(connection).await?
    {
        return Err(warning);
    }
    if taken == rows {
        Ok(())
    } else {
        Err(SqlError { state: "HY000".to_owned(), code: None, message: format!("of {rows} rows {taken} were taken"), row: None })
    }
}

/// The first of the warnings: what it is about, as an error would have it.
async fn first_warning(connection: &mut Conn) -> Result<Option<SqlError>, SqlError> {
    let rows = query(connection, "SHOW WARNINGS LIMIT 1").await?;
    Ok(rows.into_iter().next().map(|row| {
        let mut fields = row.into_iter().skip(1).flatten();
        let code: u32 = fields.next().and_then(|code| code.parse().ok()).unwrap_or_default();
        let message = fields.next().unwrap_or_default();
        SqlError { state: state_of(code).to_owned(), code: Some(code), row: row_in(&message), message: without_row(&message).into_owned() }
    }))
}

/// The SQLSTATE of a warning, which the server does not send with it.
const fn state_of(code: u32) -> &'static str {
    match code {
        1048 | 1062 | 1452 => "23000",
        1264 => "22003",
        1292 | 1366 => "22007",
        1406 => "22001",
        _ => "HY000",
    }
}

/// The row that a message ends with: `… at row 7`.
fn row_in(message: &str) -> Option<u64> {
    message.rsplit_once(" at row ")?.1.parse().ok()
}

fn without_row(message: &str) -> Cow<'_, str> {
    if row_in(message).is_some() {
        message.rsplit_once(" at row ").map_or(Cow::Borrowed(message), |(before, _)| Cow::Borrowed(before))
    } else {
        Cow::Borrowed(message)
    }
}

/// What to do about a server that takes no rows from its clients.
fn hint(error: SqlError) -> SqlError {
    if matches!(error.code, Some(1148 | 3948 | 4166)) {
        return SqlError { message: format!("{}; the server has to allow LOAD DATA LOCAL (local_infile = ON)", error.message), ..error };
    }
    error
}

fn of(error: &Error) -> SqlError {
    match error {
        Error::Server(server) => SqlError {
            state: if server.code == 1045 { "28000".to_owned() } else { server.state.clone() },
            code: Some(server.code.into()),
            row: row_in(&server.message),
            message: server.message.clone(),
        },
        Error::Io(IoError::Tls(tls)) => SqlError { state: "TLS".to_owned(), code: None, message: tls.to_string(), row: None },
        Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Url(_) => SqlError::broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_warning_is_told_apart_from_what_it_says() {
        let message = "Incorrect integer value: 'x at row 3' for column `shop`.`t`.`a` at row 7";
        assert_eq!((row_in(message), &*without_row(message)), (Some(7), "Incorrect integer value: 'x at row 3' for column `shop`.`t`.`a`"));
        assert_eq!((row_in("Duplicate entry '1' for key 'PRIMARY'"), state_of(1062)), (None, "23000"));
    }
}
