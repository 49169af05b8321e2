//! Room at a service: no caller takes all of it, and whoever may not come in takes none.

use std::thread;

use super::before;
use crate::harness::{CI, Conn, Mint, ci_claims, dunning_claims, request, until};

#[test]
fn a_greedy_caller_leaves_room_for_others_and_hears_that_it_is_too_many() {
    let (upstream, dev, ci) = before(|estate| estate.service("limits: {inFlight: 3, inFlightPerPrincipal: 2}"));
    let dunning = Mint::shared().dunning(&dunning_claims());
    thread::scope(|scope| {
        let slow = |mark: &'static str| {
            let target = format!("/invoices/{mark}?slow=1500");
            let (dev, ci) = (&dev, &ci);
            let asked = scope.spawn(move || dev.get(&target, ci));
            upstream.only(mark);
            asked
        };
        let greedy = [slow("first"), slow("second")];
        let refused = dev.get("/invoices/third", &ci).is(503);
        assert_eq!(refused.code(), "overloaded");
        assert_eq!(refused.header("retry-after"), Some("1"));
        // another caller finds room, and gives it back; those who may not come in were never counted
        for _ in 0..3 {
            dev.get("/invoices/1", &dunning).is(200);
            dev.call("GET", "/healthz", None).is(200);
            dev.call("GET", "/invoices/1", None).is(401);
            dev.get("/export", &ci).is(403);
        }
        let record = dev.record(refused.record());
        assert_eq!(record["principal"]["id"], CI, "{record}");
        assert_eq!(record["verdicts"][0]["resource"], "billing/invoices", "{record}");
        assert_eq!(record["outcome"], serde_json::Value::Null, "{record}");
        for asked in greedy {
            asked.join().expect("it ends").is(200);
        }
    });
    dev.get("/invoices/1", &ci).is(200);
    assert!(upstream.reached().iter().all(|reached| !reached.target().contains("third")));
    let replayed = dev.cli(&["replay", "--since", "1h", "--output", "json"]).ended(0).json();
    assert_eq!(replayed["checked"], replayed["agreed"], "{replayed}");
}

#[test]
fn a_place_is_held_until_the_answer_has_ended_or_its_caller_has_left() {
    let (upstream, dev, ci) = before(|estate| estate.service("limits: {inFlightPerPrincipal: 1}"));
    let again = Mint::shared().ci(&ci_claims());
    // more than fits between the upstream and a caller that does not read
    let mut leaves = Conn::open(dev.gateway());
    leaves.send(&request("GET", "/invoices/leaves?big=60000000", Some(&ci), &[]));
    upstream.only("leaves");
    // the same principal, by another token
    assert_eq!(dev.get("/invoices/1", &again).is(503).code(), "overloaded");
    drop(leaves);
    until("the place is free", || Some(dev.get("/invoices/1", &again)).filter(|answer| answer.status == 200));

    let mut reads = Conn::open(dev.gateway());
    reads.send(&request("GET", "/invoices/reads?big=60000000", Some(&ci), &[]));
    upstream.only("reads");
    assert_eq!(dev.get("/invoices/1", &again).is(503).code(), "overloaded");
    assert_eq!(reads.answer().is(200).body.len(), 60_000_000);
    until("the place is free", || Some(dev.get("/invoices/1", &again)).filter(|answer| answer.status == 200));
}
