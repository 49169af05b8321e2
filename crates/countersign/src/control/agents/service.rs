//! The service: each request becomes an errand, passes the gates, and is done.

use std::borrow::Borrow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{Message, NodeMethod, Presented};
use futures_util::{Stream, StreamExt, stream};
use guard::{NoRoom, Permit};
use http::StatusCode;
use issuer::CertificateRequest;
use model::{Code, Layer, PrincipalId, Selector, Selectors, Time, TrustDomain};
use net::{Peer, now};
use store::{Again, Attest, KeptAgent, StateFault};
use tonic::{Request, Response, Status, Streaming};
use wire::agent::control_plane_server::ControlPlane;
use wire::agent::{
    AgentSvid, AttestRequest, AttestResponse, FollowRequest, MintJwtRequest, MintJwtResponse, MintWitRequest,
    MintWitResponse, MintX509Request, MintX509Response, Order, Refusal, RenewRequest, Update, WitAnswer, Workload,
    X509Answer, mint_jwt_response, wit_answer, x509_answer,
};

use super::super::audience::Audience;
use super::super::perform::{Settling, enrolment_token};
use super::super::reading::ReadingSlot;
use super::super::svids::{self, Bearer, SvidOrder, Unminted};
use super::super::{Control, channel};
use super::clusters::Clusters;
use super::errand::{AgentErrand, Claimed, PROTOCOL};
use super::follow::Following;
use super::line::{Line, Lines, Turn};
use super::mint::{Minting, NotMinted};
use super::nodes::Node;
use crate::issuing::certificates_in;
use crate::live::Live;

/// Most orders of one request.
const MOST_ORDERS: usize = 500;
/// How many of them wait for the ledger together.
const TOGETHER: usize = 128;
/// Life of an agent's SVID; it is renewed at half of it.
const AGENT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Most audiences of one JWT-SVID, and the longest of them, in bytes.
const MAX_AUDIENCES: usize = 32;
const MAX_AUDIENCE: usize = 1024;

pub(super) type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves node agents.
#[derive(Clone)]
pub(super) struct Agents {
    control: Arc<Control>,
    pub(super) clusters: Arc<Clusters>,
    pub(super) lines: Arc<Lines>,
}

impl Agents {
    pub(super) fn new(control: Arc<Control>, clusters: Clusters) -> Self {
        Self { control, clusters: Arc::new(clusters), lines: Arc::default() }
    }

    pub(super) async fn admit(
        &self,
        peer: &Peer,
        message: Option<Message<'_>>,
        errand: AgentErrand,
    ) -> Result<Permit<AgentErrand, ReadingSlot>, guard::Refusal> {
        let presented = Presented { channel: channel(peer), message };
        self.control.judge(PROTOCOL, errand.operation(), &presented, errand.asked()).await
    }

    /// Who is at the other end, as far as its certificates say: enough to have a place in a line.
    fn in_line(&self, peer: &Peer) -> PrincipalId {
        let (Peer::Tls(peer) | Peer::Vouched(_, peer)) = peer else { return PrincipalId::Anonymous };
        let found = self.control.live().load().snapshot.sources.check(peer, now());
        found.ok().and_then(|found| found.key.concat().parse().ok()).unwrap_or(PrincipalId::Anonymous)
    }

