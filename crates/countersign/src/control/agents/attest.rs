//! The exchange by which a node is attested: its evidence, a challenge where the method has one, and the SVID of its agent.
//!
//! A challenge is kept by the exchange that made it and by nothing else: what answers one is worth nothing in another.

use std::time::Duration;

use bytes::Bytes;
use credential::{
    CHALLENGE, Challenge, Message, NodeEvidence, NodeMethod, NodeProof, Possession, Statement, Token, is_reviewed,
};
use futures_util::{StreamExt, stream};
use model::TrustDomain;
use net::{Peer, challenge};
use tokio::time::timeout;
use tonic::{Status, Streaming};
use wire::Message as _;
use wire::agent::{AgentSvid, AttestRequest, AttestResponse, Chain, Evidence, attest_request, attest_response};

use super::errand::AgentErrand;
use super::service::{Agents, Streamed, status};

/// The one method for which an operator vouches alone.
pub(super) const JOIN_TOKEN: &str = "join_token";
/// How long a node may take for each step.
const STEP: Duration = Duration::from_secs(10);
/// Longest evidence, longest request and longest answer, in bytes.
const MAX_EVIDENCE: usize = 64 * 1024;

/// How the node goes about it.
enum Method {
    JoinToken,
    Node(NodeMethod),
}

impl Agents {
    /// The whole exchange; it begins with what the node says first.
    pub(super) async fn exchange(
        &self,
        peer: Peer,
        mut said: Streaming<AttestRequest>,
    ) -> Result<Streamed<AttestResponse>, Status> {
        let Some(attest_request::Step::Evidence(evidence)) = step(&mut said).await? else {
            return Err(Status::invalid_argument("the first message is the evidence"));
        };
        if evidence.payload.len() > MAX_EVIDENCE || evidence.csr.len() > MAX_EVIDENCE {
            return Err(Status::invalid_argument("evidence and request have at most 64 KiB each"));
        }
        match method(&evidence.method)? {
            Method::JoinToken => {
                let message = Message::Bearer(Token::new(&evidence.payload));
                let svid = self.attest(&peer, message, JOIN_TOKEN, &evidence).await?;
                Ok(stream::iter([Ok(last(svid))]).boxed())
            }
            Method::Node(
                method @ (NodeMethod::K8sPsat | NodeMethod::GcpIit | NodeMethod::AzureMsi | NodeMethod::AwsJwt),
            ) => self.by_token(&peer, method, &evidence).await,
            Method::Node(NodeMethod::AwsIid) => {
                self.at_once(&peer, NodeProof::AwsIid(&evidence.payload), &evidence).await
            }
            Method::Node(NodeMethod::AwsSts) => {
                let challenge = challenge();
                let agents = self.clone();
                let answered = async move { agents.caller(&peer, said, &evidence, &challenge).await.map(last) };
                Ok(asking(&challenge).chain(stream::once(answered)).boxed())
            }
            Method::Node(NodeMethod::Tpm) => self.by_tpm(peer, said, evidence).await,
            Method::Node(NodeMethod::X509Pop) => {
                let chain = Chain::decode(evidence.payload.clone()).map_err(|why| {
                    Status::invalid_argument(format!("the evidence is no chain of certificates: {why}"))
                })?;
                let challenge = challenge();
                let agents = self.clone();
                let answered =
                    async move { agents.possession(&peer, said, &evidence, &chain, &challenge).await.map(last) };
                Ok(asking(&challenge).chain(stream::once(answered)).boxed())
            }
        }
    }

    /// A token of a platform; what the platform's own server says of it beside, where it is asked.
    async fn by_token(
        &self,
        peer: &Peer,
        method: NodeMethod,
        evidence: &Evidence,
    ) -> Result<Streamed<AttestResponse>, Status> {
        let token = Token::new(&evidence.payload);
        let live = self.live();
        let sources = &live.snapshot.sources;
        let reviewed = evidence.source.parse().ok().filter(|source| is_reviewed(sources, source));
        let answers = match &reviewed {
            Some(source) if method == NodeMethod::K8sPsat => {
                Some(self.clusters.review(sources, source, &evidence.payload).await)
            }
            Some(_) | None => None,
        };
        let proof = match &answers {
            Some(answers) => NodeProof::Reviewed(token, answers),
            None => NodeProof::Token(method, token),
        };
        self.at_once(peer, proof, evidence).await
    }

