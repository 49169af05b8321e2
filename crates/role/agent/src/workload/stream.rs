//! A workload that has a stream open: it is looked at again and again, and what it was let in for ends when it does, or
//! becomes another.

use std::sync::Arc;
use std::time::Duration;

use model::Selectors;
use net::Process;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::Node;
use crate::attest::Look;
use crate::known::Known;

/// How often a process is looked at again: exec and setuid tell nobody.
const LOOK: Duration = Duration::from_secs(5);

/// A process, and what was attested of it.
pub(crate) struct Caller {
    pub node: Arc<Node>,
    process: Arc<Process>,
    selectors: Selectors,
    /// How it looked before that was attested.
    seen: Look,
    known: watch::Receiver<Arc<Known>>,
    look: Instant,
}

impl Caller {
    /// Attests a process that asks.
    pub(crate) async fn attested(node: Arc<Node>, process: Arc<Process>) -> Result<Self, Status> {
        let seen = node.look(&process).await?;
        let selectors = node.attest(&process).await?;
        let known = node.known.clone();
        Ok(Self { node, process, selectors, seen, known, look: Instant::now() + LOOK })
    }

    /// For logs.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    pub(crate) const fn selectors(&self) -> &Selectors {
        &self.selectors
    }

    /// What control has said by now.
    pub(crate) fn known(&mut self) -> Arc<Known> {
        self.known.borrow_and_update().clone()
    }

    /// Returns once something may have changed: what is known, or `other`. Meanwhile the process is looked at.
    ///
    /// # Errors
    /// [`Status`] if it has ended, or is not what it was.
    pub(crate) async fn changed(&mut self, other: impl Future<Output = ()>) -> Result<(), Status> {
        tokio::pin!(other);
        loop {
            tokio::select! {
                () = self.process.ended() => return Err(Status::permission_denied("the process has ended")),
                () = sleep_until(self.look) => self.look_again().await?,
                changed = self.known.changed() => {
                    changed.map_err(|_ended| Status::unavailable("the agent is ending"))?;
                    // what is handed out next is for whoever it is now
                    return self.look_again().await;
                }
                () = &mut other => return self.look_again().await,
            }
        }
    }

    /// No engine and no kubelet is asked: one that restarts must not end every stream of its node.
    async fn look_again(&mut self) -> Result<(), Status> {
        self.look = Instant::now() + LOOK;
        if self.node.look(&self.process).await? == self.seen {
            Ok(())
        } else {
            Err(Status::permission_denied("the process is not what it was when it asked: connect again"))
        }
    }
}
