//! Finds where the chain ends, cuts off what a crash tore, and closes what it left open.

use std::fs::File;
use std::io;
use std::path::Path;

use audit::{Body, Chain, Fault, FaultKind, OutcomeResult, Record, Recovered};
use model::Time;

use crate::active::Active;
use crate::fault::LedgerFault;
use crate::files::{remove_if_there, temporary};
use crate::frames::{Frames, Stop, Tail, tail};
use crate::layout::{Form, Segment, current, lock, make_writer, segments, set_current, writers};
use crate::ledger::{Started, ended};
use crate::open::Open;

/// A ledger that can be written on.
pub(crate) struct Begun {
    pub(crate) lock: File,
    pub(crate) chain: Chain,
    pub(crate) active: Active,
    /// Segments that are not compressed yet.
    pub(crate) closed: Vec<Segment>,
    pub(crate) started: Started,
}

/// The end of a chain, as it was found.
struct Found {
    chain: Chain,
    segment: Segment,
    length: u64,
    cut_bytes: u64,
    open: Open,
}

/// Takes the ledger in `dir` and prepares it for writing.
pub(crate) fn begin(dir: &Path, at: Time) -> Result<Begun, LedgerFault> {
    let lock = lock(dir)?;
    let writer = match current(dir)? {
        Some(writer) => writer,
        None => first_writer(dir)?,
    };
    let segments = segments_to_write(dir, &writer)?;
    let found = find(dir, &writer, &segments)?;
    let segment = found.segment.clone();
    let opened = Active::resume(dir, segment.clone(), found.length);
    let mut active = opened.map_err(LedgerFault::io("open", &segment.path(dir)))?;
    // a process that was killed may have left records that only the kernel holds
    active.sync().map_err(LedgerFault::io("sync", &segment.path(dir)))?;
    let open = found.open.into_ids();
    let started = Started { writer, cut_bytes: found.cut_bytes, open: open.len() as u64 };
    let mut chain = found.chain;
    if started.note().is_some() {
        let recovered = Recovered { cut_bytes: started.cut_bytes, open: started.open, follows: None };
        let unknown = open.into_iter().map(|of| Body::Outcome(ended(of, OutcomeResult::Unknown)));
        let bodies = [Body::Recovered(recovered)].into_iter().chain(unknown);
        write_first(&mut active, &mut chain, bodies, at, dir)?;
    }
    let closed = segments.into_iter().filter(|other| other.form == Form::Raw && *other != segment).collect();
    Ok(Begun { lock, chain, active, closed, started })
}

/// Begins a new chain beside a damaged one, because an operator says so. Nothing of the old one is touched; the first
/// record of the new one names it. Gives the new writer's name.
///
/// # Errors
/// [`LedgerFault`].
pub fn begin_new_chain(dir: &Path, at: Time) -> Result<String, LedgerFault> {
    let _lock = lock(dir)?;
    let follows = match current(dir) {
        Err(LedgerFault::BadCurrent { .. }) => None,
        current => current?,
    };
    let writer = make_writer(dir)?;
    let segment = Segment::raw(&writer, 1);
    let created = Active::create(dir, segment.clone());
    let mut active = created.map_err(LedgerFault::io("make", &segment.path(dir)))?;
    let recovered = Body::Recovered(Recovered { cut_bytes: 0, open: 0, follows });
    write_first(&mut active, &mut Chain::begin(&writer), [recovered].into_iter(), at, dir)?;
    set_current(dir, &writer)?;
    Ok(writer)
}

/// A ledger that has records but has lost the name of its writer is not begun anew by itself.
fn first_writer(dir: &Path) -> Result<String, LedgerFault> {
    for writer in writers(dir)? {
        if !segments(dir, &writer)?.is_empty() {
            return Err(LedgerFault::NoCurrent { dir: dir.to_owned() });
        }
    }
    let writer = make_writer(dir)?;
    let segment = Segment::raw(&writer, 1);
    Active::create(dir, segment.clone()).map_err(LedgerFault::io("make", &segment.path(dir)))?;
    set_current(dir, &writer)?;
    Ok(writer)
}

