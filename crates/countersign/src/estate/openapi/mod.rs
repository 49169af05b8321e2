//! OpenAPI 3.0 and 3.1: the operations that a file describes become routes of a service. What each asks is said once, by the
//! file's own `x-countersign` or by an entry of the service's `mapping`. Schemas, parameters and the file's security schemes
//! decide nothing here, and nothing outside the file is read.

mod description;
mod mapping;
mod paths;
mod references;

use std::borrow::Cow;

use super::asks::Said;
use super::bundle::beside;
use super::problem::{At, Place, Problem};
use super::read::Reader;
use super::resources::Resources;
use super::routes::Declared;
use super::yaml::{self, Node};
use crate::catalog::{Asks, Route};

use self::description::{Operation, TRACE};
use self::mapping::Mapping;

pub(super) use self::description::is_description;

/// What an OpenAPI file adds to a service.
#[derive(Default)]
pub(super) struct Imported {
    pub routes: Vec<(Route, Place)>,
    /// Operations that nothing maps, where the service has them refused.
    pub unmapped: Vec<(String, Place)>,
}

/// What becomes of an operation that nothing maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unmapped {
    Error,
    Refuse,
}

/// Reads `openapi` of a service.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, declared: &Declared<'_>) -> Option<Imported> {
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
    let import = Import { file: &path, unmapped, resources: declared.resources };
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
    let read = if path.ends_with(".json") { yaml::read_json(text) } else { yaml::read(text) };
    match read {
        Ok(documents) => Some((path, Cow::Owned(documents))),
        Err((at, error)) => {
            reader.problems.push(Problem::new(&path, at, error.to_string()));
            None
        }
    }
}

/// The making of routes out of operations.
struct Import<'a> {
    file: &'a str,
    unmapped: Unmapped,
    resources: &'a Resources,
}

impl Import<'_> {
    /// `reader` reads the service's file.
    fn read(&self, reader: &mut Reader<'_>, mut mapping: Mapping, operations: &[Operation<'_>]) -> Imported {
        let mut imported = Imported::default();
        for operation in operations {
            let text = operation.text();
            let place = Place { file: self.file.to_owned(), at: operation.at };
            let entry = mapping.of(reader, operation);
            let asks = match (&operation.extension, entry) {
                (None, None) => {
                    if self.unmapped == Unmapped::Refuse {
                        imported.unmapped.push((text, place));
                    } else {
                        reader.problems.push(unmapped_problem(&text, &place));
                    }
                    continue;
                }
                (Some((_, at)), Some((entry, _))) => {
                    let other = format!("{}:{}", self.file, at.line);
                    reader.problem(
                        entry,
                        format!("`{text}` has an `x-countersign` too, at {other}; keep one of the two"),
                    );
                    continue;
                }
                (Some((said, at)), None) => self.extension(reader, *said, *at),
                (None, Some((_, asks))) => Some(asks),
            };
            let Some(asks) = asks else { continue };
            match Route::new(&text, asks) {
                Ok(route) => imported.routes.push((route, place)),
                Err(error) => {
                    let problem = Problem::new(self.file, operation.at, format!("`{text}`: {error}"));
                    let suggestion = paths::suggestion(operation);
                    reader.problems.push(Problem { suggestion, ..problem });
                }
            }
        }
        mapping.close(reader, self.file, operations);
        imported
    }

    fn extension(&self, reader: &mut Reader<'_>, said: Said<'_>, at: At) -> Option<Asks> {
        said.asks(&mut Reader { file: self.file, problems: &mut *reader.problems }, at, self.resources)
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
