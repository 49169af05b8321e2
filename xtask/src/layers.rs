//! The layers as tables: who may depend on whom, which outside crate belongs where, and what must be absent.
//!
//! Every package of the workspace stands in the table, so a new crate does not slip in without a layer.

use crate::graph::{Dependency, Graph, Kind, Package};
use crate::licence::is_allowed;

/// What one of our packages may depend on, dependencies of tests aside.
struct Layer {
    name: &'static str,
    ours: &'static [&'static str],
    /// Outside crates; nothing where the layer may choose its own among those that no other layer owns.
    outside: Option<&'static [&'static str]>,
}

const LAYERS: &[Layer] = &[
    Layer { name: "model", ours: &[], outside: Some(&["chrono", "thiserror"]) },
    Layer {
        name: "credential",
        ours: &["model"],
        outside: Some(&[
            "aws-lc-rs",
            "base64",
            "rustls-pki-types",
            "rustls-webpki",
            "serde",
            "serde_json",
            "thiserror",
            "x509-parser",
        ]),
    },
    Layer { name: "identity", ours: &["model", "credential"], outside: Some(&["thiserror"]) },
    Layer {
        name: "policy",
        ours: &["model", "credential", "identity"],
        outside: Some(&["cedar-policy", "strsim", "thiserror"]),
    },
    Layer {
        name: "audit",
        ours: &["model"],
        outside: Some(&["aws-lc-rs", "base64", "crc32c", "serde", "serde_json", "thiserror"]),
    },
    Layer {
        name: "guard",
        ours: &["model", "credential", "identity", "policy", "audit"],
        outside: Some(&["thiserror", "tracing"]),
    },
    Layer {
        name: "issuer",
        ours: &["model", "policy", "guard"],
        outside: Some(&["aws-lc-rs", "base64", "rcgen", "serde", "serde_json", "thiserror", "time"]),
    },
    Layer { name: "store", ours: &["model", "audit", "issuer"], outside: None },
    Layer { name: "yaml", ours: &["model"], outside: Some(&["http", "saphyr-parser", "serde", "strsim", "thiserror"]) },
    Layer { name: "net", ours: &["model", "credential", "issuer"], outside: None },
    Layer {
        name: "wire",
        ours: &[],
        outside: Some(&["http", "hyper", "prost", "prost-types", "tonic", "tonic-prost"]),
    },
    // lean: no policies, no ledger, no database
    Layer { name: "agent", ours: &["model", "credential", "issuer", "yaml", "net", "wire"], outside: None },
    // looks at servers from outside, ours and others: it shares nothing with what it judges but words and the way out
    Layer { name: "conformance", ours: &["model", "net", "wire"], outside: None },
    Layer {
        name: "countersign",
        ours: &[
            "model",
            "credential",
            "identity",
            "policy",
            "audit",
            "guard",
            "issuer",
            "store",
            "yaml",
            "net",
            "wire",
            "agent",
            "conformance",
        ],
        outside: None,
    },
    Layer {
        name: "testkit",
        ours: &["model", "credential", "identity", "policy", "audit", "guard", "store", "wire", "countersign"],
        outside: None,
    },
    Layer { name: "scenarios", ours: &["model", "conformance", "testkit"], outside: None },
    // measures the engine beside Cedar alone, the ledger, and the built binary from outside
    Layer {
        name: "bench",
        ours: &[
            "model",
            "identity",
            "policy",
            "audit",
            "issuer",
            "store",
            "credential",
            "net",
            "wire",
            "agent",
            "testkit",
        ],
        outside: None,
    },
    Layer { name: "xtask", ours: &[], outside: Some(&["serde_json"]) },
];

/// Ours, but never part of what ships: nobody may depend on these outside tests.
const NOT_SHIPPED: &[&str] = &["testkit", "scenarios", "bench", "xtask"];

/// Layers that decide: pure, whatever their dependencies bring along.
const FLOW: &[&str] = &["model", "credential", "identity", "policy", "audit", "guard"];

/// What no chain of dependencies may bring into the flow.
const OUTSIDE_THE_FLOW: &[&str] =
    &["axum", "h2", "hyper", "mio", "reqwest", "rustls", "rustix", "socket2", "tempfile", "tokio", "tonic"];

/// The node agent, and what no chain of dependencies may bring into it: policies, ledger, database.
const AGENT: &str = "agent";
const OUTSIDE_THE_AGENT: &[&str] =
    &["audit", "cedar-policy", "guard", "libsqlite3-sys", "policy", "sqlx", "store", "zstd"];

/// Who may read certificates beside `credential`: who judges what others make of the rules must not share a reader with it.
const JUDGE: &str = "conformance";

/// Outside crates that exactly one of our packages may name, the judge aside.
const OWNED: &[(&str, &str)] = &[
    ("cedar-policy", "policy"),
    ("rustls-webpki", "credential"),
    ("x509-parser", "credential"),
    ("zstd", "store"),
    ("sqlx", "store"),
    ("saphyr-parser", "yaml"),
];

/// What no build may compile, and why.
const NOWHERE: &[(&str, &str)] = &[
    ("ring", "cryptography comes from aws-lc-rs alone"),
    ("openssl", "cryptography comes from aws-lc-rs alone"),
    ("openssl-sys", "cryptography comes from aws-lc-rs alone"),
    ("native-tls", "cryptography comes from aws-lc-rs alone"),
    ("rsa", "cryptography comes from aws-lc-rs alone"),
    ("jsonwebtoken", "credential reads JOSE itself, strictly"),
    ("josekit", "credential reads JOSE itself, strictly"),
    ("biscuit", "credential reads JOSE itself, strictly"),
    ("serde_yaml", "unmaintained; the estate is read with saphyr-parser"),
    ("pingora", "its rustls support is experimental"),
];

