//! The outer authority that signs ours, where the settings name one: our X.509 authorities are then intermediates below it. Whatever
//! it answers is proved here before anybody hears of it: what would be signed with it has to verify against the bundle that the
//! settings name, and against nothing else.

mod disk;
mod openbao;
mod spiffe;
mod workload_api;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use credential::{BadBundle, Cause, Flaw, NotAsked, PeerCertificates, check_asked};
use issuer::{
    Authority, BadPem, BadRequest, CertificateRequest, MintFailed, NewKey, Order, Signer, Term, key_digest, pem,
};
use model::{BadSpiffeId, Time, TrustDomain};
use net::serial;
use net::{BadRemote, BadRoots, FetchFailed};
use store::BadSigner;

use self::spiffe::SpiffeFailed;
use super::{CERTIFICATE, OuterWord, bundle, own_part};
use crate::estate::UpstreamSettings;

/// Longest file of certificates, in bytes.
const MAX_FILE: usize = 256 * 1024;

/// The outer authority.
pub struct Upstream(UpstreamSettings);

/// What an outer authority answers: certificates in DER.
struct Answered {
    /// The one that was asked for, and what is above it.
    chain: Vec<Vec<u8>>,
    /// Whom verifiers trust.
    roots: Vec<Vec<u8>>,
    /// The word of an outer control plane.
    outer: Option<OuterWord>,
}

/// An authority that may sign: by the outer one, proved; or by itself.
pub(super) struct Certified {
    /// In DER.
    pub certificate: Vec<u8>,
    /// What SVIDs are handed out with, that first, and the roots above; nothing where it signed itself.
    pub above: Vec<Vec<u8>>,
    pub roots: Vec<Vec<u8>>,
    /// The first end between an SVID and its root.
    pub ends: Time,
    /// The outer control plane that signed it says so, and whom verifiers trust for it.
    pub outer: Option<OuterWord>,
}

/// Why the outer authority signed nothing that could be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamFailed {
    #[error("cannot read `{}`", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` is not certificates in PEM", .path.display())]
    Pem { path: PathBuf, source: BadPem },
    #[error("`{}` is no authority's certificate", .path.display())]
    Authority { path: PathBuf, source: Flaw },
    #[error("cannot use its key")]
    Key(#[from] BadSigner),
    #[error("there is no key `{}`", .path.display())]
    NoKey { path: PathBuf },
    #[error("it cannot sign")]
    Signing(#[from] MintFailed),
    #[error("the request is none")]
    Request(#[from] BadRequest),
    #[error("its URL cannot be used")]
    Url(#[from] BadRemote),
    #[error("`{}` holds no root certificates", .path.display())]
    Roots { path: PathBuf, source: BadRoots },
    #[error("`{}` is no token", .path.display())]
    Token { path: PathBuf },
    #[error("it does not sign")]
    Refused(#[from] FetchFailed),
    #[error("its answer is not that of a PKI secrets engine")]
    Answer(#[source] serde_json::Error),
    #[error("its answer holds no certificates in PEM")]
    NoCertificates(#[source] BadPem),
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    #[error("what it signed does not lead to the roots that are trusted for it")]
    Unproved(#[source] Cause),
    #[error("what it names as roots are none")]
    BadRoots(#[source] BadBundle),
    #[error(transparent)]
    Spiffe(#[from] SpiffeFailed),
    #[error("the trust domain has no SPIFFE ID")]
    Id(#[from] BadSpiffeId),
}

impl Upstream {
    pub const fn new(settings: UpstreamSettings) -> Self {
        Self(settings)
    }

    /// Has the authority of `domain` signed that has this key.
    ///
    /// # Errors
    /// [`UpstreamFailed`]; nothing came of it then.
    pub(super) async fn sign(
        &self,
        domain: &TrustDomain,
        signer: Box<dyn Signer>,
        term: Term,
    ) -> Result<Certified, UpstreamFailed> {
        let request = Authority::request(domain, signer.as_ref(), term.below)?;
        let answered = match &self.0 {
            UpstreamSettings::Disk(disk) => {
                let roots = certificates(&disk.bundle)?;
                Answered { chain: disk::sign(disk, domain, &request, term)?, roots, outer: None }
            }
            UpstreamSettings::OpenBao(bao) => {
                let roots = certificates(&bao.bundle)?;
                let chain = openbao::sign(bao, domain, (&request, signer.public_point()), term).await?;
                Answered { chain, roots, outer: None }
            }
            UpstreamSettings::Spiffe(outer) => spiffe::sign(outer, domain, &request, term).await?,
        };
        proved(domain, signer, answered, term)
    }

    /// Has an outer control plane publish these keys of JWT-SVIDs; gives what it says. Nothing where it is something else.
    ///
    /// # Errors
    /// [`UpstreamFailed`].
    pub(super) async fn exchange(
        &self,
        domain: &TrustDomain,
        jwt: &[(Vec<u8>, Time)],
    ) -> Result<Option<OuterWord>, UpstreamFailed> {
        match &self.0 {
            UpstreamSettings::Spiffe(outer) => Ok(Some(spiffe::exchange(outer, domain, jwt).await?)),
            UpstreamSettings::Disk(_) | UpstreamSettings::OpenBao(_) => Ok(None),
        }
    }
}

/// What came back, if an SVID that is signed with it verifies against the roots alone.
fn proved(
    domain: &TrustDomain,
    signer: Box<dyn Signer>,
    Answered { chain: mut above, roots, outer }: Answered,
    Term { at, life, below }: Term,
) -> Result<Certified, UpstreamFailed> {
    let certificate = above.first().cloned().unwrap_or_default();
    check_asked(&certificate, domain, &key_digest(signer.public_point()), below)?;
    // who answers may name one twice, and the roots too
    let mut named = HashSet::new();
    above.retain(|der| !roots.contains(der) && named.insert(der.clone()));
    let trusted = bundle(domain, &roots).map_err(UpstreamFailed::BadRoots)?;
    let authority = Authority::resume(domain.clone(), signer, certificate.clone(), above.clone(), at.plus(life))?;
    let (id, key) = (own_part(domain, "probe").parse()?, NewKey::make().map_err(MintFailed::from)?);
    let key = CertificateRequest::read(&key.request)?;
    let order = Order { id: &id, key: &key, hosts: &[], ttl: life, until: Time::MAX };
    let probe = PeerCertificates::new(authority.mint(&order, serial(), at)?.into_chain());
    let trusted = credential::Authorities::new([trusted]);
    let found = probe.check(&trusted, at).map_err(UpstreamFailed::Unproved)?;
    // certificates hold to the end of their last second
    let ends = found.until.minus(std::time::Duration::from_secs(1));
    // whom an outer control plane says may change without us
    let roots = if outer.is_some() { Vec::new() } else { roots };
    Ok(Certified { certificate, above, roots, ends, outer })
}

/// The certificates of a file in PEM, in DER.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, UpstreamFailed> {
    let text = text(path)?;
    pem::decode_all(CERTIFICATE, &text).map_err(|source| UpstreamFailed::Pem { path: path.to_owned(), source })
}

fn text(path: &Path) -> Result<String, UpstreamFailed> {
    let text = fs::read(path).map_err(|source| UpstreamFailed::File { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(text.get(..text.len().min(MAX_FILE)).unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests;
