//! What people write: strict YAML with a place for every value, and readers that find every problem, not only the first.
//!
//! This crate knows no kind of document. What a mapping means is for its readers to say.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod parse;
mod problem;
mod read;
mod settings;
mod surrogates;

pub use parse::{BadYaml, Entry, Node, Quoting, Value, read, read_json};
pub use problem::{At, Place, Problem, nearest, printable};
pub use read::{Fields, Reader, read_duration};
pub use settings::{BadSettings, Common, authority, incubating, settings};

#[cfg(test)]
mod tests;
