//! What a thief of the database has, and what one who may write it can do with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{NotOpened, SealingKey};

#[test]
fn what_is_sealed_opens_for_its_purpose_alone_and_with_its_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let key = SealingKey::make(&dir.path().join("seal.key")).unwrap();
    let sealed = key.seal(b"one", b"secret").unwrap();
    assert_eq!(key.unseal(b"one", &sealed).unwrap(), b"secret");
    // a blob that was exchanged for another's, and every changed bit of it
    assert_eq!(key.unseal(b"other", &sealed), Err(NotOpened));
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert_eq!(key.unseal(b"one", &changed), Err(NotOpened), "byte {place}");
        assert_eq!(key.unseal(b"one", &sealed[..place]), Err(NotOpened), "{place} bytes of it");
    }
    let other = SealingKey::make(&dir.path().join("other.key")).unwrap();
    assert_eq!(other.unseal(b"one", &sealed), Err(NotOpened));
    // no two are alike, and none shows what is in it
    assert_ne!(key.seal(b"one", b"secret").unwrap(), sealed);
    assert!(!sealed.windows(6).any(|part| part == b"secret"));
    let again = SealingKey::open(&dir.path().join("seal.key")).unwrap().unwrap();
    assert_eq!(again.unseal(b"one", &sealed).unwrap(), b"secret");
}

#[test]
fn a_sealing_key_is_for_its_owner_alone_and_is_what_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    assert!(SealingKey::open(&path).unwrap().is_none());
    SealingKey::make(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = |path| SealingKey::open(path).err().unwrap().to_string();
    let path_text = path.display();
    assert_eq!(
        refused(&path),
        format!("`{path_text}` can be used by others than its owner (mode 640); `chmod 600` it, or make a new key")
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, issuer::pem::encode("COUNTERSIGN SEALING KEY", &[7; 16])).unwrap();
    assert_eq!(refused(&path), format!("`{path_text}` is not a sealing key of 32 bytes"));
    fs::write(&path, issuer::pem::encode("PRIVATE KEY", &[7; 32])).unwrap();
    assert_eq!(refused(&path), format!("`{path_text}` is not a key in PEM"));
}
