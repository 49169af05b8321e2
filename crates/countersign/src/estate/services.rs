//! `Service`: what stands behind the gateway.

use std::collections::HashMap;
use std::time::Duration;

use http::Uri;
use model::{ServiceName, SpiffeId};
use net::{Destination, has_plain_authority};
use yaml::{Fields, Node, Place, Problem, Reader};

use super::document::Document;
use super::routes::{self, Declared, Operations};
use crate::catalog::Routes;
use crate::live::{Limits, Timeouts};

/// Largest `requestLine` and `headers`: what the door holds of a head before it answers 431.
const MAX_HEAD: u64 = 128 * 1024;
/// Largest `headerCount`, likewise.
const MAX_HEADER_COUNT: u64 = 512;
const MAX_IN_FLIGHT: u64 = 1 << 20;
/// Longest timeout: the end of a longer one may lie beyond what a clock can count to.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A service, ready to be served.
#[derive(Debug)]
pub struct Service {
    pub name: ServiceName,
    pub place: Place,
    /// ASCII lower-case, without a port.
    pub hosts: Vec<String>,
    pub destination: Destination,
    pub routes: Routes,
    /// Where each route is written, in the order of the routes.
    pub places: Vec<Place>,
    /// What its OpenAPI file describes and nothing maps: refused, as the service says.
    pub unmapped: Vec<(String, Place)>,
    pub limits: Limits,
    pub timeouts: Timeouts,
}

/// Reads every service.
pub(super) fn read(documents: &[Document], declared: &Declared<'_>, problems: &mut Vec<Problem>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    for document in documents.iter().filter(|document| document.kind == "Service") {
        let mut reader = Reader { file: &document.file, problems };
        services.extend(service(&mut reader, document, declared, &mut owners));
    }
    services
}

fn service(
    reader: &mut Reader<'_>,
    document: &Document,
    declared: &Declared<'_>,
    owners: &mut HashMap<String, String>,
) -> Option<Service> {
    let mut fields = reader.fields(&document.spec, "Service")?;
    let hosts = fields.required(reader, "hosts");
    let upstream = fields.required(reader, "upstream");
    let operations = routes::read(reader, &mut fields, document, declared);
    let limits = limits(reader, &mut fields);
    let timeouts = timeouts(reader, &mut fields);
    fields.close(reader);
    let hosts = hosts.and_then(|node| reader.some(node, |reader, node| host(reader, node, &document.name, owners)));
    let destination = upstream.and_then(|node| destination(reader, node));
    let Operations { routes, places, unmapped } = operations?;
    Some(Service {
        name: document.name.parse().ok()?,
        place: document.place(),
        hosts: hosts?,
        destination: destination?,
        routes,
        places,
        unmapped,
        limits,
        timeouts,
    })
}

fn host(reader: &mut Reader<'_>, node: &Node, service: &str, owners: &mut HashMap<String, String>) -> Option<String> {
    let host = reader.words(node)?;
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':');
    // an IPv6 address is written without its brackets, and is the only host with a colon
    let colon = host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err();
    if !host.bytes().all(sound) || host.starts_with('.') || host.ends_with('.') || colon {
        reader.problem(node.at, format!("`{host}`: expected a host in lower case, without port and trailing dot"));
        return None;
    }
    if let Some(other) = owners.insert(host.clone(), service.to_owned()) {
        reader.problem(node.at, format!("host `{host}` belongs to service `{other}` already"));
    }
    Some(host)
}

fn destination(reader: &mut Reader<'_>, node: &Node) -> Option<Destination> {
    let mut fields = reader.fields(node, "upstream")?;
    let url = fields.required(reader, "url");
    let id = fields.optional("spiffeId");
    fields.close(reader);
    let node = url?;
    let url = reader.words(node)?;
    // an id that cannot be read must not become none
    let id = match id {
        Some(id) => Some(reader.parse::<SpiffeId>(id)?),
        None => None,
    };
    let uri: Option<Uri> = url.parse().ok();
    let scheme = if id.is_some() { "https" } else { "http" };
    let authority = uri.as_ref().filter(|uri| uri.scheme_str() == Some(scheme)).and_then(|uri| {
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !url.contains(['#', '@']);
        uri.authority().filter(|_| bare && has_plain_authority(uri)).cloned()
    });
    if authority.is_none() {
        let tls = "; a service that is reached by mutual TLS has an `https://` address and a `spiffeId`";
        let tls = if url.starts_with("https://") || id.is_some() { tls } else { "" };
        reader.problem(node.at, format!("`{url}`: expected `{scheme}://host:port`, without a path{tls}"));
    }
    Some(Destination { authority: authority?, id })
}

fn limits(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Limits {
    let defaults = Limits::default();
    let Some(node) = fields.optional("limits") else { return defaults };
    let Some(mut fields) = reader.fields(node, "limits") else { return defaults };
    let mut size = |reader: &mut Reader<'_>, name, most: u64| {
        let node = fields.optional(name)?;
        let size = reader.size(node)?;
        if size > most {
            reader.problem(node.at, format!("`{name}` is at most {most}"));
            return None;
        }
        Some(size)
    };
    let bytes = |read: Option<u64>, default: usize| read.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    let limits = Limits {
        request_line: bytes(size(reader, "requestLine", MAX_HEAD), defaults.request_line),
        headers: bytes(size(reader, "headers", MAX_HEAD), defaults.headers),
        header_count: bytes(size(reader, "headerCount", MAX_HEADER_COUNT), defaults.header_count),
        body: size(reader, "body", u64::MAX),
        in_flight: bytes(size(reader, "inFlight", MAX_IN_FLIGHT), defaults.in_flight),
        in_flight_per_principal: bytes(
            size(reader, "inFlightPerPrincipal", MAX_IN_FLIGHT),
            defaults.in_flight_per_principal,
        ),
    };
    fields.close(reader);
    limits
}

fn timeouts(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Timeouts {
    let defaults = Timeouts::default();
    let Some(node) = fields.optional("timeouts") else { return defaults };
    let Some(mut fields) = reader.fields(node, "timeouts") else { return defaults };
    let mut span = |reader: &mut Reader<'_>, name| {
        let node = fields.optional(name)?;
        let span = reader.duration(node)?;
        if span.is_zero() || span > MAX_TIMEOUT {
            reader.problem(node.at, format!("`{name}` lies between 1 ms and 24 h"));
            return None;
        }
        Some(span)
    };
    let timeouts = Timeouts {
        header: span(reader, "header").unwrap_or(defaults.header),
        idle: span(reader, "idle").unwrap_or(defaults.idle),
        body_idle: span(reader, "bodyIdle").unwrap_or(defaults.body_idle),
        upstream: span(reader, "upstream").unwrap_or(defaults.upstream),
    };
    fields.close(reader);
    timeouts
}
