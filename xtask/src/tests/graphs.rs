//! The layers, on graphs made for the purpose: one that keeps them, and one change each that breaks them.

use serde_json::{Value, json};

use crate::{Graph, check_layers};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Our own packages, each with what it declares: enough of the real graph for every layer to be there.
fn kept() -> Vec<Value> {
    let mut packages = vec![
        own("model", &["chrono", "thiserror"]),
        own("credential", &["model", "serde_json"]),
        own("identity", &["model", "credential"]),
        own("policy", &["model", "identity", "cedar-policy"]),
        own("audit", &["model", "serde_json"]),
        own("guard", &["model", "policy", "audit", "tracing"]),
        own("store", &["audit", "tokio", "zstd"]),
        own("countersign", &["guard", "store", "tokio"]),
        own("testkit", &["audit"]),
        own("scenarios", &["testkit"]),
        own("bench", &["policy"]),
        own("xtask", &["serde_json"]),
        own("issuer", &["model"]),
        own("yaml", &["model"]),
        own("net", &["credential", "tokio"]),
        own("wire", &[]),
        own("agent", &["net", "wire", "yaml"]),
        own("conformance", &["model", "x509-parser"]),
    ];
    for name in
        ["chrono", "thiserror", "serde_json", "cedar-policy", "tracing", "tokio", "zstd", "smol_str", "x509-parser"]
    {
        packages.push(outside(name, &[]));
    }
    packages
}

fn own(name: &str, dependencies: &[&str]) -> Value {
    package(name, Value::Null, dependencies)
}

fn outside(name: &str, dependencies: &[&str]) -> Value {
    package(name, json!(REGISTRY), dependencies)
}

fn package(name: &str, source: Value, dependencies: &[&str]) -> Value {
    let dependencies: Vec<Value> = dependencies.iter().map(|name| dependency(name, Value::Null)).collect();
    json!({
        "id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source,
        "manifest_path": format!("/here/{name}/Cargo.toml"), "dependencies": dependencies, "features": {},
    })
}

fn dependency(name: &str, kind: Value) -> Value {
    json!({"name": name, "kind": kind, "features": [], "uses_default_features": false, "optional": false})
}

/// The metadata of `packages`, resolved so that a name is its own id.
fn metadata(packages: &[Value]) -> Value {
    let members: Vec<&Value> = packages.iter().filter(|it| it["source"].is_null()).map(|it| &it["id"]).collect();
    let nodes: Vec<Value> = packages
        .iter()
        .map(|package| {
            let declared = package["dependencies"].as_array().unwrap().iter();
            let deps: Vec<Value> = declared
                .map(|it| json!({"pkg": it["name"], "dep_kinds": [{"kind": it["kind"], "target": null}]}))
                .collect();
            let features: Vec<&String> = package["features"].as_object().unwrap().keys().collect();
            json!({"id": package["id"], "deps": deps, "features": features})
        })
        .collect();
    json!({"packages": packages, "workspace_members": members, "workspace_root": "/here", "resolve": {"nodes": nodes}})
}

fn broken(packages: &[Value]) -> Vec<String> {
    let graph = Graph::read(metadata(packages).to_string().as_bytes()).unwrap();
    check_layers(&graph)
}

/// The package `name` of a graph that keeps the layers, changed by `change`, breaks exactly one rule, in these `words`.
fn check_refused(name: &str, change: impl Fn(&mut Value), words: &str) {
    let mut packages = kept();
    change(packages.iter_mut().find(|package| package["name"] == name).unwrap());
    assert_eq!(broken(&packages), [words]);
}

fn depends(on: &str) -> impl Fn(&mut Value) {
    let added = dependency(on, Value::Null);
    move |package| package["dependencies"].as_array_mut().unwrap().push(added.clone())
}

#[test]
fn a_graph_that_keeps_the_layers_passes() {
    assert_eq!(broken(&kept()), Vec::<String>::new());
}

#[test]
fn edges_point_down() {
    check_refused(
        "identity",
        depends("guard"),
        "`identity` must not depend on `guard`: of ours it may name [model, credential]",
    );
    check_refused(
        "audit",
        depends("credential"),
        "`audit` must not depend on `credential`: of ours it may name [model]",
    );
    check_refused(
        "store",
        depends("guard"),
        "`store` must not depend on `guard`: of ours it may name [model, audit, issuer]",
    );
}

#[test]
fn a_dependency_of_the_build_script_counts_too() {
    let build = |package: &mut Value| {
        package["dependencies"].as_array_mut().unwrap().push(dependency("guard", json!("build")));
    };
    check_refused("audit", build, "`audit` must not depend on `guard`: of ours it may name [model]");
}

#[test]
fn test_crates_are_dependencies_of_tests_only() {
    check_refused(
        "countersign",
        depends("testkit"),
        "`countersign` ships and depends on `testkit`: only `[dev-dependencies]` may",
    );
    let mut packages = kept();
    packages[7]["dependencies"].as_array_mut().unwrap().push(dependency("testkit", json!("dev")));
    assert_eq!(broken(&packages), Vec::<String>::new());
}

#[test]
fn a_flow_crate_names_its_own_outside_crates_only() {
    check_refused(
        "model",
        depends("smol_str"),
        "`model` must not depend on `smol_str`: from outside it may name [chrono, thiserror]",
    );
    check_refused(
        "xtask",
        depends("tokio"),
        "`xtask` must not depend on `tokio`: from outside it may name [serde_json]",
    );
}

