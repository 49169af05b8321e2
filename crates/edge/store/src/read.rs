//! Reads a ledger: in order, by id, by trace, from its end. It may be in use meanwhile.

use std::collections::BTreeMap;
use std::path::Path;

use audit::{Body, Counted, Fault, FaultKind, Judgement, Outcome, Record, Stamp};

use crate::fault::LedgerFault;
use crate::glance;
use crate::layout::segments;
use crate::walk::{Walk, writers_in_order};

/// Most that a search gives: enough to show that it was ambiguous.
const MOST_FOUND: usize = 32;

/// A record, and the segment that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// File name, relative to the ledger's directory.
    pub segment: String,
    pub record: Record,
}

/// Every record of a ledger. After a fault it goes on with the next writer: an operator may have given up a damaged chain.
pub struct Reader(Walk);

/// A judgement and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub stamp: Stamp,
    pub judgement: Judgement,
    /// `None` for a refusal, and while the effect lasts.
    pub outcome: Option<(Stamp, Outcome)>,
}

/// What an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Judged(Box<Merged>),
    /// Counters of judgements that were not recorded one by one; those that were written together have one id. Never empty.
    Counted(Vec<(Stamp, Counted)>),
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// The id of a judgement or of a counter, or how it begins.
    Id(&'a str),
    /// Judgements of one trace.
    Trace(&'a str),
}

/// Every record in `dir`, writer after writer.
///
/// # Errors
/// [`LedgerFault`] if the directory cannot be read.
pub fn read(dir: &Path) -> Result<Reader, LedgerFault> {
    let mut all = Vec::new();
    for writer in writers_in_order(dir)? {
        all.extend(segments(dir, &writer)?);
    }
    Ok(Reader(Walk::through(dir, all)))
}

/// The judgements and counters that are wanted, at most 32, each judgement with its outcome. Parses nothing else. What
/// stands behind damage in a chain that was given up is not found.
///
/// # Errors
/// [`LedgerFault`].
pub fn find(dir: &Path, wanted: Wanted<'_>) -> Result<Vec<Found>, LedgerFault> {
    let mut search = Search::default();
    let Reader(mut walk) = read(dir)?;
    while advance(&mut walk)? {
        let json = walk.json();
        let fits = match wanted {
            Wanted::Id(prefix) => {
                glance::judged(json).or_else(|| glance::counted(json)).filter(|id| id.starts_with(prefix))
            }
            Wanted::Trace(trace) => glance::judged(json).filter(|_| glance::trace(json) == Some(trace)),
        };
        if fits.is_some_and(|id| search.found.len() < MOST_FOUND || search.knows(id)) {
            search.push(parse(&walk)?);
        } else if glance::settled(json).is_some_and(|id| search.knows(id)) {
            search.settled(parse(&walk)?);
        }
    }
    Ok(search.found)
}

/// The latest judgement for which `is_wanted` holds, with its outcome.
///
/// # Errors
/// [`LedgerFault`].
pub fn find_last(dir: &Path, is_wanted: impl Fn(&Judgement) -> bool) -> Result<Option<Found>, LedgerFault> {
    let writers = writers_in_order(dir)?;
    for writer in writers.iter().rev() {
        let segments = segments(dir, writer)?;
        for (nth, segment) in segments.iter().enumerate().rev() {
            let mut walk = Walk::through(dir, [segment.clone()]);
            let mut last = None;
            while walk.advance().or_else(|fault| given_up(&writers, writer, fault))? {
                if glance::judged(walk.json()).is_some() {
                    let record = parse(&walk)?;
                    let wanted = matches!(&record.body, Body::Judgement(judgement) if is_wanted(judgement));
                    last = Some(record).filter(|_| wanted).or(last);
                }
            }
            if let Some(record) = last {
                let mut search = Search::default();
                search.push(record);
                // its outcome stands behind it, in this segment or a later one
                let mut walk = Walk::through(dir, segments.iter().skip(nth).cloned());
                while walk.advance().or_else(|fault| given_up(&writers, writer, fault))? {
                    if glance::settled(walk.json()).is_some_and(|id| search.knows(id)) {
                        search.settled(parse(&walk)?);
                        break;
                    }
                }
                return Ok(search.found.pop());
            }
        }
    }
    Ok(None)
}

impl Iterator for Reader {
    type Item = Result<Entry, LedgerFault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.advance() {
            Ok(true) => Some(parse(&self.0).map(|record| Entry { segment: self.0.segment(), record })),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        }
    }
}

#[derive(Default)]
struct Search {
    found: Vec<Found>,
    /// Where that of an id stands in `found`.
    places: BTreeMap<String, usize>,
}

impl Search {
    fn knows(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    fn push(&mut self, Record { stamp, body }: Record) {
        match body {
            Body::Judgement(judgement) => {
                let (id, judgement) = (judgement.id.clone(), *judgement);
                self.add(id, Found::Judged(Box::new(Merged { stamp, judgement, outcome: None })));
            }
            Body::Counted(counted) => match self.place(&counted.id) {
                Some(Found::Counted(counters)) => counters.push((stamp, counted)),
                _ => self.add(counted.id.clone(), Found::Counted(vec![(stamp, counted)])),
            },
            // these have no id of their own
            Body::Outcome(_) | Body::Checkpoint { .. } | Body::Recovered(_) => {}
        }
    }

    fn add(&mut self, id: String, found: Found) {
        self.places.insert(id, self.found.len());
        self.found.push(found);
    }

    fn place(&mut self, id: &str) -> Option<&mut Found> {
        self.places.get(id).copied().and_then(|place| self.found.get_mut(place))
    }

    fn settled(&mut self, record: Record) {
        let Body::Outcome(outcome) = record.body else { return };
        if let Some(Found::Judged(merged)) = self.place(&outcome.of) {
            merged.outcome = Some((record.stamp, outcome));
        }
    }
}

/// Goes to the next frame, over damage in chains that another one follows.
fn advance(walk: &mut Walk) -> Result<bool, LedgerFault> {
    loop {
        match walk.advance() {
            Err(LedgerFault::Damaged(_)) if !walk.is_over() => {}
            advanced => return advanced,
        }
    }
}

/// Damage ends what is read of a chain that another one follows; in the current one it is an error.
fn given_up(writers: &[String], writer: &String, fault: LedgerFault) -> Result<bool, LedgerFault> {
    let followed = writers.last() != Some(writer);
    if followed && matches!(fault, LedgerFault::Damaged(_)) { Ok(false) } else { Err(fault) }
}

fn parse(walk: &Walk) -> Result<Record, LedgerFault> {
    let fault = || Fault { segment: walk.segment(), seq: walk.seq(), kind: FaultKind::Json };
    Record::from_json(walk.json()).ok().ok_or_else(|| fault().into())
}
