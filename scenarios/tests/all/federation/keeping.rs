//! What was had is kept while nothing newer can be had, and nothing older is taken.

use serde_json::Value;

use super::{ACME, PARTNER, World, web};
use crate::harness::{FileServer, folder, until};

/// A bundle under another sequence, with all its keys or none.
fn numbered(bundle: &str, sequence: u64, keys: bool) -> String {
    let mut bundle: Value = serde_json::from_str(bundle).expect("JSON");
    bundle["spiffe_sequence"] = sequence.into();
    if !keys {
        bundle["keys"] = Value::Array(Vec::new());
    }
    bundle.to_string()
}

#[test]
fn the_last_good_bundle_is_kept_and_an_older_one_is_refused() {
    let mut acme = World::serving(ACME, "{profile: https_spiffe}").joined();
    let bundle = World::serving(PARTNER, "{profile: https_spiffe}").bundle();
    let folder = folder();
    let server = FileServer::start(folder.path());
    server.says("bundle", &numbered(&bundle, 5, true));
    let roots = std::fs::read_to_string(folder.path().join("ca.pem")).expect("roots");
    let url = format!("https://localhost:{}/bundle", server.port);
    let estate = acme.estate(&web(PARTNER, &url)).file("keys/web-ca.pem", &roots);
    acme.installation.apply(&estate, &[]).ended(0);
    acme.until_trusting(PARTNER);

    server.says("bundle", &numbered(&bundle, 4, false));
    acme.installation.until_logged("server", "its sequence 4 lies behind 5, which is known");
    server.says("bundle", &numbered(&bundle, 5, false));
    acme.installation.until_logged("server", "other authorities under the sequence 5, which is known");
    server.says("bundle", "{}");
    acme.installation.until_logged("server", "what was fetched is no bundle");
    acme.until_trusting(PARTNER);

    // nobody there, and a server that begins anew
    drop(server);
    acme.installation.until_logged("server", "it cannot be fetched");
    acme.installation.stop("server");
    acme.installation.start("server");
    acme.until_trusting(PARTNER);
}

#[test]
fn of_a_trust_domain_whose_bundle_is_empty_nobody_is_known() {
    let acme = World::serving(ACME, "{profile: https_spiffe}").joined();
    let bundle = World::serving(PARTNER, "{profile: https_spiffe}").bundle();
    let folder = folder();
    let server = FileServer::start(folder.path());
    server.says("bundle", &numbered(&bundle, 5, true));
    let roots = std::fs::read_to_string(folder.path().join("ca.pem")).expect("roots");
    let url = format!("https://localhost:{}/bundle", server.port);
    let estate = acme.estate(&web(PARTNER, &url)).file("keys/web-ca.pem", &roots);
    acme.installation.apply(&estate, &[]).ended(0);
    acme.until_trusting(PARTNER);
    server.says("bundle", &numbered(&bundle, 6, false));
    acme.until_trusting_no(PARTNER);
    server.says("bundle", &numbered(&bundle, 7, true));
    acme.until_trusting(PARTNER);
    // and the state forgets it with the document
    acme.apply("");
    acme.until_trusting_no(PARTNER);
    until("it is forgotten", || acme.installation.log("server").contains("its bundle is forgotten").then_some(()));
}
