//! The key that signs checkpoints, in a file that only its owner reads.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use audit::{Signer, SigningFailed};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use issuer::pem::{self, BadPem};

use crate::files::{PRIVATE, PUBLIC, write_whole};

const PRIVATE_KEY: &str = "PRIVATE KEY";
pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Longest key file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024;
const ANYONE_ELSE: u32 = 0o077;

/// An Ed25519 key on disk: PKCS#8 in PEM (RFC 8410 §7), readable by its owner alone.
pub struct DiskSigner(Ed25519KeyPair);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSigner {
    #[error("`{}` can be used by others than its owner (mode {mode:03o}); `chmod 600` it, or make a new key", .path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("`{}` is not a key in PEM", .path.display())]
    Pem { path: PathBuf, source: BadPem },
    #[error("`{}` is not {kind} private key in PKCS#8", .path.display())]
    Key { path: PathBuf, kind: &'static str, source: KeyRejected },
    #[error("`{}` is not a sealing key of 32 bytes", .path.display())]
    Sealing { path: PathBuf },
    #[error("no key could be made")]
    Making,
    #[error("cannot {doing} `{}`", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl DiskSigner {
    /// Opens the key in `path`, or makes one there.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn open(path: &Path) -> Result<Self, BadSigner> {
        let Some(der) = read_private(path)? else { return Self::make(path) };
        let rejected = |source| BadSigner::Key { path: path.to_owned(), kind: "an Ed25519", source };
        Ok(Self(Ed25519KeyPair::from_pkcs8(&der).map_err(rejected)?))
    }

    /// Writes the public key to `path`, for whoever verifies.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn publish(&self, path: &Path) -> Result<(), BadSigner> {
        let pem = pem::encode(PUBLIC_KEY, &self.public_key());
        let io = |source| BadSigner::Io { doing: "write", path: path.to_owned(), source };
        write_whole(path, pem.as_bytes(), PUBLIC).map_err(io)
    }

    fn make(path: &Path) -> Result<Self, BadSigner> {
        let key = Ed25519KeyPair::generate().or(Err(BadSigner::Making))?;
        let der: Pkcs8V1Der<'_> = key.as_der().or(Err(BadSigner::Making))?;
        write_private(path, der.as_ref())?;
        Ok(Self(key))
    }
}

impl Signer for DiskSigner {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.0.try_sign(bytes).or(Err(SigningFailed))?;
        Ok(signature.as_ref().to_vec())
    }

    fn public_key(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'_>, _> = self.0.public_key().as_der();
        // Ed25519's encoding is fixed; were it to fail, an empty key verifies nothing
        der.map(|der| der.as_ref().to_vec()).unwrap_or_default()
    }
}

/// A private key's PKCS#8 from a PEM file that only its owner can use; none where there is no file.
///
/// # Errors
/// [`BadSigner`].
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, BadSigner> {
    read_secret(path, PRIVATE_KEY)
}

/// Writes a private key so that only its owner can use it.
///
/// # Errors
/// [`BadSigner`].
pub fn write_private(path: &Path, der: &[u8]) -> Result<(), BadSigner> {
    write_secret(path, PRIVATE_KEY, der)
}

/// What stands under `label` in a PEM file that only its owner can use; none where there is no file.
pub(crate) fn read_secret(path: &Path, label: &'static str) -> Result<Option<Vec<u8>>, BadSigner> {
    let io = |doing| move |source| BadSigner::Io { doing, path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("open")(error)),
    };
    let mode = file.metadata().map_err(io("read"))?.permissions().mode() & 0o777;
    if mode & ANYONE_ELSE != 0 {
        return Err(BadSigner::Mode { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.by_ref().take(MAX_FILE).read_to_string(&mut text).map_err(io("read"))?;
    let secret = pem::decode(label, &text);
    secret.map(Some).map_err(|source| BadSigner::Pem { path: path.to_owned(), source })
}

/// Writes a secret under `label` so that only its owner can use it.
pub(crate) fn write_secret(path: &Path, label: &str, secret: &[u8]) -> Result<(), BadSigner> {
    let io = |source| BadSigner::Io { doing: "write", path: path.to_owned(), source };
    write_whole(path, pem::encode(label, secret).as_bytes(), PRIVATE).map_err(io)
}
