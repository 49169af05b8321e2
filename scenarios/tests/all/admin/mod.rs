//! The admin listener: liveness, and public keys that fit what the gateway shows. It is no way to the service behind.

mod metrics;

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Answer, Dev, call};

fn ask(dev: &Dev, method: &str, target: &str) -> Answer {
    let address = dev.info["admin"].as_str().expect("dev.json names it").trim_start_matches("http://");
    call(address, method, target, None, &[])
}

fn document(dev: &Dev, target: &str) -> Value {
    serde_json::from_str(&ask(dev, "GET", target).is(200).text()).expect("JSON")
}

#[test]
fn a_server_that_serves_says_that_it_lives_and_is_ready() {
    let dev = Dev::start();
    assert_eq!(document(&dev, "/livez"), json!({"live": true}));
    assert_eq!(document(&dev, "/readyz"), json!({"ready": true, "epoch": 1}));
}

#[test]
fn the_bundle_holds_the_authority_that_callers_are_given_and_the_keys_one_issuer() {
    let dev = Dev::start();
    let bundle = document(&dev, "/bundle");
    let served = bundle["keys"][0]["x5c"][0].as_str().expect("a certificate");
    let pem: String = fs::read_to_string(dev.ca()).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(BASE64_STANDARD.decode(served).unwrap(), BASE64_STANDARD.decode(pem).unwrap());
    assert!(bundle["spiffe_sequence"].as_u64().is_some_and(|sequence| sequence > 0), "{bundle}");
    let keys = document(&dev, "/keys");
    assert_eq!((&keys["issuer"], keys["keys"].as_array().unwrap().len()), (&json!("spiffe://prod.acme.test"), 1));
    assert!(keys["keys"][0].get("d").is_none(), "a private key: {keys}");
}

#[test]
fn nothing_else_is_there_and_nothing_of_it_is_at_the_gateway() {
    let dev = Dev::start();
    ask(&dev, "GET", "/invoices/1").is(404);
    ask(&dev, "POST", "/livez").is(404);
    for target in ["/livez", "/readyz", "/metrics", "/keys", "/bundle"] {
        dev.call("GET", target, None).is(401);
    }
    assert!(dev.reached().is_empty());
}