/// The one registry; the same words stand in the lockfile.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The features of chrono that we declare; `clock` and `now` would let the flow read the time.
const CHRONO_FEATURES: &[&str] = &["alloc", "std"];

/// Every way in which `graph` breaks the layers, in plain sentences.
pub fn check_layers(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for package in graph.own() {
        match LAYERS.iter().find(|layer| layer.name == package.name) {
            Some(layer) => check_member(graph, package, layer, &mut broken),
            None => broken.push(format!("`{}` stands in no layer: add it to the table, with its reason", package.name)),
        }
    }
    for layer in LAYERS.iter().filter(|layer| !graph.own().any(|package| package.name == layer.name)) {
        broken.push(format!("layer `{}` has no package: take it out of the table", layer.name));
    }
    for package in graph.packages.values() {
        check_package(graph, package, &mut broken);
    }
    broken
}

fn check_member(graph: &Graph, package: &Package, layer: &Layer, broken: &mut Vec<String>) {
    let name = &package.name;
    for dependency in &package.declared {
        let ours = graph.own().any(|own| own.name == dependency.name);
        if dependency.kind != Kind::Dev {
            broken.extend(refused_edge(package, layer, dependency, ours));
        }
        broken.extend(refused_owner(name, dependency));
        if dependency.name == "chrono" {
            broken.extend(refused_chrono(name, dependency));
        }
    }
    let (is, outside) = match layer.name {
        AGENT => ("runs on every node", OUTSIDE_THE_AGENT),
        name if FLOW.contains(&name) => ("is of the flow", OUTSIDE_THE_FLOW),
        _ => return,
    };
    for outside in outside {
        if let Some(chain) = graph.chain(&package.id, outside) {
            broken.push(format!("`{name}` {is} and must not reach `{outside}`: {}", chain.join(" → ")));
        }
    }
}

fn refused_edge(package: &Package, layer: &Layer, dependency: &Dependency, ours: bool) -> Option<String> {
    let (name, other) = (&package.name, dependency.name.as_str());
    if ours && NOT_SHIPPED.contains(&other) && !NOT_SHIPPED.contains(&name.as_str()) {
        return Some(format!("`{name}` ships and depends on `{other}`: only `[dev-dependencies]` may"));
    }
    if ours && !layer.ours.contains(&other) {
        return Some(format!("`{name}` must not depend on `{other}`: of ours it may name [{}]", layer.ours.join(", ")));
    }
    let outside = layer.outside.filter(|outside| !ours && !outside.contains(&other))?;
    Some(format!("`{name}` must not depend on `{other}`: from outside it may name [{}]", outside.join(", ")))
}

fn refused_owner(name: &str, dependency: &Dependency) -> Option<String> {
    let (outside, owner) = OWNED.iter().find(|(outside, _)| *outside == dependency.name)?;
    let judges = name == JUDGE && *owner == "credential";
    // what does not ship may look at anything
    (*owner != name && !judges && !NOT_SHIPPED.contains(&name))
        .then(|| format!("`{name}` depends on `{outside}`, which belongs to `{owner}` alone"))
}

/// Features unify over the whole graph, so what matters is that none of us asks for a clock.
fn refused_chrono(name: &str, dependency: &Dependency) -> Option<String> {
    let extra: Vec<&str> =
        dependency.features.iter().map(String::as_str).filter(|feature| !CHRONO_FEATURES.contains(feature)).collect();
    if dependency.default_features {
        return Some(format!("`{name}` takes chrono's default features, and with them a clock"));
    }
    (!extra.is_empty()).then(|| {
        format!(
            "`{name}` asks chrono for [{}]: only [{}] are known to bring no clock",
            extra.join(", "),
            CHRONO_FEATURES.join(", ")
        )
    })
}

fn check_package(graph: &Graph, package: &Package, broken: &mut Vec<String>) {
    let name = format!("{} {}", package.name, package.version);
    let built = !graph.idle.contains(&package.id);
    if let Some((_, why)) = NOWHERE.iter().find(|(nowhere, _)| built && *nowhere == package.name) {
        broken.push(format!("`{name}` must not be in the graph: {why}"));
    }
    match package.licence.as_deref().map(is_allowed) {
        Some(Ok(true)) => {}
        Some(Ok(false)) => {
            let licence = package.licence.as_deref().unwrap_or_default();
            broken.push(format!("`{name}` is under `{licence}`, which the list of licences does not satisfy"));
        }
        Some(Err(bad)) => broken.push(format!("`{name}`: {bad}")),
        None => broken.push(format!("`{name}` names no licence")),
    }
    match package.source.as_deref() {
        Some(REGISTRY) => {}
        Some(source) => broken.push(format!("`{name}` comes from `{source}`: only the crates.io registry may be used")),
        None if graph.members.contains(&package.id) && inside(&graph.root, &package.manifest) => {}
        None => broken.push(format!("`{name}` comes from a path that is no package of this workspace")),
    }
}

fn inside(root: &str, manifest: &str) -> bool {
    manifest.strip_prefix(root).is_some_and(|rest| rest.starts_with(['/', '\\']))
}
