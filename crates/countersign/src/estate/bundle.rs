//! An estate as files: what is read from disk, sent over the control socket and kept for every epoch.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::Digest;
use serde::{Deserialize, Serialize};

use super::Vars;
use super::yaml::{self, Node, Value};

const MAX_FILES: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
const MAX_DEPTH: usize = 16;

/// The files of an estate: paths with `/`, relative to its directory, and their text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    #[error("`{}`: an estate has at most {MAX_FILES} files, {MAX_BYTES} bytes and {MAX_DEPTH} levels of directories", .path.display())]
    TooLarge { path: PathBuf },
    #[error("`{}` names the key set `{named}`, which lies outside the estate", .file)]
    Outside { file: String, named: String },
}

impl Bundle {
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { files: files.into_iter().collect() }
    }

    /// Reads a directory (every `.yaml`, `.yml` and `.cedar` file below it, but for dot-files), or one YAML file, and the
    /// key sets that it names.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let kind = fs::metadata(path).map_err(|source| BundleError::Io { path: path.to_owned(), source })?;
        let mut bundle = Self::default();
        let root = if kind.is_dir() {
            bundle.read_directory(path, "", 0)?;
            path
        } else {
            if !is_yaml(path) {
                return Err(BundleError::NotAnEstate { path: path.to_owned() });
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            bundle.add(path, name)?;
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
        };
        bundle.read_key_sets(root)?;
        Ok(bundle)
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
    pub fn digest(&self, vars: &Vars) -> Digest {
        let mut listing = Vec::new();
        let mut add = |part: &str| {
            listing.extend_from_slice(&(part.len() as u64).to_be_bytes());
            listing.extend_from_slice(part.as_bytes());
        };
        for (path, text) in &self.files {
            add(path);
            add(text);
        }
        if let Vars::Dev(vars) = vars {
            for (name, value) in vars {
                add(name);
                add(value);
            }
        }
        credential::digest_of(&listing)
    }

    fn read_directory(&mut self, folder: &Path, below: &str, depth: usize) -> Result<(), BundleError> {
        let io = |source| BundleError::Io { path: folder.to_owned(), source };
        if depth > MAX_DEPTH {
            return Err(BundleError::TooLarge { path: folder.to_owned() });
        }
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // a link could lead out of the estate
            let kind = entry.file_type().map_err(io)?;
            if name.starts_with('.') || kind.is_symlink() {
                continue;
            }
            let relative = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind.is_dir() {
                self.read_directory(&path, &relative, depth + 1)?;
            } else if is_yaml(&path) || relative.ends_with(".cedar") {
                self.add(&path, relative)?;
            }
        }
        Ok(())
    }

    /// Key sets are found by what names them; a file that is not there is for the loader to report, at its place.
    fn read_key_sets(&mut self, root: &Path) -> Result<(), BundleError> {
        let mut named = Vec::new();
        for (file, text) in self.with_ending(&[".yaml", ".yml"]) {
            for document in yaml::read(text).unwrap_or_default() {
                collect_key_sets(&document, &mut |name| named.push((file.to_owned(), name.to_owned())));
            }
        }
        for (file, name) in named {
            let Some(relative) = beside(&file, &name) else {
                return Err(BundleError::Outside { file, named: name });
            };
            let path = root.join(&relative);
            if !self.files.contains_key(&relative) && path.is_file() {
                self.add(&path, relative)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, relative: String) -> Result<(), BundleError> {
        let io = |source| BundleError::Io { path: path.to_owned(), source };
        let size = fs::metadata(path).map_err(io)?.len();
        let total: usize = self.files.values().map(String::len).sum();
        let fits = usize::try_from(size).is_ok_and(|size| size + total <= MAX_BYTES);
        if !fits || self.files.len() >= MAX_FILES {
            return Err(BundleError::TooLarge { path: path.to_owned() });
        }
        let text = String::from_utf8(fs::read(path).map_err(io)?);
        let text = text.ok().ok_or_else(|| BundleError::NotUtf8 { path: path.to_owned() })?;
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

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Calls `found` with every `jwks: {file: …}`, wherever it stands.
fn collect_key_sets(node: &Node, found: &mut dyn FnMut(&str)) {
    match &node.value {
        Value::Scalar(..) => {}
        Value::List(nodes) => nodes.iter().for_each(|node| collect_key_sets(node, found)),
        Value::Map(entries) => {
            for entry in entries {
                match &entry.value.value {
                    Value::Map(inner) if entry.key == "jwks" => {
                        for one in inner.iter().filter(|one| one.key == "file") {
                            if let Value::Scalar(name, _) = &one.value.value {
                                found(name);
                            }
                        }
                    }
                    Value::Scalar(..) | Value::List(_) | Value::Map(_) => collect_key_sets(&entry.value, found),
                }
            }
        }
    }
}
