//! `ResourceTree` and `Action`: what can be asked for.

use std::collections::BTreeMap;

use model::{ActionName, BaseAction, Owner, ResourceId, Tier};
use policy::{ROOTS, Resource, Tiers};
use yaml::{At, Node, Place, Problem, Reader, Value};

use super::document::Document;

const DEFAULT_SENSITIVITY: &str = "internal";

/// Resources with all that they inherit, and declared actions.
#[derive(Default)]
pub(super) struct Resources {
    pub resources: Vec<Resource>,
    /// Where each is declared.
    pub places: BTreeMap<ResourceId, Place>,
    pub actions: BTreeMap<ActionName, BaseAction>,
}

/// A resource as it is written, before it inherits.
struct Written {
    file: String,
    at: At,
    owner: Owner,
    tenant: Option<String>,
    sensitivity: Option<String>,
    tiers: BTreeMap<BaseAction, (Tier, At)>,
}

impl Resources {
    pub(super) fn has(&self, id: &ResourceId) -> bool {
        self.resources.iter().any(|resource| resource.id == *id)
    }
}

/// Reads every tree and action.
pub(super) fn read(documents: &[Document], problems: &mut Vec<Problem>) -> Resources {
    let mut written = BTreeMap::new();
    let mut resources = Resources::default();
    for document in documents {
        let mut reader = Reader { file: &document.file, problems };
        match document.kind.as_str() {
            "ResourceTree" => {
                tree(&mut reader, document, &mut written);
            }
            "Action" => resources.actions.extend(action(&mut reader, document)),
            _ => {}
        }
    }
    let mut found: BTreeMap<ResourceId, Resource> = BTreeMap::new();
    // in the order of ids: a parent comes before its children
    for (id, one) in written {
        let mut reader = Reader { file: &one.file, problems };
        resources.places.insert(id.clone(), Place { file: one.file.clone(), at: one.at });
        let parent = id.parent();
        let resource = match &parent {
            None => Some(root(&mut reader, &id, &one)),
            Some(parent) => match found.get(parent) {
                Some(above) => Some(child(&mut reader, &id, &one, above)),
                None => {
                    reader.problem(one.at, format!("`{id}`: `{parent}` above it is not declared"));
                    None
                }
            },
        };
        if let Some(resource) = resource {
            found.insert(id, resource);
        }
    }
    resources.resources = found.into_values().collect();
    resources
}

fn action(reader: &mut Reader<'_>, document: &Document) -> Option<(ActionName, BaseAction)> {
    let mut fields = reader.fields(&document.spec, "Action")?;
    let base = fields.required(reader, "in");
    fields.close(reader);
    let base = reader.parse(base?)?;
    match document.name.parse::<ActionName>() {
        Ok(name) if name.base().is_none() => Some((name, base)),
        Ok(name) => {
            reader.problem(document.name_at, format!("`{name}` is a base action"));
            None
        }
        Err(error) => {
            reader.problem(document.name_at, net::causes::chain(&error));
            None
        }
    }
}

fn tree(reader: &mut Reader<'_>, document: &Document, written: &mut BTreeMap<ResourceId, Written>) -> Option<()> {
    let mut fields = reader.fields(&document.spec, "ResourceTree")?;
    let owner = fields.required(reader, "owner").and_then(|node| reader.parse::<Owner>(node));
    let tenant = fields.optional("tenant").and_then(|node| reader.words(node));
    let resources = fields.required(reader, "resources");
    fields.close(reader);
    let (owner, resources) = (owner?, resources?);
    let Value::Map(entries) = &resources.value else {
        reader.problem(resources.at, "resources: expected a mapping");
        return None;
    };
    for entry in entries {
        let id: ResourceId = match entry.key.parse() {
            Ok(id) => id,
            Err(error) => {
                reader.refuse(entry.at, &error);
                continue;
            }
        };
        let top = entry.key.split('/').next().unwrap_or_default();
        if ROOTS.contains(&top) {
            reader.problem(entry.at, format!("`{top}` is a tree that is built in"));
            continue;
        }
        let one = resource(reader, entry.at, &entry.value, owner.clone(), tenant.clone());
        if let Some(one) = one
            && let Some(first) = written.insert(id.clone(), one)
        {
            reader.problem(entry.at, format!("`{id}` is declared at {}:{} already", first.file, first.at.line));
        }
    }
    Some(())
}

fn resource(reader: &mut Reader<'_>, at: At, node: &Node, owner: Owner, tenant: Option<String>) -> Option<Written> {
    let mut fields = reader.fields(node, "resource")?;
    let sensitivity = fields.optional("sensitivity").and_then(|node| reader.words(node));
    let own = fields.optional("owner").and_then(|node| reader.parse(node));
    let tiers_node = fields.optional("tiers");
    fields.close(reader);
    let mut tiers = BTreeMap::new();
    if let Some(node) = tiers_node {
        let mut fields = reader.fields(node, "tiers")?;
        for action in BaseAction::ALL {
            if let Some(node) = fields.optional(action.as_str())
                && let Some(tier) = reader.parse(node)
            {
                tiers.insert(*action, (tier, node.at));
            }
        }
        fields.close(reader);
    }
    Some(Written { file: reader.file.to_owned(), at, owner: own.unwrap_or(owner), tenant, sensitivity, tiers })
}

fn root(reader: &mut Reader<'_>, id: &ResourceId, one: &Written) -> Resource {
    let missing: Vec<&str> =
        BaseAction::ALL.iter().filter(|action| !one.tiers.contains_key(action)).map(|action| action.as_str()).collect();
    if !missing.is_empty() {
        reader.problem(
            one.at,
            format!("`{id}` is a root and names a tier for every action; {} missing", missing.join(", ")),
        );
    }
    made(id, one, DEFAULT_SENSITIVITY, |_| Tier::Routine)
}

/// A child inherits, and may only be stricter.
fn child(reader: &mut Reader<'_>, id: &ResourceId, one: &Written, above: &Resource) -> Resource {
    for (action, (tier, at)) in &one.tiers {
        let floor = above.tiers.of(*action);
        if *tier < floor {
            let message =
                format!("`{id}`: `{action}` is {floor} above it, and the strictest wins; {tier} would not hold");
            reader.problem(*at, message);
        }
    }
    made(id, one, &above.sensitivity, |action| above.tiers.of(action))
}

fn made(id: &ResourceId, one: &Written, sensitivity: &str, floor: impl Fn(BaseAction) -> Tier) -> Resource {
    let tier = |action| one.tiers.get(&action).map_or(Tier::Routine, |(tier, _)| *tier).max(floor(action));
    Resource {
        id: id.clone(),
        owner: one.owner.clone(),
        tenant: one.tenant.clone(),
        sensitivity: one.sensitivity.clone().unwrap_or_else(|| sensitivity.to_owned()),
        tiers: Tiers {
            read: tier(BaseAction::Read),
            write: tier(BaseAction::Write),
            administer: tier(BaseAction::Administer),
            effect: tier(BaseAction::Effect),
        },
    }
}
