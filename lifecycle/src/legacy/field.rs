//! Fields of a document, read one by one: each says what it needs, whatever is wrong is collected with its path, and what
//! nobody asked for was not known.

use std::collections::BTreeSet;

use crucible_crds::Duration;
use serde_json::{Map, Value};

use super::{
    detail::{Details, Loc, shown},
    document::{Kind, Node},
};

/// A mapping that is being read.
pub(super) struct Fields<'n> {
    all: &'n [(String, Node)],
    loc: Vec<Loc>,
    known: BTreeSet<&'static str>,
}

/// A value that is to become something, with its place.
#[derive(Clone, Debug)]
pub(super) struct Field<'n> {
    pub(super) node: &'n Node,
    pub(super) loc: Vec<Loc>,
}

impl<'n> Fields<'n> {
    /// The document itself.
    pub(super) fn of_document(node: &'n Node, details: &mut Details) -> Option<Self> {
        Field { node, loc: Vec::new() }.fields(details)
    }

    /// A field that may be absent. One that says `null` is.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Field<'n>> {
        self.known.insert(name);
        let (_, node) = self.all.iter().find(|(known, node)| known == name && !node.is_null())?;
        Some(Field { node, loc: self.at(name) })
    }

    /// A field that has to be there.
    pub(super) fn required(&mut self, name: &'static str, details: &mut Details) -> Option<Field<'n>> {
        let found = self.optional(name);
        if found.is_none() {
            details.add(&self.at(name), "the field is missing", "missing");
        }
        found
    }

    /// The place of a field of this mapping.
    pub(super) fn at(&self, name: &str) -> Vec<Loc> {
        [self.loc.as_slice(), &[Loc::from(name)]].concat()
    }

    /// Refuses every field that nobody asked for.
    pub(super) fn close(self, details: &mut Details) {
        for (name, _) in self.all.iter().filter(|(name, _)| !self.known.contains(name.as_str())) {
            let message = match nearest(name, &self.known) {
                Some(meant) => format!("the field {} is not known; did you mean {meant}?", shown(name)),
                None => format!("the field {} is not known here; known are {}", shown(name), self.known.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            details.add(&self.at(&name.chars().take(64).collect::<String>()), message, "extra_forbidden");
        }
    }
}

impl<'n> Field<'n> {
    /// Says what is wrong with it.
    pub(super) fn refuse(&self, details: &mut Details, message: impl Into<String>, kind: &'static str) {
        details.add(&self.loc, message, kind);
    }

    pub(super) fn fields(&self, details: &mut Details) -> Option<Fields<'n>> {
        if let Kind::Map(fields) = &self.node.kind {
            return Some(Fields { all: fields, loc: self.loc.clone(), known: BTreeSet::new() });
        }
        self.refuse(details, "a mapping is needed here", "dict_type");
        None
    }

    pub(super) fn entries(&self, details: &mut Details) -> Option<Vec<Field<'n>>> {
        if let Kind::List(entries) = &self.node.kind {
            let entry = |(index, node)| Field { node, loc: [self.loc.as_slice(), &[Loc::Index(index)]].concat() };
            return Some(entries.iter().enumerate().map(entry).collect());
        }
        self.refuse(details, "a list is needed here", "list_type");
        None
    }

    /// A list with at least one entry and at most `most`.
    pub(super) fn some_entries(&self, most: usize, details: &mut Details) -> Option<Vec<Field<'n>>> {
        let entries = self.entries(details)?;
        if entries.is_empty() {
            self.refuse(details, "there must be at least one entry", "too_short");
        } else if entries.len() > most {
            self.refuse(details, format!("{} entries are too many; at most {most} are possible", entries.len()), "too_long");
        } else {
            return Some(entries);
        }
        None
    }

    /// A text. What some reader takes for a truth value, a number or a time has to stand in quotes.
    pub(super) fn text(&self, details: &mut Details) -> Option<&'n str> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if !self.node.is_ambiguous() => return Some(text),
            Kind::Scalar { text, .. } => {
                self.refuse(details, format!("{text} without quotes is not a text to every reader of YAML; write \"{text}\""), "string_type");
            }
            Kind::List(_) | Kind::Map(_) => self.refuse(details, "a text is needed here", "string_type"),
        }
        None
    }

    /// A text of one line that is not empty.
    pub(super) fn line(&self, most: usize, details: &mut Details) -> Option<&'n str> {
        let text = self.text(details)?;
        if text.is_empty() {
            self.refuse(details, "the text is empty", "string_too_short");
        } else if text.chars().count() > most {
            self.refuse(details, format!("the text is longer than {most} characters"), "string_too_long");
        } else if text.contains(char::is_control) {
            self.refuse(details, "the text has control characters", "value_error");
        } else {
            return Some(text);
        }
        None
    }

    /// A scalar as it is written, whatever it may mean.
    fn written(&self) -> Option<(&'n str, bool)> {
        let Kind::Scalar { text, plain } = &self.node.kind else { return None };
        Some((text, *plain))
    }

    /// A whole number within bounds, in decimal digits and without quotes.
    pub(super) fn whole(&self, least: u32, most: u32, details: &mut Details) -> Option<u32> {
        let digits = |text: &str| {
            let unsigned = text.strip_prefix('-').unwrap_or(text);
            !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) && (unsigned == "0" || !unsigned.starts_with('0'))
        };
        let Some((text, true)) = self.written().filter(|(text, _)| digits(text)) else {
            self.refuse(details, "a whole number is needed here, in decimal digits and without quotes", "int_type");
            return None;
        };
        let number = text.parse::<i64>().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
        if number < i64::from(least) {
            self.refuse(details, format!("the number must be at least {least}"), "greater_than_equal");
        } else if number > i64::from(most) {
            self.refuse(details, format!("the number must be at most {most}"), "less_than_equal");
        }
        u32::try_from(number).ok().filter(|number| (least..=most).contains(number))
    }

    /// A share above 0 and at most 1.
    pub(super) fn share(&self, details: &mut Details) -> Option<f64> {
        let number = self.written().filter(|(_, plain)| *plain).and_then(|_| self.node.to_value().as_f64());
        match number {
            None => self.refuse(details, "a number is needed here", "float_type"),
            Some(number) if number <= 0.0 => self.refuse(details, "the share must be above 0", "greater_than"),
            Some(number) if number > 1.0 => self.refuse(details, "the share must be at most 1", "less_than_equal"),
            Some(_) => return number,
        }
        None
    }

    /// A truth value in the one spelling that every reader of YAML has.
    pub(super) fn truth(&self, details: &mut Details) -> Option<bool> {
        let found = self.node.to_value().as_bool();
        if found.is_none() {
            self.refuse(details, "write true or false", "bool_type");
        }
        found
    }

    /// A time span in the grammar that every field of Crucible has.
    pub(super) fn duration(&self, details: &mut Details) -> Option<Duration> {
        let Some((text, _)) = self.written() else {
            self.refuse(details, "a duration is needed here, such as 500ms, 90s, 1.5h or 1h30m", "duration");
            return None;
        };
        text.parse::<Duration>().map_err(|error| self.refuse(details, error.to_string(), "duration")).ok()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], details: &mut Details) -> Option<T> {
        let text = self.text(details)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.refuse(details, format!("{} is not known here; known are {known}", shown(text)), "enum");
        }
        found
    }

    /// An `http` or `https` address without user, password and fragment.
    pub(super) fn web_address(&self, details: &mut Details) -> Option<&'n str> {
        let text = self.line(1024, details)?;
        if !is_web_address(text) {
            self.refuse(details, "an address such as http://prometheus:9090 is needed here, without user and password", "url");
            return None;
        }
        Some(text)
    }

    /// A mapping as JSON, whatever is in it.
    pub(super) fn object(&self, details: &mut Details) -> Option<Map<String, Value>> {
        match self.node.to_value() {
            Value::Object(fields) => Some(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.refuse(details, "a mapping is needed here", "dict_type");
                None
            }
        }
    }
}

