//! Judgements without an outcome, carried from segment to segment: a start knows every one of them, however long ago it was
//! judged, and reads no more than the last segment.
//!
//! A list is no part of the chain, and proves nothing: without it, the chain is read from its beginning.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::files::{PRIVATE, remove_if_there, write_whole};
use crate::glance;
use crate::layout::{Form, Segment};

/// Longest list that is read, in bytes.
const MAX_LIST: u64 = 4 << 20;
/// Digits of an id.
const ID: usize = 32;

/// Ids of judgements that let something through and have no outcome yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Open(BTreeSet<String>);

impl Open {
    pub(crate) fn opened(&mut self, id: &str) {
        self.0.insert(id.to_owned());
    }

    pub(crate) fn settled(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Takes note of the next record.
    pub(crate) fn note(&mut self, json: &[u8]) {
        if let Some(id) = glance::settled(json) {
            self.settled(id);
        } else if let Some(id) = glance::judged(json).filter(|_| glance::allows(json)) {
            self.opened(id);
        }
    }

    pub(crate) fn into_ids(self) -> BTreeSet<String> {
        self.0
    }

    /// Keeps what is open where `segment` begins; to be called before it does.
    pub(crate) fn keep(&self, dir: &Path, segment: &Segment) -> io::Result<()> {
        let list: String = self.0.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
        write_whole(&path(dir, segment), list.as_bytes(), PRIVATE)
    }

    /// What was open where `segment` begins; `None` if that was not kept, or cannot be read.
    pub(crate) fn kept(dir: &Path, segment: &Segment) -> Option<Self> {
        let mut list = String::new();
        File::open(path(dir, segment)).ok()?.take(MAX_LIST).read_to_string(&mut list).ok()?;
        parse(&list)
    }

    /// Removes the list of a segment that is no longer the last.
    pub(crate) fn forget(dir: &Path, segment: &Segment) {
        // one that stays is never read again
        let _ = remove_if_there(&path(dir, segment));
    }
}

fn path(dir: &Path, segment: &Segment) -> PathBuf {
    segment.as_form(Form::Raw).path(dir).with_extension("open")
}

fn parse(list: &str) -> Option<Open> {
    let is_id = |line: &str| line.len() == ID && line.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let sound = list.is_empty() || list.ends_with('\n');
    (sound && list.lines().all(is_id)).then(|| Open(list.lines().map(str::to_owned).collect()))
}
