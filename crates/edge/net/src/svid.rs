//! An SVID as it is handed out, used and kept in files. Its key never leaves the machine that asked for it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credential::PeerCertificates;
use issuer::NewKey;
use issuer::pem;
use model::Time;
use serde::{Deserialize, Serialize};

use crate::edge::spread;
use crate::files::write_whole;
use crate::tls::{BadSvid, OwnSvid};

/// Longest that an SVID stays in use that a tainted authority signed.
const HASTE: Duration = Duration::from_secs(10);
const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// An SVID as it is handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Minted {
    pub id: String,
    /// The certificate in PEM, and those between it and an authority of the bundle.
    pub svid: String,
    /// The authorities of the trust domain in PEM.
    pub bundle: String,
    /// Names the SVID to `revoke credential`.
    pub credential_id: String,
    /// RFC 3339.
    pub expires: String,
}

impl Minted {
    /// Who signed it, as it names them.
    pub fn signed_by(&self) -> Option<String> {
        let leaf = PeerCertificates::new(pem::decode_all(CERTIFICATE, &self.svid).ok()?);
        leaf.signed_by().map(str::to_owned)
    }
}

/// Why an SVID that was minted is not in use.
#[derive(Debug, thiserror::Error)]
pub enum Unused {
    #[error("no key could be made")]
    Key,
    #[error(transparent)]
    Unusable(#[from] BadSvid),
    #[error("what was minted is not PEM")]
    Pem(#[from] issuer::BadPem),
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// When an SVID is due for renewal, and whose it is.
#[derive(Debug, Clone)]
pub struct Made {
    pub id: String,
    pub due: Time,
}

impl Made {
    /// Of what was minted at `at`: due at half of its life.
    pub fn new(minted: &Minted, at: Time) -> Self {
        // an end that cannot be read is due at once
        let end: Time = minted.expires.parse().unwrap_or(at);
        Self::until(minted.id.clone(), end, at)
    }

    /// Of one that ends at `end`, at `at`.
    pub fn until(id: String, end: Time, at: Time) -> Self {
        Self { id, due: at.plus(end.since(at) / 2) }
    }

    /// Has it renewed soon, since a tainted authority signed it: not at once, for all who hold such a one hear of it in the same
    /// second.
    pub fn hasten(&mut self, at: Time) {
        if self.due > at.plus(HASTE) {
            self.due = at.plus(spread(HASTE));
        }
    }
}

/// A key for a new SVID.
///
/// # Errors
/// [`Unused::Key`].
pub fn new_key() -> Result<NewKey, Unused> {
    NewKey::make().or(Err(Unused::Key))
}

/// The key by which a node is attested: made once and kept, so that an attestation whose answer was lost is had again by whoever
/// asked for it.
///
/// # Errors
/// [`Unused`].
pub fn attestation_key(directory: &Path) -> Result<NewKey, Unused> {
    let path = directory.join("attestation.key");
    let kept = read(&path)?.and_then(|text| pem::decode(PRIVATE_KEY, &text).ok());
    if let Some(key) = kept.and_then(|pkcs8| NewKey::kept(&pkcs8).ok()) {
        return Ok(key);
    }
    let key = new_key()?;
    make(directory)?;
    write(&path, pem::encode(PRIVATE_KEY, &key.pkcs8).as_bytes(), 0o600)?;
    Ok(key)
}

/// A certificate request in PEM.
pub fn request_pem(key: &NewKey) -> String {
    pem::encode("CERTIFICATE REQUEST", &key.request)
}

/// Uses an SVID from now on.
///
/// # Errors
/// [`Unused`]; what was used stays in use.
pub fn install(own: &OwnSvid, key: &NewKey, minted: &Minted) -> Result<(), Unused> {
    Ok(own.install(&pem::decode_all(CERTIFICATE, &minted.svid)?, &key.pkcs8)?)
}

/// Writes `svid.pem`, `svid.key` (0600) and `bundle.pem` into a directory.
///
/// # Errors
/// [`Unused::Io`].
pub fn save(directory: &Path, key: &NewKey, minted: &Minted) -> Result<(), Unused> {
    make(directory)?;
    // the key first: a certificate is never there without it
    write(&directory.join("svid.key"), pem::encode(PRIVATE_KEY, &key.pkcs8).as_bytes(), 0o600)?;
    write(&directory.join("svid.pem"), minted.svid.as_bytes(), 0o644)?;
    write(&directory.join("bundle.pem"), minted.bundle.as_bytes(), 0o644)
}

fn make(directory: &Path) -> Result<(), Unused> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| Unused::Io { path: directory.to_owned(), source })
}

/// An SVID that was kept in files.
pub struct Saved {
    /// In DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    pub pkcs8: Vec<u8>,
}

/// What [`save`] wrote; none where it is not there, or not PEM.
///
/// # Errors
/// [`Unused::Io`] where it is there and cannot be read.
pub fn saved(directory: &Path) -> Result<Option<Saved>, Unused> {
    let (svid, key) = (read(&directory.join("svid.pem"))?, read(&directory.join("svid.key"))?);
    let chain = svid.and_then(|text| pem::decode_all(CERTIFICATE, &text).ok());
    let pkcs8 = key.and_then(|text| pem::decode(PRIVATE_KEY, &text).ok());
    Ok(chain.zip(pkcs8).map(|(chain, pkcs8)| Saved { chain, pkcs8 }))
}

/// Writes a file that belongs to an SVID.
///
/// # Errors
/// [`Unused::Io`].
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Unused> {
    write_whole(path, bytes, mode).map_err(|source| Unused::Io { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Option<String>, Unused> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unused::Io { path: path.to_owned(), source }),
    }
}
