//! How this node proves which one it is: the node's half of each method of attestation.

use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use credential::{Challenge, NodeMethod, Statement};
use futures_util::{StreamExt, stream};
use model::TrustDomain;
use net::tls::{BadSvid, sign_with};
use net::{Metadata, now};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use wire::Message;
use wire::agent::{AgentSvid, AttestRequest, Chain, Evidence, Possession, attest_request, attest_response};

use crate::clouds::{self, Keys, NoWord, Sts};
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
    /// The identity token that Google's metadata service gives for an audience.
    Google { audience: String, metadata: Metadata },
    /// The token of a managed identity that Azure's gives for a resource.
    Azure { resource: String, client: Option<String>, metadata: Metadata },
    /// The signed identity document of an instance of Amazon's.
    AwsIid { metadata: Metadata },
    /// A request to Amazon's STS, signed and not sent.
    AwsSts { sts: Sts },
    /// A token of Amazon's STS for an audience.
    AwsJwt { audience: String, sts: Sts },
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
    #[error(transparent)]
    Cloud(#[from] NoWord),
}

/// Evidence of the node, and what answers a challenge.
pub(crate) struct Proof {
    evidence: Evidence,
    domain: Option<TrustDomain>,
    signer: Option<Signer>,
}

/// With what a challenge is answered.
enum Signer {
    Device(Device),
    /// A session of Amazon's.
    Session(Box<(Sts, Keys)>),
    Tpm(Box<Tpm>),
}

/// A certificate of the machine, and where its key is.
struct Device {
    certificate: CertificateDer<'static>,
    key: PathBuf,
}

impl Proof {
    /// By a token of one use.
    pub(crate) fn by_token(token: &str, request: &[u8]) -> Self {
        let (method, payload) = (JOIN_TOKEN.to_owned(), Bytes::copy_from_slice(token.as_bytes()));
        let csr = Bytes::copy_from_slice(request);
        let evidence = Evidence { method, payload, csr, source: String::new() };
        Self { evidence, domain: None, signer: None }
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
        let (method, payload, signer) = match &attestation.by {
            Means::Token { method, file } => (*method, Bytes::copy_from_slice(read(file)?.trim_ascii()), None),
            Means::X509Pop { certificate, key } => {
                let (chain, device) = Device::of(certificate, key)?;
                (NodeMethod::X509Pop, chain, Some(Signer::Device(device)))
            }
            Means::Tpm { device, certificates } => {
                let more = certificates.as_deref().map_or(Ok(Vec::new()), chain)?;
                let more = more.iter().map(|der| der.to_vec()).collect();
                let device = device.clone();
                let (tpm, keys) = spawn_blocking(move || Tpm::open(&device, more)).await??;
                (NodeMethod::Tpm, Bytes::from(keys.encode_to_vec()), Some(Signer::Tpm(Box::new(tpm))))
            }
            Means::Google { audience, metadata } => {
                (NodeMethod::GcpIit, clouds::google_token(metadata, audience).await?, None)
            }
            Means::Azure { resource, client, metadata } => {
                let token = clouds::azure_token(metadata, resource, client.as_deref()).await?;
                (NodeMethod::AzureMsi, token, None)
            }
            Means::AwsIid { metadata } => (NodeMethod::AwsIid, clouds::document(metadata).await?, None),
            Means::AwsSts { sts } => {
                let session = Box::new((sts.clone(), Keys::find(&sts.keys).await?));
                (NodeMethod::AwsSts, Bytes::new(), Some(Signer::Session(session)))
            }
            Means::AwsJwt { audience, sts } => (NodeMethod::AwsJwt, sts.token(audience).await?, None),
        };
        let (source, csr) = (attestation.source.clone(), Bytes::copy_from_slice(request));
        let evidence = Evidence { method: method.as_str().to_owned(), payload, csr, source };
        Ok(Self { evidence, domain: Some(domain.clone()), signer })
    }

