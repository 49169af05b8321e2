//! Exchanging the binary: each process is stopped and started again on what it kept, under load, and a state of the format
//! before is brought up to date. No request that was begun fails, and no record is lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use super::{ci, with_gateway};
use crate::harness::{Conn, End, Installation, command, finish, peer, request, until};

/// Asks on one connection after another until told to stop; gives the ids of the records of its answers.
fn ask_on(address: &str, token: &str, stop: &AtomicBool) -> Vec<String> {
    let mut records = Vec::new();
    while !stop.load(Ordering::Acquire) {
        // while the process is exchanged, nobody listens
        let Ok(mut conn) = Conn::try_open(address) else { continue };
        for _ in 0..20 {
            if !conn.send(&request("GET", "/invoices/1", Some(token), &[])) {
                break;
            }
            let answer = conn.answer();
            if answer.status == 0 {
                // closed between two requests, and not within an answer
                assert_eq!(answer.end, End::Closed, "{answer:?}");
                break;
            }
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{answer:?}");
            records.push(answer.record().to_owned());
        }
    }
    records
}

#[test]
fn processes_are_exchanged_under_load_without_a_failed_request_or_a_lost_record() {
    let (_upstream, mut installation) = with_gateway("{routine: 1h, sensitive: 5m, critical: 30s}");
    installation.fix_ports("edge-1");
    let address = installation.word("edge-1", "/gateway/http").trim_start_matches("http://").to_owned();
    let (token, stop) = (ci(), AtomicBool::new(false));
    let answered: Vec<String> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_on(&address, &token, &stop))).collect();
        for name in ["edge-1", "server", "edge-1"] {
            assert_eq!(installation.stop(name), 0, "{}", installation.log(name));
            if name == "server" {
                older_format(&installation);
            }
            installation.start(name);
        }
        until("some more answers", || installation.records("edge-1").len().checked_sub(100));
        stop.store(true, Ordering::Release);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert!(answered.len() > 50, "{}", answered.len());
    let records = installation.records("edge-1");
    let of = |kind: &str, field: &str| -> BTreeSet<String> {
        let these = records.iter().filter(|record| record["kind"] == kind);
        these.filter_map(|record| Some(record[field].as_str()?.to_owned())).collect()
    };
    let (judged, ended) = (of("judgement", "id"), of("outcome", "of"));
    let lost: Vec<_> = answered.iter().filter(|id| !judged.contains(*id) || !ended.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let unknown = records.iter().filter(|record| record["result"] == "unknown").count();
    assert_eq!(unknown, 0, "a drain leaves nothing open");
    let ledger = installation.word("edge-1", "/ledger");
    let verified = crate::harness::run(&["ledger", "verify", &ledger, "--output", "json"], b"").ended(0).json();
    assert_eq!(verified["ok"], json!(true));
    let replayed = installation.cli_at("edge-1", &["replay", "--since", "10m", "--output", "json"]).ended(0).json();
    assert_eq!(replayed["checked"], replayed["agreed"], "{replayed}");
    // the control plane knows what it knew, and its gateway
    assert_eq!(installation.position("server"), (1, 1));
}

/// What the program before this one kept: no table of planes.
fn older_format(installation: &Installation) {
    let state = installation.dir().join("state/state.db");
    let script = format!(
        "import sqlite3\nc = sqlite3.connect({:?})\nc.executescript('DROP TABLE planes; DROP TABLE enrolments; \
         UPDATE schema_version SET version = 2;')\nc.close()\n",
        state.display().to_string()
    );
    let python = peer("COUNTERSIGN_TEST_PYTHON", "a Python, as `./test` pins it");
    finish(command(&python, &["-c", &script]), b"").ended(0);
}
