//! Starts after a clean end, a crash and damage.

use std::fs;

use audit::{Ledger, Urgency};

use super::support::{AT, Shelf, open, refused, settle};
use crate::Options;
use crate::layout::{Form, Segment};
use crate::open::Open;

#[tokio::test]
async fn a_clean_restart_continues_the_chain_and_records_nothing() {
    let shelf = Shelf::new();
    let (ledger, first) = shelf.start();
    ledger.record(refused(1), AT).await.unwrap();
    drop(ledger);
    let (ledger, second) = shelf.start();
    assert_eq!(first, second);
    assert_eq!(second.note(), None);
    ledger.record(refused(2), AT).await.unwrap();
    drop(ledger);
    assert_eq!(shelf.story(), ["judgement 1", "judgement 2"]);
    assert_eq!(shelf.verdict(), "ok through [2] NotProven");
}

#[test]
fn a_ledger_has_one_process_at_a_time() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start();
    assert_eq!(shelf.refusal(), "the ledger `D` is in use by another process");
    drop(ledger);
    drop(shelf.start());
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off_and_said() {
    let whole = Shelf::whole(3).await;
    let (path, bytes) = (whole.last(), fs::read(whole.last()).unwrap());
    let before = fs::metadata(&path).unwrap().len();
    let (ledger, _) = whole.start();
    ledger.record(refused(4), AT).await.unwrap();
    drop(ledger);
    let longer = fs::read(&path).unwrap();
    assert_eq!(bytes[..], longer[..bytes.len()]);
    for end in bytes.len()..longer.len() {
        fs::write(&path, &longer[..end]).unwrap();
        assert_eq!(whole.verdict(), "ok through [3] NotProven", "cut at {end}");
        let (ledger, started) = whole.start();
        drop(ledger);
        let cut = end as u64 - before;
        assert_eq!((started.cut_bytes, started.open), (cut, 0), "cut at {end}");
        let mut story = whole.story();
        assert_eq!(story.split_off(3), if cut == 0 { vec![] } else { vec![format!("recovered {cut} 0")] });
        assert!(whole.verify().ok, "cut at {end}");
    }
}

#[tokio::test]
async fn a_last_record_with_a_wrong_checksum_is_cut_off_and_said() {
    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(shelf.last(), &bytes).unwrap();
    let (_, started) = shelf.start();
    assert!(started.cut_bytes > 500);
    assert_eq!(
        started.note().unwrap(),
        format!(
            "the ledger was recovered: {} bytes of a torn record cut off, 0 judgements left without an outcome",
            started.cut_bytes
        )
    );
    assert_eq!(
        shelf.story(),
        ["judgement 1".to_owned(), "judgement 2".to_owned(), format!("recovered {} 0", started.cut_bytes)]
    );
}

#[tokio::test]
async fn zeros_that_a_power_cut_left_are_cut_off() {
    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes.resize(bytes.len() + 10_000, 0);
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.verdict(), "ok through [3] NotProven");
    assert_eq!(shelf.start().1.cut_bytes, 10_000);
}

#[tokio::test]
async fn damage_before_the_last_record_is_never_taken_for_a_torn_tail() {
    let shelf = Shelf::whole(2).await;
    let (path, bytes) = (shelf.last(), fs::read(shelf.last()).unwrap());
    let second = 8 + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    // every claim that the first record makes of its length, up to far behind the end
    for length in (0..3 * bytes.len() as u32).step_by(7).chain([1 << 20, u32::MAX]) {
        if length as usize + 8 == second {
            continue;
        }
        let mut changed = bytes.clone();
        changed[..4].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, &changed).unwrap();
        let refusal = shelf.refusal();
        let damaged = "the ledger is damaged; it is left as it is, and an operator may begin a new chain (`countersign ledger new-chain`): ";
        assert!(refusal.starts_with(damaged), "{length}: {refusal}");
        assert!(refusal.contains("segment `W/00000000000000000001.seg`, record 1: "), "{length}: {refusal}");
        assert_eq!(fs::read(&path).unwrap(), changed, "it is left as it is");
        assert!(!shelf.verify().ok);
    }
    for byte in 0..second {
        let mut changed = bytes.clone();
        changed[byte] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        assert!(shelf.refusal().contains("record 1: "), "{byte}");
    }
}

