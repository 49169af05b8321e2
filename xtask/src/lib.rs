//! What the compiler cannot hold of Countersign's architecture: a scan of the sources, and rules over the dependency graph.
//!
//! Nothing here reads a clock or the network, and nothing is changed: findings go out, and the caller fails.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod finding;
pub mod generated;
mod graph;
mod hash_order;
mod jose;
mod layers;
mod lex;
mod licence;
mod links;
mod paths;
mod purity;
mod roles;
mod shape;
mod source;
mod tidy;

pub use finding::Finding;
pub use graph::{BadMetadata, Dependency, Graph, Kind, Package};
pub use layers::check_layers;
pub use licence::{BadLicence, is_allowed};
pub use source::Source;
pub use tidy::{TidyFailed, check_sources, tidy};

#[cfg(test)]
mod tests;
