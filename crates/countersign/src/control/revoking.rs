//! Revoking and restoring: words of an operator become what the gates no longer accept.

use std::collections::HashMap;
use std::sync::Arc;

use credential::{Revocable, Revocations, Standing};
use model::{PrincipalId, SourceName, Time};
use serde::{Deserialize, Serialize};
use store::{RevocationAct, StateFault};

use super::epochs::{Author, Epochs};
use crate::live::Live;

/// Acts as they are kept.
const REVOKE: &str = "revoke";
const RESTORE: &str = "restore";

/// Body of `POST /v1/revocations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    pub act: Act,
    pub kind: Kind,
    /// Id or name of a principal, id of a credential, `SOURCE/KID` of a key, name of a source.
    pub id: String,
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

/// What was done, and where it holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revocation {
    pub act: Act,
    pub kind: Kind,
    pub id: String,
    pub revocation_seq: u64,
    pub record: String,
    /// Planes that decide by it already. This server's own gateway is one.
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
    OwnDoor,
    #[error("{what} is not revoked")]
    Nothing { what: String },
    #[error("it cannot be kept")]
    Kept(#[from] StateFault),
}

/// Revokes or restores, and puts it in force here.
///
/// # Errors
/// [`NotRevoked`].
pub(super) async fn act(epochs: &Epochs, request: &RevocationRequest, by: &Author) -> Result<Revocation, NotRevoked> {
    let live = epochs.live().load_full();
    let what = read(&live, request)?;
    match request.act {
        Act::Revoke => refuse_lock_out(&what, by)?,
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
    Ok(Revocation {
        act: request.act,
        kind: request.kind,
        id: kept.subject,
        revocation_seq: seq,
        record: kept.record,
        acknowledged: vec!["gateway".to_owned()],
        missing: Vec::new(),
    })
}

/// What counts no more after every act up to number `through`. One that cannot be read is left out, and logged as an error:
/// only this program writes them, and a program that is older than the state's format does not start on it.
pub(super) fn fold(acts: &[(u64, RevocationAct)], through: u64) -> Revocations {
    let mut standing: HashMap<Revocable, (Time, Standing)> = HashMap::new();
    let mut seq = 0;
    for (number, act) in acts.iter().take_while(|(number, _)| *number <= through) {
        seq = *number;
        let (Some(what), Ok(at)) = (revocable(&act.kind, &act.subject), act.time.parse::<Time>()) else {
            tracing::error!(seq, kind = act.kind, "a revocation cannot be read");
            continue;
        };
        match act.act.as_str() {
            RESTORE => {
                if let Some((_, standing)) = standing.get_mut(&what) {
                    *standing = Standing::Restored;
                }
            }
            // whatever else is written there can only mean less trust
            _ => _ = standing.insert(what, (at, Standing::Revoked)),
        }
    }
    // tidy: order cannot matter
    Revocations::new(seq, standing.into_iter().map(|(what, (at, standing))| (what, at, standing)))
}

/// Every revocation as it stands, for people and programs.
pub(super) fn listed(revocations: &Revocations) -> Vec<serde_json::Value> {
    let mut listed: Vec<_> = revocations.entries().collect();
    listed.sort_by_key(|(what, at, _)| (*at, what.to_string()));
    let one = |(what, at, standing): (&Revocable, Time, Standing)| {
        let (kind, id) = words(what);
        let standing = if standing == Standing::Revoked { "revoked" } else { "restored" };
        serde_json::json!({"kind": kind, "id": id, "standing": standing, "time": at.to_string()})
    };
    listed.into_iter().map(one).collect()
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
            let known = id.as_str() == credential::SVIDS || live.about.documents.contains_key(&document(&id));
            let what = revocable("source", &id).filter(|_| known || id == "local");
            what.ok_or(NotRevoked::NoSource { id })
        }
    }
}

fn document(source: &str) -> (String, String) {
    ("TrustSource".to_owned(), source.to_owned())
}

/// An operator who revokes the way by which operators come could not restore it.
fn refuse_lock_out(what: &Revocable, by: &Author) -> Result<(), NotRevoked> {
    match what {
        Revocable::Principal(id) if id.as_str() == by.principal => Err(NotRevoked::Oneself { id: id.to_string() }),
        Revocable::Source(source) if source.as_str() == "local" => Err(NotRevoked::OwnDoor),
        Revocable::Credential(id) if by.principal == format!("human:local:{}", id.trim_start_matches("uid:")) => {
            Err(NotRevoked::OwnDoor)
        }
        Revocable::Principal(_) | Revocable::Credential(_) | Revocable::Key(..) | Revocable::Source(_) => Ok(()),
    }
}

fn revocable(kind: &str, subject: &str) -> Option<Revocable> {
    match kind {
        "principal" => subject.parse().ok().map(Revocable::Principal),
        "credential" => Some(Revocable::Credential(subject.to_owned())),
        "key" => {
            let (source, kid) = subject.split_once('/').filter(|(_, kid)| !kid.is_empty())?;
            Some(Revocable::Key(source.parse::<SourceName>().ok()?, kid.to_owned()))
        }
        "source" => subject.parse().ok().map(Revocable::Source),
        _ => None,
    }
}

/// Kind and id as they are kept and shown: what [`revocable`] reads.
fn words(what: &Revocable) -> (&'static str, String) {
    match what {
        Revocable::Principal(id) => ("principal", id.to_string()),
        Revocable::Credential(id) => ("credential", id.clone()),
        Revocable::Key(source, kid) => ("key", format!("{source}/{kid}")),
        Revocable::Source(source) => ("source", source.to_string()),
    }
}

/// The revocations that hold now.
pub(super) fn current(acts: &[(u64, RevocationAct)]) -> Arc<Revocations> {
    Arc::new(fold(acts, u64::MAX))
}
