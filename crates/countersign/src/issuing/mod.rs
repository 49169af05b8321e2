//! The issuer of a trust domain: whom it has to sign now, and what it publishes of all that sign or signed.

mod custody;
mod issuers;
mod kept;
mod laid;
mod outer;
mod said;
mod upstream;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use credential::{
    Authorities, AuthorityCertificate, BadBundle, Bundle, CredentialCache, ExtraAudiences, KeySet, Picked, Source,
    SourceKeys,
};
use issuer::lifecycle::{KeyKind, KeyLife, KeyStep, Standing, due};
use issuer::{
    Assertions, Authority, BACKDATE, ENROLMENT_TYPE, Enrolments, JwtAuthority, MintFailed, WitAuthority, key_digest,
    pem,
};
use model::{PrincipalKind, SpiffeId, Time, TrustDomain};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use store::{BadSigner, BadToken, KeptAuthority, KeyRejected, StateFault};

use self::kept::Opened;
use self::outer::{Outer, OuterStanding};
use self::said::{Said, jwt_points};
use crate::estate::{ENROLMENT, OWN};

pub use custody::Custody;
pub use issuers::{By, Issuers, NotShared, NotStepped};
pub use kept::NotOurs;
pub use laid::lay_out;
pub use outer::{BadOuter, BelowAnswer, BelowRequest, OuterAnswer, OuterWord, SharedKey, SharedKeys};
pub use upstream::{Upstream, UpstreamFailed};

const CERTIFICATE: &str = "CERTIFICATE";
/// Longest life of an enrolment token.
pub const LONGEST_ENROLMENT: Duration = Duration::from_secs(24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
/// Sequences of bundles begin behind every one that was published before nodes shared authorities: those were seconds since
/// 1970.
const FIRST_SEQUENCE: u64 = 1 << 32;

/// How long authorities live, and SVIDs where nobody says; and how many control planes may stand below this one, one under the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    pub x509: Duration,
    pub jwt: Duration,
    /// None where no WIT-SVIDs are signed.
    pub wit: Option<Duration>,
    pub svid: Duration,
    pub below: u8,
}

impl Default for Lives {
    fn default() -> Self {
        Self { x509: DAY, jwt: DAY, wit: None, svid: HOUR, below: 0 }
    }
}

impl Lives {
    /// Of authorities of this kind; none where there are none.
    pub const fn of(&self, kind: KeyKind) -> Option<Duration> {
        match kind {
            KeyKind::X509 => Some(self.x509),
            KeyKind::Jwt => Some(self.jwt),
            KeyKind::Wit => self.wit,
        }
    }

    /// Each kind that signs here, and how long its authorities live.
    pub fn each(self) -> impl Iterator<Item = (KeyKind, Duration)> {
        KeyKind::ALL.into_iter().filter_map(move |kind| Some((kind, self.of(kind)?)))
    }
}

/// The issuer of one trust domain, as it was kept at one moment.
pub struct Issuer {
    pub authority: Authority,
    pub jwt: JwtAuthority,
    /// None where no WIT-SVIDs are signed.
    pub wit: Option<WitAuthority>,
    own: Own,
    /// Every authority that is published, oldest first.
    keys: Vec<Shown>,
    /// What the outer control plane says, as long as it signs one of them.
    outer: Option<Outer>,
    /// The last act with authorities.
    seq: u64,
    lives: Lives,
    bundle: Bundle,
    said: Said,
}

/// What a node has for itself: it stays while authorities change.
#[derive(Clone)]
struct Own {
    assertions: Arc<Assertions>,
    enrolments: Arc<Enrolments>,
    plane_keys: Arc<ArcSwap<Vec<Vec<u8>>>>,
}

/// The public half of an authority, and its life.
pub struct Shown {
    pub kind: KeyKind,
    pub life: KeyLife,
    /// An uncompressed point.
    pub point: Vec<u8>,
    /// In DER; empty where it has none.
    pub certificate: Vec<u8>,
    /// Whom verifiers trust instead, in DER; nobody where an outer authority signed nothing.
    pub roots: Vec<Vec<u8>>,
    /// The id of the authority of an outer control plane that signed it.
    pub signed_by: Option<String>,
    /// The control plane below that signs with it.
    pub owner: Option<String>,
}

