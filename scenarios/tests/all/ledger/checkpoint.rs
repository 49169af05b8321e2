//! A checkpoint is verified by others' tools, and a key that lies in the ledger proves nothing.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::harness::{Dev, Ran, binary, command, finish, folder, run};

fn openssl(args: &[&str]) -> Ran {
    finish(command(Path::new("openssl"), args), b"")
}

#[test]
fn openssl_verifies_a_checkpoint_by_what_the_format_says() {
    let dev = Dev::start();
    let token = dev.token("ci-main");
    dev.get("/invoices/1", &token).is(200);
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let said =
        dev.cli(&["ledger", "checkpoint", "--out", &path("checkpoint.json"), "--output", "json"]).ended(0).json();
    let checkpoint: Value = serde_json::from_slice(&fs::read(path("checkpoint.json")).unwrap()).unwrap();
    assert_eq!(checkpoint, said);
    let mut text = "countersign ledger checkpoint v1\n".to_owned();
    for head in checkpoint["heads"].as_array().unwrap() {
        let word = |name: &str| head[name].as_str().unwrap().to_owned();
        text.push_str(&format!("{} {} {} {}\n", word("writer"), head["seq"], word("head"), word("time")));
    }
    let signature = BASE64_STANDARD.decode(checkpoint["signature"].as_str().unwrap()).unwrap();
    fs::write(path("text"), &text).unwrap();
    fs::write(path("signature"), signature).unwrap();
    let key = dev.dir().join("checkpoint.pub");
    let key = key.to_str().unwrap();
    let verify = |text: &str| {
        openssl(&["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile", &path("signature")])
    };
    let ran = verify(&path("text"));
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::write(path("forged"), text.replacen("v1\n", "v1\n\n", 1)).unwrap();
    assert_ne!(verify(&path("forged")).code, 0);

    let ledger = dev.ledger().to_str().unwrap().to_owned();
    let verified = |checkpoint: &str, key: &str| {
        let ran =
            run(&["ledger", "verify", &ledger, "--checkpoint", checkpoint, "--key", key, "--output", "json"], b"");
        (ran.code, ran.json()["end"].as_str().unwrap().to_owned(), ran.err)
    };
    assert_eq!(verified(&path("checkpoint.json"), key).1, "proven");
    // another's key, a forged head, and a key that whoever rewrote the ledger could have replaced
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("other.key")]).ended(0);
    openssl(&["pkey", "-in", &path("other.key"), "-pubout", "-out", &path("other.pub")]).ended(0);
    let (_, end, why) = verified(&path("checkpoint.json"), &path("other.pub"));
    assert_eq!(end, "not_proven");
    assert!(why.contains("was not signed by this key"), "{why}");
    let seq = checkpoint["heads"][0]["seq"].as_u64().unwrap();
    let forged = checkpoint.to_string().replacen(&format!("\"seq\":{seq}"), &format!("\"seq\":{}", seq - 1), 1);
    fs::write(path("forged.json"), forged).unwrap();
    assert_eq!(verified(&path("forged.json"), key).1, "not_proven");
    let inside = dev.ledger().join("checkpoint.pub");
    fs::copy(key, &inside).unwrap();
    let (_, end, why) = verified(&path("checkpoint.json"), inside.to_str().unwrap());
    assert_eq!(end, "not_proven");
    assert!(why.contains("inside the ledger"), "{why}");
}

#[test]
fn a_checkpoint_is_written_where_one_works_and_a_place_that_is_not_there_is_named() {
    let (dev, folder) = (Dev::start(), folder());
    let checkpoint = |out: &str| {
        let mut asked = command(&binary(), &["ledger", "checkpoint", "--out", out, "--server", dev.control()]);
        asked.current_dir(folder.path());
        finish(asked, b"")
    };
    checkpoint("checkpoint.json").ended(0);
    assert!(folder.path().join("checkpoint.json").exists());
    let refused = checkpoint("nowhere/checkpoint.json").ended(1);
    assert!(refused.err.contains("cannot write `nowhere/checkpoint.json`: No such file"), "{refused:?}");
}
