//! Whether a request is signed (AWS Signature Version 4) by the keys of the instance's role, all of it and lately.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::StatusCode;
use model::Time;
use net::sigv4::{ALGORITHM, Canonical, Scope, SecretKey, sign};

use super::super::reply::Asked;
use super::{REGION, SessionKeys};

/// How far the time of signing may be from now.
const CLOSE: Duration = Duration::from_secs(5 * 60);

/// A fault, by Amazon's name for it.
pub(super) struct Fault {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: &'static str,
}

const fn refused(code: &'static str, message: &'static str) -> Fault {
    Fault { status: StatusCode::FORBIDDEN, code, message }
}

const INCOMPLETE: Fault = Fault {
    status: StatusCode::BAD_REQUEST,
    code: "IncompleteSignature",
    message: "The request signature does not conform to AWS standards.",
};
const MISMATCH: Fault =
    refused("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.");

/// # Errors
/// The [`Fault`].
pub(super) fn check(keys: &SessionKeys, asked: &Asked) -> Result<(), Fault> {
    let authorization = asked.header("authorization");
    let authorization =
        authorization.ok_or(refused("MissingAuthenticationToken", "Request is missing Authentication Token"))?;
    let parts = Parts::read(authorization).ok_or(INCOMPLETE)?;
    if parts.access_key != keys.access_key {
        return Err(refused("InvalidClientTokenId", "The security token included in the request is invalid."));
    }
    if asked.header("x-amz-security-token") != Some(&keys.token) {
        return Err(refused("InvalidClientTokenId", "The security token included in the request is invalid."));
    }
    let time = asked.header("x-amz-date").ok_or(INCOMPLETE)?;
    let scope = Scope { time, region: REGION, service: "sts" };
    if parts.scope != scope.text() {
        return Err(MISMATCH);
    }
    let at = read_time(time).ok_or(INCOMPLETE)?;
    if at.plus(CLOSE) < asked.at || asked.at.plus(CLOSE) < at {
        return Err(refused("SignatureDoesNotMatch", "Signature expired"));
    }
    let names: Vec<&str> = parts.signed_headers.split(';').collect();
    if !names.is_sorted() || !names.contains(&"host") || !signs_all(asked, &names) {
        return Err(MISMATCH);
    }
    let values =
        names.iter().map(|name| Some((*name, asked.header(name)?.split_whitespace().collect::<Vec<_>>().join(" "))));
    let values = values.collect::<Option<Vec<_>>>().ok_or(MISMATCH)?;
    let headers: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Canonical { method: asked.method(), path: "/", query: "", headers: &headers, body: &asked.body };
    let expected = sign(&SecretKey::new(keys.secret.clone()), scope, &request);
    verify_slices_are_equal(expected.as_bytes(), parts.signature.as_bytes()).or(Err(MISMATCH))
}

/// Amazon's own headers count only if they are signed.
fn signs_all(asked: &Asked, names: &[&str]) -> bool {
    let own = asked.parts.headers.keys().filter(|name| name.as_str().starts_with("x-amz-"));
    own.map(http::HeaderName::as_str).all(|name| names.contains(&name))
}

/// What stands in `authorization`.
struct Parts<'a> {
    access_key: &'a str,
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn read(authorization: &'a str) -> Option<Self> {
        let mut parts = authorization.strip_prefix(ALGORITHM)?.trim_start().split(',').map(str::trim);
        let (access_key, scope) = parts.next()?.strip_prefix("Credential=")?.split_once('/')?;
        let signed_headers = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?;
        parts.next().is_none().then_some(Self { access_key, scope, signed_headers, signature })
    }
}

/// `20270102T030405Z`.
fn read_time(text: &str) -> Option<Time> {
    let part = |from, to| text.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
    (text.len() == 16).then(|| format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok())?
}
