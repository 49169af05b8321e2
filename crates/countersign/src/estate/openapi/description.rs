//! An OpenAPI file: which operations it describes, and what its `x-countersign` says of each.

use std::collections::HashMap;

use yaml::{At, Entry, Fields, Node, Reader, Value, nearest};

use super::super::asks::Said;
use super::paths;
use super::references::resolved;

/// Most operations of a file, counted where they are found: a reference may lead to some of them again.
const MAX_OPERATIONS: usize = 4096;
const EXTENSION: &str = "x-countersign";
pub(super) const TRACE: &str = "TRACE ";
/// The operations of a path item, as its fields are called.
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// The other fields of a path item.
const OF_PATH_ITEM: &[&str] = &["summary", "description", "servers", "parameters", "$ref"];

/// One operation of the API.
pub(super) struct Operation<'n> {
    pub method: String,
    /// With the base path.
    pub path: String,
    /// Where its method stands.
    pub at: At,
    pub id: Option<&'n str>,
    pub tags: Vec<&'n str>,
    /// What `x-countersign` says of it, here or above, and where the nearest one stands.
    pub extension: Option<(Said<'n>, At)>,
}

impl Operation<'_> {
    /// As a route is written.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Whether the documents of a file are a described API, and none of an estate.
pub(in crate::estate) fn is_description(documents: &[Node]) -> bool {
    let has = |node: &Node, key: &str| node.member(key).is_some();
    documents.first().is_some_and(|node| (has(node, "openapi") || has(node, "swagger")) && !has(node, "apiVersion"))
}

/// Reads every operation. Without a `base`, no server may put a path before those of the file.
pub(super) fn operations<'n>(
    reader: &mut Reader<'_>,
    documents: &'n [Node],
    base: Option<&str>,
) -> Option<Vec<Operation<'n>>> {
    let [root] = documents else {
        let at = documents.get(1).map_or(At::START, |second| second.at);
        reader.problem(at, "an OpenAPI file has exactly one document");
        return None;
    };
    let mut fields = reader.fields(root, "OpenAPI")?;
    version(reader, &mut fields)?;
    let paths = fields.required(reader, "paths")?;
    let Value::Map(entries) = &paths.value else {
        reader.problem(paths.at, "paths: expected a mapping");
        return None;
    };
    let above = Level { said: None, servers: Servers::of(base) };
    let above = above.below(reader, &mut fields)?;
    let before = reader.problems.len();
    let mut found = Found { operations: Vec::new(), ids: HashMap::new() };
    for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
        found.path_item(reader, root, entry, &above, base.unwrap_or_default())?;
    }
    if found.operations.is_empty() && reader.problems.len() == before {
        reader.problem(paths.at, "the file describes no operation");
    }
    (reader.problems.len() == before).then_some(found.operations)
}

fn version(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<()> {
    if let Some(node) = fields.optional("swagger") {
        let help = "convert it to OpenAPI 3.0 or 3.1";
        reader.suggest(node.at, "OpenAPI 2.0 (Swagger) is not read", Some(help.to_owned()));
        return None;
    }
    let node = fields.required(reader, "openapi")?;
    let text = reader.text(node)?;
    let patch = text.strip_prefix("3.0.").or_else(|| text.strip_prefix("3.1."));
    if patch.is_none_or(|patch| !patch.starts_with(|c: char| c.is_ascii_digit())) {
        reader.problem(node.at, format!("`{text}`: expected a version of OpenAPI 3.0 or 3.1, such as `3.1.0`"));
        return None;
    }
    Some(())
}

/// What holds for everything below a place of the file.
#[derive(Clone, Copy)]
struct Level<'n> {
    said: Option<(Said<'n>, At)>,
    servers: Servers,
}

/// Whether `servers` matter: the service may have written where its paths begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Servers {
    Read,
    Overruled,
}

impl Servers {
    const fn of(base: Option<&str>) -> Self {
        match base {
            None => Self::Read,
            Some(_) => Self::Overruled,
        }
    }
}

impl<'n> Level<'n> {
    /// What holds below a document, path item or operation with these fields.
    fn below(self, reader: &mut Reader<'_>, fields: &mut Fields<'n>) -> Option<Self> {
        let servers = fields.optional("servers");
        if let Some(servers) = servers.filter(|_| self.servers == Servers::Read) {
            paths::check_servers(reader, servers)?;
        }
        let Some(node) = fields.optional(EXTENSION) else { return Some(self) };
        let mut fields = reader.fields(node, EXTENSION)?;
        let said = Said::of(&mut fields);
        fields.close(reader);
        let above = self.said.map_or(Said::default(), |(said, _)| said);
        Some(Self { said: Some((said.over(above), node.at)), ..self })
    }
}

/// The operations so far.
struct Found<'n> {
    operations: Vec<Operation<'n>>,
    /// Where each `operationId` stands.
    ids: HashMap<&'n str, At>,
}

impl<'n> Found<'n> {
    /// Reads a path item; `None` if nothing more is to be read.
    fn path_item(
        &mut self,
        reader: &mut Reader<'_>,
        root: &'n Node,
        path: &'n Entry,
        above: &Level<'n>,
        base: &str,
    ) -> Option<()> {
        if !path.key.starts_with('/') {
            reader.problem(path.at, format!("`{}`: a path starts with `/`", path.key));
            return Some(());
        }
        let Some(item) = resolved(reader, root, &path.value) else { return Some(()) };
        let Some(mut fields) = reader.fields(item, "path item") else { return Some(()) };
        let Some(level) = above.below(reader, &mut fields) else { return Some(()) };
        for entry in fields.entries() {
            let key = entry.key.as_str();
            if METHODS.contains(&key) {
                if self.operations.len() >= MAX_OPERATIONS {
                    reader.problem(entry.at, format!("an OpenAPI file has at most {MAX_OPERATIONS} operations"));
                    return None;
                }
                let path = format!("{base}{}", path.key);
                self.operation(reader, entry, &level, path);
            } else if !OF_PATH_ITEM.contains(&key) && !key.starts_with("x-") {
                let suggestion = nearest(&key.to_ascii_lowercase(), METHODS.iter().chain(OF_PATH_ITEM).copied());
                reader.suggest(entry.at, format!("path item: unknown field `{key}`"), suggestion);
            }
        }
        Some(())
    }

    fn operation(&mut self, reader: &mut Reader<'_>, entry: &'n Entry, above: &Level<'n>, path: String) -> Option<()> {
        let mut fields = reader.fields(&entry.value, "operation")?;
        if let Some(reference) = fields.optional("$ref") {
            reader.problem(reference.at, "an operation cannot be a `$ref`; its path item can");
            return None;
        }
        let level = above.below(reader, &mut fields)?;
        let id = fields.optional("operationId").map(|node| reader.text(node).map(|id| (id, node.at)));
        let tags = fields.optional("tags").map_or(Some(Vec::new()), |node| texts(reader, node));
        let id = match id {
            None => None,
            Some(read) => Some(read?),
        };
        if let Some((id, at)) = id
            && let Some(first) = self.ids.insert(id, at)
            && first != at
        {
            reader.problem(at, format!("operationId `{id}` stands at line {} already", first.line));
        }
        let method = entry.key.to_ascii_uppercase();
        let (id, extension) = (id.map(|(id, _)| id), level.said);
        self.operations.push(Operation { method, path, at: entry.at, id, tags: tags?, extension });
        Some(())
    }
}

fn texts<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<Vec<&'n str>> {
    reader.list(node)?.iter().map(|node| reader.text(node)).collect()
}
