//! The WIT authority of one trust domain.

use std::time::Duration;

use model::{RecordId, SpiffeId, Time, TrustDomain};
use serde::Serialize;
use serde_json::{Value, json};

use crate::authority::{MintFailed, names_a_workload};
use crate::compact::{Header, compact, seconds};
use crate::publish::{bound_key, thumbprint};
use crate::request::CertificateRequest;
use crate::signer::{Signer, key_digest};

/// The `typ` of WIT-SVIDs: no validator of other tokens takes one for its own (WIT-SVID.md §2.2, §7.1).
const TYPE: &str = "wit+jwt";

/// Signs WIT-SVIDs of one trust domain.
pub struct WitAuthority {
    domain: TrustDomain,
    signer: Box<dyn Signer>,
    /// The header, encoded.
    header: String,
    not_after: Time,
}

/// What is to be minted.
pub struct WitOrder<'a> {
    pub id: &'a SpiffeId,
    /// The key whose holder the SVID is of.
    pub key: &'a CertificateRequest,
    pub ttl: Duration,
    /// What the SVID may not outlive: its principal, its permit.
    pub until: Time,
    /// The record under which it is minted: its `jti`.
    pub record: RecordId,
}

/// A token that counts only beside a proof of its key, and until when it holds; whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitSvid {
    pub token: String,
    pub expires: Time,
    /// The authority's key, as [`key_digest`] has it.
    pub signed_by: [u8; 32],
}

/// No audience: whom it is shown to is said by the proof (§3.8). No issuer: the subject names it, and nobody discovers it (§3.7).
#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    cnf: Value,
    iat: i64,
    exp: i64,
    jti: String,
}

impl WitAuthority {
    /// What it signs ends by `not_after`.
    pub fn new(domain: &TrustDomain, signer: Box<dyn Signer>, not_after: Time) -> Self {
        let header = Header { alg: "ES256", typ: TYPE, kid: &thumbprint(signer.public_point()) }.encoded();
        Self { domain: domain.clone(), signer, header, not_after }
    }

    /// Mints a WIT-SVID (WIT-SVID.md §2–§4), bound to the key of who asks. It ends with the first of its lifetime,
    /// `order.until` and the authority.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn mint(&self, order: &WitOrder<'_>, at: Time) -> Result<WitSvid, MintFailed> {
        names_a_workload(order.id, &self.domain)?;
        let point = order.key.p256().ok_or(MintFailed::OtherKey)?;
        let (iat, exp) = (seconds(at), seconds(at.plus(order.ttl).min(order.until).min(self.not_after)));
        if exp <= iat {
            return Err(MintFailed::Ended);
        }
        let cnf = json!({"jwk": bound_key(point)});
        let claims = Claims { sub: order.id.as_str(), cnf, iat, exp, jti: order.record.to_string() };
        let token = compact(&self.header, &claims, self.signer.as_ref())?;
        let signed_by = key_digest(self.signer.public_point());
        Ok(WitSvid { token, expires: Time::from_unix_seconds(exp), signed_by })
    }
}
