//! What was decided is decided again from the record, by the snapshot that it names: whatever was applied since.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Dev, Estate, Mint, Upstream, alice_claims, ci_claims, dunning_claims};

/// How many calls are replayed.
const CALLS: usize = 500;

#[test]
fn five_hundred_judgements_agree_after_the_policies_changed() {
    let upstream = Upstream::start();
    let estate = Estate::ours().upstream(&upstream.url);
    let mut dev = Dev::serving(&estate);
    let mint = Mint::shared();
    let mut fork = ci_claims();
    fork["ref_protected"] = json!("false");
    let tokens = [
        Some(mint.ci(&ci_claims())),
        Some(mint.ci(&fork)),
        Some(mint.dunning(&dunning_claims())),
        Some(mint.alice(&alice_claims())),
        Some("not-a-token".to_owned()),
        None,
    ];
    let calls = [
        ("GET", "/invoices/1"),
        ("GET", "/export"),
        ("POST", "/invoices"),
        ("GET", "/nope"),
        ("GET", "/healthz"),
        ("GET", "/invoices/../1"),
    ];
    let mut seen = BTreeSet::new();
    for round in 0..CALLS {
        let (method, target) = calls[round % calls.len()];
        let token = tokens[round / calls.len() % tokens.len()].as_deref();
        seen.insert(dev.call(method, target, token).status);
    }
    assert_eq!(seen, BTreeSet::from([200, 400, 401, 403]));

    let replayed = |dev: &Dev| dev.cli(&["replay", "--since", "1h", "--output", "json"]).ended(0).json();
    let checked = |dev: &Dev| {
        let replayed = replayed(dev);
        assert_eq!(replayed["checked"], replayed["agreed"], "{replayed}");
        assert_eq!(replayed["differ"], json!([]), "{replayed}");
        usize::try_from(replayed["checked"].as_u64().unwrap()).unwrap()
    };
    let first = checked(&dev);
    assert!(first >= CALLS, "{first}");

    // nobody may any more what most of them could, and one more source is bound
    let narrowed = estate
        .clone()
        .policy("nobody", "forbid (principal, action, resource);")
        .replacing("[\"9001\", \"4711\"]", "[\"9001\", \"4712\"]");
    dev.apply(&narrowed);
    assert_eq!(dev.call("GET", "/invoices/1", tokens[2].as_deref()).is(403).code(), "forbidden");
    assert_eq!(dev.call("GET", "/invoices/1", tokens[0].as_deref()).is(401).code(), "unauthenticated");
    assert!(checked(&dev) >= first + 2);
    assert_eq!(dev.stop(), 0);
    dev.again();
    assert!(checked(&dev) >= first + 2, "a restart forgets no snapshot");

    let one = dev.judgements().into_values().find(|record| record["door"] == "gateway").expect("a judgement");
    let by_id = dev.cli(&["replay", one["id"].as_str().unwrap(), "--output", "json"]).ended(0).json();
    assert_eq!((&by_id["checked"], &by_id["agreed"]), (&json!(1), &json!(1)));
}
