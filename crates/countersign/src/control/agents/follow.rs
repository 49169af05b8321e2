//! What an agent hears: the registrations of its node and the bundles, all of them first, then what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use credential::SpiffeBundle;
use guard::Settlement;
use http::StatusCode;
use model::{PrincipalId, Time, TrustDomain};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Status;
use wire::agent::{Bundle, Registration, Update};

use super::super::Control;
use super::super::audience::Audience;
use super::super::perform::Settling;
use super::super::reading::ReadingSlot;
use super::nodes::Node;
use crate::issuing::Issuer;
use crate::live::Live;
use crate::registry::Registered;

/// Most registrations of one message.
const MOST: usize = 500;
/// How often it is looked for what changes by time alone, and whether the agent may still hear.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is looked whether another node of control has evicted the agent; here it is heard at once.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// An agent, since when it has its SVID, and its node.
type Agent = (String, Option<Time>, Arc<Node>);

/// One agent that follows.
pub(super) struct Following {
    control: Arc<Control>,
    changed: watch::Receiver<()>,
    registered: watch::Receiver<u64>,
    agent: Agent,
    known: Instant,
    audience: Audience,
    settling: Option<Settling>,
    heard: Heard,
    /// Messages that are due, last first.
    due: Vec<Update>,
    /// The version of what is registered that was looked at.
    version: u64,
    /// When something expires of what the agent knows.
    expires: Time,
}

/// What the agent knows.
#[derive(Default)]
struct Heard {
    /// Digests of registrations, by name; none before the first message.
    registrations: Option<BTreeMap<String, Vec<u8>>>,
    bundles: Vec<Bundle>,
}

impl Following {
    pub(super) fn new(
        control: Arc<Control>,
        agent: Agent,
        audience: Audience,
        settlement: Settlement<ReadingSlot>,
    ) -> Self {
        let (changed, registered) = (control.epochs.changed(), control.epochs.registry().changed());
        let (settling, heard, due) = (Some(Settling(settlement)), Heard::default(), Vec::new());
        let (version, expires, known) = (0, Time::MIN, Instant::now());
        Self { control, changed, registered, agent, known, audience, settling, heard, due, version, expires }
    }

    /// The next message; none once the agent may hear no more.
    pub(super) async fn next(&mut self) -> Option<Result<Update, Status>> {
        loop {
            if let Some(update) = self.due.pop() {
                return Some(Ok(update));
            }
            if !self.audience.may_hear() || !self.stands().await {
                self.settle();
                return None;
            }
            self.changed.mark_unchanged();
            self.registered.mark_unchanged();
            self.look();
            while self.due.is_empty() && self.audience.may_hear() {
                let concerns = tokio::select! {
                    _ = self.changed.changed() => true,
                    _ = self.registered.changed() => self.concerned(),
                    () = sleep(LOOK) => self.expires <= net::now() || self.is_doubtful(),
                };
                if concerns {
                    break;
                }
            }
        }
    }

    /// Whether what is registered has changed for the node.
    fn concerned(&self) -> bool {
        self.control.epochs.registry().concerns(self.version, &self.agent.2.selectors)
    }

    /// Whether it has to be looked at what is known of the node.
    fn is_doubtful(&self) -> bool {
        !self.agent.2.stands() || self.known.elapsed() >= LOOK_AGAIN
    }

    /// Whether what was attested of the node still stands. While the state is away it does.
    async fn stands(&mut self) -> bool {
        let (agent, issued, _) = &self.agent;
        if self.is_doubtful() {
            self.known = Instant::now();
            match self.control.nodes.of(self.control.epochs.state(), agent, *issued).await {
                Ok(Some(node)) => self.agent.2 = node,
                Ok(None) => return false,
                Err(why) => {
                    tracing::warn!(agent, why = net::causes::chain(&why), "what is known of a node cannot be read")
                }
            }
        }
        true
    }

