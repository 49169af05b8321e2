//! Routes of one service: a literal beats a brace, and any other overlap does not load.

use std::collections::HashMap;

use super::Asks;
use super::path::decode;

/// Most segments of a route's path.
const MAX_SEGMENTS: usize = 64;

/// Why a route does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    #[error("`{text}`: expected a method and a path, such as `GET /invoices/{{invoice}}`")]
    Shape { text: String },
    #[error("`{method}` cannot be mapped")]
    Method { method: String },
    #[error("`{path}`: a path starts with `/`, does not end in `/`, and has at most {MAX_SEGMENTS} segments")]
    Path { path: String },
    #[error("`{segment}`: a segment is literal text of unreserved characters, or one `{{name}}`")]
    Segment { segment: String },
    #[error("`{{{name}}}` stands in the path twice")]
    RepeatedName { name: String },
    #[error("`{route}` and `{other}` match one request, and neither is the more literal one")]
    Overlap { route: String, other: String },
}

/// Which requests are one operation: a method, and a path whose braces take any segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    method: String,
    segments: Vec<Segment>,
}

/// One operation, and what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub pattern: Pattern,
    pub asks: Asks,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Brace(String),
}

/// The routes of a service, as a tree over segments.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    brace: Option<Box<Node>>,
    /// By method.
    ends: HashMap<String, End>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// Index of the route.
    Route(usize),
    /// Not mapped, though a brace of some route may take it.
    Refused,
}

/// Two patterns that do not go together, by their indices: first those of the routes, then those that are refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    pub later: usize,
    pub earlier: usize,
    pub why: BadRoute,
}

/// What the routes make of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Match<'a> {
    Route {
        route: &'a Route,
        params: Vec<(String, String)>,
    },
    /// A route fits only in one of two readings: an encoded literal, or `;` parameters.
    Ambiguous,
    None,
}

impl Pattern {
    /// Reads `METHOD /path/{brace}`.
    ///
    /// # Errors
    /// [`BadRoute`], but for overlaps.
    pub fn new(text: &str) -> Result<Self, BadRoute> {
        let (method, path) = text.split_once(' ').ok_or_else(|| BadRoute::Shape { text: text.to_owned() })?;
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || matches!(method, "CONNECT" | "TRACE")
        {
            return Err(BadRoute::Method { method: method.to_owned() });
        }
        let segments = segments(path)?;
        for (index, segment) in segments.iter().enumerate() {
            if matches!(segment, Segment::Brace(name) if segments.iter().skip(index + 1).any(|s| s == &Segment::Brace(name.clone())))
            {
                return Err(BadRoute::RepeatedName { name: segment.text().to_owned() });
            }
        }
        Ok(Self { text: text.to_owned(), method: method.to_owned(), segments })
    }

    /// As it was written; the operation's name in records.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, whatever its braces are called.
    pub fn shape(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Brace(_) => "/{}".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }

    /// Whether every request of one is of the other.
    pub fn is_same(&self, other: &Self) -> bool {
        self.compared(other) == Some((false, false))
    }

    /// Whether both match some request and neither is at least as literal everywhere.
    fn clashes(&self, other: &Self) -> bool {
        self.compared(other).is_some_and(|(more, less)| more == less)
    }

    /// Whether this one is more literal somewhere, and whether it is less so; `None` if no request is of both.
    fn compared(&self, other: &Self) -> Option<(bool, bool)> {
        if self.method != other.method || self.segments.len() != other.segments.len() {
            return None;
        }
        let (mut more, mut less) = (false, false);
        for pair in self.segments.iter().zip(&other.segments) {
            match pair {
                (Segment::Literal(a), Segment::Literal(b)) if a != b => return None,
                (Segment::Literal(_), Segment::Brace(_)) => more = true,
                (Segment::Brace(_), Segment::Literal(_)) => less = true,
                (Segment::Literal(_), Segment::Literal(_)) | (Segment::Brace(_), Segment::Brace(_)) => {}
            }
        }
        Some((more, less))
    }
}

impl Route {
    /// Reads a [`Pattern`].
    ///
    /// # Errors
    /// [`BadRoute`], but for overlaps.
    pub fn new(text: &str, asks: Asks) -> Result<Self, BadRoute> {
        Ok(Self { pattern: Pattern::new(text)?, asks })
    }

    /// As it was written; the operation's name in records.
    pub fn text(&self) -> &str {
        self.pattern.text()
    }
}

