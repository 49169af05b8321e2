//! An estate as files: what is read from disk, sent over the control socket and kept for every epoch.
//!
//! A file that counts is read or refused, never passed over: the one left out could hold a `forbid`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use model::Digest;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use yaml::{Node, Value};

use super::Vars;

const MAX_FILES: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
const MAX_DEPTH: usize = 16;

/// The files of an estate: paths with `/`, relative to its directory, and their text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bundle {
    files: BTreeMap<String, String>,
}

/// Why files are no estate.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("cannot read `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not UTF-8", .path.display())]
    NotUtf8 { path: PathBuf },
    #[error("`{}`: an estate is a directory, or a file that ends in .yaml or .yml", .path.display())]
    NotAnEstate { path: PathBuf },
    #[error("`{}` is one too many: an estate has at most {MAX_FILES} files, {MAX_BYTES} bytes and {MAX_DEPTH} levels of directories", .path.display())]
    TooLarge { path: PathBuf },
    #[error("`{}` is a link out of the estate or to a directory; put what it leads to in its place", .path.display())]
    Link { path: PathBuf },
    #[error("`{}` is neither a file nor a directory", .path.display())]
    NotAFile { path: PathBuf },
    #[error("`{}`: the path of a file is printable UTF-8, relative, and goes down only", .path.escape_debug())]
    Path { path: String },
}

impl Bundle {
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { files: files.into_iter().collect() }
    }

    /// Reads a directory (every `.yaml`, `.yml` and `.cedar` file below it, but for dot-files), or one YAML file, and the
    /// key sets, root certificates and described APIs that it names.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let io = |source| BundleError::Io { path: path.to_owned(), source };
        let kind = fs::metadata(path).map_err(io)?;
        let root = if kind.is_dir() { path } else { folder_of(path) };
        let mut reading = Reading { root: root.canonicalize().map_err(io)?, bytes: 0, files: BTreeMap::new() };
        if kind.is_dir() {
            reading.directory(path, "", 0)?;
        } else if kind.is_file() && is_yaml(path) {
            reading.file(path, path.file_name().unwrap_or_default().to_string_lossy().into_owned())?;
        } else {
            return Err(BundleError::NotAnEstate { path: path.to_owned() });
        }
        reading.named(root)?;
        Ok(Self { files: reading.files })
    }

    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths and texts of the files with one of these endings.
    pub(super) fn with_ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let ends = |path: &str| endings.iter().any(|ending| path.ends_with(ending));
        self.files.iter().filter(move |(path, _)| ends(path)).map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// SHA-256 over every path, every file and everything that is substituted in them: names the estate by content.
    ///
    /// INVARIANT: counts and lengths stand before what they count, so that no two estates share a listing.
    pub fn digest(&self, vars: &Vars) -> Digest {
        let mut listing = Vec::new();
        list(&self.files, &mut listing);
        match vars {
            Vars::Refused => {}
            Vars::Noted => listing.push(0),
            Vars::Dev(vars) => list(vars, &mut listing),
        }
        credential::digest_of(&listing)
    }
}

/// What comes over a socket or from a disk is bounded like what is read from a directory.
impl<'de> Deserialize<'de> for Bundle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let files = BTreeMap::<String, String>::deserialize(deserializer)?;
        check(&files).map_err(D::Error::custom)?;
        Ok(Self { files })
    }
}

/// An estate being read from disk.
struct Reading {
    /// Canonical: no link leads out of it.
    root: PathBuf,
    bytes: usize,
    files: BTreeMap<String, String>,
}

