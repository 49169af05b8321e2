//! The conformance kit: looks at a SPIFFE Workload API, and at a bundle endpoint, from outside, and says line by line which of the
//! standards' demands hold.
//!
//! A probe asks everything first; then each line is judged by what was seen, without asking again. The kit reads certificates
//! and tokens by itself, and not with the product's own strict parsers: a judge that shares them with the judged would share
//! their errors, and could not say which of several rules is broken.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod channel;
mod line;
mod probe;
mod read;
mod report;
mod seen;
mod selection;
mod standard;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

pub use channel::NotReached;
pub use line::{Document, Line, Stability};
pub use report::{Judgement, Report};
pub use selection::{BadSelection, Selection};
pub use standard::lines;
pub use verdict::Verdict;

/// What is looked at, and how long it may take to answer.
#[derive(Debug, Clone)]
pub struct Options {
    /// The socket of the Workload API.
    pub socket: PathBuf,
    /// The URL of a bundle endpoint of profile `https_web`; plain HTTP on loopback alone.
    pub bundle: Option<String>,
    /// For whom JWT-SVIDs are asked.
    pub audience: String,
    /// How long one answer may take.
    pub within: Duration,
    /// How long a stream may be silent until its state counts as told.
    pub settled: Duration,
    /// What is judged; all else is reported as not asked for.
    pub selection: Selection,
}

/// Probes, and judges every line.
///
/// # Errors
/// [`NotReached`] where nothing answers at the socket.
pub async fn run(options: &Options) -> Result<Report, NotReached> {
    let seen = probe::probe(options).await?;
    Ok(Report::of(options, &seen))
}

#[cfg(test)]
mod tests;
