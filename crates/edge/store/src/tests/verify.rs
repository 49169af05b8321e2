//! Tampering, and what verification says of it.

use std::fs;
use std::path::PathBuf;

use audit::{Body, Chain, Checkpoint, Ledger, Record};
use tempfile::TempDir;

use super::support::{AT, Shelf, refused, say};
use crate::signer::DiskSigner;
use crate::verify::verify;

/// A signed checkpoint of a ledger, and what verifies it, kept elsewhere.
struct Kept {
    dir: TempDir,
    signer: DiskSigner,
}

impl Kept {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let signer = DiskSigner::open(&dir.path().join("checkpoint.key")).unwrap();
        signer.publish(&dir.path().join("checkpoint.pub")).unwrap();
        Self { dir, signer }
    }

    async fn mark(&self, shelf: &Shelf) {
        let (ledger, _) = shelf.start();
        let head = ledger.checkpoint(AT).await.unwrap();
        ledger.close().await;
        let checkpoint = Checkpoint::sign(vec![head], &self.signer).unwrap();
        fs::write(self.checkpoint(), checkpoint.to_json().unwrap()).unwrap();
    }

    fn checkpoint(&self) -> PathBuf {
        self.dir.path().join("checkpoint.json")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("checkpoint.pub")
    }

    fn verdict(&self, shelf: &Shelf) -> String {
        say(&verify(shelf.dir(), Some((&self.checkpoint(), &self.key()))).unwrap(), &shelf.writer())
    }
}

/// Rewrites every segment of the ledger with the frames that `change` makes of theirs, checksums and all.
fn reframe(shelf: &Shelf, change: impl Fn(&mut Vec<Vec<u8>>)) {
    for path in shelf.segments() {
        let bytes = match path.extension().unwrap() == "zst" {
            true => zstd::decode_all(fs::File::open(&path).unwrap()).unwrap(),
            false => fs::read(&path).unwrap(),
        };
        let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
        while let Ok(frame) = audit::decode(rest) {
            frames.push(frame.json.to_vec());
            rest = &rest[frame.size()..];
        }
        change(&mut frames);
        let mut bytes = Vec::new();
        frames.iter().for_each(|json| audit::encode(json, &mut bytes).unwrap());
        match path.extension().unwrap() == "zst" {
            true => fs::write(&path, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap(),
            false => fs::write(&path, bytes).unwrap(),
        }
    }
}

#[tokio::test]
async fn the_answer_is_this_json() {
    let shelf = Shelf::whole(3).await;
    let writer = shelf.writer();
    let json = serde_json::to_string(&shelf.verify()).unwrap().replace(&writer, "W");
    assert_eq!(json, r#"{"ok":true,"through":{"W":3},"end":"not_proven","fault":null}"#);
    reframe(&shelf, |frames| frames.swap(1, 2));
    let json = serde_json::to_string(&shelf.verify()).unwrap().replace(&writer, "W");
    assert_eq!(
        json,
        r#"{"ok":false,"through":{"W":1},"end":"not_proven","fault":{"segment":"W/00000000000000000001.seg","seq":2,"kind":"seq"}}"#
    );
}

#[tokio::test]
async fn each_kind_of_damage_is_named_where_it_shows() {
    let one = "W/00000000000000000001.seg";
    let shelf = Shelf::whole(3).await;
    reframe(&shelf, |frames| drop(frames.remove(1)));
    assert_eq!(shelf.verdict(), format!("seq {one} 2"));

    let shelf = Shelf::whole(3).await;
    reframe(&shelf, |frames| {
        frames[1] = String::from_utf8(frames[1].clone()).unwrap().replace("gateway", "control").into()
    });
    assert_eq!(shelf.verdict(), format!("prev {one} 3"));

    let shelf = Shelf::whole(3).await;
    reframe(&shelf, |frames| frames[1] = br#"{"kind":"judgement"}"#.to_vec());
    assert_eq!(shelf.verdict(), format!("json {one} 2"));

    let shelf = Shelf::whole(3).await;
    reframe(&shelf, |frames| {
        let mut forged = Vec::new();
        Chain::begin("w-00000000").append(&Body::Checkpoint { head: "0".repeat(64) }, AT, &mut forged).unwrap();
        frames[1] = audit::decode(&forged).unwrap().json.to_vec();
    });
    assert_eq!(shelf.verdict(), format!("writer {one} 2"));

    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    let second = 8 + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[second + 50] ^= 4;
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.verdict(), format!("crc {one} 2"));

    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.verdict(), format!("crc {one} 3"));

    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes[3] = 0x7f;
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.verdict(), format!("length {one} 1"));

    let shelf = Shelf::whole(3).await;
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes.extend_from_slice(b"what is this at the end of a segment");
    fs::write(shelf.last(), &bytes).unwrap();
    assert_eq!(shelf.verdict(), format!("length {one} 4"));
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    for nth in [0, 1, 2] {
        let shelf = Shelf::compressed(12).await;
        let segments = shelf.segments();
        let first: u64 = segments[nth].file_name().unwrap().to_str().unwrap()[..20].parse().unwrap();
        fs::remove_file(&segments[nth]).unwrap();
        assert_eq!(shelf.verdict(), format!("missing_segment W/{first:020}.seg.zst {first}"));
    }
}

