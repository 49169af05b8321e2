//! What is attested of a workload: selectors, each read by an attestor from what the kernel and its neighbours say of the
//! process, and never from what the process says of itself.

use model::{Selector, Selectors};
use net::{Gone, Process};

/// Reads what a process is.
#[derive(Debug, Default)]
pub struct Attestors {}

/// Why nothing is attested of a process.
#[derive(Debug, thiserror::Error)]
pub enum NotAttested {
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Attestors {
    /// Everything that holds of `process` now.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub async fn attest(&self, process: &Process) -> Result<Selectors, NotAttested> {
        let peer = process.credentials();
        let read = [("unix:uid", peer.uid), ("unix:gid", peer.gid)];
        let selectors = read.into_iter().filter_map(|(name, value)| Selector::of(name, &value.to_string())).collect();
        process.still()?;
        Ok(selectors)
    }
}
