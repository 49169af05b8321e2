//! Every way of changing what was recorded is named by segment and number, or caught by a checkpoint kept elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::frames::{copy, name, read, segment, write};
use crate::harness::{Dev, folder, run};

/// A ledger of some calls, with a checkpoint and its key kept elsewhere; the server has ended.
struct Kept {
    dev: Dev,
    elsewhere: TempDir,
    frames: usize,
}

impl Kept {
    fn new() -> Self {
        let mut dev = Dev::start();
        let token = dev.token("ci-main");
        for _ in 0..8 {
            dev.get("/invoices/1", &token).is(200);
            dev.call("GET", "/invoices/1", None).is(401);
        }
        let elsewhere = folder();
        let out = elsewhere.path().join("checkpoint.json");
        dev.cli(&["ledger", "checkpoint", "--out", out.to_str().unwrap()]).ended(0);
        fs::copy(dev.dir().join("checkpoint.pub"), elsewhere.path().join("checkpoint.pub")).unwrap();
        assert_eq!(dev.stop(), 0);
        let frames = read(&segment(dev.ledger())).len();
        assert!(frames > 25, "{frames}");
        Self { dev, elsewhere, frames }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.elsewhere.path().join(name)
    }

    /// Verifies a copy that was tampered with, with or without the checkpoint.
    fn verified(&self, with_checkpoint: bool, tamper: impl FnOnce(&Path)) -> (i32, Value) {
        let folder = folder();
        let ledger = folder.path().join("ledger");
        copy(self.dev.ledger(), &ledger);
        tamper(&ledger);
        let (checkpoint, key) = (self.path("checkpoint.json"), self.path("checkpoint.pub"));
        let mut args = vec!["ledger", "verify", ledger.to_str().unwrap(), "--output", "json"];
        if with_checkpoint {
            args.extend(["--checkpoint", checkpoint.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        }
        let ran = run(&args, b"");
        (ran.code, ran.json())
    }

    /// The fault that is found, checkpoint or not; and the same fault keeps a server from starting.
    #[track_caller]
    fn faulty(&self, seq: u64, kind: &str, tamper: impl Fn(&mut Vec<Vec<u8>>)) {
        let segment_name = name(&segment(self.dev.ledger()));
        for with_checkpoint in [false, true] {
            let (code, found) = self.verified(with_checkpoint, |ledger| {
                let segment = segment(ledger);
                let mut frames = read(&segment);
                tamper(&mut frames);
                write(&segment, &frames);
            });
            assert_eq!((code, &found["ok"], &found["end"]), (1, &json!(false), &json!("not_proven")), "{found}");
            assert_eq!(found["fault"], json!({"segment": segment_name, "seq": seq, "kind": kind}));
        }
    }
}

fn replaced(json: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(json).expect("JSON");
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn tampering_is_named_by_segment_and_number() {
    let kept = Kept::new();
    let (code, sound) = kept.verified(false, |_| {});
    assert_eq!((code, &sound["end"]), (0, &json!("not_proven")), "{sound}");
    let (code, sound) = kept.verified(true, |_| {});
    assert_eq!((code, &sound["end"]), (0, &json!("proven")), "{sound}");

    // the frames' checksums are made anew: whoever tampers can do that
    let at_the_gateway = |json: &Vec<u8>| {
        let text = String::from_utf8_lossy(json);
        text.starts_with("{\"kind\":\"judgement\"") && text.contains("\"door\":\"gateway\"")
    };
    let frames = read(&segment(kept.dev.ledger()));
    let judged = frames.iter().position(at_the_gateway).unwrap();
    let (seq, next) = (judged as u64 + 1, judged as u64 + 2);
    kept.faulty(next, "prev", |frames| frames[judged] = replaced(&frames[judged], "gateway", "gatewax"));
    kept.faulty(seq, "seq", |frames| frames.swap(judged, judged + 1));
    kept.faulty(seq, "seq", |frames| drop(frames.remove(judged)));
    kept.faulty(next, "seq", |frames| frames.insert(judged, frames[judged].clone()));
    kept.faulty(seq, "json", |frames| frames[judged] = b"{\"kind\":\"judgement\"}".to_vec());
    kept.faulty(1, "seq", |frames| drop(frames.remove(0)));
    kept.faulty(seq, "json", |frames| {
        let text = String::from_utf8(frames[judged].clone()).unwrap();
        frames[judged] = text.replacen('{', "{ ", 1).into_bytes();
    });
}

#[test]
fn a_flipped_bit_is_named_and_a_server_does_not_start_over_it() {
    let mut kept = Kept::new();
    let flip = |ledger: &Path, frame: usize| {
        let segment = segment(ledger);
        let offset: usize = read(&segment)[..frame].iter().map(|json| json.len() + 8).sum();
        let mut bytes = fs::read(&segment).unwrap();
        bytes[offset + 8 + 40] ^= 1;
        fs::write(&segment, bytes).unwrap();
    };
    let (code, found) = kept.verified(false, |ledger| flip(ledger, 10));
    assert_eq!((code, &found["fault"]["seq"], &found["fault"]["kind"]), (1, &json!(11), &json!("crc")), "{found}");

    flip(kept.dev.ledger(), 10);
    let segment_name = name(&segment(kept.dev.ledger()));
    let dir = kept.dev.dir();
    let start = || run(&["dev", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"], b"");
    let refused = start().ended(1);
    assert!(refused.err.contains(&segment_name) && refused.err.contains("11"), "{refused:?}");
    assert!(!dir.join("dev.json").exists());
    start().ended(1);

    // an operator looks, and begins a new chain beside the damaged one, which stays as it is
    let before = fs::read(segment(kept.dev.ledger())).unwrap();
    let damaged = segment(kept.dev.ledger());
    run(&["ledger", "new-chain", kept.dev.ledger().to_str().unwrap()], b"").ended(0);
    kept.dev.again();
    let token = kept.dev.token("ci-main");
    kept.dev.get("/invoices/1", &token).is(200);
    assert_eq!(fs::read(damaged).unwrap(), before);
    let still = kept.dev.verify().ended(1).json();
    assert_eq!(still["fault"]["segment"], segment_name, "the damage is not forgotten: {still}");
}

#[test]
fn what_was_cut_off_shows_only_against_a_checkpoint_kept_elsewhere() {
    let kept = Kept::new();
    let cut = |frames: usize| {
        move |ledger: &Path| {
            let segment = segment(ledger);
            let all = read(&segment);
            write(&segment, &all[..all.len() - frames]);
        }
    };
    for frames in [3, kept.frames - 1] {
        let (code, found) = kept.verified(false, cut(frames));
        assert_eq!((code, &found["ok"], &found["end"]), (0, &json!(true), &json!("not_proven")), "{found}");
        let (code, found) = kept.verified(true, cut(frames));
        assert_eq!((code, &found["ok"], &found["end"]), (1, &json!(false), &json!("not_proven")), "{found}");
        let left = kept.frames - frames;
        assert_eq!(
            (&found["fault"]["kind"], &found["fault"]["seq"]),
            (&json!("truncated"), &json!(left + 1)),
            "{found}"
        );
    }
    // the writer and all it wrote
    let (code, found) = kept.verified(true, |ledger| {
        fs::remove_dir_all(segment(ledger).parent().unwrap()).unwrap();
        fs::remove_file(ledger.join("current")).unwrap();
    });
    assert_eq!((code, &found["ok"], &found["fault"]["kind"]), (1, &json!(false), &json!("truncated")), "{found}");
    let (code, found) = kept.verified(true, |ledger| fs::remove_file(segment(ledger)).unwrap());
    assert_eq!((code, &found["ok"], &found["fault"]["kind"]), (1, &json!(false), &json!("truncated")), "{found}");
}

#[test]
fn a_torn_end_is_cut_and_said_and_nothing_else_is_repaired() {
    let mut kept = Kept::new();
    let segment = segment(kept.dev.ledger());
    let whole = fs::read(&segment).unwrap();
    let frames = read(&segment);
    let last = frames.last().unwrap().len() + 8;
    fs::write(&segment, &whole[..whole.len() - last / 2]).unwrap();
    let (code, found) = kept.verified(false, |_| {});
    assert_eq!((code, &found["ok"]), (0, &json!(true)), "what a crash leaves is no fault: {found}");

    kept.dev.again();
    let recovered = kept.dev.records().into_iter().find(|record| record["kind"] == "recovered").expect("it is said");
    assert_eq!(recovered["cut_bytes"], json!(last - last / 2));
    assert_eq!(recovered["seq"], json!(frames.len()));
    assert!(kept.dev.log().contains("recovered") || kept.dev.log().contains("cut"), "{}", kept.dev.log());
    kept.dev.verify().ended(0);
    let token = kept.dev.token("ci-main");
    kept.dev.get("/invoices/1", &token).is(200);
}
