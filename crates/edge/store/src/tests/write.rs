//! Writing: order, segments, compression, and a disk that refuses.

use std::collections::BTreeSet;

use audit::{Body, Ledger, Slot, Stranger, Unrecorded, Urgency};
use model::{Code, RecordId, Time};

use super::support::{AT, Shelf, allowed, delivered, id, open, refused, settle};

#[tokio::test]
async fn what_was_recorded_is_there_before_the_ledger_is_closed() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    ledger.record(refused(1), AT).await.unwrap();
    let slot = open(&ledger, 2, Urgency::Durable).await;
    assert_eq!(shelf.story(), ["judgement 1", "judgement 2"]);
    settle(slot);
    ledger.close().await;
    assert_eq!(shelf.story(), ["judgement 1", "judgement 2", "delivered 2"]);
    assert_eq!(shelf.verdict(), "ok through [3] NotProven");
}

#[tokio::test]
async fn a_record_bears_the_time_at_which_it_was_judged_or_settled() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let slot = ledger.open(allowed(1), Time::from_unix_seconds(1), Urgency::Routine).await.unwrap();
    slot.settle(delivered(), Time::from_unix_seconds(2));
    ledger.close().await;
    let times: Vec<_> = shelf.records().into_iter().map(|record| record.stamp.time).collect();
    assert_eq!(times, ["1970-01-01T00:00:01.000000Z", "1970-01-01T00:00:02.000000Z"]);
}

#[tokio::test]
async fn a_slot_that_is_dropped_says_failed() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    drop(open(&ledger, 1, Urgency::Routine).await);
    ledger.close().await;
    assert_eq!(shelf.story(), ["judgement 1", "failed 1"]);
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_judgement_is_written_says_failed() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    for n in 1..=100 {
        let mut opening = Box::pin(ledger.open(allowed(n), AT, Urgency::Routine));
        // asked once, then dropped
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(opening.as_mut().poll(context)));
        drop(polled.await);
    }
    ledger.close().await;
    let story = shelf.story();
    for n in 1..=100 {
        assert!(story.contains(&format!("judgement {n}")) && story.contains(&format!("failed {n}")));
    }
}

#[tokio::test]
async fn a_slot_settles_its_own_judgement_and_no_other() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    // the outcome says that it is of 0
    settle(open(&ledger, 7, Urgency::Routine).await);
    ledger.close().await;
    assert_eq!(shelf.story(), ["judgement 7", "delivered 7"]);
}

#[tokio::test]
async fn a_closed_ledger_records_nothing() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let slot = open(&ledger, 1, Urgency::Routine).await;
    ledger.close().await;
    assert_eq!(ledger.record(refused(2), AT).await, Err(Unrecorded::Unwritable));
    assert!(matches!(ledger.open(allowed(3), AT, Urgency::Routine).await, Err(Unrecorded::Unwritable)));
    assert_eq!(ledger.checkpoint(AT).await, Err(Unrecorded::Unwritable));
    settle(slot);
    ledger.close().await;
    assert_eq!(shelf.story(), ["judgement 1"]);
}

#[tokio::test]
async fn a_record_that_no_frame_can_hold_is_refused_and_the_next_is_written() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let mut long = allowed(1);
    long.operation = Some("x".repeat(audit::MAX_FRAME));
    assert_eq!(ledger.record(long.clone(), AT).await, Err(Unrecorded::Unwritable));
    assert!(matches!(ledger.open(long, AT, Urgency::Durable).await, Err(Unrecorded::Unwritable)));
    ledger.record(refused(2), AT).await.unwrap();
    ledger.close().await;
    assert_eq!(shelf.story(), ["judgement 2"]);
    assert_eq!(shelf.verdict(), "ok through [1] NotProven");
}

#[tokio::test]
async fn a_checkpoint_is_the_number_and_the_hash_of_its_own_frame() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    ledger.record(refused(1), AT).await.unwrap();
    let head = ledger.checkpoint(AT).await.unwrap();
    ledger.record(refused(2), AT).await.unwrap();
    ledger.close().await;
    let records = shelf.records();
    assert_eq!((head.seq, head.head.to_string()), (2, records[2].stamp.prev.clone()));
    assert_eq!(head.writer, shelf.writer());
    assert!(matches!(&records[1].body, Body::Checkpoint { head } if *head == records[1].stamp.prev));
}

