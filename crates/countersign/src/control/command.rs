//! The control API's operations: requests under `/v1/` become commands, and each command asks one question.

use std::time::Duration;

use bytes::Bytes;
use guard::{Errand, NoRoom};
use http::Method;
use issuer::pem;
use model::{BaseAction, PrincipalId, Time};
use policy::Question;
use serde::{Deserialize, Serialize};

use super::authorities::{AuthorityOrder, AuthorityRequest};
use super::nested::Below;
use super::planes::{DEFAULT_ENROLMENT, EnrolmentOrder, EnrolmentRequest};
use super::revoking::{Act, RevocationRequest};
use super::svids::{Bearer, DEFAULT_TTL, SvidOrder, SvidRequest};
use super::whatif::DecideRequest;
use crate::epochs::{How, NextGeneration};
use crate::estate::{Bundle, read_duration};
use crate::feed::{EnrolRequest, Reached};
use crate::issuing::{BelowRequest, SharedKey, SharedKeys, certificates_in};

/// Longest name of what an operation is about, in bytes: no id that there is is longer.
const MAX_NAME: usize = 2048;

/// Something to do for an operator.
#[derive(Debug)]
pub enum Command {
    Plan(Bundle),
    Apply {
        bundle: Bundle,
        how: How,
    },
    Explain(Selector),
    Tail(Tail),
    Replay(Replay),
    Checkpoint,
    Resolve(Shown),
    Decide(DecideRequest),
    MintSvid(SvidOrder),
    /// A token for a new plane.
    EnrolToken(EnrolmentOrder),
    /// An SVID for the plane that asks: a certificate request in DER.
    Enrol {
        request: Vec<u8>,
        assertion_key: String,
    },
    /// What is in force, from now on, for a plane that knows revocations up to this number.
    Feed {
        after: u64,
    },
    Report(Reached),
    /// An agent is known no more.
    Evict {
        name: String,
    },
    Revoke(RevocationRequest),
    /// Registrations beside those of the estate: put, or deleted by name.
    Register(Registering),
    /// The authorities that are published.
    Authorities,
    /// A step in the life of an authority.
    StepAuthority(AuthorityOrder),
    /// For the control plane below that asks.
    Below(Below),
    /// What was in force in an earlier epoch comes into force again.
    RollBack {
        epoch: u64,
    },
    /// What is live, of one kind.
    Get {
        kind: String,
    },
    Status {
        detailed: bool,
    },
    WhoAmI,
    /// What this server is and where its parts are.
    Describe,
}

/// Body of `POST /v1/registrations`: one of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registering {
    /// Files of documents, each a Registration.
    Put(Bundle),
    /// Names.
    Delete(Vec<String>),
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
    /// A backup was brought back: the epoch begins a new generation.
    #[serde(default)]
    pub new_generation: bool,
}

/// Body of `POST /v1/rollback`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackRequest {
    pub epoch: u64,
}