    /// The turn of an errand, or of as many as `weight` says of which it is the first: of these too there is one record where
    /// there is no turn, so that what is too much is not made more.
    pub(super) async fn turn<E: Borrow<AgentErrand>>(
        &self,
        line: &Line,
        weight: usize,
        (peer, message): (&Peer, Option<Message<'_>>),
        errand: impl FnOnce() -> E,
    ) -> Result<Turn, Status> {
        match line.turn(&self.in_line(peer), weight as u32).await {
            Ok(turn) => Ok(turn),
            Err(NoRoom) => Err(self.turned_away(peer, message, errand().borrow()).await),
        }
    }

    /// Says that there was no turn for an errand. It is judged as others are, so that it stands in the ledger.
    async fn turned_away(&self, peer: &Peer, message: Option<Message<'_>>, errand: &AgentErrand) -> Status {
        let presented = Presented { channel: channel(peer), message };
        let judged = self.control.judge(PROTOCOL, errand.operation(), &presented, errand.late()).await;
        judged.err().map_or_else(|| Status::unavailable("there was no turn for it"), |refusal| status(&refusal))
    }

    /// The trust domain of what is in force.
    pub(super) fn domain(&self) -> Option<TrustDomain> {
        self.live().domain.clone()
    }

    pub(super) fn live(&self) -> Arc<Live> {
        self.control.epochs.live().load_full()
    }

    /// Mints the agent's own SVID, and keeps what was attested of its node, if it was.
    pub(super) async fn hand_out(&self, permit: Permit<AgentErrand, ReadingSlot>) -> Result<AgentSvid, Status> {
        let (at, record) = (now(), permit.id());
        let (id, issued) = asking(&permit);
        let token = enrolment_token(&permit);
        let selectors = attested(&permit);
        let (errand, settlement) = permit.begin();
        let settling = Settling(settlement);
        let (method, request) = match errand {
            AgentErrand::Attest { method, request } => (Some(method), request),
            AgentErrand::Renew { request } => match self.node(&id, issued).await {
                Ok(_) => (None, request),
                Err(unknown) => {
                    unknown.settle(settling);
                    return Err(unknown.status());
                }
            },
            AgentErrand::Follow
            | AgentErrand::MintX509 { .. }
            | AgentErrand::MintJwt { .. }
            | AgentErrand::MintWit { .. } => {
                settling.settle(StatusCode::UNPROCESSABLE_ENTITY);
                return Err(Status::internal("not an errand for an SVID of an agent"));
            }
        };
        let key = key_of(&request);
        let order = SvidOrder { bearer: Bearer::Part { id: id.clone(), hosts: Vec::new() }, request, ttl: AGENT_LIFE };
        // what proved the agent this time is followed by it, and bounds nothing
        let minted = match svids::mint(&self.control.epochs, &order, Time::MAX, at) {
            Ok(minted) => minted,
            Err(why) => {
                settling.settle(StatusCode::UNPROCESSABLE_ENTITY);
                return Err(unminted(&why));
            }
        };
        if let Some(method) = method {
            let (attested, record) = (at.to_string(), record.to_string());
            let of_anybody = NodeMethod::ALL.iter().any(|one| one.as_str() == method && one.is_anybodys());
            let agent = KeptAgent { id: id.clone(), attested, record, method: method.to_owned(), selectors };
            // INVARIANT: spent before anything is handed out, and only by a request that could be minted
            let again = if of_anybody { Again::SameKey } else { Again::Anyone };
            match self.control.epochs.state().attest(token.as_deref(), &agent, &key, again).await {
                Ok(Attest::Attested) => self.control.nodes.forget(&id),
                Ok(Attest::Spent) => {
                    settling.replayed();
                    return Err(Status::unauthenticated(format!("who asks is not proved (record {})", agent.record)));
                }
                Ok(Attest::Taken) => {
                    settling.refused(Code::NoPermit);
                    return Err(Status::permission_denied(format!(
                        "this node was attested by another key, and {method} proves no more than to be on it: at the control \
                         plane, `countersign agent evict` lets another come (record {})",
                        agent.record
                    )));
                }
                Err(why) => {
                    settling.settle(StatusCode::SERVICE_UNAVAILABLE);
                    return Err(Status::unavailable(net::causes::chain(&why)));
                }
            }
        }
        settling.settle(StatusCode::OK);
        let der = |pem: &str| certificates_in(pem.as_bytes()).map_err(|why| Status::internal(net::causes::chain(&why)));
        let bytes = |all: Vec<Vec<u8>>| all.into_iter().map(Bytes::from).collect();
        Ok(AgentSvid { id: minted.id, chain: bytes(der(&minted.svid)?), authorities: bytes(der(&minted.bundle)?) })
    }

    /// The node of an agent, if what was attested of it stands.
    async fn node(&self, agent: &str, issued: Option<Time>) -> Result<Arc<Node>, NoNode> {
        let node = self.control.nodes.of(self.control.epochs.state(), agent, issued).await.map_err(NoNode::Unread)?;
        node.ok_or(NoNode::Unknown)
    }

    async fn x509(&self, peer: &Peer, order: Order) -> x509_answer::Answer {
        let minted = self.minted(peer, x509(order), |minting, errand, _| {
            let AgentErrand::MintX509 { workload, request } = errand else { return Err(NotMinted::NoEnvironment) };
            minting.x509(workload, request)
        });
        match minted.await {
            Ok(svid) => x509_answer::Answer::Svid(svid),
            Err(refusal) => x509_answer::Answer::Refusal(refusal),
        }
    }

    async fn wit(&self, peer: &Peer, order: Order) -> wit_answer::Answer {
        let minted = self.minted(peer, wit(order), |minting, errand, record| {
            let AgentErrand::MintWit { workload, request } = errand else { return Err(NotMinted::NoEnvironment) };
            minting.wit(workload, request, record)
        });
        match minted.await {
            Ok(svid) => wit_answer::Answer::Svid(svid),
            Err(refusal) => wit_answer::Answer::Refusal(refusal),
        }
    }

    /// Has something minted for a workload, if the gates let the agent through.
    async fn minted<T>(
        &self,
        peer: &Peer,
        errand: AgentErrand,
        mint: impl FnOnce(&Minting<'_>, &AgentErrand, model::RecordId) -> Result<T, NotMinted>,
    ) -> Result<T, Refusal> {
        let permit = self.admit(peer, None, errand).await.map_err(|refusal| refused(&refusal))?;
        let (until, record) = (permit.deadline(), permit.id());
        let (agent, issued) = asking(&permit);
        let (errand, settlement) = permit.begin();
        let settling = Settling(settlement);
        let epochs = &self.control.epochs;
        let node = match self.control.nodes.of(epochs.state(), &agent, issued).await {
            Ok(node) => node,
            Err(why) => {
                tracing::error!(error = net::causes::chain(&why), "what is known of a node cannot be read");
                settling.settle(StatusCode::SERVICE_UNAVAILABLE);
                return Err(Refusal { code: Code::Overloaded.to_string(), record: record.to_string(), again: true });
            }
        };
        let live = epochs.live().load_full();
        let minted = match (epochs.issuer(), node) {
            (None, _) => Err(NotMinted::NoEnvironment),
            (_, None) => Err(NotMinted::NoNode),
            (Some(issuer), Some(node)) => {
                let registry = epochs.registry();
                let minting =
                    Minting { live: &live, registry, issuer: &issuer, node: &node.selectors, until, at: now() };
                mint(&minting, &errand, record)
            }
        };
        match minted {
            Ok(minted) => {
                settling.settle(StatusCode::OK);
                Ok(minted)
            }
            Err(why) => {
                tracing::warn!(agent, record = %record, why = net::causes::chain(&why), "an SVID is not minted");
                settling.refused(why.code());
                Err(Refusal { code: why.code().to_string(), record: record.to_string(), again: why.passes() })
            }
        }
    }
}

#[tonic::async_trait]
impl ControlPlane for Agents {
    type AttestStream = Streamed<AttestResponse>;
    type FollowStream = Streamed<Update>;

    async fn attest(&self, request: Request<Streaming<AttestRequest>>) -> Result<Response<Self::AttestStream>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(self.exchange(peer, request.into_inner()).await?))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<AgentSvid>, Status> {
        let peer = peer(&request)?;
        let errand = AgentErrand::Renew { request: request.into_inner().csr.to_vec() };
        let _turn = self.turn(&self.lines.renewals, 1, (&peer, None), || &errand).await?;
        let permit = self.admit(&peer, None, errand).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.hand_out(permit).await?))
    }

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let peer = peer(&request)?;
        let permit = self.admit(&peer, None, AgentErrand::Follow).await.map_err(|refusal| status(&refusal))?;
        let (agent, issued) = asking(&permit);
        let audience = Audience { peer, live: self.control.live(), until: permit.deadline() };
        let (_, settlement) = permit.begin();
        let node = match self.node(&agent, issued).await {
            Ok(node) => node,
            Err(unknown) => {
                unknown.settle(Settling(settlement));
                return Err(unknown.status());
            }
        };
        let following = Following::new(Arc::clone(&self.control), (agent, issued, node), audience, settlement);
        let updates = stream::unfold(following, |mut following| async move {
            following.next().await.map(|update| (update, following))
        });
        Ok(Response::new(updates.boxed()))
    }

    async fn mint_x509(&self, request: Request<MintX509Request>) -> Result<Response<MintX509Response>, Status> {
        let peer = peer(&request)?;
        let orders = bounded(request.into_inner().orders)?;
        let Some(first) = orders.first() else { return Ok(Response::new(MintX509Response::default())) };
        let _turn = self.turn(&self.lines.x509, orders.len(), (&peer, None), || x509(first.clone())).await?;
        let answered = |order| async { X509Answer { answer: Some(self.x509(&peer, order).await) } };
        // together, so that one write to the disk is for many
        let answers = stream::iter(orders).map(answered).buffered(TOGETHER).collect().await;
        Ok(Response::new(MintX509Response { answers }))
    }

    async fn mint_jwt(&self, request: Request<MintJwtRequest>) -> Result<Response<MintJwtResponse>, Status> {
        let peer = peer(&request)?;
        let MintJwtRequest { workload, audience } = request.into_inner();
        if audience.len() > MAX_AUDIENCES || audience.iter().any(|one| one.is_empty() || one.len() > MAX_AUDIENCE) {
            return Err(Status::invalid_argument("a JWT-SVID has at most 32 audiences of 1 to 1024 bytes"));
        }
        let errand = AgentErrand::MintJwt { workload: claimed(workload.unwrap_or_default()), audience };
        let _turn = self.turn(&self.lines.jwt, 1, (&peer, None), || &errand).await?;
        let minted = self.minted(&peer, errand, |minting, errand, record| {
            let AgentErrand::MintJwt { workload, audience } = errand else { return Err(NotMinted::NoEnvironment) };
            minting.jwt(workload, audience, record)
        });
        let answer = match minted.await {
            Ok(svid) => mint_jwt_response::Answer::Svid(svid),
            Err(refusal) => mint_jwt_response::Answer::Refusal(refusal),
        };
        Ok(Response::new(MintJwtResponse { answer: Some(answer) }))
    }

    async fn mint_wit(&self, request: Request<MintWitRequest>) -> Result<Response<MintWitResponse>, Status> {
        if self.control.issuer().is_some_and(|issuer| issuer.wit.is_none()) {
            return Err(Status::unimplemented("no WIT-SVIDs are signed here"));
        }
        let peer = peer(&request)?;
        let orders = bounded(request.into_inner().orders)?;
        let Some(first) = orders.first() else { return Ok(Response::new(MintWitResponse::default())) };
        let _turn = self.turn(&self.lines.wit, orders.len(), (&peer, None), || wit(first.clone())).await?;
        let answered = |order| async { WitAnswer { answer: Some(self.wit(&peer, order).await) } };
        let answers = stream::iter(orders).map(answered).buffered(TOGETHER).collect().await;
        Ok(Response::new(MintWitResponse { answers }))
    }
}