impl Reading {
    fn directory(&mut self, folder: &Path, below: &str, depth: usize) -> Result<(), BundleError> {
        let io = |source| BundleError::Io { path: folder.to_owned(), source };
        if depth > MAX_DEPTH {
            return Err(BundleError::TooLarge { path: folder.to_owned() });
        }
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name.starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(io)?;
            let relative = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind.is_symlink() && path.is_dir() {
                return Err(BundleError::Link { path });
            }
            if kind.is_dir() {
                self.directory(&path, &relative, depth + 1)?;
            } else if is_yaml(&path) || relative.ends_with(".cedar") {
                self.file(&path, relative)?;
            }
        }
        Ok(())
    }

    /// Key sets, roots and described APIs are found by what names them. One that is not there or lies outside is for the
    /// loader to report, at its place.
    fn named(&mut self, root: &Path) -> Result<(), BundleError> {
        let mut named = Vec::new();
        for (file, text) in self.files.iter().filter(|(file, _)| is_yaml(Path::new(file))) {
            for document in yaml::read(text).unwrap_or_default() {
                collect_named(&document, &mut |name| named.extend(beside(file, name)));
            }
        }
        for relative in named {
            let path = root.join(&relative);
            if !self.files.contains_key(&relative) && path.is_file() {
                self.file(&path, relative)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: String) -> Result<(), BundleError> {
        let io = |source| BundleError::Io { path: path.to_owned(), source };
        if !is_sound(&relative) {
            return Err(BundleError::Path { path: relative });
        }
        let place = path.canonicalize().map_err(io)?;
        if !place.starts_with(&self.root) {
            return Err(BundleError::Link { path: path.to_owned() });
        }
        // a pipe would be waited for
        if !fs::metadata(&place).map_err(io)?.is_file() {
            return Err(BundleError::NotAFile { path: path.to_owned() });
        }
        let room = MAX_BYTES.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        // one byte more than there is room for shows that there was more
        File::open(&place).map_err(io)?.take(room as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() > room || self.files.len() >= MAX_FILES {
            return Err(BundleError::TooLarge { path: path.to_owned() });
        }
        self.bytes += bytes.len();
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(BundleError::NotUtf8 { path: path.to_owned() });
        };
        self.files.insert(relative, text);
        Ok(())
    }
}

/// The path of `name`, relative to the file that names it; `None` if it leaves the estate.
pub(super) fn beside(file: &str, name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains('\\') {
        return None;
    }
    let folder = file.rsplit_once('/').map(|(folder, _)| folder);
    let mut parts: Vec<&str> = folder.into_iter().flat_map(|folder| folder.split('/')).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn check(files: &BTreeMap<String, String>) -> Result<(), BundleError> {
    let mut bytes: usize = 0;
    for (index, (path, text)) in files.iter().enumerate() {
        if !is_sound(path) {
            return Err(BundleError::Path { path: path.clone() });
        }
        bytes = bytes.saturating_add(text.len());
        if bytes > MAX_BYTES || index >= MAX_FILES {
            return Err(BundleError::TooLarge { path: path.into() });
        }
    }
    Ok(())
}

/// Paths are printed with every problem, so that a control character in one could forge a line.
fn is_sound(path: &str) -> bool {
    let printable = |c: char| !c.is_control() && c != '\\' && c != char::REPLACEMENT_CHARACTER;
    path.split('/').all(|part| !matches!(part, "" | "." | "..")) && path.chars().all(printable)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn list(texts: &BTreeMap<String, String>, into: &mut Vec<u8>) {
    into.extend_from_slice(&(texts.len() as u64).to_be_bytes());
    for part in texts.iter().flat_map(|(name, text)| [name, text]) {
        into.extend_from_slice(&(part.len() as u64).to_be_bytes());
        into.extend_from_slice(part.as_bytes());
    }
}

/// Mappings whose members name files of the estate, and these members.
const NAMING: &[(&str, &[&str])] = &[
    ("jwks", &["file", "ca"]),
    ("openapi", &["file"]),
    ("authorities", &["file"]),
    ("certificates", &["file"]),
    ("bootstrap", &["file"]),
    ("endpoint", &["ca"]),
];

/// Calls `found` with every file that is named so, wherever it stands.
pub(super) fn collect_named(node: &Node, found: &mut dyn FnMut(&str)) {
    match &node.value {
        Value::Scalar(..) => {}
        Value::List(nodes) => nodes.iter().for_each(|node| collect_named(node, found)),
        Value::Map(entries) => {
            for entry in entries {
                let naming = NAMING.iter().find(|(mapping, _)| *mapping == entry.key).map(|(_, members)| *members);
                match (&entry.value.value, naming) {
                    (Value::Map(inner), Some(members)) => {
                        for one in inner.iter().filter(|one| members.contains(&one.key.as_str())) {
                            if let Value::Scalar(name, _) = &one.value.value {
                                found(name);
                            }
                        }
                    }
                    (Value::Scalar(..) | Value::List(_) | Value::Map(_), _) => collect_named(&entry.value, found),
                }
            }
        }
    }
}
