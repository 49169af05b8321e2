//! What a gateway tells a service of its caller: a short-lived signed assertion in the shape of a transaction token
//! (draft-ietf-oauth-transaction-tokens §6). A service that checks it need not trust the network between.

use std::time::Duration;

use model::{PrincipalId, PrincipalKind, RecordId, ServiceName, Time, TrustDomain};
use serde::Serialize;

use crate::compact::{Header, compact, seconds};
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
        let header = Header { alg: "ES256", typ: "txntoken+jwt", kid: &kid }.encoded();
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
        let until = Time::from_unix_seconds(seconds(at.plus(LIFETIME).min(statement.until)));
        let claims = Claims {
            iss: &self.issuer,
            aud: statement.service.as_str(),
            sub: statement.principal.as_str(),
            iat: seconds(at),
            exp: seconds(until),
            txn: statement.record.to_string(),
            tctx: Context { kind: statement.kind.as_str() },
        };
        Ok((compact(&self.header, &claims, self.signer.as_ref())?, until))
    }
}
