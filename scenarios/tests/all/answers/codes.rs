//! One call for each code.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use super::compare;
use crate::harness::{
    Answer, Conn, Dev, Estate, Mint, Upstream, alice_claims, ci_claims, dunning_claims, epoch_seconds, request, until,
};

/// An answer and the name of the file that holds what is promised.
struct Case(&'static str, Answer);

fn with(mut claims: Value, over: &Value) -> Value {
    for (name, value) in over.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn check(dev: &Dev, cases: &[Case]) {
    let judgements = dev.judgements();
    for Case(name, answer) in cases {
        let record = &judgements[answer.record()];
        compare(name, answer, &record["verdicts"][0]);
        // a file's name is the code that it shows
        let code = name.split('-').next().expect("a name");
        let outcome = || dev.outcome(answer.record())["code"].as_str().unwrap_or("delivered").to_owned();
        match record["verdicts"][0]["code"].as_str() {
            Some(found) => assert_eq!(found, code, "{record}"),
            None => assert_eq!(outcome(), code, "{record}"),
        }
    }
}

/// The quickstart with what is needed to reach the rarer codes.
fn estate(upstream: &str) -> Estate {
    let expired = "kind: Principal\nmetadata: {name: retired}\nspec: {kind: Agent, id: spiffe://prod.acme.test/agents/retired, \
                   owner: team-billing, purpose: long gone, expires: 2026-01-01T00:00:00Z, \
                   bindings: [{source: platform, key: [retired-agent]}]}";
    Estate::ours()
        .upstream(upstream)
        .document(expired)
        .source("away", "https://issuer.acme.test/away", "RS256", &[Mint::shared().key("github")], "")
        .route(r#"{match: "POST /refunds", action: effect, resource: billing/invoices}"#)
        .route(r#"{match: "PUT /invoices/{invoice}", action: write, resource: billing/invoices}"#)
        .policy(
            "overflows",
            "permit (principal is Human, action in Action::\"read\", resource)\n\
             when { 9223372036854775807 + (context.depth + 1) > 0 };",
        )
        .policy("ci-refunds", "permit (principal in Group::\"ci-billing\", action in Action::\"effect\", resource);")
}

#[test]
fn every_identity_code_is_one_401_and_the_ledger_has_the_truth() {
    let upstream = Upstream::start();
    let inline = json!({"keys": [Mint::shared().key("github")]});
    let estate = estate(&upstream.url).replacing(
        &format!("issuer: https://issuer.acme.test/away\n    jwks: {{inline: {inline}}}"),
        "issuer: https://issuer.acme.test/away\n    dangerouslyAllowLoopbackHttp: true\n    jwks: {url: \"http://127.0.0.1:9/jwks\"}",
    );
    let dev = Dev::serving(&estate);
    let (mint, now) = (Mint::shared(), epoch_seconds());
    let ci = |over: Value| mint.ci(&with(ci_claims(), &over));
    let get = |token: &str| dev.get("/invoices/1", token).is(401);
    let cases = [
        Case("credential_missing", dev.call("GET", "/invoices/1", None).is(401)),
        Case("credential_malformed", get("not-a-token")),
        Case("signature_invalid", get(&mint.token("stranger", "RS256", &json!({"kid": "gh-1"}), &ci_claims()))),
        Case("algorithm_refused", get(&mint.token("github", "PS256", &json!({"kid": "gh-1"}), &ci_claims()))),
        Case("key_unknown", get(&mint.token("github", "RS256", &json!({"kid": "gh-2"}), &ci_claims()))),
        Case("keys_unavailable", get(&ci(json!({"iss": "https://issuer.acme.test/away"})))),
        Case("issuer_unknown", get(&ci(json!({"iss": "https://issuer.acme.test/else"})))),
        Case("audience_wrong", get(&ci(json!({"aud": "https://other.acme.test"})))),
        Case("expired", get(&ci(json!({"iat": now - 500, "nbf": now - 500, "exp": now - 70})))),
        Case("not_yet_valid", get(&ci(json!({"nbf": now + 120})))),
        Case("too_old", get(&ci(json!({"iat": now - 700, "nbf": now - 700})))),
        Case("principal_unknown", get(&ci(json!({"repository_id": "4712"})))),
        Case("principal_expired", get(&mint.dunning(&with(dunning_claims(), &json!({"sub": "retired-agent"}))))),
    ];
    check(&dev, &cases);
    let alike: BTreeMap<String, &str> =
        cases.iter().map(|Case(name, answer)| (super::shown(answer, &Value::Null), *name)).collect();
    assert_eq!(alike.len(), 1, "the 401s differ: {alike:?}");
    assert!(upstream.bytes().is_empty(), "something reached the upstream");
}

#[test]
fn access_and_protocol_codes_say_what_a_proved_caller_may_know() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    let mint = Mint::shared();
    let (ci, dunning, alice) = (mint.ci(&ci_claims()), mint.dunning(&dunning_claims()), mint.alice(&alice_claims()));
    let fork = mint.ci(&with(ci_claims(), &json!({"ref_protected": "false", "event_name": "pull_request"})));
    let raw = |bytes: &[u8]| {
        let mut conn = Conn::open(dev.gateway());
        conn.send(bytes);
        conn.answer()
    };
    let long = format!("/invoices/{}", "x".repeat(9000));
    let cases = [
        Case("no_permit", dev.call("PUT", "/invoices/1", Some(&ci)).is(403)),
        Case("no_permit-missing", dev.call("POST", "/invoices", Some(&dunning)).is(403)),
        Case("forbidden", dev.get("/invoices/1", &fork).is(403)),
        Case("evidence_missing", dev.get("/export", &ci).is(403)),
        Case("approval_required", dev.call("POST", "/refunds", Some(&ci)).is(403)),
        Case("policy_error", dev.get("/invoices/1", &alice).is(403)),
        Case("operation_unmapped", dev.get("/nope", &ci).is(403)),
        Case("request_ambiguous", dev.get("/invoices/../invoices/1", &ci).is(400)),
        Case("request_malformed", raw(b"GET /invoices/1 HTTP/1.1\r\n\r\n").is(400)),
        Case("request_too_large-line", dev.get(&long, &ci).is(414)),
    ];
    check(&dev, &cases);
    assert!(upstream.bytes().is_empty(), "something reached the upstream");
}

#[test]
fn system_codes_say_what_the_service_behind_did() {
    let upstream = Upstream::start();
    let estate = estate(&upstream.url).service("limits: {inFlight: 1, body: 10}\n  timeouts: {upstream: 500ms}");
    let dev = Dev::serving(&estate);
    let ci = Mint::shared().ci(&ci_claims());
    let mut cases = vec![
        Case("upstream_timeout", dev.get("/invoices/1?slow=1500", &ci).is(504)),
        Case("delivered", dev.get("/invoices/1", &ci).is(200)),
    ];
    cases.push(Case("overloaded", overloaded(&dev, &upstream, &ci)));
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("GET", "/invoices/1", Some(&ci), &["Content-Length: 11"]));
    cases.push(Case("request_too_large-body", conn.answer().is(413)));
    drop(upstream);
    // what was open is closed with it, so that the next request finds nobody
    let gone =
        until("the upstream is gone", || Some(dev.get("/invoices/1", &ci)).filter(|answer| answer.status == 502));
    cases.push(Case("upstream_unreachable", gone));
    check(&dev, &cases);
}

/// The answer to a request that comes while the only slot is taken.
fn overloaded(dev: &Dev, upstream: &Upstream, token: &str) -> Answer {
    thread::scope(|scope| {
        let first = scope.spawn(|| dev.get("/invoices/taken?slow=400", token));
        upstream.only("/invoices/taken");
        let refused = dev.get("/invoices/1", token).is(503);
        first.join().expect("it ends").is(200);
        refused
    })
}
