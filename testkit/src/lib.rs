//! For tests alone: a ledger in memory, bytes that are almost right, operators' certificates, an authority that signs
//! anything, local processes that connect sockets, a PostgreSQL server, and a Workload API that has whatever fault a test asks
//! for.
//!
//! No shipping crate depends on this one.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up stops")]

mod ca;
mod caller;
mod ledger;
mod mutate;
pub mod postgres;
#[cfg(feature = "workload-api")]
pub mod workload_api;

pub use ca::{TestCa, date, key, operators_certificate, uri};
pub use caller::{Caller, Sleeper, with_number};
pub use ledger::{MemoryLedger, MemorySlot};
pub use mutate::mutate;
