//! Keys that are made in a PKCS#11 token, and never leave it: SoftHSM's.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{estate, standing};
use crate::harness::{Installation, Upstream, finish, run};
use crate::planes::ci;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token `ca` beside an installation; none where SoftHSM is not there.
#[expect(clippy::print_stderr, reason = "what is skipped says so")]
fn token(installation: &Installation) -> Option<String> {
    if !Path::new(MODULE).exists() {
        assert!(std::env::var_os("CI").is_none(), "Debian's package `softhsm2` is missing");
        eprintln!("skipped: Debian's package `softhsm2` is missing");
        return None;
    }
    let (tokens, config) = (installation.path("tokens"), installation.path("softhsm.conf"));
    fs::create_dir(&tokens).unwrap();
    fs::write(&config, format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display())).unwrap();
    fs::write(installation.dir().join("keys/token.pin"), "1234\n").unwrap();
    let mut make = Command::new("softhsm2-util");
    make.env("SOFTHSM2_CONF", &config);
    make.args(["--init-token", "--free", "--label", "ca", "--so-pin", "5678", "--pin", "1234"]);
    finish(make, b"").ended(0);
    Some(config.to_str().unwrap().to_owned())
}

/// Objects in the token: two for each key.
fn objects(installation: &Installation) -> usize {
    let slots = fs::read_dir(installation.path("tokens")).unwrap().map(|slot| slot.unwrap().path());
    let files = slots.flat_map(|slot| fs::read_dir(slot).unwrap().map(|file| file.unwrap().file_name()));
    files.filter(|name| name.to_str().unwrap().ends_with(".object") && name != "token.object").count()
}

#[test]
fn an_authority_in_a_token_signs_from_there_and_its_key_goes_when_it_signs_no_more() {
    let upstream = Upstream::start();
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    let Some(config) = token(&installation) else { return };
    let signer = format!(
        "signer: {{pkcs11: {{module: {MODULE}, tokenLabel: ca, pinFile: keys/token.pin}}}}\nstate: state/state.db"
    );
    installation.edit("server.yaml", &[("state: state/state.db", &signer)]);
    let variables = [("SOFTHSM2_CONF", config.as_str())];
    installation.start_with("server", &variables);
    installation.apply(&estate(&upstream), &[]).ended(0);
    installation.enrol("edge-1");
    // what `init` laid out signs on; the key of JWT-SVIDs was made just now
    assert_eq!(objects(&installation), 2);
    for _ in 0..2 {
        installation.cli(&["authority", "prepare"]).ended(0);
        installation.cli(&["authority", "activate"]).ended(0);
    }
    assert_eq!((standing(&installation, "retired").len(), objects(&installation)), (2, 4), "who retired has no key");
    let before = installation.minted("reporter", "reporter", &[]);
    assert_eq!(installation.stop("server"), 0);
    installation.start_with("server", &variables);
    let mut openssl = Command::new("openssl");
    let ca = installation.dir().join("ca.pem");
    openssl.args(["verify", "-x509_strict", "-CAfile", ca.to_str().unwrap(), before.cert.to_str().unwrap()]);
    finish(openssl, b"").ended(0);
    installation.minted("reporter", "again", &[]);
    installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(200);

    // without its token it does not start, and says what it lacks
    assert_eq!(installation.stop("server"), 0);
    let settings = installation.dir().join("server.yaml");
    let refused = || run(&["server", "--config", settings.to_str().unwrap()], b"").ended(1).err;
    installation.edit("server.yaml", &[("tokenLabel: ca", "tokenLabel: other")]);
    let said = refused();
    assert!(said.contains("cannot use the PKCS#11 token: "), "{said}");
    installation.edit("server.yaml", &[("signer: {pkcs11: {module", "# {pkcs11: {module")]);
    let said = refused();
    assert!(said.contains("is in a PKCS#11 token: name it in the settings, `signer: {pkcs11: …}`"), "{said}");
}