/// Why a trust domain has no issuer here.
#[derive(Debug, thiserror::Error)]
pub enum IssuingFailed {
    #[error("cannot use a key")]
    Key(#[from] BadSigner),
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not the certificate of this authority; move it away to have a new one made", .path.display())]
    Certificate { path: PathBuf, source: BadBundle },
    #[error("`{}` is not a certificate in PEM", .path.display())]
    Pem { path: PathBuf, source: issuer::BadPem },
    #[error("the authority of trust domain `{domain}` cannot be founded")]
    Founding { domain: TrustDomain, source: MintFailed },
    #[error("the upstream authority signed none for trust domain `{domain}`")]
    Upstream { domain: TrustDomain, source: Box<UpstreamFailed> },
    #[error("the state cannot be used")]
    State(#[from] StateFault),
    #[error(
        "the authorities of trust domain `{domain}` are sealed, and there is no `{}`: copy it from a node that runs, or from a backup",
        .path.display()
    )]
    NoSealingKey { domain: TrustDomain, path: PathBuf },
    #[error(
        "authority `{id}` was not sealed with `{}`: copy that file from a node that runs, or from a backup",
        .path.display()
    )]
    NotOurs { id: String, path: PathBuf, source: NotOurs },
    #[error("the key of authority `{id}` is in a PKCS#11 token: name it in the settings, `signer: {{pkcs11: …}}`")]
    Elsewhere { id: String },
    #[error("the key of authority `{id}` cannot be used")]
    Unreadable { id: String, source: KeyRejected },
    #[error("the PKCS#11 token cannot be used")]
    Token(#[from] BadToken),
    #[error("the authorities of trust domain `{domain}` cannot be used")]
    Bundle { domain: TrustDomain, source: BadBundle },
    #[error("no authority of trust domain `{domain}` signs {}-SVIDs", .kind.as_str())]
    Nobody { domain: TrustDomain, kind: KeyKind },
    #[error("the authorities of trust domain `{domain}` change all the time")]
    Crowded { domain: TrustDomain },
}

impl Issuer {
    fn of(
        domain: &TrustDomain,
        (opened, outer): (Vec<Opened>, Option<Outer>),
        seq: u64,
        own: Own,
        (lives, custody): (Lives, &Custody),
    ) -> Result<Self, IssuingFailed> {
        let signer = |kind| {
            let active = |one: &&Opened| one.kind == kind && one.life.standing == Standing::Active;
            let found = opened.iter().find(active);
            let one = found.ok_or_else(|| IssuingFailed::Nobody { domain: domain.clone(), kind })?;
            Ok::<_, IssuingFailed>((one, custody.open(&one.life.id, &one.secret)?))
        };
        let founding = |source| IssuingFailed::Founding { domain: domain.clone(), source };
        let (one, key) = signer(KeyKind::X509)?;
        let authority =
            Authority::resume(domain.clone(), key, one.kept.certificate.clone(), one.above.clone(), one.life.ends);
        let authority = authority.map_err(founding)?;
        let (one, key) = signer(KeyKind::Jwt)?;
        let jwt = JwtAuthority::new(domain, key, one.life.ends);
        let wit = lives.wit.map(|_life| signer(KeyKind::Wit)).transpose()?;
        let wit = wit.map(|(one, key)| WitAuthority::new(domain, key, one.life.ends));
        let keys: Vec<Shown> = opened.into_iter().map(|one| Shown::of(one, domain)).collect();
        let outer = outer.filter(|_| keys.iter().any(|key| key.signed_by.is_some()));
        let x509 = certificates(&keys, outer.as_ref());
        let bundle = bundle(domain, &x509);
        let bundle = bundle.map_err(|source| IssuingFailed::Bundle { domain: domain.clone(), source })?;
        let bundle = bundle.tainting(&tainted(&keys));
        let said = Said::of(domain, x509, (&keys, outer.as_ref()), lives, FIRST_SEQUENCE + seq);
        Ok(Self { authority, jwt, wit, own, keys, outer, seq, lives, bundle, said })
    }

