//! The conformance kit, at our own agent.

use std::collections::BTreeSet;

use serde_json::Value;

use super::wit::{ON, witnessed};
use super::{estate, joined, own_uid, registration};
use crate::harness::{Estate, run};

/// Lines whose result is this one.
fn lines(report: &Value, result: &str) -> BTreeSet<u64> {
    let lines = report["lines"].as_array().expect("lines").iter().filter(|line| line["result"] == result);
    lines.filter_map(|line| line["line"].as_u64()).collect()
}

/// Lines of which anything can be seen from outside.
fn looked_at() -> BTreeSet<u64> {
    conformance::lines().filter(|line| line.can_be_checked()).map(|line| u64::from(line.number)).collect()
}

#[test]
fn our_agent_and_our_bundle_keep_every_line_that_can_be_looked_at() {
    // two SVIDs, so that hints and default are of something
    let two = estate("  hint: internal\n").document(&registration("second", own_uid(), "  hint: external\n"));
    let (sockets, installation) = joined(&two);
    let (socket, bundle) = (sockets.of("node-1"), installation.word("server", "/admin") + "/bundle");
    let socket = socket.to_str().unwrap();
    let asked = ["conformance", "--socket", socket, "--bundle", &bundle, "--incubating", "--output", "json"];
    let report = run(&asked, b"").ended(0).json();
    // 41–50: there are no WIT-SVIDs here; 58 and 64: the bundle is one trust domain's, over plain HTTP; 87: there is an identity
    let unseen: BTreeSet<u64> = [41, 42, 43, 44, 45, 47, 50, 58, 64, 87].into();
    assert_eq!(lines(&report, "pass"), looked_at().difference(&unseen).copied().collect(), "{report:#}");
}

#[test]
fn our_agent_with_wit_svids_keeps_their_lines_too() {
    let two = estate("  hint: internal\n").document(&registration("second", own_uid(), "  hint: external\n"));
    let (sockets, _installation) = witnessed(ON, ON, &two);
    let socket = sockets.of("node-1");
    let asked = ["conformance", "--socket", socket.to_str().unwrap(), "--incubating", "--output", "json"];
    let report = run(&asked, b"").ended(0).json();
    assert_eq!(lines(&report, "fail"), BTreeSet::new(), "{report:#}");
    let unseen: BTreeSet<u64> = [48, 49].into();
    let wit: BTreeSet<u64> = (41..=50).chain([90, 93, 94]).filter(|line| looked_at().contains(line)).collect();
    assert!(lines(&report, "pass").is_superset(&wit.difference(&unseen).copied().collect()), "{report:#}");
}

#[test]
fn our_agent_gives_a_caller_without_identity_nothing() {
    let (sockets, _installation) = joined(&Estate::empty().document(&registration("web", own_uid() + 1, "")));
    let socket = sockets.of("node-1");
    let asked = ["conformance", "--socket", socket.to_str().unwrap(), "--output", "json"];
    let report = run(&asked, b"").ended(1).json();
    assert_eq!(lines(&report, "fail"), BTreeSet::new(), "{report:#}");
    assert!(lines(&report, "pass").is_superset(&[74, 75, 76, 78, 80, 87].into()), "{report:#}");
    assert!(report["advice"].as_str().unwrap().contains("register a workload"), "{report:#}");
}
