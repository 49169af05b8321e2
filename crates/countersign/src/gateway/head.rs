//! A request's head becomes what guard is asked. What can be read in two ways is refused here, never repaired.

use std::sync::Arc;

use guard::{Asked, Errand, NoRoom, Operation};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use identity::Access;
use model::{ActionName, BaseAction, Code, PrincipalId, TraceId};
use net::trace_id;
use policy::Question;

use super::{PROTOCOL, headers};
use crate::catalog::{Asks, Catalog, Match, Route, Service, check_path};
use crate::live::{Limits, Place, Upstream};

/// Longest operation that a record shows for a request that is not in the catalog, in bytes.
const MAX_OPERATION: usize = 256;

/// A head, read.
pub(super) struct Read {
    pub trace: TraceId,
    pub operation: String,
    pub asked: Asked<Forward>,
    /// Status of the answer if the request is unfit.
    pub status: StatusCode,
}

/// Where a permitted request goes, and as what: the door's errand.
pub(super) struct Forward {
    pub service: Arc<Service<Upstream>>,
    pub method: Method,
    pub target: PathAndQuery,
    /// What goes upstream of the caller's headers.
    pub headers: HeaderMap,
    /// Held until the answer ends.
    pub place: Option<Place>,
}

/// Why a request is not to be judged at all.
struct Unfit {
    code: Code,
    status: StatusCode,
}

const AMBIGUOUS: Unfit = Unfit { code: Code::RequestAmbiguous, status: StatusCode::BAD_REQUEST };
const MALFORMED: Unfit = Unfit { code: Code::RequestMalformed, status: StatusCode::BAD_REQUEST };

const fn too_large(status: StatusCode) -> Unfit {
    Unfit { code: Code::RequestTooLarge, status }
}

/// Reads a head against the catalog.
pub(super) fn read(catalog: &Catalog<Upstream>, parts: Parts) -> Read {
    let (trace, traceparent) = headers::trace(&parts.headers, trace_id);
    let raw = operation(&parts.method, &parts.uri);
    match fit(catalog, parts, &traceparent) {
        Ok((operation, asked)) => {
            let operation = operation.unwrap_or(raw);
            Read { trace, operation, asked, status: StatusCode::BAD_REQUEST }
        }
        Err(unfit) => Read { trace, operation: raw, asked: Asked::Unfit(unfit.code), status: unfit.status },
    }
}

/// The value of `Authorization`, if its scheme is Bearer.
pub(super) fn bearer(parts: &Parts) -> Option<HeaderValue> {
    parts.headers.get(header::AUTHORIZATION).filter(|value| is_bearer(value)).cloned()
}

/// The bytes after the scheme and its one space (RFC 6750 §2.1).
pub(super) fn token(value: &HeaderValue) -> &[u8] {
    value.as_bytes().get("bearer ".len()..).unwrap_or_default()
}

fn is_bearer(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
}

fn fit(
    catalog: &Catalog<Upstream>,
    parts: Parts,
    traceparent: &HeaderValue,
) -> Result<(Option<String>, Asked<Forward>), Unfit> {
    let host = host(&parts)?;
    let service = catalog.service(&host);
    check_size(&parts, service.map_or(Limits::default(), |service| service.door.limits))?;
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(AMBIGUOUS);
    }
    // which of the two it was is the transport's business, and goes no further
    if parts.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(AMBIGUOUS);
    }
    headers::check(&parts.headers)?;
    // an authority alone is for CONNECT; no other method has a target without a path
    let target = parts.uri.path_and_query().cloned().ok_or(AMBIGUOUS)?;
    if parts.uri.path() != "*" {
        check_path(target.path()).or(Err(AMBIGUOUS))?;
    }
    let unmapped = |code| {
        let service = service.map(|service| service.name.to_string());
        Ok((None, Asked::Unmapped { code, service }))
    };
    let Some(service) = service else { return unmapped(Code::OperationUnmapped) };
    if parts.headers.contains_key(header::UPGRADE) {
        return unmapped(Code::OperationUnmapped);
    }
    let (route, params) = match service.routes.find(parts.method.as_str(), target.path()) {
        Match::Route { route, params } => (route, params),
        Match::Ambiguous => return unmapped(Code::RequestAmbiguous),
        Match::None => return unmapped(Code::OperationUnmapped),
    };
    let (question, access) = question(service, route, params)?;
    let mut headers = parts.headers;
    if parts.version == Version::HTTP_2 {
        headers::down_from_http2(&mut headers, parts.uri.authority());
    }
    let headers = headers::for_upstream(headers, traceparent);
    let errand = Forward { service: Arc::clone(service), method: parts.method, target, headers, place: None };
    Ok((Some(route.text().to_owned()), Asked::Operation(Operation { question, access, errand })))
}

