//! `TrustSource`: anchors that credentials are checked against.

use std::time::Duration;

use credential::{
    ClaimPath, CredentialCache, EvidenceRule, ExtraAudiences, NodeSources, NodeTrust, OPERATORS, Picked, SVIDS, Source,
};
use model::{Fact, PrincipalKind, SourceName, TrustDomain};
use net::{Plain, Reach};
use yaml::{Fields, Node, Problem, Reader, Value};

use super::bundle::Bundle;
use super::document::Document;
use super::key_sets::{self, Jwks};
use super::node_sources;

/// Longest `maxAge`.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// `maxAge` where none is written.
const DEFAULT_AGE: Duration = Duration::from_secs(3600);
/// How `types` says that a token without `typ` is accepted.
const ABSENT: &str = "absent";
/// The source that speaks for the kernel.
pub(super) const LOCAL: &str = "local";
/// The source of enrolment tokens, and what they name as their issuer.
pub const ENROLMENT: &str = "enrolment";
pub const ENROLMENT_ISSUER: &str = "urn:countersign:enrolment";

/// Every trust source of an environment.
#[derive(Default)]
pub(super) struct TrustSources {
    /// Issuers of tokens.
    pub tokens: Vec<(Source, Jwks)>,
    /// Parties that vouch for nodes.
    pub nodes: NodeSources,
}

/// What trust sources are read against.
pub(super) struct Reading<'a> {
    pub bundle: &'a Bundle,
    pub domain: &'a TrustDomain,
    /// Whether plain HTTP to loopback may be written.
    pub development: bool,
}

/// Reads every trust source.
pub(super) fn read(documents: &[Document], reading: &Reading<'_>, problems: &mut Vec<Problem>) -> TrustSources {
    let mut sources = TrustSources::default();
    for document in documents.iter().filter(|document| document.kind == "TrustSource") {
        let mut reader = Reader { file: &document.file, problems };
        if let Some(what) = built_in(&document.name) {
            reader.problem(document.name_at, format!("`{}` is the source {what}; choose another name", document.name));
            continue;
        }
        match source(&mut reader, document, reading) {
            Some(TrustSource::Tokens(source, jwks)) => sources.tokens.push((*source, jwks)),
            Some(TrustSource::Nodes(name, trust, tokens)) => {
                sources.nodes.insert(name, trust);
                sources.tokens.extend(tokens.map(|tokens| *tokens));
            }
            None => {}
        }
    }
    sources
}

/// What a source is that no estate declares.
fn built_in(name: &str) -> Option<&'static str> {
    match name {
        LOCAL => Some("that speaks for the kernel"),
        SVIDS => Some("of this environment's own SVIDs"),
        ENROLMENT => Some("of this environment's enrolment tokens"),
        OPERATORS => Some("of operators' certificates"),
        _ => None,
    }
}

enum TrustSource {
    Tokens(Box<Source>, Jwks),
    /// What vouches for nodes, and whose tokens it does by, if it does by tokens.
    Nodes(SourceName, NodeTrust, Option<Box<(Source, Jwks)>>),
}

