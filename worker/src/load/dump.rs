//! Statements out of a dump, one after another, whatever its size: cut at the semicolons that stand in no literal, quoted name or
//! comment.

use std::io::{self, BufRead};

use crucible_crds::test_plan::Engine;

/// The longest statement. Dumps have inserts of a megabyte or so.
const LONGEST: usize = 64 << 20;

/// Why a dump cannot be read on.
#[derive(Debug)]
pub enum DumpError {
    /// The bytes cannot be had.
    Read(io::Error),
    /// A statement that cannot be told apart or run: its first line, and what is wrong.
    Statement(u64, String),
}

/// What the next byte stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    Code,
    Literal(u8),
    LineComment,
    /// How deep; only PostgreSQL nests them.
    BlockComment(u32),
    /// Until the tag comes again, dollars included.
    Dollar(Vec<u8>),
}

/// A reader of statements.
pub struct Dump<R> {
    from: R,
    mysql: bool,
    line: u64,
}

impl<R: BufRead> Dump<R> {
    pub fn new(from: R, engine: Engine) -> Self {
        Self { from, mysql: matches!(engine, Engine::Mysql | Engine::Doris), line: 1 }
    }

    /// The next statement with the line that it begins on; nothing at the end.
    pub fn next(&mut self) -> Result<Option<(u64, String)>, DumpError> {
        let (mut text, mut inside, mut begins, mut code) = (Vec::new(), Inside::Code, self.line, false);
        loop {
            let Some(byte) = self.byte()? else {
                return match inside {
                    Inside::Code | Inside::LineComment if !code => Ok(None),
                    Inside::Code | Inside::LineComment => Self::statement(begins, text).map(Some),
                    Inside::Literal(_) | Inside::BlockComment(_) | Inside::Dollar(_) => {
                        Err(DumpError::Statement(begins, "it has a literal or a comment that never ends".to_owned()))
                    }
                };
            };
            if inside == Inside::Code && byte == b';' {
                if code {
                    return Self::statement(begins, text).map(Some);
                }
                text.clear();
                continue;
            }
            if inside == Inside::Code && !code && !byte.is_ascii_whitespace() {
                begins = self.line;
            }
            text.push(byte);
            if text.len() > LONGEST {
                return Err(DumpError::Statement(begins, format!("it is longer than {LONGEST} bytes")));
            }
            inside = self.step(inside, byte, &mut text)?;
            // MySQL runs what stands in `/*! … */`.
            code |= match &inside {
                Inside::Code => !byte.is_ascii_whitespace() && !text.ends_with(b"*/"),
                Inside::Literal(_) | Inside::Dollar(_) => true,
                Inside::BlockComment(_) => self.mysql && text.ends_with(b"/*!"),
                Inside::LineComment => false,
            };
        }
    }

    /// Where the byte after this one stands.
    fn step(&mut self, inside: Inside, byte: u8, text: &mut Vec<u8>) -> Result<Inside, DumpError> {
        Ok(match (inside, byte) {
            (Inside::Code, b'\'' | b'"') => Inside::Literal(byte),
            (Inside::Code, b'`') if self.mysql => Inside::Literal(byte),
            (Inside::Code, b'#') if self.mysql => Inside::LineComment,
            (Inside::Code, b'-') if self.peek()? == Some(b'-') => {
                text.extend(self.byte()?);
                let spaced = self.peek()?.is_none_or(|next| next.is_ascii_whitespace());
                if !self.mysql || spaced { Inside::LineComment } else { Inside::Code }
            }
            (Inside::Code, b'/') if self.peek()? == Some(b'*') => {
                text.extend(self.byte()?);
                if self.mysql && self.peek()? == Some(b'!') {
                    text.extend(self.byte()?);
                }
                Inside::BlockComment(1)
            }
            (Inside::Code, b'$') if !self.mysql => self.dollar(text)?,
            (Inside::Code, _) | (Inside::LineComment, b'\n') => Inside::Code,
            (Inside::Literal(quote), b'\\') if self.mysql && quote != b'`' => {
                text.extend(self.byte()?);
                Inside::Literal(quote)
            }
            (Inside::Literal(quote), byte) if byte == quote => Inside::Code,
            (Inside::Literal(quote), _) => Inside::Literal(quote),
            (Inside::LineComment, _) => Inside::LineComment,
            (Inside::BlockComment(depth), b'*') if self.peek()? == Some(b'/') => {
                text.extend(self.byte()?);
                if depth > 1 { Inside::BlockComment(depth - 1) } else { Inside::Code }
            }
            (Inside::BlockComment(depth), b'/') if !self.mysql && self.peek()? == Some(b'*') => {
                text.extend(self.byte()?);
                Inside::BlockComment(depth + 1)
            }
            (Inside::BlockComment(depth), _) => Inside::BlockComment(depth),
            (Inside::Dollar(tag), _) if text.ends_with(&tag) => Inside::Code,
            (Inside::Dollar(tag), _) => Inside::Dollar(tag),
        })
    }

