//! Two environments in one estate: checked together, and served one at a time.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Dev, run};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/two-environments");

const SEVERAL: &str = "environments.yaml:9:18: the estate has several environments: `production`, `staging`
  help: choose one with --environment NAME, of an offline verb or of the server that is to serve it";

#[test]
fn offline_verbs_look_at_all_or_at_the_one_that_is_named() {
    let verb = |words: &str, code| {
        run(&[&words.split(' ').collect::<Vec<_>>()[..], &["-f", EXAMPLE]].concat(), b"").ended(code)
    };
    for words in ["check", "check --environment production", "catalog lint", "catalog lint --environment staging"] {
        verb(words, 0);
    }
    let decide = "decide --principal billing-ci --action write --resource billing/invoices";
    verb(&format!("{decide} --environment staging"), 0);
    verb(&format!("{decide} --environment production"), 2);
    for words in [decide, "catalog list", "resolve --token-file /dev/null"] {
        assert!(verb(words, 3).err.contains(SEVERAL), "{words}");
    }
    assert!(verb("catalog list --environment staging", 0).out.contains("billing-api  GET /invoices/{invoice}"));
    let none = verb("check --environment stagin", 3);
    assert!(
        none.out.contains("the estate has no environment `stagin`\n  help: it has `production`, `staging`"),
        "{none:?}"
    );
    // a server decides by the one that it was told at its start
    let asked = ["--principal", "a", "--action", "read", "--resource", "a"];
    run(&[&["decide", "--environment", "staging"], &asked[..]].concat(), b"").ended(64);
}

#[test]
fn dev_serves_the_environment_that_is_named() {
    let mut dev = Dev::idle(None, &["--environment", "staging"]);
    let estate = dev.path("d/estate");
    fs::create_dir_all(&estate).unwrap();
    for entry in fs::read_dir(Path::new(EXAMPLE)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), estate.join(entry.file_name())).unwrap();
    }
    let dir = dev.dir();
    let without = ["dev", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    assert!(run(&without, b"").ended(3).err.contains(SEVERAL));

    dev.again();
    let ids = |dev: &Dev| {
        let live = dev.cli(&["get", "principals", "--output", "json"]).ended(0).json();
        live["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<Value>>()
    };
    let staging =
        ["ci/billing", "agents/dunning", "billing/reporter"].map(|path| format!("spiffe://staging.acme.test/{path}"));
    assert_eq!(ids(&dev), staging);
    dev.cli(&["apply", "-f", estate.to_str().unwrap(), "--yes"]).ended(0);
    assert_eq!(dev.stop(), 0);

    let other = run(&[&without[..], &["--environment", "production"]].concat(), b"").ended(1);
    let told = "epoch 1 is of environment `staging`, and this server of `production`: each has a state of its own";
    assert!(other.err.contains(told), "{other:?}");
    assert!(run(&without, b"").ended(1).err.contains("choose one with --environment NAME"));
    dev.again();
    assert_eq!(ids(&dev), staging);
}
