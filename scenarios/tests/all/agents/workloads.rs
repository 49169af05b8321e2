//! What workloads are given: by go-spiffe, as it is published.

use serde_json::json;

use super::watching::Watching;
use super::{as_stranger, estate, joined, own_uid, registration};
use crate::harness::{Estate, curl, finish, until};

#[test]
fn a_registered_workload_has_svids_and_bundles_and_a_stranger_has_none() {
    let (sockets, installation) = joined(&estate("  x509: {dnsNames: [web.acme.test]}\n  hint: internal\n"));
    let got = sockets.go("node-1", &["x509"]).ended(0).out;
    let expected = "svid spiffe://prod.acme.test/web internal [web.acme.test]\nbundle prod.acme.test 1\nbundles 1\n";
    assert_eq!(got, expected);
    let got = sockets.go("node-1", &["jwt", "billing"]).ended(0).out;
    let id = "spiffe://prod.acme.test/web";
    let refused = "rpc error: code = InvalidArgument desc = issued for another audience, or for more than one";
    assert_eq!(got, format!("jwt {id} {id} [billing] true\nanother audience: {refused}\n"));
    let got = sockets.go("node-1", &["mtls"]).ended(0).out;
    assert_eq!(got, format!("mtls hello {id}\nanother server: true\n"));
    if let Some(stranger) = as_stranger(&sockets, sockets.go_command("node-1", &["x509"]), b"") {
        assert_eq!(stranger.code, 1, "{stranger:?}");
        assert!(stranger.err.contains("code = PermissionDenied desc = no identity issued"), "{stranger:?}");
    }
    let records = installation.records("server");
    for (operation, about) in [("mint x509", "unix:uid:"), ("mint jwt", "unix:uid:")] {
        let minted = records.iter().find(|record| record["operation"] == operation).expect("it is recorded");
        assert_eq!(minted["verdicts"][0]["decision"], "allow");
        let context = minted["inputs"].to_string() + &minted.to_string();
        assert!(context.contains(about) && context.contains(id), "{minted}");
    }
}

#[test]
fn registrations_of_one_id_have_one_token_whatever_stands_between_their_names() {
    let of = |name: &str, id: &str| {
        registration(name, own_uid(), "").replace(&format!("test/{name}"), &format!("test/{id}"))
    };
    let estate = Estate::empty().document(&of("a", "web")).document(&of("b", "mail")).document(&of("c", "web"));
    let (sockets, _installation) = joined(&estate);
    let got = sockets.go("node-1", &["jwt", "billing"]).ended(0).out;
    let ids: Vec<&str> = got.lines().filter_map(|line| line.strip_prefix("jwt ")?.split(' ').next()).collect();
    assert_eq!(ids, ["spiffe://prod.acme.test/web", "spiffe://prod.acme.test/mail"]);
}

#[test]
fn svids_are_renewed_at_half_of_their_lives_while_somebody_watches() {
    let (sockets, _installation) = joined(&estate("  x509: {ttl: 3s}\n"));
    let seen = sockets.go("node-1", &["rotation", "4"]).ended(0).out;
    assert_eq!(seen.lines().count(), 4, "{seen}");
}

#[test]
fn what_is_registered_reaches_whoever_waits_and_what_is_withdrawn_is_taken_away() {
    let estate = estate("");
    let (sockets, installation) = joined(&estate);
    let watching = Watching::start(sockets.go_command("node-1", &["watch"]));
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
    let both = estate.clone().document(&registration("second", own_uid(), ""));
    installation.apply(&both, &[]).ended(0);
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/second spiffe://prod.acme.test/web]");
    installation.apply(&estate, &[]).ended(0);
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
    installation.apply(&Estate::empty(), &[]).ended(0);
    assert_eq!(watching.line(), "PermissionDenied");
    // and it comes back to whoever asks again
    installation.apply(&estate, &[]).ended(0);
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
}

