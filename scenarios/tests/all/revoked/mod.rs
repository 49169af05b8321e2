//! What an operator revokes counts no more: at once, on open connections, and until what is new is issued.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Conn, DUNNING, Dev, End, Estate, Mint, Upstream, ci_claims, dunning_claims, epoch_seconds, request, until,
};

fn before() -> (Upstream, Dev) {
    let upstream = Upstream::start();
    let dev = Dev::serving(&Estate::ours().upstream(&upstream.url));
    (upstream, dev)
}

/// A token that names itself, issued now.
fn named(id: &str) -> String {
    let mut claims = ci_claims();
    (claims["jti"], claims["iat"]) = (json!(id), json!(epoch_seconds()));
    Mint::shared().ci(&claims)
}

fn code(dev: &Dev, answer: &Answer) -> Value {
    dev.record(answer.record())["verdicts"][0]["code"].clone()
}

fn revoke(dev: &Dev, act: &str, kind: &str, id: &str) {
    let mut args = vec![act, kind, id, "--output", "json"];
    if act == "revoke" {
        args.push("--wait");
    }
    let done = dev.cli(&args).ended(0).json();
    assert_eq!((&done["kind"], &done["missing"]), (&json!(kind), &json!([])), "{done}");
    assert_eq!(done["acknowledged"], json!(["gateway"]), "{done}");
}

#[test]
fn each_kind_of_revocation_takes_what_it_names_and_nothing_else() {
    let (_upstream, dev) = before();
    let (one, other) = (named("one"), named("other"));
    let agent = dunning();
    let all = |expected: [u16; 3]| {
        let answers = [&one, &other, &agent].map(|token| dev.get("/invoices/1", token));
        assert_eq!(answers.each_ref().map(|answer| answer.status), expected);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(code(&dev, answer), "revoked");
        }
    };
    all([200, 200, 200]);
    assert_eq!(dev.cli(&["get", "revocations"]).ended(0).out, "nothing of that kind\n");
    revoke(&dev, "revoke", "credential", "one");
    all([401, 200, 200]);
    revoke(&dev, "revoke", "key", "github/gh-1");
    all([401, 401, 200]);
    revoke(&dev, "restore", "key", "github/gh-1");
    revoke(&dev, "revoke", "principal", "dunning");
    revoke(&dev, "revoke", "source", "people");
    // what was issued before the revocation stays refused
    all([401, 401, 401]);
    let listed = dev.cli(&["get", "revocations", "--output", "json"]).ended(0).json();
    let standing: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|item| (item["id"].clone(), item["standing"].clone())).collect();
    assert_eq!(
        standing,
        [("one", "revoked"), ("github/gh-1", "restored"), (DUNNING, "revoked"), ("people", "revoked")]
            .map(|(id, standing)| (json!(id), json!(standing)))
    );
    let status = dev.cli(&["status", "--output", "json"]).ended(0).json();
    assert_eq!(status["revoked"], 3, "what is restored is not revoked: {status}");
}

fn dunning() -> String {
    Mint::shared().dunning(&dunning_claims())
}

#[test]
fn what_is_issued_after_a_restoration_counts_again_and_a_restart_forgets_nothing() {
    let (_upstream, mut dev) = before();
    let old = named("old");
    dev.get("/invoices/1", &old).is(200);
    revoke(&dev, "revoke", "principal", "billing-ci");
    dev.get("/invoices/1", &named("meanwhile")).is(401);
    let revoked_at = epoch_seconds();
    assert_eq!(dev.stop(), 0);
    dev.again();
    assert_eq!(code(&dev, &dev.get("/invoices/1", &old).is(401)), "revoked");
    revoke(&dev, "restore", "principal", "billing-ci");
    dev.get("/invoices/1", &old).is(401);
    // `iat` counts whole seconds
    until("another second", || (epoch_seconds() > revoked_at).then_some(()));
    dev.get("/invoices/1", &named("new")).is(200);
    let replayed = dev.cli(&["replay", "--since", "1h", "--output", "json"]).ended(0).json();
    assert_eq!(replayed["checked"], replayed["agreed"], "{replayed}");
}

#[test]
fn an_open_connection_and_a_stream_are_cut() {
    let (upstream, dev) = before();
    let svid = dev.minted("reporter", "svid", &[]);
    let mut idle = dev.shake(Some(&svid));
    idle.send(&request("GET", "/invoices/1", None, &[]));
    idle.answer().is(200);
    let mut streaming = Conn::open(dev.gateway());
    streaming.send(&request("GET", "/invoices/1?endless", Some(&named("streams")), &[]));
    let reader = thread::spawn(move || streaming.answer());
    until("the stream", || (upstream.reached().len() == 2).then_some(()));

    revoke(&dev, "revoke", "principal", "reporter");
    assert_eq!(idle.answer().end, End::Closed);
    revoke(&dev, "revoke", "credential", "streams");
    let answer = reader.join().expect("a reader").is(200);
    assert_eq!(answer.end, End::CutShort);
    let outcome = dev.outcome(answer.record());
    assert_eq!((&outcome["result"], &outcome["code"]), (&json!("failed"), &json!("revoked")), "{outcome}");
}

#[test]
fn nobody_locks_themselves_out_and_what_is_not_there_is_said() {
    let (_upstream, dev) = before();
    let me = dev.cli(&["whoami"]).ended(0).out.trim().to_owned();
    for (args, told) in [
        (["revoke", "principal", me.as_str()], format!("`{me}` is who asks; nobody could restore it")),
        (["revoke", "source", "local"], "`local` is how operators come here; nobody could restore it".to_owned()),
        (["revoke", "principal", "nobody"], "`nobody` is no principal here".to_owned()),
        (["revoke", "key", "github"], "`github`: a key is named `SOURCE/KID`".to_owned()),
        (["revoke", "source", "elsewhere"], "`elsewhere` is no trust source here".to_owned()),
        (["restore", "source", "people"], "source `people` is not revoked".to_owned()),
    ] {
        let ran = dev.cli(&args).ended(3);
        assert_eq!(ran.err.trim(), format!("countersign: {told}"));
    }
}

#[test]
fn an_earlier_epoch_comes_back_as_a_new_one() {
    let (upstream, dev) = before();
    let narrowed =
        Estate::ours().upstream(&upstream.url).policy("none", "forbid (principal is Agent, action, resource);");
    dev.get("/invoices/1", &dunning()).is(200);
    dev.apply(&narrowed);
    dev.get("/invoices/1", &dunning()).is(403);
    let plan = dev.cli(&["plan", "-f", dev.estate().to_str().unwrap(), "--output", "json"]).ended(0).json();
    assert_eq!(plan, json!({"epoch": null, "changes": []}));
    let back = dev.cli(&["rollback", "1", "--output", "json"]).ended(0).json();
    assert_eq!((&back["epoch"], &back["changes"][0]["change"]), (&json!(3), &json!("removed")), "{back}");
    dev.get("/invoices/1", &dunning()).is(200);
    assert_eq!(dev.cli(&["status", "--output", "json"]).ended(0).json()["epoch"], 3);
    let unknown = dev.cli(&["rollback", "9"]).ended(3);
    assert_eq!(unknown.err.trim(), "countersign: epoch 9 was never in force here");
}
