//! What verification found: plain facts, and the witness that only verification of real bytes can make.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Binding, Digest, Fact, SourceName, Time};

/// What sort of credential was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    Jwt,
    /// An X.509-SVID, by the TLS handshake that it authenticated.
    X509Svid,
    /// An operator's certificate, likewise.
    X509,
    /// The kernel's word for a local peer.
    Kernel,
    /// A node's certificate, by its key's signature over a challenge.
    X509Pop,
    /// A TPM's endorsement key, by what the TPM says and signs.
    Tpm,
    /// An instance's identity document, by the signature of its region of Amazon's.
    AwsIid,
    /// What Amazon's STS answers to a request that a node signed.
    AwsSts,
}

/// What one credential proves. Plain facts: anyone may write one down, to ask what would follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub source: SourceName,
    pub kind: CredentialKind,
    pub binding: Binding,
    /// The values of the source's `identityKey`, in its order.
    pub key: Vec<String>,
    /// Claims that the source lists for display: never identity. Of a node, what was attested of it, by names of selectors.
    pub display: Vec<(String, String)>,
    /// Facts that the source's conditions on claims establish.
    pub facts: BTreeSet<Fact>,
    /// `jti` if there is one, else `sha256:` and the digest; `serial:` and the serial number of a certificate.
    pub credential_id: String,
    /// SHA-256 of the credential's exact bytes.
    pub digest: Digest,
    pub issued: Option<Time>,
    pub expires: Option<Time>,
    /// Proves nothing from this instant on: the earliest of expiry (with leeway) and the source's `maxAge`.
    pub until: Time,
    /// Name of the key that signed it: a token's `kid`, the key identifier of a certificate's authority.
    pub key_id: Option<String>,
    /// RFC 7638 thumbprint (SHA-256) of the key that verified a token, digest of a certificate's own key; none for a kernel's
    /// word.
    pub key_thumbprint: Option<Digest>,
}

/// A finding that was earned: only [`crate::verify`] makes one, from real bytes.
///
/// ```compile_fail
/// fn forge(finding: std::sync::Arc<credential::Finding>) -> credential::Verified {
///     credential::Verified(finding)
/// }
/// ```
///
/// A verified finding can be read:
///
/// ```
/// fn read(verified: credential::Verified) -> std::sync::Arc<credential::Finding> {
///     verified.shared()
/// }
/// ```
#[derive(Debug)]
pub struct Verified(Arc<Finding>);

/// Everything that verification proved of one call; may be nothing.
///
/// ```compile_fail
/// fn forge(verified: credential::Verified) -> credential::Proofs {
///     credential::Proofs { channel: None, message: Some(verified) }
/// }
/// ```
///
/// Proofs can be read, and nothing can be proved by presenting nothing:
///
/// ```
/// fn nothing(_verified: credential::Verified) -> credential::Proofs {
///     credential::Proofs::default()
/// }
/// ```
#[derive(Debug, Default)]
pub struct Proofs {
    channel: Option<Verified>,
    message: Option<Verified>,
}

impl Verified {
    pub(crate) const fn earned(finding: Arc<Finding>) -> Self {
        Self(finding)
    }

    pub fn finding(&self) -> &Finding {
        &self.0
    }

    /// The finding, to be kept beside this: plain facts, and no witness.
    pub fn shared(&self) -> Arc<Finding> {
        Arc::clone(&self.0)
    }
}

impl Proofs {
    pub(crate) const fn new(channel: Option<Verified>, message: Option<Verified>) -> Self {
        Self { channel, message }
    }

    pub const fn channel(&self) -> Option<&Verified> {
        self.channel.as_ref()
    }

    pub const fn message(&self) -> Option<&Verified> {
        self.message.as_ref()
    }

    /// Every finding, the channel's first.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.channel.iter().chain(&self.message).map(Verified::finding)
    }
}
