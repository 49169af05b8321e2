//! JWT-SVIDs (JWT-SVID.md), validated for whoever holds the bundle of their trust domain. What is asked of them is the
//! standard's, and nothing of it can be configured.

use model::{SpiffeId, Time, TrustDomain};

use crate::cause::shown;
use crate::claims;
use crate::jws::Jws;
use crate::verify::{LEEWAY, check_signature, missing, signing_key};
use crate::{Algorithm, Cause, KeySet};

/// `typ`, where there is one (§2.3).
const TYPES: &[&str] = &["JWT", "JOSE"];

/// What a JWT-SVID that holds says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvid {
    pub id: SpiffeId,
    pub expires: Time,
    /// Its claims, in JSON.
    pub claims: Vec<u8>,
}

/// Validates a JWT-SVID for one audience (§4). `keys` are those of JWT-SVIDs of a trust domain, the one of the token's
/// subject; none where the trust domain is not trusted.
///
/// # Errors
/// The [`Cause`].
pub fn validate_jwt_svid<'k>(
    token: &[u8],
    audience: &str,
    keys: impl FnOnce(&TrustDomain) -> Option<&'k KeySet>,
    at: Time,
) -> Result<JwtSvid, Cause> {
    let jws = Jws::read(token)?;
    if jws.header.names_others {
        return Err(Cause::HeaderRefused { name: "beside `alg`, `kid` and `typ`" });
    }
    if let Some(typ) = jws.header.typ.as_deref().filter(|typ| !TYPES.contains(typ)) {
        return Err(Cause::WrongType { found: shown(typ) });
    }
    let subject = claims::text(&jws.claims, "sub")?.ok_or_else(|| missing("sub"))?;
    let wrong = || Cause::ClaimType { name: "sub".to_owned(), expected: "a SPIFFE ID with a path" };
    let id = subject.parse::<SpiffeId>().ok().filter(|id| !id.path().is_empty()).ok_or_else(wrong)?;
    let audiences = claims::audience(&jws.claims)?.ok_or_else(|| missing("aud"))?;
    let expires = claims::time(&jws.claims, "exp")?.ok_or_else(|| missing("exp"))?;
    let begins = [("nbf", claims::time(&jws.claims, "nbf")?), ("iat", claims::time(&jws.claims, "iat")?)];
    if jws.claims.find("cnf").is_some() {
        return Err(Cause::BindingMismatch { to: "a key that was not proved" });
    }

    let algorithm = algorithm(&jws.header.alg)?;
    let domain = id.trust_domain();
    let keys = keys(&domain).ok_or(Cause::TrustDomainUnknown { domain })?;
    // without a `kid` nobody can say which key is meant once they rotate, and other validators ask for it
    let kid = jws.header.kid.as_deref().ok_or(Cause::HeaderType { name: "kid" })?;
    check_signature(signing_key(keys, Some(kid), algorithm)?, algorithm, &jws)?;

    if expires.plus(LEEWAY) <= at {
        return Err(Cause::Expired { at: expires });
    }
    for (claim, time) in begins {
        if let Some(time) = time.filter(|time| *time > at.plus(LEEWAY)) {
            return Err(Cause::NotYetValid { claim, at: time });
        }
    }
    if !audiences.contains(&audience) {
        return Err(Cause::AudienceWrong);
    }
    Ok(JwtSvid { id, expires, claims: jws.payload })
}

/// One of the nine (§2.2).
fn algorithm(alg: &str) -> Result<Algorithm, Cause> {
    let refused = || Cause::AlgorithmRefused { found: shown(alg) };
    alg.parse().ok().filter(|algorithm| *algorithm != Algorithm::EdDsa).ok_or_else(refused)
}
