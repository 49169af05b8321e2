//! The issuer of each trust domain: the keys that it has on this machine's disk, its authority, and its bundle.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use credential::{Authorities, BadBundle, Bundle, CredentialCache, ExtraAudiences, KeySet, Source, SourceKeys};
use issuer::{Assertions, Authority, BACKDATE, ENROLMENT_TYPE, Enrolments, JwtAuthority, MintFailed, pem};
use model::{PrincipalKind, SpiffeId, Time, TrustDomain};
use net::files::write_whole;
use net::serial;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use store::{BadSigner, P256Signer};

use crate::estate::{ENROLMENT, ENROLMENT_ISSUER, OWN};

/// How long an authority's certificate holds. Half of it later, the same key signs a new one.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest file of an authority's certificate, in bytes.
const MAX_CERTIFICATE: usize = 64 * 1024;
const CERTIFICATE: &str = "CERTIFICATE";
/// Longest life of an enrolment token.
pub const LONGEST_ENROLMENT: Duration = Duration::from_secs(24 * 3600);

/// The issuers of every trust domain that was ever in force here.
pub struct Issuers {
    directory: PathBuf,
    open: Mutex<HashMap<TrustDomain, Arc<Issuer>>>,
}

/// The issuer of one trust domain.
pub struct Issuer {
    pub authority: Authority,
    pub jwt: JwtAuthority,
    pub assertions: Arc<Assertions>,
    pub enrolments: Enrolments,
    /// Public keys of planes, which sign assertions in the name of the trust domain too; uncompressed points.
    pub plane_keys: ArcSwap<Vec<Vec<u8>>>,
    bundle: Bundle,
}

/// Why a trust domain has no issuer here.
#[derive(Debug, thiserror::Error)]
pub enum IssuingFailed {
    #[error("cannot use the key of trust domain `{domain}`")]
    Key { domain: TrustDomain, source: BadSigner },
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not the certificate of this authority; move it away to have a new one made", .path.display())]
    Certificate { path: PathBuf, source: BadBundle },
    #[error("`{}` is not a certificate in PEM", .path.display())]
    Pem { path: PathBuf, source: issuer::BadPem },
    #[error("the authority of trust domain `{domain}` cannot be founded")]
    Founding { domain: TrustDomain, source: MintFailed },
}

impl Issuers {
    /// Issuers whose keys lie, or will lie, under `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, open: Mutex::default() }
    }

    /// The issuer of `domain`; its keys are made at first use.
    ///
    /// # Errors
    /// [`IssuingFailed`].
    pub fn of(&self, domain: &TrustDomain, at: Time) -> Result<Arc<Issuer>, IssuingFailed> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = open.get(domain).filter(|issuer| !issuer.is_half_over(at)) {
            return Ok(Arc::clone(issuer));
        }
        let issuer = Arc::new(Issuer::open(&self.directory.join(domain.as_str()), domain, at)?);
        open.insert(domain.clone(), Arc::clone(&issuer));
        Ok(issuer)
    }
}

impl Issuer {
    fn open(directory: &Path, domain: &TrustDomain, at: Time) -> Result<Self, IssuingFailed> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IssuingFailed::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
        let key = |name: &str| {
            let opened = P256Signer::open(&directory.join(name));
            opened.map(Box::new).map_err(|source| IssuingFailed::Key { domain: domain.clone(), source })
        };
        let path = directory.join("authority.pem");
        let kept = match std::fs::read(&path) {
            Ok(text) => Some(read(&path, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(&path)(error)),
        };
        let bundle = |certificate: &[u8]| {
            bundle(domain, &[certificate.to_vec()])
                .map_err(|source| IssuingFailed::Certificate { path: path.clone(), source })
        };
        let resumed = kept.map(|der| Ok((bundle(&der)?, der))).transpose()?;
        let resumed = resumed.filter(|(bundle, _)| bundle.ends().is_some_and(|end| !is_half_over(end, at)));
        let (authority, bundle) = match resumed {
            Some((bundle, der)) => {
                let end = bundle.ends().unwrap_or(at);
                (Authority::resume(domain.clone(), key("authority.key")?, der, end), bundle)
            }
            None => {
                let founding = |source| IssuingFailed::Founding { domain: domain.clone(), source };
                let founded = Authority::found(domain.clone(), key("authority.key")?, serial(), at, LIFE);
                let authority = founded.map_err(founding)?;
                let text = certificate_pem(authority.certificate());
                write_whole(&path, text.as_bytes(), 0o644).map_err(io(&path))?;
                let bundle = bundle(authority.certificate())?;
                (authority, bundle)
            }
        };
        let jwt = JwtAuthority::new(domain, key("jwt.key")?);
        let assertions = Arc::new(Assertions::new(domain, key("assertions.key")?));
        let enrolments = Enrolments::new(ENROLMENT_ISSUER, own_part(domain, "server"), key("enrolment.key")?);
        Ok(Self { authority, jwt, assertions, enrolments, plane_keys: ArcSwap::default(), bundle })
    }

