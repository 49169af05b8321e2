//! What is said of what a process says.

use std::time::Duration;

use model::Time;
use serde_json::{Value, json};

use super::word::look;
use super::{ports, text};

fn at() -> Time {
    "2027-01-15T08:00:00Z".parse().unwrap()
}

fn sound() -> Value {
    json!({
        "time": at().to_string(),
        "trust_domain": "prod.acme.test",
        "generation": 1,
        "epoch": 4,
        "detail": {
            "age_seconds": 1,
            "staleness_seconds": {"routine": 3600, "sensitive": 300, "critical": 30},
            "clock": "steady",
            "svid_ends": at().plus(Duration::from_secs(3600)).to_string(),
            "authority_ends": at().plus(Duration::from_secs(300 * 86400)).to_string(),
            "authorities_overdue": [],
            "ledger": {"waiting": 0, "unrecorded": 0, "writable": true},
            "key_sets": [{"source": "github", "age_seconds": 60, "failing": 0}],
            "planes": [{"name": "gateway/edge-1", "id": "spiffe://prod.acme.test/countersign/gateway/edge-1", "standing": "current", "heard": "2027-01-15T07:59:58Z"}],
        },
    })
}

/// Findings on a process that is as `change` makes it.
fn check(change: impl FnOnce(&mut Value), expected: &str) {
    let mut status = sound();
    change(&mut status);
    let findings = look(&status, at());
    let said: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(said.contains(expected), "no `{expected}` in:\n{said}");
}

#[test]
fn a_process_that_is_well_has_nothing_but_ok() {
    let said = text(&look(&sound(), at()));
    assert_eq!(
        said,
        "\
ok       process      it answers, and decides for prod.acme.test by epoch 1.4
ok       age          what is in force was confirmed 1 s ago
ok       clock        it is steady
ok       recording    the ledger takes all that is judged
ok       certificates the SVID in use ends at 2027-01-15T09:00:00.000000Z
ok       certificates the last of the trust domain's authorities ends at 2027-11-11T08:00:00.000000Z
ok       keys         the key set of `github` is 60 s old
ok       planes       gateway/edge-1 decides by what is in force

problems: 0, warnings: 0"
    );
}

#[test]
fn whatever_is_wrong_is_said_with_what_to_do() {
    let set =
        |pointer: &'static str, value: Value| move |status: &mut Value| *status.pointer_mut(pointer).unwrap() = value;
    check(set("/trust_domain", Value::Null), "warning  process      it answers, and nothing is in force\n");
    check(
        set("/detail/age_seconds", json!(301)),
        "problem  age          control was last heard 301 s ago; refused are the tiers: sensitive, critical\n",
    );
    check(
        set("/detail/clock", json!("jumped")),
        "problem  clock        the clock jumped: sensitive and critical operations",
    );
    check(
        set("/time", json!("2027-01-15T08:00:09Z")),
        "warning  clock        the process's clock and this one are 9 s apart\n",
    );
    check(
        set("/detail/ledger/writable", json!(false)),
        "problem  recording    the ledger takes nothing: every call is refused\n",
    );
    check(
        set("/detail/ledger/unrecorded", json!(3)),
        "warning  recording    3 judgements were not taken since the start, and 0 records wait\n",
    );
    check(
        set("/detail/svid_ends", json!("2027-01-15T08:01:00Z")),
        "problem  certificates the SVID in use ends at 2027-01-15T08:01:00.000000Z\n",
    );
    check(
        set("/detail/authority_ends", json!("2027-01-15T08:30:00Z")),
        "warning  certificates the last of the trust domain's authorities ends",
    );
    check(
        set("/detail/authority_ends", json!("2027-01-15T00:00:00Z")),
        "problem  certificates the last of the trust domain's authorities ends",
    );
    check(
        set(
            "/detail/authorities_overdue",
            json!([{"kind": "x509", "since": "2027-01-15T07:00:00Z", "why": "it is away"}]),
        ),
        "warning  certificates an authority of x509-SVIDs is not changed as is due since 2027-01-15T07:00:00Z: it is away\n",
    );
    check(
        set("/detail/key_sets/0/age_seconds", Value::Null),
        "problem  keys         `github` has no key set that is young enough: its tokens are refused\n",
    );
    check(
        set("/detail/key_sets/0/failing", json!(4)),
        "warning  keys         the last 4 fetches of `github` failed; its key set is 60 s old\n",
    );
    check(
        set("/detail/planes/0/standing", json!("silent")),
        "warning  planes       gateway/edge-1 is silent; it was heard last: 2027-01-15T07:59:58Z\n                      do: look at it; if it is gone for good, `countersign revoke principal spiffe://prod.acme.test/countersign/gateway/edge-1`\n",
    );
    check(set("/detail/planes/0/standing", json!("behind")), "warning  planes       gateway/edge-1 is behind;");
    check(
        set("/detail/planes/0/standing", json!("revoked")),
        "ok       planes       gateway/edge-1 is revoked, and hears nothing more\n",
    );
    // an answer of another version is not taken for health
    check(
        |status| drop(status.as_object_mut().unwrap().remove("detail")),
        "problem  recording    the ledger takes nothing",
    );
}

#[test]
fn a_port_that_is_taken_is_found_by_the_settings_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!(
        "environment: e\ntrustDomain: e.test\nlisten: {{planes: \"{address}\", admin: \"127.0.0.1:0\"}}\nnames: [localhost]\n"
    );
    std::fs::write(folder.path().join("server.yaml"), settings).unwrap();
    let said: Vec<String> = ports::look(folder.path()).iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(&format!("problem  ports        {address} is in use by another process\n")),
        "{said:?}"
    );
    std::fs::write(folder.path().join("server.yaml"), "environment: [").unwrap();
    assert!(ports::look(folder.path())[0].to_string().starts_with("problem  settings     "));
}