impl Errand for Forward {
    fn take_room(&mut self, caller: &PrincipalId) -> Result<(), NoRoom> {
        self.place = Some(self.service.door.room.take(caller, 1)?);
        Ok(())
    }
}

fn question(
    service: &Service<Upstream>,
    route: &Route,
    params: Vec<(String, String)>,
) -> Result<(Question, Access), Unfit> {
    let (action, resource, access) = match &route.asks {
        Asks::Action { action, resource } => (action.clone(), resource.clone(), Access::Proved),
        Asks::Public => {
            // a service's name is a sound segment, so this always parses
            let resource = format!("public/{}", service.name).parse().or(Err(MALFORMED))?;
            (ActionName::from(BaseAction::Read), resource, Access::Public)
        }
    };
    let (protocol, service) = (PROTOCOL.to_owned(), service.name.to_string());
    Ok((Question { action, resource, protocol, service, params }, access))
}

/// The one host that the request names, in its `Host` header and, if it is there, in the target.
fn host(parts: &Parts) -> Result<String, Unfit> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(AMBIGUOUS),
        (Some(value), None) => Some(bare_host(value.to_str().or(Err(AMBIGUOUS))?)?),
        (None, _) if parts.version == Version::HTTP_11 => return Err(MALFORMED),
        (None, _) => None,
    };
    let absolute = parts.uri.authority().map(|authority| bare_host(authority.as_str())).transpose()?;
    match (named, absolute) {
        (Some(named), Some(absolute)) if named != absolute => Err(AMBIGUOUS),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(MALFORMED),
    }
}

/// A host in ASCII lower-case without its port (RFC 9112 §3.2).
fn bare_host(text: &str) -> Result<String, Unfit> {
    let host = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
        Some(_) => return Err(AMBIGUOUS),
        None => text.split_once(':').map_or(text, |(host, _)| host),
    };
    let port = text.rsplit_once(':').map(|(_, port)| port).filter(|_| text.len() > host.len() && !text.ends_with(']'));
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() {
        return Err(MALFORMED);
    }
    if host.ends_with('.')
        || !host.bytes().all(sound)
        || port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(AMBIGUOUS);
    }
    Ok(host.to_ascii_lowercase())
}

fn check_size(parts: &Parts, limits: Limits) -> Result<(), Unfit> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    // method, two spaces and `HTTP/1.1`
    if parts.method.as_str().len() + target + 10 > limits.request_line {
        return Err(too_large(StatusCode::URI_TOO_LONG));
    }
    let lines = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if parts.headers.len() > limits.header_count || lines.sum::<usize>() > limits.headers {
        return Err(too_large(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if limits.body.is_some_and(|most| length.is_some_and(|length| length > most)) {
        return Err(too_large(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(())
}

fn operation(method: &Method, uri: &Uri) -> String {
    // CONNECT names an authority and no path
    let target = if uri.path().is_empty() { uri.authority().map_or("", Authority::as_str) } else { uri.path() };
    let mut text = format!("{method} {target}");
    if text.len() > MAX_OPERATION {
        let end = (0..=MAX_OPERATION).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl From<headers::Ambiguous> for Unfit {
    fn from(_: headers::Ambiguous) -> Self {
        AMBIGUOUS
    }
}

#[cfg(test)]
mod tests;
