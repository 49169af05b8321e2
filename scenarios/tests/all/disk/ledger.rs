//! A ledger that cannot be written: nothing is let through, reading verbs still answer, and all recovers by itself.

use super::limit;
use crate::answers::compare;
use crate::harness::{Conn, Dev, Estate, Mint, Upstream, ci_claims, request, until};

#[test]
fn what_cannot_be_recorded_does_not_happen_and_recovery_needs_nobody() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&Estate::ours().upstream(&upstream.url));
    let token = Mint::shared().ci(&ci_claims());
    dev.get("/invoices/before", &token).is(200);
    let id = dev.get("/invoices/before", &token).is(200).record().to_owned();
    dev.outcome(&id);

    let before = upstream.bytes().len();
    limit(dev.pid(), "1:unlimited");
    let refused = dev.get("/invoices/held", &token).is(503);
    compare("ledger_unavailable", &refused, &serde_json::Value::Null);
    assert!(refused.header("retry-after").is_some() && refused.header("countersign-record").is_none());
    for (method, target, token) in
        [("GET", "/invoices/held", Some(token.as_str())), ("GET", "/invoices/held", None), ("GET", "/healthz", None)]
    {
        let answer = dev.call(method, target, token);
        assert_eq!((answer.status, answer.code().as_str()), (503, "ledger_unavailable"), "{method} {target}");
    }
    assert_eq!(upstream.bytes().len(), before, "a byte went upstream unrecorded");

    // whoever has to find out what is wrong can still look
    assert_eq!(dev.cli(&["explain", &id, "--output", "json"]).ended(0).json()["id"], id.as_str());
    dev.cli(&["ledger", "tail"]).ended(0);
    dev.cli(&["decide", "--principal", "dunning", "--action", "read", "--resource", "billing/invoices"]).ended(0);
    // a change is no reading
    let changed = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]);
    assert_eq!(changed.code, 1, "{changed:?}");

    limit(dev.pid(), "unlimited:unlimited");
    let back = until("recovery", || Some(dev.get("/invoices/after", &token)).filter(|answer| answer.status == 200));
    dev.outcome(back.record());
    let counted = until("the reads are counted", || dev.records().into_iter().find(|r| r["kind"] == "counted"));
    assert_eq!(counted["code"], "ledger_unavailable", "{counted}");
    dev.verify().ended(0);
}

#[test]
fn a_flood_on_a_full_disk_is_refused_and_what_is_answered_later_is_counted() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&Estate::ours().upstream(&upstream.url));
    let mut conn = Conn::open(dev.gateway());
    let mut ask = || {
        conn.send(&request("GET", "/invoices/1", None, &[]));
        conn.answer()
    };
    ask().is(401);
    limit(dev.pid(), "1:unlimited");
    // more than are recorded in full
    for nth in 0..700 {
        let refused = ask().is(503);
        assert_eq!(refused.code(), "ledger_unavailable", "{nth}");
        assert!(refused.header("countersign-record").is_none(), "{nth}");
    }
    limit(dev.pid(), "unlimited:unlimited");
    let token = Mint::shared().ci(&ci_claims());
    until("recovery", || Some(dev.get("/invoices/1", &token)).filter(|answer| answer.status == 200));
    const LATER: u64 = 700;
    for _ in 0..LATER {
        assert_eq!(ask().is(401).record().len(), 32);
    }
    let of_strangers = || {
        let records = dev.records();
        let missing = |record: &&serde_json::Value| record["verdicts"][0]["code"] == "credential_missing";
        let counted = records.iter().filter(|record| record["code"] == "credential_missing");
        let counted: u64 = counted.map(|record| record["count"].as_u64().expect("a number")).sum();
        Some(records.iter().filter(missing).count() as u64 + counted)
    };
    until("each is recorded or counted", || of_strangers().filter(|all| *all == 1 + LATER));
    dev.verify().ended(0);
}
