//! The SVIDs of a caller's identities, held open while it asks for them: what is held is renewed.

use std::sync::Arc;

use futures_util::future::select_all;
use net::now;
use tokio::sync::watch;
use tonic::Status;

use super::stream::Caller;
use super::told;
use crate::known::Identified;
use crate::svids::{Profile, Standing, Svids};

/// Identities, and where the SVID of each stands.
pub(crate) struct Held<S> {
    svids: Arc<Svids<S>>,
    held: Vec<(Identified, watch::Receiver<Standing<S>>)>,
}

/// Where those that are held stand now.
pub(crate) struct Standings<S> {
    /// In the order of the identities.
    pub ready: Vec<(Identified, Arc<S>)>,
    /// The code with which control refused one of them.
    pub refused: Option<String>,
    /// Whether one of them is not minted yet, or not again.
    pub awaited: bool,
}

impl<S: Profile> Held<S> {
    /// None yet.
    pub(crate) const fn of(svids: Arc<Svids<S>>) -> Self {
        Self { svids, held: Vec::new() }
    }

    /// Holds the SVIDs of these identities of `caller`, and lets go of others.
    pub(crate) async fn only(&mut self, caller: &Caller, identities: Vec<Identified>) {
        let mut held = Vec::with_capacity(identities.len());
        for identified in identities {
            let selectors = told(&identified, caller.selectors());
            let standing = self.svids.of(&identified, &selectors).await;
            held.push((identified, standing));
        }
        self.held = held;
    }

    pub(crate) fn now(&mut self) -> Standings<S> {
        let at = now();
        let mut standings = Standings { ready: Vec::new(), refused: None, awaited: false };
        for (identified, standing) in &mut self.held {
            match &*standing.borrow_and_update() {
                Standing::Ready(svid) if at < svid.expires() => {
                    standings.ready.push((identified.clone(), Arc::clone(svid)));
                }
                Standing::Ready(_) | Standing::Ordered => standings.awaited = true,
                Standing::Refused(code) => standings.refused = Some(code.clone()),
            }
        }
        standings
    }

    /// Returns once any of them stands otherwise.
    pub(crate) async fn changed(&mut self) {
        if self.held.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.held.iter_mut().map(|(_, standing)| Box::pin(standing.changed()));
        let _ = select_all(changes).await;
    }
}

pub(crate) fn not_issued(code: &str) -> Status {
    Status::permission_denied(format!("no identity issued: {code}"))
}
