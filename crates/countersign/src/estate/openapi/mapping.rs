//! A service's own words about the operations of its OpenAPI file.

use yaml::{At, Node, Reader, nearest};

use super::super::asks::Said;
use super::super::resources::Resources;
use super::description::Operation;
use crate::catalog::Asks;

/// Most entries.
const MAX_ENTRIES: usize = 4096;
/// Entries that fit nothing and are told what was probably meant: each costs a look at every operation.
const MAX_SUGGESTIONS: usize = 16;
const METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// The entries of a mapping. One that names an operation goes before one that names a tag; nothing else overrules.
#[derive(Default)]
pub(super) struct Mapping {
    entries: Vec<Entry>,
}

struct Entry {
    at: At,
    picks: Picks,
    asks: Asks,
    /// Whether some operation is meant by it.
    fits: bool,
}

/// Which operations an entry is for.
enum Picks {
    OperationId(String),
    /// A method and a path, as callers ask.
    Match(String),
    Tag {
        tag: String,
        methods: Vec<String>,
    },
}

impl Mapping {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node, resources: &Resources) -> Option<Self> {
        if reader.list(node)?.len() > MAX_ENTRIES {
            reader.problem(node.at, format!("a mapping has at most {MAX_ENTRIES} entries"));
            return None;
        }
        Some(Self { entries: reader.some(node, |reader, node| entry(reader, node, resources))? })
    }

    /// The entry for an operation: where it stands, and what is asked.
    pub(super) fn of(&mut self, reader: &mut Reader<'_>, operation: &Operation<'_>) -> Option<(At, Asks)> {
        let text = operation.text();
        let mut fitting: Vec<&mut Entry> =
            self.entries.iter_mut().filter(|entry| entry.picks.fits(operation, &text)).collect();
        fitting.iter_mut().for_each(|entry| entry.fits = true);
        let named = fitting.iter().any(|entry| entry.picks.names_one());
        let mut fitting = fitting.into_iter().filter(|entry| entry.picks.names_one() == named);
        let first = fitting.next()?;
        if let Some(second) = fitting.next() {
            let message = format!("`{text}` is mapped by the entry of line {} already", first.at.line);
            let help = (!named).then(|| "an entry that names the operation goes before those of its tags".to_owned());
            reader.suggest(second.at, message, help);
        }
        Some((first.at, first.asks.clone()))
    }

    /// Reports every entry that is for no operation of `file`.
    pub(super) fn close(self, reader: &mut Reader<'_>, file: &str, operations: &[Operation<'_>]) {
        for (index, entry) in self.entries.iter().filter(|entry| !entry.fits).enumerate() {
            let message = match &entry.picks {
                Picks::OperationId(id) => format!("no operation of `{file}` has the operationId `{id}`"),
                Picks::Match(text) => format!("`{file}` has no operation `{text}`"),
                Picks::Tag { tag, methods } => {
                    format!("no operation of `{file}` has the tag `{tag}` and one of {}", methods.join(", "))
                }
            };
            let meant = (index < MAX_SUGGESTIONS).then(|| entry.picks.meant(operations));
            reader.suggest(entry.at, message, meant.flatten());
        }
    }
}

impl Picks {
    fn fits(&self, operation: &Operation<'_>, text: &str) -> bool {
        match self {
            Self::OperationId(id) => operation.id == Some(id),
            Self::Match(one) => one == text,
            Self::Tag { tag, methods } => operation.tags.contains(&tag.as_str()) && methods.contains(&operation.method),
        }
    }

    /// What was probably meant.
    fn meant(&self, operations: &[Operation<'_>]) -> Option<String> {
        match self {
            Self::OperationId(id) => nearest(id, operations.iter().filter_map(|operation| operation.id)),
            Self::Match(text) => {
                let known: Vec<String> = operations.iter().map(Operation::text).collect();
                nearest(text, known.iter().map(String::as_str))
            }
            Self::Tag { tag, .. } => {
                let known = operations.iter().flat_map(|operation| operation.tags.iter().copied());
                nearest(tag, known.filter(|known| known != tag))
            }
        }
    }

    const fn names_one(&self) -> bool {
        match self {
            Self::OperationId(_) | Self::Match(_) => true,
            Self::Tag { .. } => false,
        }
    }
}

fn entry(reader: &mut Reader<'_>, node: &Node, resources: &Resources) -> Option<Entry> {
    let mut fields = reader.fields(node, "mapping")?;
    let (id, text) = (fields.optional("operationId"), fields.optional("match"));
    let (tag, methods) = (fields.optional("tag"), fields.optional("methods"));
    let said = Said::of(&mut fields);
    fields.close(reader);
    let asks = said.asks(reader, node.at, resources);
    let picks = match (id, text, tag, methods) {
        (Some(id), None, None, None) => Picks::OperationId(reader.words(id)?),
        (None, Some(text), None, None) => Picks::Match(reader.words(text)?),
        // a tag is on reads and writes alike
        (None, None, Some(tag), Some(methods)) => {
            Picks::Tag { tag: reader.words(tag)?, methods: reader.some(methods, method)? }
        }
        _ => {
            reader.problem(node.at, "expected one of `operationId`, `match`, and `tag` with `methods`");
            return None;
        }
    };
    Some(Entry { at: node.at, picks, asks: asks?, fits: false })
}

fn method(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if !METHODS.contains(&text) {
        reader.problem(node.at, format!("`{text}`: expected one of {}", METHODS.join(", ")));
        return None;
    }
    Some(text.to_owned())
}
