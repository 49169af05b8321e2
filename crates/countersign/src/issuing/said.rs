//! What an issuer publishes. It is made once: every agent asks for it with every change.

use bytes::Bytes;
use credential::{AuthorityCertificate, AuthorityKey};
use issuer::lifecycle::KeyKind;
use issuer::{Published, PublishedCertificate, PublishedKey};
use model::TrustDomain;
use serde_json::Value;

use super::outer::Outer;
use super::{Lives, Shown};

/// What verifiers hear.
pub(super) struct Said {
    /// Whom verifiers of X.509-SVIDs trust, in DER.
    pub x509: Vec<Bytes>,
    pub jwt_keys: Bytes,
    /// None where none are signed.
    pub wit_keys: Option<Bytes>,
    pub spiffe_bundle: Value,
}

impl Said {
    /// Of these keys, of which verifiers trust `x509`.
    pub(super) fn of(
        domain: &TrustDomain,
        x509: Vec<Vec<u8>>,
        (keys, outer): (&[Shown], Option<&Outer>),
        lives: Lives,
        sequence: u64,
    ) -> Self {
        // each was read as an authority's when the bundle was made
        let certificate = |certificate: &Vec<u8>| {
            let key = AuthorityCertificate::read(certificate, domain).ok()?.key;
            Some(PublishedCertificate { certificate: certificate.clone(), key: published_key(key) })
        };
        let wit = keys.iter().filter(|key| key.kind == KeyKind::Wit).map(|key| key.point.clone());
        let published = Published {
            x509: x509.iter().filter_map(certificate).collect(),
            jwt: jwt_points(keys, outer, None),
            wit: wit.collect(),
            sequence,
            shortest: lives.each().map(|(_, life)| life).min().unwrap_or(lives.x509),
        };
        let text = |keys: Value| Bytes::from(keys.to_string());
        Self {
            x509: x509.into_iter().map(Bytes::from).collect(),
            jwt_keys: text(issuer::jwt_keys(&published)),
            wit_keys: lives.wit.map(|_life| text(issuer::wit_keys(&published))),
            spiffe_bundle: issuer::bundle(&published),
        }
    }
}

/// Keys of JWT-SVIDs as uncompressed points, without those of the control plane below that is `owner`.
pub(super) fn jwt_points(keys: &[Shown], outer: Option<&Outer>, owner: Option<&str>) -> Vec<Vec<u8>> {
    let ours = keys.iter().filter(|key| key.kind == KeyKind::Jwt);
    let is_owners = |key: &&Shown| owner.is_some() && key.owner.as_deref() == owner;
    let mut points: Vec<Vec<u8>> = ours.filter(|key| !is_owners(key)).map(|key| key.point.clone()).collect();
    for point in outer.iter().flat_map(|outer| &outer.jwt) {
        if !points.contains(point) {
            points.push(point.clone());
        }
    }
    points
}

fn published_key(key: AuthorityKey) -> PublishedKey {
    match key {
        AuthorityKey::Ec { curve, x, y } => PublishedKey::Ec { curve, x, y },
        AuthorityKey::Rsa { modulus, exponent } => PublishedKey::Rsa { modulus, exponent },
        AuthorityKey::Ed25519 { x } => PublishedKey::Ed25519 { x },
    }
}
