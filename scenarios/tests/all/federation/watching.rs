//! What operators see of federations; tokens across them; and several nodes of control, of which one alone reaches the other side.

use std::fs;

use serde_json::Value;
use testkit::postgres::Postgres;

use super::{ACME, PARTNER, World, web};
use crate::harness::{FileServer, Installation, Sockets, call, folder, until, until_within};

/// What a world knows of its one federation.
fn seen(world: &World) -> Value {
    world.installation.cli(&["get", "federations", "--output", "json"]).ended(0).json()["items"][0].clone()
}

/// A number of the metrics of a world that is about its federation.
fn metric(world: &World, name: &str) -> Option<f64> {
    let admin = world.installation.word("server", "/admin");
    let page = call(admin.trim_start_matches("http://"), "GET", "/metrics", None, &[]).is(200).text();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name}{{trust_domain=\"{PARTNER}\"}} ")));
    line.map(|number| number.parse().expect("a number"))
}

/// A bundle in a file behind HTTPS, and the document that names it.
fn published(bundle: &str) -> (FileServer, tempfile::TempDir, String, String) {
    let folder = folder();
    let server = FileServer::start(folder.path());
    server.says("bundle", bundle);
    let roots = fs::read_to_string(folder.path().join("ca.pem")).expect("roots");
    let document = web(PARTNER, &format!("https://localhost:{}/bundle", server.port));
    (server, folder, roots, document)
}

#[test]
fn operators_see_when_a_bundle_was_had_and_why_there_is_no_newer_one() {
    let acme = World::serving(ACME, "{profile: https_spiffe}");
    let said = acme.installation.cli(&["get", "federations"]).ended(0).out;
    assert_eq!(said.trim(), "nothing of that kind");
    let bundle = World::serving(PARTNER, "{profile: https_spiffe}").bundle();
    let sequence = serde_json::from_str::<Value>(&bundle).expect("JSON")["spiffe_sequence"].clone();
    let (server, _folder, roots, document) = published(&bundle);
    acme.installation.apply(&acme.estate(&document).file("keys/web-ca.pem", &roots), &[]).ended(0);
    let known = || Some(seen(&acme)).filter(|seen| seen["standing"] == "known" && seen["next"].is_string());
    let known = until_within(super::PATIENCE, known).expect("it is had");
    assert_eq!((&known["trust_domain"], &known["profile"]), (&PARTNER.into(), &"https_web".into()));
    assert_eq!((&known["sequence"], &known["error"]), (&sequence, &Value::Null));
    assert!(known["fetched"].as_str() < known["next"].as_str() && known["changed"].is_string(), "{known}");
    assert_eq!(metric(&acme, "countersign_federation_bundle_known"), Some(1.0));
    assert!(metric(&acme, "countersign_federation_bundle_age_seconds").expect("an age") < 60.0);
    assert_eq!(metric(&acme, "countersign_federation_fetch_failures_total"), Some(0.0));

    server.says("bundle", "{}");
    let failed = || Some(seen(&acme)).filter(|seen| seen["error"].is_string());
    let failed = until_within(super::PATIENCE, failed).expect("it fails");
    assert!(failed["error"].as_str().is_some_and(|why| why.starts_with("what was fetched is no bundle")), "{failed}");
    assert_eq!(failed["standing"], "known", "and what was had counts on");
    assert!(metric(&acme, "countersign_federation_fetch_failures_total").expect("a count") >= 1.0);
    let said = acme.installation.cli(&["get", "federations"]).ended(0).out;
    for holds in
        ["other  partner.test  known", "by https_web", "last fetch 20", "last error: what was fetched is no bundle"]
    {
        assert!(said.contains(holds), "{holds}: {said}");
    }
    // a federation on other terms begins anew
    let document = document.replace("/bundle", "/another");
    acme.installation.apply(&acme.estate(&document).file("keys/web-ca.pem", &roots), &[]).ended(0);
    until("nobody is trusted", || (metric(&acme, "countersign_federation_bundle_known") == Some(0.0)).then_some(()));
    assert_eq!(metric(&acme, "countersign_federation_bundle_age_seconds"), None);
}

