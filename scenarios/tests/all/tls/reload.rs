//! The gateway's own certificate follows the estate, and no connection notices.

use super::handshakes::s_client;
use crate::harness::{Dev, Http2, Identity, finish, request, until};

/// The names in the certificate that the gateway shows.
fn names(dev: &Dev, identity: Option<&Identity>) -> String {
    let shown = s_client(dev, identity, &[], b"").out;
    let mut x509 = std::process::Command::new("openssl");
    x509.args(["x509", "-noout", "-ext", "subjectAltName"]);
    finish(x509, shown.as_bytes()).ended(0).out
}

#[test]
fn a_host_that_an_estate_adds_is_in_the_next_certificate() {
    let dev = Dev::start();
    let reporter = dev.svid("reporter");
    let own = names(&dev, Some(&reporter));
    assert!(own.contains("URI:spiffe://prod.acme.test/countersign/gateway"), "{own}");
    assert!(own.contains("DNS:billing.acme.test") && own.contains("IP Address:127.0.0.1"), "{own}");
    assert!(!own.contains("DNS:accounts.acme.test"), "{own}");
    let mut kept = dev.shake(Some(&reporter));
    kept.send(&request("GET", "/export", None, &[]));
    kept.answer().is(200);
    let peer = Http2::with(&dev);
    peer.open(1, Some(&reporter));
    peer.exchange(1, 1, "GET", "/export", &[]).is(200);

    let file = dev.estate().join("estate.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (old, new) =
        ("hosts: [billing.acme.test, 127.0.0.1]", "hosts: [billing.acme.test, accounts.acme.test, 127.0.0.1]");
    assert!(text.contains(old), "{text}");
    std::fs::write(&file, text.replace(old, new)).unwrap();
    dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]).ended(0);
    let names = until("the new certificate", || {
        Some(names(&dev, Some(&reporter))).filter(|names| names.contains("DNS:accounts.acme.test"))
    });
    assert!(names.contains("DNS:billing.acme.test"), "{names}");
    // the connections of before are served on
    for stream in [3, 5] {
        kept.send(&request("GET", "/export", None, &[]));
        kept.answer().is(200);
        peer.exchange(1, stream, "GET", "/export", &[]).is(200);
    }
}

#[test]
fn a_restart_keeps_the_authority_and_renews_the_gateways_certificate() {
    let mut dev = Dev::start();
    let (ca, reporter) = (std::fs::read(dev.ca()).unwrap(), dev.minted("reporter", "kept", &[]));
    assert_eq!(dev.stop(), 0);
    dev.again();
    assert_eq!(std::fs::read(dev.ca()).unwrap(), ca);
    let mut conn = dev.shake(Some(&reporter));
    conn.send(&request("GET", "/export", None, &[]));
    conn.answer().is(200);
}
