//! A mistake in what a client sent, in the shape that clients of the earlier system read: where, what, and a word for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// The most mistakes that are told at once. Whoever has more has one cause for most of them.
pub const MOST_DETAILS: usize = 20;
/// The longest piece of a client's own text that a message repeats.
const LONGEST_SHOWN: usize = 40;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Where it is, from the outermost field inwards. Empty where the text as a whole is meant.
    pub loc: Vec<Loc>,
    /// What is wrong and what would be right, in one sentence without a full stop.
    pub msg: String,
    /// What kind of mistake it is, as a word for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Loc {
    /// A field of a mapping.
    Field(String),
    /// An entry of a list, from 0.
    Index(usize),
}

impl From<&str> for Loc {
    fn from(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}

impl From<usize> for Loc {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Detail {
    /// A mistake at a place.
    pub fn new(loc: Vec<Loc>, msg: impl Into<String>, kind: &'static str) -> Self {
        Self { loc, msg: msg.into(), kind }
    }

    /// The place as one text, for example `execution.workload[0].workload_id`.
    #[must_use]
    pub fn path(&self) -> String {
        dotted(&self.loc)
    }

    /// The same mistake seen from further outside, for example from the request that carries the plan as one of its fields.
    #[must_use]
    pub fn under(mut self, outer: &[&str]) -> Self {
        self.loc.splice(0..0, outer.iter().map(|name| Loc::from(*name)));
        self
    }
}

impl std::fmt::Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.loc.is_empty() { f.write_str(&self.msg) } else { write!(f, "{}: {}", self.path(), self.msg) }
    }
}

/// Steps as one text.
pub(super) fn dotted(loc: &[Loc]) -> String {
    loc.iter().fold(String::new(), |mut path, step| {
        // Writing into memory does not fail.
        let _ = match step {
            Loc::Index(index) => write!(path, "[{index}]"),
            Loc::Field(name) if path.is_empty() => write!(path, "{name}"),
            Loc::Field(name) => write!(path, ".{name}"),
        };
        path
    })
}

/// The beginning of a client's text for a message: short, on one line, in quotes.
pub(super) fn shown(text: &str) -> String {
    let cut = text.chars().nth(LONGEST_SHOWN).is_some();
    format!("{:?}{}", text.chars().take(LONGEST_SHOWN).collect::<String>(), if cut { " and more" } else { "" })
}

/// Mistakes as they are found, never more than [`MOST_DETAILS`].
#[derive(Debug, Default)]
pub(super) struct Details {
    found: Vec<Detail>,
}

impl Details {
    pub(super) fn add(&mut self, loc: &[Loc], msg: impl Into<String>, kind: &'static str) {
        if self.found.len() < MOST_DETAILS {
            self.found.push(Detail::new(loc.to_vec(), msg, kind));
        }
    }

    /// `value` where nothing was wrong. Where it is missing, something was.
    pub(super) fn none_or<T>(self, value: Option<T>) -> Result<T, Vec<Detail>> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            Some(_) | None => Err(self.found),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistake_is_told_as_existing_clients_read_it() {
        let detail = Detail::new(vec!["execution".into(), "workload".into(), 0.into(), "workload_id".into()], "the field is missing", "missing");
        let told = json!({"loc": ["body", "plan_yaml", "execution", "workload", 0, "workload_id"], "msg": "the field is missing", "type": "missing"});
        assert_eq!(detail.to_string(), "execution.workload[0].workload_id: the field is missing");
        assert_eq!(serde_json::to_value(detail.under(&["body", "plan_yaml"])).unwrap(), told);
    }

    #[test]
    fn what_a_client_wrote_is_repeated_briefly_and_on_one_line() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"x".repeat(41)), format!("\"{}\" and more", "x".repeat(40)));
    }

    #[test]
    fn only_the_first_twenty_mistakes_are_told() {
        let mut details = Details::default();
        for index in 0..30 {
            details.add(&[Loc::Index(index)], "wrong", "value_error");
        }
        assert_eq!(details.none_or(Some(())).unwrap_err().len(), 20);
    }
}
