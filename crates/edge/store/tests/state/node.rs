//! What the tests keep: epochs that are told apart by their authors.

use model::{Digest, Epoch, Generation};
use store::{Append, KeptEpoch, Position, State, StateFault};

pub(crate) const fn at(generation: u64, epoch: u64) -> Position {
    Position { generation: Generation(generation), epoch: Epoch(epoch) }
}

/// The epoch that follows `last`, by `author`.
pub(crate) fn next(last: Option<Position>, author: &str) -> KeptEpoch {
    let position = last.map_or(at(1, 1), |last| at(last.generation.0, last.epoch.0 + 1));
    KeptEpoch { position, estate: digest(author), applied: format!(r#"{{"by":"{author}"}}"#) }
}

pub(crate) fn digest(author: &str) -> Digest {
    let mut bytes = [0; 32];
    for (byte, of) in bytes.iter_mut().zip(author.bytes()) {
        *byte = of;
    }
    Digest::new(bytes)
}

/// Looks what is last, and tries to be the next.
pub(crate) async fn try_next(state: &State, author: &str) -> Result<Option<Position>, StateFault> {
    let last = state.last_epoch().await?.map(|epoch| epoch.position);
    let epoch = next(last, author);
    match state.append_epoch(last, &epoch, author.as_bytes()).await? {
        Append::Kept { .. } => Ok(Some(epoch.position)),
        Append::Moved { .. } => Ok(None),
    }
}

/// Every epoch that is kept, oldest first.
pub(crate) async fn history(state: &State) -> Vec<KeptEpoch> {
    state.epochs_through(at(u64::MAX >> 1, u64::MAX >> 1)).await.unwrap()
}
