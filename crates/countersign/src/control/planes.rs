//! Planes: enrolled by a token of one use, and known by what they say of themselves.

use std::time::Duration;

use issuer::SigningFailed;
use model::Time;
use net::svid::Minted;
use net::{now, record_id};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Enrol, KeptPlane, NewPlane, Position, RevocationAct, StateFault};
use tokio::time::{Instant, sleep};

use super::svids::{Bearer, SvidOrder, Unminted, mint};
use crate::epochs::{Author, Epochs};
use crate::feed::Reached;
use crate::issuing::LONGEST_ENROLMENT;
use crate::live::Live;

/// Life of an enrolment token where none is asked for.
pub const DEFAULT_ENROLMENT: Duration = Duration::from_secs(15 * 60);
/// Life of a plane's SVID; it is renewed at half of it. A plane that hears nothing for longer enrols anew.
const SVID_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long planes are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(50);
/// A plane that said nothing for so long is silent: it says how far it is each 10 s.
const SILENT: Duration = Duration::from_secs(30);
/// Longest name of a plane.
const MAX_NAME: usize = 64;

/// Body of `POST /v1/enrolments`: a token for a new plane.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    pub role: PlaneRole,
    /// The plane's name, the last part of its SPIFFE ID.
    pub name: String,
    /// Such as `15m`.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// What a plane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PlaneRole {
    Gateway,
    /// A node agent: the token attests its node, by the method `join_token`.
    Agent,
}

impl PlaneRole {
    /// As it stands in SPIFFE IDs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Agent => "agent",
        }
    }
}

/// An enrolment token that was ordered.
#[derive(Debug, Clone)]
pub struct EnrolmentOrder {
    pub role: PlaneRole,
    pub name: String,
    pub life: Duration,
}

