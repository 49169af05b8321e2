//! The service: each request becomes an errand, passes the gates, and is done.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{Channel, Message, Presented, Token};
use futures_util::{Stream, StreamExt, stream};
use guard::Permit;
use http::StatusCode;
use model::{Code, Layer, Time};
use net::{Peer, now};
use store::{Enrol, KeptAgent};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use wire::agent::control_plane_server::ControlPlane;
use wire::agent::{
    AgentSvid, AttestRequest, AttestResponse, FollowRequest, MintJwtRequest, MintJwtResponse, MintX509Request,
    MintX509Response, Refusal, RenewRequest, Update, Workload, X509Answer, X509Order, attest_request, attest_response,
    mint_jwt_response, x509_answer,
};

use super::super::Control;
use super::super::audience::Audience;
use super::super::perform::{Settling, enrolment_token};
use super::super::reading::ReadingSlot;
use super::super::svids::{self, Bearer, SvidOrder, Unminted};
use super::errand::{AgentErrand, Claimed, PROTOCOL};
use super::follow::Following;
use super::mint::{Minting, NotMinted};
use super::nodes::Nodes;
use crate::issuing::certificates_in;

/// Most orders of one request.
const MOST_ORDERS: usize = 500;
/// How many of them wait for the ledger together.
const TOGETHER: usize = 128;
/// How long a node may take for each step of its attestation.
const STEP: Duration = Duration::from_secs(10);
/// Longest evidence and longest request, in bytes.
const MAX_EVIDENCE: usize = 64 * 1024;
/// Life of an agent's SVID; it is renewed at half of it.
const AGENT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The one method for which an operator vouches alone.
const JOIN_TOKEN: &str = "join_token";
/// Most audiences of one JWT-SVID, and the longest of them, in bytes.
const MAX_AUDIENCES: usize = 32;
const MAX_AUDIENCE: usize = 1024;

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves node agents.
#[derive(Clone)]
pub(super) struct Agents {
    control: Arc<Control>,
    nodes: Arc<Nodes>,
}

