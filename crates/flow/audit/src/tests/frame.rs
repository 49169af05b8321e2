//! Frames, and bytes that are none.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::samples::{all, stamped};
use crate::frame::{HEADER, MAX_FRAME, Oversized, Unframed, decode, encode, holds_frame};

fn framed(json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(json, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_frame_is_length_checksum_and_json() {
    let json = br#"{"kind":"x"}"#;
    let bytes = framed(json);
    assert_eq!(bytes[..4], [12, 0, 0, 0]);
    assert_eq!(bytes[4..8], crc32c::crc32c(json).to_le_bytes());
    assert_eq!(bytes[8..], json[..]);
    let frame = decode(&bytes).unwrap();
    assert_eq!((frame.json, frame.size()), (&json[..], bytes.len()));
}

#[test]
fn the_checksum_is_crc32c() {
    // RFC 3720, appendix B.4: 32 bytes of zeros
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn a_frame_that_is_too_long_is_not_written() {
    let mut bytes = b"before".to_vec();
    let length = MAX_FRAME + 1;
    assert_eq!(encode(&vec![b' '; length], &mut bytes), Err(Oversized { length }));
    assert_eq!(bytes, b"before");
    encode(&vec![b' '; MAX_FRAME], &mut bytes).unwrap();
}

#[test]
fn a_length_that_no_frame_has_is_refused_before_anything_is_read() {
    let header = |length: u32| [&length.to_le_bytes()[..], &[0; 4]].concat();
    assert_eq!(decode(&header(0)), Err(Unframed::Length { length: 0 }));
    assert_eq!(decode(&header(u32::MAX)), Err(Unframed::Length { length: 0xffff_ffff }));
    assert_eq!(decode(&header(1 << 20)), Err(Unframed::Short));
}

#[test]
fn every_cut_is_short_and_every_flipped_bit_is_seen() {
    for body in all() {
        let bytes = framed(&stamped(body).to_json().unwrap());
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(Unframed::Short), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_frame_is_found_behind_damage_and_not_in_half_of_one() {
    let bytes = framed(br#"{"kind":"outcome","of":"0"}"#);
    let behind = [&[0xff; 40][..], &bytes].concat();
    assert!(holds_frame(&behind));
    assert!(!holds_frame(&behind[..behind.len() - 1]));
    assert!(!holds_frame(&bytes[1..]));
    assert!(!holds_frame(&[0; 4096]));
}

#[test]
fn the_search_for_a_frame_ends_soon_whatever_the_bytes() {
    // every offset claims half a megabyte
    let claims = 0x0008_0000_u32.to_le_bytes().repeat(MAX_FRAME / 4);
    assert!(!holds_frame(&claims));
}

proptest! {
    #[test]
    fn any_json_comes_back(json in vec(any::<u8>(), HEADER + 1..4096), after in vec(any::<u8>(), 0..64)) {
        let bytes = [framed(&json), after].concat();
        assert_eq!(decode(&bytes).unwrap().json, json);
    }

    #[test]
    fn any_bytes_are_a_frame_or_say_why_not(bytes in vec(any::<u8>(), 0..4096)) {
        if let Ok(frame) = decode(&bytes) {
            assert_eq!(framed(frame.json), bytes[..frame.size()]);
        }
        let _ = holds_frame(&bytes);
    }
}
