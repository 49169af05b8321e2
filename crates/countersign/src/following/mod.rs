//! A plane that runs apart from control: it hears what is in force, keeps the last of it on disk, and says how far it is.
//!
//! What is heard is believed for its signature, not for who carried it. Revocations go ahead of all else. A heartbeat makes
//! nothing fresher unless it names exactly what is in force here.

mod contact;
mod identity;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::Time;
use net::causes::chain;
use net::{Stop, jittered, now};
use store::StateFault;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::epochs::{Epochs, NotTaken, Publication};
use crate::feed::{Acts, BadLine, Heartbeat, Says};
use crate::pulse::Pulse;

pub use contact::{Contact, NoContact};
pub use identity::{Identity, NoIdentity};
pub use shelf::Shelf;

/// Control that says nothing for so long is not heard any more: it has a heartbeat each second.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two tries to hear it; each that fails doubles it.
const AGAIN: Duration = Duration::from_millis(250);
const MOST_AGAIN: Duration = Duration::from_secs(5);
/// How often a heartbeat goes to disk.
const KEEP: Duration = Duration::from_secs(2);
/// How often control hears how far this plane is, if nothing changes.
const REPORT: Duration = Duration::from_secs(10);

/// Follows control.
pub struct Follower {
    epochs: Arc<Epochs>,
    contact: Arc<Contact>,
    pulse: Arc<Pulse>,
    shelf: Arc<Shelf>,
}

/// Why control is not heard any more, for now.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error(transparent)]
    Contact(#[from] NoContact),
    #[error("it said nothing for {} s", SILENCE.as_secs())]
    Silent,
    #[error("it ended what it said")]
    Ended,
    #[error("what it said is not taken")]
    Line(#[from] BadLine),
    #[error("it left out what was revoked between {known} and {after}")]
    Gap { known: u64, after: u64 },
    #[error("what it revoked cannot be kept")]
    State(#[from] StateFault),
    #[error("what it said cannot be kept, so that it has to say it again")]
    NotKept,
}

/// What is left to do about a snapshot that was heard.
enum Taken {
    /// Nothing: it is in force, or never will be.
    Never,
    /// It could not be kept; it may be later.
    Later,
}

impl Follower {
    pub fn new(epochs: Arc<Epochs>, contact: Arc<Contact>, pulse: Arc<Pulse>, shelf: Shelf) -> Self {
        Self { epochs, contact, pulse, shelf: Arc::new(shelf) }
    }

    /// Hears control until asked to stop, again and again.
    pub async fn follow(&self, mut stop: Stop) {
        let mut again = AGAIN;
        loop {
            let began = Instant::now();
            let why = tokio::select! {
                () = stop.asked() => return,
                why = self.listen() => why,
            };
            if began.elapsed() > MOST_AGAIN {
                again = AGAIN;
            }
            tracing::warn!(why = chain(&why), "control is not heard");
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(jittered(again)) => {}
            }
            again = (again * 2).min(MOST_AGAIN);
        }
    }

    /// Tells control how far this plane is, until asked to stop.
    pub async fn report(&self, mut stop: Stop) {
        let mut changed = self.epochs.changed();
        loop {
            let report = self.epochs.reached();
            let wait = match self.contact.post::<serde_json::Value>("/v1/reports", None, &report).await {
                Ok(_) => REPORT,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "control does not hear how far this gateway is");
                    jittered(MOST_AGAIN)
                }
            };
            tokio::select! {
                () = stop.asked() => return,
                _ = changed.changed() => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn listen(&self) -> Unheard {
        match self.hear_all().await {
            Ok(()) => Unheard::Ended,
            Err(why) => why,
        }
    }

    async fn hear_all(&self) -> Result<(), Unheard> {
        let known = self.epochs.reached().revocation_seq;
        let mut lines = self.contact.lines(&format!("/v1/feed?after={known}")).await?;
        // a snapshot takes its time to compile; what is revoked meanwhile does not wait for it
        let mut taking = JoinSet::new();
        let mut kept: Option<Instant> = None;
        loop {
            let line = tokio::select! {
                line = timeout(SILENCE, lines.next()) => line.or(Err(Unheard::Silent))??,
                Some(taken) = taking.join_next() => match taken {
                    Ok(Taken::Never) | Err(_) => continue,
                    Ok(Taken::Later) => return Err(Unheard::NotKept),
                },
            };
            let Some(line) = line else { return Ok(()) };
            match self.shelf.voice().hear(&line)? {
                Says::Revocations(acts) => self.revoke(&acts).await?,
                Says::Snapshot(publication) => {
                    taking.spawn(take(Arc::clone(&self.epochs), Arc::clone(&self.shelf), *publication, line));
                }
                Says::Heartbeat(heartbeat) => {
                    if self.beat(&heartbeat) && kept.is_none_or(|kept| kept.elapsed() >= KEEP) {
                        kept = Some(Instant::now());
                        if let Err(error) = self.shelf.keep_heartbeat(&line) {
                            tracing::error!(%error, "the last heartbeat cannot be kept");
                        }
                    }
                }
            }
        }
    }

    async fn revoke(&self, acts: &Acts) -> Result<(), Unheard> {
        let known = self.epochs.reached().revocation_seq;
        if acts.after > known {
            return Err(Unheard::Gap { known, after: acts.after });
        }
        Ok(self.epochs.take_acts(&acts.acts).await?)
    }

    /// Whether control says that exactly what is in force here is in force.
    fn beat(&self, heartbeat: &Heartbeat) -> bool {
        let (ours, theirs) = (self.epochs.reached(), &heartbeat.reached);
        if ours.is(theirs) {
            let Ok(time) = heartbeat.time.parse::<Time>() else { return false };
            self.pulse.beat(time, now());
            return true;
        }
        let behind = theirs.position() < ours.position();
        let another = theirs.position() == ours.position() && theirs.revocation_seq <= ours.revocation_seq;
        if behind || another {
            tracing::error!(
                control = %format_args!("{} and revocation {}", theirs.position(), theirs.revocation_seq),
                here = %format_args!("{} and revocation {}", ours.position(), ours.revocation_seq),
                "control is behind this gateway: was a backup brought back? `countersign apply --new-generation` says so"
            );
        }
        false
    }
}

async fn take(epochs: Arc<Epochs>, shelf: Arc<Shelf>, publication: Publication, line: Bytes) -> Taken {
    let position = publication.position();
    let taken = epochs.take(publication).await;
    match &taken {
        Ok(()) => {
            tracing::info!(%position, "in force");
            if let Err(error) = shelf.keep_snapshot(&line) {
                tracing::error!(%error, "what is in force cannot be kept");
                return Taken::Later;
            }
        }
        Err(error) => tracing::error!(%position, error = chain(error), "a snapshot is not taken"),
    }
    match taken {
        Err(NotTaken::Kept(_) | NotTaken::State(_)) => Taken::Later,
        Ok(())
        | Err(
            NotTaken::Older { .. }
            | NotTaken::Another { .. }
            | NotTaken::Authorities(_)
            | NotTaken::Problems(_)
            | NotTaken::OtherDomain { .. }
            | NotTaken::OwnWord
            | NotTaken::Issuer(_),
        ) => Taken::Never,
    }
}
