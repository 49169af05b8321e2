//! What is written down: the record of every judgement, the hash chain that holds the records together, and the trait
//! through which a judgement is recorded before anything happens.
//!
//! This crate opens no file and keeps no clock. It never sees a credential, only what verification said of one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod chain;
mod checkpoint;
mod frame;
mod ledger;
mod line;
mod record;
mod signature;

pub use chain::{Chain, Fault, FaultKind, Unencodable};
pub use checkpoint::{BadCheckpoint, Checkpoint, Head};
pub use frame::{Frame, HEADER, Header, MAX_FRAME, Oversized, Unframed, decode, encode, holds_frame};
pub use ledger::{Ledger, Slot, Stranger, Unrecorded, Urgency};
pub use line::Unreadable;
pub use record::{
    Body, Context, Counted, Inputs, Judgement, Outcome, OutcomeResult, Presented, Principal, Record, Recovered, Stamp,
    Verdict,
};
pub use signature::{Signer, SigningFailed, Unsigned, verify_signature};

#[cfg(test)]
mod tests;
