//! The JWT authority of one trust domain.

use std::time::Duration;

use model::{RecordId, SpiffeId, Time, TrustDomain};
use serde::Serialize;

use crate::authority::{MintFailed, names_a_workload};
use crate::compact::{Header, compact, seconds};
use crate::publish::thumbprint;
use crate::signer::Signer;

/// Signs JWT-SVIDs of one trust domain.
pub struct JwtAuthority {
    domain: TrustDomain,
    issuer: String,
    kid: String,
    signer: Box<dyn Signer>,
    /// The header, encoded.
    header: String,
    not_after: Time,
}

/// What is to be minted.
pub struct JwtOrder<'a> {
    pub id: &'a SpiffeId,
    /// For whom it is: at least one.
    pub audience: &'a [String],
    pub ttl: Duration,
    /// What the SVID may not outlive: its principal, its permit.
    pub until: Time,
    /// The record under which it is minted: its `jti`.
    pub record: RecordId,
}

/// A token, and from when until when it holds; both whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvid {
    pub token: String,
    pub issued: Time,
    pub expires: Time,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a [String],
    iat: i64,
    exp: i64,
    jti: String,
}

impl JwtAuthority {
    /// What it signs ends by `not_after`.
    pub fn new(domain: &TrustDomain, signer: Box<dyn Signer>, not_after: Time) -> Self {
        let kid = thumbprint(signer.public_point());
        let header = Header { alg: "ES256", typ: "JWT", kid: &kid }.encoded();
        Self { domain: domain.clone(), issuer: format!("spiffe://{domain}"), kid, signer, header, not_after }
    }

    /// Names the key in tokens and bundles: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key, as an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.signer.public_point()
    }

    /// Mints a JWT-SVID (JWT-SVID.md §2–§3), with `iss`, `iat`, `jti` and `kid`, which relying parties ask for beyond it. It
    /// ends with the first of its lifetime, `order.until` and the authority.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn mint(&self, order: &JwtOrder<'_>, at: Time) -> Result<JwtSvid, MintFailed> {
        let id = order.id;
        names_a_workload(id, &self.domain)?;
        if order.audience.is_empty() {
            return Err(MintFailed::NoAudience);
        }
        let (iat, exp) = (seconds(at), seconds(at.plus(order.ttl).min(order.until).min(self.not_after)));
        if exp <= iat {
            return Err(MintFailed::Ended);
        }
        let jti = order.record.to_string();
        let claims = Claims { iss: &self.issuer, sub: id.as_str(), aud: order.audience, iat, exp, jti };
        let token = compact(&self.header, &claims, self.signer.as_ref())?;
        Ok(JwtSvid { token, issued: Time::from_unix_seconds(iat), expires: Time::from_unix_seconds(exp) })
    }
}
