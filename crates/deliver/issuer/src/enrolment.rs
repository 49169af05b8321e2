//! What an operator hands to a new plane for its first contact: a signed token of one use and a short life, for one name.

use std::time::Duration;

use model::{RecordId, Time};
use serde::Serialize;

use crate::compact::{Header, compact, seconds};
use crate::publish::thumbprint;
use crate::signer::{Signer, SigningFailed};

/// The `typ` of enrolment tokens: no other token of this installation is taken for one (RFC 8725 §3.11).
pub const ENROLMENT_TYPE: &str = "enrolment+jwt";

/// Signs enrolment tokens of one trust domain.
pub struct Enrolments {
    issuer: String,
    audience: String,
    kid: String,
    signer: Box<dyn Signer>,
}

/// An enrolment token, and what is known of it.
pub struct Enrolment {
    pub token: String,
    /// Its `jti`: what it is revoked by, and what makes it good for one use.
    pub id: String,
    /// Whole seconds.
    pub expires: Time,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    role: &'a str,
    name: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

impl Enrolments {
    /// Tokens name `issuer`, and are for `audience` alone.
    pub fn new(issuer: &str, audience: String, signer: Box<dyn Signer>) -> Self {
        let kid = thumbprint(signer.public_point());
        Self { issuer: issuer.to_owned(), audience, kid, signer }
    }

    pub fn audience(&self) -> &str {
        &self.audience
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key, as an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.signer.public_point()
    }

    /// Signs a token for the part of this role and name. `id` is of the record under which it is ordered.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(
        &self,
        (role, name): (&str, &str),
        id: RecordId,
        life: Duration,
        at: Time,
    ) -> Result<Enrolment, SigningFailed> {
        let (id, expires) = (id.to_string(), Time::from_unix_seconds(seconds(at.plus(life))));
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: name,
            role,
            name,
            iat: seconds(at),
            exp: seconds(expires),
            jti: &id,
        };
        let header = Header { alg: "ES256", typ: ENROLMENT_TYPE, kid: &self.kid };
        let token = compact(&header.encoded(), &claims, self.signer.as_ref())?;
        Ok(Enrolment { token, id, expires })
    }
}