    /// What is proved without a challenge.
    async fn at_once(
        &self,
        peer: &Peer,
        proof: NodeProof<'_>,
        evidence: &Evidence,
    ) -> Result<Streamed<AttestResponse>, Status> {
        let svid = self.prove(peer, proof, evidence).await?;
        Ok(stream::iter([Ok(last(svid))]).boxed())
    }

    /// The SVID of a node's agent, if the node is proved.
    pub(super) async fn prove(
        &self,
        peer: &Peer,
        proof: NodeProof<'_>,
        evidence: &Evidence,
    ) -> Result<AgentSvid, Status> {
        let method = proof.method();
        let presented = NodeEvidence { source: &evidence.source, proof };
        self.attest(peer, Message::Node(&presented), method.as_str(), evidence).await
    }

    /// What answers a challenge to sign.
    async fn possession(
        &self,
        peer: &Peer,
        mut said: Streaming<AttestRequest>,
        evidence: &Evidence,
        chain: &Chain,
        challenge: &Challenge,
    ) -> Result<AgentSvid, Status> {
        let answer = wire::agent::Possession::decode(answer(&mut said).await?)
            .map_err(|why| Status::invalid_argument(format!("the answer is no proof of possession: {why}")))?;
        let nonce = nonce(&answer.nonce)?;
        let domain = self.own_domain()?;
        let source = evidence.source.as_str();
        let statement = Statement { domain: &domain, source, challenge, nonce, request: &evidence.csr };
        let chain: Vec<Vec<u8>> = chain.certificates.iter().map(|der| der.to_vec()).collect();
        let proof = NodeProof::X509Pop(Possession { chain: &chain, statement, signature: &answer.signature });
        self.prove(peer, proof, evidence).await
    }

    pub(super) fn own_domain(&self) -> Result<TrustDomain, Status> {
        self.domain().ok_or_else(|| Status::unavailable("nothing is in force here: apply an estate first"))
    }

    async fn attest(
        &self,
        peer: &Peer,
        message: Message<'_>,
        method: &'static str,
        evidence: &Evidence,
    ) -> Result<AgentSvid, Status> {
        let errand = AgentErrand::Attest { method, request: evidence.csr.to_vec() };
        let _turn = self.turn(&self.lines.attestations, 1, (peer, Some(message)), || &errand).await?;
        let permit = self.admit(peer, Some(message), errand).await.map_err(|refusal| status(&refusal))?;
        self.hand_out(permit).await
    }
}

fn method(name: &str) -> Result<Method, Status> {
    if name == JOIN_TOKEN {
        return Ok(Method::JoinToken);
    }
    let found = NodeMethod::ALL.iter().find(|method| method.as_str() == name);
    found.map(|method| Method::Node(*method)).ok_or_else(|| {
        let known: Vec<&str> = NodeMethod::ALL.iter().map(|method| method.as_str()).collect();
        Status::invalid_argument(format!("the methods of attestation are {JOIN_TOKEN}, {}", known.join(", ")))
    })
}

async fn step(said: &mut Streaming<AttestRequest>) -> Result<Option<attest_request::Step>, Status> {
    let message = timeout(STEP, said.message()).await.or(Err(Status::deadline_exceeded("nothing is said in time")))?;
    Ok(message?.and_then(|message| message.step))
}

/// The second message: what answers a challenge.
pub(super) async fn answer(said: &mut Streaming<AttestRequest>) -> Result<Bytes, Status> {
    match step(said).await? {
        Some(attest_request::Step::Answer(answer)) if answer.len() <= MAX_EVIDENCE => Ok(answer),
        Some(_) | None => Err(Status::invalid_argument("the second message is the answer to the challenge")),
    }
}

/// Random bytes of a node.
pub(super) fn nonce(bytes: &[u8]) -> Result<&Challenge, Status> {
    bytes.try_into().or(Err(Status::invalid_argument(format!("a node's nonce has {CHALLENGE} bytes"))))
}

pub(super) fn asking(challenge: &[u8]) -> stream::Iter<std::array::IntoIter<Result<AttestResponse, Status>, 1>> {
    let step = attest_response::Step::Challenge(Bytes::copy_from_slice(challenge));
    stream::iter([Ok(AttestResponse { step: Some(step) })])
}

pub(super) fn last(svid: AgentSvid) -> AttestResponse {
    AttestResponse { step: Some(attest_response::Step::Svid(svid)) }
}