#[tokio::test]
async fn what_a_crash_left_open_becomes_unknown() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.start_with(1024);
    ledger.record(refused(1), AT).await.unwrap();
    settle(open(&ledger, 2, Urgency::Routine).await);
    let crashed = [open(&ledger, 3, Urgency::Routine).await, open(&ledger, 4, Urgency::Durable).await];
    settle(open(&ledger, 5, Urgency::Routine).await);
    ledger.close().await;
    // a slot outlives its ledger without a trace, as in a crash
    drop(crashed);
    drop(ledger);
    assert!(shelf.segments().len() > 1, "they are found in earlier segments too");
    let (ledger, started) = shelf.start();
    assert_eq!((started.cut_bytes, started.open), (0, 2));
    drop(ledger);
    let story = shelf.story();
    assert_eq!(story[story.len() - 3..], ["recovered 0 2", "unknown 3", "unknown 4"]);
    assert_eq!(shelf.start().1.open, 0);
}

#[tokio::test]
async fn an_effect_that_outlasts_many_segments_becomes_unknown_all_the_same() {
    for lists in ["kept", "lost", "damaged"] {
        let shelf = Shelf::new();
        let (ledger, _) = shelf.start_with(1024);
        let crashed = [open(&ledger, 1, Urgency::Routine).await, open(&ledger, 2, Urgency::Routine).await];
        let settled = open(&ledger, 3, Urgency::Routine).await;
        for n in 4..60 {
            ledger.record(refused(n), AT).await.unwrap();
        }
        settle(settled);
        ledger.close().await;
        drop(crashed);
        drop(ledger);
        assert!(shelf.segments().len() > 20);
        let kept = shelf.lists();
        assert_eq!(kept, [shelf.last().with_extension("open")], "only that of the last segment");
        match lists {
            "lost" => fs::remove_file(&kept[0]).unwrap(),
            "damaged" => fs::write(&kept[0], "0000\n").unwrap(),
            _ => {}
        }
        assert_eq!(shelf.start().1.open, 2, "{lists}");
        let story = shelf.story();
        assert_eq!(story[story.len() - 3..], ["recovered 0 2", "unknown 1", "unknown 2"], "{lists}");
        assert_eq!(shelf.start().1.open, 0, "{lists}");
        assert!(shelf.verify().ok);
    }
}

#[tokio::test]
async fn a_start_that_knows_what_is_open_reads_the_last_two_segments_only() {
    let shelf = Shelf::compressed(40).await;
    let first = shelf.segments().remove(0);
    fs::write(&first, b"no segment at all").unwrap();
    drop(shelf.start());
    assert_eq!(shelf.verdict(), "compression W/00000000000000000001.seg.zst 1");
}

#[tokio::test]
async fn a_crash_while_a_segment_was_begun_leaves_an_empty_one() {
    let shelf = Shelf::whole(3).await;
    let next = shelf.dir().join(shelf.writer()).join("00000000000000000004.seg");
    fs::write(&next, b"").unwrap();
    assert_eq!(shelf.verdict(), "ok through [3] NotProven");
    let (ledger, started) = shelf.start();
    assert_eq!(started.note(), None);
    ledger.record(refused(4), AT).await.unwrap();
    drop(ledger);
    assert!(fs::metadata(&next).unwrap().len() > 0);
    assert_eq!(shelf.verdict(), "ok through [4] NotProven");
}

#[tokio::test]
async fn a_crash_while_a_segment_was_compressed_costs_nothing() {
    let shelf = Shelf::with(9).await;
    let first = shelf.segments()[0].clone();
    assert!(shelf.segments().len() > 2);
    let name = "00000000000000000001.seg";
    let dir = shelf.dir().join(shelf.writer());
    let frames = match first.extension().unwrap() == "zst" {
        true => zstd::decode_all(fs::File::open(&first).unwrap()).unwrap(),
        false => fs::read(&first).unwrap(),
    };
    fs::write(dir.join(name), frames).unwrap();
    // half of it, under its temporary name; and under its own, which only a broken disk does
    fs::write(dir.join(format!("{name}.zst.tmp")), b"half").unwrap();
    fs::write(dir.join(format!("{name}.zst")), b"half").unwrap();
    assert_eq!(shelf.verdict(), "ok through [9] NotProven");
    drop(shelf.start());
    assert_eq!(shelf.verdict(), "ok through [9] NotProven");
    assert!(!dir.join(format!("{name}.zst.tmp")).exists());
}

