//! The one parser of workload files: text in, named queries out. The gateway refuses uploads with it, plan resolution
//! compiles its queries; the worker never sees the text.
//!
//! A file begins with `-- @type: sql`; then come blocks that begin with `-- @name: QueryName` and hold one statement.
//! Line ends, tabs, a byte order mark or a missing last line feed make no difference. The text is data throughout:
//! nothing in it is a template.

mod annotation;
mod compile;
mod destructive;
mod effect;
mod lexer;
mod parse;
mod place;

pub use compile::{Placed, compile};
pub use effect::{destroys, writes};
pub use parse::parse;
pub(crate) use place::path;
pub use place::{Place, places};

use crucible_crds::{
    name::{ParameterName, QueryName},
    test_plan::Engine,
};

use crate::contract::{CqlOptions, RowBounds};

/// The most bytes that a workload file may have.
pub const MOST_BYTES: usize = 1 << 20;
/// The most queries that a workload file may have.
pub const MOST_QUERIES: usize = 256;
/// The most queries that the files of one plan may have together: as many as the load generator keeps histograms for.
pub const MOST_QUERIES_TOGETHER: usize = 1024;
/// The most characters that the name of a query or of a parameter may have.
pub const LONGEST_NAME: usize = 64;

/// A workload file, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What the file says that it is written in; nothing where it does not say.
    pub language: Option<Language>,
    /// Its queries, in the order of the file.
    pub queries: Vec<ParsedQuery>,
}

/// What a workload file is written in, by its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `sql`: whatever the plan's engine speaks, where that is SQL.
    Sql,
    /// `mysql`, `mariadb` or `doris`: what speaks the MySQL protocol.
    Mysql,
    /// `postgres` or `postgresql`.
    Postgres,
    /// `trino`.
    Trino,
    /// `cql` or `cassandra`.
    Cql,
}

impl Language {
    /// The words that a file may begin with.
    pub const WORDS: [&str; 9] = ["sql", "mysql", "mariadb", "doris", "postgres", "postgresql", "trino", "cql", "cassandra"];

    /// The language that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "sql" => Some(Self::Sql),
            "mysql" | "mariadb" | "doris" => Some(Self::Mysql),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "trino" => Some(Self::Trino),
            "cql" | "cassandra" => Some(Self::Cql),
            _ => None,
        }
    }

    /// The word for it in messages, as a file would begin with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Trino => "trino",
            Self::Cql => "cql",
        }
    }

    /// Whether an engine understands it.
    #[must_use]
    pub const fn is_spoken_by(self, engine: Engine) -> bool {
        match engine {
            Engine::Mysql | Engine::Doris => matches!(self, Self::Sql | Self::Mysql),
            Engine::Postgres => matches!(self, Self::Sql | Self::Postgres),
            Engine::Trino => matches!(self, Self::Sql | Self::Trino),
            Engine::Cassandra => matches!(self, Self::Cql),
        }
    }
}

/// One query as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedQuery {
    /// Its name.
    pub name: QueryName,
    /// The line, from 1, that its statement begins on.
    pub line: u32,
    /// Its one statement, without a semicolon at the end, with `:name` placeholders.
    pub sql: String,
    /// How often it is chosen, relative to the others; nothing where the file does not say.
    pub weight: Option<u32>,
    /// What its own `@param` lines draw its placeholders from.
    pub parameters: Vec<(ParameterName, Values)>,
    /// How many rows its right answer has.
    pub expect_rows: Option<RowBounds>,
    /// What its `@consistency` and `@page-size` lines say.
    pub cql: CqlOptions,
}

/// What a placeholder is drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// A whole number drawn evenly, both ends included.
    Range {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// One of these texts, drawn evenly.
    Choice(Vec<String>),
}

/// One mistake in a workload file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadError {
    /// The line that it is on, from 1.
    pub line: u32,
    /// What kind of mistake it is; stable, for programs.
    pub kind: ErrorKind,
    /// What is wrong and what would be right, in one sentence without a full stop.
    pub message: String,
}

impl std::fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for WorkloadError {}

/// What kind of mistake a workload file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The file has more than [`MOST_BYTES`].
    TooLarge,
    /// A literal, a quoted name or a comment begins and never ends.
    Unterminated,
    /// The first line is not `-- @type: …` and no engine stands in for it.
    TypeMissing,
    /// The first line names a language that is not known, or none.
    TypeUnknown,
    /// `@type` stands anywhere but on the first line.
    TypeMisplaced,
    /// A line begins with `-- @` and a word that is no annotation.
    AnnotationUnknown,
    /// An annotation has no value, or one that makes no sense.
    AnnotationMalformed,
    /// An annotation stands twice in a block.
    AnnotationRepeated,
    /// An annotation stands before the first `@name`, or behind code on its line.
    AnnotationMisplaced,
    /// A query has a name that cannot be one.
    NameInvalid,
    /// Two queries have the same name; upper and lower case make no difference.
    NameRepeated,
    /// The file has more than [`MOST_QUERIES`].
    TooManyQueries,
    /// The file has no query.
    NoQueries,
    /// There is code before the first `@name`.
    CodeOutsideBlock,
    /// A block has no statement.
    BodyEmpty,
    /// A block has more than one statement.
    SeveralStatements,
    /// A statement destroys more than rows, stops the server or reaches into its files.
    Destructive,
}

impl ErrorKind {
    /// The kind as a word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Unterminated => "unterminated",
            Self::TypeMissing => "type_missing",
            Self::TypeUnknown => "type_unknown",
            Self::TypeMisplaced => "type_misplaced",
            Self::AnnotationUnknown => "annotation_unknown",
            Self::AnnotationMalformed => "annotation_malformed",
            Self::AnnotationRepeated => "annotation_repeated",
            Self::AnnotationMisplaced => "annotation_misplaced",
            Self::NameInvalid => "name_invalid",
            Self::NameRepeated => "name_repeated",
            Self::TooManyQueries => "too_many_queries",
            Self::NoQueries => "no_queries",
            Self::CodeOutsideBlock => "code_outside_block",
            Self::BodyEmpty => "body_empty",
            Self::SeveralStatements => "several_statements",
            Self::Destructive => "destructive",
        }
    }
}

/// Whether a query or a parameter may be called this.
fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
