//! Verifies a ledger from its files alone, and says how much that proves.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use audit::{BadCheckpoint, Chain, Checkpoint, Fault, FaultKind, Head};
use issuer::pem::{self, BadPem};
use serde::Serialize;

use crate::fault::LedgerFault;
use crate::frames::{Frames, Stop, Tail, tail};
use crate::layout::{Form, Segment, current, segments};
use crate::signer::PUBLIC_KEY;
use crate::walk::{follows, writers_in_order};

/// Longest checkpoint or key file that is read, in bytes.
const MAX_FILE: u64 = 2 << 20;

/// What verification says.
#[derive(Debug, Serialize)]
pub struct Verification {
    pub ok: bool,
    /// How far each writer's chain holds.
    pub through: BTreeMap<String, u64>,
    pub end: End,
    pub fault: Option<Fault>,
    /// For people: why less was proved than was asked for.
    #[serde(skip)]
    pub notes: Vec<Note>,
}

/// Whether it is known that nothing was cut off behind the last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything up to a signed checkpoint is there.
    Proven,
    NotProven,
}

/// Why less was proved than was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Note {
    #[error(
        "the key lies inside the ledger that it should prove: whoever rewrote the one could have replaced the other"
    )]
    KeyInside,
    #[error("{cut_bytes} bytes of an unfinished record stand behind record {seq} of `{segment}`")]
    TornTail { segment: String, seq: u64, cut_bytes: u64 },
    #[error("the checkpoint proves nothing")]
    Checkpoint(#[from] BadCheckpoint),
    #[error("the key proves nothing")]
    Key(#[from] BadPem),
}

/// One writer's chain, as far as it holds.
struct Chained {
    seq: u64,
    last: String,
    torn: Option<Note>,
    fault: Option<Fault>,
}

/// Verifies the ledger in `dir`; with a checkpoint and the public key (PEM) that it was signed with, its end too.
///
/// # Errors
/// [`LedgerFault`] if a file cannot be read, or if there is no ledger. A fault in the ledger is an answer, not an error.
pub fn verify(dir: &Path, proof: Option<(&Path, &Path)>) -> Result<Verification, LedgerFault> {
    let mut verification =
        Verification { ok: true, through: BTreeMap::new(), end: End::NotProven, fault: None, notes: Vec::new() };
    let heads = match proof {
        Some((checkpoint, key)) => verification.heads(dir, checkpoint, key)?,
        None => Vec::new(),
    };
    let writers = writers_in_order(dir)?;
    if writers.is_empty() && heads.is_empty() {
        return Err(LedgerFault::NoLedger { dir: dir.to_owned() });
    }
    for writer in &writers {
        let chained = check_writer(dir, writer, heads.iter().find(|head| head.writer == *writer))?;
        verification.through.insert(writer.clone(), chained.seq);
        verification.notes.extend(chained.torn);
        verification.blame(chained.fault);
        let before = follows(dir, writer)?.filter(|before| !writers.contains(before));
        verification.blame(before.map(|before| lost(&before, 1, FaultKind::MissingSegment)));
    }
    let current = current(dir)?.filter(|current| !writers.contains(current));
    verification.blame(current.map(|current| lost(&current, 1, FaultKind::MissingSegment)));
    for head in heads.iter().filter(|head| !writers.contains(&head.writer)) {
        verification.blame(Some(lost(&head.writer, 1, FaultKind::Truncated)));
    }
    if !verification.ok {
        verification.end = End::NotProven;
    }
    Ok(verification)
}

impl Verification {
    /// Keeps the first fault.
    fn blame(&mut self, fault: Option<Fault>) {
        self.ok &= fault.is_none();
        self.fault = self.fault.take().or(fault);
    }

    /// What the checkpoint says, if the key signed it. Whether that is proof depends on where the key lies.
    fn heads(&mut self, dir: &Path, checkpoint: &Path, key: &Path) -> Result<Vec<Head>, LedgerFault> {
        let (json, pem) = (read_file(checkpoint)?, read_file(key)?);
        let verified = match pem::decode(PUBLIC_KEY, &String::from_utf8_lossy(&pem)) {
            Ok(der) => Checkpoint::verify(&json, &der).map_err(Note::from),
            Err(bad) => Err(bad.into()),
        };
        match verified {
            Ok(checkpoint) => {
                if is_inside(key, dir)? {
                    self.notes.push(Note::KeyInside);
                } else {
                    self.end = End::Proven;
                }
                Ok(checkpoint.heads().to_vec())
            }
            Err(note) => {
                self.notes.push(note);
                let segment = checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.blame(Some(Fault { segment, seq: 0, kind: FaultKind::Signature }));
                Ok(Vec::new())
            }
        }
    }
}

/// Follows the chain of `writer` to its end, or to the first fault.
fn check_writer(dir: &Path, writer: &str, head: Option<&Head>) -> Result<Chained, LedgerFault> {
    let mut chain = Chain::begin(writer);
    let mut chained = Chained { seq: 0, last: Segment::raw(writer, 1).to_string(), torn: None, fault: None };
    for segment in segments(dir, writer)? {
        chained.last = segment.to_string();
        if segment.first != chain.next_seq() {
            let kind = if segment.first > chain.next_seq() { FaultKind::MissingSegment } else { FaultKind::Seq };
            let missing = Segment { first: chain.next_seq(), ..segment.clone() };
            let named = if kind == FaultKind::MissingSegment { missing } else { segment };
            chained.fault = Some(Fault { segment: named.to_string(), seq: chain.next_seq(), kind });
        } else {
            check_segment(dir, &segment, &mut chain, head, &mut chained)?;
        }
        chained.seq = chain.seq();
        if chained.fault.is_some() {
            return Ok(chained);
        }
    }
    if head.is_some_and(|head| head.seq > chain.seq()) {
        let kind = FaultKind::Truncated;
        chained.fault = Some(Fault { segment: chained.last.clone(), seq: chain.next_seq(), kind });
    }
    Ok(chained)
}

fn check_segment(
    dir: &Path,
    segment: &Segment,
    chain: &mut Chain,
    head: Option<&Head>,
    chained: &mut Chained,
) -> Result<(), LedgerFault> {
    let opened = Frames::open(dir, segment);
    let mut frames = opened.map_err(LedgerFault::io("open", &segment.path(dir)))?;
    loop {
        let seq = chain.next_seq();
        let kind = match frames.advance() {
            Ok(true) => {
                let broken = chain.follow(frames.json()).err();
                let rewritten = || head.is_some_and(|head| head.seq == seq && head.head != chain.head());
                broken.or_else(|| rewritten().then_some(FaultKind::Checkpoint))
            }
            Ok(false) => {
                // an empty segment is the mark of a writer that was stopped while it began one
                let nothing = seq == segment.first && !segment.last;
                chained.blame(segment, seq, nothing.then_some(FaultKind::Truncated));
                return Ok(());
            }
            Err(stop) => {
                let stopped = chained.stop(dir, segment, seq, frames.offset(), stop);
                return stopped.map_err(LedgerFault::io("read", &segment.path(dir)));
            }
        };
        if kind.is_some() {
            chained.blame(segment, seq, kind);
            return Ok(());
        }
    }
}

impl Chained {
    /// There is no frame behind `offset`: that is a fault, unless a writer was stopped there, or is writing.
    fn stop(&mut self, dir: &Path, segment: &Segment, seq: u64, offset: u64, stop: Stop) -> io::Result<()> {
        let kind = match stop {
            Stop::Unframed(unframed) if segment.last && segment.form == Form::Raw => {
                match tail(&segment.path(dir), offset, unframed)? {
                    (Tail::Short, cut_bytes) => {
                        let segment = segment.to_string();
                        self.torn = Some(Note::TornTail { segment, seq: seq.saturating_sub(1), cut_bytes });
                        return Ok(());
                    }
                    (Tail::WrongCrc, _) => FaultKind::Crc,
                    (Tail::Damaged(kind), _) => kind,
                }
            }
            stop @ (Stop::Unframed(_) | Stop::Compression | Stop::Io(_)) => stop.kind()?,
        };
        self.blame(segment, seq, Some(kind));
        Ok(())
    }

    fn blame(&mut self, segment: &Segment, seq: u64, kind: Option<FaultKind>) {
        self.fault = kind.map(|kind| Fault { segment: segment.to_string(), seq, kind });
    }
}

/// A chain of which nothing is there.
fn lost(writer: &str, seq: u64, kind: FaultKind) -> Fault {
    Fault { segment: Segment::raw(writer, seq).to_string(), seq, kind }
}

fn is_inside(path: &Path, dir: &Path) -> Result<bool, LedgerFault> {
    let real = |path: &Path| path.canonicalize().map_err(LedgerFault::io("find", path));
    Ok(real(path)?.starts_with(real(dir)?))
}

fn read_file(path: &Path) -> Result<Vec<u8>, LedgerFault> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(LedgerFault::io("read", path))
}
