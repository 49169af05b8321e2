//! OpenAPI 3.0 and 3.1: the operations that a file describes become routes of a service. What each asks is said once, by the
//! file's own `x-countersign` or by an entry of the service's `mapping`. Schemas, parameters and the file's security schemes
//! decide nothing here, and nothing outside the file is read.

mod description;
mod mapping;
mod outline;
mod paths;
mod references;

use std::borrow::Cow;

use yaml::{At, Node, Place, Problem, Reader};

use super::asks::Said;
use super::bundle::beside;
use super::resources::Resources;
use super::routes::Declared;
use crate::catalog::{Asks, Pattern, Route};

use self::description::{Operation, TRACE};
use self::mapping::Mapping;

pub(super) use self::description::is_description;
pub use self::outline::{Ask, Outline, Outlined, outline};

/// What an OpenAPI file adds to a service.
#[derive(Default)]
pub(super) struct Imported {
    pub routes: Vec<(Route, Place)>,
    /// Where the service has them refused: operations that nothing maps.
    pub refused: Vec<Refused>,
}

/// An operation that nothing maps.
pub(super) struct Refused {
    pub text: String,
    pub place: Place,
    /// Its requests; none where no route can say them.
    pub pattern: Option<Pattern>,
}

/// What becomes of an operation that nothing maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unmapped {
    Error,
    Refuse,
}

/// Reads `openapi` of a service; `written` are its routes under `http`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    written: &[(Route, Place)],
    declared: &Declared<'_>,
) -> Option<Imported> {
    let mut fields = reader.fields(node, "openapi")?;
    let file = fields.required(reader, "file");
    let base = fields.optional("basePath");
    let unmapped = fields.optional("unmapped");
    let mapping = fields.optional("mapping");
    fields.close(reader);
    let base = base.map_or(Some(None), |node| paths::base(reader, node).map(Some));
    let unmapped = unmapped.map_or(Some(Unmapped::Error), |node| self::unmapped(reader, node));
    let mapping = mapping.map_or(Some(Mapping::default()), |node| Mapping::read(reader, node, declared.resources));
    let (path, documents) = described(reader, file?, declared)?;
    let (base, unmapped, mapping) = (base?, unmapped?, mapping?);
    let mut inner = Reader { file: &path, problems: &mut *reader.problems };
    let operations = description::operations(&mut inner, &documents, base.as_deref())?;
    let import = Import { file: &path, unmapped, written, resources: declared.resources };
    Some(import.read(reader, mapping, &operations))
}

fn unmapped(reader: &mut Reader<'_>, node: &Node) -> Option<Unmapped> {
    match reader.text(node)? {
        "error" => Some(Unmapped::Error),
        "refuse" => Some(Unmapped::Refuse),
        other => {
            let why =
                format!("`{other}`: expected `error`, or `refuse` to have what is not mapped refused when asked for");
            reader.problem(node.at, why);
            None
        }
    }
}

/// The described API, and the path of its file in the estate.
fn described<'d>(reader: &mut Reader<'_>, node: &Node, declared: &Declared<'d>) -> Option<(String, Cow<'d, [Node]>)> {
    let name = reader.words(node)?;
    let Some(path) = beside(reader.file, &name) else {
        reader.problem(node.at, format!("`{name}` lies outside the estate"));
        return None;
    };
    if let Some(documents) = declared.descriptions.get(&path) {
        return Some((path, Cow::Borrowed(documents)));
    }
    let Some(text) = declared.bundle.file(&path) else {
        reader.problem(node.at, format!("the estate has no file `{name}` beside `{}`", reader.file));
        return None;
    };
    match parse(&path, text) {
        Ok(documents) => Some((path, Cow::Owned(documents))),
        Err(problem) => {
            reader.problems.push(problem);
            None
        }
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    let read = if file.ends_with(".json") { yaml::read_json(text) } else { yaml::read(text) };
    read.map_err(|(at, error)| Problem::new(file, at, error.to_string()))
}

/// The making of routes out of operations.
struct Import<'a> {
    file: &'a str,
    unmapped: Unmapped,
    written: &'a [(Route, Place)],
    resources: &'a Resources,
}

