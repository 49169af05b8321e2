//! Through here a judgement is recorded, before anything happens.

use std::future::Future;

use model::Time;

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

/// An append-only record of judgements and their outcomes.
pub trait Ledger: Send + Sync {
    type Slot: Slot;

    /// Records a judgement that nothing follows: a refusal.
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
