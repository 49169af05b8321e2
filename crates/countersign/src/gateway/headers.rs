//! Headers that cannot be read in one way, headers that never cross, and the trace.

use std::borrow::Cow;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use model::TraceId;

/// Headers of one hop (RFC 9110 §7.6.1, RFC 9112), never forwarded.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Credentials and what proxies say of a caller: a caller's own word, so never forwarded.
const CREDENTIAL_OR_IDENTITY: &[&str] =
    &["authorization", "proxy-authorization", "forwarded", "x-original-url", "x-rewrite-url"];

/// Headers with which a caller asks for another method than the one that was judged.
const METHOD_OVERRIDES: &[&str] = &["x-http-method-override", "x-http-method", "x-method-override"];

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A header that two readers could understand differently.
pub(super) struct Ambiguous;

/// Refuses headers that cannot be read in one way.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Ambiguous> {
    if headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
        return Err(Ambiguous);
    }
    if headers.keys().any(|name| METHOD_OVERRIDES.contains(&hyphens(name).as_ref())) {
        return Err(Ambiguous);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next()
        && (lengths.next().is_some() || length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err(Ambiguous);
    }
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => {}
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        _ => return Err(Ambiguous),
    }
    let of_one_hop = |name: &str| name == "close" || HOP_BY_HOP.contains(&name);
    if named_in_connection(headers).all(|name| of_one_hop(&name)) { Ok(()) } else { Err(Ambiguous) }
}

/// What goes upstream of a caller's headers: neither credentials nor identity nor what belongs to one hop.
pub(super) fn for_upstream(mut headers: HeaderMap, traceparent: &HeaderValue) -> HeaderMap {
    let mut upstream = HeaderMap::with_capacity(headers.len() + 4);
    // first, as RFC 9112 §3.2 asks
    if let Some(host) = headers.remove(header::HOST) {
        upstream.insert(header::HOST, host);
    }
    let mut last = None;
    for (name, value) in headers {
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| crosses(name)) {
            upstream.append(name, value);
        }
    }
    upstream.insert(TRACEPARENT, traceparent.clone());
    upstream
}

/// HTTP/2 as HTTP/1.1 says it: the authority is the host (RFC 9113 §8.3.1), and a cookie is one header again (§8.2.3).
pub(super) fn down_from_http2(headers: &mut HeaderMap, authority: Option<&Authority>) {
    if let Some(host) = authority.and_then(|authority| HeaderValue::try_from(authority.as_str()).ok()) {
        headers.insert(header::HOST, host);
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice()))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

/// What comes back of an upstream's headers.
pub(super) fn for_caller(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // the transfer coding has framed the body (RFC 9112 §6.3): a length beside it is not of this message
        headers.remove(header::CONTENT_LENGTH);
    }
    let named: Vec<String> = named_in_connection(headers).collect();
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            HOP_BY_HOP.contains(&text) || named.iter().any(|n| n == text) || is_ours(text)
        })
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
}

/// The caller's trace and the header that carries it on: a well-formed one as it came, else a fresh one.
pub(super) fn trace(headers: &HeaderMap, fresh: impl Fn() -> TraceId) -> (TraceId, HeaderValue) {
    let mut values = headers.get_all(TRACEPARENT).iter();
    if let (Some(value), None) = (values.next(), values.next())
        && let Some(trace) = value.to_str().ok().and_then(read_traceparent)
    {
        return (trace, value.clone());
    }
    let trace = fresh();
    let parent = fresh().to_string();
    let text = format!("00-{trace}-{}-01", parent.get(..16).unwrap_or("0000000000000001"));
    (trace, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")))
}

/// `version-traceid-parentid-flags` (W3C Trace Context §3.2.2).
fn read_traceparent(text: &str) -> Option<TraceId> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let sound = hex(version, 2) && version != "ff" && hex(parent, 16) && !zero(parent) && hex(flags, 2);
    // version 00 has four parts and no more
    if !sound || zero(trace) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    trace.parse().ok()
}

fn crosses(name: &HeaderName) -> bool {
    // an underscore twin is the same header to a reader that maps both to one variable
    let name = hyphens(name);
    let removed = HOP_BY_HOP.contains(&name.as_ref())
        || CREDENTIAL_OR_IDENTITY.contains(&name.as_ref())
        || name.starts_with("x-forwarded-")
        || name == "traceparent"
        || is_ours(&name);
    !removed
}

fn is_ours(name: &str) -> bool {
    name.contains("countersign")
}

fn hyphens(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

fn named_in_connection(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}
