//! More than control can do at a time: an agent has its part, and no other goes without.

use std::path::Path;

use super::{estate, joined};
use crate::harness::{command, finish, peer};

#[test]
fn an_agent_that_asks_for_more_than_its_part_is_told_to_come_again_and_no_other_goes_without() {
    let (sockets, installation) = joined(&estate(""));
    let planes = installation.ready("server")["planes"].as_str().expect("where planes come").to_owned();
    let folder = peer("COUNTERSIGN_TEST_ENVOY", "a Python environment with gRPC");
    let mut herd = command(&folder.join("bin/python"), &[]);
    herd.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/herd.py"));
    herd.arg(planes.trim_start_matches("https://")).arg(installation.home("node-1").join("svid")).arg("8");
    let asking = std::thread::spawn(move || finish(herd, b""));
    // another of its kind of request is in a line of its own
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
    let said = asking.join().expect("it ends").ended(0).out;
    let done = said.lines().filter(|line| line.starts_with("OK")).count();
    let turned_away: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("UNAVAILABLE ")).collect();
    // two requests of 500 orders are the part of one
    assert!(done >= 2 && !turned_away.is_empty() && done + turned_away.len() == 8, "{said}");
    let records = installation.records("server");
    for told in turned_away {
        assert!(told.starts_with("overloaded: too many requests are in flight"), "{told}");
        let record = records.iter().find(|record| told.contains(record["id"].as_str().unwrap_or("-")));
        let record = record.unwrap_or_else(|| panic!("`{told}` has no record"));
        assert_eq!((&record["operation"], &record["verdicts"][0]["code"]), (&"mint x509".into(), &"overloaded".into()));
    }
    sockets.go("node-1", &["x509"]).ended(0);
}
