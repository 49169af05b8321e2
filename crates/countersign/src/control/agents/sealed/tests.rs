//! What is sealed, opened as a TPM opens it: by the key that it is for, and for the other key that it names. That a real TPM agrees is for the
//! scenarios.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use credential::{Challenge, EndorsementKey, TpmHash};

use super::{INTEGRITY, STORAGE, Sealed, kdfa, kdfe, seal};

const WHAT: Challenge = [9; 32];

/// A TPM's endorsement key of P-256, in software.
struct Soft(PrivateKey);

impl Soft {
    fn new() -> Self {
        Self(PrivateKey::generate(&ECDH_P256).unwrap())
    }

    fn point(&self) -> Vec<u8> {
        self.0.compute_public_key().unwrap().as_ref().to_vec()
    }

    fn key(&self) -> EndorsementKey {
        let point = self.point();
        let head: &[u8] = &[0, 0x23, 0, 0x0b, 0, 3, 0, 0xb2, 0, 0];
        let parameters: &[u8] = &[0, 6, 0, 128, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10];
        let public = [head, parameters, &[0, 32], &point[1..33], &[0, 32], &point[33..]].concat();
        EndorsementKey::read(&public).unwrap()
    }

    /// What was sealed for the key of this name; none where the TPM would refuse.
    fn open(&self, sealed: &Sealed, name: &[u8]) -> Option<Vec<u8>> {
        let ([0, 32, x @ ..], own) = (&sealed.secret[..34], self.point()) else { return None };
        let peer = [&[4], x, &sealed.secret[36..]].concat();
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
        let seed =
            agree(&self.0, peer, Unspecified, |shared| Ok(kdfe(TpmHash::Sha256, shared, x, &own[1..33]))).ok()?;
        let (tag, identity) = (&sealed.credential[2..34], &sealed.credential[34..]);
        let integrity = hmac::Key::new(hmac::HMAC_SHA256, &kdfa(TpmHash::Sha256, &seed, INTEGRITY, &[], 32).unwrap());
        hmac::verify(&integrity, &[identity, name].concat(), tag).ok()?;
        let key = UnboundCipherKey::new(&AES_128, &kdfa(TpmHash::Sha256, &seed, STORAGE, name, 16).unwrap()).unwrap();
        let (key, mut opened) = (DecryptingKey::cfb128(key).unwrap(), identity.to_vec());
        key.decrypt(&mut opened, DecryptionContext::Iv128(FixedLength::from([0; 16]))).unwrap();
        Some(opened[2..].to_vec())
    }
}

#[test]
fn what_is_sealed_is_opened_by_its_tpm_for_its_key_alone() {
    let (tpm, other) = (Soft::new(), Soft::new());
    let sealed = seal(&tpm.key(), b"the name", &WHAT).unwrap();
    assert_eq!(tpm.open(&sealed, b"the name"), Some(WHAT.to_vec()));
    assert_eq!(tpm.open(&sealed, b"another"), None, "an attestation key of software, or of another TPM");
    assert_eq!(other.open(&sealed, b"the name"), None, "another TPM");
    let again = seal(&tpm.key(), b"the name", &WHAT).unwrap();
    assert!(again.secret != sealed.secret && again.credential != sealed.credential);
    let mixed = Sealed { credential: again.credential, secret: sealed.secret };
    assert_eq!(tpm.open(&mixed, b"the name"), None, "of two exchanges");
    assert!(!sealed.credential.windows(32).any(|part| part == WHAT));
}
