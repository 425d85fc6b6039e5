//! Cuts SQL text into tokens: just enough to know what is code and what is a literal, a quoted name or a comment. The
//! workload parser and the placeholder replacement stand on it, so both see the same text the same way.

/// Where the engines differ in how they quote and comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// `\'` inside a literal, `"` around literals, `` ` `` around names, `#` comments, `--` only before white space,
    /// `/*! … */` is code.
    pub mysql: bool,
    /// `$tag$ … $tag$` literals and nested block comments.
    pub postgres: bool,
    /// `$$ … $$` literals and `//` comments.
    pub cql: bool,
}

impl Dialect {
    /// MySQL and what speaks like it.
    pub const MYSQL: Self = Self { mysql: true, ..Self::STANDARD };
    /// PostgreSQL.
    pub const POSTGRES: Self = Self { postgres: true, ..Self::STANDARD };
    /// Cassandra's language.
    pub const CQL: Self = Self { cql: true, ..Self::STANDARD };
    /// Nothing but the standard, as Trino has it.
    pub const STANDARD: Self = Self { mysql: false, postgres: false, cql: false };
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// One character of anything else.
    Symbol(char),
    /// A literal or a quoted name.
    Quoted,
    /// A comment up to the end of its line.
    LineComment,
    /// A comment between `/*` and `*/`.
    BlockComment,
}

/// A piece of text by its byte positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::LineComment | Kind::BlockComment)
    }

    pub fn text<'a>(&self, of: &'a str) -> &'a str {
        of.get(self.start..self.end).unwrap_or_default()
    }
}

/// Something that begins at `start` and never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unterminated {
    pub start: usize,
    pub what: &'static str,
}

/// The tokens of a text whose lines end in line feeds. White space is left out.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Vec<Token>, Unterminated> {
    let mut lexer = Lexer { text, dialect, at: 0, line_is_blank: true, found: Vec::new() };
    while let Some(next) = lexer.rest().chars().next() {
        lexer.take(next)?;
    }
    Ok(lexer.found)
}

