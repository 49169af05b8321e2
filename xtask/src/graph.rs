//! The dependency graph as `cargo metadata --format-version 1` tells it, cut down to what the rules ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Normal,
    Dev,
    Build,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub kind: Kind,
    pub features: Vec<String>,
    pub default_features: bool,
}

/// One package of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub licence: Option<String>,
    /// Where it comes from; nothing for a path.
    pub source: Option<String>,
    pub manifest: String,
    pub declared: Vec<Dependency>,
}

/// Every package, and what each needs to be built (dependencies of tests aside).
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub root: String,
    pub packages: BTreeMap<String, Package>,
    /// Ids of the workspace's own packages.
    pub members: BTreeSet<String>,
    /// From a package's id to the ids that it links: normal dependencies only.
    pub links: BTreeMap<String, BTreeSet<String>>,
    /// Ids that the lockfile names and no build compiles: every link to them is an optional dependency that no feature turns
    /// on. Cargo locks what a weak feature (`ring?/alloc`) mentions, used or not.
    pub idle: BTreeSet<String>,
}

/// Metadata that is not as cargo documents it.
#[derive(Debug)]
pub enum BadMetadata {
    Json(serde_json::Error),
    Lacks { what: &'static str },
}

impl fmt::Display for BadMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(_) => write!(f, "the metadata is not JSON"),
            Self::Lacks { what } => write!(f, "the metadata lacks `{what}`"),
        }
    }
}

impl std::error::Error for BadMetadata {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(cause) => Some(cause),
            Self::Lacks { .. } => None,
        }
    }
}

impl Graph {
    /// Reads what cargo printed.
    ///
    /// # Errors
    /// Where anything that the rules ask is missing: an absent list must not read as an empty one.
    pub fn read(metadata: &[u8]) -> Result<Self, BadMetadata> {
        let value: Value = serde_json::from_slice(metadata).map_err(BadMetadata::Json)?;
        let mut graph = Self { root: text(&value, "workspace_root")?, ..Self::default() };
        for member in list(&value, "workspace_members")? {
            graph.members.insert(member.as_str().ok_or(BadMetadata::Lacks { what: "workspace_members" })?.to_owned());
        }
        let mut manifests = BTreeMap::new();
        for manifest in list(&value, "packages")? {
            let package = read_package(manifest)?;
            manifests.insert(package.id.clone(), manifest);
            graph.packages.insert(package.id.clone(), package);
        }
        let resolve = value.get("resolve").ok_or(BadMetadata::Lacks { what: "resolve" })?;
        let mut built = BTreeSet::new();
        for node in list(resolve, "nodes")? {
            let id = text(node, "id")?;
            let manifest = manifests.get(&id).ok_or(BadMetadata::Lacks { what: "packages" })?;
            let turned_on = turned_on(manifest, node)?;
            for linked in list(node, "deps")? {
                let linked = text(linked, "pkg")?;
                let on = graph.packages.get(&linked).is_some_and(|package| turned_on.contains(&package.name));
                if on {
                    built.insert(linked)
                } else {
                    graph.idle.insert(linked)
                };
            }
            graph.links.insert(id, read_links(node)?);
        }
        graph.idle.retain(|id| !built.contains(id));
        Ok(graph)
    }

    /// The workspace's own packages.
    pub fn own(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| self.members.contains(&package.id))
    }

    /// The shortest chain of links from `start` to a package called `name`.
    pub(crate) fn chain(&self, start: &str, name: &str) -> Option<Vec<&str>> {
        let mut seen = BTreeSet::from([start]);
        let mut chains = vec![vec![start]];
        while !chains.is_empty() {
            let mut longer = Vec::new();
            for chain in &chains {
                let Some(last) = chain.last() else { continue };
                if self.packages.get(*last).is_some_and(|package| package.name == name) {
                    return Some(
                        chain.iter().filter_map(|id| self.packages.get(*id)).map(|it| it.name.as_str()).collect(),
                    );
                }
                let next = self.links.get(*last).into_iter().flatten();
                for id in next.filter(|id| seen.insert(id.as_str())) {
                    longer.push(chain.iter().copied().chain([id.as_str()]).collect());
                }
            }
            chains = longer;
        }
        None
    }
}

fn read_package(value: &Value) -> Result<Package, BadMetadata> {
    let declared = list(value, "dependencies")?.iter().map(read_dependency).collect::<Result<_, _>>()?;
    Ok(Package {
        id: text(value, "id")?,
        name: text(value, "name")?,
        version: text(value, "version")?,
        licence: value.get("license").and_then(Value::as_str).map(str::to_owned),
        source: value.get("source").and_then(Value::as_str).map(str::to_owned),
        manifest: text(value, "manifest_path")?,
        declared,
    })
}

fn read_dependency(value: &Value) -> Result<Dependency, BadMetadata> {
    let features = list(value, "features")?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let default_features = value.get("uses_default_features").and_then(Value::as_bool);
    Ok(Dependency {
        name: text(value, "name")?,
        kind: read_kind(value)?,
        features,
        default_features: default_features.ok_or(BadMetadata::Lacks { what: "uses_default_features" })?,
    })
}

fn read_links(node: &Value) -> Result<BTreeSet<String>, BadMetadata> {
    let mut links = BTreeSet::new();
    for dependency in list(node, "deps")? {
        for kind in list(dependency, "dep_kinds")? {
            if read_kind(kind)? == Kind::Normal {
                links.insert(text(dependency, "pkg")?);
            }
        }
    }
    Ok(links)
}

/// The dependencies of a package that its enabled features turn on, and those that are not optional.
fn turned_on(manifest: &Value, node: &Value) -> Result<BTreeSet<String>, BadMetadata> {
    let table = manifest.get("features").and_then(Value::as_object).ok_or(BadMetadata::Lacks { what: "features" })?;
    let enabled = list(node, "features")?.iter().filter_map(|feature| table.get(feature.as_str()?)?.as_array());
    let items: Vec<&str> = enabled.flatten().filter_map(Value::as_str).collect();
    let mut on = BTreeSet::new();
    for dependency in list(manifest, "dependencies")? {
        let name = text(dependency, "name")?;
        let called = dependency.get("rename").and_then(Value::as_str).unwrap_or(&name);
        let optional =
            dependency.get("optional").and_then(Value::as_bool).ok_or(BadMetadata::Lacks { what: "optional" })?;
        // `dep:name` and `name/feature` turn it on; `name?/feature` does not
        let names_it = |item: &&str| item.strip_prefix("dep:").or(item.split('/').next()) == Some(called);
        if !optional || items.iter().any(names_it) {
            on.insert(name);
        }
    }
    Ok(on)
}

fn read_kind(value: &Value) -> Result<Kind, BadMetadata> {
    match value.get("kind") {
        Some(Value::Null) => Ok(Kind::Normal),
        Some(Value::String(kind)) if kind == "dev" => Ok(Kind::Dev),
        Some(Value::String(kind)) if kind == "build" => Ok(Kind::Build),
        Some(_) | None => Err(BadMetadata::Lacks { what: "kind" }),
    }
}

fn list<'a>(value: &'a Value, what: &'static str) -> Result<&'a Vec<Value>, BadMetadata> {
    value.get(what).and_then(Value::as_array).ok_or(BadMetadata::Lacks { what })
}

fn text(value: &Value, what: &'static str) -> Result<String, BadMetadata> {
    value.get(what).and_then(Value::as_str).map(str::to_owned).ok_or(BadMetadata::Lacks { what })
}