    pub const fn domain(&self) -> &TrustDomain {
        self.authority.domain()
    }

    /// Signs what services hear of callers.
    pub const fn assertions(&self) -> &Arc<Assertions> {
        &self.own.assertions
    }

    pub fn enrolments(&self) -> &Enrolments {
        &self.own.enrolments
    }

    /// Public keys of planes, which sign assertions in the name of the trust domain too; uncompressed points.
    pub fn plane_keys(&self) -> &ArcSwap<Vec<Vec<u8>>> {
        &self.own.plane_keys
    }

    /// Every authority that is published, oldest first.
    pub fn keys(&self) -> &[Shown] {
        &self.keys
    }

    /// How long SVIDs live where nobody says.
    pub const fn svid_life(&self) -> Duration {
        self.lives.svid
    }

    /// How long X.509 authorities live.
    pub const fn x509_life(&self) -> Duration {
        self.lives.x509
    }

    /// The next step that is due in the life of its authorities of this kind.
    pub fn due(&self, kind: KeyKind, at: Time) -> Option<KeyStep> {
        if let Some(step) = self.forsaken(kind, at) {
            return Some(step);
        }
        let of_kind = self.keys.iter().filter(|key| key.kind == kind);
        let lives: Vec<KeyLife> = of_kind.map(|key| key.life.clone()).collect();
        due(&lives, self.lives.of(kind)?, at)
    }

    /// What is due because an outer authority does not count as it did that signed ours: another takes its place, and what it
    /// signed is replaced.
    fn forsaken(&self, kind: KeyKind, at: Time) -> Option<KeyStep> {
        let outer = self.outer.as_ref().filter(|_| kind == KeyKind::X509)?;
        let standing = |key: &Shown| key.signed_by.as_deref().map(|by| outer.standing(by));
        let is_sound = |key: &Shown| standing(key).is_none_or(|outer| outer == OuterStanding::Sound);
        let with = |standing| move |key: &&Shown| key.kind == KeyKind::X509 && key.life.standing == standing;
        let id = |key: &Shown| key.life.id.clone();
        let of = |standing| self.keys.iter().filter(with(standing));
        if let Some(key) = of(Standing::Prepared).find(|key| !is_sound(key)) {
            return Some(KeyStep::Taint(id(key)));
        }
        if of(Standing::Active).any(|key| !is_sound(key)) {
            let next = of(Standing::Prepared).find(|key| key.life.ends > at);
            return Some(next.map_or(KeyStep::Prepare, |key| KeyStep::Activate(id(key))));
        }
        if let Some(key) = of(Standing::Retired).find(|key| !is_sound(key)) {
            return Some(KeyStep::Taint(id(key)));
        }
        let gone = of(Standing::Tainted).find(|key| standing(key) == Some(OuterStanding::Gone));
        gone.map(|key| KeyStep::Revoke(id(key)))
    }

    /// What the outer control plane says, as it is kept.
    pub fn outer(&self) -> Option<&OuterWord> {
        self.outer.as_ref().map(|outer| &outer.word)
    }

    /// Ids of the X.509 authorities of such a standing.
    fn x509_ids(&self, which: impl Fn(Standing) -> bool) -> Vec<String> {
        let keys = self.keys.iter().filter(|key| key.kind == KeyKind::X509 && which(key.life.standing));
        keys.map(|key| key.life.id.clone()).collect()
    }

    /// Keys of JWT-SVIDs that are ours or of control planes below, with their ends: what an outer control plane is to publish.
    pub fn jwt_shared(&self) -> Vec<(Vec<u8>, Time)> {
        let keys = self.keys.iter().filter(|key| key.kind == KeyKind::Jwt);
        keys.map(|key| (key.point.clone(), key.life.ends)).collect()
    }

    /// Keys of JWT-SVIDs as uncompressed points, without those of the control plane below that is `owner`.
    fn jwt_points(&self, owner: &str) -> Vec<Vec<u8>> {
        jwt_points(&self.keys, self.outer.as_ref(), Some(owner))
    }

    /// Whom verifiers of X.509-SVIDs trust, in DER.
    pub fn x509_authorities(&self) -> &[Bytes] {
        &self.said.x509
    }

