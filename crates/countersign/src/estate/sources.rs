//! `TrustSource`: anchors that credentials are checked against.

use std::sync::Arc;
use std::time::Duration;

use credential::{ClaimPath, EvidenceRule, ExtraAudiences, KeySet, SVIDS, Source};
use http::Uri;
use model::{Fact, PrincipalKind, SourceName};
use serde_json::{Map, Value as Json};

use super::bundle::{Bundle, beside};
use super::document::Document;
use super::problem::Problem;
use super::read::{Fields, Reader};
use super::yaml::{Node, Quoting, Value};

/// Longest `maxAge`.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// `maxAge` where none is written.
const DEFAULT_AGE: Duration = Duration::from_secs(3600);
/// How `types` says that a token without `typ` is accepted.
const ABSENT: &str = "absent";
/// The source that speaks for the kernel.
pub(super) const LOCAL: &str = "local";

/// Where a source's keys come from.
#[derive(Debug, Clone)]
pub enum Jwks {
    /// In the estate: in a file of it, or in the document.
    Here(Arc<KeySet>),
    /// To be fetched.
    Url { url: String },
}

/// Reads every trust source. `development` says whether plain HTTP to loopback may be written.
pub(super) fn read(
    documents: &[Document],
    bundle: &Bundle,
    development: bool,
    problems: &mut Vec<Problem>,
) -> Vec<(Source, Jwks)> {
    let mut sources = Vec::new();
    for document in documents.iter().filter(|document| document.kind == "TrustSource") {
        let mut reader = Reader { file: &document.file, problems };
        if document.name == LOCAL {
            reader.problem(document.name_at, "`local` is the source that speaks for the kernel; choose another name");
            continue;
        }
        if document.name == SVIDS {
            let why = "`spiffe` is the source of this environment's own SVIDs; choose another name";
            reader.problem(document.name_at, why);
            continue;
        }
        sources.extend(source(&mut reader, document, bundle, development));
    }
    sources
}

fn source(reader: &mut Reader<'_>, document: &Document, bundle: &Bundle, development: bool) -> Option<(Source, Jwks)> {
    let name: Option<SourceName> = document.name.parse().ok();
    let mut fields = reader.fields(&document.spec, "TrustSource")?;
    let proves = fields.required(reader, "proves");
    let oidc = fields.required(reader, "oidc");
    let identity_key = fields.required(reader, "identityKey");
    let display = fields.optional("display");
    let evidence = fields.optional("evidence");
    fields.close(reader);
    let proves = proves.and_then(|node| reader.some(node, kind));
    let identity_key = identity_key.and_then(|node| reader.some(node, Reader::parse::<ClaimPath>));
    let display = display.map_or(Some(Vec::new()), |node| reader.some(node, Reader::parse::<ClaimPath>));
    let evidence = evidence.map_or(Some(Vec::new()), |node| rules(reader, node));
    let oidc = oidc.and_then(|node| self::oidc(reader, node, document, bundle, development));
    let (accepted, jwks) = oidc?;
    let keys = match &jwks {
        Jwks::Here(keys) => Some(Arc::clone(keys)),
        Jwks::Url { .. } => None,
    };
    let source = Source {
        name: name?,
        proves: proves?,
        issuer: accepted.issuer,
        audiences: accepted.audiences,
        extra_audiences: accepted.extra_audiences,
        algorithms: accepted.algorithms,
        required_claims: accepted.required_claims,
        max_age: accepted.max_age,
        types: accepted.types,
        identity_key: identity_key?,
        display: display?,
        evidence: evidence?,
        keys,
    };
    Some((source, jwks))
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
}

