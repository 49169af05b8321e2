//! Authorities as files of this node: what `init` lays out before there is a state, and what installations had before nodes
//! shared them. The first server that starts takes them over into the state, and goes on with them: whoever knows the
//! certificate, and every SVID that is out, counts as before.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use issuer::lifecycle::{KeyKind, Standing};
use issuer::{Authority, Signer, Term, key_id, pem};
use model::{Time, TrustDomain};
use net::files::write_whole;
use net::serial;
use store::{BadSigner, P256Signer, read_private};

use super::kept::{Fresh, Opened};
use super::{CERTIFICATE, IssuingFailed, Lives, bundle, certificate_pem};

/// How long the certificate holds that is laid out: the first server may start much later. Its key signs no longer than any.
const LIFE: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);
/// Longest file of an authority's certificate, in bytes.
const MAX_CERTIFICATE: usize = 64 * 1024;

/// Where authorities of a trust domain may lie.
pub(super) struct Laid {
    domain: TrustDomain,
    directory: PathBuf,
}

impl Laid {
    pub fn new(keys: &Path, domain: &TrustDomain) -> Self {
        Self { domain: domain.clone(), directory: keys.join("issuer").join(domain.as_str()) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The authority of this kind that lies here, to be active from `at`, and its private key.
    pub fn read(&self, kind: KeyKind, at: Time, lives: &Lives) -> Result<Option<(Fresh, Vec<u8>)>, IssuingFailed> {
        let Some(pkcs8) = read_private(&self.key(kind))? else { return Ok(None) };
        let signer = self.signer(kind, &pkcs8)?;
        let point = signer.public_point().to_vec();
        let (certificate, ends) = match kind {
            KeyKind::X509 => self.certificate(signer, at)?,
            // of a kind that does not sign, what lies here has ended
            KeyKind::Jwt | KeyKind::Wit => (Vec::new(), at.plus(lives.of(kind).unwrap_or_default())),
        };
        let standing = if ends <= at { return Ok(None) } else { Standing::Active };
        let (above, roots) = (Vec::new(), Vec::new());
        Ok(Some((Fresh { kind, standing, point, certificate, above, roots, made: at, ends }, pkcs8)))
    }

    /// Removes what `kept` has: the key of an authority that is sealed elsewhere lies nowhere else.
    pub fn remove(&self, kept: &[Opened]) -> Result<(), IssuingFailed> {
        for kind in KeyKind::ALL {
            let path = self.key(kind);
            let Some(pkcs8) = read_private(&path)? else { continue };
            let id = key_id(self.signer(kind, &pkcs8)?.public_point());
            if !kept.iter().any(|one| one.life.id == id) {
                tracing::warn!(path = %path.display(), "this key is not in use: the nodes share another");
                continue;
            }
            for path in [path, self.directory.join("authority.pem")] {
                let removed = std::fs::remove_file(&path);
                removed.or_else(missing).map_err(|source| IssuingFailed::Io { path, source })?;
            }
        }
        Ok(())
    }

    /// The certificate of the authority that lies here; without one, its key signs another.
    fn certificate(&self, signer: P256Signer, at: Time) -> Result<(Vec<u8>, Time), IssuingFailed> {
        let path = self.directory.join("authority.pem");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let founded = self.found(signer, at)?;
                return Ok((founded.certificate().to_vec(), founded.not_after()));
            }
            Err(source) => return Err(IssuingFailed::Io { path, source }),
        };
        let text = text.get(..text.len().min(MAX_CERTIFICATE)).unwrap_or_default();
        let read = pem::decode(CERTIFICATE, &String::from_utf8_lossy(text));
        let der = read.map_err(|source| IssuingFailed::Pem { path: path.clone(), source })?;
        let bundle = bundle(&self.domain, std::slice::from_ref(&der));
        let bundle = bundle.map_err(|source| IssuingFailed::Certificate { path, source })?;
        Ok((der, bundle.ends().unwrap_or(at)))
    }

    fn found(&self, signer: P256Signer, at: Time) -> Result<Authority, IssuingFailed> {
        let founding = |source| IssuingFailed::Founding { domain: self.domain.clone(), source };
        Authority::found(self.domain.clone(), Box::new(signer), serial(), Term { at, life: LIFE, below: 0 })
            .map_err(founding)
    }

    fn signer(&self, kind: KeyKind, pkcs8: &[u8]) -> Result<P256Signer, BadSigner> {
        let path = self.key(kind);
        P256Signer::from_pkcs8(pkcs8).map_err(|source| BadSigner::Key { path, kind: "a P-256", source })
    }

    fn key(&self, kind: KeyKind) -> PathBuf {
        self.directory.join(match kind {
            KeyKind::X509 => "authority.key",
            KeyKind::Jwt => "jwt.key",
            KeyKind::Wit => "wit.key",
        })
    }
}

/// Lays out the first authority of `domain` under `keys`, for the first server to take over; gives its certificate in PEM.
///
/// # Errors
/// [`IssuingFailed`].
pub fn lay_out(keys: &Path, domain: &TrustDomain, at: Time) -> Result<String, IssuingFailed> {
    let laid = Laid::new(keys, domain);
    let signer = own_key(&laid.directory, "authority.key")?;
    let certificate = certificate_pem(laid.found(signer, at)?.certificate());
    let path = laid.directory.join("authority.pem");
    write_whole(&path, certificate.as_bytes(), 0o644).map_err(|source| IssuingFailed::Io { path, source })?;
    Ok(certificate)
}

/// A key in this directory, made at first use.
pub(super) fn own_key(directory: &Path, name: &str) -> Result<P256Signer, IssuingFailed> {
    private_folder(directory)?;
    Ok(P256Signer::open(&directory.join(name))?)
}

/// Makes a folder that its owner alone enters, if it is not there.
pub(super) fn private_folder(path: &Path) -> Result<(), IssuingFailed> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| IssuingFailed::Io { path: path.to_owned(), source })
}

fn missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