/// Whether a text is an address that [`crucible_crds::name::HttpUrl`] takes.
fn is_web_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let sign = |c: char| c.is_ascii_alphanumeric();
    let (host_fits, port) = if let Some((host, port)) = authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        (!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')), port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let inner = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        (inner && host.starts_with(sign) && host.ends_with(sign), port)
    };
    let port_fits =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()));
    host_fits && port_fits && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The known word that was probably meant: the same but for case and signs, or at most two letters away.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k &'k str>) -> Option<&'k str> {
    if word.len() > 64 {
        return None;
    }
    let bare = |word: &str| word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let near = |candidate: &str| if bare(word) == bare(candidate) { 0 } else { distance(word, candidate) };
    let (steps, found) = known.into_iter().map(|candidate| (near(candidate), *candidate)).min()?;
    (steps <= 2 && steps < found.len() / 2).then_some(found)
}

/// How many letters have to be put in, taken out or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((other, above), diagonal) in to.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(letter != *other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let known = ["hold_for", "ramp_up", "workload", "type"];
        let cases = [
            ("holdfor", Some("hold_for")),
            ("Hold-For", Some("hold_for")),
            ("rampup", Some("ramp_up")),
            ("workloads", Some("workload")),
            ("wokrload", Some("workload")),
            ("tpye", None),
            ("typ", Some("type")),
            ("colour", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }

    #[test]
    fn addresses_are_web_addresses_or_refused() {
        for good in ["http://p:9090", "https://p.example/api/v1/write?x=1", "http://[::1]:9090/", "http://10.0.0.1", "http://a_b:1"] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "p:9090",
            "file:///etc/passwd",
            "http://",
            "http://u:p@p:9090",
            "http://p:abc",
            "http://p/#x",
            "http://p/ü",
            "http://-p",
            "http://p:123456",
            "HTTP://p",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
    }
}
