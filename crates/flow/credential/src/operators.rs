//! Certificates of operators. Each counts by its exact bytes and for one name: nobody's signature makes another one, and no
//! name in a certificate says whose it is.

use std::collections::{BTreeMap, BTreeSet};

use model::{Binding, Digest, OperatorName, SourceName, Time};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::certificate::{self, Flaw, Particulars};
use crate::{Cause, CredentialKind, Finding, OPERATORS, digest_of};

/// Who operates an installation from elsewhere, and by which certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators {
    by_name: BTreeMap<OperatorName, Pinned>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pinned {
    digest: Digest,
    particulars: Particulars,
}

/// Why a certificate does not count for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPinned {
    #[error("it is no operator's certificate")]
    Flaw(#[from] Flaw),
    #[error("operator `{name}` has another certificate already")]
    SameName { name: OperatorName },
    #[error("its key is that of operator `{name}`, and a key is one person's")]
    SameKey { name: OperatorName },
}

impl Operators {
    /// Lets this certificate in DER, and no other, count for an operator.
    ///
    /// # Errors
    /// [`NotPinned`].
    pub fn pin(&mut self, name: OperatorName, der: &[u8]) -> Result<(), NotPinned> {
        let parsed = certificate::parse(der)?;
        certificate::check_operator(&parsed)?;
        // what the handshake's own parser refuses would only lock its holder out
        let leaf = CertificateDer::from(der);
        EndEntityCert::try_from(&leaf).map_err(|error| Flaw::Path { why: error.to_string() })?;
        let pinned = Pinned { digest: digest_of(der), particulars: Particulars::of(&parsed)? };
        if self.by_name.contains_key(&name) {
            return Err(NotPinned::SameName { name });
        }
        let same_key = |(_, other): &(&OperatorName, &Pinned)| other.particulars.key == pinned.particulars.key;
        if let Some((other, _)) = self.by_name.iter().find(same_key) {
            return Err(NotPinned::SameKey { name: other.clone() });
        }
        self.by_name.insert(name, pinned);
        Ok(())
    }

    /// What the certificate of this digest proves at `at`; none if it is no operator's.
    pub(crate) fn check(&self, digest: Digest, at: Time) -> Option<Result<Finding, Cause>> {
        let (name, pinned) = self.find(digest)?;
        Some(pinned.particulars.hold_at(at).map(|()| pinned.finding(name)))
    }

    pub(crate) fn has(&self, digest: Digest) -> bool {
        self.find(digest).is_some()
    }

    /// In order of their names.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (&OperatorName, Digest)> {
        self.by_name.iter().map(|(name, pinned)| (name, pinned.digest))
    }

    fn find(&self, digest: Digest) -> Option<(&OperatorName, &Pinned)> {
        self.by_name.iter().find(|(_, pinned)| pinned.digest == digest)
    }
}

impl Pinned {
    fn finding(&self, name: &OperatorName) -> Finding {
        let Particulars { serial, key, not_before, not_after } = &self.particulars;
        Finding {
            source: source(),
            kind: CredentialKind::X509,
            binding: Binding::Mtls,
            key: vec![name.to_string()],
            display: Vec::new(),
            facts: BTreeSet::new(),
            credential_id: format!("serial:{serial}"),
            digest: self.digest,
            issued: Some(*not_before),
            expires: Some(*not_after),
            until: self.particulars.ends(),
            // nobody's signature counts
            key_id: None,
            key_thumbprint: Some(*key),
        }
    }
}

/// The source of these certificates.
pub(crate) fn source() -> SourceName {
    #[expect(clippy::expect_used, reason = "a literal of lower-case letters, which every source's name may be")]
    OPERATORS.parse().expect("a source's name")
}
