//! Who may read what: keys, ledger, state and the directory itself are for one user alone.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;

const TOPIC: &str = "files";
const ANYONE_ELSE: u32 = 0o077;
/// Files in these are for their owner alone, whatever their names are.
const PRIVATE: &[&str] = &["ledger", "state"];
/// Private keys, wherever they are.
const KEYS: &[&str] = &["key", "p8"];
/// How far down it is looked, and at how many files.
const DEEP: usize = 4;
const MANY: usize = 20_000;

/// What was seen on the way.
#[derive(Default)]
struct Walk {
    findings: Vec<Finding>,
    files: usize,
    keys: usize,
}

pub(super) fn look(directory: &Path) -> Vec<Finding> {
    let root = match fs::metadata(directory) {
        Ok(root) => root,
        Err(error) => return vec![unreadable(directory, &error)],
    };
    let mut walk = Walk::default();
    walk.findings.extend(others(directory, &root).map(|what| Finding::problem(TOPIC, what, mend("700", directory))));
    walk.down(directory, root.uid(), DEEP, Mode::Any);
    if walk.findings.is_empty() {
        let (directory, keys) = (directory.display(), walk.keys);
        walk.findings.push(Finding::ok(
            TOPIC,
            format!("{directory}, its ledger and state and {keys} keys are for one user alone"),
        ));
    }
    walk.findings
}

/// What is asked of a file's mode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Any,
    Private,
}

impl Walk {
    fn down(&mut self, folder: &Path, owner: u32, deep: usize, asked: Mode) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.findings.push(unreadable(folder, &error)),
        };
        // what is removed meanwhile is nothing to look at
        let found = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
        let mut found: Vec<(PathBuf, Metadata)> = found.collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (path, about) in found {
            self.files += 1;
            if self.files > MANY {
                return;
            }
            self.owned(&path, &about, owner);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if about.is_dir() {
                let asked = if PRIVATE.contains(&name) { Mode::Private } else { asked };
                if deep > 0 {
                    self.down(&path, owner, deep - 1, asked);
                }
                continue;
            }
            let is_key = path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| KEYS.contains(&kind));
            self.keys += usize::from(is_key);
            let Some(what) = others(&path, &about).filter(|_| about.is_file()) else { continue };
            if is_key {
                self.findings.push(Finding::problem(TOPIC, what, mend("600", &path)));
            } else if asked == Mode::Private {
                self.findings.push(Finding::warning(TOPIC, what, mend("600", &path)));
            }
        }
    }

    fn owned(&mut self, path: &Path, about: &Metadata, owner: u32) {
        if about.uid() != owner {
            let (path, uid) = (path.display(), about.uid());
            let what = format!("`{path}` belongs to user {uid}, and its directory to {owner}");
            self.findings.push(Finding::warning(TOPIC, what, format!("chown {owner} {path}")));
        }
    }
}

/// That others than the owner can use a file, if they can.
fn others(path: &Path, about: &Metadata) -> Option<String> {
    let mode = about.mode() & 0o777;
    let what = || format!("`{}` can be used by others than its owner (mode {mode:03o})", path.display());
    (mode & ANYONE_ELSE != 0).then(what)
}

fn mend(mode: &str, path: &Path) -> String {
    format!("chmod {mode} {}", path.display())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    let what = format!("`{}` cannot be read: {error}", path.display());
    Finding::problem(TOPIC, what, "run this as the directory's owner")
}
