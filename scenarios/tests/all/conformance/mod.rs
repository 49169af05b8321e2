//! `conformance`: what the built binary says of a sound server and of a broken one, and how it exits.

use testkit::workload_api::{Fault, WorkloadApi};
use tokio::runtime::Runtime;

use crate::harness::{Ran, run};

/// A server in this process, and what the binary says of it.
fn said_of(fault: Option<Fault>, more: &[&str]) -> Ran {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(async {
        match fault {
            None => WorkloadApi::sound().await,
            Some(fault) => WorkloadApi::with(fault).await,
        }
    });
    let (socket, bundle) = (server.socket(), server.bundle_url());
    let asked = ["conformance", "--socket", socket.to_str().unwrap(), "--bundle", &bundle];
    run(&[&asked, more].concat(), b"")
}

#[test]
fn a_sound_server_ends_well_and_a_broken_one_does_not() {
    let sound = said_of(None, &["--output", "json"]).ended(0);
    assert_eq!(sound.out.lines().count(), 1, "one document, one line");
    let document = sound.json();
    assert_eq!((&document["ok"], &document["failed"]), (&true.into(), &0.into()), "{document:#}");
    let broken = said_of(Some(Fault::AlgNoneAccepted), &["--output", "json"]).ended(1).json();
    let failed: Vec<&serde_json::Value> =
        broken["lines"].as_array().unwrap().iter().filter(|line| line["result"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!((&failed[0]["line"], &failed[0]["seen"]), (&32.into(), &"none: accepted".into()));
}

#[test]
fn a_caller_without_identity_ends_badly_with_advice() {
    let ran = said_of(Some(Fault::NobodyRegistered), &[]).ended(1);
    assert!(ran.out.contains("register a workload with selector unix:uid:"), "{ran:?}");
}

#[test]
fn ci_systems_get_their_xml() {
    let ran = said_of(Some(Fault::TwoUriNames), &["--output", "junit", "--include", "16-18"]).ended(1);
    assert!(ran.out.contains(r#"<testsuites name="countersign conformance" tests="102" failures="1""#), "{ran:?}");
    assert!(ran.out.contains(r#"<failure message="spiffe://example.test/workload: 2 URI names"/>"#), "{ran:?}");
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let refused = |more: &[&str], code: i32, words: &str| {
        let ran = run(&[&["conformance"], more].concat(), b"").ended(code);
        assert_eq!(ran.err.trim_end(), format!("countersign: {words}"));
    };
    let nobody = ["--socket", "/nobody/here.sock"];
    refused(&nobody, 4, "nothing answers at `/nobody/here.sock`: No such file or directory (os error 2)");
    refused(&[&nobody[..], &["--skip", "103"]].concat(), 3, "there is no line 103; the last is 102");
    refused(&[&nobody[..], &["--timeout", "soon"]].concat(), 3, "`soon` is no duration such as 5s");
    let other = run(&["version", "--output", "junit"], b"").ended(64);
    assert_eq!(other.err.trim_end(), "countersign: `--output junit` is for `conformance` alone: expected text or json");
}
