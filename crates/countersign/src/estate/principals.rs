//! `Principal` and `PrincipalClass`: who there is, and which credentials are theirs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use credential::{NodeMethod, OPERATORS, Source};
use identity::{Class, Principal, Template};
use model::{GroupName, Owner, PrincipalId, PrincipalKind, Risk, SourceName, Time, TrustDomain};
use policy::{Group, OWN};
use yaml::{At, Fields, Node, Problem, Reader, nearest};

use super::document::Document;
use super::environment::Environment;
use super::groups::{Groups, shipped};
use super::sources::{ENROLMENT, LOCAL, TrustSources, kind};

/// How far ahead a principal may expire: two years, leap days included.
const MAX_LIFE: Duration = Duration::from_secs(731 * 24 * 3600);

/// A principal, its bindings, and where it is declared.
pub(super) type Bound = (Principal, Vec<(SourceName, Vec<String>)>, (String, At));

/// Everyone whom an estate declares.
#[derive(Default)]
pub(super) struct People {
    pub principals: Vec<Bound>,
    pub classes: Vec<Class>,
    pub groups: Vec<Group>,
    pub names: HashMap<String, PrincipalId>,
    pub binders: BTreeMap<String, (String, String)>,
}

/// Sources by name.
type Sources<'a> = BTreeMap<&'a str, Declared<'a>>;

/// What a declared source can say of principals.
#[derive(Clone, Copy)]
enum Declared<'a> {
    Tokens(&'a Source),
    /// Whoever it vouches for is an agent of Countersign's own.
    Nodes,
    /// It could not be read.
    Nothing,
}

/// What every principal and class says.
struct Common {
    kind: PrincipalKind,
    owner: Owner,
    purpose: String,
    tenant: Option<String>,
    risk: Risk,
    groups: Vec<GroupName>,
}

/// The built-in classes of operators: whoever the kernel names on a local socket, and whoever has an operator's certificate.
pub fn operators() -> [Class; 2] {
    [
        operators_of("local-operators", LOCAL, "human:local:{uid}", "uid"),
        operators_of("certified-operators", OPERATORS, "human:operators:{name}", "name"),
    ]
}

/// # Panics
/// Never: its texts are sound, as every test run shows.
#[expect(clippy::expect_used, reason = "literals that their parsers accept; every test run reads them")]
fn operators_of(name: &str, source: &str, ids: &str, key: &str) -> Class {
    Class {
        name: name.to_owned(),
        source: source.parse().expect("a name"),
        kind: PrincipalKind::Human,
        template: Template::new(ids, &[key]).expect("a template"),
        owner: source.parse().expect("an owner"),
        purpose: "operator of this installation".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: Arc::from([]),
    }
}

/// Whoever holds an enrolment token of this trust domain: the built-in class of parts that run apart from control.
///
/// # Panics
/// Never: its texts are sound, as every test run shows.
#[expect(clippy::expect_used, reason = "literals that their parsers accept; every test run reads them")]
fn enrolled_parts(domain: &TrustDomain) -> Class {
    let ids = format!("spiffe://{domain}{OWN}/{{role}}/{{name}}");
    Class {
        name: "enrolled-parts".to_owned(),
        source: ENROLMENT.parse().expect("a name"),
        kind: PrincipalKind::Workload,
        template: Template::new(&ids, &["role", "name"]).expect("a template"),
        owner: "countersign".parse().expect("an owner"),
        purpose: "part of this installation".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: Arc::from([]),
    }
}

/// Whoever a source vouches for as a node: the built-in class of its agents. An id says by which method and source, so that no
/// source can name the nodes of another.
///
/// # Panics
/// Never: a source's name and the names of a method's key can stand in a template, as every method's test shows.
#[expect(
    clippy::expect_used,
    reason = "made of literals and of a source's name; every method has a test that loads it"
)]
fn attested_agents(domain: &TrustDomain, source: &SourceName, method: NodeMethod) -> Class {
    let key: String = method.key().iter().map(|name| format!("/{{{name}}}")).collect();
    let ids = format!("spiffe://{domain}{OWN}/agent/{}/{source}{key}", method.as_str());
    Class {
        name: format!("agents-of-{source}"),
        source: source.clone(),
        kind: PrincipalKind::Workload,
        template: Template::new(&ids, method.key()).expect("a template"),
        owner: "countersign".parse().expect("an owner"),
        purpose: "agent of a node".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: Arc::from([]),
    }
}

