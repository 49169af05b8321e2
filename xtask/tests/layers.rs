//! The layers of the design, held against the graph that cargo resolves from the lockfile.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test says what it saw, and stops")]

use std::process::Command;

use xtask::{Graph, check_layers};

#[test]
fn the_dependency_graph_keeps_the_layers_licences_and_sources() {
    let graph = graph();
    let own = graph.own().count();
    println!("{} packages: {own} ours, {} from outside", graph.packages.len(), graph.packages.len() - own);
    let broken = check_layers(&graph);
    assert!(broken.is_empty(), "the graph breaks {} rules:\n- {}", broken.len(), broken.join("\n- "));
}

#[test]
fn the_graph_that_is_checked_is_the_whole_one() {
    let graph = graph();
    let of = |name: &str| graph.packages.values().any(|package| package.name == name);
    assert!(of("model") && of("guard") && of("countersign") && of("cedar-policy") && of("aws-lc-sys"));
    let lockfile = include_str!("../../Cargo.lock");
    assert_eq!(
        graph.packages.len(),
        lockfile.matches("[[package]]").count(),
        "every locked package is in the metadata"
    );
}

/// `--locked` refuses a stale lockfile. Packages of other platforms are part of the answer, and are fetched when missing.
fn graph() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, since it runs this test");
    if !output.status.success() {
        panic!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Graph::read(&output.stdout).expect("cargo prints what it documents")
}

#[test]
fn the_pure_crates_repeat_the_root_s_clippy_settings() {
    let root = include_str!("../../clippy.toml");
    let flow = include_str!("../../crates/flow/clippy.toml");
    let model = include_str!("../../crates/model/clippy.toml");
    assert_eq!(flow, model, "crates/flow/clippy.toml and crates/model/clippy.toml are one text in two places");
    for line in root.lines().filter(|line| !line.starts_with('#')) {
        assert!(flow.contains(line), "crates/flow/clippy.toml replaces the root's, and lacks its line `{line}`");
    }
}
