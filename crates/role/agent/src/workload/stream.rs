//! A workload that has a stream open: it is looked at again and again, and what it was let in for ends when it does, or
//! becomes another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Selectors;
use net::Process;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::Node;
use super::pod::Pod;
use crate::attest::Look;
use crate::known::Known;

/// How often a process is looked at again: exec and setuid tell nobody.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Says whether a workload is there.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    Process(Arc<Process>),
    /// Set once its pod was looked for in vain.
    Pod(Arc<AtomicBool>),
}

/// A workload, and what was attested of it.
pub(crate) struct Caller {
    pub node: Arc<Node>,
    subject: Subject,
    selectors: Selectors,
    known: watch::Receiver<Arc<Known>>,
    look: Instant,
}

/// What a workload is to this node.
enum Subject {
    /// A process, and how it looked before anything was attested of it.
    Process(Arc<Process>, Look),
    Pod(Pod),
}

impl Caller {
    /// Attests a process that asks, or that somebody asks for who may.
    pub(crate) async fn attested(node: Arc<Node>, process: Arc<Process>) -> Result<Self, Status> {
        let seen = node.look(&process).await?;
        let selectors = node.attest(&process).await?;
        Ok(Self::of(node, Subject::Process(process, seen), selectors))
    }

    /// A pod that somebody asks for who may.
    pub(crate) fn pod(node: Arc<Node>, pod: Pod, selectors: Selectors) -> Self {
        Self::of(node, Subject::Pod(pod), selectors)
    }

    fn of(node: Arc<Node>, subject: Subject, selectors: Selectors) -> Self {
        let known = node.known.clone();
        Self { node, subject, selectors, known, look: Instant::now() + LOOK }
    }

    /// For logs.
    pub(crate) fn pid(&self) -> i32 {
        match &self.subject {
            Subject::Process(process, _) => process.pid(),
            Subject::Pod(_) => 0,
        }
    }

    /// What says whether the workload is there.
    pub(crate) fn life(&self) -> Life {
        match &self.subject {
            Subject::Process(process, _) => Life::Process(Arc::clone(process)),
            Subject::Pod(pod) => Life::Pod(pod.life()),
        }
    }

    pub(crate) const fn selectors(&self) -> &Selectors {
        &self.selectors
    }

    /// What control has said by now.
    pub(crate) fn known(&mut self) -> Arc<Known> {
        self.known.borrow_and_update().clone()
    }

    /// Returns once something may have changed: what is known, or `other`. Meanwhile the workload is looked at.
    ///
    /// # Errors
    /// [`Status`] if it has ended, or is not what it was.
    pub(crate) async fn changed(&mut self, other: impl Future<Output = ()>) -> Result<(), Status> {
        tokio::pin!(other);
        loop {
            tokio::select! {
                () = self.subject.ended() => return Err(Status::permission_denied("the process has ended")),
                () = sleep_until(self.look) => if self.look_again().await? {
                    return Ok(());
                },
                changed = self.known.changed() => {
                    changed.map_err(|_ended| Status::unavailable("the agent is ending"))?;
                    // what is handed out next is for whoever it is now
                    return self.look_again().await.map(|_other| ());
                }
                () = &mut other => return self.look_again().await.map(|_other| ()),
            }
        }
    }

    /// Gives whether other selectors hold now. Of a process no engine and no kubelet is asked: one that restarts must not end every
    /// stream of its node.
    async fn look_again(&mut self) -> Result<bool, Status> {
        self.look = Instant::now() + LOOK;
        match &mut self.subject {
            Subject::Process(process, seen) => {
                if self.node.look(process).await? == *seen {
                    return Ok(false);
                }
                Err(Status::permission_denied("the process is not what it was when it asked: connect again"))
            }
            Subject::Pod(pod) => match pod.look(&self.node.attestors).await? {
                Some(selectors) if selectors != self.selectors => {
                    self.selectors = selectors;
                    Ok(true)
                }
                Some(_) | None => Ok(false),
            },
        }
    }
}

impl Subject {
    /// Returns once it has ended; of a pod nobody tells that.
    async fn ended(&self) {
        match self {
            Self::Process(process, _) => process.ended().await,
            Self::Pod(_) => std::future::pending().await,
        }
    }
}

impl Life {
    /// Whether the workload is no more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Process(process) => process.still().is_err(),
            Self::Pod(over) => over.load(Ordering::Acquire),
        }
    }
}
