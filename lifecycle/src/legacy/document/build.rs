//! From the parser's events to the tree, refusing on the way what no plan needs.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{
    super::detail::{Detail, Loc, shown},
    Kind, MOST_ALIASES, MOST_BYTES, MOST_LEVELS, MOST_VALUES, Node,
};

/// Reads one document.
pub(in crate::legacy) fn read(text: &str) -> Result<Node, Detail> {
    if text.len() > MOST_BYTES {
        return Err(too_large(text.len()));
    }
    if text.starts_with('\u{feff}') {
        return Err(Detail::new(Vec::new(), "line 1: the text begins with a byte-order mark; save it as UTF-8 without one", "yaml"));
    }
    check_characters(text)?;
    let options =
        granit_parser::options! { disallow_directives: true, emit_comments: false, flow_nesting_limit: 2 * MOST_LEVELS, block_nesting_limit: 2 * MOST_LEVELS };
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| builder.misread(&error))?;
        builder.take(event, &span)?;
    }
    builder.root.ok_or_else(|| Detail::new(Vec::new(), "there is nothing in the text", "yaml"))
}

pub(super) fn too_large(bytes: usize) -> Detail {
    Detail::new(Vec::new(), format!("the text has {bytes} bytes; at most {MOST_BYTES} are read"), "too_large")
}

/// Control characters are never meant, and hide what a text says from whoever looks at it.
fn check_characters(text: &str) -> Result<(), Detail> {
    let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) else { return Ok(()) };
    let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let found = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
    Err(Detail::new(Vec::new(), format!("line {line}: the control character U+{found:04X} is not text"), "yaml"))
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    aliases: usize,
    values: usize,
    /// Bytes of text that aliases stand for.
    repeated: usize,
    anchors: HashMap<usize, Anchored>,
}

/// A list or a mapping that is not closed yet.
struct Open {
    kind: Kind,
    anchor: usize,
    key: Option<String>,
    /// How many values there were before it.
    before: usize,
}

/// A value that aliases may name, with what another copy of it costs.
struct Anchored {
    node: Node,
    values: usize,
    levels: usize,
    bytes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Detail> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.refuse(span.start, "a second document begins; write one document"));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), span),
            Event::SequenceStart(_, anchor, tag) => self.begin(Kind::List(Vec::new()), anchor, tag.as_deref(), span),
            Event::MappingStart(_, anchor, tag) => self.begin(Kind::Map(Vec::new()), anchor, tag.as_deref(), span),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            // The other events carry no value, and those that the parser only emits when asked to are not asked for.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Detail> {
        self.refuse_tag(tag, span)?;
        self.count(1, span)?;
        let kind = Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
        let node = Node { kind, bytes: span.byte_range().unwrap_or_default(), aliased: false };
        self.remember(anchor, &node, 1);
        self.put(node, span)
    }

    fn begin(&mut self, kind: Kind, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Detail> {
        self.refuse_tag(tag, span)?;
        if self.open.len() == MOST_LEVELS {
            return Err(self.too_deep(span.start));
        }
        self.count(1, span)?;
        self.open.push(Open { kind, anchor, key: None, before: self.values - 1 });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<(), Detail> {
        let Some(Open { kind, anchor, key: _, before }) = self.open.pop() else { return Ok(()) };
        let node = Node { kind, bytes: 0..0, aliased: false };
        self.remember(anchor, &node, self.values - before);
        self.put(node, span)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), Detail> {
        self.aliases += 1;
        if self.aliases > MOST_ALIASES {
            return Err(self.refuse(span.start, format!("there are more than {MOST_ALIASES} aliases")));
        }
        let Some(Anchored { node: _, values, levels, bytes }) = self.anchors.get(&anchor) else {
            return Err(self.refuse(span.start, "an alias stands inside what it names"));
        };
        if self.open.len() + levels > MOST_LEVELS {
            return Err(self.too_deep(span.start));
        }
        self.repeated += bytes;
        if self.repeated > MOST_BYTES {
            return Err(self.refuse(span.start, format!("aliases stand for more than {MOST_BYTES} bytes")));
        }
        self.count(*values, span)?;
        // Only now that it is known to be small enough is it copied.
        let copied = self.anchors.get(&anchor).map(|anchored| Node { aliased: true, ..anchored.node.clone() });
        copied.map_or(Ok(()), |node| self.put(node, span))
    }

    /// Puts a finished value where it belongs: into the list or mapping that is open, as its key or its value.
    fn put(&mut self, node: Node, span: &Span) -> Result<(), Detail> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.kind, open.key.take()) {
            (Kind::List(entries), _) => entries.push(node),
            (Kind::Map(fields), Some(key)) => fields.push((key, node)),
            (Kind::Map(fields), None) => match node.kind {
                Kind::Scalar { text, plain } if plain && text == "<<" => {
                    return Err(self.refuse(span.start, "merge keys (<<) are not read; write the fields out"));
                }
                Kind::Scalar { text, .. } if fields.iter().any(|(known, _)| *known == text) => {
                    let message = format!("the key {} stands twice", shown(&text));
                    return Err(self.refuse(span.start, message));
                }
                Kind::Scalar { text, .. } => open.key = Some(text),
                Kind::List(_) | Kind::Map(_) => return Err(self.refuse(span.start, "a key must be a text")),
            },
            (Kind::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, values: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), values, levels: levels(node), bytes: bytes(node) });
        }
    }

    fn count(&mut self, values: usize, span: &Span) -> Result<(), Detail> {
        self.values = self.values.saturating_add(values);
        if self.values > MOST_VALUES { Err(self.refuse(span.start, format!("there are more than {MOST_VALUES} values"))) } else { Ok(()) }
    }

    fn refuse_tag(&self, tag: Option<&Tag>, span: &Span) -> Result<(), Detail> {
        tag.map_or(Ok(()), |tag| Err(self.refuse(span.start, format!("the tag {} is not read; write the value without it", shown(&tag.original())))))
    }

    /// What the parser does not read. It looks ahead, and may see before us that a text is too deep.
    fn misread(&self, error: &ScanError) -> Detail {
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => self.too_deep(*error.marker()),
            _ => self.refuse(*error.marker(), error.info()),
        }
    }

    fn too_deep(&self, at: Marker) -> Detail {
        self.refuse(at, format!("the text is nested deeper than {MOST_LEVELS} levels"))
    }

    /// A mistake at a place in the text, with the fields that lead there.
    fn refuse(&self, at: Marker, message: impl AsRef<str>) -> Detail {
        let steps = self.open.iter().filter_map(|open| match (&open.kind, &open.key) {
            (Kind::List(entries), _) => Some(Loc::Index(entries.len())),
            (Kind::Map(_), Some(key)) => Some(Loc::Field(key.clone())),
            (Kind::Map(_), None) | (Kind::Scalar { .. }, _) => None,
        });
        Detail::new(steps.collect(), format!("line {}, column {}: {}", at.line(), at.col() + 1, message.as_ref()), "yaml")
    }
}

/// How many lists and mappings are nested in a value, itself included. Its depth is bounded, so this may recurse.
fn levels(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(entries) => 1 + entries.iter().map(levels).max().unwrap_or(0),
        Kind::Map(fields) => 1 + fields.iter().map(|(_, node)| levels(node)).max().unwrap_or(0),
    }
}

/// Bytes of text in a value.
fn bytes(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { text, .. } => text.len(),
        Kind::List(entries) => entries.iter().map(bytes).sum(),
        Kind::Map(fields) => fields.iter().map(|(key, node)| key.len() + bytes(node)).sum(),
    }
}
