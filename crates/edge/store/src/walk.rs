//! Goes through the frames of many segments in their order.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use audit::{Body, Record, Unframed};

use crate::fault::LedgerFault;
use crate::frames::{Frames, Stop};
use crate::layout::{Segment, segments, writers};

/// The frames of some segments, one held at a time. The end of a writer's last segment may be torn, or being written.
pub(crate) struct Walk {
    dir: PathBuf,
    segments: VecDeque<Segment>,
    now: Option<(Segment, Frames)>,
    /// Number of the next frame.
    seq: u64,
}

impl Walk {
    pub(crate) fn through(dir: &Path, segments: impl IntoIterator<Item = Segment>) -> Self {
        Self { dir: dir.to_owned(), segments: segments.into_iter().collect(), now: None, seq: 0 }
    }

    /// Goes to the next frame. `false` at the end. After an error it goes on with the next writer.
    pub(crate) fn advance(&mut self) -> Result<bool, LedgerFault> {
        loop {
            let Some((segment, frames)) = &mut self.now else {
                let Some(segment) = self.segments.pop_front() else { return Ok(false) };
                let opened = Frames::open(&self.dir, &segment);
                let frames = opened.map_err(LedgerFault::io("open", &segment.path(&self.dir)))?;
                self.seq = segment.first;
                self.now = Some((segment, frames));
                continue;
            };
            match frames.advance() {
                Ok(true) => {
                    self.seq = self.seq.saturating_add(1);
                    return Ok(true);
                }
                Ok(false) => self.now = None,
                Err(Stop::Unframed(Unframed::Short)) if segment.last => self.now = None,
                Err(stop) => {
                    let fault = stop.fault(&self.dir, segment, self.seq);
                    // nothing behind damage can be trusted, but another writer's chain stands by itself
                    let damaged = segment.writer.clone();
                    self.segments.retain(|segment| segment.writer != damaged);
                    self.now = None;
                    return Err(fault);
                }
            }
        }
    }

    /// Whether nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        self.now.is_none() && self.segments.is_empty()
    }

    /// JSON of the frame.
    pub(crate) fn json(&self) -> &[u8] {
        self.now.as_ref().map_or(&[], |(_, frames)| frames.json())
    }

    /// The segment that the frame stands in.
    pub(crate) fn segment(&self) -> String {
        self.now.as_ref().map_or_else(String::new, |(segment, _)| segment.to_string())
    }

    /// Number of the frame, by its place.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq.saturating_sub(1)
    }
}

/// The writers of a ledger, each behind the one that it follows; where nothing tells, by name.
pub(crate) fn writers_in_order(dir: &Path) -> Result<Vec<String>, LedgerFault> {
    let mut waiting = Vec::new();
    for writer in writers(dir)? {
        let follows = follows(dir, &writer)?;
        waiting.push((writer, follows));
    }
    let mut ordered: Vec<String> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |follows: &Option<String>| waiting.iter().any(|(other, _)| Some(other) == follows.as_ref());
        // writers that follow each other in a circle are damaged: any of them may come first
        let next = waiting.iter().position(|(_, follows)| !waits(follows)).unwrap_or(0);
        ordered.push(waiting.remove(next).0);
    }
    Ok(ordered)
}

/// The writer whose chain `writer` follows, if its first record says so and can be read.
pub(crate) fn follows(dir: &Path, writer: &str) -> Result<Option<String>, LedgerFault> {
    let Some(first) = segments(dir, writer)?.into_iter().next() else { return Ok(None) };
    let opened = Frames::open(dir, &first);
    let mut frames = opened.map_err(LedgerFault::io("open", &first.path(dir)))?;
    if !matches!(frames.advance(), Ok(true)) {
        return Ok(None);
    }
    Ok(Record::from_json(frames.json()).ok().and_then(|record| match record.body {
        Body::Recovered(recovered) => recovered.follows,
        Body::Judgement(_) | Body::Outcome(_) | Body::Checkpoint { .. } | Body::Counted(_) => None,
    }))
}
