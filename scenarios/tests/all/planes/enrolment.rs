//! First contact: a token is good for one use, for one name, at one environment's control plane.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::{estate, with_gateway};
use crate::harness::{Installation, Upstream, until};

/// A point of P-256 (its generator): a key whose private half everybody knows.
const EXAMPLE_POINT: &str = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
const LONG: &str = "{routine: 1h, sensitive: 5m, critical: 30s}";

/// The judgement that an outcome is of, and its code.
fn outcomes(installation: &Installation, code: &str) -> usize {
    installation.records("server").iter().filter(|record| record["kind"] == "outcome" && record["code"] == code).count()
}

#[test]
fn a_gateway_that_is_enrolled_is_a_principal_with_an_svid_of_its_own() {
    let (_upstream, installation) = with_gateway(LONG);
    let planes = installation.cli(&["get", "planes", "--output", "json"]).ended(0).json();
    let plane = &planes["items"][0];
    let id = "spiffe://prod.acme.test/countersign/gateway/edge-1";
    assert_eq!((&plane["name"], &plane["id"]), (&json!("gateway/edge-1"), &json!(id)));
    let records = installation.records("server");
    let enrolled = records.iter().find(|record| record["operation"] == "enroll").expect("it is recorded");
    assert_eq!((&enrolled["principal"]["id"], &enrolled["presented"][0]["source"]), (&json!(id), &json!("enrolment")));
    let fed = records.iter().find(|record| record["operation"] == "feed").expect("it is recorded");
    assert_eq!(fed["presented"][0]["binding"], "mtls");
    // neither the token nor a key is anywhere but in its file
    let token = fs::read_to_string(installation.path("edge-1.token")).unwrap();
    let signature = token.trim().rsplit('.').next().unwrap();
    for name in ["server", "edge-1"] {
        assert!(!installation.log(name).contains(signature));
        assert!(!serde_json::to_string(&installation.records(name)).unwrap().contains(signature));
    }
}

#[test]
fn a_token_is_good_for_one_use_also_if_many_try_at_once() {
    let (_upstream, installation) = with_gateway(LONG);
    let spent = installation.path("edge-1.token");
    let again = installation.attempt("thief", &spent);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("control refused (401 Unauthorized): who asks is not proved, record "), "{again:?}");
    assert_eq!(outcomes(&installation, "replayed"), 1);
    let fresh = installation.token("edge-2");
    let installation = &installation;
    let ended: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|number| {
                let fresh = &fresh;
                // one of them runs on until it is stopped: it is given a directory that cannot be used once it is enrolled
                scope.spawn(move || spend(installation, &format!("racer-{number}"), fresh))
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(ended.iter().filter(|status| **status == 200).count(), 1, "{ended:?}");
    assert_eq!(ended.iter().filter(|status| **status == 401).count(), 3, "{ended:?}");
}

/// Enrols by hand, with a key of its own; gives the status.
fn spend(installation: &Installation, name: &str, token: &std::path::Path) -> u16 {
    use std::process::Command;
    let folder = installation.path(name);
    fs::create_dir(&folder).unwrap();
    let (key, csr) = (folder.join("key.pem"), folder.join("csr.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/",
            "-keyout",
        ])
        .args([&key])
        .arg("-out")
        .arg(&csr)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let body = json!({"csr": fs::read_to_string(&csr).unwrap(), "assertion_key": EXAMPLE_POINT}).to_string();
    let token = fs::read_to_string(token).unwrap();
    let answer = super::doors::ask(installation, None, "POST", "/v1/enrol", Some(token.trim()), &body);
    answer.status
}

