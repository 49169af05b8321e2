//! The certificates of a TLS peer: checked against the bundle of its own trust domain, and again whenever that changes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Binding, Digest, SpiffeId, Time, TrustDomain};

use crate::authorities::{Authorities, Bundle};
use crate::certificate::{self, Flaw, Particulars};
use crate::{Cause, CredentialKind, Finding, digest_of, path};

/// Most certificates of a peer, its leaf included.
const MAX_CERTIFICATES: usize = 8;
/// Longest certificate, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// What a TLS peer presented. Whoever makes one vouches that the peer holds the leaf's key: it is made after a handshake
/// that proved so, to record why one was refused, or to be
/// examined, from which no [`Verified`](crate::Verified) comes.
pub struct PeerCertificates {
    chain: Vec<Vec<u8>>,
    digest: Digest,
    leaf: Result<Leaf, Flaw>,
    /// What the bundle of this digest made of the chain: neither changes, so that a chain is verified once a bundle.
    checked: Mutex<Option<(Digest, Arc<Finding>)>>,
}

/// A leaf that keeps the rules of one. Nothing is known yet of who signed it.
#[derive(Clone)]
struct Leaf {
    id: SpiffeId,
    domain: TrustDomain,
    signed_by: Option<String>,
    particulars: Particulars,
}

impl PeerCertificates {
    /// Certificates in DER, leaf first.
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        let first = chain.first().map_or(&[] as &[u8], Vec::as_slice);
        let sizes = chain.len() <= MAX_CERTIFICATES && chain.iter().all(|der| der.len() <= MAX_BYTES);
        let leaf = if sizes { Leaf::read(first) } else { Err(Flaw::TooLong { certificates: chain.len() }) };
        Self { digest: digest_of(first), leaf, chain, checked: Mutex::new(None) }
    }

    /// SHA-256 of the leaf: what `x5t#S256` names (RFC 8705 §3.1).
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// When the leaf ends by its own word; none where it is no leaf of an SVID.
    pub fn ends(&self) -> Option<Time> {
        self.leaf.as_ref().ok().map(|leaf| leaf.particulars.not_after)
    }

    /// Who signed the leaf, as it names them; none where it does not say, or is no leaf of an SVID.
    pub fn signed_by(&self) -> Option<&str> {
        self.leaf.as_ref().ok()?.signed_by.as_deref()
    }

    /// What the chain proves at `at`. Times of certificates have no leeway.
    ///
    /// # Errors
    /// [`Cause`].
    pub fn check(&self, authorities: &Authorities, at: Time) -> Result<Finding, Cause> {
        let leaf = self.leaf.as_ref().map_err(|flaw| Cause::ChainInvalid { flaw: flaw.clone() })?;
        leaf.particulars.hold_at(at)?;
        let unknown = || Cause::TrustDomainUnknown { domain: leaf.domain.clone() };
        let bundle = authorities.of(&leaf.domain).ok_or_else(unknown)?;
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match checked.as_ref() {
            Some((digest, found)) if *digest == bundle.digest() => Arc::clone(found),
            Some(_) | None => {
                let until = verify_path(&self.chain, bundle, at).map_err(|flaw| Cause::ChainInvalid { flaw })?;
                let found = Arc::new(self.finding(leaf, bundle, until));
                *checked = Some((bundle.digest(), Arc::clone(&found)));
                found
            }
        };
        drop(checked);
        // an authority above may end before its leaf does
        if found.until <= at { Err(Cause::Expired { at: found.until }) } else { Ok((*found).clone()) }
    }

    /// Whether the leaf keeps the rules of one, whoever signed it.
    pub const fn has_sound_leaf(&self) -> bool {
        self.leaf.is_ok()
    }

    fn finding(&self, leaf: &Leaf, bundle: &Bundle, until: Time) -> Finding {
        let Particulars { serial, key, not_before, not_after } = &leaf.particulars;
        Finding {
            source: bundle.source.clone(),
            kind: CredentialKind::X509Svid,
            binding: Binding::Mtls,
            key: vec![leaf.id.to_string()],
            display: Vec::new(),
            facts: BTreeSet::new(),
            credential_id: format!("serial:{serial}"),
            digest: self.digest,
            issued: Some(not_before.plus(bundle.backdate)),
            expires: Some(*not_after),
            until,
            key_id: leaf.signed_by.clone(),
            key_thumbprint: Some(*key),
        }
    }
}

/// Names the leaf; a chain may be long.
impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificates").field("leaf", &self.digest).field("certificates", &self.chain.len()).finish()
    }
}

impl Leaf {
    fn read(der: &[u8]) -> Result<Self, Flaw> {
        let parsed = certificate::parse(der)?;
        let id = certificate::check_leaf(&parsed)?;
        let (signed_by, particulars) = (certificate::authority_key(&parsed), Particulars::of(&parsed)?);
        Ok(Self { domain: id.trust_domain(), id, signed_by, particulars })
    }
}

/// Path validation (RFC 5280 §6) up to an authority of `bundle`; gives the first instant at which the path has ended.
fn verify_path(chain: &[Vec<u8>], bundle: &Bundle, at: Time) -> Result<Time, Flaw> {
    for der in chain.iter().skip(1) {
        certificate::check_authority(&certificate::parse(der)?, &bundle.domain)?;
    }
    Ok(path::verify(chain, &bundle.anchors, at)?.ends)
}
