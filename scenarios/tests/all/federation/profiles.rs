//! Both profiles, and mTLS between workloads of the two trust domains by go-spiffe.

use super::{ACME, PARTNER, World, spiffe, web};
use crate::harness::Greeter;

/// How the greeter of one world greets the workload of the other.
fn called(from: &World, at: &Greeter, whose: &World) -> String {
    let ran = from.sockets.go("node-1", &["call", &at.address, &whose.id()]);
    ran.out + &ran.err
}

#[test]
fn workloads_of_two_trust_domains_know_each_other_while_both_federate() {
    let acme = World::serving(ACME, "{profile: https_spiffe}").joined();
    let partner = World::serving(PARTNER, "{profile: https_web, cert: ../web/leaf.pem, key: ../web/leaf.key}").joined();
    let greeting = |world: &World| Greeter::start(&world.sockets, world.other());
    let (here, there) = (greeting(&acme), greeting(&partner));
    let refused = called(&acme, &there, &partner);
    assert!(refused.contains("no X.509 bundle") && refused.contains(PARTNER), "{refused}");

    let estate = acme.estate(&web(PARTNER, &partner.endpoint())).file("keys/web-ca.pem", &partner.web_root());
    acme.installation.apply(&estate, &[]).ended(0);
    let id = format!("spiffe://{ACME}/countersign/server");
    let estate = partner.estate(&spiffe(ACME, &acme.endpoint(), &id)).file("keys/other.json", &acme.bundle());
    partner.installation.apply(&estate, &[]).ended(0);
    acme.until_trusting(PARTNER);
    partner.until_trusting(ACME);
    assert_eq!(called(&acme, &there, &partner), format!("hello {}\n", acme.id()));
    assert_eq!(called(&partner, &here, &acme), format!("hello {}\n", partner.id()));

    acme.apply("");
    acme.until_trusting_no(PARTNER);
    let refused = called(&acme, &there, &partner);
    assert!(refused.contains("no X.509 bundle"), "{refused}");
    let refused = called(&partner, &here, &acme);
    assert!(!refused.contains("hello"), "{refused}");
}

/// Whoever has the name alone, or another SVID, is not who the document names.
#[test]
fn a_server_is_held_to_the_spiffe_id_that_is_written() {
    let acme = World::serving(ACME, "{profile: https_spiffe}");
    let partner = World::serving(PARTNER, "{profile: https_web, cert: ../web/leaf.pem, key: ../web/leaf.key}");
    let id = format!("spiffe://{ACME}/countersign/another");
    let estate = partner.estate(&spiffe(ACME, &acme.endpoint(), &id)).file("keys/other.json", &acme.bundle());
    partner.installation.apply(&estate, &[]).ended(0);
    partner.installation.until_logged("server", "no newer bundle of a federated trust domain");
    let log = partner.installation.log("server");
    assert!(log.contains(&format!("spiffe://{ACME}/countersign/server")), "{log}");
    // by name, it is nobody under any root
    let estate = partner.estate(&web(ACME, &acme.endpoint())).file("keys/web-ca.pem", &partner.web_root());
    partner.installation.apply(&estate, &[]).ended(0);
    partner.installation.until_logged("server", "invalid peer certificate: UnknownIssuer");
}