impl Import<'_> {
    /// `reader` reads the service's file.
    fn read(&self, reader: &mut Reader<'_>, mut mapping: Mapping, operations: &[Operation<'_>]) -> Imported {
        let mut imported = Imported::default();
        let mut unmapped = Vec::new();
        for operation in operations {
            let asks = match (&operation.extension, mapping.of(reader, operation)) {
                (None, None) => {
                    unmapped.push(operation);
                    continue;
                }
                (Some((_, at)), Some((entry, _))) => {
                    let (text, other) = (operation.text(), format!("{}:{}", self.file, at.line));
                    let why = format!("`{text}` has an `x-countersign` too, at {other}; keep one of the two");
                    reader.problem(entry, why);
                    continue;
                }
                (Some((said, at)), None) => self.extension(reader, *said, *at),
                (None, Some((_, asks))) => Some(asks),
            };
            imported.routes.extend(asks.and_then(|asks| self.route(reader, operation, asks)));
        }
        for operation in unmapped {
            match self.refused(operation, &imported.routes) {
                Ok(refused) => imported.refused.extend(refused),
                Err(problem) => reader.problems.push(problem),
            }
        }
        mapping.close(reader, self.file, operations);
        imported
    }

    fn extension(&self, reader: &mut Reader<'_>, said: Said<'_>, at: At) -> Option<Asks> {
        said.asks(&mut Reader { file: self.file, problems: &mut *reader.problems }, at, self.resources)
    }

    fn route(&self, reader: &mut Reader<'_>, operation: &Operation<'_>, asks: Asks) -> Option<(Route, Place)> {
        let text = operation.text();
        match Route::new(&text, asks) {
            Ok(route) => Some((route, self.place(operation))),
            Err(error) => {
                let problem = Problem::new(self.file, operation.at, format!("`{text}`: {error}"));
                let suggestion = paths::by_hand(operation).map(|like| {
                    format!("leave it unmapped, with `unmapped: refuse`, and write `{}` under `http`", like.text())
                });
                reader.problems.push(Problem { suggestion, ..problem });
                None
            }
        }
    }

    /// What nothing maps is refused, if the service says so and it can be told from what the file's `routes` take; a route
    /// under `http` may map it by hand.
    fn refused(&self, operation: &Operation<'_>, routes: &[(Route, Place)]) -> Result<Option<Refused>, Problem> {
        let (text, place) = (operation.text(), self.place(operation));
        let pattern = Pattern::new(&text).ok();
        let by_hand = |pattern: &Pattern| self.written.iter().any(|(route, _)| route.pattern.is_same(pattern));
        if pattern.as_ref().is_some_and(by_hand) {
            return Ok(None);
        }
        if self.unmapped == Unmapped::Error {
            return Err(unmapped_problem(&text, &place));
        }
        let takes = |(route, _): &&(Route, Place)| pattern.is_none() && paths::takes(&route.pattern, operation);
        if let Some((other, _)) = routes.iter().find(takes) {
            let other = other.text();
            let why = format!("`{text}` is not mapped, and cannot be refused apart: `{other}` takes its requests");
            let help = format!("if that is meant, leave `{other}` unmapped too, and write it under `http`");
            return Err(Problem::new(self.file, operation.at, why).suggest(help));
        }
        if self.written.iter().any(|route| takes(&route)) {
            return Ok(None);
        }
        Ok(Some(Refused { text, place, pattern }))
    }

    fn place(&self, operation: &Operation<'_>) -> Place {
        Place { file: self.file.to_owned(), at: operation.at }
    }
}

fn unmapped_problem(text: &str, place: &Place) -> Problem {
    let problem = Problem::new(&place.file, place.at, format!("`{text}` is not mapped"));
    if text.starts_with(TRACE) {
        return problem.suggest("the gateway refuses TRACE: take the operation out, or write `unmapped: refuse`");
    }
    problem.suggest(
        "give it `x-countersign: {action: …, resource: …}` or an entry of `mapping`; `unmapped: refuse` has it refused",
    )
}
