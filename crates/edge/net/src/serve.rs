//! Listeners: every connection belongs to a task that the listener joins, and draining is bounded.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{PeerCertificates, PeerCredentials};
use http::{HeaderValue, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::authority::Named;
use super::causes::chain;
use super::http2::http2;
use super::pace::{Pace, Paced, PacedBody, Pacing, Reading};
use super::process::Process;
use super::tls;

/// How long open requests may take to end once a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);
/// Most bytes of a head that are held; a longer one gets a bare 431.
pub(super) const HEAD_BYTES: usize = 128 * 1024;
/// Most header lines that are held.
const HEAD_LINES: usize = 512;
/// Who is at the other end, as far as the transport knows.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Somebody who holds the key of a certificate.
    Tls(Arc<PeerCertificates>),
    /// Somebody: an address adds no rights.
    Network,
    /// Whoever opened a local socket, by the kernel's word.
    Local(PeerCredentials),
    /// A local process that is watched: it is this one for as long as it lives.
    Process(Arc<Process>),
    /// The same, and it holds the key of a certificate.
    Vouched(Arc<Process>, Arc<PeerCertificates>),
}

/// What answers the requests of a listener.
pub trait Door: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static;

    fn answer(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Self::Body>> + Send;

    /// A connection sent bytes that are no request, or not all of one.
    fn unreadable(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// A TLS handshake failed: for these certificates, or before any came.
    fn handshake_failed(&self, _peer: Option<PeerCertificates>) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Returns once nothing more is to be answered to this peer, whatever it asks.
    fn dismissed(&self, _peer: &Peer) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Most requests of one HTTP/2 connection at a time.
    fn streams(&self) -> u32 {
        100
    }

    fn pacing(&self) -> Pacing {
        let seconds = Duration::from_secs;
        Pacing { header: seconds(10), idle: seconds(60), stall: seconds(30) }
    }
}

/// Where requests come from.
pub enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<ServerConfig>),
    /// HTTP/1.1 for whoever may open the socket.
    Unix(UnixListener),
    /// HTTP/2 for local processes, each pinned.
    Processes(UnixListener),
    /// The same over TLS: whoever presents no certificate is a process, and no more.
    ProcessesTls(UnixListener, Arc<ServerConfig>),
}

/// On an answer: no other request of its connection will be answered.
#[derive(Debug, Clone, Copy)]
pub struct LastAnswer;

/// Hears when to stop.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Says when to stop.
pub struct Stopper(watch::Sender<bool>);

/// A stop that was not asked for yet.
pub fn stop() -> (Stopper, Stop) {
    let (say, hear) = watch::channel(false);
    (Stopper(say), Stop(hear))
}

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once a stop is asked for, or can no longer be.
    pub async fn asked(&mut self) {
        // an error means that nobody is left to ask
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Serves until asked to stop, then lets open requests end for a bounded time.
pub async fn serve<D: Door>(listener: Listener, door: Arc<D>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener) => match accepted {
                Ok(accepted) => {
                    let (door, stop) = (Arc::clone(&door), stop.clone());
                    match accepted {
                        Accepted::Tcp(stream) => connections.spawn(http1(stream, Peer::Network, door, stop)),
                        Accepted::Tls(stream, tls) => connections.spawn(secured(stream, tls, door, stop)),
                        Accepted::Unix(stream, peer) => connections.spawn(http1(stream, Peer::Local(peer), door, stop)),
                        Accepted::Process(stream, process) => {
                            let peer = Peer::Process(Arc::new(process));
                            connections.spawn(http2(Named::new(stream), peer, door, stop))
                        }
                        Accepted::ProcessTls(stream, process, tls) => {
                            connections.spawn(vouched(stream, process, tls, door, stop))
                        }
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // out of descriptors, most likely: give the open ones a moment to end
                    sleep(Duration::from_millis(50)).await;
                }
            },
            () = stop.asked() => break,
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

enum Accepted {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream, PeerCredentials),
    Process(UnixStream, Process),
    ProcessTls(UnixStream, Process, TlsAcceptor),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream))
        }
        Listener::Tls(listener, config) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted::Tls(stream, TlsAcceptor::from(Arc::clone(config))))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = stream.peer_cred()?;
            let credentials = PeerCredentials { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() };
            Ok(Accepted::Unix(stream, credentials))
        }
        Listener::Processes(listener) => {
            let (stream, process) = pinned(listener).await?;
            Ok(Accepted::Process(stream, process))
        }
        Listener::ProcessesTls(listener, config) => {
            let (stream, process) = pinned(listener).await?;
            Ok(Accepted::ProcessTls(stream, process, TlsAcceptor::from(Arc::clone(config))))
        }
    }
}

