//! The annotations of a workload file: `-- @key: value`, each alone on its line. Reads their values; where they may
//! stand is the parser's business.

use crucible_crds::name::ParameterName;

use super::{ErrorKind, LONGEST_NAME, Values, is_name};
use crate::contract::{Consistency, RowBounds};

const MOST_WEIGHT: u32 = 1_000_000;
const MOST_ROWS: u64 = 1_000_000_000;
const MOST_VALUES: usize = 1024;
const MOST_PAGE_ROWS: u32 = 100_000;
const WORDS: [&str; 7] = ["@type", "@name", "@weight", "@param", "@expect-rows", "@consistency", "@page-size"];

/// What a line says about the block that it stands in, or about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    Type(String),
    Name(String),
    Weight(u32),
    Parameter(ParameterName, Values),
    ExpectRows(RowBounds),
    Consistency(Consistency),
    PageSize(u32),
}

/// The annotation of a comment, where it is one: the first character of the comment's text is `@`.
pub(super) fn parse(comment: &str) -> Option<Result<Annotation, (ErrorKind, String)>> {
    let text = comment.strip_prefix("--")?.trim();
    text.starts_with('@').then(|| value_of(text))
}

fn value_of(text: &str) -> Result<Annotation, (ErrorKind, String)> {
    let (key, value) = text.split_once(':').map_or((text, None), |(key, value)| (key.trim_end(), Some(value.trim())));
    let malformed = |message: String| (ErrorKind::AnnotationMalformed, message);
    let word = key.split_whitespace().next().unwrap_or(key);
    if !WORDS.contains(&word) {
        let shown: String = word.chars().take(40).collect();
        return Err((ErrorKind::AnnotationUnknown, format!("{shown} is not an annotation; known are {}", WORDS.join(", "))));
    }
    let value = value.filter(|_| key == word).ok_or_else(|| malformed(format!("{word} needs a colon before its value, as in `-- {word}: …`")))?;
    match word {
        "@type" => Ok(Annotation::Type(value.to_lowercase())),
        "@name" => Ok(Annotation::Name(value.to_owned())),
        "@weight" => weight(value)
            .map(Annotation::Weight)
            .ok_or_else(|| malformed(format!("@weight must be a whole number from 1 to {MOST_WEIGHT}, as in `-- @weight: 3`"))),
        "@param" => parameter(value).map_err(malformed),
        "@consistency" => Consistency::parse(value)
            .map(Annotation::Consistency)
            .ok_or_else(|| malformed("@consistency must be a level of Cassandra, as in `-- @consistency: LOCAL_ONE`".to_owned())),
        "@page-size" => whole::<u32>(value)
            .filter(|rows| (1..=MOST_PAGE_ROWS).contains(rows))
            .map(Annotation::PageSize)
            .ok_or_else(|| malformed(format!("@page-size must be a number of rows from 1 to {MOST_PAGE_ROWS}, as in `-- @page-size: 500`"))),
        _ => rows(value).map(Annotation::ExpectRows).ok_or_else(|| {
            malformed("@expect-rows must be a number of rows or a range, as in `-- @expect-rows: 1`, `1..10`, `1..` or `..10`, at most 1000000000".to_owned())
        }),
    }
}

fn weight(value: &str) -> Option<u32> {
    whole::<u32>(value).filter(|weight| (1..=MOST_WEIGHT).contains(weight))
}

