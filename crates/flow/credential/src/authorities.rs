//! Bundles of SPIFFE trust domains: whose X.509-SVIDs are accepted, chosen by trust domain and never pooled
//! (SPIFFE_Trust_Domain_and_Bundle.md §3).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use model::{Digest, SourceName, Time, TrustDomain};
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::{self, Flaw};
use crate::digest_of;

/// Most authorities of one trust domain.
pub(crate) const MAX_AUTHORITIES: usize = 32;

/// The signing authorities of one trust domain.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub(crate) source: SourceName,
    pub(crate) domain: TrustDomain,
    pub(crate) anchors: Vec<Authority>,
    /// How far before its making the authority dates a certificate.
    pub(crate) backdate: Duration,
    digest: Digest,
    /// Names of authorities whose SVIDs are to be replaced, as SVIDs name who signed them.
    tainted: BTreeSet<String>,
}

/// One signing authority, as long as it is valid.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    /// How many authorities may stand between it and a leaf; any number where it does not say.
    pub(crate) most_below: Option<usize>,
}

/// Why certificates are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    #[error("a bundle has at most {most} authorities, this one has {found}")]
    TooMany { found: usize, most: usize },
    #[error("certificate {place} is no signing authority")]
    Authority { place: usize, source: Flaw },
}

/// Every bundle that is trusted, by trust domain.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    by_domain: HashMap<TrustDomain, Bundle>,
}

impl Bundle {
    /// The authorities of `domain`, from their certificates in DER; findings name `source`. Without a certificate it is an
    /// empty bundle: every SVID of the trust domain is refused then (§4.1.3).
    ///
    /// # Errors
    /// [`BadBundle`] where one of them may not sign for this trust domain (X509-SVID.md §3.2, §4.1, §4.3).
    pub fn new(
        source: SourceName,
        domain: TrustDomain,
        certificates: &[Vec<u8>],
        backdate: Duration,
    ) -> Result<Self, BadBundle> {
        if certificates.len() > MAX_AUTHORITIES {
            return Err(BadBundle::TooMany { found: certificates.len(), most: MAX_AUTHORITIES });
        }
        let authority = |(place, der): (usize, &Vec<u8>)| {
            authority(der, &domain).map_err(|source| BadBundle::Authority { place, source })
        };
        let anchors = (1..).zip(certificates).map(authority).collect::<Result<Vec<_>, _>>()?;
        let digest = digest_of(&certificates.iter().flat_map(|der| *digest_of(der).as_bytes()).collect::<Vec<u8>>());
        Ok(Self { source, domain, anchors, backdate, digest, tainted: BTreeSet::new() })
    }

    /// The same bundle, where what was signed by the keys of these digests (SHA-256 of SubjectPublicKeyInfo) is to be replaced. It
    /// counts as before: until an authority is taken out, what it signed proves who bears it.
    #[must_use]
    pub fn tainting(self, keys: &[[u8; 32]]) -> Self {
        // as those name a key who sign (RFC 5280 §4.2.1.2): by the first 20 bytes of the same digest
        let name = |digest: &[u8; 32]| digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        Self { tainted: keys.iter().map(name).collect(), ..self }
    }

    /// When the last of its authorities ends; none without one.
    pub fn ends(&self) -> Option<Time> {
        self.anchors.iter().map(|authority| authority.not_after).max()
    }

    /// SHA-256 over the digests of the certificates, in their order.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Authorities {
    /// The last of two bundles of one trust domain counts.
    pub fn new(bundles: impl IntoIterator<Item = Bundle>) -> Self {
        Self { by_domain: bundles.into_iter().map(|bundle| (bundle.domain.clone(), bundle)).collect() }
    }

    /// Digests of the bundles, by trust domain.
    pub fn digests(&self) -> BTreeMap<&TrustDomain, Digest> {
        // tidy: order cannot matter
        self.by_domain.iter().map(|(domain, bundle)| (domain, bundle.digest())).collect()
    }

    /// When the last authority of a trust domain ends; none where there is none.
    pub fn ends(&self, domain: &TrustDomain) -> Option<Time> {
        self.of(domain)?.ends()
    }

    /// Whether an SVID that names `authority` as who signed it is to be replaced.
    pub fn taint(&self, authority: &str) -> bool {
        // tidy: order cannot matter
        self.by_domain.values().any(|bundle| bundle.tainted.contains(authority))
    }

    pub(crate) fn of(&self, domain: &TrustDomain) -> Option<&Bundle> {
        self.by_domain.get(domain)
    }
}

/// The trust domain whose authority a certificate says it is; none where it does not say (X509-SVID.md §3.2).
///
/// # Errors
/// The [`Flaw`] for which it can be no authority's.
pub fn domain_of(der: &[u8]) -> Result<Option<TrustDomain>, Flaw> {
    Ok(certificate::spiffe_id(&certificate::parse(der)?)?.map(|id| id.trust_domain()))
}

/// An authority of `domain`.
pub(crate) fn authority(der: &[u8], domain: &TrustDomain) -> Result<Authority, Flaw> {
    certificate::check_authority(&certificate::parse(der)?, domain)?;
    anchor(der)
}

/// An authority of whatever names.
pub(crate) fn signer(der: &[u8]) -> Result<Authority, Flaw> {
    certificate::check_signer(&certificate::parse(der)?)?;
    anchor(der)
}

fn anchor(der: &[u8]) -> Result<Authority, Flaw> {
    let parsed = certificate::parse(der)?;
    let (not_before, not_after) = certificate::validity(&parsed)?;
    let der = CertificateDer::from(der);
    let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| Flaw::Path { why: error.to_string() })?;
    let most_below = certificate::most_below(&parsed)?;
    Ok(Authority { anchor: anchor.to_owned(), not_before, not_after, most_below })
}
