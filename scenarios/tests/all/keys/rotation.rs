//! Keys that are exchanged while they are used (A6).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{code, estate, key, token};
use crate::harness::{Conn, Dev, Issuer, Says, Upstream, request, until};

const CALLERS: usize = 3;
/// Answers between two rotations.
const ENOUGH: usize = 60;

/// The next ahead-of-time question is minutes away: what finds the new keys is the tokens that name them.
#[test]
fn a_rotation_under_load_fails_no_request() {
    let issuer = Issuer::start(Says::Keys(vec![key("rot-0")]));
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&issuer, "").upstream(&upstream.url));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let current = Arc::new(Mutex::new(token("far", "rot-0")));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (stop, answered, current) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&current));
            let gateway = dev.gateway().to_owned();
            thread::spawn(move || {
                let mut conn = Conn::open(&gateway);
                let mut refused = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    let token = current.lock().expect("no holder panics").clone();
                    assert!(conn.send(&request("GET", "/invoices/1", Some(&token), &[])), "the gateway hung up");
                    let answer = conn.answer();
                    if answer.status != 200 {
                        refused.push(answer.record().to_owned());
                    }
                    answered.fetch_add(1, Ordering::AcqRel);
                }
                refused
            })
        })
        .collect();
    let load = |what: &str| {
        let before = answered.load(Ordering::Acquire);
        until(what, || (answered.load(Ordering::Acquire) >= before + ENOUGH).then_some(()));
    };
    load("the first key");
    for rotation in 1..=3 {
        let (old, new) = (format!("rot-{}", rotation - 1), format!("rot-{rotation}"));
        let next = token_of(&new);
        issuer.says(Says::Keys(vec![key(&old), key(&new)]));
        *current.lock().expect("no holder panics") = next;
        load(&new);
        issuer.says(Says::Keys(vec![key(&new)]));
    }
    stop.store(true, Ordering::Release);
    let refused: Vec<String> = callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect();
    let shown = refused.first().map(|id| dev.record(id)["verdicts"].to_string());
    assert!(refused.is_empty(), "{} refused, the first: {shown:?}", refused.len());
    assert_eq!(issuer.asked(), 4, "once at the start, and once for each rotation");
    // each set is another input of the decision: the records say by which they were made
    let keys = |record: &serde_json::Value| record["inputs"]["keys"].as_str().map(str::to_owned);
    let sets: std::collections::BTreeSet<_> = dev.judgements().values().filter_map(keys).collect();
    assert!(sets.len() >= 4, "{sets:?}");
    assert!(
        dev.judgements().values().all(|record| record["epoch"] == 1 || record["epoch"] == 0),
        "one epoch all along"
    );
}

fn token_of(kid: &str) -> String {
    key(kid);
    token("far", kid)
}

/// What is remembered of a token goes with the key that proved it.
#[test]
fn a_key_that_is_withdrawn_proves_nothing_any_more() {
    let issuer = Issuer::start(Says::Keys(vec![key("gone"), key("kept")]));
    let dev = Dev::serving(&estate(&issuer, ", refresh: 1s"));
    let (gone, kept) = (token("far", "gone"), token("far", "kept"));
    for _ in 0..3 {
        dev.get("/invoices/1", &gone).is(200);
    }
    issuer.says(Says::Keys(vec![key("kept")]));
    let refused = until("the withdrawal", || Some(dev.get("/invoices/1", &gone)).filter(|answer| answer.status != 200));
    assert_eq!(code(&dev, &refused.is(401)), "key_unknown");
    dev.get("/invoices/1", &gone).is(401);
    dev.get("/invoices/1", &kept).is(200);
}
