//! Settings files of processes: one document each, read like an estate; paths are relative to the file.

use std::io;
use std::path::{Path, PathBuf};

use http::uri::Authority;
use model::TrustDomain;

use crate::parse::{self, Node};
use crate::problem::{At, Problem};
use crate::read::{Fields, Reader};

/// Why a settings file is not understood.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    #[error("cannot read `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
}

/// What the settings of every process say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    pub environment: String,
    pub trust_domain: TrustDomain,
    /// Where what the process keeps is: the file's own folder unless it names another.
    pub directory: PathBuf,
}

impl Common {
    pub fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>, folder: &Path) -> Option<Self> {
        let environment = fields.required(reader, "environment").and_then(|node| reader.words(node));
        let trust_domain = fields.required(reader, "trustDomain").and_then(|node| reader.parse(node));
        let directory = fields.optional("directory").and_then(|node| reader.words(node));
        let directory = directory.map_or_else(|| folder.to_owned(), |directory| folder.join(directory));
        Some(Self { environment: environment?, trust_domain: trust_domain?, directory })
    }
}

/// `https://HOST:PORT`, and nothing behind it.
pub fn authority(reader: &mut Reader<'_>, node: &Node) -> Option<Authority> {
    let text = reader.text(node)?;
    let authority = text.strip_prefix("https://").and_then(|rest| rest.parse::<Authority>().ok());
    let authority = authority.filter(|authority| !authority.as_str().contains('@'));
    if authority.is_none() {
        reader.problem(node.at, format!("`{text}`: expected `https://HOST:PORT`"));
    }
    authority
}

/// Names of what is off unless it is named, for its standard is incubating; `known` are those that the process has.
pub fn incubating(reader: &mut Reader<'_>, node: &Node, known: &[&'static str]) -> Option<Vec<&'static str>> {
    reader.some(node, |reader, node| {
        let text = reader.text(node)?;
        let found = known.iter().find(|name| **name == text).copied();
        if found.is_none() {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            reader.problem(node.at, format!("`{text}`: expected {}", names.join(" or ")));
        }
        found
    })
}

/// Reads a settings file; `read` is given its one document and its folder.
///
/// # Errors
/// [`BadSettings`] with every problem.
pub fn settings<T>(
    path: &Path,
    read: impl FnOnce(&mut Reader<'_>, &Node, &Path) -> Option<T>,
) -> Result<T, BadSettings> {
    let io = |source| BadSettings::Io { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let path = path.canonicalize().map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let file = path.display().to_string();
    let mut problems = Vec::new();
    let settings = match parse::read(&text) {
        Ok(nodes) => match nodes.as_slice() {
            [node] => read(&mut Reader { file: &file, problems: &mut problems }, node, folder),
            _ => {
                problems.push(Problem::new(&file, At::START, "expected one document"));
                None
            }
        },
        Err((at, error)) => {
            problems.push(Problem::new(&file, at, error.to_string()));
            None
        }
    };
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(BadSettings::Problems(problems)),
    }
}
