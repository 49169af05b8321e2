//! What planes decide from.

use std::sync::Arc;

use credential::Sources;
use identity::Directory;
use model::{Digest, Epoch, Generation};
use policy::Engine;

use crate::freshness::Staleness;

/// An estate, compiled, and the key sets in force: every input of a decision beside the request itself. A clone shares them.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub generation: Generation,
    pub epoch: Epoch,
    /// Of the estate's content.
    pub digest: Digest,
    /// Of the key sets in force.
    pub keys: Digest,
    pub sources: Sources,
    pub directory: Arc<Directory>,
    pub engine: Arc<Engine>,
    pub staleness: Staleness,
}
