//! What an operator does with authorities, and what everyone who rests on one of them sees of it.

use std::collections::BTreeSet;

use super::{living, standing, text};
use crate::harness::{HOST, Identity, Installation, request, shake_hands, until, until_renewed};

/// Whether a gateway answers who comes with this SVID.
fn is_let_in(installation: &Installation, identity: &Identity) -> bool {
    let address = installation.word("edge-1", "/gateway/https");
    let ca = installation.dir().join("ca.pem");
    let shaken = shake_hands(address.trim_start_matches("https://"), HOST, &ca, Some(identity));
    shaken.is_ok_and(|mut conn| conn.send(&request("GET", "/export", None, &[])) && conn.answer().status == 200)
}

/// Whether a gateway has refused a certificate for who signed it.
fn is_refused(installation: &Installation) -> bool {
    installation.records("edge-1").iter().any(|record| {
        let verdict = &record["verdicts"][0];
        let reason = verdict["reason"].as_str().unwrap_or_default();
        verdict["code"] == "chain_invalid" && reason.contains("does not verify")
    })
}

/// Who signed the SVID that a gateway keeps: the authority's id, as certificates name it.
fn signer(installation: &Installation, file: &str) -> String {
    let mut openssl = std::process::Command::new("openssl");
    let svid = installation.dir().join(file);
    openssl.args(["x509", "-noout", "-ext", "authorityKeyIdentifier", "-in", svid.to_str().unwrap()]);
    let out = crate::harness::finish(openssl, b"").ended(0).out;
    out.lines().last().unwrap_or_default().trim().replace(':', "").to_lowercase()
}

#[test]
fn a_leaked_authority_is_replaced_everywhere_and_what_it_signed_counts_nowhere() {
    let (_upstream, installation) = living("24h", "1h");
    let stolen = installation.minted("reporter", "stolen", &[]);
    assert!(is_let_in(&installation, &stolen));
    let [leaked] = standing(&installation, "active").try_into().unwrap();
    assert_eq!(signer(&installation, "edge-1/svid/svid.pem"), leaked);

    let refused = |args: &[&str], words: &str| {
        let ran = installation.cli(args).ended(3);
        assert_eq!(ran.err.trim(), format!("countersign: {words}"), "{args:?}");
    };
    refused(&["authority", "activate"], "no x509 authority is prepared: `countersign authority show` lists them");
    refused(
        &["authority", "taint", &leaked],
        &format!("`{leaked}` is active: activate another one before it is tainted"),
    );
    refused(
        &["authority", "revoke", &leaked[..6]],
        &format!("`{leaked}` is active: activate another one, and taint this one, before it is revoked"),
    );
    refused(
        &["authority", "taint", "nobody", "--kind", "jwt"],
        "`nobody` is no authority of this kind that is published: `countersign authority show` lists them",
    );
    let done = |args: &[&str]| installation.cli(&[args, &["--output", "json"]].concat()).ended(0).json();
    let prepared = text(&done(&["authority", "prepare"])["id"]);
    refused(
        &["authority", "prepare"],
        &format!("`{prepared}` is prepared already: activate it, or taint and revoke it"),
    );
    let activated = done(&["authority", "activate"]);
    assert_eq!((text(&activated["id"]), text(&activated["act"])), (prepared.clone(), "activate".to_owned()));
    // both count, and what is minted is signed by the other one
    until("the stolen one counts", || is_let_in(&installation, &stolen).then_some(()));
    let fresh = installation.minted("reporter", "fresh", &[]);
    until("the gateway accepts what the other one signs", || is_let_in(&installation, &fresh).then_some(()));
    refused(
        &["authority", "revoke", &leaked],
        &format!("`{leaked}` is retired: taint it before it is revoked, so that what it signed is replaced"),
    );

    done(&["authority", "taint"]);
    refused(
        &["authority", "activate", &leaked],
        &format!("`{leaked}` is tainted: only a prepared authority is activated"),
    );
    refused(&["authority", "taint", &leaked], &format!("`{leaked}` is tainted already"));
    // what it signed counts still, and who has something of it gets something else; a client may have to read `ca.pem` again
    until("the stolen one counts still", || is_let_in(&installation, &stolen).then_some(()));
    until_renewed("the gateway has another SVID", || {
        (signer(&installation, "edge-1/svid/svid.pem") == prepared).then_some(())
    });
    assert!(!is_refused(&installation), "nothing is refused for who signed it, before that is revoked");
    done(&["authority", "revoke"]);
    until("the gateway refuses the stolen one", || {
        let _ = is_let_in(&installation, &stolen);
        is_refused(&installation).then_some(())
    });
    until("and goes on with the other", || is_let_in(&installation, &fresh).then_some(()));
    assert!(!is_let_in(&installation, &stolen));
    assert_eq!(standing(&installation, "active"), [prepared]);

    // every step has a record, and who took it
    let records = installation.records("server");
    let steps: Vec<&str> = records
        .iter()
        .filter(|record| record["kind"] == "judgement" && record["verdicts"][0]["decision"] == "allow")
        .filter_map(|record| record["operation"].as_str().filter(|operation| operation.starts_with("authority ")))
        .filter(|operation| *operation != "authority show")
        .collect();
    assert_eq!(steps.first(), Some(&"authority activate"), "refused by what is there: {steps:?}");
    let ids: BTreeSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    let shown = done(&["authority", "show"]);
    let last = &shown["items"].as_array().unwrap().iter().find(|item| item["kind"] == "x509").unwrap()["last"];
    assert!(ids.contains(last["record"].as_str().unwrap()) && text(&last["by"]).starts_with("human:local:"), "{last}");
}
