//! Following a ledger while it grows.

use std::fs;

use audit::{Ledger, Record};

use super::support::{AT, Shelf, refused, tell};
use crate::cursor::Cursor;

fn poll(cursor: &mut Cursor) -> Vec<String> {
    cursor.poll(1000).unwrap().iter().map(tell).collect()
}

fn judgements(numbers: impl Iterator<Item = u64>) -> Vec<String> {
    numbers.map(|n| format!("judgement {n}")).collect()
}

#[tokio::test]
async fn a_cursor_gives_each_record_once_while_segments_come_and_are_compressed() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start_with(2048);
    let mut cursor = Cursor::at_start(shelf.dir());
    assert_eq!(poll(&mut cursor), Vec::<String>::new());
    let mut seen = Vec::new();
    for n in 1..=100 {
        ledger.record(refused(n), AT).await.unwrap();
        if n % 7 == 0 {
            seen.extend(poll(&mut cursor));
            assert_eq!(seen.len() as u64, n);
        }
    }
    seen.extend(poll(&mut cursor));
    assert_eq!(seen, judgements(1..=100));
    assert!(shelf.segments().len() > 10);
}

#[tokio::test]
async fn a_poll_gives_no_more_than_was_asked_for() {
    let shelf = Shelf::compressed(20).await;
    let mut cursor = Cursor::at_start(shelf.dir());
    let mut seen: Vec<Record> = Vec::new();
    for _ in 0..7 {
        let records = cursor.poll(3).unwrap();
        assert!(records.len() <= 3);
        seen.extend(records);
    }
    assert_eq!(seen.iter().map(tell).collect::<Vec<_>>(), judgements(1..=20));
}

#[tokio::test]
async fn a_cursor_at_the_end_gives_only_what_comes() {
    let shelf = Shelf::with(9).await;
    let mut cursor = Cursor::at_end(shelf.dir()).unwrap();
    assert_eq!(poll(&mut cursor), Vec::<String>::new());
    let (ledger, _) = shelf.start();
    ledger.record(refused(10), AT).await.unwrap();
    assert_eq!(poll(&mut cursor), judgements(10..=10));
    drop(ledger);
    crate::begin_new_chain(shelf.dir(), AT).unwrap();
    assert_eq!(poll(&mut cursor), ["recovered 0 0"]);
}

#[tokio::test]
async fn a_record_that_is_being_written_is_given_when_it_is_whole() {
    let shelf = Shelf::whole(3).await;
    let bytes = fs::read(shelf.last()).unwrap();
    let mut cursor = Cursor::at_start(shelf.dir());
    fs::write(shelf.last(), &bytes[..bytes.len() - 300]).unwrap();
    assert_eq!(poll(&mut cursor), judgements(1..=2));
    fs::write(shelf.last(), &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(poll(&mut cursor), Vec::<String>::new());
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(poll(&mut cursor), judgements(3..=3));
}

#[tokio::test]
async fn records_that_were_taken_back_do_not_stop_a_cursor() {
    let shelf = Shelf::whole(3).await;
    let bytes = fs::read(shelf.last()).unwrap();
    let mut cursor = Cursor::at_start(shelf.dir());
    assert_eq!(poll(&mut cursor), judgements(1..=3));
    let two = bytes.len() / 3 * 2;
    fs::write(shelf.last(), &bytes[..two]).unwrap();
    assert_eq!(poll(&mut cursor), Vec::<String>::new());
    let (ledger, _) = shelf.start();
    ledger.record(refused(7), AT).await.unwrap();
    assert_eq!(poll(&mut cursor).last().unwrap(), "judgement 7");
}

#[tokio::test]
async fn a_segment_that_goes_missing_is_an_error() {
    let shelf = Shelf::compressed(12).await;
    let mut cursor = Cursor::at_start(shelf.dir());
    cursor.poll(1).unwrap();
    fs::remove_file(&shelf.segments()[1]).unwrap();
    let error = cursor.poll(1000).unwrap_err();
    assert!(matches!(error, crate::LedgerFault::Damaged(_)), "{error}");
}