    /// Finds what the agent has not heard.
    fn look(&mut self) {
        let epochs = &self.control.epochs;
        let live = epochs.live().load_full();
        let Some(issuer) = epochs.issuer().filter(|_| live.domain.is_some()) else { return };
        let (version, all) = epochs.registry().of_node(&self.agent.2.selectors);
        let (current, expires) = current(&live, all, net::now());
        (self.version, self.expires) = (version, expires);
        let known = self.heard.registrations.take();
        let anew = known.is_none();
        let known = known.unwrap_or_default();
        let digests: BTreeMap<String, Vec<u8>> =
            current.iter().map(|(name, registered)| (name.clone(), registered.digest.as_bytes().to_vec())).collect();
        let withdrawn: Vec<String> = known.keys().filter(|name| !digests.contains_key(*name)).cloned().collect();
        let news = current.values().filter(|registered| {
            known.get(&registered.registration.name).map(Vec::as_slice) != Some(registered.digest.as_bytes().as_slice())
        });
        let news: Vec<Registration> = news.map(|registered| registration(registered)).collect();
        let mut bundles = vec![bundle(&issuer)];
        bundles.extend(self.federated(&live, &current, &issuer));
        let new_bundles = if bundles == self.heard.bundles { Vec::new() } else { bundles.clone() };
        self.heard = Heard { registrations: Some(digests), bundles };
        if !anew && news.is_empty() && withdrawn.is_empty() && new_bundles.is_empty() {
            return;
        }
        let mut parts: Vec<Vec<Registration>> = news.chunks(MOST).map(<[Registration]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        let update =
            |registrations| Update { anew, more: true, registrations, withdrawn: Vec::new(), bundles: Vec::new() };
        let mut due: Vec<Update> = parts.into_iter().map(update).collect();
        if let Some(last) = due.last_mut() {
            (last.more, last.withdrawn, last.bundles) = (false, withdrawn, new_bundles);
        }
        due.reverse();
        self.due = due;
    }

    /// The bundles of the trust domains with which workloads of this node federate.
    fn federated(&self, live: &Live, current: &BTreeMap<String, Arc<Registered>>, issuer: &Issuer) -> Vec<Bundle> {
        let wanted: BTreeSet<&TrustDomain> =
            current.values().flat_map(|registered| &registered.registration.federates_with).collect();
        let federated = live.federations.iter().filter(|federation| wanted.contains(&federation.domain));
        federated
            .filter_map(|federation| Some(foreign(&self.control.epochs.federated().of(federation)?.bundle, issuer)))
            .collect()
    }

    fn settle(&mut self) {
        if let Some(settling) = self.settling.take() {
            settling.settle(StatusCode::OK);
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.settle();
    }
}

/// What of this may be handed out now, and when the next of it expires. Whatever cannot be minted is not heard of, so that what
/// was minted before is withdrawn.
fn current(
    live: &Live,
    mut all: BTreeMap<String, Arc<Registered>>,
    at: Time,
) -> (BTreeMap<String, Arc<Registered>>, Time) {
    let revocations = live.snapshot.sources.revocations();
    let mut next = Time::MAX;
    all.retain(|_, registered| {
        let registration = &registered.registration;
        let principal = registration.id.fixed().map(PrincipalId::Spiffe);
        let revoked = principal.as_ref().is_some_and(|principal| revocations.of_principal(principal, Some(at)));
        let declared = principal.and_then(|principal| live.snapshot.directory.principal(&principal)?.expires);
        let ends = [declared, registration.expires].into_iter().flatten().min().unwrap_or(Time::MAX);
        let holds = !revoked && at < ends;
        if holds {
            next = next.min(ends);
        }
        holds
    });
    (all, next)
}

fn registration(registered: &Registered) -> Registration {
    let of = &registered.registration;
    let seconds = |span: Option<Duration>| span.map_or(0, |span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
    Registration {
        name: of.name.clone(),
        digest: Bytes::copy_from_slice(registered.digest.as_bytes()),
        id: of.id.to_string(),
        selectors: of.selectors.iter().map(ToString::to_string).collect(),
        x509_ttl: seconds(of.x509_ttl),
        jwt_ttl: seconds(of.jwt_ttl),
        dns_names: of.dns_names.clone(),
        hint: of.hint.clone(),
        federates_with: of.federates_with.iter().map(ToString::to_string).collect(),
        expires: of.expires.map_or(0, |end| end.as_micros().div_euclid(1_000_000)),
    }
}

/// The bundle of the own trust domain.
fn bundle(issuer: &Issuer) -> Bundle {
    Bundle {
        trust_domain: issuer.domain().to_string(),
        x509_authorities: issuer.x509_authorities().to_vec(),
        jwt_keys: issuer.jwt_keys().clone(),
        tainted: issuer.tainted().iter().map(|digest| Bytes::copy_from_slice(digest)).collect(),
        wit_keys: issuer.wit_keys().cloned().unwrap_or_default(),
    }
}

/// The bundle of another trust domain: what of it is tainted, it does not say. Its keys of WIT-SVIDs are for who has such SVIDs.
fn foreign(bundle: &SpiffeBundle, own: &Issuer) -> Bundle {
    let wit_keys = own.wit.as_ref().and_then(|_signs| bundle.wit_keys()).unwrap_or_default();
    Bundle {
        trust_domain: bundle.domain().to_string(),
        x509_authorities: bundle.x509_authorities().iter().map(|der| Bytes::copy_from_slice(der)).collect(),
        jwt_keys: Bytes::copy_from_slice(bundle.jwt_keys().as_bytes()),
        tainted: Vec::new(),
        wit_keys: Bytes::copy_from_slice(wit_keys.as_bytes()),
    }
}
