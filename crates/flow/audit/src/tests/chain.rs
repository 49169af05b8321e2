//! The chain, followed and broken.

use model::Time;

use super::samples::{all, outcome};
use crate::chain::{Chain, Fault, FaultKind};
use crate::frame::decode;
use crate::record::{Body, Record};

const AT: Time = Time::from_unix_seconds(1_800_000_000);

/// The JSON of four frames of one writer.
fn four() -> Vec<Vec<u8>> {
    let mut chain = Chain::begin("w-0a1b2c3d");
    let bodies = all().into_iter().filter(|body| !matches!(body, Body::Checkpoint { .. }));
    bodies.map(|body| append(&mut chain, &body)).collect()
}

fn append(chain: &mut Chain, body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    chain.append(body, AT, &mut bytes).unwrap();
    decode(&bytes).unwrap().json.to_vec()
}

/// The number of the first frame that does not follow, and why.
fn fault(frames: &[Vec<u8>]) -> Option<(u64, FaultKind)> {
    let mut chain = Chain::begin("w-0a1b2c3d");
    frames.iter().find_map(|json| chain.follow(json).err().map(|kind| (chain.next_seq(), kind)))
}

#[test]
fn what_is_appended_follows() {
    assert_eq!(fault(&four()), None);
}

#[test]
fn the_first_frame_is_number_one_and_follows_zeros() {
    let first = Record::from_json(&four()[0]).unwrap();
    assert_eq!((first.stamp.seq, first.stamp.prev), (1, "0".repeat(64)));
}

#[test]
fn a_frame_names_the_sha256_of_the_one_before() {
    let frames = four();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &frames[0]);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Record::from_json(&frames[1]).unwrap().stamp.prev, hex);
}

#[test]
fn swapping_dropping_and_repeating_show_where_they_happen() {
    let frames = four();
    let mut swapped = frames.clone();
    swapped.swap(1, 2);
    assert_eq!(fault(&swapped), Some((2, FaultKind::Seq)));
    let mut dropped = frames.clone();
    dropped.remove(2);
    assert_eq!(fault(&dropped), Some((3, FaultKind::Seq)));
    let mut repeated = frames.clone();
    repeated.insert(1, frames[0].clone());
    assert_eq!(fault(&repeated), Some((2, FaultKind::Seq)));
}

#[test]
fn a_rewritten_frame_shows_at_the_one_after_it() {
    let mut frames = four();
    let text = String::from_utf8(frames[1].clone()).unwrap();
    frames[1] = text.replace(r#""status":200"#, r#""status":201"#).into_bytes();
    assert_eq!(fault(&frames), Some((3, FaultKind::Prev)));
}

#[test]
fn another_writers_frame_does_not_follow() {
    let mut frames = four();
    frames[1] = append(&mut Chain::begin("w-ffffffff"), &outcome());
    assert_eq!(fault(&frames), Some((2, FaultKind::Writer)));
}

#[test]
fn what_is_no_record_does_not_follow() {
    let mut frames = four();
    frames[3] = br#"{"kind":"outcome"}"#.to_vec();
    assert_eq!(fault(&frames), Some((4, FaultKind::Json)));
}

#[test]
fn a_checkpoint_marks_the_frame_before_it() {
    let mut chain = Chain::begin("w-0a1b2c3d");
    let first = append(&mut chain, &outcome());
    let mut lying = chain.clone();
    let body = Body::Checkpoint { head: chain.head().to_string() };
    let honest = append(&mut chain, &body);
    assert_eq!(fault(&[first.clone(), honest]), None);
    let lie = append(&mut lying, &Body::Checkpoint { head: "ab".repeat(32) });
    assert_eq!(fault(&[first, lie]), Some((2, FaultKind::Checkpoint)));
}

#[test]
fn a_refused_frame_does_not_move_the_chain() {
    let frames = four();
    let mut chain = Chain::begin("w-0a1b2c3d");
    chain.follow(&frames[0]).unwrap();
    let before = chain.clone();
    chain.follow(&frames[2]).unwrap_err();
    assert_eq!(chain, before);
    chain.follow(&frames[1]).unwrap();
}

#[test]
fn a_record_that_is_too_long_is_not_appended() {
    let mut chain = Chain::begin("w-0a1b2c3d");
    let (before, mut bytes) = (chain.clone(), Vec::new());
    let body = Body::Checkpoint { head: "a".repeat(crate::MAX_FRAME) };
    let error = chain.append(&body, AT, &mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "a record of 1048748 bytes is longer than 1048576");
    assert_eq!((chain, bytes), (before, Vec::new()));
}

#[test]
fn a_fault_names_segment_and_record() {
    let segment = "w-0a1b2c3d/00000000000000000001.seg".to_owned();
    let fault = Fault { segment, seq: 12, kind: FaultKind::MissingSegment };
    assert_eq!(
        fault.to_string(),
        "segment `w-0a1b2c3d/00000000000000000001.seg`, record 12: the segment that begins here is missing"
    );
    assert_eq!(
        serde_json::to_string(&fault).unwrap(),
        r#"{"segment":"w-0a1b2c3d/00000000000000000001.seg","seq":12,"kind":"missing_segment"}"#
    );
    assert_eq!(fault.kind.to_string(), "missing_segment");
}
