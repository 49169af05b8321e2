//! `svid mint`: what it leaves, who may, and the exact words where it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dev, Estate, Ran, finish};

fn openssl(args: &[&str]) -> Ran {
    let mut openssl = Command::new("openssl");
    openssl.args(args);
    finish(openssl, b"").ended(0)
}

#[test]
fn an_svid_is_minted_with_its_key_for_its_owner_alone() {
    let dev = Dev::start();
    let svid = dev.minted("reporter", "out", &["--ttl", "10m"]);
    let folder = dev.path("out");
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("svid.key"), mode("svid.pem"), mode("bundle.pem"), mode("")], [0o600, 0o644, 0o644, 0o700]);
    let (cert, bundle) = (svid.cert.to_str().unwrap(), folder.join("bundle.pem"));
    openssl(&["verify", "-x509_strict", "-CAfile", bundle.to_str().unwrap(), cert]);
    let text = openssl(&["x509", "-noout", "-text", "-in", cert]).out;
    for line in [
        "URI:spiffe://prod.acme.test/billing/reporter",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "ASN1 OID: prime256v1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("DNS:"), "{text}");
    // ten minutes, and not eleven
    let ends = |seconds: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-checkend", seconds, "-in", cert]);
        finish(openssl, b"").code
    };
    assert_eq!((ends("540"), ends("660")), (0, 1));
    // another one is another key
    let again = dev.minted("spiffe://prod.acme.test/billing/reporter", "again", &[]);
    assert_ne!(fs::read(&again.key).unwrap(), fs::read(&svid.key).unwrap());

    // the files of the server itself, and what it says
    let mode = |name: &str| fs::metadata(dev.dir().join(name)).unwrap().permissions().mode() & 0o777;
    for secret in ["keys/seal.key", "keys/issuer/prod.acme.test/assertions.key", "state/state.db"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    assert_eq!((mode("svids/reporter/svid.key"), mode("svids/reporter")), (0o600, 0o700));
    assert_eq!((mode("keys/issuer/prod.acme.test"), mode("ca.pem")), (0o700, 0o644));
    let key = |path: &std::path::Path| fs::read_to_string(path).unwrap().lines().nth(1).unwrap().to_owned();
    let keys = [
        key(&svid.key),
        key(&dev.svid("reporter").key),
        key(&dev.dir().join("keys/seal.key")),
        key(&dev.dir().join("keys/issuer/prod.acme.test/assertions.key")),
    ];
    let ledger = dev.cli(&["ledger", "tail", "--output", "json"]).ended(0).out;
    for key in keys {
        assert!(!dev.log().contains(&key) && !ledger.contains(&key), "a key is printed");
    }
}

#[test]
fn minting_is_recorded_with_whose_svid_it_is() {
    let dev = Dev::start();
    dev.minted("reporter", "out", &[]);
    let records = dev.judgements();
    let whose = |record: &&Value| record["inputs"]["context"]["params"] == json!([["id", "reporter"]]);
    let minted: Vec<_> = records.values().filter(|record| record["operation"] == "svid mint").filter(whose).collect();
    // the one of `dev` itself, and this one
    assert_eq!(minted.len(), 2, "{records:#?}");
    for record in minted {
        let verdict = &record["verdicts"][0];
        assert_eq!((&verdict["action"], &verdict["resource"]), (&"effect".into(), &"countersign/svids".into()));
        assert_eq!((&verdict["decision"], &verdict["tier"]), (&"allow".into(), &"sensitive".into()), "{record}");
    }
}

#[test]
fn nothing_is_minted_that_may_not_be_and_the_words_say_why() {
    let dev = Dev::serving(&Estate::ours().document(
        "kind: Principal\nmetadata: {name: retired}\nspec: {kind: Workload, id: spiffe://prod.acme.test/retired, \
         owner: team-billing, purpose: long gone, expires: 2026-01-01T00:00:00Z}",
    ));
    for (id, more, exit, words) in [
        ("nobody", &[][..], 3, "`nobody` is no principal here"),
        ("spiffe://prod.acme.test/nobody", &[], 3, "`spiffe://prod.acme.test/nobody` is no principal here"),
        ("spiffe://prod.acme.test/countersign/gateway", &[], 3, "is no principal here"),
        ("spiffe://staging.acme.test/billing/reporter", &[], 3, "is no principal here"),
        ("human:people:alice", &[], 3, "`human:people:alice` is a human; only machines have SVIDs"),
        ("retired", &[], 3, "`spiffe://prod.acme.test/retired` expired at 2026-01-01T00:00:00.000000Z"),
        ("reporter", &["--ttl", "25h"], 3, "an SVID lives between 1 s and 24 h"),
        ("reporter", &["--ttl", "0s"], 3, "an SVID lives between 1 s and 24 h"),
        ("reporter", &["--ttl", "999ms"], 3, "an SVID lives between 1 s and 24 h"),
    ] {
        let ran = dev.mint(id, "out", more).ended(exit);
        assert!(ran.err.contains(words), "{words}: {ran:?}");
        assert!(ran.out.is_empty() && !dev.path("out").exists(), "{ran:?}");
    }
    for ttl in ["soon", "-1s", ""] {
        let ran = dev.mint("reporter", "out", &[&format!("--ttl={ttl}")]);
        assert!(matches!(ran.code, 3 | 64) && ran.err.contains("ttl"), "{ran:?}");
    }
}

#[test]
fn an_estate_may_forbid_it() {
    let dev = Dev::serving(&Estate::ours());
    let forbidding = Estate::ours().policy(
        "no-svids-by-hand",
        "forbid (principal is Human, action in Action::\"effect\", resource in Resource::\"countersign/svids\");",
    );
    let reporter = dev.svid("reporter");
    dev.apply(&forbidding);
    let ran = dev.mint("reporter", "out", &[]).ended(2);
    assert!(ran.err.contains("forbidden"), "{ran:?}");
    assert!(!dev.path("out").exists());
    // the gateway serves on with the certificate that it has
    let mut conn = dev.shake(Some(&reporter));
    conn.send(&crate::harness::request("GET", "/invoices/1", None, &[]));
    conn.answer().is(200);
    // and takes the permission back when it is given back
    dev.apply(&Estate::ours());
    dev.mint("reporter", "out", &[]).ended(0);
}
