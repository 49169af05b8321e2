//! The authorities of the trust domain: what operators see and do of their lives, and what is due by itself, which passes the
//! same gates as everything and is recorded likewise.

use std::time::{Duration, Instant};

use issuer::lifecycle::{KeyKind, KeyStep, Standing};
use net::causes::chain;
use net::{Stop, jittered, now};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::AuthorityAct;
use tokio::time::sleep;

use super::nested::NotNested;
use super::overdue::Due;
use super::reply::Reply;
use super::{Command, Control, by_kernel, nested, owner};
use crate::epochs::{Author, AuthorityFailed, Epochs};
use crate::issuing::{Issuer, NotStepped, Shown};

/// How often it is looked at whether a step is due.
const EVERY: Duration = Duration::from_millis(500);
/// How often an outer control plane is asked what it says, if nothing changes here.
const EXCHANGE: Duration = Duration::from_secs(5);

/// Body of `POST /v1/authorities`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityRequest {
    pub act: AuthorityVerb,
    pub kind: AuthorityKind,
    /// An authority's id, or the beginning of one; without it, the only one that the act could be about.
    #[serde(default)]
    pub id: Option<String>,
}

/// What an operator does with an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityVerb {
    Prepare,
    Activate,
    Taint,
    Revoke,
}

/// What an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityKind {
    X509,
    Jwt,
    Wit,
}

/// What is to be done, and by whose word.
#[derive(Debug)]
pub enum AuthorityOrder {
    Asked(AuthorityRequest),
    /// It is due.
    Due(KeyKind, KeyStep),
    /// What is published for control planes that stand below no more is withdrawn.
    Withdraw,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error("no {} authority is {}: `countersign authority show` lists them", .kind.as_str(), .wanted)]
    None { kind: KeyKind, wanted: &'static str },
    #[error("several {} authorities are {wanted}, name one: {}", .kind.as_str(), .ids.join(", "))]
    Several { kind: KeyKind, wanted: &'static str, ids: Vec<String> },
    #[error("several {} authorities begin with `{prefix}`", .kind.as_str())]
    Ambiguous { kind: KeyKind, prefix: String },
    #[error(transparent)]
    Failed(#[from] AuthorityFailed),
    #[error(transparent)]
    NotNested(#[from] NotNested),
}

impl From<AuthorityKind> for KeyKind {
    fn from(kind: AuthorityKind) -> Self {
        match kind {
            AuthorityKind::X509 => Self::X509,
            AuthorityKind::Jwt => Self::Jwt,
            AuthorityKind::Wit => Self::Wit,
        }
    }
}

impl AuthorityOrder {
    /// The operation's name in records.
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Asked(AuthorityRequest { act: AuthorityVerb::Prepare, .. }) | Self::Due(_, KeyStep::Prepare) => {
                "authority prepare"
            }
            Self::Asked(AuthorityRequest { act: AuthorityVerb::Activate, .. }) | Self::Due(_, KeyStep::Activate(_)) => {
                "authority activate"
            }
            Self::Asked(AuthorityRequest { act: AuthorityVerb::Taint, .. }) | Self::Due(_, KeyStep::Taint(_)) => {
                "authority taint"
            }
            Self::Asked(AuthorityRequest { act: AuthorityVerb::Revoke, .. }) | Self::Due(_, KeyStep::Revoke(_)) => {
                "authority revoke"
            }
            Self::Due(_, KeyStep::Drop(_)) => "authority drop",
            Self::Withdraw => "authority withdraw",
        }
    }

    /// What it is about: kind, and id where one is named.
    pub(super) fn about(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Asked(request) => (KeyKind::from(request.kind).as_str(), request.id.as_deref()),
            Self::Due(kind, step) => (kind.as_str(), step.id()),
            Self::Withdraw => (KeyKind::Jwt.as_str(), None),
        }
    }
}

/// Every authority that is published, and who last did something with it.
pub(super) async fn shown(epochs: &Epochs) -> Reply {
    let Some(issuer) = epochs.issuer() else { return Reply::invalid(&AuthorityFailed::NoEnvironment.to_string()) };
    match epochs.state().authority_acts(issuer.domain().as_str()).await {
        Ok(acts) => Reply::ok(&listed(&issuer, &acts)),
        Err(fault) => Reply::failed(&fault),
    }
}

fn listed(issuer: &Issuer, acts: &[AuthorityAct]) -> Value {
    let item = |key: &Shown| {
        let last = acts.iter().find(|act| act.authority == key.life.id);
        let last = last.map(|act| json!({"act": act.act, "time": act.time, "by": act.actor, "record": act.record}));
        json!({
            "id": key.life.id,
            "kind": key.kind.as_str(),
            "standing": key.life.standing.as_str(),
            "made": key.life.made.to_string(),
            "since": key.life.since.to_string(),
            "ends": key.life.ends.to_string(),
            "last": last,
        })
    };
    json!({
        "trust_domain": issuer.domain().as_str(),
        "sequence": issuer.sequence(),
        "items": issuer.keys().iter().map(item).collect::<Vec<_>>(),
    })
}

/// Does what is asked, or is due.
pub(super) async fn step(epochs: &Epochs, order: &AuthorityOrder, by: &Author) -> Reply {
    match try_step(epochs, order, by).await {
        Ok(done) => Reply::ok(&done),
        Err(
            why @ NotDone::Failed(AuthorityFailed::Unread(_) | AuthorityFailed::NotStepped(NotStepped::Issuing(_))),
        ) => Reply::failed(&why),
        Err(why) => Reply::invalid(&why.to_string()),
    }
}

