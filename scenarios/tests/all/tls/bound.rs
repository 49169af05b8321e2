//! Tokens that are bound to a certificate (RFC 8705 §3): worth nothing without it.

use serde_json::{Value, json};

use crate::harness::{Answer, Dev, Estate, Http2, Identity, Mint, base64url, ci_claims, finish, request};

/// `x5t#S256` of a certificate.
fn thumbprint(identity: &Identity) -> String {
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&identity.cert);
    let printed = finish(openssl, b"").ended(0).out;
    let hex = printed.trim().rsplit_once('=').expect("a fingerprint").1.replace(':', "");
    let bytes = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    base64url(&bytes.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect::<Vec<_>>())
}

fn bound_to(confirmation: &Value) -> String {
    let mut claims = ci_claims();
    claims["cnf"] = confirmation.clone();
    Mint::shared().ci(&claims)
}

fn export(dev: &Dev, identity: Option<&Identity>, token: &str) -> Answer {
    let mut conn = dev.shake(identity);
    conn.send(&request("GET", "/export", Some(token), &[]));
    conn.answer()
}

#[test]
fn a_bound_token_counts_with_its_certificate_and_never_without() {
    let dev = Dev::serving(&Estate::ours());
    let (ci, other) = (dev.minted("billing-ci", "ci", &[]), dev.minted("billing-ci", "other", &[]));
    let reporter = dev.svid("reporter");
    let token = bound_to(&json!({"x5t#S256": thumbprint(&ci)}));

    let with = dev.record(export(&dev, Some(&ci), &token).is(200).record());
    let bindings: Vec<_> = with["presented"].as_array().expect("a list").iter().map(|one| &one["binding"]).collect();
    assert_eq!(bindings, ["mtls", "mtls"], "{with}");
    // the same principal's other certificate, another's, none; on a plain port too, though it held a moment ago
    let mut refused = vec![
        ("another certificate of the same principal", export(&dev, Some(&other), &token)),
        ("another principal's certificate", export(&dev, Some(&reporter), &token)),
        ("no certificate", export(&dev, None, &token)),
        ("no TLS", dev.get("/export", &token)),
        ("no TLS, where a bearer would do", dev.get("/invoices/1", &token)),
    ];
    for (what, confirmation) in [
        ("bound to a key that nobody proved", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
        ("bound twice", json!({"x5t#S256": thumbprint(&ci), "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
        ("bound to no known method", json!({"kid": "ci"})),
        ("bound to nothing", json!({})),
        ("padded", json!({"x5t#S256": format!("{}=", thumbprint(&ci))})),
        ("empty", json!({"x5t#S256": ""})),
        ("not text", json!({"x5t#S256": 7})),
    ] {
        refused.push((what, export(&dev, Some(&ci), &bound_to(&confirmation))));
        refused.push((what, dev.get("/invoices/1", &bound_to(&confirmation))));
    }
    let judgements = dev.judgements();
    for (what, answer) in refused {
        let record = &judgements[answer.is(401).record()];
        assert_eq!(record["verdicts"][0]["code"], "binding_mismatch", "{what}: {record}");
    }
    let malformed = dev.get("/invoices/1", &bound_to(&json!("ci"))).is(401);
    assert_eq!(dev.record(malformed.record())["verdicts"][0]["code"], "credential_malformed");
    assert_eq!(dev.reached().len(), 1, "only the one with its certificate went on");
}

#[test]
fn a_bound_token_is_bound_on_every_stream() {
    let dev = Dev::serving(&Estate::ours());
    let ci = dev.minted("billing-ci", "ci", &[]);
    let bearer = format!("Bearer {}", bound_to(&json!({"x5t#S256": thumbprint(&ci)})));
    let peer = Http2::with(&dev);
    peer.open(1, Some(&ci));
    peer.open(2, None);
    for stream in [1, 3, 5] {
        peer.exchange(1, stream, "GET", "/export", &[("authorization", &bearer)]).is(200);
        peer.exchange(2, stream, "GET", "/export", &[("authorization", &bearer)]).is(401);
    }
}
