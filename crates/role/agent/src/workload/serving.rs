//! Streams of SVIDs: every identity of the workload, all of it in each message, whatever the profile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use model::Selectors;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::Node;
use super::held::{Held, Standings, not_issued};
use super::stream::Caller;
use crate::known::{Identified, Known};
use crate::svids::{Profile, Svids};

/// How long a first SVID is waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// Identities whose SVIDs are there.
pub(super) type Ready<S> = [(Identified, Arc<S>)];

/// What a profile says of its stream.
pub(super) trait Says<S: Profile>: Send + 'static {
    type Message: Send;

    /// Whose SVIDs are asked for.
    fn identities(&self, node: &Node, known: &Known, selectors: &Selectors) -> Result<Vec<Identified>, Status>;

    fn message(&self, node: &Node, known: &Known, ready: &Ready<S>) -> Result<Self::Message, Status>;
}

/// Messages for one workload, until it ends or is nobody any more.
pub(super) fn svids<S: Profile, W: Says<S>>(
    caller: Caller,
    svids: Arc<Svids<S>>,
    says: W,
) -> impl Stream<Item = Result<W::Message, Status>> {
    let serving = Serving { caller, says, held: Held::of(svids), sent: None, asked: Instant::now() };
    stream::unfold(Some(serving), |serving| async move {
        let mut serving = serving?;
        match serving.next().await {
            Ok(message) => Some((Ok(message), Some(serving))),
            Err(status) => Some((Err(status), None)),
        }
    })
}

struct Serving<S, W> {
    caller: Caller,
    says: W,
    held: Held<S>,
    /// What the message before was made of.
    sent: Option<(Vec<Arc<S>>, Arc<Known>)>,
    asked: Instant,
}

impl<S: Profile, W: Says<S>> Serving<S, W> {
    async fn next(&mut self) -> Result<W::Message, Status> {
        loop {
            let known = self.caller.known();
            let identities = self.says.identities(&self.caller.node, &known, self.caller.selectors())?;
            self.held.only(&self.caller, identities).await;
            if let Some(message) = self.message(&known)? {
                return Ok(message);
            }
            let deadline = if self.sent.is_some() { None } else { Some(self.asked + WITHIN) };
            let late = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.caller.changed(self.held.changed()) => changed?,
                () = late => return Err(Status::unavailable("the control plane has not minted an SVID yet")),
            }
        }
    }

    /// The message that is due; none while nothing is there yet, or nothing is new.
    fn message(&mut self, known: &Arc<Known>) -> Result<Option<W::Message>, Status> {
        let Standings { ready, refused, awaited } = self.held.now();
        // the first message has every identity, or says which one is missing by not being sent
        if awaited && self.sent.is_none() {
            return Ok(None);
        }
        if ready.is_empty() {
            return match refused {
                Some(code) => Err(not_issued(&code)),
                None => Ok(None),
            };
        }
        let made_of: Vec<_> = ready.iter().map(|(_, svid)| Arc::clone(svid)).collect();
        let same = |(svids, before): &(Vec<Arc<S>>, Arc<Known>)| {
            let pairs = || svids.iter().zip(&made_of);
            svids.len() == made_of.len()
                && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
                && Arc::ptr_eq(before, known)
        };
        if self.sent.as_ref().is_some_and(same) {
            return Ok(None);
        }
        let message = self.says.message(&self.caller.node, known, &ready)?;
        self.sent = Some((made_of, Arc::clone(known)));
        Ok(Some(message))
    }
}

/// Hints of one message: one that was given before tells nothing apart, and is left out.
#[derive(Default)]
pub(super) struct Hints<'h>(HashSet<&'h str>);

impl<'h> Hints<'h> {
    pub(super) fn next(&mut self, identified: &'h Identified) -> String {
        let hint = identified.registration.hint.as_str();
        if self.0.insert(hint) { hint.to_owned() } else { String::new() }
    }
}
