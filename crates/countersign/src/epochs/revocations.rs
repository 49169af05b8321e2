//! Acts of operators as they are kept become what the gates no longer accept.

use std::collections::HashMap;
use std::sync::Arc;

use credential::{Revocable, Revocations, Standing};
use model::{SourceName, Time};
use store::RevocationAct;

/// Acts as they are kept.
pub const REVOKE: &str = "revoke";
pub const RESTORE: &str = "restore";

/// What counts no more after every act up to number `through`. One that cannot be read is left out, and logged as an error:
/// only this program writes them, and a program that is older than the state's format does not start on it.
pub fn fold(acts: &[(u64, RevocationAct)], through: u64) -> Revocations {
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
pub fn listed(revocations: &Revocations) -> Vec<serde_json::Value> {
    let mut listed: Vec<_> = revocations.entries().collect();
    listed.sort_by_key(|(what, at, _)| (*at, what.to_string()));
    let one = |(what, at, standing): (&Revocable, Time, Standing)| {
        let (kind, id) = words(what);
        let standing = if standing == Standing::Revoked { "revoked" } else { "restored" };
        serde_json::json!({"kind": kind, "id": id, "standing": standing, "time": at.to_string()})
    };
    listed.into_iter().map(one).collect()
}

/// The acts by which something is revoked now, oldest first: each subject's last, unless it was restored.
pub fn standing(acts: &[(u64, RevocationAct)]) -> Vec<RevocationAct> {
    let last = |act: &RevocationAct| {
        let same = |(_, other): &&(u64, RevocationAct)| other.kind == act.kind && other.subject == act.subject;
        acts.iter().rev().find(same).is_some_and(|(_, last)| last == act)
    };
    acts.iter().map(|(_, act)| act).filter(|act| act.act != RESTORE && last(act)).cloned().collect()
}

/// The revocations that hold now.
pub fn current(acts: &[(u64, RevocationAct)]) -> Arc<Revocations> {
    Arc::new(fold(acts, u64::MAX))
}

pub fn revocable(kind: &str, subject: &str) -> Option<Revocable> {
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
pub fn words(what: &Revocable) -> (&'static str, String) {
    match what {
        Revocable::Principal(id) => ("principal", id.to_string()),
        Revocable::Credential(id) => ("credential", id.clone()),
        Revocable::Key(source, kid) => ("key", format!("{source}/{kid}")),
        Revocable::Source(source) => ("source", source.to_string()),
    }
}
