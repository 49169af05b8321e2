//! Authorities as the state keeps them: each read back only if it is what was sealed, whoever may write the database.

use credential::digest_of;
use issuer::key_id;
use issuer::lifecycle::{KeyKind, KeyLife, Standing};
use model::{Time, TrustDomain};
use store::{BadSigner, GONE, KeptAuthority, KeptUpstream, NotOpened, SealingKey};

use super::outer::{BadOuter, Outer, OuterWord};
use super::{certificate_pem, certificates_in};

/// First line of what a key is sealed for.
const TITLE: &str = "countersign authority v1";
/// The kind, and the id, under which it is kept what an outer control plane says.
pub(super) const OUTER: &str = "outer";

/// An authority that was read back.
pub(super) struct Opened {
    pub kind: KeyKind,
    pub life: KeyLife,
    pub kept: KeptAuthority,
    /// What SVIDs are handed out with, and the roots above; both in DER, and nothing where it signed itself. Without roots, they
    /// are those that the outer control plane says.
    pub above: Vec<Vec<u8>>,
    pub roots: Vec<Vec<u8>>,
    /// Its private key in PKCS#8, or the name of that in a token; empty where it signs no more. Of one that a control plane below
    /// signs with: whose it is.
    pub secret: Vec<u8>,
}

/// Why what is kept is no authority.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    #[error("it does not open")]
    Sealed(#[from] NotOpened),
    #[error("its `{field}` says nothing")]
    Field { field: &'static str },
    #[error("it has another's id")]
    Id,
    #[error("it is not the word of an outer control plane")]
    Json(#[from] serde_json::Error),
    #[error("the word of the outer control plane cannot be used")]
    Outer(#[source] Box<BadOuter>),
}

impl Opened {
    /// Reads back what `domain` has.
    pub fn read(domain: &TrustDomain, kept: KeptAuthority, seal: &SealingKey) -> Result<Self, NotOurs> {
        let bad = |field| NotOurs::Field { field };
        let kind = KeyKind::ALL.into_iter().find(|kind| kind.as_str() == kept.kind).ok_or_else(|| bad("kind"))?;
        let time = |text: &str, field| text.parse::<Time>().map_err(|_not_a_time| bad(field));
        let life = KeyLife {
            id: kept.id.clone(),
            standing: Standing::read(&kept.standing).ok_or_else(|| bad("standing"))?,
            made: time(&kept.made, "made")?,
            since: time(&kept.since, "since")?,
            ends: time(&kept.ends, "ends")?,
        };
        let secret = seal.unseal(&purpose(domain, &kept), &kept.sealed)?;
        if key_id(&kept.public_key) != kept.id {
            return Err(NotOurs::Id);
        }
        let upstream = |pick: fn(&KeptUpstream) -> &str, field| match kept.upstream.as_ref().map(pick) {
            Some("") | None => Ok(Vec::new()),
            Some(pem) => certificates_in(pem.as_bytes()).or(Err(NotOurs::Field { field })),
        };
        let above = upstream(|upstream| &upstream.above, "above")?;
        let roots = upstream(|upstream| &upstream.roots, "roots")?;
        Ok(Self { kind, life, kept, above, roots, secret })
    }

    /// The same from `at` on in another standing. One that is not to sign has no private key any more.
    pub fn becomes(
        &self,
        domain: &TrustDomain,
        standing: Option<Standing>,
        at: Time,
        seal: &SealingKey,
    ) -> Result<KeptAuthority, BadSigner> {
        let standing = standing.map_or(GONE, Standing::as_str);
        let mut kept = KeptAuthority { standing: standing.to_owned(), since: at.to_string(), ..self.kept.clone() };
        if standing != Standing::Active.as_str() {
            kept.sealed = seal.seal(&purpose(domain, &kept), &[])?;
        }
        Ok(kept)
    }
}

/// Reads back what an outer control plane said.
pub(super) fn outer(domain: &TrustDomain, kept: &KeptAuthority, seal: &SealingKey) -> Result<Outer, NotOurs> {
    seal.unseal(&purpose(domain, kept), &kept.sealed)?;
    let word = serde_json::from_slice(&kept.certificate)?;
    Outer::read(domain, word).map_err(|why| NotOurs::Outer(Box::new(why)))
}

/// What an outer control plane says, as it is to be kept.
pub(super) fn outer_sealed(
    domain: &TrustDomain,
    word: &OuterWord,
    at: Time,
    seal: &SealingKey,
) -> Result<KeptAuthority, BadSigner> {
    let at = at.to_string();
    let mut kept = KeptAuthority {
        id: OUTER.to_owned(),
        kind: OUTER.to_owned(),
        standing: Standing::Active.as_str().to_owned(),
        public_key: Vec::new(),
        // texts alone: serialising them cannot fail
        certificate: serde_json::to_vec(word).unwrap_or_default(),
        upstream: None,
        made: at.clone(),
        since: at.clone(),
        ends: at,
        sealed: Vec::new(),
    };
    kept.sealed = seal.seal(&purpose(domain, &kept), &[])?;
    Ok(kept)
}

/// An authority that is not kept yet.
pub(super) struct Fresh {
    pub kind: KeyKind,
    pub standing: Standing,
    /// An uncompressed point.
    pub point: Vec<u8>,
    /// In DER; empty where it has none.
    pub certificate: Vec<u8>,
    /// Likewise in DER: what SVIDs are handed out with, and the roots above; nothing where it signed itself.
    pub above: Vec<Vec<u8>>,
    pub roots: Vec<Vec<u8>>,
    pub made: Time,
    pub ends: Time,
}

impl Fresh {
    /// As it is to be kept, with its private key sealed.
    pub fn sealed(self, domain: &TrustDomain, secret: &[u8], seal: &SealingKey) -> Result<KeptAuthority, BadSigner> {
        let made = self.made.to_string();
        let pem = |certificates: &[Vec<u8>]| certificates.iter().map(|der| certificate_pem(der)).collect();
        let upstream = KeptUpstream { above: pem(&self.above), roots: pem(&self.roots) };
        let mut kept = KeptAuthority {
            id: key_id(&self.point),
            kind: self.kind.as_str().to_owned(),
            standing: self.standing.as_str().to_owned(),
            public_key: self.point,
            certificate: self.certificate,
            upstream: (!self.above.is_empty()).then_some(upstream),
            since: made.clone(),
            made,
            ends: self.ends.to_string(),
            sealed: Vec::new(),
        };
        kept.sealed = seal.seal(&purpose(domain, &kept), secret)?;
        Ok(kept)
    }
}

/// Everything about an authority that never changes: sealed for one, nothing opens for another, and no other certificate is
/// taken for its own.
fn purpose(domain: &TrustDomain, kept: &KeptAuthority) -> Vec<u8> {
    let KeptAuthority { id, kind, made, ends, public_key, certificate, upstream, .. } = kept;
    let (key, certificate) = (digest_of(public_key), digest_of(certificate));
    let own = format!("{TITLE}\n{domain}\n{kind}\n{id}\n{made}\n{ends}\n{key}\n{certificate}\n");
    let above = |KeptUpstream { above, roots }: &KeptUpstream| {
        format!("{}\n{}\n", digest_of(above.as_bytes()), digest_of(roots.as_bytes()))
    };
    // one that signed itself is sealed as before there were others
    (own + &upstream.as_ref().map(above).unwrap_or_default()).into_bytes()
}