    /// After a dollar: the rest of a tag, or a dollar that means nothing.
    fn dollar(&mut self, text: &mut Vec<u8>) -> Result<Inside, DumpError> {
        let mut tag = vec![b'$'];
        while let Some(next) = self.peek()? {
            if next == b'$' || next.is_ascii_alphanumeric() || next == b'_' {
                text.extend(self.byte()?);
                tag.push(next);
                if next == b'$' {
                    return Ok(Inside::Dollar(tag));
                }
            } else {
                break;
            }
        }
        Ok(Inside::Code)
    }

    fn statement(begins: u64, text: Vec<u8>) -> Result<(u64, String), DumpError> {
        let text = String::from_utf8(text).map_err(|_| DumpError::Statement(begins, "it is not UTF-8".to_owned()))?;
        let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
        let first = words.next().unwrap_or_default();
        if first == "DELIMITER" {
            return Err(DumpError::Statement(begins, "DELIMITER is a word of a client program, not of the database".to_owned()));
        }
        if first == "COPY" && words.any(|word| word == "STDIN") {
            return Err(DumpError::Statement(begins, "COPY … FROM stdin is not for dumps that are run: make it with --inserts".to_owned()));
        }
        if first.starts_with('\\') {
            return Err(DumpError::Statement(begins, format!("{} is a word of a client program, not of the database", first.to_ascii_lowercase())));
        }
        Ok((begins, text))
    }

    fn peek(&mut self) -> Result<Option<u8>, DumpError> {
        Ok(self.from.fill_buf().map_err(DumpError::Read)?.first().copied())
    }

    fn byte(&mut self) -> Result<Option<u8>, DumpError> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.from.consume(1);
            self.line += u64::from(byte == Some(b'\n'));
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn cut(text: &str, engine: Engine) -> Vec<String> {
        let mut dump = Dump::new(BufReader::with_capacity(3, text.as_bytes()), engine);
        let mut found = Vec::new();
        loop {
            match dump.next() {
                Ok(Some((line, text))) => found.push(format!("{line}: {}", text.trim())),
                Ok(None) => return found,
                Err(DumpError::Statement(line, why)) => {
                    found.push(format!("line {line}: {why}"));
                    return found;
                }
                Err(DumpError::Read(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn statements_are_cut_at_semicolons_that_mean_it() {
        assert_eq!(
            cut("CREATE TABLE t (a int);\n\nINSERT INTO t VALUES (1);;\n-- done\n", Engine::Mysql),
            ["1: CREATE TABLE t (a int)", "3: INSERT INTO t VALUES (1)"]
        );
        assert_eq!(cut("SELECT ';', \"a;b\", `c;d`; SELECT 'it''s; \\'; x'", Engine::Mysql), ["1: SELECT ';', \"a;b\", `c;d`", "1: SELECT 'it''s; \\'; x'"]);
        assert_eq!(cut("/* a; b */ SELECT 1; # c; d\nSELECT 2 -- e; f\n;", Engine::Mysql), ["1: /* a; b */ SELECT 1", "2: # c; d\nSELECT 2 -- e; f"]);
        assert_eq!(cut("/*!40101 SET NAMES utf8 */;\nSELECT 1", Engine::Mysql), ["1: /*!40101 SET NAMES utf8 */", "2: SELECT 1"]);
        assert_eq!(cut("SELECT $$a;b$$, $x$ ;$y$; $x$; SELECT $1;", Engine::Postgres), ["1: SELECT $$a;b$$, $x$ ;$y$; $x$", "1: SELECT $1"]);
        assert_eq!(cut("/* a /* b; */ c; */ SELECT 'x\\'; SELECT 2", Engine::Postgres), ["1: /* a /* b; */ c; */ SELECT 'x\\'", "1: SELECT 2"]);
        assert_eq!(cut(" \n-- nothing\n/* at all */", Engine::Postgres), [""; 0]);
    }

    #[test]
    fn what_cannot_be_run_is_named_by_its_line() {
        assert_eq!(cut("SELECT 1;\nSELECT 'x", Engine::Mysql)[1], "line 2: it has a literal or a comment that never ends");
        assert_eq!(cut("DELIMITER //\nSELECT 1//;", Engine::Mysql), ["line 1: DELIMITER is a word of a client program, not of the database"]);
        assert_eq!(
            cut("COPY t (a) FROM stdin;\n1\n\\.\n", Engine::Postgres),
            ["line 1: COPY … FROM stdin is not for dumps that are run: make it with --inserts"]
        );
        assert_eq!(cut("\\connect shop\nSELECT 1;", Engine::Postgres), ["line 1: \\connect is a word of a client program, not of the database"]);
    }
}
