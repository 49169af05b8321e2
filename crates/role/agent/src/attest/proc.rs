//! What the kernel says of a process, under its number: bounded reads, believed only while the process is pinned.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use net::{Gone, Process};

use super::NotAttested;
use super::cgroup::Cgroups;
use super::status::{Owner, begins_to_end};

/// Longest file that is read, in bytes: a process may be in 65,536 groups.
const MAX: u64 = 1024 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("cannot read `{file}`")]
    Io { file: String, source: io::Error },
    #[error("`{file}` has more than {MAX} bytes")]
    TooLong { file: String },
    #[error("`{file}` is not as the kernel writes it")]
    Form { file: String },
}

/// A process at one moment, as far as the kernel tells it. Two that are equal: nothing became another in between.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) owner: Owner,
    pub(super) cgroups: Cgroups,
}

impl Sighting {
    /// Looks at a process.
    ///
    /// # Errors
    /// [`NotAttested::Gone`], and [`NotAttested::Unread`] where the kernel lets this process not see the other one.
    pub(super) fn of(process: &Process) -> Result<Self, NotAttested> {
        let pid = process.pid();
        let read = look(pid);
        // before anything is made of it: it was about this process, or it is nothing
        process.still()?;
        read.map_err(|source| NotAttested::Unread { pid, source })?.ok_or(Gone.into())
    }
}

/// Nothing for a process that has begun to end: it leaves its control groups, and what it runs, before it has ended.
fn look(pid: i32) -> Result<Option<Sighting>, Unread> {
    let owner = read(pid, "status", Owner::read)?;
    let cgroups = read(pid, "cgroup", Cgroups::read)?;
    // after the others: they are of a process that had not begun to
    let ends = read(pid, "stat", begins_to_end)?;
    Ok((!ends).then_some(Sighting { owner, cgroups }))
}

fn read<T>(pid: i32, name: &str, form: impl Fn(&str) -> Option<T>) -> Result<T, Unread> {
    let file = format!("/proc/{pid}/{name}");
    form(&bounded(&file)?).ok_or(Unread::Form { file })
}

/// A text file, or nothing at all where it is too long. What is no UTF-8 in it is in names that nothing is made of.
///
/// # Errors
/// [`Unread`].
pub(super) fn bounded(file: impl AsRef<Path>) -> Result<String, Unread> {
    let named = || file.as_ref().display().to_string();
    let failed = |source| Unread::Io { file: named(), source };
    let mut bytes = Vec::new();
    File::open(file.as_ref()).map_err(failed)?.take(MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX {
        return Err(Unread::TooLong { file: named() });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