impl Segment {
    fn text(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Brace(text) => text,
        }
    }
}

impl Routes {
    /// Puts routes together. What is `refused` is matched like a route, so that no brace of another one takes it.
    ///
    /// # Errors
    /// [`Clash`], because of [`BadRoute::Overlap`].
    pub fn new(routes: Vec<Route>, refused: &[Pattern]) -> Result<Self, Clash> {
        let mut root = Node::default();
        let patterns = || routes.iter().map(|route| &route.pattern);
        for (later, pattern) in patterns().chain(refused).enumerate() {
            let clash = patterns().take(later).enumerate().find(|(_, other)| pattern.clashes(other));
            if let Some((earlier, other)) = clash {
                let why = BadRoute::Overlap { route: pattern.text.clone(), other: other.text.clone() };
                return Err(Clash { later, earlier, why });
            }
            let node = pattern.segments.iter().fold(&mut root, |node, segment| match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Brace(_) => node.brace.get_or_insert_default(),
            });
            let end = if later < routes.len() { End::Route(later) } else { End::Refused };
            node.ends.insert(pattern.method.clone(), end);
        }
        Ok(Self { routes, root })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Finds the operation of a request whose path passed [`super::check_path`].
    pub fn find(&self, method: &str, path: &str) -> Match<'_> {
        let raw: Vec<&str> = match path.strip_prefix('/') {
            None => return Match::None,
            Some("") => Vec::new(),
            Some(rest) => rest.split('/').collect(),
        };
        if raw.len() > MAX_SEGMENTS {
            return Match::None;
        }
        let decoded: Option<Vec<String>> = raw.iter().map(|segment| decode(segment)).collect();
        let Some(decoded) = decoded else { return Match::None };
        match self.root.find(method, &decoded) {
            Some(End::Route(index)) => match self.routes.get(index) {
                Some(route) => taken(route, &raw, decoded),
                None => Match::None,
            },
            Some(End::Refused) => Match::None,
            None => self.unread(method, &decoded),
        }
    }

    /// A `;` can hide a literal: `/export;x` is `/export` to a reader that knows path parameters.
    fn unread(&self, method: &str, decoded: &[String]) -> Match<'_> {
        if !decoded.iter().any(|segment| segment.contains(';')) {
            return Match::None;
        }
        let cut: Vec<String> =
            decoded.iter().map(|segment| segment.split(';').next().unwrap_or_default().to_owned()).collect();
        if self.root.find(method, &cut).is_some() { Match::Ambiguous } else { Match::None }
    }
}

fn taken<'a>(route: &'a Route, raw: &[&str], decoded: Vec<String>) -> Match<'a> {
    let mut params = Vec::new();
    for ((segment, raw), value) in route.pattern.segments.iter().zip(raw).zip(decoded) {
        match segment {
            _ if value.contains(';') => return Match::Ambiguous,
            Segment::Literal(_) if raw.contains('%') => return Match::Ambiguous,
            Segment::Literal(_) => {}
            Segment::Brace(name) => params.push((name.clone(), value)),
        }
    }
    Match::Route { route, params }
}

impl Node {
    /// Visits no node of the tree twice: the brace is tried where the literal leads nowhere.
    fn find(&self, method: &str, path: &[String]) -> Option<End> {
        let Some((first, rest)) = path.split_first() else { return self.ends.get(method).copied() };
        let literal = self.literals.get(first).and_then(|node| node.find(method, rest));
        let brace = || self.brace.as_ref().filter(|_| !first.is_empty())?.find(method, rest);
        literal.or_else(brace)
    }
}

fn segments(path: &str) -> Result<Vec<Segment>, BadRoute> {
    let bad = || BadRoute::Path { path: path.to_owned() };
    let rest = path.strip_prefix('/').ok_or_else(bad)?;
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    if rest.ends_with('/') || rest.split('/').count() > MAX_SEGMENTS {
        return Err(bad());
    }
    rest.split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<Segment, BadRoute> {
    let bad = || BadRoute::Segment { segment: text.to_owned() };
    if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        return if sound && starts { Ok(Segment::Brace(name.to_owned())) } else { Err(bad()) };
    }
    let literal = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&b);
    if text.is_empty() || matches!(text, "." | "..") || !text.bytes().all(literal) {
        return Err(bad());
    }
    Ok(Segment::Literal(text.to_owned()))
}
