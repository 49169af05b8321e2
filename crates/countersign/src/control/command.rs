//! The control API's operations: requests under `/v1/` become commands, and each command asks one question.

use bytes::Bytes;
use guard::{Errand, NoRoom};
use http::Method;
use model::{BaseAction, PrincipalId, Time};
use policy::Question;
use serde::{Deserialize, Serialize};
use store::pem;

use super::revoking::{Act, RevocationRequest};
use super::svids::{Bearer, DEFAULT_TTL, SvidOrder, SvidRequest};
use super::whatif::DecideRequest;
use crate::estate::{Bundle, read_duration};
use crate::issuing::certificates_in;

/// Something to do for an operator.
#[derive(Debug)]
pub enum Command {
    Plan(Bundle),
    Apply {
        bundle: Bundle,
        base: Option<u64>,
    },
    Explain(Selector),
    Tail(Tail),
    Replay(Replay),
    Checkpoint,
    Resolve(Shown),
    Decide(DecideRequest),
    MintSvid(SvidOrder),
    Revoke(RevocationRequest),
    /// What was in force in an earlier epoch comes into force again.
    RollBack {
        epoch: u64,
    },
    /// What is live, of one kind.
    Get {
        kind: String,
    },
    Status,
    WhoAmI,
    /// What this server is and where its parts are.
    Describe,
}

/// Which judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// An id, or the beginning of one.
    Id(String),
    /// The last one at another door than control.
    Last,
    Trace(String),
}

/// Which records, and whether to wait for more.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    pub follow: bool,
    pub denied: bool,
    pub principal: Option<String>,
    pub since: Option<Time>,
}

/// Which judgements to decide again.
#[derive(Debug, Clone)]
pub enum Replay {
    Id(String),
    Since(Time),
}

/// Body of `POST /v1/plan` and `POST /v1/apply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstateRequest {
    pub estate: Bundle,
    /// The epoch that was planned on; refused if another one is in force.
    #[serde(default)]
    pub base: Option<u64>,
}

/// Body of `POST /v1/rollback`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackRequest {
    pub epoch: u64,
}

/// Body of `POST /v1/resolve`: one of them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResolveRequest {
    Token(String),
    /// Certificates in PEM, leaf first.
    Cert(String),
}

/// A credential to be explained.
#[derive(Debug)]
pub enum Shown {
    Token(String),
    /// Certificates in DER, leaf first.
    Chain(Vec<Vec<u8>>),
}

/// Why a request is no command.
#[derive(Debug, thiserror::Error)]
pub enum BadCommand {
    #[error("no such operation")]
    Unknown,
    #[error("the body is not what this operation takes")]
    Body(#[from] serde_json::Error),
    #[error("`{name}` is not understood")]
    Query { name: String },
}

impl Command {
    /// Reads a request.
    ///
    /// # Errors
    /// [`BadCommand`].
    pub fn read(method: &Method, path: &str, query: &str, body: &Bytes) -> Result<Self, BadCommand> {
        let path = path.strip_prefix("/v1/").ok_or(BadCommand::Unknown)?;
        match (method.as_str(), path) {
            ("POST", "plan") => Ok(Self::Plan(serde_json::from_slice::<EstateRequest>(body)?.estate)),
            ("POST", "apply") => {
                let request: EstateRequest = serde_json::from_slice(body)?;
                Ok(Self::Apply { bundle: request.estate, base: request.base })
            }
            ("POST", "resolve") => Ok(Self::Resolve(shown(serde_json::from_slice(body)?)?)),
            ("POST", "decide") => Ok(Self::Decide(serde_json::from_slice(body)?)),
            ("POST", "svids") => svid_order(&serde_json::from_slice(body)?),
            ("POST", "revocations") => Ok(Self::Revoke(serde_json::from_slice(body)?)),
            ("POST", "rollback") => {
                Ok(Self::RollBack { epoch: serde_json::from_slice::<RollBackRequest>(body)?.epoch })
            }
            ("GET", "status") => Ok(Self::Status),
            ("GET", "whoami") => Ok(Self::WhoAmI),
            ("POST", "checkpoints") => Ok(Self::Checkpoint),
            ("GET", "dev") => Ok(Self::Describe),
            ("GET", "judgements/last") => Ok(Self::Explain(Selector::Last)),
            ("GET", "records") => Ok(Self::Tail(tail(query)?)),
            ("GET", _) => match path.split_once('/') {
                Some(("judgements", id)) if is_id(id) => Ok(Self::Explain(Selector::Id(id.to_owned()))),
                Some(("live", kind)) if is_id(kind) => Ok(Self::Get { kind: kind.to_owned() }),
                Some(("traces", id)) if is_id(id) => Ok(Self::Explain(Selector::Trace(id.to_owned()))),
                _ => Err(BadCommand::Unknown),
            },
            ("POST", "replay") => replay(query),
            _ => Err(BadCommand::Unknown),
        }
    }

