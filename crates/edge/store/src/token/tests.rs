//! Keys in a real token: SoftHSM's. Without it a laptop's test says that it is skipped, and fails only with `CI` set.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use issuer::Signer;

use super::{BadToken, Token, sequence};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token of this process's own. SoftHSM takes its place from a variable, which a test must not set: it runs itself again.
#[expect(clippy::print_stderr, reason = "what is skipped says so")]
fn alone(test: &str) -> bool {
    if !Path::new(MODULE).exists() {
        assert!(std::env::var_os("CI").is_none(), "Debian's package `softhsm2` is missing");
        eprintln!("skipped: Debian's package `softhsm2` is missing");
        return false;
    }
    if std::env::var_os("SOFTHSM2_CONF").is_some() {
        return true;
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let config = dir.path().join("softhsm.conf");
    fs::write(&config, format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display())).unwrap();
    fs::write(dir.path().join("pin"), "1234\n").unwrap();
    let make = ["--init-token", "--free", "--label", "ca", "--so-pin", "5678", "--pin", "1234"];
    let made = Command::new("softhsm2-util").env("SOFTHSM2_CONF", &config).args(make).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    false
}

/// A file beside the token's configuration.
fn beside(name: &str) -> std::path::PathBuf {
    Path::new(&std::env::var_os("SOFTHSM2_CONF").unwrap()).with_file_name(name)
}

#[test]
fn a_key_in_a_token_signs_there_and_is_found_and_removed_by_its_name() {
    if !alone("token::tests::a_key_in_a_token_signs_there_and_is_found_and_removed_by_its_name") {
        return;
    }
    let open = |label: &str, pin: &str| Token::open(Path::new(MODULE), label, &beside(pin));
    let token = open("ca", "pin").unwrap();
    let (signer, id) = token.make().unwrap();
    let again = token.find(&id).unwrap();
    assert_eq!((again.public_point(), again.public_point().len()), (signer.public_point(), 65));
    // often enough for numbers that begin with a zero, and for those that would be negative
    for nth in 0_u32..600 {
        let message = nth.to_be_bytes();
        let verifies = |algorithm, signature: Vec<u8>| {
            UnparsedPublicKey::new(algorithm, signer.public_point()).verify(&message, &signature).unwrap();
        };
        verifies(&ECDSA_P256_SHA256_FIXED, again.sign_fixed(&message).unwrap());
        verifies(&ECDSA_P256_SHA256_ASN1, signer.sign_asn1(&message).unwrap());
    }
    token.remove(&id).unwrap();
    token.remove(&id).unwrap();
    assert!(signer.sign_fixed(b"any").is_err(), "it is there no more");
    let refused = |bad: Result<_, BadToken>| bad.err().unwrap().to_string();
    assert_eq!(refused(token.find(&id).map(drop)), format!("the token has no key `{id}`"));
    assert_eq!(refused(open("other", "pin").map(drop)), "there is no token `other`");
    let path = beside("nothing");
    assert_eq!(refused(open("ca", "nothing").map(drop)), format!("cannot read the PIN in `{}`", path.display()));
    let module = Token::open(&path, "ca", &beside("pin")).map(drop);
    assert_eq!(refused(module), format!("the PKCS#11 module `{}` cannot be loaded", path.display()));
}

#[test]
fn two_numbers_are_written_as_der_has_them() {
    let number = |first: u8, rest: u8| [vec![first], vec![rest; 31]].concat();
    let written = |r: u8, s: u8| sequence(&number(r, 1), &number(s, 1));
    assert_eq!(written(0x7f, 0x7f)[..4], [0x30, 68, 0x02, 32]);
    assert_eq!(written(0x80, 0x7f)[..6], [0x30, 69, 0x02, 33, 0x00, 0x80]);
    assert_eq!(written(0x00, 0x7f)[..5], [0x30, 67, 0x02, 31, 0x01]);
    assert_eq!(sequence(&[0; 32], &[0; 32]), [0x30, 6, 0x02, 1, 0, 0x02, 1, 0]);
}
