//! A ledger in numbers: exactly what was recorded, counted and refused.

use audit::{Ledger, OutcomeResult, Stranger, Unrecorded, Urgency};
use model::{Code, RecordId};

use super::support::{AT, Shelf, open, refused, settle};
use crate::tally::{Decisions, Outcomes};

fn decisions(door: &str, decision: &str, count: u64) -> Decisions {
    let tier = Some("routine".to_owned());
    Decisions { door: door.to_owned(), decision: decision.to_owned(), code: None, tier, count }
}

#[tokio::test]
async fn figures_tell_alike_verdicts_together_and_what_waits() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    for n in 1..=7 {
        ledger.record(refused(n), AT).await.unwrap();
    }
    settle(open(&ledger, 11, Urgency::Routine).await);
    let held = open(&ledger, 12, Urgency::Durable).await;
    let figures = ledger.figures();
    let expected = [decisions("gateway", "deny", 6), decisions("control", "deny", 1), decisions("gateway", "allow", 2)];
    assert_eq!(figures.written.decisions, expected);
    // a judgement that is taken in is written behind the outcomes that waited before it, and this one synced all
    let settled = Outcomes { result: OutcomeResult::Delivered, code: None, count: 1 };
    assert_eq!(figures.written.outcomes, [settled]);
    assert_eq!((figures.written.records, figures.written.unsynced), (10, 0));
    assert_eq!((figures.waiting, figures.open, figures.unrecorded, figures.writable), (0, 1, 0, true));
    drop(held);
    ledger.close().await;
    let figures = ledger.figures();
    assert_eq!((figures.written.records, figures.open, figures.writable), (11, 0, false));
    assert_eq!(figures.written.outcomes.len(), 2);
}

#[tokio::test]
async fn what_is_counted_is_no_decision_and_what_is_not_taken_neither() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let stranger = Stranger { source: None, code: Code::CredentialMissing };
    for n in 1..=700 {
        ledger.record_or_count(stranger, RecordId::new([7; 16]), AT, || refused(n)).await.unwrap();
    }
    ledger.close().await;
    assert_eq!(ledger.record(refused(1), AT).await, Err(Unrecorded::Unwritable));
    let figures = ledger.figures();
    let recorded: u64 = figures.written.decisions.iter().map(|alike| alike.count).sum();
    let counted = figures.written.counted;
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&Code::CredentialMissing]);
    assert_eq!(recorded + counted.into_values().sum::<u64>(), 700);
    assert!(recorded >= 500, "{recorded}");
    assert_eq!(figures.unrecorded, 1);
}
