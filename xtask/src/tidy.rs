//! The scan: every source file and every page, every rule.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::Finding;
use crate::source::{Parsed, Source};
use crate::{generated, hash_order, jose, links, purity, roles, shape};

/// Directories that hold no sources of ours.
const SKIPPED: &[&str] = &["target", "node_modules"];

/// Files that must be among what was scanned: without them the scan looked at the wrong place, and proves nothing.
const LANDMARKS: &[&str] = &["crates/model/src/lib.rs", "crates/flow/guard/src/admit.rs", "xtask/src/tidy.rs"];

/// Why the sources could not be scanned.
#[derive(Debug)]
pub enum TidyFailed {
    Read { path: PathBuf, cause: io::Error },
    NotThere { path: &'static str },
}

impl std::fmt::Display for TidyFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read { path, cause } => write!(f, "cannot read `{}`: {cause}", path.display()),
            Self::NotThere { path } => write!(f, "`{path}` is not among the sources: is this the workspace's root?"),
        }
    }
}

impl std::error::Error for TidyFailed {}

/// Scans the workspace at `root`: how many sources and pages, and what breaks a rule.
///
/// # Errors
/// Where a file cannot be read, or the sources are not where they should be.
pub fn tidy(root: &Path) -> Result<(usize, Vec<Finding>), TidyFailed> {
    let mut files = BTreeSet::new();
    collect(root, "", &mut files)?;
    let mut sources = read(root, &files, ".rs")?;
    let stale = generated::stale(root);
    sources.retain(|source| !source.path.starts_with(generated::GENERATED));
    let pages = read(root, &files, ".md")?;
    for path in LANDMARKS.iter().copied() {
        if !sources.iter().any(|source| source.path == path) {
            return Err(TidyFailed::NotThere { path });
        }
    }
    let mut findings = check_sources(&sources);
    let parsed: Vec<Parsed<'_>> = sources.iter().map(Source::parse).collect();
    findings.extend(roles::unused_allowances(&parsed));
    findings.extend(links::check(&pages, &files));
    findings.extend(stale.map_err(|cause| TidyFailed::Read { path: root.join(generated::PROTO), cause })?);
    findings.sort();
    Ok((sources.len() + pages.len(), findings))
}

/// What breaks a rule in each of `sources`, in order of file and line.
pub fn check_sources(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let parsed = source.parse();
        for rule in [shape::check, purity::check, hash_order::check, jose::check, roles::check] {
            findings.extend(rule(&parsed));
        }
    }
    findings.sort();
    findings
}

/// Every file below `directory`, by its path from the workspace's root.
fn collect(directory: &Path, inside: &str, files: &mut BTreeSet<String>) -> Result<(), TidyFailed> {
    let failed = |cause| TidyFailed::Read { path: directory.to_owned(), cause };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
            collect(&entry.path(), &path, files)?;
        } else if kind.is_file() {
            files.insert(path);
        }
    }
    Ok(())
}

fn read(root: &Path, files: &BTreeSet<String>, ending: &str) -> Result<Vec<Source>, TidyFailed> {
    let read = |path: &String| match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Source { path: path.clone(), text }),
        Err(cause) => Err(TidyFailed::Read { path: root.join(path), cause }),
    };
    files.iter().filter(|path| path.ends_with(ending)).map(read).collect()
}
