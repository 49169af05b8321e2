//! The life of the keys that sign SVIDs: prepared, active, retired, tainted, gone. Which step is due, and which one an operator
//! may take, is a function of what is kept and of the time. Nothing is kept, signed or waited for here, and keys of every kind
//! live alike.
//!
//! A key is published from when it is prepared, so that whoever checks what it signs knows it before it signs. It is
//! published until all that it signed has ended, and a while longer.

use std::time::Duration;

use model::Time;

/// Longest life of an SVID, whatever its authority's.
pub const LONGEST_SVID: Duration = Duration::from_secs(24 * 3600);
/// How long a key stays published after all that it signed has ended; never longer than keys live.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most keys of a kind that are published when an operator prepares another: a verifier's bundle is bounded.
const MOST: usize = 8;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// X.509-SVIDs: it has a certificate.
    X509,
    /// JWT-SVIDs.
    Jwt,
    /// WIT-SVIDs, where they are signed at all: their standard is incubating.
    Wit,
}

/// How far a published key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Published, and signs nothing yet.
    Prepared,
    /// Signs.
    Active,
    /// Signs no more; what it signed counts.
    Retired,
    /// Likewise, and what it signed is to be replaced at once.
    Tainted,
    /// Published here, and a control plane below signs with it.
    Nested,
}

/// One published key, as far as its life goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLife {
    pub id: String,
    pub standing: Standing,
    /// When it was published.
    pub made: Time,
    /// When its standing began.
    pub since: Time,
    /// What it signs ends by then.
    pub ends: Time,
}

/// What is done with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// A new one is made and published.
    Prepare,
    /// A prepared one signs from now on, and the one before retires.
    Activate(String),
    /// What it signed is to be replaced.
    Taint(String),
    /// It is published no more: what it signed counts nowhere.
    Revoke(String),
    /// Likewise, for all that it signed has ended.
    Drop(String),
}

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("`{id}` is no authority of this kind that is published: `countersign authority show` lists them")]
    Unknown { id: String },
    #[error("`{id}` is prepared already: activate it, or taint and revoke it")]
    PreparedAlready { id: String },
    #[error(
        "{found} authorities of this kind are published, and at most {MOST} are when another is prepared: revoke one"
    )]
    TooMany { found: usize },
    #[error("`{id}` is active already")]
    ActiveAlready { id: String },
    #[error("`{id}` is {}: only a prepared authority is activated", .standing.as_str())]
    NotPrepared { id: String, standing: Standing },
    #[error("`{id}` has ended: prepare another")]
    Ended { id: String },
    #[error("`{id}` is active: activate another one before it is tainted")]
    TaintActive { id: String },
    #[error("`{id}` is tainted already")]
    TaintedAlready { id: String },
    #[error("`{id}` is active: activate another one, and taint this one, before it is revoked")]
    RevokeActive { id: String },
    #[error("`{id}` is {}: taint it before it is revoked, so that what it signed is replaced", .standing.as_str())]
    RevokeUntainted { id: String, standing: Standing },
    #[error("`{id}` is of a control plane below: taint and revoke it there")]
    Nested { id: String },
    #[error("`{id}` may still have signed what counts: it is dropped once that has ended")]
    DropEarly { id: String },
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::X509, Self::Jwt, Self::Wit];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Jwt => "jwt",
            Self::Wit => "wit",
        }
    }
}

impl Standing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Tainted => "tainted",
            Self::Nested => "nested",
        }
    }

    /// What [`Standing::as_str`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let all = [Self::Prepared, Self::Active, Self::Retired, Self::Tainted, Self::Nested];
        all.into_iter().find(|known| known.as_str() == text)
    }
}

impl KeyStep {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Activate(_) => "activate",
            Self::Taint(_) => "taint",
            Self::Revoke(_) => "revoke",
            Self::Drop(_) => "drop",
        }
    }

    /// The key that it is about; none where that is yet to be made.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Prepare => None,
            Self::Activate(id) | Self::Taint(id) | Self::Revoke(id) | Self::Drop(id) => Some(id),
        }
    }
}

