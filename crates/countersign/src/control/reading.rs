//! Reading goes on while the ledger cannot be written: such reads are counted, and recorded once it can.

use audit::{Judgement, Ledger, Outcome, Slot, Stranger, Unrecorded, Urgency};
use model::{BaseAction, Code, RecordId, Time};
use store::{FileLedger, FileSlot};

use net::record_id;

/// The control door's ledger. It accepts what [`FileLedger`] accepts, and otherwise counts reads.
pub(super) struct ReadingLedger<'a>(pub &'a FileLedger);

/// Room for an outcome; none is kept for a counted read.
pub(super) enum ReadingSlot {
    Recorded(FileSlot),
    Counted,
}

impl Ledger for ReadingLedger<'_> {
    type Slot = ReadingSlot;

    async fn record_or_count(
        &self,
        stranger: Stranger<'_>,
        id: RecordId,
        at: Time,
        judgement: impl FnOnce() -> Judgement + Send,
    ) -> Result<RecordId, Unrecorded> {
        self.0.record_or_count(stranger, id, at, judgement).await
    }

    async fn record(&self, judgement: Judgement, at: Time) -> Result<(), Unrecorded> {
        self.0.record(judgement, at).await
    }

    async fn open(&self, judgement: Judgement, at: Time, urgency: Urgency) -> Result<ReadingSlot, Unrecorded> {
        let reader = judgement.principal.as_ref().map(|principal| principal.id.clone());
        let reads = judgement.verdicts.iter().all(|v| v.action.as_deref() == Some(BaseAction::Read.as_str()));
        match self.0.open(judgement, at, urgency).await {
            Ok(slot) => Ok(ReadingSlot::Recorded(slot)),
            Err(_) if reads => {
                self.0.count(Code::LedgerUnavailable, reader.as_deref(), record_id(), at);
                Ok(ReadingSlot::Counted)
            }
            Err(unrecorded) => Err(unrecorded),
        }
    }
}

impl Slot for ReadingSlot {
    fn settle(self, outcome: Outcome, at: Time) {
        match self {
            Self::Recorded(slot) => slot.settle(outcome, at),
            Self::Counted => {}
        }
    }
}
