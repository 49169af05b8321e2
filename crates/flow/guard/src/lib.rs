//! The stages in order, on one page: [`judge`] is the decision, [`admit`] the decision and its record.
//!
//! Every door of every role comes through here. This crate knows no protocol: what a door asks and what it will do when
//! let through are its own types, carried unread from [`Asked`] to [`Permit`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod admit;
mod asked;
mod freshness;
mod permit;
mod record;
mod replay;
mod snapshot;
mod stranger;

pub use admit::{Judgement, Verdict, admit, judge};
pub use asked::{Asked, Call, Errand, NoRoom, Operation};
pub use freshness::{Clock, Freshness, Staleness};
pub use permit::{Peer, Permit, Refusal, Settled, Settlement};
pub use replay::{Answer, Unreplayable, replay};
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