#[tokio::test]
async fn damage_in_a_compressed_segment_is_named() {
    let shelf = Shelf::compressed(12).await;
    let first = shelf.segments()[0].clone();
    let whole = fs::read(&first).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x21;
        fs::write(&first, &bytes).unwrap();
        let verification = shelf.verify();
        // a few bits of the container mean nothing: then all its content is what it was
        match verification.fault {
            Some(fault) => assert!(seen.insert(fault.kind.as_str()) || fault.segment.contains("00000000000000000001")),
            None => assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), zstd::decode_all(&whole[..]).unwrap()),
        }
    }
    assert!(seen.contains("compression"), "{seen:?}");
    fs::write(&first, &whole[..whole.len() - 3]).unwrap();
    assert!(shelf.verdict().starts_with("compression W/00000000000000000001.seg.zst "));
    fs::write(&first, [&whole[..], b"and more"].concat()).unwrap();
    assert!(shelf.verdict().starts_with("compression W/00000000000000000001.seg.zst "));
}

#[tokio::test]
async fn a_closed_segment_that_ends_early_is_truncated() {
    let shelf = Shelf::compressed(12).await;
    let first = shelf.segments()[0].clone();
    let bytes = zstd::decode_all(fs::File::open(&first).unwrap()).unwrap();
    fs::write(&first, zstd::encode_all(&bytes[..bytes.len() - 3], 1).unwrap()).unwrap();
    assert!(shelf.verdict().starts_with("truncated W/00000000000000000001.seg.zst "), "{}", shelf.verdict());
    fs::write(&first, zstd::encode_all(&b""[..], 1).unwrap()).unwrap();
    assert_eq!(shelf.verdict(), "truncated W/00000000000000000001.seg.zst 1");
}

#[tokio::test]
async fn without_a_checkpoint_a_cut_end_is_not_proven() {
    let shelf = Shelf::whole(3).await;
    reframe(&shelf, |frames| drop(frames.pop()));
    assert_eq!(shelf.verdict(), "ok through [2] NotProven");
    let mut bytes = fs::read(shelf.last()).unwrap();
    bytes.truncate(bytes.len() - 5);
    fs::write(shelf.last(), &bytes).unwrap();
    let verification = shelf.verify();
    assert_eq!(say(&verification, &shelf.writer()), "ok through [1] NotProven");
    let note = verification.notes[0].to_string().replace(&shelf.writer(), "W");
    assert!(
        note.ends_with("bytes of an unfinished record stand behind record 1 of `W/00000000000000000001.seg`"),
        "{note}"
    );
}

#[tokio::test]
async fn with_a_checkpoint_everything_up_to_it_is_proven() {
    let (shelf, kept) = (Shelf::whole(3).await, Kept::new());
    kept.mark(&shelf).await;
    assert_eq!(kept.verdict(&shelf), "ok through [4] Proven");
    let (ledger, _) = shelf.start();
    ledger.record(refused(5), AT).await.unwrap();
    ledger.close().await;
    assert_eq!(kept.verdict(&shelf), "ok through [5] Proven");
}

#[tokio::test]
async fn with_a_checkpoint_a_cut_end_is_a_fault() {
    let (shelf, kept) = (Shelf::with(12).await, Kept::new());
    kept.mark(&shelf).await;
    assert_eq!(kept.verdict(&shelf), "ok through [13] Proven");
    let last = shelf.last();
    let first: u64 = last.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap();
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(kept.verdict(&shelf), format!("truncated W/{first:020}.seg 13"));
    fs::remove_file(&last).unwrap();
    let verdict = kept.verdict(&shelf);
    assert!(verdict.starts_with("truncated W/") && verdict.ends_with(&format!(" {first}")), "{verdict}");
    let writer = shelf.writer();
    fs::remove_dir_all(shelf.dir().join(&writer)).unwrap();
    let verdict = verify(shelf.dir(), Some((&kept.checkpoint(), &kept.key()))).unwrap();
    assert!(!verdict.ok);
}

