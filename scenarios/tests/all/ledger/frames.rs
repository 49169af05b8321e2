//! Takes a segment apart and puts it together again, by `api/ledger.md` alone.

use std::fs;
use std::path::{Path, PathBuf};

/// The only segment of the only writer, relative to the ledger.
pub fn segment(ledger: &Path) -> PathBuf {
    let only = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let found: Vec<PathBuf> =
            entries.filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "seg")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    only(&only(ledger))
}

/// The segment's name as faults say it.
pub fn name(segment: &Path) -> String {
    let part = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    format!("{}/{}", part(segment.parent().expect("a writer")), part(segment))
}

/// The JSON of each frame.
pub fn read(segment: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(segment).expect("a segment");
    let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let json = &rest[8..8 + length];
        assert_eq!(u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")), crc32c(json));
        frames.push(json.to_vec());
        rest = &rest[8 + length..];
    }
    frames
}

pub fn write(segment: &Path, frames: &[Vec<u8>]) {
    let framed = frames.iter().map(|json| {
        let length = u32::try_from(json.len()).expect("short");
        [&length.to_le_bytes()[..], &crc32c(json).to_le_bytes(), json].concat()
    });
    fs::write(segment, framed.collect::<Vec<_>>().concat()).expect("it can be written");
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

/// A copy of a ledger.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("it can be copied");
        }
    }
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