fn parameter(value: &str) -> Result<Annotation, String> {
    let (name, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    if !is_name(name) {
        return Err(format!("@param must begin with a name of letters, digits and _, at most {LONGEST_NAME} long, as in `-- @param: id int 1 100000`"));
    }
    let (kind, rest) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
    let values = match kind {
        "int" => {
            int_range(rest).ok_or_else(|| format!("@param {name} must have a smallest and a largest whole number, as in `-- @param: {name} int 1 100000`"))?
        }
        "text" => choice(rest).ok_or_else(|| {
            format!("@param {name} must have at most {MOST_VALUES} texts of at most 1024 characters, as in `-- @param: {name} text Paris|Taipei`")
        })?,
        _ => {
            return Err(format!(
                "@param {name} must be of the kind int or text, as in `-- @param: {name} int 1 100000` or `-- @param: {name} text Paris|Taipei`"
            ));
        }
    };
    Ok(Annotation::Parameter(ParameterName(name.to_owned()), values))
}

fn int_range(text: &str) -> Option<Values> {
    let mut numbers = text.split_whitespace();
    let (min, max) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    (numbers.next().is_none() && min <= max).then_some(Values::Range { min, max })
}

fn choice(text: &str) -> Option<Values> {
    let values: Vec<String> = text.split('|').map(|value| value.trim().to_owned()).collect();
    let fits = !text.trim().is_empty() && values.len() <= MOST_VALUES && values.iter().all(|value| value.chars().count() <= 1024);
    fits.then_some(Values::Choice(values))
}

fn rows(value: &str) -> Option<RowBounds> {
    let bound = |text: &str| whole::<u64>(text.trim()).filter(|rows| *rows <= MOST_ROWS);
    let (min, max) = match value.split_once("..") {
        None => (Some(bound(value)?), Some(bound(value)?)),
        Some((min, "")) => (Some(bound(min)?), None),
        Some(("", max)) => (None, Some(bound(max)?)),
        Some((min, max)) => (Some(bound(min)?), Some(bound(max)?)),
    };
    (min.unwrap_or(0) <= max.unwrap_or(MOST_ROWS)).then_some(RowBounds { min, max })
}

/// Digits only: no sign, no separators.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read_with_their_values() {
        let cases = [
            ("-- @type: SQL", Annotation::Type("sql".into())),
            ("--@name:A", Annotation::Name("A".into())),
            ("--\t@weight:\t3", Annotation::Weight(3)),
            ("-- @param: id int -5 100000", Annotation::Parameter("id".into(), Values::Range { min: -5, max: 100_000 })),
            (
                "-- @param: city text Paris | New York|",
                Annotation::Parameter("city".into(), Values::Choice(vec!["Paris".into(), "New York".into(), String::new()])),
            ),
            ("-- @expect-rows: 1", Annotation::ExpectRows(RowBounds { min: Some(1), max: Some(1) })),
            ("-- @expect-rows: 1..10", Annotation::ExpectRows(RowBounds { min: Some(1), max: Some(10) })),
            ("-- @expect-rows: 1..", Annotation::ExpectRows(RowBounds { min: Some(1), max: None })),
            ("-- @expect-rows: ..10", Annotation::ExpectRows(RowBounds { min: None, max: Some(10) })),
            ("-- @consistency: local_one", Annotation::Consistency(Consistency::LocalOne)),
            ("-- @consistency: QUORUM", Annotation::Consistency(Consistency::Quorum)),
            ("-- @page-size: 500", Annotation::PageSize(500)),
        ];
        for (comment, annotation) in cases {
            assert_eq!(parse(comment), Some(Ok(annotation)), "{comment}");
        }
    }

    #[test]
    fn other_comments_are_not_annotations() {
        for comment in ["-- a comment", "-- mail me@example.com", "--", "# @name: A", "/* @name: A */"] {
            assert_eq!(parse(comment), None, "{comment}");
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let malformed = [
            "-- @name A",
            "-- @name x: A",
            "-- @weight: 0",
            "-- @weight: -1",
            "-- @weight: 1.5",
            "-- @weight: 1000001",
            "-- @weight:",
            "-- @weight: +3",
            "-- @param: id",
            "-- @param: id int",
            "-- @param: id int 1",
            "-- @param: id int 5 1",
            "-- @param: id int 1 2 3",
            "-- @param: id int 1 99999999999999999999",
            "-- @param: 1d int 1 2",
            "-- @param: id float 1 2",
            "-- @param: city text",
            "-- @param:",
            "-- @expect-rows: ..",
            "-- @expect-rows: 10..1",
            "-- @expect-rows: one",
            "-- @expect-rows: 1...2",
            "-- @expect-rows: 1000000001",
            "-- @expect-rows:",
            "-- @consistency: most",
            "-- @consistency:",
            "-- @page-size: 0",
            "-- @page-size: 100001",
        ];
        for comment in malformed {
            assert!(matches!(parse(comment), Some(Err((ErrorKind::AnnotationMalformed, _)))), "{comment}: {:?}", parse(comment));
        }
        for comment in ["-- @todo", "-- @weigth: 3", "-- @", "-- @nameless: x", "-- @Name: A"] {
            assert!(matches!(parse(comment), Some(Err((ErrorKind::AnnotationUnknown, _)))), "{comment}: {:?}", parse(comment));
        }
    }
}
