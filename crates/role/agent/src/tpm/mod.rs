//! The TPM of this machine, by which the node proves itself: a device of the kernel, or the socket of an emulator. It is spoken to in a few
//! commands and without a library of its makers; nothing is kept in it.

mod command;
mod template;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use credential::{Challenge, Statement, tpm_qualifying};
use model::TrustDomain;
use net::challenge;
use wire::Message;
use wire::agent::{Evidence, TpmCredential, TpmKeys, TpmQuote};

use self::command::{Allowed, HEAD, Handle, MAX};
use self::template::{ATTESTATION, Endorsement};

pub use command::BadAnswer;

/// How long an emulator may take for an answer. The kernel has deadlines of its own for a device.
const WITHIN: Duration = Duration::from_secs(60);
/// Between a command and the same again.
const AGAIN: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
];
/// Longest certificate in a TPM, and how much of one is read at once: less than any TPM gives.
const MAX_CERTIFICATE: u16 = 8 * 1024;
const PART: u16 = 512;

/// A TPM with both keys loaded; they are unloaded when it is dropped.
pub(crate) struct Tpm {
    path: PathBuf,
    way: Way,
    endorsement: (Endorsement, Handle),
    attestation: Handle,
    loaded: Vec<Handle>,
}

enum Way {
    /// Each write a command, each read its answer.
    Device(File),
    Socket(UnixStream),
}

/// Why the TPM proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoTpm {
    #[error("cannot use the TPM at `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the TPM at `{}` does not {what}", .path.display())]
    Answer { path: PathBuf, what: &'static str, source: BadAnswer },
    #[error("what control sealed is nothing that the TPM opens")]
    Sealed,
}

impl Tpm {
    /// Opens it and makes its keys, which takes some TPMs long. Certificates are those that lie in it, and `more` in DER.
    ///
    /// # Errors
    /// [`NoTpm`].
    pub(crate) fn open(path: &Path, more: Vec<Vec<u8>>) -> Result<(Self, TpmKeys), NoTpm> {
        let way = Way::open(path).map_err(|source| NoTpm::Io { path: path.to_owned(), source })?;
        let unloaded = Handle(0);
        let endorsement = (Endorsement::Rsa2048, unloaded);
        let mut tpm = Self { path: path.to_owned(), way, endorsement, attestation: unloaded, loaded: Vec::new() };
        let mut certificates = Vec::new();
        let mut kind = Endorsement::Rsa2048;
        for one in Endorsement::ALL {
            if let Some(certificate) = tpm.certificate(one.certificate())? {
                (kind, certificates) = (one, vec![certificate]);
                break;
            }
        }
        certificates.extend(more);
        let (handle, endorsement) = tpm.create(&kind.template(), "make its endorsement key")?;
        tpm.endorsement = (kind, handle);
        let (handle, attestation) = tpm.create(ATTESTATION, "make an attestation key")?;
        tpm.attestation = handle;
        let certificates = certificates.into_iter().map(Bytes::from).collect();
        Ok((tpm, TpmKeys { certificates, endorsement: endorsement.into(), attestation: attestation.into() }))
    }

    /// Opens what control sealed, and quotes it with the certificate request.
    ///
    /// # Errors
    /// [`NoTpm`].
    pub(crate) fn answer(mut self, evidence: &Evidence, domain: &TrustDomain, asked: &[u8]) -> Result<TpmQuote, NoTpm> {
        let asked = TpmCredential::decode(asked).or(Err(NoTpm::Sealed))?;
        let (kind, endorsement) = self.endorsement;
        let allowed = if kind.is_by_policy() { Allowed::Session(self.session()?) } else { Allowed::Password };
        let sealed = (asked.credential.as_ref(), asked.secret.as_ref());
        let activate = command::activate_credential([self.attestation, endorsement], allowed, sealed);
        let opened = self.ask(&activate, "open what control sealed", command::activated)?;
        // it has ended with its use
        self.loaded.retain(|handle| allowed != Allowed::Session(*handle));
        let opened = Challenge::try_from(opened.as_slice()).or(Err(NoTpm::Sealed))?;
        let nonce = challenge();
        let (source, request) = (evidence.source.as_str(), evidence.csr.as_ref());
        let statement = Statement { domain, source, challenge: &opened, nonce: &nonce, request };
        let quote = command::quote(self.attestation, tpm_qualifying(&statement).as_bytes());
        let (quoted, signature) = self.ask(&quote, "quote", command::quoted)?;
        Ok(TpmQuote { nonce: Bytes::copy_from_slice(&nonce), quoted: quoted.into(), signature: signature.into() })
    }