impl Agents {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self { control, nodes: Arc::default() }
    }

    async fn admit(
        &self,
        peer: &Peer,
        token: Option<&[u8]>,
        errand: AgentErrand,
    ) -> Result<Permit<AgentErrand, ReadingSlot>, guard::Refusal> {
        let channel = match peer {
            Peer::Tls(peer) => Some(Channel::Tls(peer)),
            Peer::Network => None,
            Peer::Local(peer) => Some(Channel::Kernel(*peer)),
            Peer::Process(process) => Some(Channel::Kernel(process.credentials())),
        };
        let presented = Presented { channel, message: token.map(|token| Message::Bearer(Token::new(token))) };
        self.control.judge(PROTOCOL, errand.operation(), &presented, errand.asked()).await
    }

    /// Mints the agent's own SVID, and keeps what was attested of its node.
    async fn hand_out(
        &self,
        permit: Permit<AgentErrand, ReadingSlot>,
        kept: Option<(&str, &[model::Selector])>,
    ) -> Result<AgentSvid, Status> {
        let (at, record) = (now(), permit.id());
        let id = permit.caller().resolution().actor.id.to_string();
        let token = enrolment_token(&permit);
        let (errand, settlement) = permit.begin();
        let settling = Settling(settlement);
        let (AgentErrand::Attest { request } | AgentErrand::Renew { request }) = errand else {
            settling.settle(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(Status::internal("not an errand for an SVID of an agent"));
        };
        let order = SvidOrder { bearer: Bearer::Part { id: id.clone(), hosts: Vec::new() }, request, ttl: AGENT_LIFE };
        // what proved the agent this time is followed by it, and bounds nothing
        let minted = match svids::mint(&self.control.epochs, &order, Time::MAX, at) {
            Ok(minted) => minted,
            Err(why) => {
                settling.settle(StatusCode::UNPROCESSABLE_ENTITY);
                return Err(unminted(&why));
            }
        };
        if let Some((method, selectors)) = kept {
            let agent = KeptAgent {
                id: id.clone(),
                attested: at.to_string(),
                record: record.to_string(),
                method: method.to_owned(),
                selectors: selectors.iter().cloned().collect(),
            };
            // INVARIANT: spent before anything is handed out, and only by a request that could be minted
            match self.control.epochs.state().attest(token.as_deref(), &agent).await {
                Ok(Enrol::Enrolled) => self.nodes.forget(&id),
                Ok(Enrol::Spent) => {
                    settling.replayed();
                    return Err(Status::unauthenticated(format!("who asks is not proved (record {record})")));
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

    async fn x509(&self, peer: &Peer, order: X509Order) -> x509_answer::Answer {
        let workload = claimed(order.workload.unwrap_or_default());
        let errand = AgentErrand::MintX509 { workload, request: order.csr.to_vec() };
        match self
            .minted(peer, errand, |minting, errand, _| match errand {
                AgentErrand::MintX509 { workload, request } => minting.x509(workload, request),
                AgentErrand::Attest { .. }
                | AgentErrand::Renew { .. }
                | AgentErrand::Follow
                | AgentErrand::MintJwt { .. } => Err(NotMinted::NoEnvironment),
            })
            .await
        {
            Ok(svid) => x509_answer::Answer::Svid(svid),
            Err(refusal) => x509_answer::Answer::Refusal(refusal),
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
        let agent = permit.caller().resolution().actor.id.to_string();
        let (errand, settlement) = permit.begin();
        let settling = Settling(settlement);
        let epochs = &self.control.epochs;
        let node = match self.nodes.of(epochs.state(), &agent).await {
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
                let minting = Minting { live: &live, registry, issuer: &issuer, node: &node, until, at: now() };
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
        let mut said = request.into_inner();
        let first = timeout(STEP, said.message()).await.or(Err(Status::deadline_exceeded("no evidence in time")))?;
        let Some(attest_request::Step::Evidence(evidence)) = first?.and_then(|message| message.step) else {
            return Err(Status::invalid_argument("the first message is the evidence"));
        };
        if evidence.payload.len() > MAX_EVIDENCE || evidence.csr.len() > MAX_EVIDENCE {
            return Err(Status::invalid_argument("evidence and request have at most 64 KiB each"));
        }
        if evidence.method != JOIN_TOKEN {
            return Err(Status::invalid_argument("there is no such method of attestation here"));
        }
        let errand = AgentErrand::Attest { request: evidence.csr.to_vec() };
        let permit = self.admit(&peer, Some(&evidence.payload), errand).await.map_err(|refusal| status(&refusal))?;
        let svid = self.hand_out(permit, Some((JOIN_TOKEN, &[]))).await?;
        let last = AttestResponse { step: Some(attest_response::Step::Svid(svid)) };
        Ok(Response::new(stream::iter([Ok(last)]).boxed()))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<AgentSvid>, Status> {
        let peer = peer(&request)?;
        let errand = AgentErrand::Renew { request: request.into_inner().csr.to_vec() };
        let permit = self.admit(&peer, None, errand).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.hand_out(permit, None).await?))
    }

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let peer = peer(&request)?;
        let permit = self.admit(&peer, None, AgentErrand::Follow).await.map_err(|refusal| status(&refusal))?;
        let agent = permit.caller().resolution().actor.id.to_string();
        let audience = Audience { peer, live: self.control.live(), until: permit.deadline() };
        let (_, settlement) = permit.begin();
        let epochs = Arc::clone(&self.control.epochs);
        let node = match self.nodes.of(epochs.state(), &agent).await {
            Ok(Some(node)) => node,
            Ok(None) => {
                Settling(settlement).refused(Code::NoPermit);
                return Err(Status::permission_denied("the node was never attested here"));
            }
            Err(why) => {
                Settling(settlement).settle(StatusCode::SERVICE_UNAVAILABLE);
                return Err(Status::unavailable(net::causes::chain(&why)));
            }
        };
        let following = Following::new(epochs, node, audience, settlement);
        let updates = stream::unfold(following, |mut following| async move {
            following.next().await.map(|update| (update, following))
        });
        Ok(Response::new(updates.boxed()))
    }

    async fn mint_x509(&self, request: Request<MintX509Request>) -> Result<Response<MintX509Response>, Status> {
        let peer = peer(&request)?;
        let orders = request.into_inner().orders;
        if orders.len() > MOST_ORDERS {
            return Err(Status::invalid_argument(format!("a request has at most {MOST_ORDERS} orders")));
        }
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
        let minted = self.minted(&peer, errand, |minting, errand, record| match errand {
            AgentErrand::MintJwt { workload, audience } => minting.jwt(workload, audience, record),
            AgentErrand::Attest { .. }
            | AgentErrand::Renew { .. }
            | AgentErrand::Follow
            | AgentErrand::MintX509 { .. } => Err(NotMinted::NoEnvironment),
        });
        let answer = match minted.await {
            Ok(svid) => mint_jwt_response::Answer::Svid(svid),
            Err(refusal) => mint_jwt_response::Answer::Refusal(refusal),
        };
        Ok(Response::new(MintJwtResponse { answer: Some(answer) }))
    }
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
fn status(refusal: &guard::Refusal) -> Status {
    let record = refusal.record.map(|record| record.to_string()).unwrap_or_default();
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