    /// The trust source of its enrolment tokens.
    ///
    /// # Panics
    /// Never: what it names is sound, as every server that starts shows.
    #[expect(clippy::expect_used, reason = "literals that their parsers accept, and a key set made of one public key")]
    pub fn enrolment_source(&self) -> Source {
        let keys = issuer::enrolment_keys(&self.enrolments).to_string();
        Source {
            name: ENROLMENT.parse().expect("a name"),
            proves: vec![PrincipalKind::Workload],
            issuer: self.enrolments.issuer().to_owned(),
            audiences: vec![self.enrolments.audience().to_owned()],
            extra_audiences: ExtraAudiences::Refused,
            algorithms: vec!["ES256".parse().expect("an algorithm")],
            required_claims: ["iss", "aud", "exp", "iat", "jti", "role", "name"].map(str::to_owned).to_vec(),
            max_age: LONGEST_ENROLMENT,
            types: vec![Some(ENROLMENT_TYPE.to_owned())],
            identity_key: vec!["role".parse().expect("a claim"), "name".parse().expect("a claim")],
            display: Vec::new(),
            evidence: Vec::new(),
            keys: SourceKeys::Given(Arc::new(KeySet::parse(keys.as_bytes()).expect("a key set"))),
            cache: CredentialCache::Off,
        }
    }

    /// Whose SVIDs are accepted where this issuer's trust domain is served.
    pub fn authorities(&self) -> Authorities {
        Authorities::new([self.bundle.clone()])
    }

    /// The bundle as servers and clients read it: certificates in PEM.
    pub fn bundle_pem(&self) -> String {
        certificate_pem(self.authority.certificate())
    }

    /// Whether its authority's certificate is at half of its life.
    pub fn is_half_over(&self, at: Time) -> bool {
        is_half_over(self.authority.not_after(), at)
    }
}

/// The SPIFFE ID of a part of the product itself, as text.
pub fn own_part(domain: &TrustDomain, part: &str) -> String {
    format!("spiffe://{domain}{OWN}/{part}")
}

/// The one who may say what is in force in a trust domain.
///
/// # Panics
/// Never: the parts of the id are sound.
#[expect(
    clippy::expect_used,
    reason = "a trust domain and literals make a SPIFFE ID; every plane that starts makes one"
)]
pub fn control_plane(domain: &TrustDomain) -> SpiffeId {
    own_part(domain, "server").parse().expect("a SPIFFE ID")
}

/// Authorities of a trust domain, by their certificates in DER.
///
/// # Errors
/// [`BadBundle`] where one is not an authority's.
pub fn authorities_of(domain: &TrustDomain, certificates: &[Vec<u8>]) -> Result<Authorities, BadBundle> {
    Ok(Authorities::new([bundle(domain, certificates)?]))
}

/// Why a text holds no certificates.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificates {
    #[error("it cannot be read as PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("it holds no certificate in PEM")]
    None,
}

/// The certificates of a PEM text in DER, in their order. What else stands in it, such as a key, is passed over.
///
/// # Errors
/// [`BadCertificates`].
pub fn certificates_in(pem: &[u8]) -> Result<Vec<Vec<u8>>, BadCertificates> {
    let found: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(BadCertificates::Pem)?;
    if found.is_empty() { Err(BadCertificates::None) } else { Ok(found.iter().map(|der| der.to_vec()).collect()) }
}

/// A certificate in PEM.
pub fn certificate_pem(der: &[u8]) -> String {
    pem::encode(CERTIFICATE, der)
}

fn is_half_over(end: Time, at: Time) -> bool {
    end <= at.plus(LIFE / 2)
}

/// The bundle of a trust domain, from certificates in DER.
///
/// # Errors
/// [`BadBundle`].
pub fn bundle(domain: &TrustDomain, certificates: &[Vec<u8>]) -> Result<Bundle, BadBundle> {
    #[expect(clippy::expect_used, reason = "a literal of lower-case letters, which every source's name may be")]
    let source = credential::SVIDS.parse().expect("a source's name");
    Bundle::new(source, domain.clone(), certificates, BACKDATE)
}

fn read(path: &Path, text: &[u8]) -> Result<Vec<u8>, IssuingFailed> {
    let text = text.get(..text.len().min(MAX_CERTIFICATE)).unwrap_or_default();
    pem::decode(CERTIFICATE, &String::from_utf8_lossy(text))
        .map_err(|source| IssuingFailed::Pem { path: path.to_owned(), source })
}
