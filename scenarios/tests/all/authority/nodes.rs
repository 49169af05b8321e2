//! Two nodes on one database, with authorities that live for half a minute.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use testkit::postgres::Postgres;

use super::{estate, live, text};
use crate::harness::{Installation, Upstream, call, until, until_within};

fn bundle(installation: &Installation) -> Value {
    let admin = installation.word("server", "/admin");
    serde_json::from_str(&call(admin.trim_start_matches("http://"), "GET", "/bundle", None, &[]).is(200).text())
        .unwrap()
}

#[test]
fn nodes_rotate_as_one_while_calls_go_on() {
    let Some(postgres) = Postgres::alone() else { return };
    postgres.make_database("authorities");
    let upstream = Upstream::start();
    let mut first = Installation::laid_out("production", "prod.acme.test");
    let url = first.path("state.url");
    fs::write(&url, postgres.url("authorities")).unwrap();
    live(&first, "30s", "5s");
    first.edit("server.yaml", &[("state: state/state.db", &format!("stateUrlFile: {}", url.display()))]);
    let mut second = Installation::twin(&first);
    first.start("server");
    second.start("server");
    first.apply(&estate(&upstream), &[]).ended(0);
    until("the other node has it", || (second.position("server") == (1, 1)).then_some(()));
    first.also_at(&second.word("server", "/planes"));
    first.enrol("edge-1");

    let signer = |installation: &Installation| {
        let shown = installation.cli(&["authority", "show", "--output", "json"]).ended(0).json();
        let active = |item: &&Value| item["standing"] == "active" && item["kind"] == "x509";
        text(&shown["items"].as_array().unwrap().iter().find(active).expect("one signs")["id"])
    };
    let (mut signed, mut sequences) = (BTreeSet::new(), Vec::new());
    let three = until_within(Duration::from_secs(120), || {
        signed.insert(signer(&first));
        sequences.push(bundle(&first)["spiffe_sequence"].as_u64().unwrap());
        assert_eq!(first.call("edge-1", "GET", "/invoices/1", Some(&crate::planes::ci())).status, 200);
        (signed.len() >= 4).then_some(())
    });
    assert!(three.is_some(), "{signed:?}\n{}", first.log("server"));
    assert!(sequences.is_sorted() && sequences.first() < sequences.last(), "{sequences:?}");
    // the same at both, also for who asks while one of them changes it
    until("both publish the same", || (bundle(&first) == bundle(&second)).then_some(()));
    assert!(bundle(&first)["keys"].as_array().unwrap().len() <= 12, "{}", bundle(&first));

    // each step was taken by one node, and is in the ledger of that one
    let taken = |installation: &Installation| {
        let records = installation.records("server");
        let due = |record: &&Value| record["kind"] == "judgement" && record["operation"] == "authority activate";
        records.iter().filter(due).filter(|record| record["verdicts"][0]["decision"] == "allow").count()
    };
    assert!(taken(&first) + taken(&second) >= 5, "{} and {}", taken(&first), taken(&second));

    // without the one, the other goes on alone; and a gateway that hears it lives on
    first.kill9("server");
    let before = signer(&second);
    let next = until_within(Duration::from_secs(60), || (signer(&second) != before).then_some(()));
    assert!(next.is_some(), "{}", second.log("server"));
    until("the gateway hears of it", || {
        (first.call("edge-1", "GET", "/invoices/1", Some(&crate::planes::ci())).status == 200).then_some(())
    });
}

#[test]
fn a_node_without_the_sealing_key_does_not_start() {
    let Some(postgres) = Postgres::alone() else { return };
    postgres.make_database("unsealed");
    let mut first = Installation::laid_out("production", "prod.acme.test");
    let url = first.path("state.url");
    fs::write(&url, postgres.url("unsealed")).unwrap();
    first.edit("server.yaml", &[("state: state/state.db", &format!("stateUrlFile: {}", url.display()))]);
    let second = Installation::twin(&first);
    first.start("server");
    let seal = second.dir().join("keys/seal.key");
    let refused = |installation: &Installation| {
        let settings = installation.dir().join("server.yaml");
        crate::harness::run(&["server", "--config", settings.to_str().unwrap()], b"").ended(1).err
    };
    fs::remove_file(&seal).unwrap();
    let words = format!(
        "the authorities of trust domain `prod.acme.test` are sealed, and there is no `{}`: copy it from a node that runs, or \
         from a backup",
        seal.canonicalize().unwrap_or_else(|_| second.dir().canonicalize().unwrap().join("keys/seal.key")).display()
    );
    let said = refused(&second);
    assert!(said.contains(&words), "{said}");
    assert!(!seal.exists(), "none is made in its place");
}
