//! The lines in which agents wait for their turn: after a partition all of them come at once. First come, first served; no agent
//! has more in a line than its part; and whoever would wait too long hears so while it still listens, so that what is begun is
//! finished.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use guard::NoRoom;
use model::PrincipalId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::live::{Place, Room};

/// Longest wait for a turn: agents give up after 10 s, and what is begun then takes about a second.
const LONGEST: Duration = Duration::from_secs(4);

/// One line. Whoever waits in it has a weight: how many orders it brings.
pub(super) struct Line {
    room: Arc<Room>,
    turns: Arc<Semaphore>,
    /// Longest wait for a turn.
    longest: Duration,
}

/// A turn, for as long as it is held.
#[derive(Debug)]
pub(super) struct Turn {
    _place: Place,
    _turn: OwnedSemaphorePermit,
}

/// Every line: what is asked for in one does not hold up another.
pub(super) struct Lines {
    pub attestations: Line,
    pub renewals: Line,
    pub x509: Line,
    pub jwt: Line,
    pub wit: Line,
}

impl Line {
    /// Of `most` in it, `each` of them one agent's at most, `at_once` are served at a time.
    fn new(at_once: usize, most: usize, each: usize) -> Self {
        Self { room: Room::new(most, each), turns: Arc::new(Semaphore::new(at_once)), longest: LONGEST }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`NoRoom`] where the line is too long, where this agent has its part in it, or where the turn does not come in time.
    pub(super) async fn turn(&self, agent: &PrincipalId, weight: u32) -> Result<Turn, NoRoom> {
        let place = self.room.take(agent, weight as usize)?;
        let turn = timeout(self.longest, Arc::clone(&self.turns).acquire_many_owned(weight)).await;
        let turn = turn.or(Err(NoRoom))?.or(Err(NoRoom))?;
        Ok(Turn { _place: place, _turn: turn })
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            // of strangers, who are one to us
            attestations: Line::new(64, 1_024, 1_024),
            renewals: Line::new(64, 1_024, 2),
            // what two cores mint in about half a second, and in four; of one agent two requests
            x509: Line::new(2_048, 16_384, 1_000),
            jwt: Line::new(512, 4_096, 128),
            wit: Line::new(2_048, 16_384, 1_000),
        }
    }
}
