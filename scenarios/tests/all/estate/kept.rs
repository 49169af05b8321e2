//! What is kept of the estate, and read again beside a server, from a copy, or not at all.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dev, Estate, Mint, dunning_claims, run, until};

/// A judgement, explained from a ledger on disk.
fn explained(ledger: &Path, id: &str) -> Value {
    run(&["explain", id, "--ledger", ledger.to_str().unwrap(), "--output", "json"], b"").ended(0).json()
}

fn replayed(ledger: &Path) -> Value {
    run(&["replay", "--since", "1h", "--ledger", ledger.to_str().unwrap(), "--output", "json"], b"").ended(0).json()
}

fn copied(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn a_record_is_explained_and_replayed_beside_a_server_from_a_copy_and_after_its_end() {
    let mut dev = Dev::serving(&Estate::ours());
    let token = Mint::shared().dunning(&dunning_claims());
    let id = dev.get("/invoices/1", &token).record().to_owned();
    dev.apply(&Estate::ours().policy("more", "forbid (principal is Partner, action, resource);"));
    until("the outcome is in", || (dev.record(&id)["outcome"] != Value::Null).then_some(()));
    let of_the_server = dev.record(&id);
    assert_eq!(of_the_server["applied"]["binding"]["epoch"], 1);

    assert_eq!(explained(dev.ledger(), &id), of_the_server);
    let copy = dev.path("copy");
    copied(&dev.dir(), &copy);
    assert_eq!(explained(&copy.join("ledger"), &id), of_the_server);
    assert_eq!(replayed(&copy.join("ledger"))["differ"], json!([]));
    assert_eq!(dev.stop(), 0);
    let names = |dir: &Path| fs::read_dir(dir.join("state")).unwrap().count();
    assert_eq!(names(&dev.dir()), 1, "what was kept is one file, once the server has ended");
    assert_eq!(explained(dev.ledger(), &id), of_the_server);
    assert_eq!(replayed(dev.ledger())["differ"], json!([]));
    assert_eq!(names(&dev.dir()), 1, "and reading it leaves nothing beside it");

    // the ledger alone tells what it can
    let alone = dev.path("alone");
    copied(dev.ledger(), &alone);
    let explained = explained(&alone, &id);
    assert_eq!((&explained["id"], &explained["applied"]["binding"]), (&json!(id), &Value::Null));
}

#[test]
fn a_damaged_state_is_named_and_neither_served_nor_overwritten() {
    let mut dev = Dev::start();
    let token = dev.token("ci-main");
    let id = dev.get("/invoices/1", &token).is(200).record().to_owned();
    assert_eq!(dev.stop(), 0);
    let path = dev.dir().join("state/state.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[..100].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let (dir, ledger) = (dev.dir(), dev.ledger());
    let words = format!("the state in `{}` is damaged; it is left as it is, put a backup in its place", path.display());
    for args in [
        &["dev", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"][..],
        &["explain", &id, "--ledger", ledger.to_str().unwrap()],
    ] {
        let ran = run(args, b"").ended(1);
        assert!(ran.err.contains(&words), "{ran:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_directory_of_an_older_dev_is_named_with_the_way_out() {
    let mut dev = Dev::start();
    assert_eq!(dev.stop(), 0);
    fs::create_dir(dev.dir().join("state/epochs")).unwrap();
    let dir = dev.dir();
    let ran = run(&["dev", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"], b"").ended(1);
    assert!(ran.err.contains("was made by an older `countersign dev`"), "{ran:?}");
    assert!(ran.err.contains("--fresh"), "{ran:?}");
}