/// Reads every principal, class and group.
pub(super) fn read(
    documents: &[Document],
    environment: &Environment,
    sources: &TrustSources,
    now: Time,
    problems: &mut Vec<Problem>,
) -> People {
    let domain = &environment.trust_domain;
    let agents = sources.nodes.iter().map(|(source, trust)| attested_agents(domain, source, trust.method()));
    let classes = operators().into_iter().chain([enrolled_parts(domain)]).chain(agents).collect();
    let sources = sources_by_name(documents, sources);
    let groups = Groups::read(documents, problems);
    let mut people = People { classes, ..People::default() };
    for document in documents {
        let mut reader = Reader { file: &document.file, problems };
        let also = groups.of(&document.name);
        match document.kind.as_str() {
            "Principal" => {
                if let Some(bound) = principal(&mut reader, document, environment, &sources, also, now) {
                    let id = bound.0.id.clone();
                    people.binders.insert(id.to_string(), ("Principal".to_owned(), document.name.clone()));
                    people.names.insert(document.name.clone(), id);
                    people.principals.push(bound);
                }
            }
            "PrincipalClass" => {
                if let Some(class) = class(&mut reader, document, environment, &sources, also) {
                    let binder = ("PrincipalClass".to_owned(), document.name.clone());
                    people.binders.insert(format!("source:{}", class.source), binder);
                    people.classes.push(class);
                }
            }
            _ => {}
        }
    }
    let of_principals = people.principals.iter().flat_map(|(principal, ..)| principal.groups.iter());
    let of_classes = people.classes.iter().flat_map(|class| class.groups.iter());
    people.groups = groups.with(of_principals.chain(of_classes));
    people
}

fn principal(
    reader: &mut Reader<'_>,
    document: &Document,
    environment: &Environment,
    sources: &Sources<'_>,
    also: &[GroupName],
    now: Time,
) -> Option<Bound> {
    let mut fields = reader.fields(&document.spec, "Principal")?;
    let id_node = fields.required(reader, "id");
    let expires_node = fields.optional("expires");
    let bindings_node = fields.optional("bindings");
    let common = common(reader, &mut fields);
    fields.close(reader);
    let id: Option<PrincipalId> = id_node.and_then(|node| reader.parse(node));
    let expires = expires_node.map(|node| expires(reader, node, now));
    let common = common?;
    let id = id?;
    check_id(reader, id_node?.at, &id, common.kind, environment);
    let bindings =
        bindings_node.map_or_else(|| Some(Vec::new()), |node| bindings(reader, node, common.kind, sources))?;
    let principal = Principal {
        id,
        kind: common.kind,
        owner: common.owner,
        purpose: common.purpose,
        tenant: common.tenant,
        risk: common.risk,
        expires: expires.flatten(),
        groups: common.groups.into_iter().chain(also.iter().cloned()).collect(),
    };
    Some((principal, bindings, (document.file.clone(), document.at)))
}

fn expires(reader: &mut Reader<'_>, node: &Node, now: Time) -> Option<Time> {
    let time: Time = reader.parse(node)?;
    if time > now.plus(MAX_LIFE) {
        reader.problem(
            node.at,
            format!("`{time}` is more than two years ahead; a principal is looked at again before that"),
        );
    }
    Some(time)
}

fn check_id(reader: &mut Reader<'_>, at: At, id: &PrincipalId, kind: PrincipalKind, environment: &Environment) {
    let domain = &environment.trust_domain;
    match (id, kind) {
        (PrincipalId::Human(_), PrincipalKind::Human) => {}
        (PrincipalId::Spiffe(id), kind) if kind != PrincipalKind::Human => {
            if !id.is_member_of(domain) {
                reader.problem(at, format!("`{id}` is not of this environment's trust domain `{domain}`"));
            } else if policy::is_part(id) {
                reader.problem(at, format!("`{id}`: paths under `{OWN}` are for Countersign's own parts"));
            } else if id.path().is_empty() {
                reader.problem(at, format!("`{id}` names the trust domain itself; a principal's id has a path"));
            }
        }
        (_, PrincipalKind::Human) => {
            reader.problem(at, format!("`{id}`: a Human has an id such as `human:<source>:<key>`"))
        }
        (_, kind) => reader.problem(at, format!("`{id}`: a principal of kind {kind} has a SPIFFE ID")),
    }
}

fn bindings(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: PrincipalKind,
    sources: &Sources<'_>,
) -> Option<Vec<(SourceName, Vec<String>)>> {
    let nodes = reader.list(node)?;
    nodes.iter().map(|node| binding(reader, node, kind, sources)).collect()
}