#[test]
fn a_token_of_one_environment_and_one_that_was_tampered_with_open_nothing_at_another() {
    let upstream = Upstream::start();
    let production = Installation::serving(&estate(&upstream, LONG));
    let mut staging = Installation::laid_out("staging", "staging.acme.test");
    staging.start("server");
    let of_staging = estate(&upstream, LONG).of_environment("staging", "staging.acme.test");
    staging.apply(&of_staging, &[]).ended(0);
    let foreign = staging.token("edge-1");
    assert_eq!(production.attempt("edge-1", &foreign).code, 2);
    let last = |code: &str| {
        let records = production.records("server");
        let refused = records.iter().rev().find(|record| record["operation"] == "enroll").expect("it is recorded");
        assert_eq!(refused["verdicts"][0]["code"], code, "{refused}");
        assert_eq!(refused["principal"], Value::Null);
    };
    last("key_unknown");
    let own = production.token("edge-2");
    let mut text = fs::read_to_string(&own).unwrap().trim().to_owned();
    let claims = text.split('.').nth(1).unwrap().to_owned();
    let renamed =
        crate::harness::base64url(String::from_utf8(decode(&claims)).unwrap().replace("edge-2", "edge-1").as_bytes());
    text = text.replace(&claims, &renamed);
    fs::write(&own, text).unwrap();
    assert_eq!(production.attempt("edge-2", &own).code, 2);
    last("signature_invalid");
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn services_find_the_key_of_every_gateway_at_the_control_plane_until_it_is_revoked() {
    let (upstream, installation) = with_gateway(LONG);
    let keys = |name: &str| {
        let admin = installation.word(name, "/admin");
        let answer = crate::harness::call(admin.trim_start_matches("http://"), "GET", "/keys", None, &[]).is(200);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(document["issuer"], "spiffe://prod.acme.test");
        document["keys"].as_array().unwrap().clone()
    };
    let own = keys("edge-1");
    assert_eq!(own.len(), 1);
    until("it is published", || keys("server").contains(&own[0]).then_some(()));
    // what a service gets names that key
    installation.call("edge-1", "GET", "/invoices/1", Some(&super::ci())).is(200);
    let reached = upstream.reached();
    let assertion = reached[0].header("countersign-assertion").expect("the gateway's word").to_owned();
    let header: Value = serde_json::from_slice(&decode(assertion.split('.').next().unwrap())).unwrap();
    assert_eq!(header["kid"], own[0]["kid"]);
    installation.cli(&["revoke", "principal", "spiffe://prod.acme.test/countersign/gateway/edge-1"]).ended(0);
    until("it is not any more", || (!keys("server").contains(&own[0])).then_some(()));
}

#[test]
fn a_gateway_without_a_token_says_how_to_come_by_one_and_names_are_plain() {
    let (_upstream, installation) = with_gateway(LONG);
    let mut installation = installation;
    installation.stop("edge-1");
    fs::remove_dir_all(installation.home("edge-1").join("svid")).unwrap();
    let settings = installation.dir().join("edge-1.yaml");
    let started = crate::harness::run(&["gateway", "--config", settings.to_str().unwrap()], b"").ended(1);
    assert!(started.err.contains("start it with --enroll-token-file FILE"), "{started:?}");
    let minted =
        installation.cli(&["svid", "mint", "spiffe://prod.acme.test/countersign/gateway/edge-1", "--out", "unwritten"]);
    assert!(minted.ended(3).err.contains("is a part of Countersign itself, and enrols"));
    // a name is made up where none is given
    let made_up = installation.cli(&["enroll", "token", "--role", "gateway", "--output", "json"]).ended(0).json();
    let id =
        made_up["id"].as_str().unwrap().strip_prefix("spiffe://prod.acme.test/countersign/gateway/gateway-").unwrap();
    assert_eq!(id.len(), 8, "{made_up}");
    let odd = installation.cli(&["enroll", "token", "--role", "gateway", "--name", "../server"]).ended(3);
    assert!(odd.err.contains("a plane's name has between 1 and 64 lower-case letters, digits and `-`"), "{odd:?}");
    let long = installation.cli(&["enroll", "token", "--role", "gateway", "--name", "a", "--ttl", "25h"]).ended(3);
    assert!(long.err.contains("an enrolment token lives between 1 s and 24 h"), "{long:?}");
}
