//! Names, types and labels as they are promised.

use std::collections::BTreeMap;
use std::time::Duration;

use audit::OutcomeResult;
use credential::MemoCounts;
use guard::{Clock, Staleness};
use model::{Code, Time};
use store::{Decisions, Figures, Outcomes, Written};

use super::page;
use crate::federation::FederationCounts;
use crate::keys::KeyCounts;
use crate::vitals::Seen;

fn decisions(decision: &str, code: Option<&str>, tier: Option<&str>, count: u64) -> Decisions {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Decisions { door: "gateway".to_owned(), decision: decision.to_owned(), code: owned(code), tier: owned(tier), count }
}

fn kept(source: &str, age: Option<u64>) -> KeyCounts {
    let age = age.map(Duration::from_secs);
    KeyCounts { source: source.parse().unwrap(), age, fetches: 9, failures: 2, failing: 0, refetches: 1, refused: 0 }
}

fn seen() -> Seen {
    let at = Time::from_unix_seconds(1_800_000_000);
    let written = Written {
        records: 20,
        unsynced: 3,
        decisions: vec![
            decisions("allow", None, Some("routine"), 7),
            decisions("deny", Some("credential_missing"), None, 2),
        ],
        counted: BTreeMap::from([(Code::CredentialMissing, 1200)]),
        outcomes: vec![
            Outcomes { result: OutcomeResult::Delivered, code: None, count: 6 },
            Outcomes { result: OutcomeResult::Failed, code: Some("upstream_timeout".to_owned()), count: 1 },
        ],
    };
    Seen {
        at,
        started: at.minus(Duration::from_secs(60)),
        generation: 1,
        epoch: 4,
        revocation_seq: 9,
        trust_domain: Some("prod.acme.test".to_owned()),
        age: Duration::from_millis(1500),
        staleness: Staleness::default(),
        clock: Clock::Jumped,
        ledger: Figures { written, waiting: 5, open: 1, unrecorded: 0, writable: true },
        keys: vec![kept("github", Some(30)), kept("people", None)],
        memos: vec![MemoCounts { source: "github".parse().unwrap(), hits: 6, misses: 1 }],
        federations: vec![FederationCounts {
            domain: "partner.test".parse().unwrap(),
            age: Some(Duration::from_secs(12)),
            is_known: true,
            fetches: 4,
            failures: 1,
        }],
        svid_ends: Some(at.plus(Duration::from_secs(3600))),
        authority_ends: Some(at.minus(Duration::from_secs(1))),
    }
}

#[test]
fn the_page_is_this() {
    let page = page(&seen()).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/tests.golden"), &page).unwrap();
    }
    assert_eq!(page, include_str!("tests.golden"));
}

#[test]
fn every_family_has_help_a_type_and_a_unit_or_a_total() {
    let page = page(&seen());
    let names = |word: &str| -> Vec<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names("# HELP "), names("# TYPE "));
    for line in page.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert_eq!(line.ends_with(" counter"), line.contains("_total "), "{line}");
    }
}
