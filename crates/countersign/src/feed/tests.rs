//! A line of the feed is believed only as control signed it, and only by planes of its environment.

use audit::{Signer, SigningFailed};
use store::DiskSigner;
use tempfile::TempDir;

use super::{Acts, BadLine, Heartbeat, Reached, Says, Statement, Voice, line};

fn signer(dir: &TempDir, name: &str) -> DiskSigner {
    DiskSigner::open(&dir.path().join(name)).unwrap()
}

fn voice(signer: &DiskSigner) -> Voice {
    Voice { environment: "production".to_owned(), key: signer.public_key() }
}

fn heartbeat(environment: &str) -> Statement {
    let says =
        Says::Heartbeat(Heartbeat { reached: reached(1, 9, "r9"), time: "2026-11-01T00:00:00.000000Z".to_owned() });
    Statement { environment: environment.to_owned(), says }
}

fn reached(generation: u64, revocation_seq: u64, record: &str) -> Reached {
    Reached { generation, epoch: 7, snapshot: "00".to_owned(), revocation_seq, revocation_record: record.to_owned() }
}

#[test]
fn the_same_numbers_after_a_backup_came_back_are_not_the_same_place() {
    let here = reached(1, 9, "r9");
    assert!(here.is(&reached(1, 9, "r9")));
    // another estate, or another revocation, under a number that was given before
    assert!(!here.is(&Reached { snapshot: "01".to_owned(), ..reached(1, 9, "r9") }));
    assert!(!here.is(&reached(1, 9, "another")));
    assert!(!here.is(&reached(1, 8, "r8")));
    // in a new generation, what only planes still know of the last one tells nobody apart, and what is new does
    let (lost, none) = (reached(2, 9, "r9"), reached(2, 0, ""));
    assert!(lost.is(&none) && none.is(&lost));
    let first = (2 << 32) + 2;
    assert!(!lost.is(&reached(2, first, "r10")));
    assert!(reached(2, first, "r10").is(&reached(2, first, "r10")));
}

#[test]
fn what_control_signed_is_heard_as_it_said_it() {
    let dir = TempDir::new().unwrap();
    let signer = signer(&dir, "feed.key");
    let said = line(&heartbeat("production"), &signer).unwrap();
    assert!(!said.contains('\n'), "one line");
    let Says::Heartbeat(heard) = voice(&signer).hear(said.as_bytes()).unwrap() else { panic!("a heartbeat") };
    assert_eq!(heard.reached, reached(1, 9, "r9"));
    let acts = Acts { after: 3, through: 3, acts: Vec::new() };
    let statement = Statement { environment: "production".to_owned(), says: Says::Revocations(acts.clone()) };
    let said = line(&statement, &signer).unwrap();
    assert!(matches!(voice(&signer).hear(said.as_bytes()).unwrap(), Says::Revocations(heard) if heard == acts));
}

#[test]
fn a_line_that_was_changed_anywhere_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let signer = signer(&dir, "feed.key");
    let said = line(&heartbeat("production"), &signer).unwrap().into_bytes();
    for place in 0..said.len() {
        let mut changed = said.clone();
        changed[place] ^= 1;
        assert!(voice(&signer).hear(&changed).is_err(), "byte {place}: {}", String::from_utf8_lossy(&changed));
        assert!(voice(&signer).hear(&said[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn another_key_another_environment_and_another_purpose_are_not_believed() {
    let dir = TempDir::new().unwrap();
    let (ours, other) = (signer(&dir, "feed.key"), signer(&dir, "other.key"));
    let by_other = line(&heartbeat("production"), &other).unwrap();
    assert!(matches!(voice(&ours).hear(by_other.as_bytes()), Err(BadLine::Unsigned(_))));
    let of_staging = line(&heartbeat("staging"), &ours).unwrap();
    let refused = voice(&ours).hear(of_staging.as_bytes()).err().unwrap().to_string();
    assert_eq!(refused, "it is of environment `staging`, and this is `production`");
    // the same bytes, signed by the same key as something else
    let as_checkpoint = line(&heartbeat("production"), &Untitled(&ours)).unwrap();
    assert!(matches!(voice(&ours).hear(as_checkpoint.as_bytes()), Err(BadLine::Unsigned(_))));
}

/// Signs what it is given without its title.
struct Untitled<'a>(&'a DiskSigner);

impl Signer for Untitled<'_> {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.0.sign(&bytes[end..])
    }

    fn public_key(&self) -> Vec<u8> {
        self.0.public_key()
    }
}
