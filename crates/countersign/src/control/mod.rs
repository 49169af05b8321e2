//! The control door: HTTP and JSON over a local socket, and over TLS for operators elsewhere and for planes, described in `api/control.yaml`. Operators
//! have no side door: whoever connects is resolved, by the kernel's word or by what it presents, and passes `admit` like
//! every caller.

mod agents;
mod audience;
mod authorities;
mod command;
mod explain;
mod feed;
mod nested;
mod overdue;
mod own;
mod perform;
mod planes;
mod reading;
mod registering;
mod replay;
mod reply;
mod resolving;
mod revoking;
mod status;
mod svids;
mod tail;
mod whatif;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{Channel, Message, PeerCertificates, PeerCredentials, Presented, Token};
use guard::{Asked, Call, Errand, Freshness, Operation, Permit};
use http::header;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use identity::Access;
use model::Code;
use net::svid::Minted;
use net::tls::{Check, OwnSvid};
use net::{Door, Peer, Stop, now, record_id, trace_id};
use serde_json::Value;
use store::{DiskSigner, FileLedger};
use tokio::time::sleep;

use self::overdue::Overdue;
use self::reading::{ReadingLedger, ReadingSlot};
use self::reply::Reply;
use crate::epochs::{Applied, ApplyFailed, Epochs, How};
use crate::estate::Bundle;
use crate::issuing::Issuer;
use crate::live::{Current, End, ends};
use crate::vitals::Vitals;

pub use agents::{Clusters, Planes};
pub use authorities::{AuthorityKind, AuthorityOrder, AuthorityRequest, AuthorityVerb};
pub use command::{
    Command, EstateRequest, EvictionRequest, Registering, Replay, ResolveRequest, RollBackRequest, Selector, Shown,
};
pub use explain::{NotFound, Where, explain};
pub use feed::Feed;
pub use own::{NoSvid, OwnPart};
pub use planes::{EnrolmentRequest, PlaneRole};
pub use replay::{Differs, Replayed, replay};
pub use reply::ControlBody;
pub use resolving::{Resolved, resolve_certificate, resolve_token};
pub use revoking::{Act, Kind, NotRevoked, OwnGateway, Revocation, RevocationRequest};
pub use svids::{Bearer, SvidOrder, SvidRequest, Unminted};
pub use whatif::{BadQuestion, DecideContext, DecideRequest, decide};

const DOOR: &str = "control";
const PROTOCOL: &str = "control";
/// Longest body of a request, in bytes: an estate and its JSON.
const MAX_BODY: usize = 96 * 1024 * 1024;
/// Longest body of a request by a peer without a certificate, in bytes.
const MAX_STRANGERS_BODY: usize = 64 * 1024;
const SCHEME: &[u8] = b"Bearer ";
/// How often it is looked at whether a connection's certificates still hold.
const LOOK: Duration = Duration::from_secs(1);

/// The control door of one server.
pub struct Control {
    epochs: Arc<Epochs>,
    ledger: Arc<FileLedger>,
    signer: DiskSigner,
    ledger_directory: PathBuf,
    /// What this server is, for those who ask.
    description: Value,
    post: Post,
    vitals: Arc<Vitals>,
    /// What is known of nodes whose agents come here.
    nodes: agents::Nodes,
    overdue: Overdue,
}

/// What a process does beside its control door.
pub enum Post {
    /// It lets calls through, or not.
    Gateway,
    /// It says to planes what is in force.
    Control(Arc<Feed>),
}

impl Control {
    pub fn new(
        epochs: Arc<Epochs>,
        ledger: Arc<FileLedger>,
        signer: DiskSigner,
        ledger_directory: PathBuf,
        description: Value,
        post: Post,
        vitals: Arc<Vitals>,
    ) -> Self {
        let nodes = agents::Nodes::default();
        Self { epochs, ledger, signer, ledger_directory, description, post, vitals, nodes, overdue: Overdue::default() }
    }

    /// Holds operators, planes and others on the network to what is in force when they come.
    pub fn callers(&self) -> Arc<Check> {
        let live = self.live();
        Arc::new(move |peer: &PeerCertificates| live.load().snapshot.sources.check(peer, now()))
    }

    /// Tells planes what is in force, until asked to stop.
    pub async fn tell(&self, stop: Stop) {
        match &self.post {
            Post::Control(feed) => feed.keep(&self.epochs, stop).await,
            Post::Gateway => {}
        }
    }

    const fn own_gateway(&self) -> OwnGateway {
        match self.post {
            Post::Gateway => OwnGateway::Here,
            Post::Control(_) => OwnGateway::None,
        }
    }

    pub fn live(&self) -> Current {
        self.epochs.live()
    }

    /// What is in force, as it was given; none before the first epoch.
    pub async fn in_force(&self) -> Option<Bundle> {
        self.epochs.bundle().await
    }

    /// Puts in force what other nodes apply, until asked to stop.
    pub async fn follow(&self, stop: Stop) {
        self.epochs.follow(stop).await;
    }

    /// Applies an estate as the directory's owner, through the same gates as everyone.
    ///
    /// # Errors
    /// [`ApplyFailed`].
    pub async fn apply_as_owner(&self, bundle: Bundle, uid: u32) -> Result<Applied, ApplyFailed> {
        let permit = self
            .admit(&by_kernel(owner(uid)), Ok(Command::Apply { bundle, how: How::default() }))
            .await
            .map_err(ApplyFailed::Refused)?;
        self.perform_apply(permit).await
    }

