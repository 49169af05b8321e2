//! What proves somebody: without this, a gate that refuses all would pass every other table.

use serde_json::{Value, json};

use super::{ALGORITHMS, EDGE, changed, edge, estate, header, job, signed, written};
use crate::harness::{AUDIENCE, CI, Dev, Mint, Upstream, alice_claims, ci_claims, dunning_claims, epoch_seconds};

#[test]
fn good_tokens_of_every_algorithm_and_shape_prove_their_principal() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    let (mint, now) = (Mint::shared(), epoch_seconds());
    let probe = || changed(alice_claims(), &json!({"iss": EDGE, "sub": "probe"}));
    let mut good: Vec<(String, String, &str)> = Vec::new();
    for algorithm in ALGORITHMS {
        let token = mint.token(&edge(algorithm), algorithm, &json!({"kid": edge(algorithm)}), &probe());
        good.push(((*algorithm).to_owned(), token, "spiffe://prod.acme.test/scenario/probe"));
    }
    // RSA keys fit three algorithms of one family: the key's own `alg` decides, so only the one without a twin is named
    let typed = |typ: Value| {
        let header = changed(header(), &json!({ "typ": typ }));
        signed(&header.to_string(), &ci_claims().to_string())
    };
    for (name, token) in [
        ("typ absent", typed(Value::Null)),
        ("typ in lower case", typed(json!("jwt"))),
        ("typ of an access token", typed(json!("at+jwt"))),
        ("typ as a media type", typed(json!("application/at+jwt"))),
        ("aud as an array of one", mint.ci(&job(&json!({"aud": [AUDIENCE]})))),
        ("iat within the leeway", mint.ci(&job(&json!({"iat": now + 40, "nbf": now + 40})))),
        ("exp within the leeway", mint.ci(&job(&json!({"exp": now - 20})))),
        ("no nbf", mint.ci(&job(&json!({"nbf": null, "jti": null})))),
        ("white space inside", signed(&header().to_string(), &written("{", "{ \n"))),
        ("claims nobody asked for", mint.ci(&job(&json!({"deep": {"a": [1, 2.5, null, true]}})))),
        // A4, A5: what a header says of keys is never followed, so it does no harm either
        (
            "an embedded key",
            signed(&changed(header(), &json!({"jwk": mint.key("stranger")})).to_string(), &ci_claims().to_string()),
        ),
    ] {
        good.push((name.to_owned(), token, CI));
    }
    good.push(("no kid, no iat".to_owned(), mint.dunning(&dunning_claims()), crate::harness::DUNNING));
    good.push(("a person".to_owned(), mint.alice(&alice_claims()), "human:people:alice"));
    let answers: Vec<String> = good
        .iter()
        .map(|(name, token, _)| {
            let answer = dev.get("/invoices/1", token);
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            answer.record().to_owned()
        })
        .collect();
    let judgements = dev.judgements();
    for ((name, _, principal), id) in good.iter().zip(&answers) {
        assert_eq!(judgements[id]["principal"]["id"], *principal, "{name}");
    }
    assert_eq!(upstream.reached().len(), good.len());
}

#[test]
fn one_sub_from_two_issuers_is_two_principals() {
    // A15: who vouches is part of who one is
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    let person = Mint::shared().alice(&changed(alice_claims(), &json!({"sub": "dunning-agent"})));
    let answer = dev.get("/invoices/1", &person).is(200);
    assert_eq!(dev.record(answer.record())["principal"]["id"], "human:people:dunning-agent");
}

#[test]
fn what_an_identifier_cannot_hold_is_encoded_for_people() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    for (sub, id) in [
        ("a b", "human:people:a%20b"),
        ("a%20b", "human:people:a%2520b"),
        ("alice@acme", "human:people:alice%40acme"),
        ("../root", "human:people:..%2Froot"),
    ] {
        let token = Mint::shared().alice(&changed(alice_claims(), &json!({ "sub": sub })));
        let answer = dev.get("/invoices/1", &token).is(200);
        assert_eq!(dev.record(answer.record())["principal"]["id"], id);
    }
}