fn oidc(
    reader: &mut Reader<'_>,
    node: &Node,
    document: &Document,
    bundle: &Bundle,
    development: bool,
) -> Option<(Accepted, Jwks)> {
    let mut fields = reader.fields(node, "oidc")?;
    let issuer = fields.required(reader, "issuer").and_then(|node| reader.words(node));
    let audiences = fields.required(reader, "audiences").and_then(|node| reader.some(node, |r, n| r.words(n)));
    let algorithms = fields.required(reader, "algorithms").and_then(|node| reader.some(node, Reader::parse));
    let required_claims = required_claims(reader, &mut fields);
    let max_age = max_age(reader, &mut fields);
    let types = fields.optional("types").map_or_else(
        || Some(vec![Some("jwt".to_owned()), Some("at+jwt".to_owned()), None]),
        |node| reader.some(node, |r, n| r.words(n).map(|text| (text != ABSENT).then(|| text.to_ascii_lowercase()))),
    );
    let extra = fields.optional("allowExtraAudiences").and_then(|node| reader.flag(node)).unwrap_or(false);
    let loopback = fields.optional("dangerouslyAllowLoopbackHttp");
    let plain = loopback.and_then(|node| reader.flag(node)).unwrap_or(false);
    if let Some(node) = loopback.filter(|_| plain && !development) {
        reader.problem(node.at, "`dangerouslyAllowLoopbackHttp` is for environments marked `development: true`");
    }
    let jwks = fields.required(reader, "jwks");
    fields.close(reader);
    let jwks = self::jwks(reader, jwks?, document, bundle, plain && development);
    let accepted = Accepted {
        issuer: issuer?,
        audiences: audiences?,
        extra_audiences: if extra { ExtraAudiences::Allowed } else { ExtraAudiences::Refused },
        algorithms: algorithms?,
        required_claims: required_claims?,
        max_age: max_age?,
        types: types?,
    };
    Some((accepted, jwks?))
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

fn jwks(reader: &mut Reader<'_>, node: &Node, document: &Document, bundle: &Bundle, loopback: bool) -> Option<Jwks> {
    let mut fields = reader.fields(node, "jwks")?;
    let (url, file, inline) = (fields.optional("url"), fields.optional("file"), fields.optional("inline"));
    fields.close(reader);
    match (url, file, inline) {
        (Some(node), None, None) => {
            let url = reader.words(node)?;
            match check_url(&url, loopback) {
                Ok(()) => Some(Jwks::Url { url }),
                Err(why) => {
                    reader.problem(node.at, why);
                    None
                }
            }
        }
        (None, Some(node), None) => {
            let name = reader.words(node)?;
            let Some(path) = beside(&document.file, &name) else {
                reader.problem(node.at, format!("`{name}` lies outside the estate"));
                return None;
            };
            let Some(text) = bundle.file(&path) else {
                reader.problem(node.at, format!("the estate has no file `{name}` beside `{}`", document.file));
                return None;
            };
            key_set(reader, node, text.as_bytes())
        }
        (None, None, Some(node)) => key_set(reader, node, json(node).to_string().as_bytes()),
        _ => {
            reader.problem(node.at, "jwks: expected exactly one of `url`, `file` and `inline`");
            None
        }
    }
}

fn key_set(reader: &mut Reader<'_>, node: &Node, json: &[u8]) -> Option<Jwks> {
    match KeySet::parse(json) {
        Ok(keys) => Some(Jwks::Here(Arc::new(keys))),
        Err(error) => {
            reader.problem(node.at, format!("not a key set that can be used: {error}"));
            None
        }
    }
}

/// Whether a URL's authority is a host and perhaps a port, and nothing else: a port that is no `u16` would be read as none.
pub(super) fn has_plain_authority(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    !host.is_empty() && uri.authority().is_some_and(|authority| authority.as_str() == format!("{host}{port}"))
}

fn check_url(url: &str, loopback: bool) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    let host = uri.host().unwrap_or_default();
    if url.contains('#') || url.contains('@') || !has_plain_authority(&uri) {
        return Err(format!("`{url}`: expected a host, perhaps a port, and neither user nor fragment"));
    }
    let is_loopback =
        host == "localhost" || host == "[::1]" || host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback && loopback => Ok(()),
        Some("http") if is_loopback => {
            Err(format!("`{url}`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment"))
        }
        _ => Err(format!("`{url}`: expected `https://`")),
    }
}

/// A key set written as YAML. Members of a JWK are text: a scalar is what it says, whatever it looks like.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(text, Quoting::Plain) if text == "true" || text == "false" => Json::Bool(text == "true"),
        Value::Scalar(text, _) => Json::String(text.clone()),
        Value::List(nodes) => Json::Array(nodes.iter().map(json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Map<_, _>>())
        }
    }
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
