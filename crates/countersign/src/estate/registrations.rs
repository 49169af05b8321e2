//! Registrations: which workloads, on which nodes, are given which SVIDs.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{IdTemplate, Selector, SpiffeId, Time, TrustDomain};
use yaml::{At, Node, Problem, Reader};

use super::bundle::Bundle;
use super::document::{self, Document};
use super::vars::Vars;

pub(super) const KIND: &str = "Registration";
/// Longest hint, in bytes (SPIFFE_Workload_API.md §8).
pub(super) const MAX_HINT: usize = 1024;
/// Longest name of a host, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;
/// Most host names of one SVID.
pub(super) const MAX_HOSTS: usize = 64;
/// Longest life of an SVID.
pub(super) const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

/// Who is given an SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub name: String,
    /// The SPIFFE ID, or what it is made of.
    pub id: IdTemplate,
    /// All of them hold of the node.
    pub nodes: Box<[Selector]>,
    /// All of them hold of the workload.
    pub selectors: Box<[Selector]>,
    pub x509_ttl: Option<Duration>,
    pub jwt_ttl: Option<Duration>,
    pub dns_names: Vec<String>,
    /// Tells several SVIDs of one workload apart; empty without one.
    pub hint: String,
    /// Whose bundles the workload is given.
    pub federates_with: Vec<TrustDomain>,
    pub expires: Option<Time>,
    /// A control plane below this one: its authorities are signed here.
    pub downstream: bool,
}

/// Reads files that hold registrations alone, to be put beside those of an estate.
///
/// # Errors
/// Every [`Problem`], anything else among them.
pub fn read_registrations(bundle: &Bundle, domain: &TrustDomain) -> Result<Vec<Registration>, Vec<Problem>> {
    let (pages, _) = document::pages(bundle)?;
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    let documents = document::read(pages.iter(), &Vars::Refused, &mut problems, &mut notes);
    document::check_unique(&documents, &mut problems);
    for document in documents.iter().filter(|document| document.kind != KIND) {
        let message = format!("{}: only a Registration is put by itself; apply the estate", document.kind);
        problems.push(Problem::new(&document.file, document.at, message));
    }
    let registrations = read(&documents, domain, &mut problems);
    if problems.is_empty() { Ok(registrations) } else { Err(super::told(problems)) }
}

/// Reads every registration.
pub(super) fn read(documents: &[Document], domain: &TrustDomain, problems: &mut Vec<Problem>) -> Vec<Registration> {
    let mut registrations = Vec::new();
    for document in documents.iter().filter(|document| document.kind == KIND) {
        let mut reader = Reader { file: &document.file, problems };
        registrations.extend(registration(&mut reader, document, domain));
    }
    registrations
}

fn registration(reader: &mut Reader<'_>, document: &Document, domain: &TrustDomain) -> Option<Registration> {
    let mut fields = reader.fields(&document.spec, KIND)?;
    let id = fields.required(reader, "id").and_then(|node| id(reader, node, domain));
    let nodes = fields.required(reader, "nodes").and_then(|node| selectors(reader, node));
    let workload = fields.required(reader, "selectors").and_then(|node| selectors(reader, node));
    let x509 = fields.optional("x509").map_or_else(|| Some(X509::default()), |node| x509(reader, node));
    let jwt_ttl = fields.optional("jwt").map_or(Some(None), |node| jwt(reader, node));
    let hint = fields.optional("hint").map_or_else(|| Some(String::new()), |node| hint(reader, node));
    let others = fields.optional("federatesWith");
    let federates_with = others.map_or_else(|| Some(Vec::new()), |node| reader.some(node, Reader::parse));
    let expires = fields.optional("expires").map_or(Some(None), |node| reader.parse(node).map(Some));
    let downstream = fields.optional("downstream");
    let is_downstream = downstream.map_or(Some(false), |node| reader.flag(node));
    if let (Some(node), Some(true), Some(id)) = (downstream, is_downstream, &id)
        && id.fixed().is_none()
    {
        reader
            .problem(node.at, format!("downstream: `{id}` may be many; a control plane below has one id, written out"));
    }
    fields.close(reader);
    let X509 { ttl, dns_names } = x509?;
    Some(Registration {
        name: document.name.clone(),
        id: id?,
        nodes: nodes?,
        selectors: workload?,
        x509_ttl: ttl,
        jwt_ttl: jwt_ttl?,
        dns_names,
        hint: hint?,
        federates_with: federates_with?,
        expires: expires?,
        downstream: is_downstream?,
    })
}

