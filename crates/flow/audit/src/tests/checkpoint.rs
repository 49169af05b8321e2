//! Signed checkpoints, and forged ones.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Digest, Time};

use crate::checkpoint::{BadCheckpoint, Checkpoint, Head};
use crate::signature::{Signer, SigningFailed};

struct TestSigner(Ed25519KeyPair);

impl TestSigner {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Signer for TestSigner {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(bytes).as_ref().to_vec())
    }

    fn public_key(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }
}

fn heads() -> Vec<Head> {
    let head = |writer: &str, seq| Head {
        writer: writer.to_owned(),
        seq,
        head: Digest::new([7; 32]),
        time: Time::from_unix_seconds(1_800_000_000),
    };
    vec![head("w-0a1b2c3d", 12), head("w-ffffffff", 3)]
}

fn signed() -> (String, Vec<u8>) {
    let signer = TestSigner::new(1);
    let checkpoint = Checkpoint::sign(heads(), &signer).unwrap();
    (String::from_utf8(checkpoint.to_json().unwrap()).unwrap(), signer.public_key())
}

fn refusal(json: &str) -> String {
    Checkpoint::verify(json.as_bytes(), &signed().1).unwrap_err().to_string()
}

#[test]
fn a_signed_checkpoint_verifies() {
    let (json, key) = signed();
    assert_eq!(Checkpoint::verify(json.as_bytes(), &key).unwrap().heads(), heads());
}

#[test]
fn the_signed_text_is_a_title_and_a_line_a_head() {
    let digest = "07".repeat(32);
    let text = format!(
        "countersign ledger checkpoint v1\nw-0a1b2c3d 12 {digest} 2027-01-15T08:00:00.000000Z\nw-ffffffff 3 {digest} 2027-01-15T08:00:00.000000Z\n"
    );
    let signature = TestSigner::new(1).sign(text.as_bytes()).unwrap();
    let line = format!("\"signature\": \"{}\"", STANDARD.encode(signature));
    assert!(signed().0.contains(&line));
}

#[test]
fn another_key_did_not_sign_it() {
    let (json, _) = signed();
    let other = TestSigner::new(2).public_key();
    let error = Checkpoint::verify(json.as_bytes(), &other).unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint was not signed by this key");
    let error = Checkpoint::verify(json.as_bytes(), b"no key").unwrap_err();
    assert!(matches!(error, BadCheckpoint::Key));
}

#[test]
fn whatever_is_changed_is_refused() {
    let (json, key) = signed();
    for (from, to, refused) in [
        (r#""seq": 12"#, r#""seq": 13"#, "the checkpoint was not signed by this key"),
        ("w-0a1b2c3d", "w-0a1b2c3e", "the checkpoint was not signed by this key"),
        ("w-0a1b2c3d", "w-ffffffff", "the checkpoint names the writer `w-ffffffff` twice"),
        ("w-0a1b2c3d", "w 0a1b2c3d", "`w 0a1b2c3d` is not a checkpoint's `writer`"),
        ("w-0a1b2c3d", r"w\n", "`w\n` is not a checkpoint's `writer`"),
        ("0707", "0X07", &format!("`0X07{}` is not a checkpoint's `head`", "07".repeat(30))),
        ("08:00:00.000000Z", "08:00:00Z", "`2027-01-15T08:00:00Z` is not a checkpoint's `time`"),
        (r#""seq": 12"#, r#""seq": 12, "x": 1"#, "the checkpoint is not the JSON of one"),
        (r#""signature": ""#, r#""signature": "!"#, "the signature is not base64"),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json);
        assert_eq!(refusal(&changed), refused);
    }
    assert_eq!(refusal(r#"{"heads": [], "signature": ""}"#), "the checkpoint names no writer");
    testkit::mutate(json.as_bytes(), 2_000, |bytes| {
        if let Ok(checkpoint) = Checkpoint::verify(bytes, &key) {
            assert_eq!(checkpoint.heads(), heads());
        }
    });
}

#[test]
fn a_very_long_checkpoint_is_not_read() {
    assert_eq!(refusal(&" ".repeat((1 << 20) + 1)), "a checkpoint has at most 1048576 bytes");
}
