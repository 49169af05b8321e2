//! Documents: the pages that they are written on, their envelope, and what they are by content.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Digest;
use yaml::{At, Node, Place, Problem, Reader, Value, nearest};

use super::bundle::{Bundle, beside, collect_named};
use super::openapi;
use super::vars::{Substitution, Vars};

pub(super) const API_VERSION: &str = "countersign.dev/v1";
const KINDS: &[&str] = &[
    "Environment",
    "TrustSource",
    "Principal",
    "PrincipalClass",
    "Group",
    "Action",
    "ResourceTree",
    "Service",
    "Registration",
    "Federation",
];

/// Kinds of what an estate declares, policies among them.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().copied().chain(["Policy"])
}

/// Where a document is written. What it is, is still to be read, by the environment that it is of.
pub(super) struct Page {
    pub file: String,
    pub node: Node,
}

/// A document: what it is, and its spec still to be read.
#[derive(Debug)]
pub(super) struct Document {
    pub file: String,
    pub at: At,
    pub kind: String,
    pub name: String,
    pub name_at: At,
    pub environment: Option<(String, At)>,
    pub spec: Node,
}

/// Files that describe an API, by path: named by the services that they describe, and no documents of the estate.
pub(super) type Descriptions = BTreeMap<String, Vec<Node>>;

impl Document {
    pub(super) fn place(&self) -> Place {
        Place { file: self.file.clone(), at: self.at }
    }

    /// Paths of the files that belong to this document.
    fn named_files(&self) -> Vec<String> {
        named_files(&self.kind, &self.spec, &self.file)
    }
}

impl Page {
    /// The text at a path of keys, whatever else is written here.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.node.at(path)?.text()
    }

    fn named_files(&self) -> Vec<String> {
        let kind = self.text(&["kind"]).unwrap_or_default();
        self.node.at(&["spec"]).map(|spec| named_files(kind, spec, &self.file)).unwrap_or_default()
    }
}

/// Paths of the files that belong to a document: key sets, roots and certificates of a source, a service's described API, a
/// federation's bootstrap and roots.
fn named_files(kind: &str, spec: &Node, file: &str) -> Vec<String> {
    let mut named = Vec::new();
    if matches!(kind, "TrustSource" | "Service" | "Federation") {
        collect_named(spec, &mut |name| named.extend(beside(file, name)));
    }
    named
}

/// Every page of a bundle, and every described API beside them.
///
/// # Errors
/// What is no YAML.
pub(super) fn pages(bundle: &Bundle) -> Result<(Vec<Page>, Descriptions), Vec<Problem>> {
    let (mut pages, mut descriptions, mut problems) = (Vec::new(), Descriptions::new(), Vec::new());
    for (file, text) in bundle.with_ending(&[".yaml", ".yml"]) {
        let nodes = match yaml::read(text) {
            Ok(nodes) => nodes,
            Err((at, error)) => {
                problems.push(Problem::new(file, at, error.to_string()));
                continue;
            }
        };
        if openapi::is_description(&nodes) {
            descriptions.insert(file.to_owned(), nodes);
            continue;
        }
        pages.extend(nodes.into_iter().map(|node| Page { file: file.to_owned(), node }));
    }
    if problems.is_empty() { Ok((pages, descriptions)) } else { Err(problems) }
}

/// Reads what is written on `pages`.
pub(super) fn read<'p>(
    pages: impl Iterator<Item = &'p Page>,
    vars: &Vars,
    problems: &mut Vec<Problem>,
    notes: &mut Vec<Problem>,
) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for Page { file, node } in pages {
        let mut node = node.clone();
        Substitution { file, vars, problems, notes }.apply(&mut node);
        documents.extend(envelope(&mut Reader { file, problems }, &node));
    }
    documents
}

/// What is declared twice could be read as either.
pub(super) fn check_unique(documents: &[Document], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<(&str, &str), &Document> = HashMap::new();
    for document in documents {
        if let Some(first) = seen.insert((&document.kind, &document.name), document) {
            let place = format!("{}:{}", first.file, first.name_at.line);
            let message = format!("{} `{}` is declared at {place} already", document.kind, document.name);
            problems.push(Problem::new(&document.file, document.name_at, message));
        }
    }
}

