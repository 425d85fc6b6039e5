//! From a parsed workload and a plan's wishes to the queries that run: the mix, the checks, and `:name` placeholders
//! turned into the engine's own with a binding for each.

use std::collections::{BTreeMap, HashMap};

use crucible_crds::{
    name::QueryName,
    test_plan::{Engine, MixEntry, Parameter, QueryCheck, WorkloadSpec},
};

use super::{
    LONGEST_NAME, MOST_QUERIES_TOGETHER, ParsedQuery, Values, Workload,
    lexer::{self, Kind, Token},
    parse::dialect,
};
use crate::{
    contract::{Binding, CqlOptions, Query, RowBounds},
    problem::{Problem, Problems, name_some},
};

/// The most placeholders of one query: what fits into the wire protocol of every engine.
const MOST_PLACEHOLDERS: usize = 65_535;

/// A parsed workload file with its place in the plan, which stands before the line in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// For example `spec.workload.source`.
    pub path: String,
    /// The file.
    pub workload: Workload,
}

/// The queries that a plan runs, in the order of the workload: file by file, where it has several.
///
/// With a mix only the queries in it run, with its weights. The plan's parameters stand in for those of a query's own
/// `@param` lines with the same name, and add to them; the plan's checks stand in for `@expect-rows`.
///
/// # Errors
/// Everything that does not fit together, with the path of the field or the line of the workload.
pub fn compile(files: &[Placed], spec: &WorkloadSpec, engine: Engine) -> Result<Vec<Query>, Vec<Problem>> {
    let mut problems = Problems::default();
    for Placed { path, workload } in files {
        if let Some(language) = workload.language.filter(|language| !language.is_spoken_by(engine)) {
            problems.add(
                format!("{path} line 1"),
                format!("the workload is of the type {}, which the engine {} does not speak", language.as_str(), engine.as_str()),
            );
        }
    }
    refuse_repeated_names(files, &mut problems);
    let known: Vec<&ParsedQuery> = files.iter().flat_map(|file| &file.workload.queries).collect();
    let weights = weights(&known, &spec.mix, &mut problems);
    let checks = checks(&known, &spec.checks, &weights, &mut problems);
    let shared = parameters(&spec.parameters, &mut problems);
    let mut queries = Vec::new();
    for (file, parsed) in files.iter().flat_map(|file| file.workload.queries.iter().map(move |query| (file, query))) {
        let Some(weight) = weights.get(&parsed.name) else { continue };
        if engine != Engine::Cassandra && parsed.cql != CqlOptions::default() {
            problems.add(
                format!("spec.workload.source line {}", parsed.line),
                format!("the query {} has @consistency or @page-size, which only the engine cassandra knows", parsed.name),
            );
        }
        let values = |name: &str| shared.get(name).or_else(|| parsed.parameters.iter().find(|(known, _)| known.0 == name).map(|(_, values)| values));
        let (sql, bindings) = bind(parsed, file, engine, values, &mut problems);
        let expect_rows = checks.get(&parsed.name).copied().or(parsed.expect_rows);
        queries.push(Query { name: parsed.name.clone(), sql, weight: *weight, bindings, expect_rows, cql: parsed.cql });
    }
    problems.none_or(queries)
}

/// Within one file the parser has refused them. A name becomes part of a metric's name, where letters have one case.
fn refuse_repeated_names(files: &[Placed], problems: &mut Problems) {
    let together: usize = files.iter().map(|file| file.workload.queries.len()).sum();
    if together > MOST_QUERIES_TOGETHER {
        problems.add("spec.workload.source", format!("the workload has {together} queries; at most {MOST_QUERIES_TOGETHER} can be run"));
    }
    let mut seen: HashMap<String, (&str, &QueryName)> = HashMap::new();
    for Placed { path, workload } in files {
        for ParsedQuery { name, line, .. } in &workload.queries {
            let (first, taken) = *seen.entry(name.to_lowercase()).or_insert((path.as_str(), name));
            if first != path.as_str() {
                problems.add(format!("{path} line {line}"), format!("the name {name} is taken by {taken} in {first}; upper and lower case make no difference"));
            }
        }
    }
}