#[tokio::test]
async fn a_ledger_whose_last_segment_is_gone_does_not_start() {
    let shelf = Shelf::compressed(9).await;
    fs::remove_file(shelf.last()).unwrap();
    // what is compressed was closed, and a segment was begun behind it
    assert!(shelf.refusal().ends_with("the segment that begins here is missing"), "{}", shelf.refusal());
}

#[tokio::test]
async fn a_ledger_that_lacks_the_segment_before_the_last_does_not_start() {
    let shelf = Shelf::with(9).await;
    let segments = shelf.segments();
    fs::remove_file(&segments[segments.len() - 2]).unwrap();
    assert!(shelf.refusal().ends_with("the segment that begins here is missing"), "{}", shelf.refusal());
}

#[tokio::test]
async fn a_link_to_the_segment_before_is_checked() {
    let (shelf, other) = (Shelf::compressed(9).await, Shelf::compressed(9).await);
    let (one, two) = (shelf.segments(), other.segments());
    // the same numbers by another writer, and under this writer's name
    fs::rename(&two[two.len() - 2], &one[one.len() - 2]).unwrap();
    assert!(shelf.refusal().contains("the record belongs to another writer"), "{}", shelf.refusal());
}

#[tokio::test]
async fn records_without_the_name_of_their_writer_are_not_begun_anew() {
    let shelf = Shelf::with(1).await;
    fs::remove_file(shelf.dir().join("current")).unwrap();
    assert_eq!(
        shelf.refusal(),
        "`D` holds records but `current` does not name their writer; an operator may begin a new chain (`countersign ledger new-chain`)"
    );
    for bad in ["", "w-1", "../../etc", "w-0000000G\n", "w-00000000\nw-00000001\n"] {
        fs::write(shelf.dir().join("current"), bad).unwrap();
        let Err(error) = crate::FileLedger::start(shelf.dir(), Options::default()) else { panic!("{bad}") };
        assert!(error.to_string().ends_with("/current` does not name a writer"), "{error}");
    }
}

#[tokio::test]
async fn an_operator_begins_a_new_chain_beside_a_damaged_one() {
    let shelf = Shelf::whole(2).await;
    let old = shelf.writer();
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes[20] ^= 1;
    fs::write(shelf.last(), &bytes).unwrap();
    let damaged = shelf.last();
    assert!(shelf.refusal().contains("the checksum does not hold"));
    let new = crate::begin_new_chain(shelf.dir(), AT).unwrap();
    assert_eq!(shelf.writer(), new);
    let (ledger, started) = shelf.start();
    assert_eq!((started.writer.as_str(), started.note()), (new.as_str(), None));
    ledger.record(refused(3), AT).await.unwrap();
    drop(ledger);
    assert_eq!(fs::read(damaged).unwrap(), bytes, "the damaged one is left as it is");
    assert_eq!(crate::walk::follows(shelf.dir(), &new).unwrap(), Some(old.clone()));
    assert_eq!(crate::walk::writers_in_order(shelf.dir()).unwrap(), [old, new]);
    assert!(!shelf.verify().ok);
}

#[test]
fn as_many_as_may_be_open_are_all_in_the_list_that_a_start_reads() {
    let dir = tempfile::tempdir().unwrap();
    let segment = Segment { writer: "w".to_owned(), first: 1, form: Form::Raw, last: true };
    fs::create_dir_all(segment.path(dir.path()).parent().unwrap()).unwrap();
    let mut open = Open::default();
    for nth in 0..Options::default().open {
        open.opened(&format!("{nth:032x}"));
    }
    open.keep(dir.path(), &segment).unwrap();
    assert_eq!(Open::kept(dir.path(), &segment), Some(open));
}
