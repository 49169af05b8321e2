//! Through here a judgement is recorded, before anything happens.

use std::future::Future;

use model::{Code, RecordId, SourceName, Time};

use crate::record::{Judgement, Outcome};

/// How soon a record has to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Handed to the kernel before the effect, synced within 50 ms: SIGKILL loses nothing.
    Routine,
    /// Synced before the effect.
    Durable,
}

/// The judgement was not recorded, so that nothing may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    #[error("the ledger's queue is full")]
    Full,
    #[error("the ledger cannot be written")]
    Unwritable,
}

/// A refusal of somebody who proved nothing: what its budget goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger<'a> {
    /// The trust source that the credential's issuer picked; `None` if none did.
    pub source: Option<&'a SourceName>,
    pub code: Code,
}

/// An append-only record of judgements and their outcomes.
pub trait Ledger: Send + Sync {
    type Slot: Slot;

    /// Records the refusal of a stranger under `id`, or counts it where its source is over its budget; then `judgement` is
    /// not even made. Gives the id of what stands for it: `id`, or that of the counter.
    fn record_or_count(
        &self,
        stranger: Stranger<'_>,
        id: RecordId,
        at: Time,
        judgement: impl FnOnce() -> Judgement + Send,
    ) -> impl Future<Output = Result<RecordId, Unrecorded>> + Send;

    /// Records a judgement that nothing follows: the refusal of a caller.
    fn record(&self, judgement: Judgement, at: Time) -> impl Future<Output = Result<(), Unrecorded>> + Send;

    /// Records a judgement that an effect follows, and reserves the room for its outcome.
    fn open(
        &self,
        judgement: Judgement,
        at: Time,
        urgency: Urgency,
    ) -> impl Future<Output = Result<Self::Slot, Unrecorded>> + Send;
}

/// Room for one outcome, reserved when its judgement was recorded: settling cannot fail for want of room.
pub trait Slot: Send + 'static {
    fn settle(self, outcome: Outcome, at: Time);
}
