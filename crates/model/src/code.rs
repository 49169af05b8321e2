//! The closed list of answer codes. Every refusal has one; nothing else is ever said about why.

use crate::words;

words! {
    /// Which of the three questions, or the system itself, refused.
    pub enum Layer {
        Identity = "identity",
        Access = "access",
        Protocol = "protocol",
        System = "system",
    }
}

words! {
    /// Why a call was refused. The list is closed: records, answers and metrics share it.
    pub enum Code {
        CredentialMissing = "credential_missing",
        CredentialMalformed = "credential_malformed",
        SignatureInvalid = "signature_invalid",
        AlgorithmRefused = "algorithm_refused",
        KeyUnknown = "key_unknown",
        KeysUnavailable = "keys_unavailable",
        IssuerUnknown = "issuer_unknown",
        AudienceWrong = "audience_wrong",
        Expired = "expired",
        NotYetValid = "not_yet_valid",
        TooOld = "too_old",
        BindingMismatch = "binding_mismatch",
        Replayed = "replayed",
        Revoked = "revoked",
        PrincipalUnknown = "principal_unknown",
        PrincipalExpired = "principal_expired",
        KindMismatch = "kind_mismatch",
        ConflictingCredentials = "conflicting_credentials",
        ChainInvalid = "chain_invalid",
        NoPermit = "no_permit",
        Forbidden = "forbidden",
        EvidenceMissing = "evidence_missing",
        ApprovalRequired = "approval_required",
        PolicyError = "policy_error",
        CrossEnvironment = "cross_environment",
        RequestMalformed = "request_malformed",
        RequestAmbiguous = "request_ambiguous",
        RequestTooLarge = "request_too_large",
        OperationUnmapped = "operation_unmapped",
        SnapshotStale = "snapshot_stale",
        LedgerUnavailable = "ledger_unavailable",
        Overloaded = "overloaded",
        UpstreamUnreachable = "upstream_unreachable",
        UpstreamTimeout = "upstream_timeout",
    }
}

impl Code {
    /// The layer that this code belongs to; fixed for each code.
    pub const fn layer(self) -> Layer {
        match self {
            Self::CredentialMissing
            | Self::CredentialMalformed
            | Self::SignatureInvalid
            | Self::AlgorithmRefused
            | Self::KeyUnknown
            | Self::KeysUnavailable
            | Self::IssuerUnknown
            | Self::AudienceWrong
            | Self::Expired
            | Self::NotYetValid
            | Self::TooOld
            | Self::BindingMismatch
            | Self::Replayed
            | Self::Revoked
            | Self::PrincipalUnknown
            | Self::PrincipalExpired
            | Self::KindMismatch
            | Self::ConflictingCredentials
            | Self::ChainInvalid => Layer::Identity,
            Self::NoPermit
            | Self::Forbidden
            | Self::EvidenceMissing
            | Self::ApprovalRequired
            | Self::PolicyError
            | Self::CrossEnvironment => Layer::Access,
            Self::RequestMalformed | Self::RequestAmbiguous | Self::RequestTooLarge | Self::OperationUnmapped => {
                Layer::Protocol
            }
            Self::SnapshotStale
            | Self::LedgerUnavailable
            | Self::Overloaded
            | Self::UpstreamUnreachable
            | Self::UpstreamTimeout => Layer::System,
        }
    }

    /// One fixed sentence for people, the same for every call with this code.
    pub const fn title(self) -> &'static str {
        match self {
            Self::CredentialMissing => "no credential was presented",
            Self::CredentialMalformed => "the credential cannot be read",
            Self::SignatureInvalid => "the credential's signature does not verify",
            Self::AlgorithmRefused => "the credential's signature algorithm is not accepted",
            Self::KeyUnknown => "the credential names no key of its issuer",
            Self::KeysUnavailable => "the issuer's keys are not available",
            Self::IssuerUnknown => "the credential's issuer is not trusted here",
            Self::AudienceWrong => "the credential was issued for another audience",
            Self::Expired => "the credential has expired",
            Self::NotYetValid => "the credential is not valid yet",
            Self::TooOld => "the credential is older than its source allows",
            Self::BindingMismatch => "the credential is bound to another key",
            Self::Replayed => "the credential was used before",
            Self::Revoked => "the credential was revoked",
            Self::PrincipalUnknown => "the credential belongs to no principal",
            Self::PrincipalExpired => "the principal has expired",
            Self::KindMismatch => "the credential belongs to another kind of principal",
            Self::ConflictingCredentials => "the credentials belong to different principals",
            Self::ChainInvalid => "the certificate chain does not verify",
            Self::NoPermit => "no policy permits this",
            Self::Forbidden => "a policy forbids this",
            Self::EvidenceMissing => "this needs more proof than was given",
            Self::ApprovalRequired => "this needs a person's approval",
            Self::PolicyError => "a policy could not be evaluated",
            Self::CrossEnvironment => "the caller belongs to another environment",
            Self::RequestMalformed => "the request cannot be read",
            Self::RequestAmbiguous => "the request can be read in more than one way",
            Self::RequestTooLarge => "the request is too large",
            Self::OperationUnmapped => "the operation is not in the catalog",
            Self::SnapshotStale => "the configuration in force is too old to decide by",
            Self::LedgerUnavailable => "the judgement cannot be recorded",
            Self::Overloaded => "too many requests are in flight",
            Self::UpstreamUnreachable => "the service behind cannot be reached",
            Self::UpstreamTimeout => "the service behind did not answer in time",
        }
    }
}