    fn create(&mut self, template: &[u8], what: &'static str) -> Result<(Handle, Vec<u8>), NoTpm> {
        let (handle, public) = self.ask(&command::create_primary(template), what, command::created)?;
        self.loaded.push(handle);
        Ok((handle, public))
    }

    fn session(&mut self) -> Result<Handle, NoTpm> {
        let nonce = challenge();
        let start = command::start_policy_session(nonce.get(..16).unwrap_or_default());
        let session = self.ask(&start, "start a session", command::started)?;
        self.loaded.push(session);
        self.ask(&command::policy_secret(session), "let its endorsement key be used", |answer| {
            command::activated(answer).map(drop)
        })?;
        Ok(session)
    }

    /// What lies at a place for a certificate, if anything does.
    fn certificate(&mut self, place: Handle) -> Result<Option<Vec<u8>>, NoTpm> {
        let what = "give its certificate";
        let size = match self.ask(&command::nv_read_public(place), what, command::nv_size) {
            Ok(size) => size.min(MAX_CERTIFICATE),
            Err(NoTpm::Answer { source: BadAnswer::Refused { .. }, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for offset in (0..size).step_by(usize::from(PART)) {
            let part = command::nv_read(place, PART.min(size - offset), offset);
            found.extend(self.ask(&part, what, command::nv_bytes)?);
        }
        Ok(whole(&found).map(<[u8]>::to_vec))
    }

    fn ask<T>(
        &mut self,
        command: &[u8],
        what: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, BadAnswer>,
    ) -> Result<T, NoTpm> {
        let failed = |source| NoTpm::Io { path: self.path.clone(), source };
        let mut answer = self.way.exchange(command).map_err(failed)?;
        for pause in AGAIN {
            if !command::comes_again(&answer) {
                break;
            }
            std::thread::sleep(pause);
            answer = self.way.exchange(command).map_err(failed)?;
        }
        read(&answer).map_err(|source| NoTpm::Answer { path: self.path.clone(), what, source })
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        for handle in std::mem::take(&mut self.loaded) {
            // what is not unloaded now is when the device is closed, or with the emulator
            let _ = self.way.exchange(&command::flush(handle));
        }
    }
}

impl Way {
    fn open(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.file_type().is_socket() {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(WITHIN))?;
            stream.set_write_timeout(Some(WITHIN))?;
            return Ok(Self::Socket(stream));
        }
        File::options().read(true).write(true).open(path).map(Self::Device)
    }

    fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Device(device) => {
                device.write_all(command)?;
                let mut answer = vec![0; MAX];
                let length = device.read(&mut answer)?;
                answer.truncate(length);
                Ok(answer)
            }
            Self::Socket(socket) => {
                socket.write_all(command)?;
                let mut head = [0; HEAD];
                socket.read_exact(&mut head)?;
                let length = command::length(head).ok_or(io::ErrorKind::InvalidData)?;
                let mut answer = head.to_vec();
                answer.resize(length, 0);
                socket.read_exact(answer.get_mut(HEAD..).unwrap_or_default())?;
                Ok(answer)
            }
        }
    }
}

/// A certificate in DER without what follows it: places are larger than what lies there.
fn whole(found: &[u8]) -> Option<&[u8]> {
    let [0x30, 0x82, high, low, ..] = found else { return None };
    found.get(..4 + usize::from(u16::from_be_bytes([*high, *low])))
}
