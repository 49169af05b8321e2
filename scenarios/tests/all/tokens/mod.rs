//! Tokens made by an independent library, and by hand where a library will not make them: which prove somebody, and which
//! prove nobody. Numbers such as A2 name rows of the project's list of attacks on tokens and keys.

mod forged;
mod key_sets;
mod malformed;
mod proved;
mod scheme;

use serde_json::{Value, json};

use crate::harness::{Answer, Dev, Estate, Mint, Upstream, base64url, call, ci_claims};

/// Issuer of a source that speaks every algorithm.
pub const EDGE: &str = "https://issuer.acme.test/edge";
pub const ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/// A token that has to be refused: its name, itself, and the ledger's code.
pub struct Bad(pub &'static str, pub String, pub &'static str);

/// The quickstart and a source `edge` with one key for each algorithm, whose `probe` may read.
pub fn estate(upstream: &str) -> Estate {
    let keys = edge_keys();
    Estate::ours()
        .upstream(upstream)
        .source("edge", EDGE, &ALGORITHMS.join(", "), &keys, "")
        .principal("probe", "Workload", "{source: edge, key: [probe]}", "")
        .policy(
            "probe-reads",
            "permit (principal == Workload::\"spiffe://prod.acme.test/scenario/probe\", action in Action::\"read\", \
             resource in Resource::\"billing/invoices\");",
        )
        // a person's token that should not have been accepted would show at the upstream
        .policy(
            "people-read",
            "permit (principal is Human, action in Action::\"read\", resource in Resource::\"billing/invoices\");",
        )
}

/// The public keys of `edge`, one for each algorithm and named after it.
pub fn edge_keys() -> Vec<Value> {
    ALGORITHMS
        .iter()
        .map(|algorithm| Mint::shared().make(&edge(algorithm), algorithm, Some(&edge(algorithm))))
        .collect()
}

pub fn edge(algorithm: &str) -> String {
    format!("edge-{algorithm}")
}

/// Claims of a release job, some of them changed; null takes one away.
pub fn job(over: &Value) -> Value {
    changed(ci_claims(), over)
}

pub fn changed(mut claims: Value, over: &Value) -> Value {
    let claims_of = claims.as_object_mut().expect("an object");
    for (name, value) in over.as_object().expect("an object") {
        if value.is_null() {
            claims_of.remove(name);
        } else {
            claims_of.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// The job's header.
pub fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "gh-1"})
}

/// Signed with the job issuer's key, over exactly this header and payload.
pub fn signed(header: &str, payload: &str) -> String {
    Mint::shared().raw("github", "RS256", header.as_bytes(), payload.as_bytes())
}

/// The job's claims as text, with `old` written as `new`.
#[track_caller]
pub fn written(old: &str, new: &str) -> String {
    let text = ci_claims().to_string();
    assert!(text.contains(old), "the claims have no {old}: {text}");
    text.replacen(old, new, 1)
}

/// An unsigned part.
pub fn part(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}

/// Each gets the same 401, the ledger has the true code, and nothing goes upstream.
#[track_caller]
pub fn refuses(table: &[Bad]) {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    let first = dev.call("GET", "/invoices/1", None).is(401);
    let plain = |answer: &Answer| {
        let date = answer.header("date").expect("a date");
        format!("{}{}", answer.head, answer.text()).replace(answer.record(), "-").replace(date, "-")
    };
    let mut answers = Vec::new();
    for Bad(name, token, _) in table {
        let answer = dev.get("/invoices/1", token);
        assert_eq!(plain(&answer), plain(&first), "{name}: not like every 401");
        answers.push(answer.record().to_owned());
    }
    let judgements = dev.judgements();
    for (Bad(name, _, code), id) in table.iter().zip(&answers) {
        let record = &judgements[id];
        assert_eq!(record["verdicts"][0]["code"], *code, "{name}: {record}");
        assert_eq!(record["principal"], Value::Null, "{name}: {record}");
        let shown = record.to_string();
        assert!(!shown.contains("eyJ"), "{name}: the record holds a part of the token: {record}");
    }
    // the gate itself works: the same request with a good token passes
    dev.get("/invoices/1", &Mint::shared().ci(&ci_claims())).is(200);
    assert_eq!(upstream.reached().len(), 1, "only the good one: {:?}", upstream.reached());
    let crossed = String::from_utf8_lossy(&upstream.bytes()).into_owned();
    // the gateway's own assertion is no caller's token
    let others = crossed.lines().filter(|line| !line.starts_with("countersign-assertion:"));
    assert!(!others.collect::<String>().contains("eyJ"), "a token crossed");
}

/// The good request, with this line for its credential.
pub fn presenting(dev: &Dev, lines: &[&str]) -> Answer {
    call(dev.gateway(), "GET", "/invoices/1", None, lines)
}
