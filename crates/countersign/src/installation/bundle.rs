//! The bundle endpoint for other trust domains (SPIFFE_Federation.md §5.2): a listener of its own that asks nobody who he is, and
//! has nothing but the bundle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use net::causes::chain;
use net::tls::{BadSvid, OwnSvid};
use net::{Door, Peer, Stop};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::time::sleep;

use crate::control::Control;

/// The only path; SPIRE's too.
const PATH: &str = "/";
const NOTHING_ELSE: &[u8] = b"{\"error\":\"no such thing; there is GET /\"}\n";
/// How often it is looked for a newer certificate.
const EVERY: Duration = Duration::from_secs(10);

/// Why files are no certificate of a server.
#[derive(Debug, thiserror::Error)]
pub enum BadPair {
    #[error("`{}` holds no certificates in PEM", .path.display())]
    Certificate { path: PathBuf, source: pem::Error },
    #[error("`{}` holds no certificate", .path.display())]
    None { path: PathBuf },
    #[error("`{}` holds no private key in PEM (PKCS #8: `BEGIN PRIVATE KEY`)", .path.display())]
    Key { path: PathBuf, source: pem::Error },
    #[error("`{}` cannot be used with its key", .path.display())]
    Pair { path: PathBuf, source: BadSvid },
}

/// A certificate under a web authority, and its key, in files that somebody renews.
pub(super) struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub used: Arc<OwnSvid>,
}

impl Pair {
    /// # Errors
    /// [`BadPair`].
    pub(super) fn read(cert: &Path, key: &Path) -> Result<Self, BadPair> {
        let pair = Self { cert: cert.to_owned(), key: key.to_owned(), used: Arc::default() };
        pair.renew()?;
        Ok(pair)
    }

    /// Uses what lies in the files by now.
    fn renew(&self) -> Result<(), BadPair> {
        let unread = |source| BadPair::Certificate { path: self.cert.clone(), source };
        let found = CertificateDer::pem_file_iter(&self.cert).map_err(unread)?;
        let chain: Vec<Vec<u8>> =
            found.map(|der| der.map(|der| der.to_vec())).collect::<Result<_, _>>().map_err(unread)?;
        if chain.is_empty() {
            return Err(BadPair::None { path: self.cert.clone() });
        }
        let key = PrivatePkcs8KeyDer::from_pem_file(&self.key);
        let key = key.map_err(|source| BadPair::Key { path: self.key.clone(), source })?;
        let used = self.used.install(&chain, key.secret_pkcs8_der());
        used.map_err(|source| BadPair::Pair { path: self.cert.clone(), source })
    }

    /// Takes newer ones as they come, until asked to stop. What cannot be used leaves in use what was.
    pub(super) async fn keep(self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(EVERY) => {}
            }
            if let Err(error) = self.renew() {
                tracing::error!(error = chain(&error), "the bundle endpoint's certificate is not renewed");
            }
        }
    }
}

/// Hands the bundle out.
pub(super) struct BundleDoor(pub Arc<Control>);

impl Door for BundleDoor {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _: Peer) -> Response<Full<Bytes>> {
        let asked = (request.method(), request.uri().path()) == (&Method::GET, PATH);
        let (status, document) = match (asked, self.0.issuer()) {
            (true, Some(issuer)) => (StatusCode::OK, Bytes::from(format!("{}\n", issuer.spiffe_bundle()))),
            (true, None) => (StatusCode::SERVICE_UNAVAILABLE, Bytes::new()),
            (false, _) => (StatusCode::NOT_FOUND, Bytes::from_static(NOTHING_ELSE)),
        };
        let mut answer = Response::new(Full::new(document));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}
