//! An issuer that cannot be reached, and whoever makes up keys (A6, A8).

use std::time::{Duration, Instant};

use serde_json::json;

use super::{code, estate, key, token};
use crate::harness::{
    Conn, Dev, Issuer, Mint, Says, Upstream, base64url, ci_claims, epoch_seconds, request, until, until_within,
};

#[test]
fn an_issuer_that_was_down_at_the_start_is_found_when_it_returns() {
    let issuer = Issuer::start(Says::Down);
    let dev = Dev::serving(&estate(&issuer, ""));
    let token = {
        key("back");
        token("far", "back")
    };
    let refused = dev.get("/invoices/1", &token).is(401);
    assert_eq!(code(&dev, &refused), "keys_unavailable");
    dev.get("/invoices/1", &Mint::shared().ci(&ci_claims())).is(200);
    issuer.says(Says::Keys(vec![key("back")]));
    until_within(Duration::from_secs(30), || (dev.get("/invoices/1", &token).status == 200).then_some(()))
        .expect("its keys are found");
}

#[test]
fn the_last_keys_are_used_until_their_bound_and_then_refused() {
    let issuer = Issuer::start(Says::Keys(vec![key("old")]));
    let dev = Dev::serving(&estate(&issuer, ", refresh: 1s, maxStale: 6s"));
    let token = token("far", "old");
    dev.get("/invoices/1", &token).is(200);
    issuer.says(Says::Down);
    let asked = issuer.asked();
    until("a question in vain", || (issuer.asked() > asked).then_some(()));
    dev.get("/invoices/1", &token).is(200);
    let refused = until_within(Duration::from_secs(30), || {
        Some(dev.get("/invoices/1", &token)).filter(|answer| answer.status != 200)
    });
    assert_eq!(code(&dev, &refused.expect("the bound").is(401)), "keys_unavailable");
    assert!(dev.log().contains("no key set that is young enough"), "{}", dev.log());
    // nobody else notices
    dev.get("/invoices/1", &Mint::shared().ci(&ci_claims())).is(200);
    issuer.says(Says::Keys(vec![key("old")]));
    until("its return", || (dev.get("/invoices/1", &token).status == 200).then_some(()));
}

#[test]
fn a_flood_of_made_up_keys_is_no_flood_at_the_issuer() {
    let issuer = Issuer::start(Says::Keys(vec![key("true")]));
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&issuer, "").upstream(&upstream.url));
    let good = token("far", "true");
    dev.get("/invoices/1", &good).is(200);
    let (before, began) = (issuer.asked(), Instant::now());
    let now = epoch_seconds();
    let claims = json!({
        "iss": "https://issuer.acme.test/far", "sub": "probe", "aud": "https://billing.acme.test", "iat": now, "exp": now + 300,
    });
    let payload = base64url(claims.to_string().as_bytes());
    let mut conn = Conn::open(dev.gateway());
    let mut last = String::new();
    for number in 0..2_000 {
        let header = json!({"alg": "ES256", "kid": format!("../../{number}' --")}).to_string();
        let forged = format!("{}.{payload}.{}", base64url(header.as_bytes()), base64url(&[7; 64]));
        assert!(conn.send(&request("GET", "/invoices/1", Some(&forged), &[])), "the gateway hung up");
        last = conn.answer().is(401).record().to_owned();
    }
    let allowed = 3 + usize::try_from(began.elapsed().as_secs() / 10).expect("a small number") + 1;
    let asked = issuer.asked() - before;
    assert!((1..=allowed).contains(&asked), "asked {asked} times, at most {allowed} are within the budget");
    // refused by the thousand, it is counted: its counter is written within a second
    let counted = until("the counter", || {
        let ran = dev.cli(&["explain", &last, "--output", "json"]);
        (ran.code == 0).then(|| ran.json().to_string())
    });
    assert!(counted.contains("\"key_unknown\""), "{counted}");
    dev.get("/invoices/1", &good).is(200);
    assert_eq!(upstream.reached().len(), 2);
}
