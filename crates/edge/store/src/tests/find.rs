//! Finding judgements by id, by trace and from the end.

use std::fs;

use audit::{Ledger, Urgency};
use model::{Code, RecordId};

use super::support::{AT, Shelf, id, open, refused, settle, tell};
use crate::read::{Found, Wanted, find, find_last};

/// Ten judgements in several segments; the even ones are allowed, and delivered but for the tenth.
async fn ten() -> Shelf {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start_with(2048);
    for n in 1..=10 {
        if n % 2 == 1 {
            ledger.record(refused(n), AT).await.unwrap();
            continue;
        }
        let slot = open(&ledger, n, Urgency::Routine).await;
        if n == 10 {
            ledger.close().await;
            return shelf;
        }
        settle(slot);
    }
    shelf
}

fn say(found: &[Found]) -> Vec<String> {
    let one = |found: &Found| match found {
        Found::Judged(merged) => {
            let outcome = merged.outcome.as_ref().map(|(_, outcome)| outcome.result);
            format!("{} {outcome:?}", u64::from_str_radix(&merged.judgement.id, 16).unwrap())
        }
        Found::Counted(counters) => {
            let said = counters.iter().map(|(_, counted)| format!("{} {}", counted.code, counted.count));
            format!("counted {}", said.collect::<Vec<_>>().join(", "))
        }
    };
    found.iter().map(one).collect()
}

#[tokio::test]
async fn a_judgement_is_found_by_its_id_with_its_outcome() {
    let shelf = ten().await;
    assert!(shelf.segments().len() > 2);
    let by_id = |n| say(&find(shelf.dir(), Wanted::Id(&id(n))).unwrap());
    assert_eq!(by_id(2), ["2 Some(Delivered)"]);
    assert_eq!(by_id(3), ["3 None"]);
    assert_eq!(by_id(10), ["10 None"]);
    assert_eq!(by_id(11), Vec::<String>::new());
}

#[tokio::test]
async fn an_ambiguous_prefix_gives_all_that_fit() {
    let shelf = ten().await;
    let found = find(shelf.dir(), Wanted::Id(&id(0)[..31])).unwrap();
    assert_eq!(found.len(), 10);
    assert_eq!(say(&found).iter().filter(|said| said.ends_with("Some(Delivered)")).count(), 4);
    let many = Shelf::with(50).await;
    assert_eq!(find(many.dir(), Wanted::Id("")).unwrap().len(), 32);
}

#[tokio::test]
async fn counters_that_were_written_together_are_found_by_their_id() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    let counter = RecordId::new([0xab; 16]);
    for _ in 0..3 {
        ledger.count(Code::CredentialMissing, None, counter, AT);
    }
    let same = ledger.count(Code::SignatureInvalid, Some("github"), RecordId::new([0xcd; 16]), AT);
    assert_eq!(same, counter, "an id does not tell by which code it was counted");
    ledger.record(refused(1), AT).await.unwrap();
    ledger.close().await;
    for asked in [counter.to_string(), "abab".to_owned()] {
        assert_eq!(
            say(&find(shelf.dir(), Wanted::Id(&asked)).unwrap()),
            ["counted credential_missing 3, signature_invalid 1"]
        );
    }
    assert_eq!(find(shelf.dir(), Wanted::Id("")).unwrap().len(), 2);
    assert_eq!(say(find_last(shelf.dir(), |_| true).unwrap().as_slice()), ["1 None"]);
}

#[tokio::test]
async fn judgements_are_found_by_their_trace() {
    let shelf = ten().await;
    let found = find(shelf.dir(), Wanted::Trace(&id(1))).unwrap();
    assert_eq!(say(&found), ["1 None", "4 Some(Delivered)", "7 None", "10 None"]);
}

#[tokio::test]
async fn the_last_judgement_is_found_from_the_end() {
    let shelf = ten().await;
    let gateway = |found: Option<Found>| say(found.as_slice());
    assert_eq!(gateway(find_last(shelf.dir(), |_| true).unwrap()), ["10 None"]);
    assert_eq!(gateway(find_last(shelf.dir(), |judgement| judgement.door == "gateway").unwrap()), ["9 None"]);
    assert_eq!(gateway(find_last(shelf.dir(), |judgement| judgement.id == id(2)).unwrap()), ["2 Some(Delivered)"]);
    assert_eq!(gateway(find_last(shelf.dir(), |_| false).unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn what_stands_in_a_segment_is_said() {
    let shelf = ten().await;
    let entries: Vec<_> = crate::read(shelf.dir()).unwrap().map(|entry| entry.unwrap()).collect();
    let segments: Vec<_> =
        shelf.segments().iter().map(|path| path.strip_prefix(shelf.dir()).unwrap().to_owned()).collect();
    assert_eq!(entries[0].segment, segments[0].to_str().unwrap());
    assert_eq!(entries.last().unwrap().segment, segments.last().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn a_torn_tail_ends_reading_and_damage_is_an_error() {
    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes.truncate(bytes.len() - 1);
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.story(), ["judgement 1", "judgement 2"]);
    bytes[100] ^= 1;
    fs::write(shelf.last(), &bytes).unwrap();
    let read: Vec<_> = crate::read(shelf.dir()).unwrap().collect();
    assert_eq!(read.len(), 1);
    assert!(matches!(&read[0], Err(crate::LedgerFault::Damaged(fault)) if fault.seq == 1));
    assert!(find(shelf.dir(), Wanted::Id("")).is_err());
}

#[tokio::test]
async fn what_a_crash_closed_is_merged_as_unknown() {
    let shelf = ten().await;
    drop(shelf.start());
    assert_eq!(say(&find(shelf.dir(), Wanted::Id(&id(10))).unwrap()), ["10 Some(Unknown)"]);
}

#[tokio::test]
async fn what_follows_a_damaged_chain_is_read_all_the_same() {
    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    let second = bytes.len() / 3 + 100;
    bytes[second] ^= 1;
    fs::write(shelf.last(), &bytes).unwrap();
    assert!(find_last(shelf.dir(), |_| true).is_err(), "in the current chain damage is an error");
    crate::begin_new_chain(shelf.dir(), AT).unwrap();
    let (ledger, _) = shelf.start();
    ledger.record(refused(9), AT).await.unwrap();
    drop(ledger);
    let by_id = |n| say(&find(shelf.dir(), Wanted::Id(&id(n))).unwrap());
    assert_eq!((by_id(1), by_id(3), by_id(9)), (vec!["1 None".to_owned()], vec![], vec!["9 None".to_owned()]));
    assert_eq!(say(find_last(shelf.dir(), |_| true).unwrap().as_slice()), ["9 None"]);
    assert_eq!(say(find_last(shelf.dir(), |judgement| judgement.id == id(1)).unwrap().as_slice()), ["1 None"]);
    let read: Vec<_> = crate::read(shelf.dir()).unwrap().map(|entry| entry.map(|entry| tell(&entry.record))).collect();
    assert_eq!(read.len(), 4);
    assert!(matches!(&read[1], Err(crate::LedgerFault::Damaged(fault)) if fault.seq == 2));
    assert_eq!(read[3].as_ref().unwrap(), "judgement 9");
    let tail: Vec<_> = crate::Cursor::at_start(shelf.dir()).poll(100).unwrap().iter().map(tell).collect();
    assert_eq!(tail, ["judgement 1", "recovered 0 0", "judgement 9"]);
}
