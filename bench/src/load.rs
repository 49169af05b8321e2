//! The load: so many requests at a time as there are streams, each as soon as the one before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::parties::{HOST, Identity, TARGET};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// Where requests go, and what they carry.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// None: in the clear.
    pub tls: Option<Arc<ClientConfig>>,
    pub protocol: Protocol,
    pub credentials: Arc<Credentials>,
}

/// Values of `Authorization`, one a request, in turn; none, if there are none.
#[derive(Default)]
pub struct Credentials {
    values: Vec<HeaderValue>,
    next: AtomicUsize,
}

/// Open connections, and the streams on them.
pub struct Clients {
    target: Target,
    senders: Vec<Sender>,
    _drivers: JoinSet<()>,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// What became of a load.
pub struct Seen {
    /// How long each request took, in ascending order.
    pub times: Vec<Duration>,
    pub took: Duration,
}

impl Credentials {
    pub fn bearer(tokens: impl IntoIterator<Item = String>) -> Arc<Self> {
        let value = |token| HeaderValue::try_from(format!("Bearer {token}")).expect("a token is plain text");
        Arc::new(Self { values: tokens.into_iter().map(value).collect(), next: AtomicUsize::new(0) })
    }

    fn next(&self) -> Option<&HeaderValue> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.values.get(turn.checked_rem(self.values.len())?)
    }
}

impl Seen {
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    pub fn percentile(&self, part: usize) -> Duration {
        self.times[self.times.len() * part / 100]
    }
}

/// TLS 1.3 with one suite, so that every peer does the same work, without any resumption.
pub fn tls(identity: &Identity, protocol: Protocol, certificate: bool) -> Arc<ClientConfig> {
    let suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = CryptoProvider { cipher_suites: suites, ..default_provider() };
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(&identity.authority).expect("authorities") {
        roots.add(authority.expect("an authority")).expect("one that can be used");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .expect("a version that the provider supports")
        .with_root_certificates(roots);
    let mut config = if certificate {
        let chain = CertificateDer::pem_file_iter(&identity.cert).expect("a certificate").map(|der| der.expect("PEM"));
        let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
        config.with_client_auth_cert(chain.collect(), key).expect("a certificate and its key")
    } else {
        config.with_no_client_auth()
    };
    let name: &[u8] = if protocol == Protocol::Http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![name.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

impl Clients {
    /// Opens so many connections with so many streams each.
    ///
    /// # Errors
    /// In words: for whoever waits until a server is there.
    pub async fn open(target: &Target, connections: usize, streams: usize) -> Result<Self, String> {
        let mut clients = Self { target: target.clone(), senders: Vec::new(), _drivers: JoinSet::new() };
        for _ in 0..connections {
            clients.connect(streams).await.map_err(|error| error.to_string())?;
        }
        Ok(clients)
    }

    async fn connect(&mut self, streams: usize) -> Result<(), Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(self.target.address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.target.tls else { return self.shake_hands(stream, streams).await };
        let name = ServerName::try_from(HOST)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        self.shake_hands(stream, streams).await
    }

    async fn shake_hands(
        &mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        streams: usize,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let io = TokioIo::new(stream);
        match self.target.protocol {
            Protocol::Http1 => {
                let (sender, driver) = http1::handshake(io).await?;
                self._drivers.spawn(async { drop(driver.await) });
                self.senders.push(Sender::Http1(sender));
            }
            Protocol::Http2 => {
                let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                self._drivers.spawn(async { drop(driver.await) });
                self.senders.extend((0..streams).map(|_| Sender::Http2(sender.clone())));
            }
        }
        Ok(())
    }

    /// Sends for so long, on every stream.
    pub async fn drive(&mut self, during: Duration) -> Seen {
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for mut sender in self.senders.drain(..) {
            let target = self.target.clone();
            running.spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < during {
                    let asked = Instant::now();
                    let status = sender.send(&target).await;
                    assert_eq!(status, StatusCode::OK, "refused under load");
                    times.push(asked.elapsed());
                }
                (sender, times)
            });
        }
        let mut seen = Seen { times: Vec::new(), took: Duration::ZERO };
        while let Some(joined) = running.join_next().await {
            let (sender, times) = joined.expect("requests that are answered");
            self.senders.push(sender);
            seen.times.extend(times);
        }
        seen.took = begun.elapsed();
        seen.times.sort_unstable();
        seen
    }

    /// One request on every stream, one after the other.
    pub async fn each_once(&mut self) {
        for sender in &mut self.senders {
            assert_eq!(sender.send(&self.target).await, StatusCode::OK, "refused");
        }
    }

    /// One request on one stream: how it was answered.
    pub async fn ask(&mut self) -> StatusCode {
        self.senders[0].send(&self.target).await
    }
}

impl Sender {
    async fn send(&mut self, target: &Target) -> StatusCode {
        let mut request = Request::new(Empty::new());
        if let Some(value) = target.credentials.next() {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        }
        let answer = match self {
            Self::Http1(sender) => {
                *request.uri_mut() = TARGET.parse().expect("a target");
                request.headers_mut().insert(header::HOST, HeaderValue::from_static(HOST));
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                *request.uri_mut() = format!("https://{HOST}{TARGET}").parse().expect("a target");
                *request.version_mut() = Version::HTTP_2;
                sender.send_request(request).await
            }
        };
        let answer = answer.expect("an answer");
        let status = answer.status();
        answer.into_body().collect().await.expect("all of the answer");
        status
    }
}
