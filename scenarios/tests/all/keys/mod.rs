//! Key sets from elsewhere: an issuer that is down, slow, lying or rotating, and whoever makes up keys. A and E numbers are
//! rows of the project's list of attacks.

mod bounds;
mod lies;
mod rotation;
mod secured;

use serde_json::{Value, json};

use crate::harness::{AUDIENCE, Answer, Dev, Estate, Issuer, Mint, epoch_seconds};

const LOOPBACK: &str = "    dangerouslyAllowLoopbackHttp: true\n";

/// The quickstart and a source `far`, whose keys the issuer serves and whose `probe` may read.
fn estate(issuer: &Issuer, kept: &str) -> Estate {
    reader(Estate::ours().fetched("far", &format!("url: \"{}\"{kept}", issuer.url), LOOPBACK), "far")
}

/// With a principal of this source that may read.
fn reader(estate: Estate, source: &str) -> Estate {
    estate.principal(source, "Workload", &format!("{{source: {source}, key: [probe]}}"), "").policy(
        &format!("{source}-reads"),
        &format!(
            "permit (principal == Workload::\"spiffe://prod.acme.test/scenario/{source}\", action in Action::\"read\", \
             resource in Resource::\"billing/invoices\");"
        ),
    )
}

/// A public key of this name and `kid`.
fn key(kid: &str) -> Value {
    Mint::shared().make(kid, "ES256", Some(kid))
}

/// A token of `probe` at `source`, by this key.
fn token(source: &str, kid: &str) -> String {
    let now = epoch_seconds();
    let issuer = format!("https://issuer.acme.test/{source}");
    let claims = json!({"iss": issuer, "sub": "probe", "aud": AUDIENCE, "iat": now - 2, "exp": now + 300});
    Mint::shared().token(kid, "ES256", &json!({ "kid": kid }), &claims)
}

/// The ledger's code of an answer.
fn code(dev: &Dev, answer: &Answer) -> String {
    dev.record(answer.record())["verdicts"][0]["code"].as_str().unwrap_or_default().to_owned()
}
