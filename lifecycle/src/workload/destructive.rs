//! Statements that no load test should repeat: they destroy more than rows, stop the server, or reach into its files.
//! A guard against accidents; what an account may do is for the database's own privileges to say.

use super::lexer::{Kind, Token};

/// Words in a row, anywhere in a statement.
const ANYWHERE: [&[&str]; 6] = [&["INTO", "OUTFILE"], &["INTO", "DUMPFILE"], &["LOAD_FILE"], &["XP_CMDSHELL"], &["DROP", "DATABASE"], &["DROP", "SCHEMA"]];

/// Words that a statement begins with.
const AT_THE_START: [&[&str]; 29] = [
    &["DROP", "KEYSPACE"],
    &["ALTER", "KEYSPACE"],
    &["DROP", "CATALOG"],
    &["CREATE", "CATALOG"],
    &["DROP", "TABLESPACE"],
    &["DROP", "USER"],
    &["DROP", "ROLE"],
    &["CREATE", "USER"],
    &["CREATE", "ROLE"],
    &["ALTER", "USER"],
    &["ALTER", "ROLE"],
    &["GRANT"],
    &["REVOKE"],
    &["SHUTDOWN"],
    &["RESTART"],
    &["KILL"],
    &["LOAD", "DATA"],
    &["LOAD", "XML"],
    &["SET", "GLOBAL"],
    &["SET", "PERSIST"],
    &["SET", "PASSWORD"],
    &["RESET"],
    &["PURGE"],
    &["FLUSH"],
    &["INSTALL"],
    &["UNINSTALL"],
    &["CHANGE", "MASTER"],
    &["CHANGE", "REPLICATION"],
    &["ALTER", "SYSTEM"],
];

/// The words that make a statement one of these, with the first of its tokens that is one; nothing for any other.
pub(super) fn find(text: &str, code: &[Token]) -> Option<(String, Token)> {
    let words: Vec<(&str, Token)> = code.iter().filter(|token| token.kind == Kind::Word).map(|token| (token.text(text), *token)).collect();
    let begins = |words: &[(&str, Token)], sequence: &[&str]| {
        words.len() >= sequence.len() && words.iter().zip(sequence).all(|((word, _), expected)| word.eq_ignore_ascii_case(expected))
    };
    // An executable comment `/*!50000 …` begins with its version number.
    let start = words.iter().position(|(word, _)| !word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(words.len());
    let from_start = words.get(start..).unwrap_or_default();
    for (at, (_, token)) in words.iter().enumerate() {
        let from = words.get(at..).unwrap_or_default();
        if let Some(sequence) = ANYWHERE.iter().find(|sequence| begins(from, sequence)) {
            return Some((sequence.join(" "), *token));
        }
    }
    let (_, first) = from_start.first()?;
    if let Some(sequence) = AT_THE_START.iter().find(|sequence| begins(from_start, sequence)) {
        return Some((sequence.join(" "), *first));
    }
    let copies_to_program = begins(from_start, &["COPY"]) && from_start.iter().any(|(word, _)| word.eq_ignore_ascii_case("PROGRAM"));
    copies_to_program.then(|| ("COPY … PROGRAM".to_owned(), *first))
}

#[cfg(test)]
mod tests {
    use super::{
        super::lexer::{Dialect, tokens},
        *,
    };

    fn found(text: &str) -> Option<String> {
        let tokens = tokens(text, Dialect::MYSQL).unwrap();
        let code: Vec<Token> = tokens.into_iter().filter(Token::is_code).collect();
        find(text, &code).map(|(what, _)| what)
    }

    #[test]
    fn statements_that_destroy_more_than_rows_are_found() {
        let cases = [
            ("DROP DATABASE shop", "DROP DATABASE"),
            ("drop /* x */ schema shop", "DROP SCHEMA"),
            ("SHUTDOWN", "SHUTDOWN"),
            ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "LOAD DATA"),
            ("SELECT * FROM t INTO OUTFILE '/tmp/x'", "INTO OUTFILE"),
            ("SELECT a INTO DUMPFILE 'x' FROM t", "INTO DUMPFILE"),
            ("SELECT LOAD_FILE('/etc/passwd')", "LOAD_FILE"),
            ("EXEC xp_cmdshell 'dir'", "XP_CMDSHELL"),
            ("COPY t TO PROGRAM 'x'", "COPY … PROGRAM"),
            ("/*!50000 DROP DATABASE shop */", "DROP DATABASE"),
            ("/*!50000 SHUTDOWN */", "SHUTDOWN"),
            ("SET GLOBAL max_connections = 1", "SET GLOBAL"),
            ("kill 5", "KILL"),
            ("alter keyspace shop with replication = {}", "ALTER KEYSPACE"),
            ("create role x", "CREATE ROLE"),
            ("DROP CATALOG hive", "DROP CATALOG"),
            ("GRANT ALL ON *.* TO x", "GRANT"),
        ];
        for (text, what) in cases {
            assert_eq!(found(text).as_deref(), Some(what), "{text}");
        }
    }

    #[test]
    fn ordinary_statements_are_left_alone() {
        let cases = [
            "SELECT 'DROP DATABASE shop'",
            "SELECT `shutdown` FROM t",
            "SELECT 1 -- DROP DATABASE",
            "DELETE FROM t WHERE id = 1",
            "TRUNCATE t",
            "DROP TABLE t",
            "INSERT INTO shutdown VALUES (1)",
            "SELECT kill FROM bill",
            "COPY t FROM STDIN",
            "SELECT program FROM copy",
            "SET SESSION x = 1",
            "",
            "1",
        ];
        for text in cases {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
