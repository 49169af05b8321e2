//! An installation of before, whose authority lay on its disk: it goes on with it, and with every SVID that is out.

use std::fs;
use std::process::Command;

use super::{estate, standing};
use crate::harness::{Installation, Upstream, finish, until};
use crate::planes::ci;

/// The state as it was before nodes shared authorities, with the files of that time.
fn as_before(installation: &Installation, files: &std::path::Path) {
    let state = installation.dir().join("state/state.db");
    let script = format!(
        "import sqlite3\nc = sqlite3.connect({:?})\nc.executescript(\"DROP TABLE authorities; DROP TABLE authority_acts; \
         DELETE FROM changes WHERE kind = 'authorities'; UPDATE schema_version SET version = 4;\")\nc.close()\n",
        state.display().to_string()
    );
    let mut python = Command::new("python3");
    python.args(["-c", &script]);
    finish(python, b"").ended(0);
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(files).arg(installation.dir().join("keys/"));
    finish(copy, b"").ended(0);
    fs::remove_file(installation.dir().join("keys/seal.key")).unwrap();
}

#[test]
fn what_lay_in_files_signs_on_and_gateways_and_svids_go_on_with_it() {
    let upstream = Upstream::start();
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    let kept = installation.path("issuer");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(installation.dir().join("keys/issuer")).arg(&kept);
    finish(copy, b"").ended(0);
    let certificate = fs::read_to_string(installation.dir().join("ca.pem")).unwrap();
    installation.start("server");
    installation.apply(&estate(&upstream), &[]).ended(0);
    installation.enrol("edge-1");
    let signs = standing(&installation, "active");
    assert_eq!(installation.stop("server"), 0);
    as_before(&installation, &kept);

    installation.start("server");
    assert_eq!(standing(&installation, "active"), signs);
    assert_eq!(fs::read_to_string(installation.dir().join("ca.pem")).unwrap(), certificate);
    let files = installation.dir().join("keys/issuer/prod.acme.test");
    assert!(
        !files.join("authority.key").exists() && !files.join("authority.pem").exists(),
        "they lie nowhere in the open"
    );
    assert!(installation.dir().join("keys/seal.key").exists());
    until("the gateway hears the server", || {
        let planes = installation.cli(&["get", "planes", "--output", "json"]).ended(0).json();
        (planes["items"][0]["standing"] == "current").then_some(())
    });
    installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(200);
}
