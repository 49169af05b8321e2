//! `dev` before an API and behind an issuer that are the user's own: refused first, and let through once that is written.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::Issuer;
use crate::harness::{Answer, Conn, Dev, Upstream, folder, golden, run, until};

const API: &str = "openapi: 3.0.3
info: {title: Invoices, version: 1.0.0}
servers: [{url: https://api.example/v1}]
paths:
  /invoices:
    get: {operationId: list}
    post: {operationId: create}
  /invoices/{invoice-id}:
    get: {operationId: one}
  /invoices/{invoice-id}.pdf:
    get: {operationId: print}
";
const AUDIENCE: &str = "https://api.example";

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// What `dev` has printed, once it has said that many times that it is ready: programs are told first, by `dev.json`.
fn told(dev: &Dev, starts: usize) -> String {
    until("it is said", || Some(dev.log()).filter(|log| log.matches("Ctrl-C drains and stops.\n").count() == starts))
}

/// A request to the address that `dev` prints, as a newcomer makes it.
fn ask(dev: &Dev, method: &str, target: &str, token: Option<&str>) -> Answer {
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let mut conn = Conn::open(dev.gateway());
    conn.send(format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n{authorization}\r\n", dev.gateway()).as_bytes());
    conn.answer_to(method)
}

/// With `old`, which has to be in the file, written as `new`.
#[track_caller]
fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("it is there");
    assert!(text.contains(old), "`{old}` is not in\n{text}");
    fs::write(file, text.replace(old, new)).expect("it can be written");
}

#[test]
fn a_users_own_api_and_issuer_are_protected_in_a_few_edits() {
    let (issuer, upstream, files) = (Issuer::start(), Upstream::start(), folder());
    let api = files.path().join("invoices.yaml");
    fs::write(&api, API).unwrap();
    let flags = ["--upstream", &upstream.url, "--openapi", path(&api), "--issuer", &issuer.url, "--audience", AUDIENCE];
    let mut dev = Dev::with(None, &flags);
    let written = fs::read_to_string(dev.estate().join("estate.yaml")).unwrap();
    golden("dev/own-api.yaml", &written.replace(&issuer.url, "<issuer>").replace(&upstream.url, "<upstream>"));
    golden("dev/own-api.cedar", &fs::read_to_string(dev.estate().join("api.cedar")).unwrap());
    golden(
        "dev/own-api.txt",
        &told(&dev, 1)
            .replace(&dev.dir().display().to_string(), "D")
            .replace(dev.info["gateway"]["http"].as_str().unwrap(), "<gateway>"),
    );

    let token = issuer.token(&json!({"sub": "alice", "aud": AUDIENCE}));
    let get = |target: &str| ask(&dev, "GET", target, Some(&token));
    let code = |target: &str| get(target).is(403).code();
    assert_eq!(code("/v1/invoices/17"), "no_permit");
    assert_eq!(code("/v1/statistics"), "operation_unmapped");
    assert_eq!(code("/v1/invoices/17.pdf"), "no_permit", "it is an invoice like any other");
    let other = issuer.token(&json!({"sub": "alice", "aud": "https://else.example"}));
    let other = ask(&dev, "GET", "/v1/invoices/17", Some(&other));
    assert_eq!(dev.record(other.is(401).record())["verdicts"][0]["code"], "audience_wrong");
    ask(&dev, "GET", "/v1/invoices/17", None).is(401);
    assert!(upstream.reached().is_empty(), "{:?}", upstream.reached());

    let apply = || dev.cli(&["apply", "--yes", "-f", path(dev.estate())]).ended(0);
    edit(&dev.estate().join("api.cedar"), "// @id(\"people-read\")", "@id(\"people-read\")");
    edit(&dev.estate().join("api.cedar"), "// permit (principal is Human", "permit (principal is Human");
    apply();
    let record = dev.record(get("/v1/invoices/17").is(200).record());
    assert_eq!(record["principal"]["id"], "human:idp:alice");
    assert_eq!(upstream.only("/v1/invoices/17").target(), "/v1/invoices/17");
    assert_eq!(ask(&dev, "POST", "/v1/invoices", Some(&token)).is(403).code(), "no_permit");
    assert_eq!(code("/v1/statistics"), "operation_unmapped");

    let estate = dev.estate().join("estate.yaml");
    let last = "{match: \"GET /v1/invoices/{invoice-id}\", action: read, resource: api/invoices}";
    let one_more = "{match: \"GET /v1/statistics\", action: read, resource: api/invoices}";
    edit(&estate, last, &format!("{last}\n      - {one_more}"));
    apply();
    get("/v1/statistics").is(200);

    assert_eq!(dev.stop(), 0);
    let again = run(&[&["dev", "--dir", path(&dev.dir())], &flags[..]].concat(), b"").ended(64);
    let there =
        format!("`{}` is there already, and --upstream lays out a first one", dev.dir().join("estate").display());
    assert!(again.err.contains(&there), "{again:?}");
    dev.flags(&[]);
    dev.again();
    ask(&dev, "GET", "/v1/statistics", Some(&token)).is(200);
    assert!(!told(&dev, 2).contains("ci-main"), "nobody is told to be a caller whom this estate does not know");
}

#[test]
fn the_issuer_is_asked_when_the_estate_is_laid_out_and_must_be_the_one_named() {
    let (issuer, files) = (Issuer::start(), folder());
    let api = files.path().join("api.json");
    fs::write(&api, r#"{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}"#).unwrap();
    let dir = files.path().join("d");
    let dev = |issuer: &str, more: &[&str]| {
        let flags =
            ["--upstream", "http://127.0.0.1:1", "--openapi", path(&api), "--issuer", issuer, "--audience", AUDIENCE];
        run(&[&["dev", "--listen", "127.0.0.1:0", "--dir", path(&dir)], &flags[..], more].concat(), b"")
    };
    let slash = dev(&format!("{}/", issuer.url), &[]).ended(3);
    assert!(slash.err.contains("they are compared as they are written"), "{slash:?}");
    let nobody = dev("http://127.0.0.1:1", &[]).ended(4);
    assert!(nobody.err.contains("cannot be fetched; name its keys with --jwks-url"), "{nobody:?}");
    let plain = dev("https://idp.example", &["--jwks-url", "http://idp.example/jwks"]).ended(3);
    assert!(plain.err.contains("`http://idp.example/jwks`: expected `https://`"), "{plain:?}");
    assert!(!dir.join("estate").exists());
    for missing in ["--upstream", "--openapi", "--issuer", "--audience"] {
        let all = ["--upstream", "http://127.0.0.1:1", "--openapi", "x", "--issuer", "x", "--audience", "x"];
        let some: Vec<&str> = all.chunks(2).filter(|pair| pair[0] != missing).flatten().copied().collect();
        let ran = run(&[&["dev"], &some[..]].concat(), b"").ended(64);
        assert!(ran.err.contains(missing), "{ran:?}");
    }
}