/// The queries that run, with their weights.
fn weights(all: &[&ParsedQuery], mix: &[MixEntry], problems: &mut Problems) -> BTreeMap<QueryName, u32> {
    if mix.is_empty() {
        return all.iter().map(|query| (query.name.clone(), query.weight.unwrap_or(1))).collect();
    }
    let mut weights = BTreeMap::new();
    for (index, MixEntry { query, weight }) in mix.iter().enumerate() {
        let path = format!("spec.workload.mix[{index}]");
        if !all.iter().any(|known| known.name == *query) {
            problems.add(format!("{path}.query"), unknown_query(query, all));
        } else if *weight == 0 {
            problems.add(format!("{path}.weight"), "the weight must be at least 1");
        } else if weights.insert(query.clone(), *weight).is_some() {
            problems.add(format!("{path}.query"), format!("the query {query} is already in the mix"));
        }
    }
    weights
}

/// What to say about a query that the workload does not have.
fn unknown_query(name: &str, all: &[&ParsedQuery]) -> String {
    let names = all.iter().map(|query| &*query.name);
    match names.clone().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(meant) => format!("the workload has no query {name}; did you mean {meant}?"),
        None => format!("the workload has no query {name}; it has {}", name_some(names)),
    }
}

fn checks(all: &[&ParsedQuery], checks: &[QueryCheck], running: &BTreeMap<QueryName, u32>, problems: &mut Problems) -> BTreeMap<QueryName, RowBounds> {
    let mut bounds = BTreeMap::new();
    for (index, QueryCheck { query, rows }) in checks.iter().enumerate() {
        let path = format!("spec.workload.checks[{index}]");
        if !all.iter().any(|known| known.name == *query) {
            problems.add(format!("{path}.query"), unknown_query(query, all));
        } else if !running.contains_key(query) {
            problems.add(format!("{path}.query"), format!("the query {query} does not run: it is not in the mix"));
        } else if rows.min.unwrap_or(0) > rows.max.unwrap_or(u64::MAX) {
            problems.add(format!("{path}.rows"), "min must not be larger than max");
        } else if bounds.insert(query.clone(), RowBounds { min: rows.min, max: rows.max }).is_some() {
            problems.add(format!("{path}.query"), format!("the query {query} already has a check"));
        }
    }
    bounds
}

fn parameters(parameters: &[Parameter], problems: &mut Problems) -> BTreeMap<String, Values> {
    let mut known = BTreeMap::new();
    for (index, Parameter { name, range, values }) in parameters.iter().enumerate() {
        let path = format!("spec.workload.parameters[{index}]");
        let values = match (range.as_deref(), values) {
            (Some([min, max]), None) if min <= max => Values::Range { min: *min, max: *max },
            (None, Some(values)) if !values.is_empty() => Values::Choice(values.clone()),
            _ => {
                problems.add(path, "a parameter needs either range, with a smallest and a largest number, or values");
                continue;
            }
        };
        if known.insert(name.0.clone(), values).is_some() {
            problems.add(format!("{path}.name"), format!("the parameter {name} is declared twice"));
        }
    }
    known
}