    /// Mints an SVID as the directory's owner, through the same gates as everyone.
    ///
    /// # Errors
    /// [`NotMinted`].
    pub async fn mint_as_owner(&self, order: SvidOrder, uid: u32) -> Result<Minted, NotMinted> {
        let permit =
            self.admit(&by_kernel(owner(uid)), Ok(Command::MintSvid(order))).await.map_err(NotMinted::Refused)?;
        Ok(self.perform_mint(permit)?)
    }

    /// Who issues for the trust domain in force, or for the one that this process serves.
    pub fn issuer(&self) -> Option<Arc<Issuer>> {
        self.epochs.issuer()
    }

    /// The SVID with which this server connects and serves.
    pub fn own_svid(&self) -> &Arc<OwnSvid> {
        self.epochs.connections().own()
    }

    async fn admit(
        &self,
        presented: &Presented<'_>,
        command: Result<Command, Code>,
    ) -> Result<Permit<Command, ReadingSlot>, guard::Refusal> {
        let operation = command.as_ref().map_or("unknown", Command::operation);
        let asked = match command.map(|command| (command.question(), command)) {
            Ok((Some(question), errand)) => Asked::Operation(Operation { question, access: Access::Proved, errand }),
            Ok((None, _)) => Asked::Unmapped { code: Code::OperationUnmapped, service: None },
            Err(code) => Asked::Unmapped { code, service: None },
        };
        self.judge(PROTOCOL, operation, presented, asked).await
    }

    /// Whatever is asked at this door, in whatever it is spoken, passes here.
    async fn judge<E: Errand>(
        &self,
        protocol: &'static str,
        operation: &str,
        presented: &Presented<'_>,
        asked: Asked<E>,
    ) -> Result<Permit<E, ReadingSlot>, guard::Refusal> {
        let live = self.live().load_full();
        let operation = Some(operation.to_owned());
        let (id, trace, freshness) = (record_id(), trace_id(), Freshness::NOW);
        let call = Call { id, trace, door: DOOR, protocol, operation, freshness };
        guard::admit(&live.snapshot, &ReadingLedger(&self.ledger), &call, presented, asked, now()).await
    }
}

/// What the connection proves of who is at its other end.
fn channel(peer: &Peer) -> Option<Channel<'_>> {
    match peer {
        Peer::Local(peer) => Some(Channel::Kernel(*peer)),
        Peer::Process(process) => Some(Channel::Kernel(process.credentials())),
        Peer::Tls(peer) | Peer::Vouched(_, peer) => Some(Channel::Tls(peer)),
        Peer::Network => None,
    }
}

impl Door for Control {
    type Body = ControlBody;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<ControlBody> {
        let (parts, body) = request.into_parts();
        // who has proved nothing sends nothing large
        let most = if matches!(peer, Peer::Network) { MAX_STRANGERS_BODY } else { MAX_BODY };
        let body = match Limited::new(body, most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Reply::invalid(&format!("the body cannot be read: {error}")).into(),
        };
        let command = read(&parts, &body);
        let why = command.as_ref().err().map(ToString::to_string);
        let code = |bad: command::BadCommand| match bad {
            command::BadCommand::Unknown => Code::OperationUnmapped,
            command::BadCommand::Ambiguous => Code::RequestAmbiguous,
            command::BadCommand::Body(_) | command::BadCommand::Query { .. } => Code::RequestMalformed,
        };
        let bearer = bearer(&parts);
        let presented =
            Presented { channel: channel(&peer), message: bearer.map(|token| Message::Bearer(Token::new(token))) };
        match (self.admit(&presented, command.map_err(code)).await, &peer) {
            (Ok(permit), _) => self.perform(permit, &peer).await.into(),
            (Err(refusal), Peer::Local(_) | Peer::Process(_)) => Reply::refused(&refusal, why).into(),
            (Err(refusal), Peer::Tls(_) | Peer::Vouched(..) | Peer::Network) => {
                Reply::refused_abroad(&refusal, why).into()
            }
        }
    }

    async fn handshake_failed(&self, peer: Option<PeerCertificates>) {
        // what was presented is verified once more, for the record to say what became of it; nothing was asked, and nobody is
        // left to answer
        let presented = Presented { channel: peer.as_ref().map(Channel::Tls), message: None };
        let code = if peer.is_some() { Code::OperationUnmapped } else { Code::RequestMalformed };
        let _ = self.admit(&presented, Err(code)).await;
    }

    async fn dismissed(&self, peer: &Peer) {
        // the first look comes late enough for a request to be refused, and recorded
        loop {
            sleep(LOOK).await;
            if ends(peer, &self.live().load(), now()) == Some(End::Revoked) {
                return;
            }
        }
    }
}

/// What stands after `Bearer ` (RFC 6750 §2.1). Of several headers none is taken: nobody could say which one proves whom.
fn bearer(parts: &http::request::Parts) -> Option<&[u8]> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

fn by_kernel(peer: PeerCredentials) -> Presented<'static> {
    Presented { channel: Some(Channel::Kernel(peer)), message: None }
}

fn read(parts: &http::request::Parts, body: &Bytes) -> Result<Command, command::BadCommand> {
    if parts.headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        return Err(command::BadCommand::Ambiguous);
    }
    Command::read(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default(), body)
}

/// Why a server has no SVID of its own.
#[derive(Debug, thiserror::Error)]
pub enum NotMinted {
    #[error("refused: {}", .0.code.title())]
    Refused(guard::Refusal),
    #[error(transparent)]
    Unminted(#[from] Unminted),
}

/// The owner of this process's directory, as the kernel would name it.
fn owner(uid: u32) -> PeerCredentials {
    PeerCredentials { uid, gid: 0, pid: i32::try_from(std::process::id()).ok() }
}