/// Body of `POST /v1/evictions`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvictionRequest {
    /// What `get agents` calls it, or its SPIFFE ID.
    pub agent: String,
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
    #[error("more than one `Authorization` header")]
    Ambiguous,
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
                let generation = if request.new_generation { NextGeneration::New } else { NextGeneration::Same };
                Ok(Self::Apply { bundle: request.estate, how: How { base: request.base, generation } })
            }
            ("POST", "resolve") => Ok(Self::Resolve(shown(serde_json::from_slice(body)?)?)),
            ("POST", "decide") => Ok(Self::Decide(serde_json::from_slice(body)?)),
            ("POST", "svids") => svid_order(&serde_json::from_slice(body)?),
            ("POST", "revocations") => {
                let request: RevocationRequest = serde_json::from_slice(body)?;
                Ok(Self::Revoke(RevocationRequest { id: name("id", request.id)?, ..request }))
            }
            ("POST", "registrations") => Ok(Self::Register(serde_json::from_slice(body)?)),
            ("GET", "authorities") => Ok(Self::Authorities),
            ("POST", "authorities") => step_authority(serde_json::from_slice(body)?),
            ("POST", "nested/authority") => sign_below(&serde_json::from_slice(body)?),
            ("POST", "nested/bundle") => share_below(&serde_json::from_slice(body)?),
            ("POST", "rollback") => {
                Ok(Self::RollBack { epoch: serde_json::from_slice::<RollBackRequest>(body)?.epoch })
            }
            ("POST", "enrolments") => enrolment_order(serde_json::from_slice(body)?),
            ("POST", "enrol") => enrol(serde_json::from_slice(body)?),
            ("POST", "evictions") => {
                Ok(Self::Evict { name: name("agent", serde_json::from_slice::<EvictionRequest>(body)?.agent)? })
            }
            ("GET", "feed") => feed(query),
            ("POST", "reports") => Ok(Self::Report(serde_json::from_slice(body)?)),
            ("GET", "status") => status(query),
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
            Self::EnrolToken(_) => "enroll token",
            Self::Enrol { .. } => "enroll",
            Self::Feed { .. } => "feed",
            Self::Report(_) => "report",
            Self::Evict { .. } => "agent evict",
            Self::Revoke(request) => match request.act {
                Act::Revoke => "revoke",
                Act::Restore => "restore",
            },
            Self::Register(Registering::Put(_)) => "registration put",
            Self::Register(Registering::Delete(_)) => "registration delete",
            Self::Authorities => "authority show",
            Self::StepAuthority(order) => order.operation(),
            Self::Below(asked) => asked.operation(),
            Self::RollBack { .. } => "rollback",
            Self::Get { .. } => "get",
            Self::Status { .. } => "status",
            Self::WhoAmI => "whoami",
            Self::Describe => "dev",
        }
    }

    /// What the command asks of the policies.
    pub fn question(&self) -> Option<Question> {
        let (action, resource) = match self {
            Self::Apply { .. } | Self::RollBack { .. } => (BaseAction::Administer, "countersign/estate"),
            Self::Below(_) => (BaseAction::Effect, "countersign/nested"),
            Self::Revoke(_) | Self::StepAuthority(_) => (BaseAction::Administer, "countersign/keys"),
            Self::Authorities => (BaseAction::Read, "countersign/keys"),
            Self::Register(_) => (BaseAction::Write, "countersign/workloads"),
            Self::EnrolToken(_) | Self::Evict { .. } => (BaseAction::Effect, "countersign/planes"),
            Self::Enrol { .. } => (BaseAction::Effect, "countersign/enrolment"),
            Self::Feed { .. } => (BaseAction::Read, "countersign/feed"),
            Self::Report(_) => (BaseAction::Write, "countersign/feed"),
            Self::Get { kind } if is_planes(kind) || is_agents(kind) => (BaseAction::Read, "countersign/planes"),
            Self::Get { kind } if is_registrations(kind) => (BaseAction::Read, "countersign/workloads"),
            Self::Get { .. } if self.is_about_keys() => (BaseAction::Read, "countersign/keys"),
            Self::Plan(_) | Self::Resolve(_) | Self::Decide(_) | Self::Get { .. } => {
                (BaseAction::Read, "countersign/estate")
            }
            Self::Explain(_) | Self::Tail(_) | Self::Replay(_) => (BaseAction::Read, "countersign/ledger"),
            Self::MintSvid(_) => (BaseAction::Effect, "countersign/svids"),
            Self::Checkpoint => (BaseAction::Write, "countersign/ledger"),
            Self::Describe | Self::Status { .. } | Self::WhoAmI => (BaseAction::Read, "countersign/planes"),
        };
        Some(Question {
            action: action.into(),
            resource: resource.parse().ok()?,
            protocol: super::PROTOCOL.to_owned(),
            service: "countersign".to_owned(),
            params: self.params(),
        })
    }

    /// What a policy may narrow an operation by, and what its record says that it was about.
    fn params(&self) -> Vec<(String, String)> {
        let named = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        match self {
            Self::MintSvid(SvidOrder { bearer: Bearer::Principal(id), .. }) => named(&[("id", id)]),
            Self::Revoke(request) => named(&[("kind", request.kind.as_str()), ("id", &request.id)]),
            Self::StepAuthority(order) => {
                let (kind, id) = order.about();
                named(&[&[("kind", kind)][..], &id.map(|id| ("id", id)).into_iter().collect::<Vec<_>>()].concat())
            }
            Self::Below(asked) => asked.params(),
            Self::EnrolToken(order) => named(&[("role", order.role.as_str()), ("name", &order.name)]),
            Self::Evict { name } => named(&[("agent", name)]),
            Self::RollBack { epoch } => named(&[("epoch", &epoch.to_string())]),
            Self::Get { kind } => named(&[("kind", kind)]),
            Self::Register(Registering::Delete(names)) => named(&[("names", &names.join("\n"))]),
            Self::Register(Registering::Put(_))
            | Self::Plan(_)
            | Self::Apply { .. }
            | Self::Explain(_)
            | Self::Tail(_)
            | Self::Replay(_)
            | Self::Checkpoint
            | Self::Resolve(_)
            | Self::Decide(_)
            | Self::MintSvid(_)
            | Self::Enrol { .. }
            | Self::Feed { .. }
            | Self::Report(_)
            | Self::Authorities
            | Self::Status { .. }
            | Self::WhoAmI
            | Self::Describe => Vec::new(),
        }
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

fn svid_order(order: &SvidRequest) -> Result<Command, BadCommand> {
    let ttl = lifetime(order.ttl.as_deref())?.unwrap_or(DEFAULT_TTL);
    let bearer = Bearer::Principal(name("id", order.id.clone())?);
    Ok(Command::MintSvid(SvidOrder { bearer, request: request(&order.csr)?, ttl }))
}

fn step_authority(request: AuthorityRequest) -> Result<Command, BadCommand> {
    let id = request.id.map(|id| name("id", id)).transpose()?;
    Ok(Command::StepAuthority(AuthorityOrder::Asked(AuthorityRequest { id, ..request })))
}

fn sign_below(asked: &BelowRequest) -> Result<Command, BadCommand> {
    let life = lifetime(Some(&asked.life))?.unwrap_or_default();
    Ok(Command::Below(Below::Sign { request: request(&asked.csr)?, below: asked.below, life }))
}

fn share_below(asked: &SharedKeys) -> Result<Command, BadCommand> {
    let bad = || BadCommand::Query { name: "jwt".to_owned() };
    let key = |key: &SharedKey| Some((issuer::read_point(&key.point)?, key.ends.parse().ok()?));
    let keys = asked.jwt.iter().map(|one| key(one).ok_or_else(bad)).collect::<Result<_, _>>()?;
    Ok(Command::Below(Below::Share(keys)))
}

fn enrolment_order(order: EnrolmentRequest) -> Result<Command, BadCommand> {
    let life = lifetime(order.ttl.as_deref())?.unwrap_or(DEFAULT_ENROLMENT);
    Ok(Command::EnrolToken(EnrolmentOrder { role: order.role, name: name("name", order.name)?, life }))
}

/// A name that stands in the record of what is asked: it is short, whatever else is wrong with it.
fn name(what: &str, name: String) -> Result<String, BadCommand> {
    if name.len() <= MAX_NAME { Ok(name) } else { Err(BadCommand::Query { name: what.to_owned() }) }
}

fn enrol(asked: EnrolRequest) -> Result<Command, BadCommand> {
    let bad = || BadCommand::Query { name: "assertion_key".to_owned() };
    issuer::read_point(&asked.assertion_key).ok_or_else(bad)?;
    Ok(Command::Enrol { request: request(&asked.csr)?, assertion_key: asked.assertion_key })
}

fn lifetime(ttl: Option<&str>) -> Result<Option<Duration>, BadCommand> {
    let bad = || BadCommand::Query { name: "ttl".to_owned() };
    ttl.map(|ttl| read_duration(ttl).ok_or_else(bad)).transpose()
}

/// A certificate request in DER.
fn request(csr: &str) -> Result<Vec<u8>, BadCommand> {
    pem::decode("CERTIFICATE REQUEST", csr).or(Err(BadCommand::Query { name: "csr".to_owned() }))
}

fn feed(query: &str) -> Result<Command, BadCommand> {
    let mut after = 0;
    for (name, value) in pairs(query) {
        let bad = || BadCommand::Query { name: name.to_owned() };
        match name {
            "after" => after = value.parse().ok().ok_or_else(bad)?,
            _ => return Err(bad()),
        }
    }
    Ok(Command::Feed { after })
}

fn status(query: &str) -> Result<Command, BadCommand> {
    let mut detailed = false;
    for (name, value) in pairs(query) {
        match name {
            "detail" if value == "true" => detailed = true,
            _ => return Err(BadCommand::Query { name: name.to_owned() }),
        }
    }
    Ok(Command::Status { detailed })
}

/// Whether planes are asked for, by one or several.
pub(super) fn is_planes(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("planes") || kind.eq_ignore_ascii_case("plane")
}

/// Whether registrations are asked for.
pub(super) fn is_registrations(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("registrations") || kind.eq_ignore_ascii_case("registration")
}

/// Whether federations are asked for.
pub(super) fn is_federations(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("federations") || kind.eq_ignore_ascii_case("federation")
}

/// Whether node agents are asked for.
pub(super) fn is_agents(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("agents") || kind.eq_ignore_ascii_case("agent")
}

impl Errand for Command {
    /// The control door counts nobody: what it does at length is for operators and planes alone.
    fn take_room(&mut self, _: &PrincipalId) -> Result<(), NoRoom> {
        Ok(())
    }

    /// An identity that is handed out.
    fn lasts(&self) -> bool {
        matches!(self, Self::Enrol { .. } | Self::Below(Below::Sign { .. }))
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