fn id(reader: &mut Reader<'_>, node: &Node, domain: &TrustDomain) -> Option<IdTemplate> {
    let template: IdTemplate = reader.parse(node)?;
    // one that makes no id at all was refused above
    let sample = template.sample().ok()?;
    let problem = if sample.is_member_of(domain) {
        id_problem(&template, &sample)
    } else {
        Some(format!("`{template}` is not of this environment's trust domain `{domain}`"))
    };
    match problem {
        None => Some(template),
        Some(problem) => {
            reader.problem(node.at, problem);
            None
        }
    }
}

/// Why ids such as this sample are for no workload, in whatever trust domain.
pub(super) fn id_problem(template: &IdTemplate, sample: &SpiffeId) -> Option<String> {
    if policy::is_part(sample) {
        return Some(format!("`{template}`: paths under `{}` are for Countersign's own parts", policy::OWN));
    }
    let message = || format!("`{template}` names the trust domain itself; a workload's id has a path");
    sample.path().is_empty().then(message)
}

fn selectors(reader: &mut Reader<'_>, node: &Node) -> Option<Box<[Selector]>> {
    let mut selectors = BTreeSet::new();
    for (selector, at) in reader.some(node, |reader, node| Some((reader.parse::<Selector>(node)?, node.at)))? {
        if selectors.contains(&selector) {
            reader.problem(at, format!("`{selector}` stands here twice"));
        }
        selectors.insert(selector);
    }
    Some(selectors.into_iter().collect())
}

#[derive(Default)]
struct X509 {
    ttl: Option<Duration>,
    dns_names: Vec<String>,
}

fn x509(reader: &mut Reader<'_>, node: &Node) -> Option<X509> {
    let mut fields = reader.fields(node, "x509")?;
    let ttl = fields.optional("ttl").map_or(Some(None), |node| ttl(reader, node).map(Some));
    let names = fields.optional("dnsNames");
    let names = names.map_or_else(|| Some(Vec::new()), |node| hosts(reader, node));
    fields.close(reader);
    Some(X509 { ttl: ttl?, dns_names: names? })
}

fn jwt(reader: &mut Reader<'_>, node: &Node) -> Option<Option<Duration>> {
    let mut fields = reader.fields(node, "jwt")?;
    let ttl = fields.optional("ttl").map_or(Some(None), |node| ttl(reader, node).map(Some));
    fields.close(reader);
    ttl
}

fn ttl(reader: &mut Reader<'_>, node: &Node) -> Option<Duration> {
    let ttl = reader.duration(node)?;
    if ttl < Duration::from_secs(1) || ttl > MAX_TTL {
        reader.problem(node.at, "an SVID lives between 1s and 24h");
        return None;
    }
    Some(ttl)
}

fn hint(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let hint = reader.words(node)?;
    if hint.len() > MAX_HINT {
        reader.problem(node.at, format!("a hint has at most {MAX_HINT} bytes"));
        return None;
    }
    Some(hint)
}

fn hosts(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let hosts = reader.some(node, |reader, node| {
        let host = reader.words(node)?;
        if !is_host(&host) {
            not_a_host(reader, node.at, &host);
            return None;
        }
        Some(host)
    })?;
    if hosts.len() > MAX_HOSTS {
        reader.problem(node.at, format!("an SVID has at most {MAX_HOSTS} DNS names"));
    }
    Some(hosts)
}

fn not_a_host(reader: &mut Reader<'_>, at: At, host: &str) {
    reader.problem(at, format!("`{host}` is no DNS name: expected labels of letters, digits and `-`"));
}

/// A name of labels of letters, digits and `-` (RFC 1123 §2.1); the first may be a wildcard.
pub(super) fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let rest = host.strip_prefix("*.").unwrap_or(host);
    host.len() <= MAX_HOST && rest.split('.').all(label)
}
