//! The key that seals private keys before they are kept where others can read: AES-256-GCM (NIST SP 800-38D) with a random
//! nonce, and what is sealed is bound to what it is for. It lies in a file of its own, the same on every node.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;

use crate::signer::{BadSigner, read_secret, write_secret};

const LABEL: &str = "COUNTERSIGN SEALING KEY";
const KEY: usize = 32;

/// A sealing key, and the file that it lies in.
pub struct SealingKey {
    key: RandomizedNonceKey,
    path: PathBuf,
}

/// What was sealed does not open: with another key, for something else, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not sealed with this key, for this purpose")]
pub struct NotOpened;

impl SealingKey {
    /// The key in `path`; none where there is no file.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn open(path: &Path) -> Result<Option<Self>, BadSigner> {
        let Some(bytes) = read_secret(path, LABEL)? else { return Ok(None) };
        Self::of(&bytes, path).map(Some)
    }

    /// Makes a key, and keeps it in `path` for its owner alone.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn make(path: &Path) -> Result<Self, BadSigner> {
        let mut bytes = [0; KEY];
        rand::fill(&mut bytes).or(Err(BadSigner::Making))?;
        write_secret(path, LABEL, &bytes)?;
        Self::of(&bytes, path)
    }

    fn of(bytes: &[u8], path: &Path) -> Result<Self, BadSigner> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        let key = key.map_err(|_unspecified| BadSigner::Sealing { path: path.to_owned() })?;
        Ok(Self { key, path: path.to_owned() })
    }

    /// The file that it lies in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seals `secret` for `purpose`: only who names the same opens it.
    ///
    /// # Errors
    /// [`BadSigner::Making`] without the system's randomness.
    pub fn seal(&self, purpose: &[u8], secret: &[u8]) -> Result<Vec<u8>, BadSigner> {
        let mut sealed = secret.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(purpose), &mut sealed).or(Err(BadSigner::Making))?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// What was sealed for `purpose`.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn unseal(&self, purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).or(Err(NotOpened))?;
        let mut sealed = sealed.to_vec();
        let secret = self.key.open_in_place(nonce, Aad::from(purpose), &mut sealed).or(Err(NotOpened))?;
        Ok(secret.to_vec())
    }
}

#[cfg(test)]
mod tests;
