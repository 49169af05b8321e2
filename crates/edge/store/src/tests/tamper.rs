//! Whatever happens to the bytes of a ledger, it is seen, or nothing was changed.

use std::fs;

use super::support::{Shelf, options, tell};
use crate::ledger::FileLedger;

/// Four records in one raw segment, and its bytes.
async fn four() -> (Shelf, Vec<u8>) {
    let shelf = Shelf::whole(4).await;
    let bytes = fs::read(shelf.last()).unwrap();
    (shelf, bytes)
}

#[tokio::test]
async fn what_verifies_is_a_beginning_of_what_was_written() {
    let (shelf, bytes) = four().await;
    let (path, whole) = (shelf.last(), shelf.story());
    testkit::mutate(&bytes, 1_500, |changed| {
        fs::write(&path, changed).unwrap();
        let verification = shelf.verify();
        let through = verification.through.values().copied().sum::<u64>() as usize;
        if verification.ok {
            assert_eq!(shelf.story()[..through], whole[..through]);
        } else {
            assert!(verification.fault.unwrap().seq as usize == through + 1);
        }
    });
}

#[tokio::test]
async fn what_starts_keeps_all_that_was_written_before_the_last_record() {
    let (shelf, bytes) = four().await;
    let (path, whole) = (shelf.last(), shelf.story());
    testkit::mutate(&bytes, 600, |changed| {
        fs::write(&path, changed).unwrap();
        if let Ok((ledger, started)) = FileLedger::start(shelf.dir(), options(64 << 20)) {
            drop(ledger);
            let story: Vec<_> = shelf.records().iter().map(tell).filter(|line| line.starts_with("judgement")).collect();
            assert_eq!(story[..], whole[..story.len()]);
            // what a start cut off was less than one record, and it says so
            let longest = bytes.len() as u64 / 3;
            let kept = fs::metadata(&path).unwrap().len();
            assert!(started.cut_bytes < longest || changed.ends_with(&[0]), "{} of {kept}", started.cut_bytes);
            assert!(shelf.verify().ok);
        } else {
            assert_eq!(fs::read(&path).unwrap(), changed, "what is damaged is left as it is");
        }
    });
}
