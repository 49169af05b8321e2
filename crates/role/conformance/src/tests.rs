//! The kit against a sound server, and against every fault that the testkit's server can have.

mod faults;
mod golden;
mod readers;
mod refusals;

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::workload_api::WorkloadApi;

use super::{Options, Report, Selection, Verdict, lines, run};

/// Long enough for a machine that does much else.
const PATIENT: Duration = Duration::from_secs(20);

fn options(server: &WorkloadApi) -> Options {
    Options {
        socket: server.socket(),
        bundle: Some(server.bundle_url()),
        audience: "conformance".to_owned(),
        within: PATIENT,
        settled: Duration::from_millis(50),
        selection: Selection::default(),
    }
}

fn numbers(report: &Report, which: impl Fn(&Verdict) -> bool) -> BTreeSet<u16> {
    report.judgements.iter().filter(|it| which(&it.verdict)).map(|it| it.line.number).collect()
}

fn failed(report: &Report) -> BTreeSet<u16> {
    numbers(report, |verdict| matches!(verdict, Verdict::Failed { .. }))
}

fn passed(report: &Report) -> BTreeSet<u16> {
    numbers(report, |verdict| matches!(verdict, Verdict::Passed { .. }))
}

#[tokio::test]
async fn a_sound_server_breaks_no_line() {
    let server = WorkloadApi::sound().await;
    let report = run(&options(&server)).await.unwrap();
    assert!(report.is_ok(), "{}", report.text());
    assert_eq!(report.identity.as_deref(), Some("spiffe://example.test/workload"));
}

/// A line that a sound server is not seen to hold could never be seen to be broken, either.
#[tokio::test]
async fn of_a_sound_server_every_line_that_can_be_checked_is_seen() {
    let server = WorkloadApi::sound().await;
    let mut options = options(&server);
    options.selection = Selection::new(&[], &[], true).unwrap();
    let report = run(&options).await.unwrap();
    // no WIT-SVIDs; plain HTTP; one trust domain's bundle; and the caller has an identity
    let not_here: BTreeSet<u16> = [41, 42, 43, 44, 45, 47, 50, 58, 64, 87].into();
    let checkable: BTreeSet<u16> = lines().filter(|line| line.can_be_checked()).map(|line| line.number).collect();
    let expected: BTreeSet<u16> = checkable.difference(&not_here).copied().collect();
    assert_eq!(passed(&report), expected, "{}", report.text());
}

#[test]
fn every_line_of_the_list_stands_once_and_in_order() {
    let numbers: Vec<u16> = lines().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=102).collect::<Vec<u16>>());
}
