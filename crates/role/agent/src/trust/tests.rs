//! Whose word counts: what control said last, and a file of the settings that somebody wrote since.

use std::fs;
use std::time::Duration;

use credential::PeerCertificates;
use model::Time;
use net::now;
use tempfile::TempDir;
use testkit::TestCa;

use super::Places;

struct World {
    dir: TempDir,
    at: Time,
    named: TestCa,
    said: TestCa,
}

impl World {
    fn new() -> Self {
        let at = now().minus(Duration::from_secs(5));
        let ca = || TestCa::new("prod.acme.test", at, |_| {});
        let world = Self { dir: TempDir::new().unwrap(), at, named: ca(), said: ca() };
        fs::create_dir(world.dir.path().join("svid")).unwrap();
        world.writes(&world.named);
        world
    }

    fn places(&self) -> Places {
        let directory = self.dir.path().to_owned();
        Places { ca: directory.join("ca.pem"), directory, domain: "prod.acme.test".parse().unwrap() }
    }

    fn writes(&self, ca: &TestCa) {
        fs::write(self.places().ca, pem(ca)).unwrap();
    }

    /// Whether what this authority signs counts.
    fn trusts(&self, ca: &TestCa) -> bool {
        let (leaf, _) = ca.leaf("spiffe://prod.acme.test/countersign/server", self.at, |_| {});
        PeerCertificates::new(vec![leaf]).check(&self.places().known_before().unwrap(), now()).is_ok()
    }
}

fn pem(ca: &TestCa) -> String {
    issuer::pem::encode("CERTIFICATE", &ca.certificate())
}

#[test]
fn before_control_has_said_anything_the_file_counts() {
    let world = World::new();
    assert!(world.trusts(&world.named) && !world.trusts(&world.said));
}

/// The file may have an authority that was revoked since.
#[test]
fn once_control_has_spoken_its_word_alone_counts_until_somebody_writes_another_file() {
    let world = World::new();
    world.places().keep(&pem(&world.said)).unwrap();
    assert!(world.trusts(&world.said) && !world.trusts(&world.named));
    let other = TestCa::new("prod.acme.test", world.at, |_| {});
    world.writes(&other);
    assert!(world.trusts(&world.said) && world.trusts(&other) && !world.trusts(&world.named));
    world.places().keep(&pem(&world.said)).unwrap();
    assert!(world.trusts(&world.said) && !world.trusts(&other));
}

#[test]
fn what_cannot_be_read_of_it_leaves_the_file() {
    let world = World::new();
    world.places().keep("nothing").unwrap();
    assert!(world.trusts(&world.named));
    fs::write(world.places().ca, "nothing").unwrap();
    let why = world.places().known_before().unwrap_err().to_string();
    assert!(why.ends_with("holds no certificates of trust domain `prod.acme.test` in PEM"), "{why}");
}