struct Lexer<'a> {
    text: &'a str,
    dialect: Dialect,
    at: usize,
    /// Whether there was only white space on this line so far.
    line_is_blank: bool,
    found: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, next: char) -> Result<(), Unterminated> {
        let rest = self.rest();
        match next {
            _ if next.is_whitespace() => {
                self.at += next.len_utf8();
                self.line_is_blank |= next == '\n';
            }
            '-' if self.is_dash_comment() => self.push_line_comment(),
            '#' if self.dialect.mysql => self.push_line_comment(),
            '/' if self.dialect.mysql && rest.starts_with("/*!") => self.push(Kind::Symbol('!'), 3),
            '/' if self.dialect.mysql && rest.starts_with("/*M!") => self.push(Kind::Symbol('!'), 4),
            '/' if self.dialect.cql && rest.starts_with("//") => self.push_line_comment(),
            '/' if rest.starts_with("/*") => self.push_block_comment()?,
            '\'' => self.push_quoted('\'', self.dialect.mysql, "literal")?,
            '"' => self.push_quoted('"', self.dialect.mysql, "quoted text")?,
            '`' if self.dialect.mysql => self.push_quoted('`', false, "quoted name")?,
            '$' if self.dialect.postgres || self.dialect.cql => self.push_dollar_quoted()?,
            _ if is_word(next) => self.push(Kind::Word, rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len())),
            _ => self.push(Kind::Symbol(next), next.len_utf8()),
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, length: usize) {
        self.found.push(Token { kind, start: self.at, end: self.at + length });
        self.at += length;
        self.line_is_blank = false;
    }

    /// MySQL takes `--` for a comment before white space only. An annotation may do without it at the start of a line.
    fn is_dash_comment(&self) -> bool {
        let Some(after) = self.rest().strip_prefix("--") else { return false };
        !self.dialect.mysql || after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control() || (c == '@' && self.line_is_blank))
    }

    fn push_line_comment(&mut self) {
        self.push(Kind::LineComment, self.rest().find('\n').unwrap_or(self.rest().len()));
    }

    fn push_block_comment(&mut self) -> Result<(), Unterminated> {
        let rest = self.rest();
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(found) = rest.get(at..).and_then(|from| from.find(['/', '*'])) {
            let from = rest.get(at + found..).unwrap_or_default();
            if from.starts_with("/*") && (self.dialect.postgres || depth == 0) {
                depth += 1;
                at += found + 2;
            } else if from.starts_with("*/") {
                depth -= 1;
                at += found + 2;
                if depth == 0 {
                    self.push(Kind::BlockComment, at);
                    return Ok(());
                }
            } else {
                at += found + 1;
            }
        }
        Err(Unterminated { start: self.at, what: "comment" })
    }

    /// A doubled quote stands for itself; with `escapes` a backslash takes the next character with it.
    fn push_quoted(&mut self, quote: char, escapes: bool, what: &'static str) -> Result<(), Unterminated> {
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if escapes && character == '\\' {
                characters.next();
            } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
                self.push(Kind::Quoted, at + quote.len_utf8());
                return Ok(());
            }
        }
        Err(Unterminated { start: self.at, what })
    }

    /// `$$ … $$` or `$tag$ … $tag$`; any other `$` is a symbol.
    fn push_dollar_quoted(&mut self) -> Result<(), Unterminated> {
        let rest = self.rest();
        let tag_end = rest.get(1..).and_then(|after| after.find(|c| !is_word(c))).map(|length| length + 1);
        let Some(tag) = tag_end.filter(|end| rest.get(*end..).is_some_and(|from| from.starts_with('$'))).and_then(|end| rest.get(..=end)) else {
            self.push(Kind::Symbol('$'), 1);
            return Ok(());
        };
        match rest.get(tag.len()..).and_then(|body| body.find(tag)) {
            Some(body) => self.push(Kind::Quoted, tag.len() + body + tag.len()),
            None => return Err(Unterminated { start: self.at, what: "literal" }),
        }
        Ok(())
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MYSQL: Dialect = Dialect::MYSQL;
    const POSTGRES: Dialect = Dialect::POSTGRES;
    const CQL: Dialect = Dialect::CQL;
    const STANDARD: Dialect = Dialect::STANDARD;

    fn cut(text: &str, dialect: Dialect) -> Vec<String> {
        tokens(text, dialect)
            .unwrap()
            .iter()
            .map(|token| {
                let mark = match token.kind {
                    Kind::Word => "w",
                    Kind::Symbol(_) => "s",
                    Kind::Quoted => "q",
                    Kind::LineComment => "l",
                    Kind::BlockComment => "b",
                };
                format!("{mark} {}", token.text(text))
            })
            .collect()
    }

    #[test]
    fn code_literals_names_and_comments_are_told_apart() {
        assert_eq!(
            cut("SELECT a1, 'it''s' FROM `t x` -- rest\n/* b */ ;", MYSQL),
            ["w SELECT", "w a1", "s ,", "q 'it''s'", "w FROM", "q `t x`", "l -- rest", "b /* b */", "s ;"]
        );
        assert_eq!(cut("5--3 # no", MYSQL), ["w 5", "s -", "s -", "w 3", "l # no"]);
        assert_eq!(cut("5--3", STANDARD), ["w 5", "l --3"]);
        assert_eq!(cut("--@name: A\nx--@y", MYSQL), ["l --@name: A", "w x", "s -", "s -", "s @", "w y"]);
    }

    #[test]
    fn the_engines_quote_in_their_own_ways() {
        assert_eq!(cut(r"'a\'b' c", MYSQL), [r"q 'a\'b'", "w c"]);
        assert_eq!(cut(r"'a\' b", STANDARD), [r"q 'a\'", "w b"]);
        assert_eq!(cut("$$a;b$$ $t$ $$ $t$ $1", POSTGRES), ["q $$a;b$$", "q $t$ $$ $t$", "s $", "w 1"]);
        assert_eq!(cut("/* a /* b */ c */ d", POSTGRES), ["b /* a /* b */ c */", "w d"]);
        assert_eq!(cut("/* a /* b */ c", MYSQL), ["b /* a /* b */", "w c"]);
        assert_eq!(cut("/*!50000 DROP */ x", MYSQL), ["s /*!", "w 50000", "w DROP", "s *", "s /", "w x"]);
        assert_eq!(cut("/*/ still */ x", MYSQL), ["b /*/ still */", "w x"]);
        assert_eq!(cut("a // b ; 'c\n$$;'$$ -- d", CQL), ["w a", "l // b ; 'c", "q $$;'$$", "l -- d"]);
        assert_eq!(cut("a // b", STANDARD), ["w a", "s /", "s /", "w b"]);
    }

    #[test]
    fn what_never_ends_is_named_by_its_beginning() {
        for (text, start, what) in
            [("a 'b", 2, "literal"), ("\"b", 0, "quoted text"), ("x `", 2, "quoted name"), ("1 /* 2", 2, "comment"), (r"'a\'", 0, "literal")]
        {
            assert_eq!(tokens(text, MYSQL), Err(Unterminated { start, what }), "{text}");
        }
        assert_eq!(tokens("$a$ b", POSTGRES), Err(Unterminated { start: 0, what: "literal" }));
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_gaps_in_code(text in r#"[-a-z'"`#$/*;: \n\\é!]{0,60}"#) {
            for dialect in [MYSQL, POSTGRES, CQL, STANDARD] {
                let Ok(found) = tokens(&text, dialect) else { continue };
                prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
                prop_assert!(found.iter().all(|token| token.start < token.end && !token.text(&text).is_empty()));
            }
        }
    }
}
