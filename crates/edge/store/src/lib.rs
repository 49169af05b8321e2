//! What is kept. The ledger as files: one thread that writes them and one that waits for the disk, what finds their end again
//! after a crash, and what reads and verifies them while they are written. State in SQL: what nodes of a control plane share.
//!
//! `api/ledger.md` and `api/state.md` describe the formats for others. This crate decides nothing about callers, and never
//! sees a credential. The keys that sign for an installation lie in files of their own.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod active;
mod budget;
mod compress;
mod counts;
mod cursor;
mod fault;
mod files;
mod frames;
mod glance;
mod layout;
mod ledger;
mod mailbox;
mod open;
mod p256;
mod read;
mod seal;
mod signer;
mod start;
mod state;
mod syncer;
mod tally;
mod token;
mod verify;
mod walk;
mod work;
mod writer;

pub use aws_lc_rs::error::KeyRejected;
pub use cursor::Cursor;
pub use fault::LedgerFault;
pub use ledger::{Figures, FileLedger, FileSlot, Options, Started};
pub use p256::P256Signer;
pub use read::{Entry, Found, Merged, Reader, Wanted, find, find_last, read};
pub use seal::{NotOpened, SealingKey};
pub use signer::{BadSigner, DiskSigner, read_private, write_private};
pub use start::begin_new_chain;
pub use state::{
    Again, Append, Attest, AuthorityAct, BadPosition, BadUrl, Change, Changed, Enrol, GONE, KeptAgent, KeptAuthorities,
    KeptAuthority, KeptBundle, KeptEpoch, KeptPlane, KeptRegistration, KeptUpstream, NewPlane, Position, RevocationAct,
    Said, State, StateFault, Step, first_change,
};
pub use tally::{Decisions, Outcomes, Written};
pub use token::{BadToken, Token, TokenSigner};
pub use verify::{End, Note, Verification, verify};

#[cfg(test)]
mod tests;
