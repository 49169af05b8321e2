//! YAML, and JSON within it, with a place for every value. Scalars keep their exact text: what is a number is for the
//! reader to say. Anchors, aliases, tags, merges and repeated keys are refused: two readers of one file must see the same
//! estate.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::problem::At;
use crate::surrogates::Joined;

/// Longest file, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most values of a file.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: At,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The text, and whether it stood without quotes.
    Scalar(String, Quoting),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    Plain,
    Quoted,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub at: At,
    pub value: Node,
}

/// Why a text is not YAML that an estate may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadYaml {
    #[error("a file has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("values are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("a file has at most {MAX_NODES} values")]
    TooMany,
    #[error("not YAML: {info}")]
    Syntax { info: String },
    #[error("anchors and aliases are not accepted: write the value out")]
    Anchor,
    #[error("tags are not accepted")]
    Tag,
    #[error("a key has to be a word")]
    Key,
    #[error("`<<` is not accepted: write the fields out")]
    Merge,
    #[error("key `{key}` stands here twice")]
    RepeatedKey { key: String },
}

impl Node {
    /// Whether nothing stands here: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, Quoting::Plain) if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What stands under a key, where this is a mapping.
    pub fn member(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Value::Scalar(..) | Value::List(_) => None,
        }
    }

    /// What stands at a path of keys; nothing where nothing is said.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.member(key)).filter(|node| !node.is_null())
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Reads every document of a file; empty ones are left out.
pub fn read(text: &str) -> Result<Vec<Node>, (At, BadYaml)> {
    parse(text, at)
}

/// Reads JSON. YAML has all of it but the pair of escapes for a character beyond U+FFFF, which is written here as YAML's
/// own escape; places are those of the file.
pub fn read_json(text: &str) -> Result<Vec<Node>, (At, BadYaml)> {
    if text.len() > MAX_BYTES {
        return Err((At::START, BadYaml::TooLong));
    }
    let joined = Joined::new(text);
    parse(&joined.text, |marker| joined.place(at(marker)))
}

fn parse(text: &str, place: impl Fn(Marker) -> At) -> Result<Vec<Node>, (At, BadYaml)> {
    if text.len() > MAX_BYTES {
        return Err((At::START, BadYaml::TooLong));
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.take(event, place(span.start))?,
            Err(error) => {
                return Err((place(*error.marker()), BadYaml::Syntax { info: error.info().to_owned() }));
            }
        }
    }
    Ok(builder.documents)
}

/// Puts nodes together from a parser's events, without recursion.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
}

enum Open {
    List(At, Vec<Node>),
    Map { at: At, entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, At)> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: At) -> Result<(), (At, BadYaml)> {
        match event {
            Event::Alias(_) => Err((at, BadYaml::Anchor)),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                Err((at, BadYaml::Anchor))
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err((at, BadYaml::Tag))
            }
            Event::Scalar(text, style, _, None) => {
                let quoting = if style == ScalarStyle::Plain { Quoting::Plain } else { Quoting::Quoted };
                self.scalar(text.into_owned(), quoting, at)
            }
            Event::SequenceStart(_, None) => self.open(Open::List(at, Vec::new()), at),
            Event::MappingStart(_, None) => {
                self.open(Open::Map { at, entries: Vec::new(), keys: HashSet::new(), key: None }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, nodes)) => self.put(Node { at, value: Value::List(nodes) }),
                Some(Open::Map { at, entries, .. }) => self.put(Node { at, value: Value::Map(entries) }),
                None => Ok(()),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn open(&mut self, open: Open, at: At) -> Result<(), (At, BadYaml)> {
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            return Err((at, BadYaml::Key));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((at, BadYaml::TooDeep));
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, text: String, quoting: Quoting, at: At) -> Result<(), (At, BadYaml)> {
        if let Some(Open::Map { keys, key: key @ None, .. }) = self.open.last_mut() {
            if text == "<<" && quoting == Quoting::Plain {
                return Err((at, BadYaml::Merge));
            }
            if !keys.insert(text.clone()) {
                return Err((at, BadYaml::RepeatedKey { key: text }));
            }
            *key = Some((text, at));
            return Ok(());
        }
        self.put(Node { at, value: Value::Scalar(text, quoting) })
    }

    fn put(&mut self, node: Node) -> Result<(), (At, BadYaml)> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err((node.at, BadYaml::TooMany));
        }
        match self.open.last_mut() {
            None if node.is_null() => {}
            None => self.documents.push(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map { entries, key, .. }) => {
                let (key, at) = key.take().ok_or((node.at, BadYaml::Key))?;
                entries.push(Entry { key, at, value: node });
            }
        }
        Ok(())
    }
}

/// The parser counts lines from 1 and columns from 0.
fn at(marker: Marker) -> At {
    At { line: marker.line().max(1), column: marker.col() + 1 }
}