fn source(reader: &mut Reader<'_>, document: &Document, reading: &Reading<'_>) -> Option<TrustSource> {
    let mut fields = reader.fields(&document.spec, "TrustSource")?;
    let proves = fields.required(reader, "proves");
    let oidc = fields.optional("oidc");
    let nodes = node_sources::Declared::read(&mut fields);
    let of_tokens = ["identityKey", "display", "evidence"].map(|name| (name, fields.optional(name)));
    fields.close(reader);
    let proves = proves.map(|node| (node.at, reader.some(node, kind)));
    let name: Option<SourceName> = document.name.parse().ok();
    match (oidc, nodes.only()) {
        (Some(oidc), node_sources::Only::None) => {
            let [(_, identity_key), (_, display), (_, evidence)] = of_tokens;
            if identity_key.is_none() {
                reader.problem(
                    document.at,
                    "a source of tokens names the claims that are a principal's key: `identityKey`",
                );
            }
            let identity_key = identity_key.and_then(|node| reader.some(node, Reader::parse::<ClaimPath>));
            let display = display.map_or(Some(Vec::new()), |node| reader.some(node, Reader::parse::<ClaimPath>));
            let evidence = evidence.map_or(Some(Vec::new()), |node| rules(reader, node));
            let (accepted, jwks) = self::oidc(reader, oidc, document, reading)?;
            let claims = Claims { identity_key: identity_key?, display: display?, evidence: evidence? };
            let source = of_claims(name?, proves?.1?, accepted, claims, &jwks);
            Some(TrustSource::Tokens(Box::new(source), jwks))
        }
        (None, node_sources::Only::One(method, node)) => {
            for (name, node) in of_tokens {
                if let Some(node) = node {
                    reader.problem(node.at, format!("`{name}` is for sources of tokens; a node's key is its method's"));
                }
            }
            let (at, proves) = proves?;
            if proves? != [PrincipalKind::Workload] {
                reader.problem(at, "a source that vouches for nodes proves [Workload]: their agents");
            }
            let reading = node_sources::Reading { document, of: reading, name: name? };
            let (trust, tokens) = reading.read(reader, method, node)?;
            Some(TrustSource::Nodes(reading.name, trust, tokens.map(Box::new)))
        }
        _ => {
            let methods = node_sources::FIELDS.map(|(name, _)| format!("`{name}`")).join(", ");
            reader.problem(document.at, format!("a trust source has exactly one of `oidc`, {methods}"));
            None
        }
    }
}

/// What of a token's claims counts.
struct Claims {
    identity_key: Vec<ClaimPath>,
    display: Vec<ClaimPath>,
    evidence: Vec<EvidenceRule>,
}

fn of_claims(name: SourceName, proves: Vec<PrincipalKind>, accepted: Accepted, claims: Claims, jwks: &Jwks) -> Source {
    Source {
        name,
        picked: Picked::ByIssuer,
        proves,
        issuer: accepted.issuer,
        audiences: accepted.audiences,
        extra_audiences: accepted.extra_audiences,
        algorithms: accepted.algorithms,
        required_claims: accepted.required_claims,
        max_age: accepted.max_age,
        types: accepted.types,
        identity_key: claims.identity_key,
        display: claims.display,
        evidence: claims.evidence,
        keys: jwks.keys(),
        cache: accepted.cache,
    }
}

fn issuer(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.words(node)?;
    if text == ENROLMENT_ISSUER {
        reader.problem(node.at, format!("`{text}` is the issuer of this environment's own enrolment tokens"));
    }
    Some(text)
}

/// What is accepted of an issuer's tokens.
struct Accepted {
    issuer: String,
    audiences: Vec<String>,
    extra_audiences: ExtraAudiences,
    algorithms: Vec<credential::Algorithm>,
    required_claims: Vec<String>,
    max_age: Duration,
    types: Vec<Option<String>>,
    cache: CredentialCache,
}

fn oidc(reader: &mut Reader<'_>, node: &Node, document: &Document, reading: &Reading<'_>) -> Option<(Accepted, Jwks)> {
    let mut fields = reader.fields(node, "oidc")?;
    let issuer = fields.required(reader, "issuer").and_then(|node| issuer(reader, node));
    let audiences = fields.required(reader, "audiences").and_then(|node| reader.some(node, |r, n| r.words(n)));
    let algorithms = fields.required(reader, "algorithms").and_then(|node| reader.some(node, Reader::parse));
    let required_claims = required_claims(reader, &mut fields);
    let max_age = max_age(reader, &mut fields);
    let types = fields.optional("types").map_or_else(
        || Some(vec![Some("jwt".to_owned()), Some("at+jwt".to_owned()), None]),
        |node| reader.some(node, |r, n| r.words(n).map(|text| (text != ABSENT).then(|| text.to_ascii_lowercase()))),
    );
    let cache = fields.optional("credentialCache").and_then(|node| reader.flag(node)).unwrap_or(true);
    let extra = fields.optional("allowExtraAudiences").and_then(|node| reader.flag(node)).unwrap_or(false);
    let (reach, plain) = reach(reader, &mut fields, reading.development);
    let jwks = fields.required(reader, "jwks");
    fields.close(reader);
    let jwks = key_sets::Reading { document, bundle: reading.bundle, reach, plain }.read(reader, jwks?);
    let accepted = Accepted {
        issuer: issuer?,
        audiences: audiences?,
        extra_audiences: if extra { ExtraAudiences::Allowed } else { ExtraAudiences::Refused },
        algorithms: algorithms?,
        required_claims: required_claims?,
        max_age: max_age?,
        types: types?,
        cache: if cache { CredentialCache::On } else { CredentialCache::Off },
    };
    Some((accepted, jwks?))
}

