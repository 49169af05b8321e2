//! What an outer control plane of the same trust domain says: whom to trust, which keys sign JWT-SVIDs elsewhere, and which of its
//! authorities count. It signs ours, and verifiers trust whom it says instead of us.

use std::collections::BTreeSet;

use credential::BadBundle;
use issuer::{point_text, read_point};
use model::TrustDomain;
use serde::{Deserialize, Serialize};

use super::{BadCertificates, Issuer, bundle, certificate_pem, certificates_in};

/// Most keys and authorities that are read.
const MOST: usize = 200;

/// What is said, as it is sent and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OuterWord {
    /// Whom verifiers of X.509-SVIDs trust, in PEM.
    pub x509: String,
    /// Keys of JWT-SVIDs, but for those of who asks: points in base64url.
    pub jwt: Vec<String>,
    /// Ids of its X.509 authorities that are published.
    pub authorities: Vec<String>,
    /// Those of them whose SVIDs are to be replaced.
    pub tainted: Vec<String>,
}

/// Body of `POST /v1/nested/authority`: an authority to be signed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BelowRequest {
    /// A certificate request (PKCS #10) in PEM.
    pub csr: String,
    /// How many are to stand below it, one under the other.
    pub below: u8,
    /// Such as `24h`.
    pub life: String,
}

/// What answers it.
#[derive(Debug, Serialize, Deserialize)]
pub struct BelowAnswer {
    /// In PEM: the authority, and those between it and one that verifiers trust.
    pub chain: String,
    #[serde(flatten)]
    pub outer: OuterAnswer,
}

/// Body of `POST /v1/nested/bundle`: every key of JWT-SVIDs of who asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKeys {
    pub jwt: Vec<SharedKey>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKey {
    /// A P-256 point in base64url.
    pub point: String,
    /// RFC 3339.
    pub ends: String,
}

/// What answers that.
#[derive(Debug, Serialize, Deserialize)]
pub struct OuterAnswer {
    pub bundle: OuterWord,
}

/// The same, read.
#[derive(Debug, Clone)]
pub(super) struct Outer {
    pub word: OuterWord,
    /// In DER.
    pub x509: Vec<Vec<u8>>,
    /// Uncompressed points.
    pub jwt: Vec<Vec<u8>>,
    authorities: BTreeSet<String>,
    tainted: BTreeSet<String>,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadOuter {
    #[error("it names nobody to be trusted")]
    Nobody(#[from] BadCertificates),
    #[error("it names as an authority what is none")]
    Bundle(#[from] BadBundle),
    #[error("it has a key of JWT-SVIDs that is none")]
    Key,
    #[error("it has more than {MOST} keys or authorities")]
    TooMany,
}

impl OuterWord {
    /// What `issuer` says to the control plane below that is `owner`.
    pub fn of(issuer: &Issuer, owner: &str) -> Self {
        let x509 = issuer.x509_authorities();
        Self {
            x509: x509.iter().map(|der| certificate_pem(der)).collect(),
            jwt: issuer.jwt_points(owner).iter().map(|point| point_text(point)).collect(),
            authorities: issuer.x509_ids(|_| true),
            tainted: issuer.x509_ids(|standing| standing == issuer::lifecycle::Standing::Tainted),
        }
    }
}

impl Outer {
    /// # Errors
    /// [`BadOuter`].
    pub(super) fn read(domain: &TrustDomain, word: OuterWord) -> Result<Self, BadOuter> {
        let x509 = certificates_in(word.x509.as_bytes())?;
        if [x509.len(), word.jwt.len(), word.authorities.len(), word.tainted.len()].iter().any(|found| *found > MOST) {
            return Err(BadOuter::TooMany);
        }
        bundle(domain, &x509)?;
        let jwt = word.jwt.iter().map(|point| read_point(point).ok_or(BadOuter::Key)).collect::<Result<_, _>>()?;
        let (authorities, tainted) =
            (word.authorities.iter().cloned().collect(), word.tainted.iter().cloned().collect());
        Ok(Self { word, x509, jwt, authorities, tainted })
    }

    /// How far the authority is that signed one of ours.
    pub(super) fn standing(&self, signed_by: &str) -> OuterStanding {
        match (self.authorities.contains(signed_by), self.tainted.contains(signed_by)) {
            (true, false) => OuterStanding::Sound,
            (true, true) => OuterStanding::Tainted,
            (false, _) => OuterStanding::Gone,
        }
    }
}

/// How far an outer authority is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OuterStanding {
    Sound,
    /// What it signed is to be replaced.
    Tainted,
    /// What it signed counts nowhere.
    Gone,
}

#[cfg(test)]
mod tests;