#[test]
fn what_is_put_beside_the_estate_reaches_whoever_waits_and_survives_a_restart() {
    let (sockets, mut installation) = joined(&estate(""));
    let watching = Watching::start(sockets.go_command("node-1", &["watch"]));
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
    let write = |text: &str| {
        let path = installation.path("put.yaml");
        std::fs::write(&path, format!("apiVersion: countersign.dev/v1\n{text}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = write(&registration("api", own_uid(), ""));
    let put = installation.cli(&["registration", "put", "-f", &file]).ended(0);
    assert_eq!(put.out, "registered: api\n");
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/api spiffe://prod.acme.test/web]");
    let refused = installation.cli(&["registration", "put", "-f", &write(&registration("web", 1, ""))]).ended(3);
    assert!(refused.err.contains("`web` is a registration of the estate: change it there"), "{refused:?}");
    let refused = installation.cli(&[
        "registration",
        "put",
        "-f",
        &write("kind: Group\nmetadata: {name: a}\nspec: {members: []}\n"),
    ]);
    assert!(refused.err.contains("Group: only a Registration is put by itself; apply the estate"), "{refused:?}");
    let refused = installation.cli(&["registration", "delete", "nothing"]).ended(3);
    assert!(refused.err.contains("no registration `nothing` was put here"), "{refused:?}");
    installation.stop("server");
    installation.start("server");
    let registered = installation.cli(&["get", "registrations", "--output", "json"]).ended(0).json();
    let by: Vec<_> = registered["items"].as_array().unwrap().iter().map(|one| (&one["name"], &one["by"])).collect();
    assert_eq!(by, [(&json!("api"), &json!("operator")), (&json!("web"), &json!("estate"))]);
    installation.cli(&["registration", "delete", "api"]).ended(0);
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
}

#[test]
fn a_principal_that_is_revoked_loses_its_svid_and_has_no_other() {
    let (sockets, installation) = joined(&estate(""));
    let watching = Watching::start(sockets.go_command("node-1", &["watch"]));
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/web]");
    installation.cli(&["revoke", "principal", "spiffe://prod.acme.test/web"]).ended(0);
    assert_eq!(watching.line(), "PermissionDenied");
    let refused = sockets.go("node-1", &["jwt", "billing"]);
    assert!(refused.err.contains("PermissionDenied"), "{refused:?}");
}

#[test]
fn while_control_is_away_what_was_minted_is_served() {
    let (sockets, mut installation) = joined(&estate(""));
    sockets.go("node-1", &["x509"]).ended(0);
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
    installation.kill9("server");
    installation.until_logged("node-1", "nothing more is heard of control");
    sockets.go("node-1", &["x509"]).ended(0);
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
    let fresh = sockets.go("node-1", &["jwt", "another"]);
    assert!(fresh.err.contains("code = Unavailable"), "{fresh:?}");
    installation.start("server");
    until("a token", || (sockets.go("node-1", &["jwt", "another"]).code == 0).then_some(()));
}

#[test]
fn a_workload_of_another_node_is_nobody() {
    let elsewhere = registration("web", own_uid(), "").replace("node-1", "node-9");
    let (sockets, _installation) = joined(&Estate::empty().document(&elsewhere));
    let refused = sockets.go("node-1", &["x509"]);
    assert!(refused.err.contains("code = PermissionDenied desc = no identity issued"), "{refused:?}");
}

#[test]
fn a_call_without_the_security_header_is_refused() {
    let (sockets, _installation) = joined(&estate(""));
    let call = |method: &str, headers: &[&str]| finish(curl(&sockets, method, headers), &[0; 5]).out;
    for wrong in [&[][..], &["workload.spiffe.io: True"], &["workload.spiffe.io: true", "workload.spiffe.io: true"]] {
        let said = call("SpiffeWorkloadAPI/FetchX509Bundles", wrong);
        assert!(said.contains("grpc-status: 3\r\n"), "{wrong:?}: {said}");
    }
    for unknown in ["SpiffeWorkloadAPI/FetchNothing", "Elsewhere/FetchNothing"] {
        let said = call(unknown, &["workload.spiffe.io: true"]);
        assert!(said.contains("grpc-status: 12\r\n"), "{unknown}: {said}");
    }
}

/// A registration may take what is attested into an id; it never makes a part of the product of a workload.
#[test]
fn a_template_makes_ids_of_what_is_attested_and_never_a_part_of_the_product() {
    let document = format!(
        "kind: Registration\nmetadata: {{name: users}}\nspec:\n  id: \"spiffe://prod.acme.test/user/{{unix:uid}}\"\n  \
         nodes: [\"node:any\"]\n  selectors: [\"unix:uid:{}\"]\n",
        own_uid()
    );
    let (sockets, installation) = joined(&Estate::empty().document(&document));
    let got = sockets.go("node-1", &["x509"]).ended(0).out;
    assert!(got.starts_with(&format!("svid spiffe://prod.acme.test/user/{} ", own_uid())), "{got}");
    let own = document.replace("spiffe://prod.acme.test/user/", "spiffe://prod.acme.test/countersign/agent/");
    let refused = installation.apply(&Estate::empty().document(&own), &[]).ended(3);
    assert!(refused.err.contains("paths under `/countersign` are for Countersign's own parts"), "{refused:?}");
}

#[test]
fn what_was_minted_is_explained_by_whom_for_whom_and_why() {
    let (sockets, installation) = joined(&estate(""));
    sockets.go("node-1", &["x509"]).ended(0);
    let records = installation.records("server");
    let minted = records.iter().find(|record| record["operation"] == "mint x509").expect("it is recorded");
    let explained = installation.cli(&["explain", minted["id"].as_str().unwrap()]).ended(0).out;
    assert!(explained.contains("spiffe://prod.acme.test/countersign/agent/node-1"), "{explained}");
    assert_eq!(minted["verdicts"][0]["policies"], json!(["countersign/agents-mint"]));
    let replayed = installation.cli(&["replay", minted["id"].as_str().unwrap(), "--output", "json"]).ended(0).json();
    assert_eq!(replayed, json!({"checked": 1, "agreed": 1, "differ": []}));
}

#[test]
fn agents_are_listed_with_what_is_attested_of_them() {
    let (_sockets, installation) = joined(&estate(""));
    let agents = installation.cli(&["get", "agents", "--output", "json"]).ended(0).json();
    let agent = &agents["items"][0];
    assert_eq!((&agent["name"], &agent["method"]), (&json!("agent/node-1"), &json!("join_token")));
    let registered = installation.cli(&["get", "registrations", "--output", "json"]).ended(0).json();
    assert_eq!(registered["items"][0]["name"], "web");
}