    /// The operation's name in records.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Apply { .. } => "apply",
            Self::Explain(_) => "explain",
            Self::Tail(_) => "ledger tail",
            Self::Replay(_) => "replay",
            Self::Checkpoint => "ledger checkpoint",
            Self::Resolve(_) => "resolve",
            Self::Decide(_) => "decide",
            Self::MintSvid(_) => "svid mint",
            Self::Revoke(request) => match request.act {
                Act::Revoke => "revoke",
                Act::Restore => "restore",
            },
            Self::RollBack { .. } => "rollback",
            Self::Get { .. } => "get",
            Self::Status => "status",
            Self::WhoAmI => "whoami",
            Self::Describe => "dev",
        }
    }

    /// What the command asks of the policies.
    pub fn question(&self) -> Option<Question> {
        let (action, resource) = match self {
            Self::Apply { .. } | Self::RollBack { .. } => (BaseAction::Administer, "countersign/estate"),
            Self::Revoke(_) => (BaseAction::Administer, "countersign/keys"),
            Self::Get { .. } if self.is_about_keys() => (BaseAction::Read, "countersign/keys"),
            Self::Plan(_) | Self::Resolve(_) | Self::Decide(_) | Self::Get { .. } => {
                (BaseAction::Read, "countersign/estate")
            }
            Self::Explain(_) | Self::Tail(_) | Self::Replay(_) => (BaseAction::Read, "countersign/ledger"),
            Self::MintSvid(_) => (BaseAction::Effect, "countersign/svids"),
            Self::Checkpoint => (BaseAction::Write, "countersign/ledger"),
            Self::Describe | Self::Status | Self::WhoAmI => (BaseAction::Read, "countersign/planes"),
        };
        Some(Question {
            action: action.into(),
            resource: resource.parse().ok()?,
            protocol: super::PROTOCOL.to_owned(),
            service: "countersign".to_owned(),
            params: self.params(),
        })
    }

    /// What a policy may narrow an operation by.
    fn params(&self) -> Vec<(String, String)> {
        if let Self::MintSvid(SvidOrder { bearer: Bearer::Principal(id), .. }) = self {
            return vec![("id".to_owned(), id.clone())];
        }
        Vec::new()
    }

    fn is_about_keys(&self) -> bool {
        matches!(self, Self::Get { kind } if kind == "revocations")
    }
}

fn shown(request: ResolveRequest) -> Result<Shown, BadCommand> {
    match request {
        ResolveRequest::Token(token) => Ok(Shown::Token(token)),
        ResolveRequest::Cert(pem) => {
            let bad = BadCommand::Query { name: "cert".to_owned() };
            certificates_in(pem.as_bytes()).map(Shown::Chain).or(Err(bad))
        }
    }
}

fn svid_order(request: &SvidRequest) -> Result<Command, BadCommand> {
    let bad = |name: &str| BadCommand::Query { name: name.to_owned() };
    let ttl = request.ttl.as_deref().map(|ttl| read_duration(ttl).ok_or_else(|| bad("ttl"))).transpose()?;
    let request = SvidOrder {
        bearer: Bearer::Principal(request.id.clone()),
        request: pem::decode("CERTIFICATE REQUEST", &request.csr).or(Err(bad("csr")))?,
        ttl: ttl.unwrap_or(DEFAULT_TTL),
    };
    Ok(Command::MintSvid(request))
}

impl Errand for Command {
    /// The control door counts nobody: whoever reaches its socket is an operator of this machine.
    fn take_room(&mut self, _: &PrincipalId) -> Result<(), NoRoom> {
        Ok(())
    }
}

fn tail(query: &str) -> Result<Tail, BadCommand> {
    let mut tail = Tail::default();
    for (name, value) in pairs(query) {
        let bad = || BadCommand::Query { name: name.to_owned() };
        match name {
            "follow" if value == "true" => tail.follow = true,
            "denied" if value == "true" => tail.denied = true,
            "principal" => tail.principal = Some(value),
            "since" => tail.since = Some(value.parse().ok().ok_or_else(bad)?),
            _ => return Err(bad()),
        }
    }
    Ok(tail)
}

fn replay(query: &str) -> Result<Command, BadCommand> {
    let mut pairs = pairs(query);
    let bad = |name: &str| BadCommand::Query { name: name.to_owned() };
    match (pairs.next(), pairs.next()) {
        (Some(("id", id)), None) if is_id(&id) => Ok(Command::Replay(Replay::Id(id))),
        (Some(("since", since)), None) => {
            Ok(Command::Replay(Replay::Since(since.parse().ok().ok_or_else(|| bad("since"))?)))
        }
        (Some((name, _)), _) => Err(bad(name)),
        (None, _) => Err(bad("id")),
    }
}

/// Names and decoded values of a query. Our own client writes it, so that only `%XX` needs decoding.
fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, crate::catalog::decode(value).unwrap_or_default())
    })
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
