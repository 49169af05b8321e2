//! TLS: our own SVID as it is now, and peers held to the bundle of their trust domain.
//!
//! No session is ever resumed: a resumed one would skip the peer's certificate, and with it the bundle and the revocations
//! of today.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use credential::{Authorities, Cause, Finding, PeerCertificates};
use model::{SpiffeId, Time};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};

use crate::now;

/// HTTP/2 and HTTP/1.1, in the order of preference (RFC 7301).
const PROTOCOLS: &[&[u8]] = &[H2, HTTP11];
pub(super) const H2: &[u8] = b"h2";
const HTTP11: &[u8] = b"http/1.1";

/// Decides whether certificates hold now.
pub type Check = dyn Fn(&PeerCertificates) -> Result<Finding, Cause> + Send + Sync;

/// The SVID with which this process is a server and a client, or an operator's certificate: replaced while connections are
/// open.
#[derive(Default)]
pub struct OwnSvid {
    current: ArcSwapOption<CertifiedKey>,
}

/// Why certificates and a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate or its key cannot be used for TLS")]
pub struct BadSvid(#[from] Error);

impl OwnSvid {
    /// Uses this SVID from now on, for new connections.
    ///
    /// # Errors
    /// [`BadSvid`] where the key is not the certificate's; what was used stays in use.
    pub fn install(&self, chain: &[Vec<u8>], pkcs8: &[u8]) -> Result<(), BadSvid> {
        let key = sign::any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8)))?;
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match()?;
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// When the SVID in use ends; none where none is used.
    pub fn ends(&self) -> Option<Time> {
        self.leaf()?.ends()
    }

    /// Whether the SVID in use was signed by one of `authorities` whose SVIDs are to be replaced.
    pub fn is_tainted(&self, authorities: &Authorities) -> bool {
        self.leaf().is_some_and(|leaf| leaf.signed_by().is_some_and(|authority| authorities.taint(authority)))
    }

    fn leaf(&self) -> Option<PeerCertificates> {
        let current = self.current.load_full()?;
        Some(PeerCertificates::new(vec![current.end_entity_cert().ok()?.to_vec()]))
    }
}

/// What the key of a certificate signs with it outside of TLS: one algorithm a type of key, the strongest digest that its size
/// asks for.
///
/// # Errors
/// [`BadSvid`] where the key is of no type that is known, or not the certificate's.
pub fn sign_with(certificate: &[u8], key: PrivateKeyDer<'_>, message: &[u8]) -> Result<Vec<u8>, BadSvid> {
    const SCHEMES: &[SignatureScheme] = &[
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ED25519,
        SignatureScheme::RSA_PSS_SHA256,
    ];
    let key = CertifiedKey::new(vec![CertificateDer::from(certificate.to_vec())], sign::any_supported_type(&key)?);
    key.keys_match()?;
    let signer = key.key.choose_scheme(SCHEMES).ok_or(Error::General("no scheme for this key".to_owned()))?;
    Ok(signer.sign(message)?)
}

/// Holds a peer to one SPIFFE ID, by the authorities that are trusted when it comes.
pub fn only(id: SpiffeId, trusted: impl Fn() -> Arc<Authorities> + Send + Sync + 'static) -> Arc<Check> {
    Arc::new(move |peer: &PeerCertificates| {
        let finding = peer.check(&trusted(), now())?;
        match finding.key.as_slice() {
            [found] if found == id.as_str() => Ok(finding),
            found => Err(Cause::OtherPeer { expected: id.clone(), found: found.concat() }),
        }
    })
}

/// How this process serves: with its own SVID, asking callers for theirs and taking none for an answer.
///
/// # Panics
/// Never: the provider's own defaults serve TLS 1.2 and 1.3.
#[expect(clippy::expect_used, reason = "the provider's own defaults; every scenario over TLS builds one")]
pub fn server(own: Arc<OwnSvid>, check: Arc<Check>) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let callers = Peers { check, provider: Arc::clone(&provider) };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider supports")
        .with_client_cert_verifier(Arc::new(callers))
        .with_cert_resolver(own);
    serving(config)
}

/// How this process serves whoever comes, without asking who it is.
///
/// # Panics
/// Never, as [`server`].
#[expect(clippy::expect_used, reason = "the provider's own defaults; every scenario over TLS builds one")]
pub fn open(own: Arc<OwnSvid>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that the provider supports")
        .with_no_client_auth()
        .with_cert_resolver(own);
    serving(config)
}

/// What holds for every server: nothing is resumed.
fn serving(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// How this process connects to a service that has an SVID: `check` also knows which one is expected.
///
/// # Panics
/// Never, as [`server`].
#[expect(clippy::expect_used, reason = "the provider's own defaults; every scenario over TLS builds one")]
pub fn client(own: Arc<OwnSvid>, check: Arc<Check>) -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let services = Peers { check, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider supports")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(services))
        .with_client_cert_resolver(own);
    config.alpn_protocols = vec![HTTP11.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The certificates for which a handshake was refused, if that was why it failed.
pub(super) fn refused_peer(error: &io::Error) -> Option<PeerCertificates> {
    refused(error).map(|refused| PeerCertificates::new(refused.chain.clone()))
}

/// Why a handshake was refused here, if that was why it failed.
pub(super) fn refusal(error: &io::Error) -> Option<Cause> {
    refused(error).map(|refused| refused.cause.clone())
}

fn refused(error: &io::Error) -> Option<&Refused> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(CertificateError::Other(OtherError(refused))) = error else { return None };
    refused.downcast_ref()
}

/// What a peer presented, as far as its certificates go.
pub(super) fn peer(chain: Option<&[CertificateDer<'_>]>) -> Option<PeerCertificates> {
    let chain = chain.filter(|chain| !chain.is_empty())?;
    Some(PeerCertificates::new(chain.iter().map(|der| der.to_vec()).collect()))
}

/// Holds peers to [`Check`].
struct Peers {
    check: Arc<Check>,
    provider: Arc<CryptoProvider>,
}

/// Carries what was refused out of the handshake, so that it can be recorded.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct Refused {
    chain: Vec<Vec<u8>>,
    cause: Cause,
}

impl Peers {
    fn check(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Result<(), Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(above).map(|der| der.to_vec()).collect();
        let peer = PeerCertificates::new(chain.clone());
        match (self.check)(&peer) {
            Ok(_) => Ok(()),
            Err(cause) => {
                let refused = OtherError(Arc::new(Refused { chain, cause }));
                Err(Error::InvalidCertificate(CertificateError::Other(refused)))
            }
        }
    }
}

impl ClientCertVerifier for Peers {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // no hints: a client that finds its authority missing among them would present nothing
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(leaf, above).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Peers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // a SPIFFE ID names the service, whatever address it is reached at
        self.check(leaf, above).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(self)
    }
}

impl ResolvesServerCert for OwnSvid {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl ResolvesClientCert for OwnSvid {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }

    fn has_certs(&self) -> bool {
        self.current.load().is_some()
    }
}

/// Neither prints a key.
impl fmt::Debug for OwnSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSvid").field("installed", &self.current.load().is_some()).finish()
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peers")
    }
}