fn bounded(orders: Vec<Order>) -> Result<Vec<Order>, Status> {
    if orders.len() > MOST_ORDERS {
        return Err(Status::invalid_argument(format!("a request has at most {MOST_ORDERS} orders")));
    }
    Ok(orders)
}

/// SHA-256 of the key that a request is for; of one that cannot be read nothing is minted.
fn key_of(request: &[u8]) -> String {
    let key = CertificateRequest::read(request).map(|request| request.key());
    key.map(|key| credential::digest_of(&key).to_string()).unwrap_or_default()
}

/// Why nothing is known of an agent's node.
enum NoNode {
    Unknown,
    Unread(StateFault),
}

impl NoNode {
    fn settle(&self, settling: Settling) {
        match self {
            Self::Unknown => settling.refused(Code::NoPermit),
            Self::Unread(_) => settling.settle(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Unknown => Status::permission_denied(
                "what was attested of the node counts no more: it was evicted, or attested anew since; attest it again",
            ),
            Self::Unread(why) => Status::unavailable(net::causes::chain(why)),
        }
    }
}

/// The agent that asks, and since when it has the SVID by which it does.
fn asking(permit: &Permit<AgentErrand, ReadingSlot>) -> (String, Option<Time>) {
    let resolution = permit.caller().resolution();
    (resolution.actor.id.to_string(), resolution.proved().next().and_then(|finding| finding.issued))
}

/// What was attested of the node: the record has it in the same words.
fn attested(permit: &Permit<AgentErrand, ReadingSlot>) -> Selectors {
    let findings = permit.caller().resolution().proved();
    findings.flat_map(|finding| &finding.display).filter_map(|(name, value)| Selector::of(name, value)).collect()
}

fn x509(order: Order) -> AgentErrand {
    AgentErrand::MintX509 { workload: claimed(order.workload.unwrap_or_default()), request: order.csr.to_vec() }
}

fn wit(order: Order) -> AgentErrand {
    AgentErrand::MintWit { workload: claimed(order.workload.unwrap_or_default()), request: order.csr.to_vec() }
}

fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    request.extensions().get::<Peer>().cloned().ok_or_else(|| Status::internal("a request without a connection"))
}