/// The next step that is due for the keys of one kind, which live for `life`; none where nothing is to be done yet. After it was taken, ask again.
///
/// The next key is prepared when half of the active one's life is left, and activated when a sixth is left and it has been
/// published for a twenty-fourth. Where nothing signs that could, that is put right at once.
pub fn due(keys: &[KeyLife], life: Duration, at: Time) -> Option<KeyStep> {
    let prepared = last_prepared(keys).filter(|key| key.ends > at);
    let activate = |key: &KeyLife| KeyStep::Activate(key.id.clone());
    let Some(active) = active(keys).filter(|key| key.ends > at) else {
        return Some(prepared.map_or(KeyStep::Prepare, activate));
    };
    let works = active.ends.since(active.made).min(life);
    let left = active.made.plus(works).since(at);
    match prepared {
        None if left <= works / 2 => return Some(KeyStep::Prepare),
        Some(next) if left <= works / 6 && at.since(next.made) >= works / 24 => return Some(activate(next)),
        None | Some(_) => {}
    }
    keys.iter().find(|key| is_over(key, life, at)).map(|key| KeyStep::Drop(key.id.clone()))
}

/// Whether a step may be taken.
///
/// # Errors
/// [`NotTaken`].
pub fn check(keys: &[KeyLife], step: &KeyStep, life: Duration, at: Time) -> Result<(), NotTaken> {
    let Some(id) = step.id() else { return check_prepare(keys, at) };
    let id = id.to_owned();
    let Some(key) = keys.iter().find(|key| key.id == id) else { return Err(NotTaken::Unknown { id }) };
    let standing = key.standing;
    match (step, standing) {
        (KeyStep::Activate(_) | KeyStep::Taint(_) | KeyStep::Revoke(_), Standing::Nested) => {
            Err(NotTaken::Nested { id })
        }
        (KeyStep::Activate(_), Standing::Prepared) if key.ends <= at => Err(NotTaken::Ended { id }),
        (KeyStep::Activate(_), Standing::Active) => Err(NotTaken::ActiveAlready { id }),
        (KeyStep::Activate(_), Standing::Retired | Standing::Tainted) => Err(NotTaken::NotPrepared { id, standing }),
        (KeyStep::Taint(_), Standing::Active) => Err(NotTaken::TaintActive { id }),
        (KeyStep::Taint(_), Standing::Tainted) => Err(NotTaken::TaintedAlready { id }),
        (KeyStep::Revoke(_), Standing::Active) => Err(NotTaken::RevokeActive { id }),
        (KeyStep::Revoke(_), Standing::Prepared | Standing::Retired) => Err(NotTaken::RevokeUntainted { id, standing }),
        (KeyStep::Drop(_), _) if !is_over(key, life, at) => Err(NotTaken::DropEarly { id }),
        (KeyStep::Prepare | KeyStep::Activate(_) | KeyStep::Taint(_) | KeyStep::Revoke(_) | KeyStep::Drop(_), _) => {
            Ok(())
        }
    }
}

/// The one that signs.
pub fn active(keys: &[KeyLife]) -> Option<&KeyLife> {
    keys.iter().find(|key| key.standing == Standing::Active)
}

/// One that waits to be activated keeps others from being prepared; and where nothing signs, nothing else does.
fn check_prepare(keys: &[KeyLife], at: Time) -> Result<(), NotTaken> {
    if let Some(prepared) = last_prepared(keys).filter(|key| key.ends > at) {
        return Err(NotTaken::PreparedAlready { id: prepared.id.clone() });
    }
    let found = keys.iter().filter(|key| key.standing != Standing::Nested).count();
    if active(keys).is_some_and(|key| key.ends > at) && found >= MOST {
        return Err(NotTaken::TooMany { found });
    }
    Ok(())
}

fn last_prepared(keys: &[KeyLife]) -> Option<&KeyLife> {
    keys.iter().filter(|key| key.standing == Standing::Prepared).max_by_key(|key| key.made)
}

/// Whether all that a key signed ended a while ago. The active one is never over: another takes its place first.
fn is_over(key: &KeyLife, life: Duration, at: Time) -> bool {
    let signed_until = match key.standing {
        Standing::Active => return false,
        Standing::Prepared | Standing::Nested => key.ends,
        Standing::Retired | Standing::Tainted => key.ends.min(key.since.plus(LONGEST_SVID)),
    };
    signed_until.plus(KEPT.min(life)) <= at
}

#[cfg(test)]
mod tests;
