//! From text to blocks: finds the annotations, gives every statement to its block, and says everything that is wrong
//! at once.

use std::collections::HashMap;

use crucible_crds::{name::QueryName, test_plan::Engine};

use super::{
    ErrorKind, LONGEST_NAME, Language, MOST_BYTES, MOST_QUERIES, ParsedQuery, Workload, WorkloadError,
    annotation::{self, Annotation},
    destructive, is_name,
    lexer::{self, Dialect, Kind, Token},
};
use crate::{contract::CqlOptions, problem::MOST_PROBLEMS};

/// Parses a workload file. `engine` is that of the plan, where there is one: it stands in for a missing `@type` line,
/// as files from before that line existed need it.
///
/// # Errors
/// Everything that is wrong with the file, at most [`MOST_PROBLEMS`] mistakes, in the order of their lines.
pub fn parse(text: &str, engine: Option<Engine>) -> Result<Workload, Vec<WorkloadError>> {
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len());
        return Err(vec![WorkloadError { line: 1, kind: ErrorKind::TooLarge, message }]);
    }
    let text = with_line_feeds(text);
    let mut parser = Parser { text: &text, lines: line_starts(&text), errors: Vec::new() };
    let language = parser.language(engine);
    let queries = match lexer::tokens(&text, dialect(language, engine)) {
        Ok(tokens) => parser.queries(&tokens),
        Err(lexer::Unterminated { start, what }) => {
            parser.error(start, ErrorKind::Unterminated, format!("the {what} that begins here never ends"));
            Vec::new()
        }
    };
    parser.errors.sort_by_key(|error| error.line);
    parser.errors.truncate(MOST_PROBLEMS);
    if parser.errors.is_empty() { Ok(Workload { language, queries }) } else { Err(parser.errors) }
}

/// How a file is cut into tokens: by its language, or by the engine where it says `sql` or nothing.
pub(super) fn dialect(language: Option<Language>, engine: Option<Engine>) -> Dialect {
    match (language, engine) {
        (Some(Language::Mysql), _) | (None | Some(Language::Sql), None | Some(Engine::Mysql | Engine::Doris)) => Dialect::MYSQL,
        (Some(Language::Postgres), _) | (None | Some(Language::Sql), Some(Engine::Postgres)) => Dialect::POSTGRES,
        (Some(Language::Trino), _) | (None | Some(Language::Sql), Some(Engine::Trino)) => Dialect::STANDARD,
        (Some(Language::Cql), _) | (None | Some(Language::Sql), Some(Engine::Cassandra)) => Dialect::CQL,
    }
}

/// Whatever the file's line ends were, and without a byte order mark.
fn with_line_feeds(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n")
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

struct Parser<'a> {
    text: &'a str,
    lines: Vec<usize>,
    errors: Vec<WorkloadError>,
}

/// A block while it is being read.
struct Block {
    name: Result<QueryName, ()>,
    start: usize,
    weight: Option<u32>,
    parameters: Vec<(crucible_crds::name::ParameterName, super::Values)>,
    expect_rows: Option<crate::contract::RowBounds>,
    cql: CqlOptions,
    code: Vec<Token>,
}

