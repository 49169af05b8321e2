//! Ed25519 signatures (RFC 8032), by keys that never leave their signer.

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};

/// Signs. The private key never leaves it.
pub trait Signer {
    /// The 64 bytes of an Ed25519 signature.
    ///
    /// # Errors
    /// [`SigningFailed`].
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SigningFailed>;

    /// SubjectPublicKeyInfo of the key, in DER (RFC 8410 §4).
    fn public_key(&self) -> Vec<u8>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key did not sign")]
pub struct SigningFailed;

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    #[error("the key is not an Ed25519 public key")]
    Key,
    #[error("it was not signed by this key")]
    Signature,
}

/// Checks that `public_key`, a SubjectPublicKeyInfo in DER, signed `text`. What is signed begins with a title of its own, so
/// that a signature made for one purpose never fits another.
///
/// # Errors
/// [`Unsigned`].
pub fn verify_signature(text: &[u8], signature: &[u8], public_key: &[u8]) -> Result<(), Unsigned> {
    let key = ParsedPublicKey::new(&ED25519, public_key).or(Err(Unsigned::Key))?;
    key.verify_sig(text, signature).or(Err(Unsigned::Signature))
}