#[test]
fn tokens_of_another_trust_domain_are_validated_while_it_is_federated_and_not_a_moment_longer() {
    let acme = World::serving(ACME, "{profile: https_spiffe}").joined();
    let partner = World::serving(PARTNER, "{profile: https_web, cert: ../web/leaf.pem, key: ../web/leaf.key}").joined();
    let token = partner.sockets.go("node-1", &["token", "billing"]).ended(0).out.trim().to_owned();
    let validated = |audience: &str| {
        let ran = acme.sockets.go("node-1", &["validate", &token, audience]);
        ran.out + &ran.err
    };
    assert!(validated("billing").contains("InvalidArgument"), "{}", validated("billing"));
    let estate = acme.estate(&web(PARTNER, &partner.endpoint())).file("keys/web-ca.pem", &partner.web_root());
    acme.installation.apply(&estate, &[]).ended(0);
    acme.until_trusting(PARTNER);
    assert_eq!(validated("billing"), format!("valid {}\n", partner.id()));
    assert!(validated("another").contains("InvalidArgument"), "{}", validated("another"));
    // a key that the other side revokes is gone here with its next bundle, and a new one is known
    for act in ["prepare", "activate", "taint", "revoke"] {
        partner.installation.cli(&["authority", act, "--kind", "jwt"]).ended(0);
    }
    let gone = until_within(super::PATIENCE, || validated("billing").contains("InvalidArgument").then_some(()));
    assert!(gone.is_some(), "{}", validated("billing"));
    let token = partner.sockets.go("node-1", &["token", "billing"]).ended(0).out.trim().to_owned();
    let validated = || acme.sockets.go("node-1", &["validate", &token, "billing"]);
    until("the new one is known", || validated().out.contains(&partner.id()).then_some(()));

    acme.apply("");
    until("it is trusted no more", || (!validated().out.contains("valid")).then_some(()));
    assert!(validated().err.contains("InvalidArgument"), "{}", validated().err);
}

#[test]
fn what_one_node_of_control_had_is_handed_out_by_all_and_forgotten_by_all() {
    let Some(postgres) = Postgres::alone() else { return };
    postgres.make_database("federated");
    let mut first = Installation::laid_out("production", ACME);
    let url = first.path("state.url");
    fs::write(&url, postgres.url("federated")).unwrap();
    first.edit("server.yaml", &[("state: state/state.db", &format!("stateUrlFile: {}", url.display()))]);
    let mut second = Installation::twin(&first);
    first.start("server");
    let mut here = World { domain: ACME, installation: first, sockets: Sockets::new() };
    let bundle = World::serving(PARTNER, "{profile: https_spiffe}").bundle();
    let (server, _folder, roots, document) = published(&bundle);
    let estate = here.estate(&document).file("keys/web-ca.pem", &roots);
    here.installation.apply(&estate, &[]).ended(0);
    let had = || (seen(&here)["standing"] == "known").then_some(());
    assert!(until_within(super::PATIENCE, had).is_some(), "{}", here.installation.log("server"));
    // from here on nobody has it: the other node never does
    drop(server);
    second.start("server");
    let mut there = World { domain: ACME, installation: second, sockets: Sockets::new() };
    for world in [&mut here, &mut there] {
        world.installation.join(&world.sockets, "node-1");
    }
    here.until_trusting(PARTNER);
    there.until_trusting(PARTNER);
    let known = seen(&there);
    assert_eq!((&known["standing"], &known["fetched"]), (&"known".into(), &Value::Null), "{known}");
    assert!(metric(&there, "countersign_federation_bundle_age_seconds").is_some());
    // the document goes at one of them
    there.apply("");
    there.until_trusting_no(PARTNER);
    here.until_trusting_no(PARTNER);
    for world in [&here, &there] {
        assert_eq!(seen(world), Value::Null);
    }
}
