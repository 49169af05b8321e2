//! Sound in shape, and not from whom they say: algorithms, keys, signatures, times, audiences, issuers, identities.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Bad, EDGE, changed, edge, edge_keys, header, job, part, refuses, signed};
use crate::harness::{AUDIENCE, Mint, alice_claims, base64url, ci_claims, dunning_claims, epoch_seconds};

/// The job's claims under another header, with this signature.
fn with_signature(over: &Value, sign: impl Fn(&str) -> String) -> String {
    let signed = format!("{}.{}", part(&changed(header(), over)), part(&ci_claims()));
    format!("{signed}.{}", sign(&signed))
}

#[test]
fn a_token_does_not_choose_how_it_is_verified() {
    let mint = Mint::shared();
    edge_keys();
    let by = |algorithm: &'static str| move |text: &str| mint.signature("github", algorithm, text);
    let mut table = Vec::new();
    // A1
    for (name, alg) in
        [("alg none", "none"), ("alg None", "None"), ("alg NONE", "NONE"), ("alg nOnE", "nOnE"), ("alg empty", "")]
    {
        table.push(Bad(name, with_signature(&json!({ "alg": alg }), |_| String::new()), "algorithm_refused"));
    }
    table.push(Bad("alg none, signed", with_signature(&json!({"alg": "none"}), by("RS256")), "algorithm_refused"));
    table.push(Bad("an empty signature", with_signature(&json!({}), |_| String::new()), "signature_invalid"));
    // A2: the public key as an HMAC secret, in every text that a library might make of it
    for (name, alg, sign) in [
        ("HS256 keyed with PEM", "HS256", "HS256/pem"),
        ("HS384 keyed with PEM", "HS384", "HS384/pem"),
        ("HS512 keyed with PEM", "HS512", "HS512/pem"),
        ("HS256 keyed with DER", "HS256", "HS256/der"),
        ("HS256 keyed with nothing", "HS256", "HS256/"),
        ("hs256", "hs256", "HS256/pem"),
    ] {
        table.push(Bad(name, with_signature(&json!({ "alg": alg }), by(sign)), "algorithm_refused"));
    }
    table.push(Bad("RS256 that is an HMAC", with_signature(&json!({}), by("HS256/pem")), "signature_invalid"));
    // of the right family, and not on the source's list
    for (name, alg) in [("RS384", "RS384"), ("RS512", "RS512"), ("PS256", "PS256")] {
        table.push(Bad(name, with_signature(&json!({ "alg": alg }), by(alg)), "algorithm_refused"));
    }
    table.push(Bad("alg in lower case", with_signature(&json!({"alg": "rs256"}), by("RS256")), "algorithm_refused"));
    table.push(Bad(
        "an algorithm of nobody",
        with_signature(&json!({"alg": "XS256"}), by("RS256")),
        "algorithm_refused",
    ));
    // on the source's list, and not the key's
    let probe = changed(alice_claims(), &json!({"iss": EDGE, "sub": "probe"}));
    for (name, alg, kid) in [
        ("PS256 with the RS256 key", "PS256", "RS256"),
        ("RS512 with the RS256 key", "RS512", "RS256"),
        ("ES256 with the ES384 key's name", "ES256", "ES384"),
    ] {
        let key = if kid == "ES384" { edge(alg) } else { edge(kid) };
        let token = mint.token(&key, alg, &json!({"kid": edge(kid)}), &probe);
        table.push(Bad(name, token, "algorithm_refused"));
    }
    refuses(&table);
}