#[tokio::test]
async fn with_a_checkpoint_a_chain_that_was_written_anew_is_a_fault() {
    let (shelf, kept) = (Shelf::whole(3).await, Kept::new());
    kept.mark(&shelf).await;
    // the whole chain again, in good order, with another answer in the second record
    reframe(&shelf, |frames| {
        let first = Record::from_json(&frames[0]).unwrap();
        let mut chain = Chain::begin(&first.stamp.writer);
        for json in frames {
            let mut body = Record::from_json(json).unwrap().body;
            match &mut body {
                Body::Judgement(judgement) if judgement.id.ends_with('2') => judgement.epoch = 9,
                Body::Checkpoint { head } => *head = chain.head().to_string(),
                Body::Judgement(_) | Body::Outcome(_) | Body::Counted(_) | Body::Recovered(_) => {}
            }
            let mut frame = Vec::new();
            chain.append(&body, AT, &mut frame).unwrap();
            *json = audit::decode(&frame).unwrap().json.to_vec();
        }
    });
    assert_eq!(shelf.verdict(), "ok through [4] NotProven");
    assert_eq!(kept.verdict(&shelf), "checkpoint W/00000000000000000001.seg 4");
}

#[tokio::test]
async fn a_checkpoint_that_the_key_did_not_sign_is_a_fault() {
    let (shelf, kept, other) = (Shelf::whole(3).await, Kept::new(), Kept::new());
    kept.mark(&shelf).await;
    let verification = verify(shelf.dir(), Some((&kept.checkpoint(), &other.key()))).unwrap();
    assert_eq!(say(&verification, &shelf.writer()), "signature checkpoint.json 0");
    assert_eq!(verification.notes[0].to_string(), "the checkpoint proves nothing");
    fs::write(other.key(), "no key").unwrap();
    let verification = verify(shelf.dir(), Some((&kept.checkpoint(), &other.key()))).unwrap();
    assert_eq!(say(&verification, &shelf.writer()), "signature checkpoint.json 0");
    assert_eq!(verification.notes[0].to_string(), "the key proves nothing");
}

#[tokio::test]
async fn a_key_that_lies_inside_the_ledger_proves_nothing() {
    let (shelf, kept) = (Shelf::whole(3).await, Kept::new());
    kept.mark(&shelf).await;
    let inside = shelf.dir().join("checkpoint.pub");
    fs::copy(kept.key(), &inside).unwrap();
    let link = kept.dir.path().join("link.pub");
    std::os::unix::fs::symlink(&inside, &link).unwrap();
    for key in [inside, link] {
        let verification = verify(shelf.dir(), Some((&kept.checkpoint(), &key))).unwrap();
        assert_eq!(say(&verification, &shelf.writer()), "ok through [4] NotProven");
        assert_eq!(
            verification.notes[0].to_string(),
            "the key lies inside the ledger that it should prove: whoever rewrote the one could have replaced the other"
        );
    }
}

#[tokio::test]
async fn a_chain_that_another_one_follows_cannot_go_missing() {
    let shelf = Shelf::whole(3).await;
    let old = shelf.writer();
    crate::begin_new_chain(shelf.dir(), AT).unwrap();
    assert_eq!(shelf.verdict().matches("ok").count(), 1);
    fs::remove_dir_all(shelf.dir().join(&old)).unwrap();
    let verdict = shelf.verdict();
    assert_eq!(verdict, format!("missing_segment {old}/00000000000000000001.seg 1"));
}

#[tokio::test]
async fn the_writer_that_is_named_as_the_current_one_cannot_go_missing() {
    let shelf = Shelf::whole(3).await;
    let other = Shelf::whole(3).await;
    fs::rename(other.dir().join(other.writer()), shelf.dir().join(other.writer())).unwrap();
    fs::remove_dir_all(shelf.dir().join(shelf.writer())).unwrap();
    assert_eq!(shelf.verdict(), "missing_segment W/00000000000000000001.seg 1");
}

#[test]
fn a_directory_without_records_is_no_ledger() {
    let dir = TempDir::new().unwrap();
    let error = verify(dir.path(), None).unwrap_err();
    assert!(error.to_string().ends_with("is not a ledger: it holds no records"), "{error}");
}