    /// The keys of JWT-SVIDs, as a plain JWK Set.
    pub const fn jwt_keys(&self) -> &Bytes {
        &self.said.jwt_keys
    }

    /// The keys of WIT-SVIDs likewise; none where none are signed.
    pub const fn wit_keys(&self) -> Option<&Bytes> {
        self.said.wit_keys.as_ref()
    }

    /// Digests (SHA-256 of SubjectPublicKeyInfo) of authorities whose SVIDs are to be replaced.
    pub fn tainted(&self) -> Vec<[u8; 32]> {
        tainted(&self.keys)
    }

    /// The SPIFFE bundle of the trust domain.
    pub const fn spiffe_bundle(&self) -> &Value {
        &self.said.spiffe_bundle
    }

    /// Greater with every change of what is published, and the same on every node.
    pub const fn sequence(&self) -> u64 {
        FIRST_SEQUENCE + self.seq
    }

    const fn seq(&self) -> u64 {
        self.seq
    }

    fn lives(&self) -> impl Iterator<Item = (KeyKind, &KeyLife)> + Clone {
        self.keys.iter().map(|key| (key.kind, &key.life))
    }

    /// The trust source of its enrolment tokens.
    ///
    /// # Panics
    /// Never: what it names is sound, as every server that starts shows.
    #[expect(clippy::expect_used, reason = "literals that their parsers accept, and a key set made of one public key")]
    pub fn enrolment_source(&self) -> Source {
        let keys = issuer::enrolment_keys(self.enrolments()).to_string();
        Source {
            name: ENROLMENT.parse().expect("a name"),
            picked: Picked::ByIssuer,
            proves: vec![PrincipalKind::Workload],
            issuer: self.enrolments().issuer().to_owned(),
            audiences: vec![self.enrolments().audience().to_owned()],
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
        self.x509_authorities().iter().map(|der| certificate_pem(der)).collect()
    }
}

fn tainted(keys: &[Shown]) -> Vec<[u8; 32]> {
    let tainted = keys.iter().filter(|key| key.life.standing == Standing::Tainted);
    tainted.map(|key| key_digest(&key.point)).collect()
}

impl Shown {
    fn of(one: Opened, domain: &TrustDomain) -> Self {
        let below_outer = one.roots.is_empty().then(|| one.above.first()).flatten();
        // each was read as an authority's when the bundle was made
        let signed_by = below_outer.and_then(|own| AuthorityCertificate::read(own, domain).ok()?.signed_by);
        let owner = (one.life.standing == Standing::Nested).then(|| String::from_utf8_lossy(&one.secret).into_owned());
        let KeptAuthority { public_key: point, certificate, .. } = one.kept;
        Self { kind: one.kind, life: one.life, point, certificate, roots: one.roots, signed_by, owner }
    }

    /// Whom verifiers trust for it: itself, the roots of who signed it, or whom an outer control plane says.
    fn trusted<'a>(&'a self, outer: Option<&'a Outer>) -> &'a [Vec<u8>] {
        match (outer, &self.signed_by) {
            (Some(outer), Some(_)) => &outer.x509,
            // nobody, rather than one below it
            (None, Some(_)) => &[],
            _ if self.roots.is_empty() => std::slice::from_ref(&self.certificate),
            _ => &self.roots,
        }
    }
}

/// What is trusted for these keys. Several may have the same roots.
fn certificates(keys: &[Shown], outer: Option<&Outer>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for trusted in keys.iter().filter(|key| key.kind == KeyKind::X509).flat_map(|key| key.trusted(outer)) {
        if !all.contains(trusted) {
            all.push(trusted.clone());
        }
    }
    all
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

/// The bundle of a trust domain, from certificates in DER.
///
/// # Errors
/// [`BadBundle`].
pub fn bundle(domain: &TrustDomain, certificates: &[Vec<u8>]) -> Result<Bundle, BadBundle> {
    #[expect(clippy::expect_used, reason = "a literal of lower-case letters, which every source's name may be")]
    let source = credential::SVIDS.parse().expect("a source's name");
    Bundle::new(source, domain.clone(), certificates, BACKDATE)
}

#[cfg(test)]
mod tests;