/// The segments of the writer, of which the last is raw. Half-compressed ones are removed.
fn segments_to_write(dir: &Path, writer: &str) -> Result<Vec<Segment>, LedgerFault> {
    let known = match segments(dir, writer) {
        Err(LedgerFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        known => known?,
    };
    for segment in &known {
        let partial = temporary(&segment.as_form(Form::Compressed).path(dir));
        remove_if_there(&partial).map_err(LedgerFault::io("remove", &partial))?;
    }
    Ok(known)
}

/// Reads the last segment to its end, and the one before it for what the last one follows. Where it was not kept what they
/// leave open, all of them are read.
fn find(dir: &Path, writer: &str, segments: &[Segment]) -> Result<Found, LedgerFault> {
    let missing =
        |segment: Segment| Fault { segment: segment.to_string(), seq: segment.first, kind: FaultKind::MissingSegment };
    let Some((last, before)) = segments.split_last() else { return Err(missing(Segment::raw(writer, 1)).into()) };
    let mut open = Open::default();
    let mut chain = Chain::begin(writer);
    let kept = Open::kept(dir, last);
    let unneeded = if kept.is_some() { before.len().saturating_sub(1) } else { 0 };
    for segment in before.iter().skip(unneeded) {
        chain = look_back(dir, segment, &mut open)?;
    }
    open = kept.unwrap_or(open);
    if last.first != chain.next_seq() {
        return Err(missing(Segment { first: chain.next_seq(), ..last.clone() }).into());
    }
    if last.form == Form::Compressed {
        // the segment being written is never compressed: the one that was written after it is gone
        let ended = look_back(dir, last, &mut open)?;
        return Err(missing(Segment::raw(writer, ended.next_seq())).into());
    }
    let (length, cut_bytes) = read_last(dir, last, &mut chain, &mut open)?;
    Ok(Found { chain, segment: last.clone(), length, cut_bytes, open })
}

/// Reads a closed segment for what it leaves open, and gives how it ends. Its records are checked one by one only by
/// `verify`.
fn look_back(dir: &Path, segment: &Segment, open: &mut Open) -> Result<Chain, LedgerFault> {
    let opened = Frames::open(dir, segment);
    let mut frames = opened.map_err(LedgerFault::io("open", &segment.path(dir)))?;
    let mut seq = segment.first;
    while frames.advance().map_err(|stop| stop.fault(dir, segment, seq))? {
        seq = seq.saturating_add(1);
        open.note(frames.json());
    }
    let fault = |kind| Fault { segment: segment.to_string(), seq: seq.saturating_sub(1), kind };
    if seq == segment.first {
        return Err(Fault { seq, ..fault(FaultKind::Truncated) }.into());
    }
    let record = Record::from_json(frames.json()).or(Err(fault(FaultKind::Json)))?;
    if record.stamp.writer != segment.writer {
        return Err(fault(FaultKind::Writer).into());
    }
    Ok(Chain::ending_in(&record, frames.json()))
}

/// Follows the chain through the last segment. Gives the bytes of whole frames, and those of a torn one after them.
fn read_last(dir: &Path, last: &Segment, chain: &mut Chain, open: &mut Open) -> Result<(u64, u64), LedgerFault> {
    let path = last.path(dir);
    let mut frames = Frames::open(dir, last).map_err(LedgerFault::io("open", &path))?;
    loop {
        let seq = chain.next_seq();
        let fault = |kind| Fault { segment: last.to_string(), seq, kind };
        match frames.advance() {
            Ok(true) => {
                chain.follow(frames.json()).map_err(fault)?;
                open.note(frames.json());
            }
            Ok(false) => return Ok((frames.offset(), 0)),
            Err(Stop::Unframed(unframed)) => {
                let length = frames.offset();
                let behind = tail(&path, length, unframed).map_err(LedgerFault::io("read", &path))?;
                return match behind {
                    (Tail::Short | Tail::WrongCrc, cut_bytes) => Ok((length, cut_bytes)),
                    (Tail::Damaged(kind), _) => Err(fault(kind).into()),
                };
            }
            Err(stop) => return Err(stop.fault(dir, last, seq)),
        }
    }
}

/// Writes the records with which a start begins, and waits for the disk.
fn write_first(
    active: &mut Active,
    chain: &mut Chain,
    bodies: impl Iterator<Item = Body>,
    at: Time,
    dir: &Path,
) -> Result<(), LedgerFault> {
    let mut frames = Vec::new();
    for body in bodies {
        chain.append(&body, at, &mut frames)?;
    }
    let written = active.append(&frames).and_then(|()| active.sync());
    written.map_err(LedgerFault::io("write", &active.segment().path(dir)))
}
