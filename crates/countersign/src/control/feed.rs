//! What planes hear, as it changes: revocations ahead of all else, then what is in force, and a heartbeat each second while
//! this node knows that nothing newer is kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use net::causes::chain;
use net::{Stop, now};
use store::{DiskSigner, RevocationAct, StateFault};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::audience::Audience;
use super::perform::Settling;
use super::planes;
use super::reply::Reply;
use crate::epochs::{Epochs, EpochsFailed};
use crate::feed::{Acts, Heartbeat, Says, Statement, Unsaid, line};

/// How often planes hear that control lives.
const BEAT: Duration = Duration::from_secs(1);
/// A node that has not seen its state for so long does not know what is in force.
const BLIND: Duration = Duration::from_secs(2);
/// Lines that may wait for a slow plane.
const WAITING: usize = 8;

/// Says what is in force, in the words of [`crate::feed`].
pub struct Feed {
    environment: String,
    signer: DiskSigner,
    said: watch::Sender<Said>,
}

/// What a plane is to hear, if it has not yet.
#[derive(Clone, Default)]
struct Said {
    snapshot: Option<(Name, Bytes)>,
    acts: Arc<Vec<(u64, RevocationAct)>>,
    heartbeat: Option<Bytes>,
}

/// What tells one snapshot line from another: its place, and whose SVIDs it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    generation: u64,
    epoch: u64,
    /// Sequence of the bundle; none before there is one.
    authorities: Option<u64>,
}

/// Why nothing new is said.
#[derive(Debug, thiserror::Error)]
enum NothingNew {
    #[error("what is in force cannot be read")]
    Epochs(#[from] EpochsFailed),
    #[error("the planes' keys cannot be read")]
    Planes(#[from] StateFault),
    #[error(transparent)]
    Unsaid(#[from] Unsaid),
}

impl Feed {
    pub fn new(environment: String, signer: DiskSigner) -> Self {
        Self { environment, signer, said: watch::Sender::default() }
    }

    /// Keeps what is said current, until asked to stop; then every stream ends.
    pub(super) async fn keep(&self, epochs: &Epochs, mut stop: Stop) {
        let mut changed = epochs.changed();
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(error) = self.say(epochs).await {
                tracing::error!(error = chain(&error), "planes hear nothing new");
            }
            tokio::select! {
                () = stop.asked() => return,
                _ = beats.tick() => {}
                // its other end lives as long as the epochs
                _ = changed.changed() => {}
            }
        }
    }

    async fn say(&self, epochs: &Epochs) -> Result<(), NothingNew> {
        let mut said = self.said.borrow().clone();
        if !epochs.is_current(BLIND) {
            said.heartbeat = None;
            self.said.send_replace(said);
            return Ok(());
        }
        let issuer = epochs.issuer();
        if let Some(issuer) = &issuer {
            issuer.plane_keys().store(Arc::new(planes::assertion_keys(epochs).await?));
        }
        let live = epochs.live().load_full();
        let reached = epochs.reached();
        said.acts = epochs.acts();
        let (generation, epoch) = (live.snapshot.generation.0, live.snapshot.epoch.0);
        // not by the keys in force: those of issuers change all the time, and planes fetch them themselves
        let authorities = issuer.map(|issuer| issuer.sequence());
        let name = Name { generation, epoch, authorities };
        if said.snapshot.as_ref().is_none_or(|(known, _)| *known != name)
            && let Some(publication) = epochs.publication().await?
        {
            let name = Name { generation: publication.generation, epoch: publication.epoch, ..name };
            said.snapshot = Some((name, self.line(Says::Snapshot(Box::new(publication)))?));
        }
        // what is published is what is in force, or planes hear of it in a moment
        let published = said.snapshot.as_ref().is_some_and(|(known, _)| *known == name && known.epoch == reached.epoch);
        said.heartbeat = match published {
            true => Some(self.line(Says::Heartbeat(Heartbeat { reached, time: now().to_string() }))?),
            false => None,
        };
        self.said.send_replace(said);
        Ok(())
    }

    fn line(&self, says: Says) -> Result<Bytes, Unsaid> {
        let statement = Statement { environment: self.environment.clone(), says };
        let mut line = line(&statement, &self.signer)?;
        line.push('\n');
        Ok(Bytes::from(line))
    }
}

/// Sends a plane that knows revocations up to number `known` what it has not heard, until it leaves, its proof ends or it is
/// revoked.
pub(super) fn lines(feed: &Arc<Feed>, known: u64, audience: Audience, settling: Settling) -> Reply {
    let (send, receive) = mpsc::channel(WAITING);
    let feed = Arc::clone(feed);
    tokio::spawn(async move {
        let status = match feed.tell(known, &audience, &send).await {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::error!(error = chain(&error), "a plane hears nothing more");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        settling.settle(status);
    });
    Reply::Lines(receive)
}

impl Feed {
    async fn tell(&self, known: u64, audience: &Audience, send: &mpsc::Sender<Bytes>) -> Result<(), Unsaid> {
        let mut said = self.said.subscribe();
        let (mut known, mut snapshot, mut heartbeat) = (known, None, None);
        while audience.may_hear() {
            let now = said.borrow_and_update().clone();
            let mut lines = Vec::new();
            let through = now.acts.last().map_or(0, |(seq, _)| *seq);
            if through > known {
                let acts = now.acts.iter().filter(|(seq, _)| *seq > known).cloned().collect();
                lines.push(self.line(Says::Revocations(Acts { after: known, through, acts }))?);
                known = through;
            }
            if let Some((name, line)) = now.snapshot.filter(|(name, _)| snapshot != Some(*name)) {
                snapshot = Some(name);
                lines.push(line);
            }
            if now.heartbeat != heartbeat {
                heartbeat = now.heartbeat;
                lines.extend(heartbeat.clone());
            }
            for line in lines {
                if send.send(line).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                changed = said.changed() => if changed.is_err() { return Ok(()) },
                () = send.closed() => return Ok(()),
            }
        }
        Ok(())
    }
}