#[tokio::test]
async fn counted_judgements_become_one_record_a_source_and_code() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let one = RecordId::new([1; 16]);
    for n in 0..1000 {
        let other = RecordId::new([2; 16]);
        let id = ledger.count(Code::LedgerUnavailable, Some("control"), if n == 0 { one } else { other }, AT);
        assert_eq!(id, one);
    }
    assert_eq!(ledger.count(Code::Overloaded, None, RecordId::new([3; 16]), AT), one);
    ledger.close().await;
    let counted: Vec<_> = shelf.records().into_iter().map(|record| record.body).collect();
    let [Body::Counted(overloaded), Body::Counted(unavailable)] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!((overloaded.source.as_deref(), overloaded.count), (None, 1));
    assert_eq!((unavailable.source.as_deref(), unavailable.count), (Some("control"), 1000));
    assert_eq!((unavailable.id.clone(), unavailable.code.as_str()), (one.to_string(), "ledger_unavailable"));
}

#[tokio::test]
async fn every_stranger_is_recorded_or_counted_and_hears_under_which_id() {
    const STRANGERS: u64 = 3000;
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let (mut heard, mut made) = (BTreeSet::new(), 0);
    for n in 0..STRANGERS {
        let stranger = Stranger { source: None, code: Code::CredentialMalformed };
        let id = id(n).parse().unwrap();
        let refusal = || {
            made += 1;
            refused(n)
        };
        heard.insert(ledger.record_or_count(stranger, id, AT, refusal).await.unwrap().to_string());
    }
    ledger.close().await;
    let (mut known, mut recorded, mut counted) = (BTreeSet::new(), 0, 0);
    for record in shelf.records() {
        match record.body {
            Body::Judgement(judgement) => {
                recorded += 1;
                known.insert(judgement.id);
            }
            Body::Counted(counter) => {
                assert_eq!((counter.source, counter.code.as_str()), (None, "credential_malformed"));
                counted += counter.count;
                known.insert(counter.id);
            }
            Body::Outcome(_) | Body::Checkpoint { .. } | Body::Recovered(_) => panic!("{:?}", record.stamp),
        }
    }
    assert_eq!(heard, known);
    assert_eq!(recorded + counted, STRANGERS);
    assert_eq!(made, recorded, "of what is only counted, no record is made");
    assert!((500..STRANGERS).contains(&recorded), "{recorded}");
    assert!(shelf.verify().ok);
}

#[tokio::test]
async fn segments_close_and_are_compressed_and_read_as_before() {
    let shelf = Shelf::compressed(40).await;
    let (ledger, _) = shelf.start();
    ledger.record(refused(41), AT).await.unwrap();
    ledger.close().await;
    let segments = shelf.segments();
    assert!(segments.len() > 10);
    assert!(segments[..segments.len() - 1].iter().all(|path| path.extension().unwrap() == "zst"));
    assert_eq!(shelf.verdict(), "ok through [41] NotProven");
    assert_eq!(shelf.story(), (1..=41).map(|n| format!("judgement {n}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_at_once_are_chained_one_behind_the_other() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start_with(64 * 1024);
    let ledger = std::sync::Arc::new(ledger);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let ledger = std::sync::Arc::clone(&ledger);
        tasks.spawn(async move {
            for n in 0..30 {
                let urgency = if n % 10 == 0 { Urgency::Durable } else { Urgency::Routine };
                settle(open(&ledger, task * 1000 + n, urgency).await);
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.unwrap();
    }
    ledger.close().await;
    assert_eq!(shelf.verdict(), "ok through [1920] NotProven");
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let shelf = Shelf::with(20).await;
    let mut paths = shelf.segments();
    paths.extend(["current", "lock"].map(|name| shelf.dir().join(name)));
    for path in paths {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let writer = shelf.dir().join(shelf.writer());
    assert_eq!(writer.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