/// How far keys may be fetched from, and whether without TLS.
pub(super) fn reach(reader: &mut Reader<'_>, fields: &mut Fields<'_>, development: bool) -> (Reach, Plain) {
    let loopback = fields.optional("dangerouslyAllowLoopbackHttp");
    let plain = loopback.and_then(|node| reader.flag(node)).unwrap_or(false);
    if let Some(node) = loopback.filter(|_| plain && !development) {
        reader.problem(node.at, "`dangerouslyAllowLoopbackHttp` is for environments marked `development: true`");
    }
    let private = fields.optional("dangerouslyAllowPrivateAddresses").and_then(|node| reader.flag(node));
    let plain = if plain && development { Plain::OnLoopback } else { Plain::Refused };
    let reach = match (private, plain) {
        (Some(true), _) => Reach::Private,
        (_, Plain::OnLoopback) => Reach::Loopback,
        (_, Plain::Refused) => Reach::Public,
    };
    (reach, plain)
}

fn required_claims(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let Some(node) = fields.optional("requiredClaims") else {
        return Some(["iss", "sub", "aud", "exp", "iat"].map(str::to_owned).to_vec());
    };
    let claims = reader.some(node, |r, n| r.words(n))?;
    for always in ["exp", "aud"] {
        if !claims.iter().any(|claim| claim == always) {
            reader.problem(node.at, format!("`requiredClaims` has to name `{always}`"));
        }
    }
    Some(claims)
}

fn max_age(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Duration> {
    let Some(node) = fields.optional("maxAge") else { return Some(DEFAULT_AGE) };
    let age = reader.duration(node)?;
    if age.is_zero() || age > MAX_AGE {
        reader.problem(node.at, "`maxAge` lies between 1 ms and 24 h");
        return None;
    }
    Some(age)
}

fn rules(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<EvidenceRule>> {
    let Value::Map(entries) = &node.value else {
        reader.problem(node.at, "evidence: expected a mapping of facts to conditions on claims");
        return None;
    };
    let mut rules = Vec::new();
    for entry in entries {
        let fact: Fact = match entry.key.parse() {
            Ok(fact) => fact,
            Err(error) => {
                reader.refuse(entry.at, &error);
                continue;
            }
        };
        if fact.is_built_in() {
            reader.problem(entry.at, format!("`{fact}` is a fact that only Countersign establishes"));
            continue;
        }
        let Value::Map(conditions) = &entry.value.value else {
            reader
                .problem(entry.value.at, format!("`{fact}`: expected conditions, such as `ref_protected: [\"true\"]`"));
            continue;
        };
        if conditions.is_empty() {
            reader.problem(entry.value.at, format!("`{fact}` without a condition would always hold"));
        }
        let mut read = Vec::new();
        for condition in conditions {
            let path = match condition.key.parse::<ClaimPath>() {
                Ok(path) => path,
                Err(error) => {
                    reader.refuse(condition.at, &error);
                    continue;
                }
            };
            if let Some(values) = reader.some(&condition.value, |r, n| r.text(n).map(str::to_owned)) {
                read.push((path, values));
            }
        }
        rules.push(EvidenceRule { fact, conditions: read });
    }
    Some(rules)
}

/// A kind of principal that can be declared.
pub(super) fn kind(reader: &mut Reader<'_>, node: &Node) -> Option<PrincipalKind> {
    let kind: PrincipalKind = reader.parse(node)?;
    if kind == PrincipalKind::Anonymous {
        reader.problem(node.at, "`Anonymous` is nobody: no estate can declare it");
        return None;
    }
    Some(kind)
}