impl Parser<'_> {
    fn line_of(&self, at: usize) -> u32 {
        u32::try_from(self.lines.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }

    fn error(&mut self, at: usize, kind: ErrorKind, message: impl Into<String>) {
        // One more than is shown, per pass, is enough: sorting and cutting come at the end.
        if self.errors.len() < 4 * MOST_PROBLEMS {
            self.errors.push(WorkloadError { line: self.line_of(at), kind, message: message.into() });
        }
    }

    /// What the first line that is not blank says.
    fn language(&mut self, engine: Option<Engine>) -> Option<Language> {
        let start = self.text.len() - self.text.trim_start().len();
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let Some(Ok(Annotation::Type(word))) = annotation::parse(line) else {
            if engine.is_none() {
                self.error(start, ErrorKind::TypeMissing, "the first line must say what the file is written in, as in `-- @type: sql`");
            }
            return None;
        };
        let language = Language::parse(&word);
        if language.is_none() {
            let shown: String = word.chars().take(40).collect();
            self.error(start, ErrorKind::TypeUnknown, format!("{shown:?} is not a type; known are {}", Language::WORDS.join(", ")));
        }
        language
    }

    fn queries(&mut self, tokens: &[Token]) -> Vec<ParsedQuery> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut stray = false;
        let mut last_code_line = 0;
        for token in tokens {
            if token.is_code() {
                last_code_line = self.line_of(token.end - 1);
                match blocks.last_mut() {
                    Some(block) => block.code.push(*token),
                    None if stray => {}
                    None => {
                        stray = true;
                        self.error(token.start, ErrorKind::CodeOutsideBlock, "every statement must stand in a block that begins with `-- @name: QueryName`");
                    }
                }
            } else if token.kind == Kind::LineComment {
                let alone = last_code_line != self.line_of(token.start);
                self.take_comment(*token, alone, &mut blocks);
            }
        }
        if blocks.is_empty() {
            self.error(self.text.len(), ErrorKind::NoQueries, "the file has no query; a query begins with `-- @name: QueryName`");
        }
        if let Some(block) = blocks.get(MOST_QUERIES) {
            let (start, count) = (block.start, blocks.len());
            self.error(start, ErrorKind::TooManyQueries, format!("the file has {count} queries; at most {MOST_QUERIES} are read"));
        }
        self.refuse_repeated_names(&blocks);
        blocks.into_iter().filter_map(|block| self.query(block)).collect()
    }

    fn take_comment(&mut self, token: Token, alone: bool, blocks: &mut Vec<Block>) {
        let Some(parsed) = annotation::parse(token.text(self.text)) else { return };
        let annotation = match parsed {
            Ok(annotation) if alone => annotation,
            Err((kind, message)) if alone => return self.error(token.start, kind, message),
            Ok(_) => return self.error(token.start, ErrorKind::AnnotationMisplaced, "an annotation must stand on a line of its own"),
            Err(_) => return, // a remark behind code that happens to begin with @
        };
        match (annotation, blocks.last_mut()) {
            (Annotation::Type(_), _) if self.text.get(..token.start).unwrap_or_default().trim().is_empty() => {}
            (Annotation::Type(_), _) => self.error(token.start, ErrorKind::TypeMisplaced, "@type must stand on the first line, once"),
            (Annotation::Name(name), _) => {
                let block = self.begin(&name, token.start);
                blocks.push(block);
            }
            (_, None) => self.error(token.start, ErrorKind::AnnotationMisplaced, "this annotation must stand in a block, after its `-- @name: QueryName`"),
            (Annotation::Weight(_), Some(Block { weight: Some(_), .. })) => {
                self.error(token.start, ErrorKind::AnnotationRepeated, "@weight stands twice in this block");
            }
            (Annotation::Weight(weight), Some(block)) => block.weight = Some(weight),
            (Annotation::ExpectRows(_), Some(Block { expect_rows: Some(_), .. })) => {
                self.error(token.start, ErrorKind::AnnotationRepeated, "@expect-rows stands twice in this block");
            }
            (Annotation::ExpectRows(rows), Some(block)) => block.expect_rows = Some(rows),
            (Annotation::Consistency(_), Some(Block { cql: CqlOptions { consistency: Some(_), .. }, .. })) => {
                self.error(token.start, ErrorKind::AnnotationRepeated, "@consistency stands twice in this block");
            }
            (Annotation::Consistency(level), Some(block)) => block.cql.consistency = Some(level),
            (Annotation::PageSize(_), Some(Block { cql: CqlOptions { page_size: Some(_), .. }, .. })) => {
                self.error(token.start, ErrorKind::AnnotationRepeated, "@page-size stands twice in this block");
            }
            (Annotation::PageSize(rows), Some(block)) => block.cql.page_size = Some(rows),
            (Annotation::Parameter(name, _), Some(block)) if block.parameters.iter().any(|(known, _)| *known == name) => {
                self.error(token.start, ErrorKind::AnnotationRepeated, format!("@param {name} stands twice in this block"));
            }
            (Annotation::Parameter(name, values), Some(block)) => block.parameters.push((name, values)),
        }
    }

    fn begin(&mut self, name: &str, start: usize) -> Block {
        let shown: String = name.chars().take(40).collect();
        let name = if is_name(name) {
            Ok(QueryName(name.to_owned()))
        } else {
            self.error(
                start,
                ErrorKind::NameInvalid,
                format!("{shown:?} cannot be the name of a query: use letters, digits and _, not a digit first, at most {LONGEST_NAME}"),
            );
            Err(())
        };
        Block { name, start, weight: None, parameters: Vec::new(), expect_rows: None, cql: CqlOptions::default(), code: Vec::new() }
    }

    fn refuse_repeated_names(&mut self, blocks: &[Block]) {
        let mut seen: HashMap<String, (usize, &str)> = HashMap::new();
        for block in blocks {
            let Ok(name) = &block.name else { continue };
            let (first, first_name) = *seen.entry(name.to_lowercase()).or_insert((block.start, name));
            if first != block.start {
                let line = self.line_of(first);
                self.error(
                    block.start,
                    ErrorKind::NameRepeated,
                    format!("the name {name} is taken by {first_name} on line {line}; upper and lower case make no difference"),
                );
            }
        }
    }

    fn query(&mut self, block: Block) -> Option<ParsedQuery> {
        let Block { name, start, weight, parameters, expect_rows, cql, code } = block;
        let ends = |token: &Token| token.kind == Kind::Symbol(';');
        let statement: Vec<Token> = code.iter().skip_while(|token| ends(token)).take_while(|token| !ends(token)).copied().collect();
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else {
            self.error(start, ErrorKind::BodyEmpty, "this block has no statement");
            return None;
        };
        let next = code.iter().find(|token| token.start > last.end && !ends(token));
        if first.text(self.text).eq_ignore_ascii_case("delimiter") {
            self.error(first.start, ErrorKind::SeveralStatements, "DELIMITER is a command of the mysql program, not SQL; write one statement");
        } else if let Some(next) = next {
            self.error(
                next.start,
                ErrorKind::SeveralStatements,
                "a second statement begins here; write one statement in each block, stored procedures as one CALL",
            );
        }
        if let Some((what, at)) = destructive::find(self.text, &statement) {
            self.error(at.start, ErrorKind::Destructive, format!("{what} is refused in a load test: it reaches beyond the rows of the target database"));
        }
        let sql = self.text.get(first.start..last.end).unwrap_or_default().to_owned();
        let line = self.line_of(first.start);
        name.ok().map(|name| ParsedQuery { name, line, sql, weight, parameters, expect_rows, cql })
    }
}

#[cfg(test)]
mod tests;