#[test]
fn some_outside_crates_have_one_owner() {
    // that the judge of others may read certificates, too, shows the graph that passes
    for (outside, owner) in
        [("cedar-policy", "policy"), ("zstd", "store"), ("sqlx", "store"), ("x509-parser", "credential")]
    {
        let words = format!("`countersign` depends on `{outside}`, which belongs to `{owner}` alone");
        check_refused("countersign", depends(outside), &words);
    }
}

#[test]
fn no_chain_of_dependencies_brings_a_socket_into_the_flow() {
    let mut packages = kept();
    let brings = packages.iter_mut().find(|package| package["name"] == "cedar-policy").unwrap();
    brings["dependencies"] = json!([dependency("tokio", Value::Null)]);
    assert_eq!(
        broken(&packages),
        [
            "`guard` is of the flow and must not reach `tokio`: guard → policy → cedar-policy → tokio",
            "`policy` is of the flow and must not reach `tokio`: policy → cedar-policy → tokio",
        ]
    );
    let brings = packages.iter_mut().find(|package| package["name"] == "cedar-policy").unwrap();
    brings["dependencies"] = json!([dependency("tokio", json!("dev"))]);
    assert_eq!(broken(&packages), Vec::<String>::new());
}

#[test]
fn no_chain_of_dependencies_brings_a_policy_or_a_database_to_every_node() {
    let mut packages = kept();
    let brings = packages.iter_mut().find(|package| package["name"] == "tokio").unwrap();
    brings["dependencies"] = json!([dependency("zstd", Value::Null)]);
    assert_eq!(broken(&packages), ["`agent` runs on every node and must not reach `zstd`: agent → net → tokio → zstd"]);
}

#[test]
fn chrono_is_asked_for_no_clock() {
    let features = |package: &mut Value| package["dependencies"][0]["features"] = json!(["std", "clock"]);
    check_refused("model", features, "`model` asks chrono for [clock]: only [alloc, std] are known to bring no clock");
    let default = |package: &mut Value| package["dependencies"][0]["uses_default_features"] = json!(true);
    check_refused("model", default, "`model` takes chrono's default features, and with them a clock");
}

#[test]
fn some_crates_are_nowhere() {
    let mut packages = kept();
    packages.push(outside("ring", &[]));
    assert_eq!(broken(&packages), ["`ring 1.0.0` must not be in the graph: cryptography comes from aws-lc-rs alone"]);
}

#[test]
fn what_a_weak_feature_only_mentions_is_not_there() {
    let mut packages = kept();
    packages.push(outside("ring", &[]));
    let optional =
        json!({"name": "ring", "kind": null, "features": [], "uses_default_features": false, "optional": true});
    let asks = |feature: &str| {
        let mut packages = packages.clone();
        let asking = packages.iter_mut().find(|package| package["name"] == "tokio").unwrap();
        asking["dependencies"] = json!([optional]);
        asking["features"] = json!({"enabled": [feature]});
        broken(&packages)
    };
    assert_eq!(asks("ring?/alloc"), Vec::<String>::new());
    for feature in ["dep:ring", "ring/alloc"] {
        assert_eq!(asks(feature), ["`ring 1.0.0` must not be in the graph: cryptography comes from aws-lc-rs alone"]);
    }
}

#[test]
fn every_licence_is_named_and_allowed() {
    let gpl = |package: &mut Value| package["license"] = json!("MIT AND GPL-3.0-only");
    check_refused(
        "zstd",
        gpl,
        "`zstd 1.0.0` is under `MIT AND GPL-3.0-only`, which the list of licences does not satisfy",
    );
    check_refused("zstd", |it| it["license"] = Value::Null, "`zstd 1.0.0` names no licence");
    check_refused(
        "zstd",
        |it| it["license"] = json!("MIT OR"),
        "`zstd 1.0.0`: licence expression `MIT OR` ends too early",
    );
}

#[test]
fn every_package_comes_from_the_registry_or_from_here() {
    let git = |package: &mut Value| package["source"] = json!("git+https://example.test/zstd");
    check_refused(
        "zstd",
        git,
        "`zstd 1.0.0` comes from `git+https://example.test/zstd`: only the crates.io registry may be used",
    );
    let elsewhere = |package: &mut Value| package["manifest_path"] = json!("/here-not/model/Cargo.toml");
    check_refused("model", elsewhere, "`model 1.0.0` comes from a path that is no package of this workspace");
}

#[test]
fn a_new_package_needs_a_layer_and_a_layer_its_package() {
    let mut packages = kept();
    packages.push(own("common", &[]));
    assert_eq!(broken(&packages), ["`common` stands in no layer: add it to the table, with its reason"]);
    packages = kept();
    packages.retain(|package| package["name"] != "scenarios");
    assert_eq!(broken(&packages), ["layer `scenarios` has no package: take it out of the table"]);
}

#[test]
fn metadata_that_lacks_something_is_not_read_as_empty() {
    let whole = metadata(&kept());
    for key in ["packages", "workspace_members", "workspace_root", "resolve"] {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(key);
        let bad = Graph::read(lacking.to_string().as_bytes()).unwrap_err();
        assert_eq!(bad.to_string(), format!("the metadata lacks `{key}`"));
    }
    assert_eq!(Graph::read(b"{").unwrap_err().to_string(), "the metadata is not JSON");
}
