//! `StreamSecrets`: what an Envoy subscribes to, sent whenever any of it changes.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tonic::{Status, Streaming};
use wire::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use super::asked::{ALL_BUNDLES, Asked, DEFAULT_BUNDLE, DEFAULT_SVID, Validation};
use super::resource::{Resource, SECRET, Trusted};
use crate::known::{Identified, Known};
use crate::svids::X509Svid;
use crate::workload::{Caller, Held, Standings, key_of, not_issued};

/// Most of what an Envoy says that is logged or said again, in characters.
const MOST_SHOWN: usize = 512;

/// Answers to the requests of one Envoy, until it ends or is nobody any more.
pub(super) fn secrets(
    subject: Subject,
    requests: Streaming<DiscoveryRequest>,
) -> impl Stream<Item = Result<DiscoveryResponse, Status>> {
    let requests = Requests { stream: requests, arrived: None };
    let discovery = Discovery { subject, requests, asked: None, sent: Vec::new(), answers: 0, refused: 0 };
    stream::unfold(Some(discovery), |discovery| async move {
        let mut discovery = discovery?;
        match discovery.next().await {
            Ok(Some(answer)) => Some((Ok(answer), Some(discovery))),
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    })
}

/// Who asks, and the SVIDs that it has asked for.
pub(super) struct Subject {
    caller: Caller,
    held: Held<X509Svid>,
}

struct Discovery {
    subject: Subject,
    requests: Requests,
    /// What it is subscribed to.
    asked: Option<Asked>,
    /// What it was sent last.
    sent: Vec<Resource>,
    /// How many answers were sent: the last one's nonce, and the version of what is in it.
    answers: u64,
    /// The last of them that the Envoy refused.
    refused: u64,
}

/// Requests as they come, none lost where the wait for it is given up.
struct Requests {
    stream: Streaming<DiscoveryRequest>,
    arrived: Option<Result<Option<DiscoveryRequest>, Status>>,
}

impl Requests {
    /// Returns once there is another, or an end.
    async fn arrives(&mut self) {
        if self.arrived.is_none() {
            self.arrived = Some(self.stream.message().await);
        }
    }
}

impl Discovery {
    /// The next answer; none once nothing more is asked.
    async fn next(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        loop {
            match self.requests.arrived.take().transpose()? {
                Some(Some(request)) => self.hear(request)?,
                Some(None) => return Ok(None),
                None => {}
            }
            if let Some(answer) = self.answer().await? {
                return Ok(Some(answer));
            }
            let Subject { caller, held } = &mut self.subject;
            let woken = async {
                tokio::select! { () = held.changed() => {}, () = self.requests.arrives() => {} }
            };
            caller.changed(woken).await?;
        }
    }

    /// Takes a request, unless it answers another answer than the last one.
    fn hear(&mut self, request: DiscoveryRequest) -> Result<(), Status> {
        let last = self.answers.to_string();
        if self.answers > 0 && request.response_nonce != last {
            tracing::debug!(pid = self.subject.caller.pid(), "an Envoy answers what is no longer the last answer");
            return Ok(());
        }
        let refused = self.answers > self.refused && (request.error_detail.is_some() || request.version_info != last);
        if refused {
            // once for each answer, however often it says so
            self.refused = self.answers;
            let why = request.error_detail.as_ref().map_or("", |detail| &detail.message);
            let (pid, names) = (self.subject.caller.pid(), shown(&request.resource_names.join(" ")));
            tracing::warn!(pid, why = shown(why), names, "an Envoy refuses what it was sent");
        }
        self.asked = Some(Asked::read(request, self.asked.as_ref())?);
        Ok(())
    }

    /// The answer that is due; none while something is awaited, or nothing is new.
    async fn answer(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        let Some(asked) = &self.asked else { return Ok(None) };
        let Some(resources) = self.subject.resources(asked).await?.filter(|resources| *resources != self.sent) else {
            return Ok(None);
        };
        self.answers += 1;
        let version = self.answers.to_string();
        self.sent = resources;
        let resources = self.sent.iter().map(Resource::encoded).collect();
        let (version_info, nonce, type_url) = (version.clone(), version, SECRET.to_owned());
        Ok(Some(DiscoveryResponse { version_info, resources, type_url, nonce }))
    }
}

impl Subject {
    pub(super) fn new(caller: Caller) -> Self {
        let held = Held::of(Arc::clone(&caller.node.svids));
        Self { caller, held }
    }

    /// What is asked for, once all of it is there.
    pub(super) async fn minted(&mut self, asked: &Asked) -> Result<Vec<Resource>, Status> {
        loop {
            if let Some(resources) = self.resources(asked).await? {
                return Ok(resources);
            }
            self.caller.changed(self.held.changed()).await?;
        }
    }

    /// What is asked for; nothing while some of it is awaited.
    async fn resources(&mut self, asked: &Asked) -> Result<Option<Vec<Resource>>, Status> {
        let known = self.caller.known();
        let identities = self.caller.node.identities(&known, self.caller.selectors())?;
        let mut resources = self.bundles(asked, &known, &identities)?;
        let wanted = wanted(asked, &identities);
        let there = |name: &String| {
            name == DEFAULT_SVID
                || resources.iter().any(|resource| resource.name() == name)
                || wanted.iter().any(|identified| identified.id.to_string() == *name)
        };
        if let Some(unknown) = asked.names.iter().find(|name| !there(name)) {
            return Err(Status::invalid_argument(format!("the workload has no resource {}", shown(unknown))));
        }
        self.held.only(&self.caller, wanted).await;
        let Standings { ready, refused, awaited } = self.held.now();
        if awaited {
            return Ok(None);
        }
        for (identified, svid) in &ready {
            let name = identified.id.to_string();
            // several registrations of one id are one resource
            if asked.wants(&name) && !resources.iter().any(|resource| resource.name() == name) {
                resources.push(Resource::Svid { name, svid: Arc::clone(svid) });
            }
        }
        if let Some((_, first)) = ready.first().filter(|_| asked.names.contains(DEFAULT_SVID)) {
            resources.push(Resource::Svid { name: DEFAULT_SVID.to_owned(), svid: Arc::clone(first) });
        }
        match refused {
            Some(code) if resources.len() < asked.names.len() => Err(not_issued(&code)),
            Some(_) | None => Ok(Some(resources)),
        }
    }

    /// The bundles that are asked for, each under its own name. All of them under one name need the validator, which keeps
    /// trust domains apart.
    fn bundles(&self, asked: &Asked, known: &Known, identities: &[Identified]) -> Result<Vec<Resource>, Status> {
        let node = &self.caller.node;
        let bundles = node.bundles(known, identities).into_iter().filter(|(_, bundle)| !bundle.pem.is_empty());
        let bundles: Vec<Trusted> = bundles.map(|(domain, bundle)| (domain.clone(), bundle.pem.clone())).collect();
        let own = bundles.iter().find(|(domain, _)| *domain == node.domain);
        let own = own.ok_or_else(|| Status::unavailable("there is no bundle of the own trust domain yet"))?;
        let validation = asked.validation;
        let of = |name: &str, bundles: &[Trusted]| Resource::Bundles {
            name: name.to_owned(),
            bundles: bundles.to_vec(),
            validation,
        };
        let each = bundles.iter().map(|one| (key_of(&one.0), one)).filter(|(name, _)| asked.wants(name));
        let mut resources: Vec<Resource> = each.map(|(name, one)| of(&name, std::slice::from_ref(one))).collect();
        if asked.names.contains(DEFAULT_BUNDLE) {
            resources.push(of(DEFAULT_BUNDLE, std::slice::from_ref(own)));
        }
        match (asked.names.contains(ALL_BUNDLES), validation) {
            (true, Validation::Spiffe) => resources.push(of(ALL_BUNDLES, &bundles)),
            (true, Validation::Authorities) => {
                return Err(Status::invalid_argument(
                    "`ALL` needs Envoy's SPIFFE validator: without it, authorities of one trust domain sign for another",
                ));
            }
            (false, Validation::Spiffe | Validation::Authorities) => {}
        }
        Ok(resources)
    }
}

/// The identities whose SVIDs are asked for.
fn wanted(asked: &Asked, identities: &[Identified]) -> Vec<Identified> {
    // the first that control does not refuse is the default: any of them may be
    let any = asked.names.contains(DEFAULT_SVID);
    identities.iter().filter(|identified| any || asked.wants(&identified.id.to_string())).cloned().collect()
}

/// Words of a process, quoted, and no more of them than fit a line.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(MOST_SHOWN).collect::<String>())
}