async fn try_step(epochs: &Epochs, order: &AuthorityOrder, by: &Author) -> Result<Value, NotDone> {
    let (kind, step) = match order {
        AuthorityOrder::Asked(request) => {
            let issuer = epochs.issuer().ok_or(AuthorityFailed::NoEnvironment)?;
            (request.kind.into(), named(&issuer, request)?)
        }
        AuthorityOrder::Due(kind, step) => (*kind, step.clone()),
        AuthorityOrder::Withdraw => return Ok(nested::withdraw(epochs, by).await.map(|()| json!({}))?),
    };
    let id = epochs.step_authority(kind, &step, by).await?;
    let issuer = epochs.issuer();
    Ok(json!({
        "act": step.as_str(),
        "kind": kind.as_str(),
        "id": id,
        "sequence": issuer.map(|issuer| issuer.sequence()),
        "record": by.record,
    }))
}

/// The step that an operator asks for.
fn named(issuer: &Issuer, request: &AuthorityRequest) -> Result<KeyStep, NotDone> {
    let kind = request.kind.into();
    let one = |standing| one(issuer, kind, request.id.as_deref(), standing);
    Ok(match request.act {
        AuthorityVerb::Prepare => KeyStep::Prepare,
        AuthorityVerb::Activate => KeyStep::Activate(one(Standing::Prepared)?),
        AuthorityVerb::Taint => KeyStep::Taint(one(Standing::Retired)?),
        AuthorityVerb::Revoke => KeyStep::Revoke(one(Standing::Tainted)?),
    })
}

/// The authority that begins with `prefix`; without one, the only one of that standing. What is not published is named as it was, for
/// the refusal to name it.
fn one(issuer: &Issuer, kind: KeyKind, prefix: Option<&str>, standing: Standing) -> Result<String, NotDone> {
    let of_kind = issuer.keys().iter().filter(|key| key.kind == kind);
    let fits = |key: &&Shown| match prefix {
        Some(prefix) => key.life.id.starts_with(prefix),
        None => key.life.standing == standing,
    };
    let mut found: Vec<String> = of_kind.filter(fits).map(|key| key.life.id.clone()).collect();
    let wanted = standing.as_str();
    match (found.pop(), prefix) {
        (Some(id), _) if found.is_empty() => Ok(id),
        (Some(_), Some(prefix)) => Err(NotDone::Ambiguous { kind, prefix: prefix.to_owned() }),
        (Some(id), None) => Err(NotDone::Several { kind, wanted, ids: found.into_iter().chain([id]).collect() }),
        (None, Some(prefix)) => Ok(prefix.to_owned()),
        (None, None) => Err(NotDone::None { kind, wanted }),
    }
}

impl Control {
    /// Takes the steps that are due in the lives of authorities, as the directory's owner, until asked to stop. Of several
    /// nodes each sees what is due, and one does it.
    pub async fn rotate(&self, uid: u32, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(EVERY) => {}
            }
            for due in Due::each().filter(|due| !self.overdue.rests(*due, Instant::now())) {
                self.do_due(due, uid).await;
            }
        }
    }

    async fn do_due(&self, due: Due, uid: u32) {
        let Some(order) = self.ordered(due) else { return self.overdue.done(due) };
        match self.take_due(Command::StepAuthority(order), uid).await {
            Ok(()) => self.overdue.done(due),
            Err(why) => {
                tracing::error!(kind = due.as_str(), why, "an authority is not changed when it is due");
                self.overdue.failed(due, why, now(), Instant::now());
            }
        }
    }

    fn ordered(&self, due: Due) -> Option<AuthorityOrder> {
        let issuer = self.issuer()?;
        match due {
            Due::Step(kind) => Some(AuthorityOrder::Due(kind, issuer.due(kind, now())?)),
            Due::Withdrawal => {
                let gone = nested::gone(&self.epochs, &issuer, now());
                (!gone.is_empty()).then_some(AuthorityOrder::Withdraw)
            }
        }
    }

    /// Exchanges what is published with the outer control plane, where there is one, until asked to stop.
    pub async fn exchange(&self, mut stop: Stop) {
        let (mut changed, mut said) = (self.epochs.changed(), None);
        loop {
            let due = sleep(jittered(EXCHANGE));
            tokio::pin!(due);
            // much changes that an outer control plane is not to hear of
            while self.issuer().map(|issuer| issuer.sequence()) == said {
                tokio::select! {
                    () = stop.asked() => return,
                    _ = changed.changed() => {}
                    () = &mut due => break,
                }
            }
            said = self.issuer().map(|issuer| issuer.sequence());
            if let Err(why) = self.epochs.exchange(now()).await {
                tracing::warn!(why = chain(&why), "nothing is heard of the outer control plane for now");
            }
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(EVERY) => {}
            }
        }
    }

    async fn take_due(&self, command: Command, uid: u32) -> Result<(), String> {
        let permit = self.admit(&by_kernel(owner(uid)), Ok(command)).await;
        let permit = permit.map_err(|refusal| format!("refused: {}", refusal.code.title()))?;
        self.perform_due(permit).await
    }
}

/// Does what is due; where another node did it first, nothing is left to be done.
pub(super) async fn step_due(epochs: &Epochs, order: &AuthorityOrder, by: &Author) -> Result<(), String> {
    match try_step(epochs, order, by).await {
        Ok(_) | Err(NotDone::Failed(AuthorityFailed::NotStepped(NotStepped::NotTaken(_)))) => Ok(()),
        Err(why) => Err(chain(&why)),
    }
}
