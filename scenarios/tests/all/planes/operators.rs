//! Operators from elsewhere: by a certificate that the settings name to the byte, through the same gates as everyone, and by
//! no other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::Time;
use serde_json::{Value, json};

use super::{ci, estate, with_gateway};
use crate::harness::{Identity, Installation, Mint, Ran, Upstream, alice_claims, end, shake_hands, until};

const LONG: &str = "{routine: 1h, sensitive: 5m, critical: 30s}";
const OPERATOR: &str = "human:operators:admin";
const NOT_TAKEN: &str = "does not take this certificate: is it, to the byte, one of `operators` in its server.yaml";

/// A control plane in which nothing was applied yet.
fn fresh() -> Installation {
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    installation.start("server");
    installation
}

/// An operator's certificate, made an hour before `at` for two hours, and its key.
fn certificate(installation: &Installation, folder: &str, at: Time) -> Identity {
    let folder = installation.path(folder);
    fs::create_dir_all(&folder).unwrap();
    let key = testkit::key();
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
    };
    let der = testkit::operators_certificate(&key, "admin", at, |_| {});
    let made = Identity { cert: folder.join("operator.pem"), key: folder.join("operator.key") };
    fs::write(&made.cert, pem("CERTIFICATE", &der)).unwrap();
    write_private(&made.key, &pem("PRIVATE KEY", &key.serialize_der()));
    made
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn now() -> Time {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Time::from_unix_seconds(i64::try_from(seconds).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A verb as the operator, with this certificate instead of their own.
fn with(installation: &Installation, identity: &Identity, args: &[&str]) -> Ran {
    let own = ["--operator-cert", text(&identity.cert), "--operator-key", text(&identity.key)];
    installation.cli_elsewhere(&[args, &own].concat())
}

/// Why the last operation of that name was refused, and which credential said what.
fn refused(installation: &Installation, operation: &str) -> (Value, Value) {
    let records = installation.records("server");
    let judged = |record: &&Value| record["operation"] == operation && record["verdicts"][0]["decision"] == "deny";
    let record = records.iter().rev().find(judged).unwrap_or_else(|| panic!("no refused {operation}"));
    (record["verdicts"][0]["code"].clone(), record["presented"][0].clone())
}

#[test]
fn an_operator_from_elsewhere_applies_the_first_estate_and_is_recorded_by_their_certificate() {
    let upstream = Upstream::start();
    let installation = fresh();
    assert_eq!(installation.cli_elsewhere(&["whoami"]).ended(0).out.trim(), OPERATOR);
    let status = installation.cli_elsewhere(&["status", "--output", "json"]).ended(0).json();
    assert_eq!((&status["epoch"], &status["trust_domain"]), (&json!(0), &Value::Null), "{status}");
    let early = installation.cli_elsewhere(&["enroll", "token", "--role", "gateway", "--name", "edge-1"]).ended(3);
    assert!(early.err.contains("nothing is in force here: apply an estate first"), "{early:?}");
    let folder = installation.path("estate");
    estate(&upstream, LONG).write(&folder);
    installation.cli_elsewhere(&["apply", "--yes", "-f", text(&folder)]).ended(0);
    installation.cli_elsewhere(&["apply", "--yes", "-f", text(&folder)]).ended(0);
    let kinds = installation.cli_elsewhere(&["get", "principals", "--output", "json"]).ended(0).json();
    assert!(kinds["items"].as_array().is_some_and(|items| items.len() > 2), "{kinds}");
    let minted = installation.path("minted");
    installation.cli_elsewhere(&["svid", "mint", "reporter", "--out", text(&minted)]).ended(0);
    installation.cli_elsewhere(&["resolve", "--cert", text(&minted.join("svid.pem"))]).ended(0);
    let own = installation.cli_elsewhere(&["resolve", "--cert", "operator.pem", "--output", "json"]).ended(0).json();
    assert_eq!((&own["principal"]["id"], &own["steps"][0]["source"]), (&json!(OPERATOR), &json!("operators")));
    let records = installation.cli_elsewhere(&["ledger", "tail", "--output", "json"]).ended(0).lines();
    let applied = records.iter().find(|record| record["operation"] == "apply").expect("it is recorded");
    assert_eq!(applied["principal"], json!({"id": OPERATOR, "kind": "Human", "owner": "operators"}));
    let presented = &applied["presented"][0];
    assert_eq!(
        (&presented["source"], &presented["kind"], &presented["binding"], &presented["key"]),
        (&json!("operators"), &json!("x509"), &json!("mtls"), &json!(["admin"]))
    );
    assert!(presented["credential_id"].as_str().unwrap().starts_with("serial:"), "{presented}");
    assert_eq!(applied["evidence"], json!(["sender_bound"]));
    installation.cli_elsewhere(&["explain", applied["id"].as_str().unwrap()]).ended(0);
    let replayed = installation.cli_elsewhere(&["replay", "--since", "10m", "--output", "json"]).ended(0).json();
    assert_eq!(replayed["differ"], json!([]), "{replayed}");
}

#[test]
fn what_an_operator_did_is_decided_again_offline_and_after_they_left() {
    let upstream = Upstream::start();
    let mut installation = fresh();
    let folder = installation.path("estate");
    estate(&upstream, LONG).write(&folder);
    installation.cli_elsewhere(&["apply", "--yes", "-f", text(&folder)]).ended(0);
    installation.stop("server");
    installation.edit("server.yaml", &[("  - {name: admin, certificate: operator/operator.pem}", "  []")]);
    let ledger = installation.dir().join("ledger");
    let replay = ["replay", "--since", "10m", "--output", "json"];
    let offline = crate::harness::run(&[&replay[..], &["--ledger", text(&ledger)]].concat(), b"").ended(0).json();
    assert_eq!(offline["differ"], json!([]), "{offline}");
    installation.start("server");
    assert_eq!(installation.cli(&replay).ended(0).json()["differ"], json!([]));
    assert!(installation.cli_elsewhere(&["status"]).ended(2).err.contains(NOT_TAKEN));
}

#[test]
fn a_certificate_that_looks_like_an_operators_does_not_get_through_the_handshake_and_is_recorded() {
    let installation = fresh();
    let other = certificate(&installation, "other", now());
    // the alert that says so must not be lost, whenever it comes
    for _ in 0..20 {
        assert!(with(&installation, &other, &["status"]).ended(2).err.contains(NOT_TAKEN));
    }
    let (code, presented) = refused(&installation, "unknown");
    assert_eq!(
        (code, &presented["source"], &presented["refused"]),
        (json!("chain_invalid"), &Value::Null, &json!("chain_invalid"))
    );
}

#[test]
fn a_certificate_counts_within_its_times_alone() {
    let mut installation = fresh();
    installation.stop("server");
    let day = Duration::from_secs(24 * 3600);
    let (past, ahead) =
        (certificate(&installation, "past", now().minus(day)), certificate(&installation, "ahead", now().plus(day)));
    let more = format!(
        "operator/operator.pem}}\n  - {{name: past, certificate: {}}}\n  - {{name: ahead, certificate: {}}}",
        text(&past.cert),
        text(&ahead.cert)
    );
    installation.edit("server.yaml", &[("operator/operator.pem}", &more)]);
    installation.start("server");
    for (identity, expected) in [(past, "expired"), (ahead, "not_yet_valid")] {
        assert!(with(&installation, &identity, &["status"]).ended(2).err.contains(NOT_TAKEN));
        let (code, presented) = refused(&installation, "unknown");
        assert_eq!(
            (code, &presented["source"], &presented["kind"]),
            (json!(expected), &json!("operators"), &json!("x509"))
        );
    }
    installation.cli_elsewhere(&["status"]).ended(0);
}

#[test]
fn an_operator_speaks_for_nobody_else_and_nobody_for_them() {
    let (_upstream, installation) = with_gateway(LONG);
    let operator = installation.operator();
    let ask = |token: &str| {
        super::doors::ask(&installation, Some(&operator), "GET", "/v1/status", Some(token), "").is(401);
        refused(&installation, "status").0
    };
    assert_eq!(ask(&ci()), "kind_mismatch");
    let mut claims = alice_claims();
    claims["iat"] = json!(crate::harness::epoch_seconds());
    assert_eq!(ask(&Mint::shared().alice(&claims)), "conflicting_credentials");
    super::doors::ask(&installation, Some(&operator), "GET", "/v1/status", None, "").is(200);
}

#[test]
fn an_operators_certificate_opens_no_gateway() {
    let (_upstream, installation) = with_gateway(LONG);
    let address = installation.word("edge-1", "/gateway/https");
    let ca = PathBuf::from(installation.word("server", "/ca"));
    let (address, operator) = (address.trim_start_matches("https://"), installation.operator());
    if let Ok(mut conn) = shake_hands(address, crate::harness::HOST, &ca, Some(&operator)) {
        conn.send(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", crate::harness::HOST).as_bytes());
        assert_eq!(conn.answer().status, 0);
    }
    let records = installation.records("edge-1");
    let refused = records.iter().rev().find(|record| record["door"] == "gateway").expect("it is recorded");
    assert_eq!((&refused["verdicts"][0]["code"], &refused["principal"]), (&json!("chain_invalid"), &Value::Null));
}

#[test]
fn a_revoked_operator_is_cut_off_in_the_middle_of_an_answer_and_comes_back_with_another_certificate() {
    let mut installation = fresh();
    let mut following = installation.elsewhere(&["ledger", "tail", "--follow", "--output", "json"]);
    let mut following = following.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let reader = thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let id = until("the follower's record", || {
        let records = installation.records("server");
        let tail = records.iter().find(|record| record["principal"]["id"] == OPERATOR)?;
        tail["presented"][0]["credential_id"].as_str().map(str::to_owned)
    });
    installation.cli(&["revoke", "credential", &id]).ended(0);
    until("the end of the stream", || reader.is_finished().then_some(()));
    end(&mut following);
    assert!(reader.join().unwrap().iter().any(|line| line.contains("ledger tail")));
    let refused = installation.cli_elsewhere(&["status"]).ended(2);
    assert!(refused.err.contains("who asks is not proved (unauthenticated, record "), "{refused:?}");
    // another certificate for the same name
    installation.stop("server");
    let next = certificate(&installation, "next", now());
    for (from, to) in [(&next.cert, "operator.pem"), (&next.key, "operator.key")] {
        fs::copy(from, installation.dir().join("operator").join(to)).unwrap();
    }
    installation.start("server");
    assert_eq!(installation.cli_elsewhere(&["whoami"]).ended(0).out.trim(), OPERATOR);
}

#[test]
fn operators_cannot_lock_themselves_or_the_machines_owner_out() {
    let installation = fresh();
    let records = || installation.records("server");
    installation.cli_elsewhere(&["status"]).ended(0);
    let status = records().into_iter().find(|record| record["operation"] == "status").expect("it is recorded");
    let serial = status["presented"][0]["credential_id"].as_str().unwrap().to_owned();
    let owner = installation.cli(&["whoami"]).ended(0).out.trim().to_owned();
    let uid = owner.replace("human:local:", "uid:");
    let last = "`local` is how operators come here; nobody could restore it";
    let own = |what: &str| format!("{what} is what let in who asks; only somebody else can revoke it");
    for (args, told) in [
        (["revoke", "principal", OPERATOR], format!("`{OPERATOR}` is who asks; nobody could restore it")),
        (["revoke", "credential", &serial], own(&format!("credential `{serial}`"))),
        (["revoke", "source", "operators"], own("source `operators`")),
        (["revoke", "source", "local"], last.to_owned()),
        (["revoke", "principal", &owner], last.to_owned()),
        (["revoke", "credential", &uid], last.to_owned()),
    ] {
        let ran = installation.cli_elsewhere(&args).ended(3);
        assert_eq!(ran.err.trim(), format!("countersign: {told}"));
    }
    // whoever holds the machine can, and takes it back
    for args in [["source", "operators"], ["principal", OPERATOR]] {
        installation.cli(&[&["revoke"], &args[..]].concat()).ended(0);
        installation.cli_elsewhere(&["status"]).ended(2);
    }
}

#[test]
fn who_answers_and_how_it_is_reached_are_looked_at_before_anything_is_said() {
    let (mut installation, mut staging) = (fresh(), Installation::laid_out("staging", "staging.acme.test"));
    staging.start("server");
    // another environment's control plane, at the address where ours should be
    let there = staging.word("server", "/planes");
    let other = installation.cli_elsewhere(&["status", "--server", &there]).ended(4);
    let why = "is not the control plane: trust domain `staging.acme.test` is not trusted here";
    assert!(other.err.contains(why), "{other:?}");
    // flags say what the context file would
    let here = installation.word("server", "/planes");
    let ca = installation.dir().join("ca.pem");
    let operator = installation.operator();
    let flags = ["--operator-cert", text(&operator.cert), "--operator-key", text(&operator.key), "--ca", text(&ca)];
    let asked = ["status", "--server", &here];
    crate::harness::run(&[&asked[..], &flags[..]].concat(), b"").ended(0);
    let nothing = crate::harness::run(&asked, b"").ended(64);
    assert!(nothing.err.contains("name --operator-cert, --operator-key and --ca"), "{nothing:?}");
    let odd = crate::harness::run(&["status", "--server", "http://127.0.0.1:1"], b"").ended(64);
    assert!(odd.err.contains("is no server's address: expected `unix:PATH` or `https://HOST:PORT`"), "{odd:?}");
    let absent = installation.cli_elsewhere(&["status", "--operator-key", "nowhere.key"]).ended(3);
    assert!(absent.err.contains("cannot read `nowhere.key`: it is not there"), "{absent:?}");
    installation.stop("server");
    let folder = installation.path("elsewhere");
    let mut gone = crate::harness::command(&crate::harness::binary(), &["status"]);
    gone.current_dir(&folder).env("COUNTERSIGN_CONTEXT", "context.json");
    let gone = crate::harness::finish(gone, b"").ended(4);
    assert!(gone.err.contains("cannot connect to control at 127.0.0.1:"), "{gone:?}");
}

#[test]
fn a_gateway_that_answers_in_controls_place_is_told_nothing() {
    let (_upstream, installation) = with_gateway(LONG);
    let gateway = installation.word("edge-1", "/gateway/https");
    let other = installation.cli_elsewhere(&["status", "--server", &gateway]).ended(4);
    let why = "expected `spiffe://prod.acme.test/countersign/server`, found `spiffe://prod.acme.test/countersign/gateway/edge-1`";
    assert!(other.err.contains(why), "{other:?}");
}

#[test]
fn settings_that_name_no_operators_certificate_start_nothing() {
    let mut installation = fresh();
    installation.stop("server");
    fs::copy(installation.dir().join("ca.pem"), installation.dir().join("operator/operator.pem")).unwrap();
    let settings = installation.dir().join("server.yaml");
    let started = crate::harness::run(&["server", "--config", text(&settings)], b"").ended(3);
    let why = "server.yaml:10:5: it is no operator's certificate: it has a URI name";
    assert!(started.err.contains(why), "{started:?}");
}
