//! Gate 2: may this caller do this to this resource? Cedar, wrapped so that it fails closed.
//!
//! This crate never lets an erroring policy be skipped, builds no context from JSON, and knows no protocol but by name.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answer;
mod case;
mod cause;
mod compile;
mod crowd;
mod decide;
mod engine;
mod entity;
mod explain;
mod index;
mod lint;
mod memo;
mod names;
mod rule;
mod scan;
mod scene;
mod schema;
mod scope;
mod shipped;
mod vocabulary;
mod world;

pub use decide::{Denial, Grant, Question, decide};
pub use engine::{Engine, Facts, Finding, Written};
pub use shipped::{AGENTS, OPERATORS, OWN, PLANES, ROOTS, is_part};
pub use vocabulary::{Group, MaxCandidates, PolicyFile, PolicyProblem, Resource, Tiers, Vocabulary};

#[cfg(test)]
mod tests;