/// The next caller that can be pinned; another is let go, so that it does not hold up the others.
async fn pinned(listener: &UnixListener) -> io::Result<(UnixStream, Process)> {
    loop {
        let (stream, _) = listener.accept().await?;
        match Process::at(&stream) {
            Ok(process) => return Ok((stream, process)),
            Err(error) => tracing::info!(error = chain(&error), "a local connection is refused"),
        }
    }
}

/// Shakes hands with a local process, and serves it.
async fn vouched<D: Door>(stream: UnixStream, process: Process, tls: TlsAcceptor, door: Arc<D>, stop: Stop) {
    let stream = match timeout(door.pacing().header, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(pid = process.pid(), error = chain(&error), "a handshake with a local process failed");
            return door.handshake_failed(tls::refused_peer(&error)).await;
        }
        Err(_) => return door.handshake_failed(None).await,
    };
    let process = Arc::new(process);
    let peer = match tls::peer(stream.get_ref().1.peer_certificates()) {
        Some(certificates) => Peer::Vouched(process, Arc::new(certificates)),
        None => Peer::Process(process),
    };
    http2(Named::new(stream), peer, door, stop).await;
}

/// Shakes hands, and serves what the client chose: HTTP/2 or HTTP/1.1.
async fn secured<D: Door>(stream: TcpStream, tls: TlsAcceptor, door: Arc<D>, stop: Stop) {
    let until = Instant::now() + door.pacing().header;
    // whoever connects and says nothing is nobody's request
    if !matches!(timeout_at(until, stream.peek(&mut [0])).await, Ok(Ok(1))) {
        return;
    }
    let stream = match timeout_at(until, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return door.handshake_failed(tls::refused_peer(&error)).await,
        Err(_) => return door.handshake_failed(None).await,
    };
    let (_, session) = stream.get_ref();
    let peer = tls::peer(session.peer_certificates()).map_or(Peer::Network, |peer| Peer::Tls(Arc::new(peer)));
    if session.alpn_protocol() == Some(tls::H2) {
        http2(stream, peer, door, stop).await;
    } else {
        http1(stream, peer, door, stop).await;
    }
}

async fn http1<D: Door>(stream: impl AsyncRead + AsyncWrite + Unpin + Send, peer: Peer, door: Arc<D>, mut stop: Stop) {
    let pace = Pace::fresh(Reading::ByRequest);
    let service = service_fn(|request| {
        let open = pace.head_complete();
        let (door, peer) = (Arc::clone(&door), peer.clone());
        async move {
            let mut answer = door.answer(request, peer).await;
            if answer.extensions_mut().remove::<LastAnswer>().is_some() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| PacedBody::new(body, open, None)))
        }
    });
    let paced = Paced::new(stream, Arc::clone(&pace), door.pacing());
    let mut http = http1::Builder::new();
    // the transport keeps time: hyper's own deadline would count idle time as part of a head
    http.header_read_timeout(None).max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(paced), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = stop.asked() => {}, () = door.dismissed(&peer) => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if ended.is_err_and(|error| error.is_parse() || pace.is_within_head()) {
        door.unreadable().await;
    }
}