/// Why there is no enrolment token.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("a plane's name has between 1 and {MAX_NAME} lower-case letters, digits and `-`")]
    Name,
    #[error("an enrolment token lives between 1 s and 24 h")]
    Life,
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// Why a plane is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum NotEnrolled {
    #[error("the enrolment token was used before")]
    Spent,
    #[error(transparent)]
    Unminted(#[from] Unminted),
    #[error("it cannot be kept")]
    Kept(#[from] StateFault),
}

/// Signs a token for a new plane.
pub(super) fn token(epochs: &Epochs, order: &EnrolmentOrder, at: Time) -> Result<Value, NoToken> {
    // before that, no gate knows the source of these tokens
    let in_force = epochs.live().load().domain.is_some();
    let issuer = epochs.issuer().filter(|_| in_force).ok_or(NoToken::NoEnvironment)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if order.name.is_empty() || order.name.len() > MAX_NAME || !order.name.bytes().all(plain) {
        return Err(NoToken::Name);
    }
    if order.life < Duration::from_secs(1) || order.life > LONGEST_ENROLMENT {
        return Err(NoToken::Life);
    }
    let role = order.role.as_str();
    let enrolment = issuer.enrolments().sign((role, &order.name), record_id(), order.life, at)?;
    Ok(json!({
        "token": enrolment.token,
        "id": format!("{}/{}", crate::issuing::own_part(issuer.domain(), role), order.name),
        "credential_id": enrolment.id,
        "expires": enrolment.expires.to_string(),
    }))
}

/// Mints the SVID of a plane, the one that asks. A token with which it proves itself is spent by that.
pub(super) async fn enrol(
    epochs: &Epochs,
    (request, assertion_key): (&[u8], &str),
    token: Option<&str>,
    by: &Author,
) -> Result<Minted, NotEnrolled> {
    let hosts = epochs.live().load().hosts.iter().cloned().collect();
    let bearer = Bearer::Part { id: by.principal.clone(), hosts };
    let order = SvidOrder { bearer, request: request.to_vec(), ttl: SVID_LIFE };
    let minted = mint(epochs, &order, Time::MAX, by.at)?;
    // INVARIANT: spent before anything is handed out, and only by a request that could be minted
    if let Some(credential) = token {
        let (id, time, record) = (by.principal.as_str(), by.at.to_string(), by.record.as_str());
        let plane = NewPlane { id, time: &time, record, assertion_key };
        if epochs.state().enrol(credential, &plane).await? == Enrol::Spent {
            return Err(NotEnrolled::Spent);
        }
    } else {
        epochs.state().rekey(&by.principal, assertion_key).await?;
    }
    Ok(minted)
}

/// Keeps what a plane says of itself. A revocation that is another one here was not heard from here.
pub(super) async fn report(epochs: &Epochs, reached: &Reached, by: &Author) -> Result<(), StateFault> {
    let acts = epochs.acts();
    let ours =
        |(seq, act): &&(u64, RevocationAct)| *seq == reached.revocation_seq && act.record == reached.revocation_record;
    let revocation_seq = acts.iter().rev().find(ours).map_or(0, |(seq, _)| *seq);
    epochs.state().report(&by.principal, reached.position(), revocation_seq, &by.at.to_string()).await
}

/// Every plane, for people and programs.
pub(super) async fn listed(epochs: &Epochs) -> Result<Value, StateFault> {
    let planes = epochs.state().planes().await?;
    let (live, at) = (epochs.live().load_full(), now());
    let item = |plane: &KeptPlane| {
        json!({
            "name": name(&plane.id),
            "id": plane.id,
            "standing": standing(plane, &live, at),
            "enrolled": plane.enrolled,
            "heard": Some(&plane.heard).filter(|heard| !heard.is_empty()),
            "generation": plane.position.generation.0,
            "epoch": plane.position.epoch.0,
            "revocation_seq": plane.revocation_seq,
        })
    };
    Ok(json!({"kind": "planes", "items": planes.iter().map(item).collect::<Vec<_>>()}))
}

/// The keys by which services know the word of planes, of those that are not revoked.
pub(super) async fn assertion_keys(epochs: &Epochs) -> Result<Vec<Vec<u8>>, StateFault> {
    let planes = heeded(epochs, epochs.state().planes().await?);
    Ok(planes.iter().filter_map(|plane| issuer::read_point(&plane.assertion_key)).collect())
}

/// Planes that are not revoked.
fn heeded(epochs: &Epochs, planes: Vec<KeptPlane>) -> Vec<KeptPlane> {
    let (live, at) = (epochs.live().load_full(), now());
    planes.into_iter().filter(|plane| !is_revoked(&plane.id, &live, at)).collect()
}

/// One that cannot be read is not trusted.
pub(super) fn is_revoked(id: &str, live: &Live, at: Time) -> bool {
    let revocations = live.snapshot.sources.revocations();
    id.parse().map_or(true, |id| revocations.of_principal(&id, Some(at)))
}

/// How far a plane is, in a word.
fn standing(plane: &KeptPlane, live: &Live, at: Time) -> &'static str {
    let snapshot = &live.snapshot;
    let position = Position { generation: snapshot.generation, epoch: snapshot.epoch };
    if is_revoked(&plane.id, live, at) {
        return "revoked";
    }
    match plane.heard.parse::<Time>() {
        Ok(heard) if at.since(heard) <= SILENT => {}
        Ok(_) | Err(_) => return "silent",
    }
    let current = plane.position >= position && plane.revocation_seq >= snapshot.sources.revocations().seq();
    if current { "current" } else { "behind" }
}

/// Planes that have a revocation in force, and those that do not; waits for the latter for a bounded time. Planes that are
/// themselves revoked hear nothing, and are not waited for.
pub(super) async fn acknowledged(
    epochs: &Epochs,
    seq: u64,
    wait: bool,
) -> Result<(Vec<String>, Vec<String>), StateFault> {
    let until = Instant::now() + PATIENCE;
    loop {
        let heeded = heeded(epochs, epochs.state().planes().await?).into_iter();
        let (has, lacks): (Vec<_>, Vec<_>) = heeded.partition(|plane| plane.revocation_seq >= seq);
        if lacks.is_empty() || !wait || Instant::now() >= until {
            let names = |planes: Vec<KeptPlane>| planes.iter().map(|plane| name(&plane.id)).collect();
            return Ok((names(has), names(lacks)));
        }
        sleep(EVERY).await;
    }
}

/// What follows the product's own part of a SPIFFE ID: `gateway/NAME`.
pub(super) fn name(id: &str) -> String {
    id.split_once("/countersign/").map_or(id, |(_, name)| name).to_owned()
}
