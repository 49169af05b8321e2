//! The checkpoint key on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use audit::{Checkpoint, Head, Signer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Digest;
use tempfile::TempDir;

use super::support::AT;
use crate::signer::{BadSigner, DiskSigner};

fn heads() -> Vec<Head> {
    vec![Head { writer: "w-0a1b2c3d".to_owned(), seq: 12, head: Digest::new([7; 32]), time: AT }]
}

fn refusal(path: &Path) -> String {
    let Err(error) = DiskSigner::open(path) else { panic!("it opens") };
    error.to_string().replace(&*path.display().to_string(), "K")
}

fn openssl(dir: &Path, arguments: &str) -> String {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output();
    let output = run.expect("openssl is installed, as CONTRIBUTING.md asks");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_key_is_made_once_and_only_for_its_owner() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("checkpoint.key");
    let made = DiskSigner::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let opened = DiskSigner::open(&path).unwrap();
    assert_eq!(made.public_key(), opened.public_key());
    assert_eq!(made.public_key().len(), 44);
}

#[test]
fn a_key_that_others_can_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("checkpoint.key");
    drop(DiskSigner::open(&path).unwrap());
    for mode in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            refusal(&path),
            format!("`K` can be used by others than its owner (mode {mode:03o}); `chmod 600` it, or make a new key")
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    drop(DiskSigner::open(&path).unwrap());
}

#[test]
fn what_is_no_key_is_refused_and_stays() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("checkpoint.key");
    for (text, expected) in [
        ("", "`K` is not a key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\n", "`K` is not a key in PEM"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "`K` is not a key in PEM"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "`K` is not an Ed25519 private key in PKCS#8",
        ),
    ] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(refusal(&path), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let Err(error) = DiskSigner::open(&dir.path().join("none/checkpoint.key")) else { panic!("it opens") };
    assert!(matches!(error, BadSigner::Io { doing: "write", .. }));
}

#[test]
fn openssl_verifies_what_was_signed() {
    let dir = TempDir::new().unwrap();
    let signer = DiskSigner::open(&dir.path().join("checkpoint.key")).unwrap();
    signer.publish(&dir.path().join("checkpoint.pub")).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&Checkpoint::sign(heads(), &signer).unwrap().to_json().unwrap()).unwrap();
    let head = &json["heads"][0];
    let field = |name: &str| head[name].to_string().replace('"', "");
    let text = format!(
        "countersign ledger checkpoint v1\n{} {} {} {}\n",
        field("writer"),
        field("seq"),
        field("head"),
        field("time")
    );
    fs::write(dir.path().join("signed.txt"), text).unwrap();
    let signature = STANDARD.decode(json["signature"].as_str().unwrap()).unwrap();
    fs::write(dir.path().join("signature.bin"), signature).unwrap();
    let verify = "pkeyutl -verify -pubin -inkey checkpoint.pub -rawin -in signed.txt -sigfile signature.bin";
    assert!(openssl(dir.path(), verify).contains("Signature Verified Successfully"));
}

#[test]
fn a_key_made_by_openssl_is_opened_and_its_public_key_is_the_same() {
    let dir = TempDir::new().unwrap();
    openssl(dir.path(), "genpkey -algorithm ed25519 -out other.key");
    let path = dir.path().join("other.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let signer = DiskSigner::open(&path).unwrap();
    signer.publish(&dir.path().join("ours.pub")).unwrap();
    let theirs = openssl(dir.path(), "pkey -in other.key -pubout");
    assert_eq!(fs::read_to_string(dir.path().join("ours.pub")).unwrap(), theirs);
    openssl(dir.path(), "genpkey -algorithm X25519 -out exchange.key");
    let path = dir.path().join("exchange.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(refusal(&path), "`K` is not an Ed25519 private key in PKCS#8");
}
