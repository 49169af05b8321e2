//! Why a credential was refused: one variant a cause, each with its closed code.

use model::{Binding, Code, Digest, SourceName, SpiffeId, Time, TrustDomain};

use crate::{CredentialKind, Finding, Flaw, Revocable, TpmFlaw};

/// The steps of verification, in the order of a token's: what is refused at one of them passed those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Shape,
    Issuer,
    Algorithm,
    Key,
    Signature,
    Times,
    Audience,
    Binding,
    Revocation,
}

impl Step {
    pub const ALL: &'static [Self] = &[
        Self::Shape,
        Self::Issuer,
        Self::Algorithm,
        Self::Key,
        Self::Signature,
        Self::Times,
        Self::Audience,
        Self::Binding,
        Self::Revocation,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Issuer => "issuer",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Times => "times",
            Self::Audience => "audience",
            Self::Binding => "binding",
            Self::Revocation => "revocation",
        }
    }
}

/// Why a credential proves nothing. For operators: a peer that is not proved learns none of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("the credential has {found} bytes; at most {most} are read")]
    TooLong { found: usize, most: usize },
    #[error("expected a compact JWS of three parts, found {found}")]
    Parts { found: usize },
    #[error("the {part} is not unpadded base64url")]
    Base64 { part: &'static str },
    #[error("the {part} is not a JSON object, or names a member twice")]
    Json { part: &'static str },
    #[error("header parameter `{name}` is not accepted")]
    HeaderRefused { name: &'static str },
    #[error("header parameter `{name}` is missing or not a string")]
    HeaderType { name: &'static str },
    #[error("`typ` is `{found}`, which this source does not accept")]
    WrongType { found: String },
    #[error("claim `{name}` is missing")]
    ClaimMissing { name: String },
    #[error("claim `{name}` is not {expected}")]
    ClaimType { name: String, expected: &'static str },
    #[error("the evidence is not {expected}")]
    EvidenceMalformed { expected: &'static str },
    #[error("no trust source has this issuer")]
    IssuerUnknown,
    #[error("no trust source of this name vouches for nodes by `{method}`")]
    NodeSourceUnknown { method: &'static str },
    #[error("`{found}` is not among those whose nodes this source vouches for")]
    NotListed { found: String },
    #[error("the API server of the cluster was not asked whether the token holds, or gave no answer that can be used")]
    NotReviewed,
    #[error("the API server of the cluster says that the token does not hold: {why}")]
    NotAuthenticated { why: String },
    #[error("what the API server of the cluster says of the token does not fit: {what}")]
    ReviewMismatch { what: &'static str },
    #[error("{flaw}")]
    Tpm { flaw: TpmFlaw },
    #[error("trust domain `{domain}` is not trusted here")]
    TrustDomainUnknown { domain: TrustDomain },
    #[error("expected `{expected}`, found `{found}`")]
    OtherPeer { expected: SpiffeId, found: String },
    #[error("the certificate chain does not verify: {flaw}")]
    ChainInvalid { flaw: Flaw },
    #[error("algorithm `{found}` is not accepted from this source")]
    AlgorithmRefused { found: String },
    #[error("algorithm `{found}` does not belong to the key that the credential names")]
    AlgorithmNotOfKey { found: String },
    #[error("the source's keys are not available")]
    KeysUnavailable,
    #[error("whoever vouches for such nodes could not be asked")]
    VoucherUnheard,
    #[error("the source has no such key")]
    KeyUnknown,
    #[error("no `kid`, and {fitting} keys fit")]
    KeyNotNamed { fitting: usize },
    #[error("the signature does not verify")]
    SignatureInvalid,
    #[error("expired at {at}")]
    Expired { at: Time },
    #[error("`{claim}` lies ahead, at {at}")]
    NotYetValid { claim: &'static str, at: Time },
    #[error("older than the source's `maxAge`, or valid for longer")]
    TooOld,
    #[error("issued for another audience, or for more than one")]
    AudienceWrong,
    #[error("bound by `cnf` to {to}")]
    BindingMismatch { to: &'static str },
    #[error("{what} is revoked")]
    Revoked { what: Revocable },
}

impl Cause {
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. }
            | Self::Parts { .. }
            | Self::Base64 { .. }
            | Self::Json { .. }
            | Self::HeaderRefused { .. }
            | Self::HeaderType { .. }
            | Self::WrongType { .. }
            | Self::ClaimMissing { .. }
            | Self::ClaimType { .. }
            | Self::EvidenceMalformed { .. } => Code::CredentialMalformed,
            Self::IssuerUnknown | Self::NodeSourceUnknown { .. } | Self::TrustDomainUnknown { .. } => {
                Code::IssuerUnknown
            }
            Self::ChainInvalid { .. } | Self::OtherPeer { .. } => Code::ChainInvalid,
            Self::Tpm { flaw } => match flaw {
                TpmFlaw::Endorsement | TpmFlaw::Attestation => Code::CredentialMalformed,
                TpmFlaw::OtherKey => Code::ChainInvalid,
                TpmFlaw::OtherStatement => Code::SignatureInvalid,
            },
            Self::AlgorithmRefused { .. } | Self::AlgorithmNotOfKey { .. } => Code::AlgorithmRefused,
            Self::KeysUnavailable | Self::NotReviewed | Self::VoucherUnheard => Code::KeysUnavailable,
            Self::KeyUnknown | Self::KeyNotNamed { .. } => Code::KeyUnknown,
            Self::SignatureInvalid => Code::SignatureInvalid,
            Self::Expired { .. } => Code::Expired,
            Self::NotYetValid { .. } => Code::NotYetValid,
            Self::TooOld => Code::TooOld,
            Self::AudienceWrong => Code::AudienceWrong,
            Self::NotListed { .. } => Code::PrincipalUnknown,
            Self::BindingMismatch { .. } | Self::ReviewMismatch { .. } => Code::BindingMismatch,
            Self::Revoked { .. } | Self::NotAuthenticated { .. } => Code::Revoked,
        }
    }

    /// The step that found this cause.
    pub const fn step(&self) -> Step {
        match self {
            Self::TooLong { .. }
            | Self::Parts { .. }
            | Self::Base64 { .. }
            | Self::Json { .. }
            | Self::HeaderRefused { .. }
            | Self::HeaderType { .. }
            | Self::WrongType { .. }
            | Self::ClaimMissing { .. }
            | Self::ClaimType { .. }
            | Self::EvidenceMalformed { .. } => Step::Shape,
            Self::IssuerUnknown | Self::NodeSourceUnknown { .. } | Self::TrustDomainUnknown { .. } => Step::Issuer,
            Self::ChainInvalid { .. } | Self::OtherPeer { .. } => Step::Signature,
            Self::AlgorithmRefused { .. } | Self::AlgorithmNotOfKey { .. } => Step::Algorithm,
            Self::KeysUnavailable | Self::VoucherUnheard | Self::KeyUnknown | Self::KeyNotNamed { .. } => Step::Key,
            Self::SignatureInvalid | Self::Tpm { .. } => Step::Signature,
            Self::Expired { .. } | Self::NotYetValid { .. } | Self::TooOld => Step::Times,
            Self::AudienceWrong | Self::NotListed { .. } => Step::Audience,
            Self::BindingMismatch { .. } => Step::Binding,
            Self::Revoked { .. } | Self::NotReviewed | Self::NotAuthenticated { .. } | Self::ReviewMismatch { .. } => {
                Step::Revocation
            }
        }
    }
}

/// A credential that was presented and proves nothing, with what may be recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub cause: Cause,
    /// The source that its issuer picked, if any did.
    pub source: Option<SourceName>,
    pub kind: CredentialKind,
    pub binding: Binding,
    pub digest: Digest,
    /// What the channel proved before the message was refused.
    pub beside: Option<Finding>,
}

/// Untrusted text as it may stand in a message: cut, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
