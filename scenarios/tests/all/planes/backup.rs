//! A control plane that comes back from a backup: gateways do not go back with it, until an operator says that a new
//! generation begins; and what was revoked since stays revoked where it was heard.

use std::fs;
use std::path::Path;

use super::{ci, estate, until_at, with_gateway};
use crate::harness::until;

const STALENESS: &str = "{routine: 4s, sensitive: 2s, critical: 1s}";

#[test]
fn a_backup_that_is_brought_back_is_refused_until_a_new_generation() {
    let (upstream, mut installation) = with_gateway(STALENESS);
    installation.stop("server");
    let (state, backup) = (installation.dir().join("state"), installation.path("backup"));
    copy(&state, &backup);
    installation.start("server");
    let forbids = estate(&upstream, STALENESS).policy("nobody", "forbid (principal is Agent, action, resource);");
    installation.apply(&forbids, &[]).ended(0);
    until_at(&installation, "edge-1", (1, 2));
    installation.cli(&["revoke", "principal", "billing-ci", "--wait"]).ended(0);
    installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(401);

    installation.stop("server");
    fs::remove_dir_all(&state).unwrap();
    copy(&backup, &state);
    installation.start("server");
    assert_eq!(installation.position("server"), (1, 1));
    until("the gateway says so", || {
        installation.log("edge-1").contains("control is behind this gateway").then_some(())
    });
    assert_eq!(installation.position("edge-1"), (1, 2), "it does not go back");
    // and it is not taken to be current: what is asked is refused once the budget is over
    until("too old", || (installation.call("edge-1", "GET", "/healthz", None).status == 503).then_some(()));
    let snapshot =
        |name: &str| installation.cli_at(name, &["status", "--output", "json"]).ended(0).json()["snapshot"].clone();
    let kept = snapshot("edge-1");
    // applying as usual only uses a number again that the gateway has seen, for something else
    installation
        .apply(&estate(&upstream, STALENESS).policy("other", "forbid (principal is Human, action, resource);"), &[])
        .ended(0);
    assert_eq!(installation.position("server"), (1, 2));
    until("the gateway says so", || installation.log("edge-1").contains("1.2 is another one here").then_some(()));
    assert_eq!((snapshot("edge-1"), snapshot("server") == kept), (kept.clone(), false));
    installation.apply(&estate(&upstream, STALENESS), &["--new-generation"]).ended(0);
    until_at(&installation, "edge-1", (2, 3));
    until("current again", || (installation.call("edge-1", "GET", "/healthz", None).status == 200).then_some(()));
    // the backup knows nothing of it, and nothing is widened by that
    let refused = installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(401);
    assert_eq!(installation.code("edge-1", &refused), "revoked");
    // numbers of the new generation are nobody's from before
    let revoked = installation.cli(&["revoke", "source", "people", "--wait", "--output", "json"]).ended(0).json();
    assert!(revoked["revocation_seq"].as_u64().unwrap() > 2 << 32, "{revoked}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