/// No file is passed over: what is no document of the estate belongs to one, of whichever environment.
pub(super) fn check_named(pages: &[Page], descriptions: &Descriptions, problems: &mut Vec<Problem>) {
    let named: HashSet<String> = pages.iter().flat_map(Page::named_files).collect();
    for file in descriptions.keys().filter(|file| !named.contains(*file)) {
        let problem = Problem::new(file, At::START, "an OpenAPI file that no Service names");
        problems.push(problem.suggest("name it: `openapi: {file: …}` in the Service that it describes"));
    }
}

fn envelope(reader: &mut Reader<'_>, node: &Node) -> Option<Document> {
    let mut fields = reader.fields(node, "document")?;
    let version = fields.required(reader, "apiVersion");
    let kind = fields.required(reader, "kind");
    let metadata = fields.required(reader, "metadata");
    let spec = fields.required(reader, "spec");
    fields.close(reader);
    if let Some(version) = version
        && let Some(text) = reader.text(version)
        && text != API_VERSION
    {
        reader.suggest(version.at, format!("unknown version `{text}`"), Some(format!("write `{API_VERSION}`")));
    }
    let kind_node = kind?;
    let kind = reader.text(kind_node)?;
    if !KINDS.contains(&kind) {
        let expected = || Some(format!("expected one of {}", KINDS.join(", ")));
        let suggestion = nearest(kind, KINDS.iter().copied()).or_else(expected);
        reader.suggest(kind_node.at, format!("unknown kind `{kind}`"), suggestion);
        return None;
    }
    let mut fields = reader.fields(metadata?, "metadata")?;
    let name = fields.required(reader, "name");
    let environment = fields.optional("environment");
    let labels = fields.optional("labels");
    fields.close(reader);
    if let Some(labels) = labels
        && let Value::Map(entries) = &labels.value
    {
        for entry in entries {
            reader.text(&entry.value);
        }
    } else if let Some(labels) = labels {
        reader.problem(labels.at, "labels: expected a mapping");
    }
    let name_at = name?.at;
    // an action's name is a word of the policies; every other name is of one alphabet
    let name = match kind {
        "Action" => reader.parse::<model::ActionName>(name?)?.to_string(),
        _ => reader.parse::<model::ServiceName>(name?)?.to_string(),
    };
    let environment = environment.and_then(|node| Some((reader.words(node)?, node.at)));
    let (file, kind) = (reader.file.to_owned(), kind.to_owned());
    Some(Document { file, at: node.at, kind, name, name_at, environment, spec: spec?.clone() })
}

/// The content of every document, by kind and name; the files that one names count to it.
pub(super) fn digests(documents: &[Document], bundle: &Bundle) -> BTreeMap<(String, String), Digest> {
    let mut digests = BTreeMap::new();
    for document in documents {
        let mut text = String::new();
        render(&document.spec, &mut text);
        for path in document.named_files() {
            text.push_str(bundle.file(&path).unwrap_or_default());
        }
        let key = (document.kind.clone(), document.name.clone());
        digests.insert(key, credential::digest_of(text.as_bytes()));
    }
    digests
}

/// One text for one content: places and quotes do not count, and neither does the order of fields.
fn render(node: &Node, into: &mut String) {
    match &node.value {
        Value::Scalar(text, _) => {
            into.push_str(&format!("{}:", text.len()));
            into.push_str(text);
        }
        Value::List(nodes) => {
            into.push_str(&format!("[{}", nodes.len()));
            nodes.iter().for_each(|node| render(node, into));
        }
        Value::Map(entries) => {
            into.push_str(&format!("{{{}", entries.len()));
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            for entry in entries {
                into.push_str(&format!("{}:{}", entry.key.len(), entry.key));
                render(&entry.value, into);
            }
        }
    }
}