/// The statement in the engine's placeholders, and what is bound to each of them.
fn bind<'a>(
    query: &ParsedQuery,
    file: &Placed,
    engine: Engine,
    values: impl Fn(&str) -> Option<&'a Values>,
    problems: &mut Problems,
) -> (String, Vec<Binding>) {
    let ParsedQuery { name, sql, .. } = query;
    let Placed { path, workload } = file;
    // The parser has cut this statement before; it ends where it began to.
    let tokens = lexer::tokens(sql, dialect(workload.language, Some(engine))).unwrap_or_default();
    let (mut text, mut bindings, mut copied) = (String::with_capacity(sql.len()), Vec::new(), 0);
    for (at, token) in tokens.iter().enumerate() {
        if problems.is_full() {
            break;
        }
        let line = || u32::try_from(sql.get(..token.start).unwrap_or_default().matches('\n').count()).unwrap_or(0) + query.line;
        if let Some(bare) = bare_placeholder(sql, &tokens, at, engine) {
            problems.add(format!("{path} line {}", line()), format!("the query {name} has a bare {bare} placeholder; write :name and declare the parameter"));
        }
        let Some(word) = placeholder(sql, &tokens, at) else { continue };
        let Some(values) = values(word) else {
            let word: String = word.chars().take(LONGEST_NAME).collect();
            problems.add(
                format!("{path} line {}", line()),
                format!(
                    "the query {name} uses :{word}, which is no parameter; declare it in spec.workload.parameters or with `-- @param: {word} int 1 100000`"
                ),
            );
            continue;
        };
        text.push_str(sql.get(copied..token.start).unwrap_or_default());
        bindings.push(binding(word, values));
        push_placeholder(&mut text, engine, bindings.len());
        copied = token.end + word.len();
    }
    text.push_str(sql.get(copied..).unwrap_or_default());
    if bindings.len() > MOST_PLACEHOLDERS {
        problems.add(
            format!("{path} line {}", query.line),
            format!("the query {name} has {} placeholders; at most {MOST_PLACEHOLDERS} can be bound", bindings.len()),
        );
    }
    (text, bindings)
}

/// The name of the placeholder whose colon is token `at`, where it is one. `::text`, `a:b`, `:=` and `12:30` are not.
fn placeholder<'a>(sql: &'a str, tokens: &[Token], at: usize) -> Option<&'a str> {
    let colon = tokens.get(at).filter(|token| token.kind == Kind::Symbol(':'))?;
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let touches = before.is_some_and(|before| before.end == colon.start && matches!(before.kind, Kind::Word | Kind::Quoted | Kind::Symbol(':')));
    let word = tokens.get(at + 1).filter(|word| word.kind == Kind::Word && word.start == colon.end)?.text(sql);
    (!touches && !word.starts_with(|c: char| c.is_ascii_digit())).then_some(word)
}

/// A placeholder in the engine's own words, which nothing would ever be bound to: `?`, or `$1` of PostgreSQL, where `?`
/// is an operator.
fn bare_placeholder<'a>(sql: &'a str, tokens: &[Token], at: usize, engine: Engine) -> Option<&'a str> {
    let token = tokens.get(at)?;
    match (engine, token.kind) {
        (Engine::Mysql | Engine::Doris | Engine::Trino | Engine::Cassandra, Kind::Symbol('?')) => Some(token.text(sql)),
        (Engine::Postgres, Kind::Symbol('$')) => {
            let number = tokens.get(at + 1).filter(|number| number.start == token.end && number.kind == Kind::Word)?;
            number.text(sql).bytes().all(|byte| byte.is_ascii_digit()).then(|| sql.get(token.start..number.end)).flatten()
        }
        (Engine::Mysql | Engine::Doris | Engine::Postgres | Engine::Trino | Engine::Cassandra, _) => None,
    }
}

/// The placeholder that the `number`th binding is for, from 1.
fn push_placeholder(text: &mut String, engine: Engine, number: usize) {
    use std::fmt::Write as _;
    match engine {
        Engine::Mysql | Engine::Doris | Engine::Trino | Engine::Cassandra => text.push('?'),
        // Writing into memory does not fail.
        Engine::Postgres => drop(write!(text, "${number}")),
    }
}

fn binding(name: &str, values: &Values) -> Binding {
    match values {
        Values::Range { min, max } => Binding::IntRange { name: name.to_owned(), min: *min, max: *max },
        Values::Choice(values) => Binding::Choice { name: name.to_owned(), values: values.clone() },
    }
}

#[cfg(test)]
mod tests;