fn claimed(workload: Workload) -> Claimed {
    let Workload { registration, digest, id, selectors } = workload;
    Claimed { registration, digest: digest.to_vec(), id, selectors }
}

fn unminted(why: &Unminted) -> Status {
    match why {
        Unminted::NoEnvironment => Status::unavailable(why.to_string()),
        Unminted::Request(_) | Unminted::Pem(_) | Unminted::Unsound(_) => {
            Status::invalid_argument(net::causes::chain(why))
        }
        Unminted::Unknown { .. }
        | Unminted::Own { .. }
        | Unminted::Human { .. }
        | Unminted::Expired { .. }
        | Unminted::Ttl
        | Unminted::Mint(_) => Status::internal(net::causes::chain(why)),
    }
}

/// What guard refused, as gRPC says it. Who is not proved learns nothing of why.
pub(super) fn status(refusal: &guard::Refusal) -> Status {
    let record = refusal.record.map(|record| record.to_string()).unwrap_or_default();
    if refusal.code == Code::KeysUnavailable {
        // it may be proved in a while: whoever is what it says comes again
        return Status::unavailable(format!("who asks cannot be proved now (record {record})"));
    }
    if refusal.peer == guard::Peer::Unproved || refusal.code.layer() == Layer::Identity {
        return Status::unauthenticated(format!("who asks is not proved (record {record})"));
    }
    let said = format!("{}: {} (record {record})", refusal.code, refusal.code.title());
    match refusal.code.layer() {
        Layer::Access => Status::permission_denied(said),
        Layer::System => Status::unavailable(said),
        Layer::Protocol | Layer::Identity => Status::invalid_argument(said),
    }
}

/// The same for one order of several.
fn refused(refusal: &guard::Refusal) -> Refusal {
    // an agent that is not proved will be, with its next SVID: nothing is said of the workload
    let again = matches!(refusal.code.layer(), Layer::System | Layer::Identity);
    let record = refusal.record.map(|record| record.to_string()).unwrap_or_default();
    Refusal { code: refusal.code.to_string(), record, again }
}