#[test]
fn a_signature_is_by_the_named_key_over_these_bytes() {
    let mint = Mint::shared();
    edge_keys();
    let probe = changed(alice_claims(), &json!({"iss": EDGE, "sub": "probe"}));
    let unsigned =
        |alg: &str| format!("{}.{}", part(&json!({"alg": alg, "typ": "JWT", "kid": edge(alg)})), part(&probe));
    let es256 = unsigned("ES256");
    let good = mint.ci(&ci_claims());
    let (rest, signature) = good.rsplit_once('.').expect("three parts");
    let (header_part, payload) = rest.split_once('.').expect("three parts");
    let flipped = {
        let other = if signature.starts_with('A') { "B" } else { "A" };
        format!("{rest}.{other}{}", &signature[1..])
    };
    let other_payload = part(&job(&json!({"run_id": "6"})));
    let stranger = |header: &Value, claims: &Value| mint.token("stranger", "RS256", header, claims);
    let table = [
        Bad("a stranger's key of the same name", stranger(&json!({"kid": "gh-1"}), &ci_claims()), "signature_invalid"),
        Bad("no kid, a stranger's key", stranger(&json!({}), &ci_claims()), "signature_invalid"),
        Bad("a bit flipped", flipped, "signature_invalid"),
        Bad("another payload", format!("{header_part}.{other_payload}.{signature}"), "signature_invalid"),
        Bad(
            "another header",
            format!("{}.{payload}.{signature}", part(&changed(header(), &json!({"x": 1})))),
            "signature_invalid",
        ),
        Bad("half a signature", format!("{rest}.{}", &signature[..(signature.len() / 2) & !3]), "signature_invalid"),
        // A3
        Bad("ECDSA of zeroes", format!("{es256}.{}", base64url(&[0; 64])), "signature_invalid"),
        Bad("ECDSA of ones", format!("{es256}.{}", base64url(&[0xff; 64])), "signature_invalid"),
        Bad(
            "ECDSA as DER",
            format!("{es256}.{}", mint.signature("edge-ES256", "ES256/der", &es256)),
            "signature_invalid",
        ),
        Bad("EdDSA of zeroes", format!("{}.{}", unsigned("EdDSA"), base64url(&[0; 64])), "signature_invalid"),
        Bad(
            "a person, by a stranger",
            mint.token("stranger-ec", "ES256", &json!({"kid": "pe-1"}), &alice_claims()),
            "signature_invalid",
        ),
        // A4: the key that would prove it comes with it
        Bad(
            "its own jwk",
            stranger(&json!({"kid": "gh-1", "jwk": mint.key("stranger")}), &ci_claims()),
            "signature_invalid",
        ),
        Bad("its own x5c", stranger(&json!({"kid": "gh-1", "x5c": ["MIIB"]}), &ci_claims()), "signature_invalid"),
        // A6: a name is a name
        Bad("kid of a path", stranger(&json!({"kid": "../../../../etc/passwd"}), &ci_claims()), "key_unknown"),
        Bad("kid of SQL", stranger(&json!({"kid": "' OR 1=1 --"}), &ci_claims()), "key_unknown"),
        Bad("kid empty", stranger(&json!({"kid": ""}), &ci_claims()), "key_unknown"),
        Bad("kid in another case", stranger(&json!({"kid": "GH-1"}), &ci_claims()), "key_unknown"),
        Bad("kid of 4 KiB", stranger(&json!({"kid": "k".repeat(4096)}), &ci_claims()), "key_unknown"),
        Bad(
            "a kid that the source's one key has not",
            mint.token("platform", "PS256", &json!({"kid": "p"}), &dunning_claims()),
            "key_unknown",
        ),
        // several keys, none named: RSA keys of that source differ only in `alg`, Edwards has one
        Bad(
            "another source's key",
            mint.token("people", "ES256", &json!({"kid": "edge-ES256"}), &probe),
            "signature_invalid",
        ),
        Bad(
            "no such key in a set of ten",
            mint.token("edge-ES256", "ES256", &json!({"kid": "edge-ES257"}), &probe),
            "key_unknown",
        ),
    ];
    refuses(&table);
}

