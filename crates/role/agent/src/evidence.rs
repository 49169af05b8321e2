//! How this node proves which one it is: the node's half of each method of attestation.

use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use credential::{Challenge, NodeMethod, Statement};
use futures_util::{StreamExt, stream};
use model::TrustDomain;
use net::challenge;
use net::tls::{BadSvid, sign_with};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use wire::Message;
use wire::agent::{AgentSvid, AttestRequest, Chain, Evidence, Possession, attest_request, attest_response};

use crate::control::{Client, NoContact};
use crate::tpm::{NoTpm, Tpm};

/// How a node proves itself that has nothing but what an operator gave it.
const JOIN_TOKEN: &str = "join_token";

/// How the node proves itself, as often as it has to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The trust source that vouches for it.
    pub source: String,
    pub by: Means,
}

/// With what it does. Files are read each time: whoever owns them may replace them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// A certificate of the machine, with those between it and its authority, and its key; in PEM.
    X509Pop { certificate: PathBuf, key: PathBuf },
    /// The TPM at this device, and certificates between its own and an authority; in PEM.
    Tpm { device: PathBuf, certificates: Option<PathBuf> },
    /// A token that the platform writes into a file, and replaces there.
    Token { method: NodeMethod, file: PathBuf },
}

/// Why there is nothing to prove the node with.
#[derive(Debug, thiserror::Error)]
pub enum NoEvidence {
    #[error("cannot read `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` holds no certificate in PEM", .path.display())]
    Certificate { path: PathBuf },
    #[error("`{}` holds no private key in PEM", .path.display())]
    Key { path: PathBuf },
    #[error("the key in `{}` does not sign for the certificate", .path.display())]
    Sign { path: PathBuf, source: BadSvid },
    #[error(transparent)]
    Tpm(#[from] NoTpm),
    #[error("what asks the TPM was stopped")]
    Stopped(#[from] JoinError),
}

/// Evidence of the node, and what answers a challenge.
pub(crate) struct Proof {
    evidence: Evidence,
    answers: Answers,
}

/// What answers a challenge.
enum Answers {
    /// Nothing: there is none.
    Nothing,
    Device(Device),
    Tpm(Tpm, TrustDomain),
}

/// A certificate of the machine, and where its key is.
struct Device {
    certificate: CertificateDer<'static>,
    key: PathBuf,
    domain: TrustDomain,
}

impl Proof {
    /// By a token of one use.
    pub(crate) fn by_token(token: &str, request: &[u8]) -> Self {
        let (method, payload) = (JOIN_TOKEN.to_owned(), Bytes::copy_from_slice(token.as_bytes()));
        let csr = Bytes::copy_from_slice(request);
        Self { evidence: Evidence { method, payload, csr, source: String::new() }, answers: Answers::Nothing }
    }

    /// As the settings say, in a trust domain.
    ///
    /// # Errors
    /// [`NoEvidence`].
    pub(crate) async fn of(
        attestation: &Attestation,
        domain: &TrustDomain,
        request: &[u8],
    ) -> Result<Self, NoEvidence> {
        let (source, csr) = (attestation.source.clone(), Bytes::copy_from_slice(request));
        match &attestation.by {
            Means::Token { method, file } => {
                let payload = Bytes::copy_from_slice(read(file)?.trim_ascii());
                Ok(Self {
                    evidence: Evidence { method: method.as_str().to_owned(), payload, csr, source },
                    answers: Answers::Nothing,
                })
            }
            Means::X509Pop { certificate: path, key } => {
                let chain = chain(path)?;
                let certificate =
                    chain.first().cloned().ok_or_else(|| NoEvidence::Certificate { path: path.clone() })?;
                let certificates = chain.iter().map(|der| Bytes::copy_from_slice(der)).collect();
                let payload = Bytes::from(Chain { certificates }.encode_to_vec());
                let method = NodeMethod::X509Pop.as_str().to_owned();
                let device = Device { certificate, key: key.clone(), domain: domain.clone() };
                Ok(Self { evidence: Evidence { method, payload, csr, source }, answers: Answers::Device(device) })
            }
            Means::Tpm { device, certificates } => {
                let more = certificates.as_deref().map_or(Ok(Vec::new()), chain)?;
                let more = more.iter().map(|der| der.to_vec()).collect();
                let device = device.clone();
                let (tpm, keys) = spawn_blocking(move || Tpm::open(&device, more)).await??;
                let payload = Bytes::from(keys.encode_to_vec());
                let evidence = Evidence { method: NodeMethod::Tpm.as_str().to_owned(), payload, csr, source };
                Ok(Self { evidence, answers: Answers::Tpm(tpm, domain.clone()) })
            }
        }
    }

    /// Has the agent's SVID minted for it.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub(crate) async fn present(self, mut client: Client) -> Result<AgentSvid, NotAttested> {
        let Self { evidence, answers } = self;
        let mut answers = Some(answers);
        let first = AttestRequest { step: Some(attest_request::Step::Evidence(evidence.clone())) };
        let (answer, answered) = oneshot::channel();
        let mut answer = Some(answer);
        let said = stream::iter([first]).chain(stream::once(answered).filter_map(|answer| ready(answer.ok())));
        let mut heard = client.attest(said).await.map_err(NoContact::from)?.into_inner();
        loop {
            match heard.message().await.map_err(NoContact::from)?.and_then(|message| message.step) {
                Some(attest_response::Step::Svid(svid)) => return Ok(svid),
                Some(attest_response::Step::Challenge(asked)) => {
                    let (answers, answer) = answers.take().zip(answer.take()).ok_or(NoContact::Answer)?;
                    let step = attest_request::Step::Answer(answers.to(evidence.clone(), asked).await?);
                    // whoever hears no more says so itself
                    let _ = answer.send(AttestRequest { step: Some(step) });
                }
                None => return Err(NoContact::Answer.into()),
            }
        }
    }
}

/// Why the node is not attested.
#[derive(Debug, thiserror::Error)]
pub enum NotAttested {
    #[error(transparent)]
    Evidence(#[from] NoEvidence),
    #[error(transparent)]
    Control(#[from] NoContact),
}

impl NotAttested {
    /// Whether the same may succeed later.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Control(why) if why.passes())
    }
}

impl Answers {
    /// What answers this challenge.
    async fn to(self, evidence: Evidence, asked: Bytes) -> Result<Bytes, NotAttested> {
        match self {
            Self::Nothing => Err(NoContact::Answer.into()),
            Self::Device(device) => {
                let asked = Challenge::try_from(asked.as_ref()).or(Err(NoContact::Answer))?;
                Ok(device.answer(&evidence, &asked)?.encode_to_vec().into())
            }
            Self::Tpm(tpm, domain) => {
                let quote = spawn_blocking(move || tpm.answer(&evidence, &domain, &asked)).await;
                let quote = quote.map_err(NoEvidence::from)?.map_err(NoEvidence::from)?;
                Ok(quote.encode_to_vec().into())
            }
        }
    }
}

impl Device {
    fn answer(&self, evidence: &Evidence, asked: &Challenge) -> Result<Possession, NoEvidence> {
        let nonce = challenge();
        let (domain, source, request) = (&self.domain, evidence.source.as_str(), evidence.csr.as_ref());
        let statement = Statement { domain, source, challenge: asked, nonce: &nonce, request };
        let path = || self.key.clone();
        let key =
            PrivateKeyDer::from_pem_slice(&read(&self.key)?).ok().ok_or_else(|| NoEvidence::Key { path: path() })?;
        let signature = sign_with(&self.certificate, key, &statement.bytes());
        let signature = signature.map_err(|source| NoEvidence::Sign { path: path(), source })?;
        Ok(Possession { nonce: Bytes::copy_from_slice(&nonce), signature: Bytes::from(signature) })
    }
}

/// Certificates in PEM; none where there are none.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, NoEvidence> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    Ok(chain.ok().unwrap_or_default())
}

fn read(path: &Path) -> Result<Vec<u8>, NoEvidence> {
    std::fs::read(path).map_err(|source| NoEvidence::Io { path: path.to_owned(), source })
}