    /// Has the agent's SVID minted for it.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub(crate) async fn present(self, mut client: Client) -> Result<AgentSvid, NotAttested> {
        let Self { evidence, domain, signer } = self;
        let mut signer = domain.zip(signer);
        let first = AttestRequest { step: Some(attest_request::Step::Evidence(evidence.clone())) };
        let (answer, answered) = oneshot::channel();
        let mut answer = Some(answer);
        let said = stream::iter([first]).chain(stream::once(answered).filter_map(|answer| ready(answer.ok())));
        let mut heard = client.attest(said).await.map_err(NoContact::from)?.into_inner();
        loop {
            match heard.message().await.map_err(NoContact::from)?.and_then(|message| message.step) {
                Some(attest_response::Step::Svid(svid)) => return Ok(svid),
                Some(attest_response::Step::Challenge(asked)) => {
                    let ((domain, signer), answer) = signer.take().zip(answer.take()).ok_or(NoContact::Answer)?;
                    let step = attest_request::Step::Answer(signer.answer(domain, evidence.clone(), asked).await?);
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
        match self {
            Self::Control(why) => why.passes(),
            Self::Evidence(NoEvidence::Cloud(why)) => why.passes(),
            Self::Evidence(_) => false,
        }
    }
}

impl Signer {
    /// What answers a challenge.
    async fn answer(self, domain: TrustDomain, evidence: Evidence, asked: Bytes) -> Result<Bytes, NotAttested> {
        let signed = match self {
            Self::Device(device) => {
                signed(&domain, &evidence, &asked, |statement| Ok(device.sign(statement)?.encode_to_vec()))?
            }
            Self::Session(session) => {
                let (sts, keys) = session.as_ref();
                signed(&domain, &evidence, &asked, |statement| {
                    Ok(sts.signed_call(keys, statement, now()).encode_to_vec())
                })?
            }
            Self::Tpm(tpm) => {
                let quote = spawn_blocking(move || tpm.answer(&evidence, &domain, &asked)).await;
                quote.map_err(NoEvidence::from)?.map_err(NoEvidence::from)?.encode_to_vec()
            }
        };
        Ok(signed.into())
    }
}

/// What is signed where random bytes are the challenge.
fn signed(
    domain: &TrustDomain,
    evidence: &Evidence,
    asked: &[u8],
    sign: impl FnOnce(&Statement<'_>) -> Result<Vec<u8>, NoEvidence>,
) -> Result<Vec<u8>, NotAttested> {
    let challenge = &Challenge::try_from(asked).or(Err(NoContact::Answer))?;
    let nonce = &net::challenge();
    let (source, request) = (evidence.source.as_str(), evidence.csr.as_ref());
    Ok(sign(&Statement { domain, source, challenge, nonce, request })?)
}

impl Device {
    /// A certificate with those between it and its authority, as a chain, and the device that it is of.
    fn of(path: &Path, key: &Path) -> Result<(Bytes, Self), NoEvidence> {
        let chain = chain(path)?;
        let certificate = chain.first().cloned().ok_or_else(|| NoEvidence::Certificate { path: path.to_owned() })?;
        let certificates = chain.iter().map(|der| Bytes::copy_from_slice(der)).collect();
        Ok((Bytes::from(Chain { certificates }.encode_to_vec()), Self { certificate, key: key.to_owned() }))
    }

    fn sign(&self, statement: &Statement<'_>) -> Result<Possession, NoEvidence> {
        let path = || self.key.clone();
        let key =
            PrivateKeyDer::from_pem_slice(&read(&self.key)?).ok().ok_or_else(|| NoEvidence::Key { path: path() })?;
        let signature = sign_with(&self.certificate, key, &statement.bytes());
        let signature = signature.map_err(|source| NoEvidence::Sign { path: path(), source })?;
        Ok(Possession { nonce: Bytes::copy_from_slice(statement.nonce), signature: Bytes::from(signature) })
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
