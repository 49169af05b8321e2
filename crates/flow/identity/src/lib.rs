//! Gate 1, second half: proofs become exactly one caller, by one exact look-up, or a refusal.
//!
//! This crate never guesses: no pattern is tried at run time, no credential wins over another, and what a caller merely
//! says adds nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod caller;
mod directory;
mod principal;
mod template;

pub use caller::{Access, Caller, Resolution, Unresolved, resolve, resolve_findings};
pub use directory::{Directory, Overlap};
pub use principal::{Class, Principal};
pub use template::{BadTemplate, Template};

#[cfg(test)]
mod tests;
