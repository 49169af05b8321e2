//! Whose a process is, and whether it is about to end: what `/proc/PID/status` and `/proc/PID/stat` say of that
//! (proc_pid_status(5), proc_pid_stat(5)).

use std::collections::BTreeSet;

/// Where in a process's line its flags stand, counted after its name (field 9).
const FLAGS: usize = 6;
/// The flag of a process that has begun to end, `PF_EXITING`.
const EXITING: u32 = 4;

/// The user and groups that a process acts as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) supplementary: BTreeSet<u32>,
}

impl Owner {
    /// Reads a status. The name of a process, which it chooses itself, cannot begin a line: the kernel escapes it.
    pub(super) fn read(status: &str) -> Option<Self> {
        let line = |name: &str| {
            let mut found = status.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            // twice would be no status
            found.next().filter(|_| found.next().is_none())
        };
        let supplementary = line("Groups")?.split_ascii_whitespace().map(|group| group.parse().ok());
        Some(Self {
            uid: effective(line("Uid")?)?,
            gid: effective(line("Gid")?)?,
            supplementary: supplementary.collect::<Option<_>>()?,
        })
    }
}

/// Of real, effective, saved and file system's, the one that the kernel notes when a socket is connected.
fn effective(line: &str) -> Option<u32> {
    let ids = line.split_ascii_whitespace().map(|id| id.parse().ok()).collect::<Option<Vec<u32>>>()?;
    match ids.as_slice() {
        [_, effective, _, _] => Some(*effective),
        _ => None,
    }
}

/// Whether a process has begun to end, by its line; its name may have parentheses and spaces of its own.
pub(super) fn begins_to_end(stat: &str) -> Option<bool> {
    let (_, rest) = stat.rsplit_once(')')?;
    let flags: u32 = rest.split_ascii_whitespace().nth(FLAGS)?.parse().ok()?;
    Some(flags & EXITING != 0)
}