fn binding(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: PrincipalKind,
    sources: &Sources<'_>,
) -> Option<(SourceName, Vec<String>)> {
    let mut fields = reader.fields(node, "binding")?;
    let source_node = fields.required(reader, "source");
    let key_node = fields.required(reader, "key");
    fields.close(reader);
    let source = source_of(reader, source_node?, kind, sources)?;
    let key = reader.some(key_node?, |r, n| r.words(n))?;
    if key.len() != source.identity_key.len() {
        let paths = source.identity_key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message =
            format!("source `{}` has the key ({paths}): expected {} value(s)", source.name, source.identity_key.len());
        reader.problem(key_node?.at, message);
        return None;
    }
    Some((source.name.clone(), key))
}

fn sources_by_name<'a>(documents: &'a [Document], sources: &'a TrustSources) -> Sources<'a> {
    let declared = documents.iter().filter(|document| document.kind == "TrustSource");
    let mut by_name: Sources<'a> = declared.map(|document| (document.name.as_str(), Declared::Nothing)).collect();
    by_name.extend(sources.tokens.iter().map(|(source, _)| (source.name.as_str(), Declared::Tokens(source))));
    by_name.extend(sources.nodes.keys().map(|name| (name.as_str(), Declared::Nodes)));
    by_name
}

/// The source that a node names, if it can prove `kind`.
fn source_of<'s>(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: PrincipalKind,
    sources: &Sources<'s>,
) -> Option<&'s Source> {
    let name = reader.text(node)?;
    let Some(declared) = sources.get(name) else {
        let suggestion = nearest(name, sources.keys().copied());
        reader.suggest(node.at, format!("`{name}` is not a trust source here"), suggestion);
        return None;
    };
    let source = match *declared {
        Declared::Tokens(source) => source,
        Declared::Nodes => {
            reader.problem(
                node.at,
                format!("source `{name}` vouches for nodes: their agents have their ids from it alone"),
            );
            return None;
        }
        // what is wrong with it was said where it stands
        Declared::Nothing => return None,
    };
    if !source.proves.contains(&kind) {
        let proves = source.proves.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        reader.problem(node.at, format!("source `{name}` proves {proves}, not {kind}"));
        return None;
    }
    Some(source)
}

fn class(
    reader: &mut Reader<'_>,
    document: &Document,
    environment: &Environment,
    sources: &Sources<'_>,
    also: &[GroupName],
) -> Option<Class> {
    let mut fields = reader.fields(&document.spec, "PrincipalClass")?;
    let source_node = fields.required(reader, "source");
    let id_node = fields.required(reader, "id");
    let common = common(reader, &mut fields);
    fields.close(reader);
    let common = common?;
    let source = source_of(reader, source_node?, common.kind, sources)?;
    let text = reader.text(id_node?)?;
    let claims: Vec<String> = source.identity_key.iter().map(ToString::to_string).collect();
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    let template = match Template::new(text, &claims) {
        Ok(template) => template,
        Err(error) => {
            reader.problem(id_node?.at, net::causes::chain(&error));
            return None;
        }
    };
    let Some(sample) = template.sample() else {
        reader.problem(id_node?.at, format!("`{text}` makes no ids"));
        return None;
    };
    check_id(reader, id_node?.at, &sample, common.kind, environment);
    let own = format!("human:{}:", source.name);
    if common.kind == PrincipalKind::Human && !text.starts_with(&own) {
        let message = format!("`{text}`: humans of source `{}` have ids that start with `{own}`", source.name);
        reader.problem(id_node?.at, message);
    }
    Some(Class {
        name: document.name.clone(),
        source: source.name.clone(),
        kind: common.kind,
        template,
        owner: common.owner,
        purpose: common.purpose,
        tenant: common.tenant,
        risk: common.risk,
        groups: common.groups.into_iter().chain(also.iter().cloned()).collect(),
    })
}

fn common(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Common> {
    let kind = fields.required(reader, "kind").and_then(|node| kind(reader, node));
    let owner = fields.required(reader, "owner").and_then(|node| reader.parse(node));
    let purpose = fields.required(reader, "purpose").and_then(|node| reader.words(node));
    let tenant = fields.optional("tenant").map(|node| reader.words(node));
    let risk = fields.optional("risk").map_or(Some(Risk::Medium), |node| reader.parse(node));
    let groups = fields.optional("groups").map_or_else(|| Some(Vec::new()), |node| groups(reader, node));
    Some(Common {
        kind: kind?,
        owner: owner?,
        purpose: purpose?,
        tenant: tenant.flatten(),
        risk: risk?,
        groups: groups?,
    })
}

fn groups(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<GroupName>> {
    let mut groups = Vec::new();
    for node in reader.list(node)? {
        let name: GroupName = reader.parse(node)?;
        if let Some(whose) = shipped(&name) {
            reader.problem(node.at, format!("`{name}` is the group of this installation's {whose}"));
        }
        groups.push(name);
    }
    Some(groups)
}
