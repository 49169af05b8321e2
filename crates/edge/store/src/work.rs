//! What waits to be written and who waits for it, as it goes from the mailbox to the writer, and on to the syncer.

use std::sync::Arc;

use audit::{Body, Head, Judgement, Unrecorded, Urgency};
use model::Time;
use tokio::sync::oneshot;

use crate::counts::Counts;
use crate::ledger::FileSlot;
use crate::mailbox::Mailbox;

/// A judgement that waits, and who waits for it.
pub(crate) struct Asked {
    pub(crate) judgement: Box<Judgement>,
    pub(crate) at: Time,
    pub(crate) answer: Answer,
}

/// Who hears that a judgement is recorded.
pub(crate) enum Answer {
    Recorded(oneshot::Sender<Result<(), Unrecorded>>),
    Opened(Urgency, oneshot::Sender<Result<FileSlot, Unrecorded>>),
}

/// An outcome that waits.
pub(crate) struct Settled {
    pub(crate) body: Body,
    pub(crate) at: Time,
}

/// A checkpoint that waits.
pub(crate) struct Mark {
    pub(crate) at: Time,
    pub(crate) answer: oneshot::Sender<Result<Head, Unrecorded>>,
}

/// A judgement that was chained, and who waits for it.
pub(crate) struct Judged {
    pub(crate) answer: Answer,
    pub(crate) judgement: Box<Judgement>,
}

/// A checkpoint that was chained.
pub(crate) struct Marked {
    pub(crate) mark: Mark,
    pub(crate) head: Head,
}

/// What is to be written next, in this order.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) outcomes: Vec<Settled>,
    pub(crate) counts: Counts,
    pub(crate) judgements: Vec<Asked>,
    pub(crate) checkpoints: Vec<Mark>,
    pub(crate) closing: bool,
}

/// Whether what nobody waits for is wanted now, or only together with a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backlog {
    Wanted,
    CanWait,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.counts.is_empty() && self.judgements.is_empty() && self.checkpoints.is_empty()
    }
}

impl Mark {
    pub(crate) fn refuse(self) {
        // an error means that the caller has left
        drop(self.answer.send(Err(Unrecorded::Unwritable)));
    }
}

impl Answer {
    pub(crate) const fn is_opened(&self) -> bool {
        matches!(self, Self::Opened(..))
    }

    /// Whether it is given before its record is synced.
    pub(crate) const fn is_routine(&self) -> bool {
        match self {
            Self::Recorded(_) | Self::Opened(Urgency::Routine, _) => true,
            Self::Opened(Urgency::Durable, _) => false,
        }
    }

    pub(crate) fn refuse(self, why: Unrecorded) {
        // an error means that the caller has left
        match self {
            Self::Recorded(answer) => drop(answer.send(Err(why))),
            Self::Opened(_, answer) => drop(answer.send(Err(why))),
        }
    }
}

impl Judged {
    pub(crate) fn accept(self, mailbox: &Arc<Mailbox>) {
        let Self { answer, judgement } = self;
        // if the caller has left, its slot comes back here, and being dropped says `failed`
        match answer {
            Answer::Recorded(answer) => drop(answer.send(Ok(()))),
            Answer::Opened(_, answer) => drop(answer.send(Ok(FileSlot::new(Arc::clone(mailbox), judgement.id)))),
        }
    }
}

impl Marked {
    pub(crate) fn accept(self) {
        // an error means that the caller has left
        drop(self.mark.answer.send(Ok(self.head)));
    }
}
