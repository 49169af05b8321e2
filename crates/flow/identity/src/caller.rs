//! Proofs become exactly one caller, or a refusal.

use std::sync::Arc;

use credential::{Finding, Proofs, Revocations};
use model::{Code, PrincipalId, PrincipalKind, Risk, SourceName, Time};

use crate::{Directory, Principal};

/// Whether an operation needs a caller at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Someone, proved.
    Proved,
    /// Anyone: without a credential the caller is `anonymous`. One that is presented still has to hold.
    Public,
}

/// Who acts, and until when the proof of it holds. Plain facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub actor: Arc<Principal>,
    /// Everything that was proved, the channel's finding first.
    pub findings: Vec<Arc<Finding>>,
    /// The earliest end of what the resolution rests on.
    pub until: Time,
}

impl Resolution {
    /// Everything that was proved, the channel's finding first.
    pub fn proved(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().map(AsRef::as_ref)
    }
}

/// The one caller of a call: only [`resolve`] makes one, from [`Proofs`].
///
/// ```compile_fail
/// fn forge(resolution: identity::Resolution) -> identity::Caller {
///     identity::Caller(resolution)
/// }
/// ```
///
/// A caller can be read:
///
/// ```
/// fn read(caller: identity::Caller) -> identity::Resolution {
///     caller.resolution().clone()
/// }
/// ```
#[derive(Debug)]
pub struct Caller(Resolution);

impl Caller {
    pub const fn resolution(&self) -> &Resolution {
        &self.0
    }
}

/// Why proofs give no caller. For operators: the peer learns none of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("no credential was presented")]
    Nothing,
    #[error("source `{source_name}` proved a key that belongs to no principal")]
    Unknown { source_name: SourceName },
    #[error("`{id}` expired at {at}")]
    Expired { id: PrincipalId, at: Time },
    #[error("principal `{id}` is revoked")]
    Revoked { id: PrincipalId },
    #[error("the channel proves `{channel}`, the message `{message}`")]
    Conflict { channel: PrincipalId, message: PrincipalId },
    #[error("the channel proves a {channel}, the message a {message}")]
    KindMismatch { channel: PrincipalKind, message: PrincipalKind },
}

impl Unresolved {
    pub const fn code(&self) -> Code {
        match self {
            Self::Nothing => Code::CredentialMissing,
            Self::Unknown { .. } => Code::PrincipalUnknown,
            Self::Expired { .. } => Code::PrincipalExpired,
            Self::Revoked { .. } => Code::Revoked,
            Self::Conflict { .. } => Code::ConflictingCredentials,
            Self::KindMismatch { .. } => Code::KindMismatch,
        }
    }
}

/// Resolves what was proved to exactly one caller.
///
/// # Errors
/// [`Unresolved`] where the proofs name nobody, or more than one.
pub fn resolve(
    directory: &Directory,
    revocations: &Revocations,
    proofs: &Proofs,
    access: Access,
    at: Time,
) -> Result<Caller, Unresolved> {
    let finding = |verified: Option<&credential::Verified>| verified.map(credential::Verified::shared);
    let (channel, message) = (finding(proofs.channel()), finding(proofs.message()));
    resolve_findings(directory, revocations, channel, message, access, at).map(Caller)
}

/// [`resolve`] over plain findings: what would follow if they were proved. Makes no [`Caller`].
///
/// # Errors
/// As [`resolve`].
pub fn resolve_findings(
    directory: &Directory,
    revocations: &Revocations,
    channel: Option<Arc<Finding>>,
    message: Option<Arc<Finding>>,
    access: Access,
    at: Time,
) -> Result<Resolution, Unresolved> {
    let look_up =
        |finding: &Option<Arc<Finding>>| finding.as_ref().map(|f| known(directory, revocations, f, at)).transpose();
    let actor = match (look_up(&channel)?, look_up(&message)?) {
        (None, None) if access == Access::Public => anonymous(),
        (None, None) => return Err(Unresolved::Nothing),
        (Some(only), None) | (None, Some(only)) => only,
        (Some(channel), Some(message)) => same(channel, &message)?,
    };
    let findings: Vec<_> = channel.into_iter().chain(message).collect();
    let proof_ends = findings.iter().map(|finding| finding.until);
    let until = proof_ends.chain(actor.expires).min().unwrap_or(Time::MAX);
    Ok(Resolution { actor, findings, until })
}

fn known(
    directory: &Directory,
    revocations: &Revocations,
    finding: &Finding,
    at: Time,
) -> Result<Arc<Principal>, Unresolved> {
    let principal = directory
        .known_by(&finding.source, &finding.key)
        .ok_or_else(|| Unresolved::Unknown { source_name: finding.source.clone() })?;
    if revocations.of_principal(&principal.id, finding.issued) {
        return Err(Unresolved::Revoked { id: principal.id.clone() });
    }
    match principal.expires {
        Some(end) if end <= at => Err(Unresolved::Expired { id: principal.id.clone(), at: end }),
        _ => Ok(principal),
    }
}

/// Two proofs must name one principal: never does the token win, or the certificate.
fn same(channel: Arc<Principal>, message: &Principal) -> Result<Arc<Principal>, Unresolved> {
    if channel.id == message.id {
        return Ok(channel);
    }
    if (channel.kind == PrincipalKind::Human) != (message.kind == PrincipalKind::Human) {
        return Err(Unresolved::KindMismatch { channel: channel.kind, message: message.kind });
    }
    Err(Unresolved::Conflict { channel: channel.id.clone(), message: message.id.clone() })
}

fn anonymous() -> Arc<Principal> {
    static ANONYMOUS: std::sync::LazyLock<Arc<Principal>> = std::sync::LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "a literal that the name parser accepts; every test run reads it")]
        let owner = "countersign".parse().expect("a sound owner");
        Arc::new(Principal {
            id: PrincipalId::Anonymous,
            kind: PrincipalKind::Anonymous,
            owner,
            purpose: "public operations".to_owned(),
            tenant: None,
            risk: Risk::Low,
            expires: None,
            groups: Arc::from([]),
        })
    });
    Arc::clone(&ANONYMOUS)
}
