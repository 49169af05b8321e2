//! What a file describes, for whoever writes a first mapping of it.

use yaml::{Problem, Reader};

use super::description::{self, Operation};
use super::{parse, paths};
use crate::catalog::Pattern;

/// A described API.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline {
    /// The path of the first of its `servers` that has one that can be told; `/` else.
    pub base: String,
    pub operations: Vec<Outlined>,
}

/// One operation of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Outlined {
    pub method: String,
    /// As the file has it, without the base path.
    pub path: String,
    /// As a route is written.
    pub text: String,
    pub ask: Ask,
}

/// Where it stands what an operation asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// In the file, whose `x-countersign` names this resource.
    Said { resource: Option<String> },
    /// Nowhere yet.
    Open,
    /// Nowhere yet; its route would take requests of an operation that no route can say.
    Shared,
    /// Nowhere, and no route can say its path.
    NoRoute,
}

/// Reads what `text`, a file of that name, describes.
///
/// # Errors
/// Every [`Problem`] of it.
pub fn outline(file: &str, text: &str) -> Result<Outline, Vec<Problem>> {
    let documents = parse(file, text).map_err(|problem| vec![problem])?;
    let base = documents.first().map_or("", paths::first_base);
    let mut problems = Vec::new();
    let mut reader = Reader { file, problems: &mut problems };
    let operations = description::operations(&mut reader, &documents, Some(base));
    let operations = operations.unwrap_or_default();
    let is_unsaid = |operation: &&Operation<'_>| Pattern::new(&operation.text()).is_err();
    let unsaid: Vec<&Operation<'_>> = operations.iter().filter(is_unsaid).collect();
    let operations = operations.iter().map(|operation| outlined(operation, base, &unsaid)).collect();
    let base = if base.is_empty() { "/" } else { base }.to_owned();
    if problems.is_empty() { Ok(Outline { base, operations }) } else { Err(problems) }
}

fn outlined(operation: &Operation<'_>, base: &str, unsaid: &[&Operation<'_>]) -> Outlined {
    let text = operation.text();
    let ask = match (&operation.extension, Pattern::new(&text)) {
        (Some((said, _)), _) => Ask::Said { resource: said.resource.and_then(|node| node.text()).map(str::to_owned) },
        (None, Ok(pattern)) if unsaid.iter().any(|other| paths::takes(&pattern, other)) => Ask::Shared,
        (None, Ok(_)) => Ask::Open,
        (None, Err(_)) => Ask::NoRoute,
    };
    let path = operation.path.strip_prefix(base).unwrap_or(&operation.path).to_owned();
    Outlined { method: operation.method.clone(), path, text, ask }
}
