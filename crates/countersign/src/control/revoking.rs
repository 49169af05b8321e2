//! Revoking and restoring: words of an operator become what the gates no longer accept.

use credential::{Revocable, Revocations, Standing};
use identity::Resolution;
use model::{PrincipalId, Time};
use serde::{Deserialize, Serialize};
use store::{RevocationAct, StateFault};

use super::planes;
use crate::epochs::{Author, Epochs, RESTORE, REVOKE, revocable, words};
use crate::live::Live;

/// The source that speaks for the kernel.
const LOCAL: &str = "local";

/// Body of `POST /v1/revocations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    pub act: Act,
    pub kind: Kind,
    /// Id or name of a principal, id of a credential, `SOURCE/KID` of a key, name of a source.
    pub id: String,
    /// Whether planes are waited for.
    #[serde(default)]
    pub wait: bool,
}

/// Whether this process has a gateway, which decides by what is revoked as soon as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnGateway {
    Here,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    Revoke,
    Restore,
}

/// What can be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Principal,
    Credential,
    Key,
    Source,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Credential => "credential",
            Self::Key => "key",
            Self::Source => "source",
        }
    }
}

/// What was done, and where it holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revocation {
    pub act: Act,
    pub kind: Kind,
    pub id: String,
    pub revocation_seq: u64,
    pub record: String,
    /// Planes that decide by it already: gateways that run apart, by `gateway/NAME`, and this process's own, if it has one.
    pub acknowledged: Vec<String>,
    pub missing: Vec<String>,
}

/// Why nothing was revoked or restored.
#[derive(Debug, thiserror::Error)]
pub enum NotRevoked {
    #[error("`{id}` is no principal here")]
    NoPrincipal { id: String },
    #[error("`{id}`: a key is named `SOURCE/KID`")]
    KeyName { id: String },
    #[error("`{id}` is no trust source here")]
    NoSource { id: String },
    #[error("a credential's id has between 1 and 256 bytes and no control characters")]
    CredentialId,
    #[error("`{id}` is who asks; nobody could restore it")]
    Oneself { id: String },
    #[error("`local` is how operators come here; nobody could restore it")]
    LastDoor,
    #[error("{what} is what let in who asks; only somebody else can revoke it")]
    OwnDoor { what: Revocable },
    #[error("{what} is not revoked")]
    Nothing { what: String },
    #[error("this gateway decides by what its control plane revokes: revoke it there")]
    Following,
    #[error("it cannot be kept")]
    Kept(#[from] StateFault),
}

/// Revokes or restores, and puts it in force here.
///
/// # Errors
/// [`NotRevoked`].
pub(super) async fn act(
    epochs: &Epochs,
    request: &RevocationRequest,
    by: &Author,
    asks: &Resolution,
    own_gateway: OwnGateway,
) -> Result<Revocation, NotRevoked> {
    if epochs.follows_control() {
        return Err(NotRevoked::Following);
    }
    let live = epochs.live().load_full();
    let what = read(&live, request)?;
    match request.act {
        Act::Revoke => refuse_lock_out(&what, asks, epochs.archive().operators(), by.at)?,
        Act::Restore => {
            let revoked = live.snapshot.sources.revocations().entries().any(|(known, ..)| *known == what);
            if !revoked {
                return Err(NotRevoked::Nothing { what: what.to_string() });
            }
        }
    }
    let (kind, subject) = words(&what);
    let kept = RevocationAct {
        kind: kind.to_owned(),
        subject,
        act: if request.act == Act::Revoke { REVOKE } else { RESTORE }.to_owned(),
        time: by.at.to_string(),
        actor: by.principal.clone(),
        record: by.record.clone(),
    };
    let seq = epochs.revoke(&kept).await?;
    let (planes, missing) = planes::acknowledged(epochs, seq, request.wait).await?;
    let own = (own_gateway == OwnGateway::Here).then(|| "gateway".to_owned());
    Ok(Revocation {
        act: request.act,
        kind: request.kind,
        id: kept.subject,
        revocation_seq: seq,
        record: kept.record,
        acknowledged: own.into_iter().chain(planes).collect(),
        missing,
    })
}

fn read(live: &Live, request: &RevocationRequest) -> Result<Revocable, NotRevoked> {
    let id = request.id.clone();
    match request.kind {
        Kind::Principal => {
            let named = live.about.principals.get(&id).cloned();
            let principal: Option<PrincipalId> = named.or_else(|| id.parse().ok());
            // one that the estate no longer knows may come back
            let principal = principal.filter(|id| *id != PrincipalId::Anonymous);
            principal.map(Revocable::Principal).ok_or(NotRevoked::NoPrincipal { id })
        }
        Kind::Credential => {
            if id.is_empty() || id.len() > 256 || id.chars().any(char::is_control) {
                return Err(NotRevoked::CredentialId);
            }
            Ok(Revocable::Credential(id))
        }
        Kind::Key => revocable("key", &id).ok_or(NotRevoked::KeyName { id }),
        Kind::Source => {
            let built_in = [credential::SVIDS, credential::OPERATORS, LOCAL].contains(&id.as_str());
            let known = built_in || live.about.documents.contains_key(&document(&id));
            let what = revocable("source", &id).filter(|_| known);
            what.ok_or(NotRevoked::NoSource { id })
        }
    }
}

fn document(source: &str) -> (String, String) {
    ("TrustSource".to_owned(), source.to_owned())
}

/// Whoever asks stays able to restore, and so does whoever holds the machine: the one door that needs no certificate, which
/// may be lost or end.
fn refuse_lock_out(what: &Revocable, asks: &Resolution, local: &[PrincipalId], at: Time) -> Result<(), NotRevoked> {
    if let Revocable::Principal(id) = what
        && *id == asks.actor.id
    {
        return Err(NotRevoked::Oneself { id: id.to_string() });
    }
    let is_last = match what {
        Revocable::Source(source) => source.as_str() == LOCAL,
        Revocable::Principal(id) => local.contains(id),
        Revocable::Credential(id) => local.iter().any(|local| is_of(local, id)),
        Revocable::Key(..) => false,
    };
    if is_last {
        return Err(NotRevoked::LastDoor);
    }
    let alone = Revocations::new(0, [(what.clone(), at, Standing::Revoked)]);
    match asks.proved().any(|finding| alone.of_finding(finding).is_some()) {
        true => Err(NotRevoked::OwnDoor { what: what.clone() }),
        false => Ok(()),
    }
}

/// Whether this names the kernel's word for a local operator.
fn is_of(local: &PrincipalId, credential: &str) -> bool {
    let uid = local.as_str().strip_prefix("human:local:");
    uid.is_some_and(|uid| credential.strip_prefix("uid:") == Some(uid))
}
