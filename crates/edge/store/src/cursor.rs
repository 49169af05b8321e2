//! Follows a ledger that is being written.

use std::path::{Path, PathBuf};

use audit::{Fault, FaultKind, Record, Unframed};

use crate::fault::LedgerFault;
use crate::frames::{Frames, Stop};
use crate::layout::{Segment, segments};
use crate::walk::writers_in_order;

/// A place in a ledger, and what was read before it.
pub struct Cursor {
    dir: PathBuf,
    place: Option<Place>,
}

struct Place {
    segment: Segment,
    /// Where the next frame begins, in bytes of the raw form.
    offset: u64,
    /// Number of the next record.
    seq: u64,
    /// Open there, if the last read ended because it had read enough.
    frames: Option<Frames>,
}

/// Why reading a segment stopped.
enum Pause {
    /// All that is there was read.
    End,
    /// As much was read as was asked for.
    Enough,
    /// What stands here is not a whole frame yet.
    Unfinished,
}

impl Cursor {
    /// Before the first record.
    pub fn at_start(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), place: None }
    }

    /// Behind the last record that is there.
    ///
    /// # Errors
    /// [`LedgerFault`].
    pub fn at_end(dir: &Path) -> Result<Self, LedgerFault> {
        let mut cursor = Self::at_start(dir);
        if let Some(writer) = writers_in_order(dir)?.last()
            && let Some(segment) = segments(dir, writer)?.pop()
        {
            let mut place = Place::before(segment);
            place.read(dir, usize::MAX, drop)?;
            cursor.place = Some(place);
        }
        Ok(cursor)
    }

    /// What was recorded since the last poll, at most `limit` records. Empty if that is nothing; never waits.
    ///
    /// # Errors
    /// [`LedgerFault`].
    pub fn poll(&mut self, limit: usize) -> Result<Vec<Record>, LedgerFault> {
        let mut records = Vec::new();
        if self.place.is_none() {
            self.place = first_place(&self.dir, writers_in_order(&self.dir)?)?;
        }
        while let Some(place) = &mut self.place {
            // looked for first: what has a segment behind it grows no more
            let later = place.later(&self.dir)?;
            let room = limit.saturating_sub(records.len());
            let read = place.read(&self.dir, room, |record| records.push(record));
            let pause = match (read, &later) {
                (Ok(Pause::Unfinished), Some(_)) => Err(place.fault(FaultKind::Truncated)),
                (read, _) => read,
            };
            match (pause, later) {
                (Ok(Pause::End), Some(later)) => *place = place.follow(later)?,
                (Ok(_), _) => break,
                // an operator gave a damaged chain up: its successor is read all the same
                (Err(LedgerFault::Damaged(fault)), _) => match place.next_writer(&self.dir)? {
                    Some(segment) => *place = Place::before(segment),
                    None if records.is_empty() => return Err(fault.into()),
                    None => break,
                },
                (Err(error), _) => return Err(error),
            }
        }
        Ok(records)
    }
}

impl Place {
    fn before(segment: Segment) -> Self {
        Self { offset: 0, seq: segment.first, segment, frames: None }
    }

    /// Reads on from here.
    fn read(&mut self, dir: &Path, limit: usize, mut each: impl FnMut(Record)) -> Result<Pause, LedgerFault> {
        let opened = match self.frames.take() {
            Some(frames) => Ok(Some(frames)),
            None => Frames::open_at(dir, &self.segment, self.offset),
        };
        let Some(mut frames) = opened.map_err(|stop| stop.fault(dir, &self.segment, self.seq))? else {
            return self.read_again(dir);
        };
        for _ in 0..limit {
            match frames.advance() {
                Ok(true) => {}
                Ok(false) => return Ok(Pause::End),
                Err(Stop::Unframed(Unframed::Short)) => return Ok(Pause::Unfinished),
                Err(Stop::Unframed(_)) => return self.read_again(dir),
                Err(stop) => return Err(stop.fault(dir, &self.segment, self.seq)),
            }
            let record = Record::from_json(frames.json()).ok();
            each(record.ok_or_else(|| self.fault(FaultKind::Json))?);
            self.offset = frames.offset();
            self.seq = self.seq.saturating_add(1);
        }
        self.frames = Some(frames);
        Ok(Pause::Enough)
    }

    /// Looks for the next record from the beginning of the segment: a write that failed was taken back after it was
    /// read, and what came instead has other lengths.
    fn read_again(&mut self, dir: &Path) -> Result<Pause, LedgerFault> {
        let opened = Frames::open(dir, &self.segment);
        let mut frames = opened.map_err(LedgerFault::io("open", &self.segment.path(dir)))?;
        let mut seq = self.segment.first;
        while seq < self.seq {
            match frames.advance() {
                Ok(true) => seq = seq.saturating_add(1),
                Ok(false) | Err(Stop::Unframed(Unframed::Short)) => break,
                Err(stop) => return Err(stop.fault(dir, &self.segment, seq)),
            }
        }
        self.offset = frames.offset();
        self.seq = seq;
        Ok(Pause::Unfinished)
    }

    /// The segment behind this one, if there is one yet: the writer's next, or the first of the writer that follows.
    fn later(&self, dir: &Path) -> Result<Option<Segment>, LedgerFault> {
        let next = segments(dir, &self.segment.writer)?.into_iter().find(|other| other.first > self.segment.first);
        if next.is_some() {
            return Ok(next);
        }
        self.next_writer(dir)
    }

    /// The first segment of the writer that follows this one, if there is one.
    fn next_writer(&self, dir: &Path) -> Result<Option<Segment>, LedgerFault> {
        let writers = writers_in_order(dir)?.into_iter();
        let behind = writers.skip_while(|writer| *writer != self.segment.writer).skip(1);
        Ok(first_place(dir, behind)?.map(|place| place.segment))
    }

    /// The beginning of `later`, which must be the very next record of this writer, or another writer's.
    fn follow(&self, later: Segment) -> Result<Self, LedgerFault> {
        if later.writer == self.segment.writer && later.first != self.seq {
            return Err(self.fault(FaultKind::MissingSegment));
        }
        Ok(Self::before(later))
    }

    fn fault(&self, kind: FaultKind) -> LedgerFault {
        Fault { segment: self.segment.to_string(), seq: self.seq, kind }.into()
    }
}

/// The beginning of the first of `writers` that has a segment.
fn first_place(dir: &Path, writers: impl IntoIterator<Item = String>) -> Result<Option<Place>, LedgerFault> {
    for writer in writers {
        if let Some(segment) = segments(dir, &writer)?.into_iter().next() {
            return Ok(Some(Place::before(segment)));
        }
    }
    Ok(None)
}
