//! Gate 1, first half: bytes become `Verified` facts, checked cryptographically against a configured trust source.
//!
//! This crate never fetches a key, never reads a clock and never follows a URL that a credential names. No symmetric
//! algorithm exists in it, so that a public key can never be used as a secret.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod algorithm;
mod authorities;
mod cause;
mod certificate;
mod claims;
mod establish;
mod finding;
mod intermediate;
mod json;
mod jwk;
mod jws;
mod jwt_svid;
mod keys;
mod memo;
mod nodes;
mod operators;
mod path;
mod peer;
mod presented;
mod revocations;
mod source;
mod sources;
mod spiffe_bundle;
mod unknown_key;
mod verify;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use authorities::{Authorities, BadBundle, Bundle, domain_of};
pub use cause::{Cause, Refused, Step};
pub use certificate::Flaw;
pub use claims::{BadClaimPath, ClaimPath};
pub use finding::{CredentialKind, Finding, Proofs, Verified};
pub use intermediate::{AuthorityCertificate, AuthorityKey, NotAsked, certificates_apart, check_asked};
pub use jwt_svid::{JwtSvid, validate_jwt_svid};
pub use keys::{BadKeySet, KeySet};
pub use nodes::{
    Answers, AwsCall, AwsCallers, AwsInstances, BadRegion, BadRole, CHALLENGE, Challenge, EndorsementKey,
    EndorsementPublic, MAX_ANSWER, NodeAuthorities, NodeEvidence, NodeMethod, NodeProof, NodeSources, NodeTrust, Point,
    Possession, Review, ReviewQuestion, ReviewedKeys, STS_BODY, STS_BODY_TYPE, STS_BOUND, SignedCall, Statement,
    StsAnswer, StsCall, StsPlace, TokenRules, TpmFlaw, TpmHash, TpmProof, TpmQuote, TpmTrust, host_of, is_region,
    is_reviewed, review_question, sts_of, tpm_name, tpm_qualifying,
};
pub use operators::{NotPinned, Operators};
pub use peer::PeerCertificates;
pub use presented::{Channel, Message, PeerCredentials, Presented, Token};
pub use revocations::{Revocable, Revocations, Standing};
pub use source::{CredentialCache, EvidenceRule, ExtraAudiences, Picked, Source, SourceKeys};
pub use sources::{MemoCounts, SharedIssuer, Sources};
pub use spiffe_bundle::{BadSpiffeBundle, SpiffeBundle};
pub use unknown_key::UnknownKey;
pub use verify::{digest_of, examine, verify};

/// The source of an environment's own SVIDs: each names its principal itself. No estate can declare a source of this name.
pub const SVIDS: &str = "spiffe";
/// The source of operators' certificates: each names a human. Likewise.
pub const OPERATORS: &str = "operators";

#[cfg(test)]
mod tests;
