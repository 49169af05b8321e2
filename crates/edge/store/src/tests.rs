//! Ledgers in directories of their own: what every test of this crate needs.

mod budget;
mod cursor;
mod find;
mod mailbox;
mod signer;
mod start;
mod support;
mod syncer;
mod tally;
mod tamper;
mod verify;
mod write;
