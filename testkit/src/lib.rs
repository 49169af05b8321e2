//! For tests alone: a ledger in memory, bytes that are almost right, and an authority that signs anything.
//!
//! No shipping crate depends on this one.

#![allow(clippy::expect_used, reason = "a test that cannot be set up stops")]

mod ca;
mod ledger;
mod mutate;

pub use ca::{TestCa, date, uri};
pub use ledger::{MemoryLedger, MemorySlot};
pub use mutate::mutate;
