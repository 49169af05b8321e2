//! WIT-SVIDs, by go-spiffe as it is published: served where the settings of both name them, and nowhere else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::authorities::{PATIENCE, standing};
use super::{estate, own_uid, registration};
use crate::harness::{Estate, Installation, Sockets, call, until_within};

/// An installation with one node that has joined; `control` and `agent` are what their settings say beside the usual.
pub(super) fn witnessed(control: &str, agent: &str, estate: &Estate) -> (Sockets, Installation) {
    let (sockets, mut installation) = (Sockets::new(), Installation::laid_out("production", "prod.acme.test"));
    installation.edit("server.yaml", &[("state: state/state.db", &format!("{control}state: state/state.db"))]);
    installation.edit("agent.yaml", &[("environment: ", &format!("{agent}environment: "))]);
    installation.start("server");
    installation.apply(estate, &[]).ended(0);
    installation.join(&sockets, "node-1");
    (sockets, installation)
}

pub(super) const ON: &str = "incubating: [wit]\n";

/// Names of the keys of the published bundle that are for this.
fn kids(installation: &Installation, usage: &str) -> BTreeSet<String> {
    let admin = installation.word("server", "/admin");
    let bundle = call(admin.trim_start_matches("http://"), "GET", "/bundle", None, &[]).body;
    let bundle: Value = serde_json::from_slice(&bundle).expect("a document");
    let keys = bundle["keys"].as_array().expect("keys").iter().filter(|key| key["use"] == usage);
    keys.map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_workload_has_wit_svids_of_its_own_key_and_none_of_them_passes_for_a_jwt_svid() {
    let two = estate("  hint: internal\n").document(&registration("second", own_uid(), "  hint: external\n"));
    let (sockets, installation) = witnessed(ON, ON, &two);
    let one = |name: &str, hint: &str| {
        format!(
            "wit spiffe://prod.acme.test/{name} {hint} true true\na JWT-SVID here: false\na JWT-SVID there: rpc error: \
             code = InvalidArgument desc = `typ` is `wit+jwt`, which this source does not accept\n"
        )
    };
    let rest = "a WIT-SVID: false\nbundle prod.acme.test 1 of both 0\n";
    let got = sockets.go("node-1", &["wit"]).ended(0).out;
    assert_eq!(got, format!("{}{}{rest}", one("second", "external"), one("web", "internal")));
    let got = sockets.go("node-1", &["wit", "spiffe://prod.acme.test/web"]).ended(0).out;
    assert_eq!(got, format!("{}{rest}", one("web", "internal")));
    let other = sockets.go("node-1", &["wit", "spiffe://prod.acme.test/other"]).ended(1);
    assert!(other.err.contains("code = PermissionDenied desc = no identity issued"), "{other:?}");
    let minted = installation.records("server");
    let minted = minted.iter().find(|record| record["operation"] == "mint wit").expect("it is recorded");
    assert_eq!(minted["verdicts"][0]["decision"], "allow");
    assert!(kids(&installation, "wit-svid").is_disjoint(&kids(&installation, "jwt-svid")));
    assert_eq!(kids(&installation, "wit-svid").len(), 1);
}

#[test]
fn wit_svids_are_off_unless_both_settings_name_them() {
    for (control, agent, why) in [
        ("", "", "the WIT-SVID profile is not served"),
        (ON, "", "the WIT-SVID profile is not served"),
        ("", ON, "the control plane signs no WIT-SVIDs"),
    ] {
        let (sockets, installation) = witnessed(control, agent, &estate(""));
        let refused = sockets.go("node-1", &["wit"]).ended(1);
        assert!(refused.err.contains(&format!("code = Unimplemented desc = {why}")), "{refused:?}");
        assert_eq!(kids(&installation, "wit-svid").is_empty(), control.is_empty());
        sockets.go("node-1", &["jwt", "billing"]).ended(0);
    }
}

#[test]
fn what_a_tainted_key_signed_is_replaced_and_a_revoked_one_is_in_no_bundle() {
    let (sockets, installation) = witnessed(ON, ON, &estate(""));
    let signer = || sockets.go("node-1", &["wit-signer"]).ended(0).out.trim().to_owned();
    let before = signer();
    assert_eq!(kids(&installation, "wit-svid"), [before.clone()].into());
    let [old] = standing(&installation, "wit", "active").try_into().unwrap();
    for step in ["prepare", "activate"] {
        installation.cli(&["authority", step, "--kind", "wit"]).ended(0);
    }
    installation.cli(&["authority", "taint", &old, "--kind", "wit"]).ended(0);
    let after = until_within(PATIENCE, || Some(signer()).filter(|now| *now != before)).expect("another key's SVID");
    installation.cli(&["authority", "revoke", &old, "--kind", "wit"]).ended(0);
    assert_eq!(kids(&installation, "wit-svid"), [after].into());
    until_within(PATIENCE, || {
        let got = sockets.go("node-1", &["wit"]).ended(0).out;
        got.contains("bundle prod.acme.test 1 of both 0\n").then_some(())
    })
    .expect("one key");
}