#[test]
fn addresses_in_a_header_are_never_visited() {
    // A5
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", trap.local_addr().unwrap());
    let stranger = |header: &Value| Mint::shared().token("stranger", "RS256", header, &ci_claims());
    refuses(&[
        Bad("jku", stranger(&json!({"kid": "gh-1", "jku": url})), "signature_invalid"),
        Bad("x5u", stranger(&json!({"kid": "gh-1", "x5u": url})), "signature_invalid"),
        Bad("jku and an unknown key", stranger(&json!({"kid": "new", "jku": url})), "key_unknown"),
        Bad("an issuer of that address", Mint::shared().ci(&job(&json!({ "iss": url }))), "issuer_unknown"),
    ]);
    assert_eq!(trap.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
}

#[test]
fn times_bound_a_token_on_both_sides() {
    let (mint, now) = (Mint::shared(), epoch_seconds());
    let ci = |over: Value| mint.ci(&job(&over));
    let agent = |over: Value| mint.dunning(&changed(dunning_claims(), &over));
    refuses(&[
        Bad("expired", ci(json!({"exp": now - 61})), "expired"),
        Bad("expired in 1970", ci(json!({"exp": 0})), "expired"),
        Bad("expired before 1970", ci(json!({"exp": -1})), "expired"),
        Bad("expired at the beginning of time", ci(json!({"exp": i64::MIN})), "expired"),
        Bad("nbf ahead", ci(json!({"nbf": now + 90})), "not_yet_valid"),
        Bad("iat ahead", ci(json!({"iat": now + 90})), "not_yet_valid"),
        Bad("nbf at the end of time", ci(json!({"nbf": i64::MAX})), "not_yet_valid"),
        Bad("iat too long ago", ci(json!({"iat": now - 661})), "too_old"),
        Bad("iat at the beginning of time", ci(json!({"iat": i64::MIN})), "too_old"),
        Bad("without iat, exp too far", agent(json!({"exp": now + 700})), "too_old"),
        Bad("without iat, exp at the end of time", agent(json!({"exp": i64::MAX})), "too_old"),
    ]);
}

#[test]
fn a_token_is_for_one_audience_and_it_is_exactly_ours() {
    // A14
    let ci = |aud: Value| Mint::shared().ci(&job(&json!({ "aud": aud })));
    refuses(&[
        Bad("another", ci(json!("https://other.acme.test")), "audience_wrong"),
        Bad("a prefix", ci(json!("https://billing.acme")), "audience_wrong"),
        Bad("longer", ci(json!("https://billing.acme.test.evil.test")), "audience_wrong"),
        Bad("a trailing slash", ci(json!("https://billing.acme.test/")), "audience_wrong"),
        Bad("another case", ci(json!("https://Billing.acme.test")), "audience_wrong"),
        Bad("a port", ci(json!("https://billing.acme.test:443")), "audience_wrong"),
        Bad("empty", ci(json!("")), "audience_wrong"),
        Bad("none", ci(json!([])), "audience_wrong"),
        Bad("one more", ci(json!([AUDIENCE, "https://other.acme.test"])), "audience_wrong"),
        Bad("ours twice", ci(json!([AUDIENCE, AUDIENCE])), "audience_wrong"),
    ]);
}

#[test]
fn an_issuer_is_compared_as_it_stands() {
    // A15
    let ci = |iss: &str| Mint::shared().ci(&job(&json!({ "iss": iss })));
    refuses(&[
        Bad("a trailing slash", ci("https://issuer.acme.test/github/"), "issuer_unknown"),
        Bad("another case", ci("https://Issuer.acme.test/github"), "issuer_unknown"),
        Bad("a port", ci("https://issuer.acme.test:443/github"), "issuer_unknown"),
        Bad("a user", ci("https://x@issuer.acme.test/github"), "issuer_unknown"),
        Bad("a dot segment", ci("https://issuer.acme.test/./github"), "issuer_unknown"),
        Bad("http", ci("http://issuer.acme.test/github"), "issuer_unknown"),
        Bad("a prefix", ci("https://issuer.acme.test"), "issuer_unknown"),
        Bad("empty", ci(""), "issuer_unknown"),
        Bad("a look-alike letter", ci("https://issuer.аcme.test/github"), "issuer_unknown"),
        // one source's key under another's name
        Bad(
            "the people's issuer, by the job issuer's key",
            Mint::shared().token("github", "RS256", &json!({"kid": "gh-1"}), &alice_claims()),
            "algorithm_refused",
        ),
    ]);
}

#[test]
fn an_identity_is_one_exact_tuple() {
    let ci = |over: Value| Mint::shared().ci(&job(&over));
    refuses(&[
        Bad("another repository", ci(json!({"repository_id": "4712"})), "principal_unknown"),
        Bad(
            "the tuple turned round",
            ci(json!({"repository_id": "9001", "repository_owner_id": "4711"})),
            "principal_unknown",
        ),
        Bad("the tuple in one claim", ci(json!({"repository_owner_id": "9001,4711"})), "principal_unknown"),
        Bad("a zero before", ci(json!({"repository_id": "04711"})), "principal_unknown"),
        Bad("a space behind", ci(json!({"repository_id": "4711 "})), "principal_unknown"),
        Bad(
            "another agent",
            Mint::shared().dunning(&changed(dunning_claims(), &json!({"sub": "Dunning-Agent"}))),
            "principal_unknown",
        ),
        Bad(
            "a tail",
            Mint::shared().dunning(&changed(dunning_claims(), &json!({"sub": "dunning-agent\u{0}x"}))),
            "principal_unknown",
        ),
        // a good signature over the right claims by hand, so that the refusals above are the claims'
        Bad(
            "signed by hand, another repository",
            signed(&header().to_string(), &job(&json!({"repository_id": "1"})).to_string()),
            "principal_unknown",
        ),
    ]);
}
