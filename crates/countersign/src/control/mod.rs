//! The control door: HTTP/1.1 and JSON over a local socket, described in `api/control.yaml`. Operators have no side door:
//! whoever connects is resolved by the kernel's word and passes `admit` like every caller.

mod command;
mod explain;
mod perform;
mod reading;
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

use bytes::Bytes;
use credential::{Channel, PeerCredentials, Presented};
use guard::{Asked, Call, Freshness, Operation, Permit};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use identity::Access;
use model::Code;
use serde_json::Value;
use store::{DiskSigner, FileLedger};

use self::reading::{ReadingLedger, ReadingSlot};
use self::reply::Reply;
use crate::epochs::{Applied, ApplyFailed, Epochs};
use crate::estate::Bundle;
use crate::issuing::Issuer;
use crate::live::Current;
use crate::net::tls::OwnSvid;
use crate::net::{Door, Peer, Stop, now, record_id, trace_id};

pub use command::{Command, EstateRequest, Replay, ResolveRequest, RollBackRequest, Selector, Shown};
pub use explain::{NotFound, Where, explain};
pub use replay::{Differs, Replayed, replay};
pub use reply::ControlBody;
pub use resolving::{Resolved, resolve_svid, resolve_token};
pub use revoking::{Act, Kind, NotRevoked, Revocation, RevocationRequest};
pub use svids::{Bearer, Minted, SvidOrder, SvidRequest, Unminted};
pub use whatif::{BadQuestion, DecideContext, DecideRequest, decide};

const DOOR: &str = "control";
const PROTOCOL: &str = "control";
/// Longest body of a request, in bytes: an estate and its JSON.
const MAX_BODY: usize = 96 * 1024 * 1024;

/// The control door of one server.
pub struct Control {
    epochs: Epochs,
    ledger: Arc<FileLedger>,
    signer: DiskSigner,
    ledger_directory: PathBuf,
    /// What this server is, for those who ask.
    description: Value,
}

impl Control {
    pub fn new(
        epochs: Epochs,
        ledger: Arc<FileLedger>,
        signer: DiskSigner,
        ledger_directory: PathBuf,
        description: Value,
    ) -> Self {
        Self { epochs, ledger, signer, ledger_directory, description }
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
        let permit =
            self.admit(owner(uid), Ok(Command::Apply { bundle, base: None })).await.map_err(ApplyFailed::Refused)?;
        self.perform_apply(permit).await
    }

    /// Mints an SVID as the directory's owner, through the same gates as everyone.
    ///
    /// # Errors
    /// [`NotMinted`].
    pub async fn mint_as_owner(&self, order: SvidOrder, uid: u32) -> Result<Minted, NotMinted> {
        let permit = self.admit(owner(uid), Ok(Command::MintSvid(order))).await.map_err(NotMinted::Refused)?;
        Ok(self.perform_mint(permit)?)
    }

    /// Who issues for the trust domain in force.
    pub fn issuer(&self) -> Option<Arc<Issuer>> {
        self.epochs.issuer()
    }

    /// The SVID with which this server connects and serves.
    pub fn own_svid(&self) -> &Arc<OwnSvid> {
        self.epochs.connections().own()
    }

    async fn admit(
        &self,
        peer: PeerCredentials,
        command: Result<Command, Code>,
    ) -> Result<Permit<Command, ReadingSlot>, guard::Refusal> {
        let live = self.live().load_full();
        let operation = command.as_ref().map_or("unknown", Command::operation).to_owned();
        let call = Call {
            id: record_id(),
            trace: trace_id(),
            door: DOOR,
            protocol: PROTOCOL,
            operation: Some(operation),
            freshness: Freshness::NOW,
        };
        let presented = Presented { channel: Some(Channel::Kernel(peer)), message: None };
        let asked = match command.map(|command| (command.question(), command)) {
            Ok((Some(question), errand)) => Asked::Operation(Operation { question, access: Access::Proved, errand }),
            Ok((None, _)) => Asked::Unmapped { code: Code::OperationUnmapped, service: None },
            Err(code) => Asked::Unmapped { code, service: None },
        };
        guard::admit(&live.snapshot, &ReadingLedger(&self.ledger), &call, &presented, asked, now()).await
    }
}

impl Door for Control {
    type Body = ControlBody;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<ControlBody> {
        let Peer::Local(peer) = peer else {
            // this listener is a local socket, and nothing else
            return Reply::invalid("only local callers are served here").into();
        };
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Reply::invalid(&format!("the body cannot be read: {error}")).into(),
        };
        let command = read(&parts, &body);
        let why = command.as_ref().err().map(ToString::to_string);
        let code = |bad: command::BadCommand| match bad {
            command::BadCommand::Unknown => Code::OperationUnmapped,
            command::BadCommand::Body(_) | command::BadCommand::Query { .. } => Code::RequestMalformed,
        };
        match self.admit(peer, command.map_err(code)).await {
            Ok(permit) => self.perform(permit).await.into(),
            Err(refusal) => Reply::refused(&refusal, why).into(),
        }
    }
}

fn read(parts: &http::request::Parts, body: &Bytes) -> Result<Command, command::BadCommand> {
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
