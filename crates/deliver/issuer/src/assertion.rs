//! What a gateway tells a service of its caller: a short-lived signed assertion in the shape of a transaction token
//! (draft-ietf-oauth-transaction-tokens §6). A service that checks it need not trust the network between.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{PrincipalId, PrincipalKind, RecordId, ServiceName, Time, TrustDomain};
use serde::Serialize;

use crate::publish::thumbprint;
use crate::signer::{Signer, SigningFailed};

/// How long an assertion holds.
const LIFETIME: Duration = Duration::from_secs(10);

/// Signs assertions of one trust domain.
pub struct Assertions {
    issuer: String,
    signer: Box<dyn Signer>,
    /// The header, encoded.
    header: String,
}

/// Who was let through, and to what.
pub struct Statement<'a> {
    pub service: &'a ServiceName,
    pub principal: &'a PrincipalId,
    pub kind: PrincipalKind,
    /// The judgement that the assertion was first made for.
    pub record: RecordId,
    /// The caller's own proof ends then: no assertion outlives it.
    pub until: Time,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    txn: String,
    tctx: Context<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    kind: &'a str,
}

impl Assertions {
    pub fn new(domain: &TrustDomain, signer: Box<dyn Signer>) -> Self {
        let kid = thumbprint(signer.public_point());
        let header = encoded(&Header { alg: "ES256", typ: "txntoken+jwt", kid: &kid });
        Self { issuer: format!("spiffe://{domain}"), signer, header }
    }

    /// Whom assertions name as their issuer: the trust domain.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key, as an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.signer.public_point()
    }

    /// Signs a statement at `at`, and says until when it holds: ten seconds at most.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, statement: &Statement<'_>, at: Time) -> Result<(String, Time), SigningFailed> {
        let seconds = |time: Time| time.as_micros().div_euclid(1_000_000);
        let until = Time::from_unix_seconds(seconds(at.plus(LIFETIME).min(statement.until)));
        let claims = encoded(&Claims {
            iss: &self.issuer,
            aud: statement.service.as_str(),
            sub: statement.principal.as_str(),
            iat: seconds(at),
            exp: seconds(until),
            txn: statement.record.to_string(),
            tctx: Context { kind: statement.kind.as_str() },
        });
        let signed = format!("{}.{claims}", self.header);
        let signature = self.signer.sign_fixed(signed.as_bytes())?;
        Ok((format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)), until))
    }
}

fn encoded(document: &impl Serialize) -> String {
    // structs of strings and numbers: serialising them cannot fail
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(document).unwrap_or_default())
}
