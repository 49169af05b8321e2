//! What this process recorded, in numbers. The writer counts what it has written, off every caller's path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use audit::{Judgement, Outcome, OutcomeResult, Unrecorded, Verdict};
use model::Code;

use crate::counts::Counts;

/// Numbers since the ledger was started.
#[derive(Default)]
pub(crate) struct Tally {
    written: Mutex<Written>,
    unrecorded: AtomicU64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Frames of every kind.
    pub records: u64,
    /// Those of them that may not be on the disk yet.
    pub unsynced: u64,
    /// Verdicts of judgements that were recorded in full, those that are alike together.
    pub decisions: Vec<Decisions>,
    /// Judgements that were counted instead.
    pub counted: BTreeMap<Code, u64>,
    pub outcomes: Vec<Outcomes>,
}

/// Verdicts that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    pub door: String,
    pub decision: String,
    pub code: Option<String>,
    pub tier: Option<String>,
    pub count: u64,
}

/// Outcomes that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    pub result: OutcomeResult,
    pub code: Option<String>,
    pub count: u64,
}

impl Tally {
    pub(crate) fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what the ledger did not take.
    pub(crate) fn heed<T>(&self, taken: Result<T, Unrecorded>) -> Result<T, Unrecorded> {
        if taken.is_err() {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }
}

impl Written {
    pub(crate) const fn records(&mut self, records: u64) {
        self.records += records;
        self.unsynced += records;
    }

    /// INVARIANT: doors, decisions, codes and tiers are of closed lists, so that few are told apart.
    pub(crate) fn judged(&mut self, judgement: &Judgement) {
        let door = &judgement.door;
        for Verdict { decision, code, tier, .. } in &judgement.verdicts {
            let alike = |known: &&mut Decisions| {
                known.door == *door && known.decision == *decision && known.code == *code && known.tier == *tier
            };
            match self.decisions.iter_mut().find(alike) {
                Some(known) => known.count += 1,
                None => self.decisions.push(Decisions {
                    door: door.clone(),
                    decision: decision.clone(),
                    code: code.clone(),
                    tier: tier.clone(),
                    count: 1,
                }),
            }
        }
    }

    pub(crate) fn settled(&mut self, outcome: &Outcome) {
        let alike = |known: &&mut Outcomes| known.result == outcome.result && known.code == outcome.code;
        match self.outcomes.iter_mut().find(alike) {
            Some(known) => known.count += 1,
            None => self.outcomes.push(Outcomes { result: outcome.result, code: outcome.code.clone(), count: 1 }),
        }
    }

    pub(crate) fn counted(&mut self, counts: &Counts) {
        for (code, count) in counts.by_code() {
            *self.counted.entry(code).or_default() += count;
        }
    }
}
