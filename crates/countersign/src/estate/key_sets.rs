//! Where a trust source's keys come from: the estate itself, or another server.

use std::sync::Arc;
use std::time::Duration;

use credential::{KeySet, SourceKeys};
use model::SourceName;
use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use serde_json::{Map, Value as Json};
use yaml::{Fields, Node, Quoting, Reader, Value};

use super::bundle::{Bundle, beside};
use super::document::Document;

/// `maxStale` where none is written.
const DEFAULT_STALE: Duration = Duration::from_secs(3600);
/// `refresh` where none is written; half of `maxStale` if that is shorter.
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where a source's keys come from.
#[derive(Debug, Clone)]
pub enum Jwks {
    /// In the estate: in a file of it, or in the document.
    Here(Arc<KeySet>),
    /// To be fetched.
    Url(RemoteKeys),
    /// Nowhere: whoever issues the tokens is asked about each of them.
    Nowhere,
}

impl Jwks {
    /// The keys as a source has them before anything is fetched.
    pub(super) fn keys(&self) -> SourceKeys {
        match self {
            Self::Here(keys) => SourceKeys::Given(Arc::clone(keys)),
            Self::Url(_) | Self::Nowhere => SourceKeys::Fetched(None),
        }
    }
}

/// A key set on another server, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The source whose keys they are.
    pub source: SourceName,
    pub remote: Remote,
    /// How long a set that was fetched is taken to be the newest.
    pub refresh: Duration,
    /// How long it is used at most while no newer one can be had.
    pub max_stale: Duration,
}

impl RemoteKeys {
    /// Whether these are the keys of one source from one place, however they are kept.
    pub fn are_where(&self, other: &Self) -> bool {
        self.source == other.source && self.remote == other.remote
    }
}

/// What `jwks` is read against.
pub(super) struct Reading<'a> {
    pub document: &'a Document,
    pub bundle: &'a Bundle,
    pub reach: Reach,
    pub plain: Plain,
}

impl Reading<'_> {
    pub(super) fn read(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Jwks> {
        let mut fields = reader.fields(node, "jwks")?;
        let (url, file, inline) = (fields.optional("url"), fields.optional("file"), fields.optional("inline"));
        let kept = Keeping::read(reader, &mut fields, url.is_some());
        fields.close(reader);
        match (url, file, inline) {
            (Some(node), None, None) => self.remote(reader, node, kept?),
            (None, Some(node), None) => {
                let text = self.file(reader, node)?;
                key_set(reader, node, text.as_bytes())
            }
            (None, None, Some(node)) => key_set(reader, node, json(node).to_string().as_bytes()),
            _ => {
                reader.problem(node.at, "jwks: expected exactly one of `url`, `file` and `inline`");
                None
            }
        }
    }

    fn remote(&self, reader: &mut Reader<'_>, node: &Node, kept: Keeping<'_>) -> Option<Jwks> {
        let url = reader.words(node)?;
        let roots = match kept.ca {
            None => Roots::Platform,
            Some(node) => roots(self.document, self.bundle, reader, node)?.0,
        };
        let remote = match Remote::new(&url, self.reach, self.plain, roots) {
            Ok(remote) => remote,
            Err(bad) => {
                reader.problem(node.at, chain(&bad));
                return None;
            }
        };
        let source = self.document.name.parse().ok()?;
        Some(Jwks::Url(RemoteKeys { source, remote, refresh: kept.refresh, max_stale: kept.max_stale }))
    }

    fn file(&self, reader: &mut Reader<'_>, node: &Node) -> Option<&str> {
        named(self.document, self.bundle, reader, node)
    }
}

/// The root certificates in a file that a document names, and its text.
pub(super) fn roots<'b>(
    document: &Document,
    bundle: &'b Bundle,
    reader: &mut Reader<'_>,
    node: &Node,
) -> Option<(Roots, &'b str)> {
    let text = named(document, bundle, reader, node)?;
    match Roots::only(text) {
        Ok(roots) => Some((roots, text)),
        Err(bad) => {
            reader.problem(node.at, format!("not root certificates that can be used: {}", chain(&bad)));
            None
        }
    }
}

/// The text of a file that a document names.
pub(super) fn named<'b>(
    document: &Document,
    bundle: &'b Bundle,
    reader: &mut Reader<'_>,
    node: &Node,
) -> Option<&'b str> {
    let name = reader.words(node)?;
    let Some(path) = beside(&document.file, &name) else {
        reader.problem(node.at, format!("`{name}` lies outside the estate"));
        return None;
    };
    let text = bundle.file(&path);
    if text.is_none() {
        reader.problem(node.at, format!("the estate has no file `{name}` beside `{}`", document.file));
    }
    text
}

/// How a set that is fetched is kept, and whose word is taken for its server's name.
struct Keeping<'n> {
    ca: Option<&'n Node>,
    refresh: Duration,
    max_stale: Duration,
}

impl<'n> Keeping<'n> {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'n>, fetched: bool) -> Option<Self> {
        let named = ["ca", "refresh", "maxStale"].map(|name| (name, fields.optional(name)));
        for (name, node) in named {
            if let Some(node) = node.filter(|_| !fetched) {
                reader.problem(node.at, format!("`{name}` is for keys that are fetched from a `url`"));
            }
        }
        let [(_, ca), (_, refresh_node), (_, stale_node)] = named;
        let mut within = |node: Option<&Node>, words: &str, most| match node {
            None => Some(None),
            Some(node) => {
                let span = reader.duration(node)?;
                if (SECOND..=most).contains(&span) {
                    return Some(Some(span));
                }
                reader.problem(node.at, words);
                None
            }
        };
        let refresh = within(refresh_node, "`refresh` lies between 1 s and 24 h", DAY)?;
        let max_stale = within(stale_node, "`maxStale` lies between 1 s and 7 d", 7 * DAY)?.unwrap_or(DEFAULT_STALE);
        let refresh = refresh.unwrap_or(DEFAULT_REFRESH.min(max_stale / 2));
        if refresh > max_stale {
            let at = stale_node.or(refresh_node)?.at;
            reader.problem(at, "`maxStale` is shorter than `refresh`: keys would die before they are fetched again");
            return None;
        }
        Some(Self { ca, refresh, max_stale })
    }
}

fn key_set(reader: &mut Reader<'_>, node: &Node, json: &[u8]) -> Option<Jwks> {
    match KeySet::parse(json) {
        Ok(keys) => Some(Jwks::Here(Arc::new(keys))),
        Err(error) => {
            reader.problem(node.at, format!("not a key set that can be used: {error}"));
            None
        }
    }
}

/// A key set written as YAML. Members of a JWK are text: a scalar is what it says, whatever it looks like.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(text, Quoting::Plain) if text == "true" || text == "false" => Json::Bool(text == "true"),
        Value::Scalar(text, _) => Json::String(text.clone()),
        Value::List(nodes) => Json::Array(nodes.iter().map(json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Map<_, _>>())
        }
    }
}
