//! What others publish for workloads, unmodified: fetching, a rotation while it is watched, and mutual TLS. go-spiffe is in
//! `workloads`.

use super::{estate, joined};

const ID: &str = "spiffe://prod.acme.test/web";

/// A client does all that a workload does, and is refused what it should be.
#[track_caller]
fn check(variable: &str) {
    let (sockets, _installation) = joined(&estate("  x509: {ttl: 3s}\n"));
    let got = sockets.workload("node-1", variable, &["billing", "3"]).ended(0);
    let expected = format!(
        "svid {ID}
bundle prod.acme.test 1
bundles 1
jwt {ID} {ID} billing
another audience: refused
rotated 3
mtls hello {ID}
another server: refused
"
    );
    assert_eq!(got.out, expected, "{}", got.err);
}

#[test]
fn py_spiffe_fetches_rotates_and_does_mutual_tls() {
    check("COUNTERSIGN_TEST_SPIFFE_PY");
}

#[test]
fn java_spiffe_fetches_rotates_and_does_mutual_tls() {
    check("COUNTERSIGN_TEST_SPIFFE_JAVA");
}

#[test]
fn the_crate_spiffe_fetches_rotates_and_does_mutual_tls() {
    check("COUNTERSIGN_TEST_SPIFFE_RUST");
}
