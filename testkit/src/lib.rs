//! For tests alone: a ledger in memory, and bytes that are almost right.
//!
//! No shipping crate depends on this one.

mod ledger;
mod mutate;

pub use ledger::{MemoryLedger, MemorySlot};
pub use mutate::mutate;
