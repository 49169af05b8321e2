//! Where things stand in a ledger's directory: `lock`, `current`, and a directory of segments for each writer.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirEntry, File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::fault::LedgerFault;
use crate::files::{PRIVATE, make_dir, write_whole};

const CURRENT: &str = "current";
const LOCK: &str = "lock";
const RAW: &str = ".seg";
const COMPRESSED: &str = ".seg.zst";
/// Digits of a segment's name: as many as the largest number has.
const DIGITS: usize = 20;

/// How the bytes of a segment are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Raw,
    Compressed,
}

/// One segment of a writer's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) writer: String,
    /// Number of its first record.
    pub(crate) first: u64,
    pub(crate) form: Form,
    /// Whether the writer has none after it: only there may the end be torn.
    pub(crate) last: bool,
}

impl Segment {
    pub(crate) fn raw(writer: &str, first: u64) -> Self {
        Self { writer: writer.to_owned(), first, form: Form::Raw, last: true }
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// The same segment in the other form.
    pub(crate) fn as_form(&self, form: Form) -> Self {
        Self { form, ..self.clone() }
    }
}

/// The name by which faults call it, relative to the ledger's directory.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extension = match self.form {
            Form::Raw => RAW,
            Form::Compressed => COMPRESSED,
        };
        write!(f, "{}/{:0DIGITS$}{extension}", self.writer, self.first)
    }
}

/// Takes the ledger for this process; the lock ends with the file.
pub(crate) fn lock(dir: &Path) -> Result<File, LedgerFault> {
    make_dir(dir).map_err(LedgerFault::io("make", dir))?;
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).mode(PRIVATE).open(&path);
    let file = file.map_err(LedgerFault::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerFault::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(LedgerFault::io("lock", &path)(source)),
    }
}

/// The writer whose chain is continued; `None` if the ledger was never written.
pub(crate) fn current(dir: &Path) -> Result<Option<String>, LedgerFault> {
    let path = dir.join(CURRENT);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(LedgerFault::BadCurrent { path }),
        Err(error) => return Err(LedgerFault::io("read", &path)(error)),
    };
    let name = text.strip_suffix('\n').unwrap_or(&text);
    if is_writer(name) { Ok(Some(name.to_owned())) } else { Err(LedgerFault::BadCurrent { path }) }
}

pub(crate) fn set_current(dir: &Path, writer: &str) -> Result<(), LedgerFault> {
    let path = dir.join(CURRENT);
    write_whole(&path, format!("{writer}\n").as_bytes(), PRIVATE).map_err(LedgerFault::io("write", &path))
}

/// A fresh writer's name and directory: `w-` and 8 random hex digits.
pub(crate) fn make_writer(dir: &Path) -> Result<String, LedgerFault> {
    let mut random = [0; 4];
    aws_lc_rs::rand::fill(&mut random).or(Err(LedgerFault::Random))?;
    let writer = format!("w-{:08x}", u32::from_be_bytes(random));
    let path = dir.join(&writer);
    make_dir(&path).map_err(LedgerFault::io("make", &path))?;
    Ok(writer)
}

/// Every writer that has a directory, by name.
pub(crate) fn writers(dir: &Path) -> Result<Vec<String>, LedgerFault> {
    let mut writers = Vec::new();
    for entry in entries(dir)? {
        let is_dir = entry.file_type().map_err(LedgerFault::io("read", &entry.path()))?.is_dir();
        if let Some(name) = entry.file_name().to_str().filter(|name| is_dir && is_writer(name)) {
            writers.push(name.to_owned());
        }
    }
    writers.sort_unstable();
    Ok(writers)
}

/// The segments of a writer in their order. Where both forms of one are there, the raw one counts: it is removed only
/// once the other is whole.
pub(crate) fn segments(dir: &Path, writer: &str) -> Result<Vec<Segment>, LedgerFault> {
    let mut found: BTreeMap<u64, Form> = BTreeMap::new();
    for entry in entries(&dir.join(writer))? {
        if let Some((first, form)) = entry.file_name().to_str().and_then(parse) {
            found.entry(first).and_modify(|known| *known = form.min(*known)).or_insert(form);
        }
    }
    let last = found.keys().next_back().copied();
    let segment = |(first, form)| Segment { writer: writer.to_owned(), first, form, last: Some(first) == last };
    Ok(found.into_iter().map(segment).collect())
}

fn parse(name: &str) -> Option<(u64, Form)> {
    let (digits, form) = match name.strip_suffix(COMPRESSED) {
        Some(digits) => (digits, Form::Compressed),
        None => (name.strip_suffix(RAW)?, Form::Raw),
    };
    let plain = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    let first = digits.parse().ok().filter(|first| plain && *first > 0)?;
    Some((first, form))
}

fn is_writer(name: &str) -> bool {
    let digit = |digit: u8| digit.is_ascii_digit() || matches!(digit, b'a'..=b'f');
    name.strip_prefix("w-").is_some_and(|digits| digits.len() == 8 && digits.bytes().all(digit))
}

fn entries(dir: &Path) -> Result<Vec<DirEntry>, LedgerFault> {
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect);
    entries.map_err(LedgerFault::io("read", dir))
}
