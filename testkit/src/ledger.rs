//! A ledger that keeps what it is told, and can be told to refuse.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audit::{
    Body, Chain, Counted, Judgement, Ledger, Outcome, OutcomeResult, Record, Slot, Stranger, Unrecorded, Urgency,
};
use model::{RecordId, Time};

/// Keeps every record in memory, chained as a file would chain them.
#[derive(Clone)]
pub struct MemoryLedger {
    pages: Arc<Mutex<Pages>>,
}

/// Room for an outcome; says `failed` if it is dropped.
pub struct MemorySlot {
    pages: Arc<Mutex<Pages>>,
    /// Id of the judgement; `None` once it is settled.
    of: Option<String>,
    at: Time,
}

struct Pages {
    chain: Chain,
    records: Vec<Record>,
    urgencies: Vec<Urgency>,
    refuse: Option<Unrecorded>,
    /// Whether strangers are counted.
    counting: bool,
}

impl MemoryLedger {
    #[expect(clippy::new_without_default, reason = "a ledger is started, not defaulted")]
    pub fn new() -> Self {
        let pages = Pages {
            chain: Chain::begin("w-memory00"),
            records: Vec::new(),
            urgencies: Vec::new(),
            refuse: None,
            counting: false,
        };
        Self { pages: Arc::new(Mutex::new(pages)) }
    }

    /// From now on nothing is recorded, for this cause; `None` ends that.
    pub fn refuse(&self, cause: Option<Unrecorded>) {
        lock(&self.pages).refuse = cause;
    }

    /// From now on every stranger is over its budget; each has a counter of its own.
    pub fn count_strangers(&self) {
        lock(&self.pages).counting = true;
    }

    /// Everything recorded so far.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.pages).records.clone()
    }

    /// How urgent each opened judgement was, in their order.
    pub fn urgencies(&self) -> Vec<Urgency> {
        lock(&self.pages).urgencies.clone()
    }

    pub fn judgements(&self) -> Vec<Judgement> {
        let judgement = |record: Record| match record.body {
            Body::Judgement(judgement) => Some(*judgement),
            Body::Outcome(_) | Body::Checkpoint { .. } | Body::Counted(_) | Body::Recovered(_) => None,
        };
        self.records().into_iter().filter_map(judgement).collect()
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |record: Record| match record.body {
            Body::Outcome(outcome) => Some(outcome),
            Body::Judgement(_) | Body::Checkpoint { .. } | Body::Counted(_) | Body::Recovered(_) => None,
        };
        self.records().into_iter().filter_map(outcome).collect()
    }
}

impl Ledger for MemoryLedger {
    type Slot = MemorySlot;

    async fn record_or_count(
        &self,
        stranger: Stranger<'_>,
        id: RecordId,
        at: Time,
        judgement: impl FnOnce() -> Judgement + Send,
    ) -> Result<RecordId, Unrecorded> {
        let mut pages = lock(&self.pages);
        let body = if pages.counting {
            let (source, code) = (stranger.source.map(ToString::to_string), stranger.code.to_string());
            Body::Counted(Counted {
                id: id.to_string(),
                source,
                code,
                first: at.to_string(),
                last: at.to_string(),
                count: 1,
            })
        } else {
            Body::Judgement(Box::new(judgement()))
        };
        pages.write(body, at).map(|()| id)
    }

    async fn record(&self, judgement: Judgement, at: Time) -> Result<(), Unrecorded> {
        lock(&self.pages).write(Body::Judgement(Box::new(judgement)), at)
    }

    async fn open(&self, judgement: Judgement, at: Time, urgency: Urgency) -> Result<MemorySlot, Unrecorded> {
        let of = judgement.id.clone();
        let mut pages = lock(&self.pages);
        pages.write(Body::Judgement(Box::new(judgement)), at)?;
        pages.urgencies.push(urgency);
        Ok(MemorySlot { pages: Arc::clone(&self.pages), of: Some(of), at })
    }
}

impl Slot for MemorySlot {
    fn settle(mut self, outcome: Outcome, at: Time) {
        self.of = None;
        lock(&self.pages).note(outcome, at);
    }
}

impl Drop for MemorySlot {
    fn drop(&mut self) {
        let Some(of) = self.of.take() else { return };
        let outcome = Outcome {
            of,
            result: OutcomeResult::Failed,
            status: None,
            code: None,
            bytes_in: None,
            bytes_out: None,
            micros: None,
        };
        lock(&self.pages).note(outcome, self.at);
    }
}

impl fmt::Debug for MemorySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySlot").field("of", &self.of).finish_non_exhaustive()
    }
}

impl Pages {
    fn write(&mut self, body: Body, at: Time) -> Result<(), Unrecorded> {
        if let Some(cause) = self.refuse {
            return Err(cause);
        }
        self.push(body, at)
    }

    /// The room was reserved: an outcome is never refused.
    fn note(&mut self, outcome: Outcome, at: Time) {
        let _ = self.push(Body::Outcome(outcome), at);
    }

    fn push(&mut self, body: Body, at: Time) -> Result<(), Unrecorded> {
        let (mut chain, mut frame) = (self.chain.clone(), Vec::new());
        chain.append(&body, at, &mut frame).or(Err(Unrecorded::Unwritable))?;
        let json = audit::decode(&frame).or(Err(Unrecorded::Unwritable))?.json;
        let record = self.chain.follow(json).or(Err(Unrecorded::Unwritable))?;
        self.records.push(record);
        Ok(())
    }
}

fn lock(pages: &Mutex<Pages>) -> MutexGuard<'_, Pages> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use audit::{Context, Inputs};

    use super::*;

    const AT: Time = Time::from_unix_seconds(1_800_000_000);

    fn judgement() -> Judgement {
        Judgement {
            id: "1".to_owned(),
            trace_id: "2".to_owned(),
            door: "gateway".to_owned(),
            protocol: None,
            operation: None,
            presented: Vec::new(),
            principal: None,
            subject: None,
            actors: Vec::new(),
            verdicts: Vec::new(),
            evidence: Vec::new(),
            generation: 1,
            epoch: 1,
            revocation_seq: 0,
            inputs: Inputs { snapshot: String::new(), keys: String::new(), context: Context::default() },
            deadline: None,
        }
    }

    #[tokio::test]
    async fn a_slot_that_is_dropped_says_failed() {
        let ledger = MemoryLedger::new();
        drop(ledger.open(judgement(), AT, Urgency::Durable).await);
        let results: Vec<_> = ledger.outcomes().into_iter().map(|outcome| (outcome.of, outcome.result)).collect();
        assert_eq!(results, [("1".to_owned(), OutcomeResult::Failed)]);
        assert_eq!(ledger.urgencies(), [Urgency::Durable]);
    }

    #[tokio::test]
    async fn a_ledger_that_refuses_records_nothing_but_outcomes() {
        let ledger = MemoryLedger::new();
        let slot = ledger.open(judgement(), AT, Urgency::Routine).await;
        ledger.refuse(Some(Unrecorded::Full));
        assert_eq!(ledger.record(judgement(), AT).await, Err(Unrecorded::Full));
        assert!(ledger.open(judgement(), AT, Urgency::Routine).await.is_err());
        drop(slot);
        assert_eq!((ledger.judgements().len(), ledger.outcomes().len()), (1, 1));
        ledger.refuse(None);
        assert_eq!(ledger.record(judgement(), AT).await, Ok(()));
    }
}
