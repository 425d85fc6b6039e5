//! What a statement does to the data: whether it may change it, and whether it destroys more than rows.

use crucible_crds::test_plan::Engine;

use super::{
    destructive,
    lexer::{Dialect, Kind, Token, tokens},
};

/// Words that statements begin with which change no rows by themselves.
const READS: [&str; 14] = ["SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "VALUES", "TABLE", "USE", "SET", "BEGIN", "START", "COMMIT", "ROLLBACK"];

/// How an engine's text is cut into tokens.
pub(super) const fn dialect(engine: Engine) -> Dialect {
    match engine {
        Engine::Mysql | Engine::Doris => Dialect::MYSQL,
        Engine::Postgres => Dialect::POSTGRES,
        Engine::Trino => Dialect::STANDARD,
        Engine::Cassandra => Dialect::CQL,
    }
}

/// Whether a statement may change rows. What cannot be read may; a function that writes behind a `SELECT` is not seen.
#[must_use]
pub fn writes(sql: &str, engine: Engine) -> bool {
    let Ok(tokens) = tokens(sql, dialect(engine)) else { return true };
    let words: Vec<String> = tokens.iter().filter(|token| token.kind == Kind::Word).map(|token| token.text(sql).to_ascii_uppercase()).collect();
    let Some(first) = words.iter().find(|word| !word.starts_with(|c: char| c.is_ascii_digit())) else { return false };
    if !READS.contains(&first.as_str()) {
        return true;
    }
    let has = |word: &str| words.iter().any(|known| known == word);
    match first.as_str() {
        "SELECT" => has("INTO"),
        "WITH" | "EXPLAIN" => {
            let updates = words.iter().zip(words.iter().skip(1)).any(|(before, word)| word == "UPDATE" && before != "FOR" && before != "KEY");
            ["INSERT", "DELETE", "MERGE", "INTO"].into_iter().any(has) || updates
        }
        _ => false,
    }
}

/// The words that make a statement destroy more than rows, stop the server or reach into its files; nothing for any other.
#[must_use]
pub fn destroys(sql: &str, engine: Engine) -> Option<String> {
    let code: Vec<Token> = tokens(sql, dialect(engine)).ok()?.into_iter().filter(Token::is_code).collect();
    destructive::find(sql, &code).map(|(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_change_rows_are_told_from_those_that_read() {
        let table = [
            ("SELECT * FROM t WHERE id = ?", false),
            ("  /* insert */ select 'INSERT INTO t'", false),
            ("(SELECT 1) UNION (SELECT 2)", false),
            ("SELECT * FROM t WHERE id = 1 FOR UPDATE", false),
            ("SELECT a INTO b FROM c", true),
            ("WITH x AS (SELECT 1) SELECT * FROM x", false),
            ("WITH x AS (SELECT 1) SELECT * FROM t FOR UPDATE", false),
            ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", true),
            ("WITH x AS (SELECT 1) UPDATE t SET a = 1", true),
            ("EXPLAIN ANALYZE UPDATE t SET a = 1", true),
            ("EXPLAIN SELECT 1", false),
            ("SHOW TABLES", false),
            ("INSERT INTO t VALUES (1)", true),
            ("update t set a = 1", true),
            ("DELETE FROM t", true),
            ("REPLACE INTO t VALUES (1)", true),
            ("CALL fill()", true),
            ("TRUNCATE t", true),
            ("SELECT 'unterminated", true),
            ("-- nothing", false),
        ];
        for (sql, expected) in table {
            assert_eq!(writes(sql, Engine::Mysql), expected, "{sql}");
        }
    }

    #[test]
    fn what_destroys_more_than_rows_is_named() {
        assert_eq!(destroys("drop database shop", Engine::Postgres).as_deref(), Some("DROP DATABASE"));
        assert_eq!(destroys("INSERT INTO t VALUES ('DROP DATABASE x')", Engine::Mysql), None);
    }
}
