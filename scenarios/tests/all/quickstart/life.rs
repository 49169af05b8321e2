//! How `dev` starts, what it leaves for programs, how it is changed, and how it ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Dev, Estate, folder, run, until};

/// The line of the quickstart by which the agent may read.
const READS: &str = r#"agents/dunning", action in Action::"read""#;
const ADMINISTERS: &str = r#"agents/dunning", action in Action::"administer""#;

#[test]
fn dev_json_says_where_everything_is() {
    let mut dev = Dev::start();
    assert_eq!(dev.info["pid"], dev.pid());
    for pointer in ["/gateway/http", "/issuer", "/upstream"] {
        let url = dev.info.pointer(pointer).and_then(|url| url.as_str()).expect(pointer);
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    }
    assert!(dev.ledger().is_dir() && dev.estate().is_dir());
    let tokens: Vec<&str> = dev.info["tokens"].as_array().expect("a list").iter().filter_map(|t| t.as_str()).collect();
    assert_eq!(tokens, ["ci-main", "ci-fork", "ci-lookalike", "dunning", "alice"]);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(dev.control().trim_start_matches("unix:").as_ref()), 0o600);
    assert_eq!(mode(&dev.dir()), 0o700);
    assert_eq!(dev.stop(), 0);
    assert!(!dev.dir().join("dev.json").exists(), "nobody is sent to a closed door");
}

#[test]
fn the_tour_walks_and_says_what_it_saw() {
    let folder = folder();
    let dir = folder.path().join("tour");
    let ran = run(&["dev", "--tour", "--dir", dir.to_str().unwrap()], b"").ended(0);
    for word in [
        "ci-main",
        "ci-fork",
        "ci-lookalike",
        "dunning",
        "alice",
        "nobody",
        "forbidden",
        "principal_unknown",
        "no_permit",
        "operation_unmapped",
        "evidence_missing",
        "credential_missing",
        "explain",
        "apply",
        "jobs-need-protected-ref",
    ] {
        assert!(ran.out.contains(word), "the tour does not say `{word}`:\n{}", ran.out);
    }
    assert!(!ran.out.contains("DIFFERS"), "{}", ran.out);
    let again = run(&["dev", "--tour", "--dir", dir.to_str().unwrap()], b"").ended(1);
    assert!(again.err.contains("is not empty"), "{again:?}");
}

#[test]
fn a_second_dev_on_one_directory_says_who_holds_it() {
    let dev = Dev::start();
    let dir = dev.dir();
    let second = run(&["dev", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"], b"").ended(1);
    assert!(second.err.contains(&format!("process {}", dev.pid())), "{second:?}");
    assert!(second.err.contains(dir.to_str().unwrap()), "{second:?}");
    let token = dev.token("ci-main");
    dev.get("/invoices/1", &token).is(200);
    let fresh = run(&["dev", "--fresh", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"], b"").ended(1);
    assert!(fresh.err.contains("held by another"), "{fresh:?}");
    dev.get("/invoices/1", &token).is(200);
}

#[test]
fn fresh_does_not_empty_a_directory_that_dev_did_not_make() {
    let folder = folder();
    let precious = folder.path().join("precious.txt");
    fs::write(&precious, "mine").unwrap();
    let ran =
        run(&["dev", "--fresh", "--dir", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"], b"").ended(1);
    assert!(ran.err.contains("was not made by `countersign dev`"), "{ran:?}");
    assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
}

#[test]
fn a_port_in_use_is_named_together_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder();
    let ran = run(&["dev", "--dir", folder.path().to_str().unwrap(), "--listen", &address.to_string()], b"").ended(1);
    assert!(ran.err.contains(&address.port().to_string()) && ran.err.contains("--listen"), "{ran:?}");
}

#[test]
fn an_address_of_the_outside_is_refused() {
    let folder = folder();
    let ran = run(&["dev", "--dir", folder.path().to_str().unwrap(), "--listen", "0.0.0.0:0"], b"").ended(64);
    assert!(ran.err.contains("loopback"), "{ran:?}");
}

#[test]
fn what_was_applied_holds_over_a_restart_and_a_difference_is_said() {
    let mut dev = Dev::serving(&Estate::ours());
    let dunning = || crate::harness::Mint::shared().dunning(&crate::harness::dunning_claims());
    dev.get("/invoices/1", &dunning()).is(200);
    dev.apply(&Estate::ours().replacing(READS, ADMINISTERS));
    assert_eq!(dev.get("/invoices/1", &dunning()).is(403).code(), "no_permit");
    assert_eq!(dev.stop(), 0);
    dev.again();
    assert_eq!(dev.get("/invoices/1", &dunning()).is(403).code(), "no_permit");
    assert!(!dev.log().contains("differs from what is in force"), "{}", dev.log());
    assert_eq!(dev.stop(), 0);

    Estate::ours().write(dev.estate());
    dev.again();
    assert_eq!(dev.get("/invoices/1", &dunning()).is(403).code(), "no_permit");
    // programs are told first, by `dev.json`
    until("it is said", || dev.log().contains("differs from what is in force").then_some(()));
    let ran = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]).ended(0);
    assert!(ran.out.contains("in force"), "{ran:?}");
    dev.get("/invoices/1", &dunning()).is(200);
    dev.verify().ended(0);
}

#[test]
fn watching_applies_what_is_saved() {
    let dev = Dev::with(Some(&Estate::ours()), &["--watch"]);
    let dunning = || crate::harness::Mint::shared().dunning(&crate::harness::dunning_claims());
    dev.get("/invoices/1", &dunning()).is(200);
    Estate::ours().replacing(READS, ADMINISTERS).write(dev.estate());
    until("the next answer flips", || (dev.get("/invoices/1", &dunning()).status == 403).then_some(()));
    // what does not load changes nothing
    fs::write(dev.estate().join("billing.cedar"), "permit (principal, action, resource);").unwrap();
    until("the failure is said", || dev.log().contains("is not applied").then_some(()));
    assert_eq!(dev.get("/invoices/1", &dunning()).status, 403);
    Estate::ours().write(dev.estate());
    until("and back", || (dev.get("/invoices/1", &dunning()).status == 200).then_some(()));
    let by_owner = dev.records().into_iter().filter(|r| r["operation"] == "apply" && r["door"] == "control");
    assert!(by_owner.count() >= 4, "each save passed the gates and was recorded");
}
