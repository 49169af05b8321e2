//! Connections to one upstream, as one identity: kept while they are good, and never used for another destination.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use credential::{Authorities, PeerCertificates};
use http::uri::Authority;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use model::SpiffeId;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::nodes::{plain, secured};
use super::sent::RequestBody;
use super::tls::{self, Check, OwnSvid};

/// Where none is written (RFC 9110 §4.2.1).
const HTTP: u16 = 80;
/// To the end of the handshakes.
const CONNECT: Duration = Duration::from_secs(5);
/// Shorter than the keep-alive of common servers: a kept connection should not die under a request.
const KEEP: Duration = Duration::from_secs(4);
/// An upstream that was given back answers at once whether it takes another request.
const READY: Duration = Duration::from_millis(100);
/// Most connections that are kept while nobody uses them.
const MOST: usize = 256;

/// Where a service is, and who it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    pub authority: Authority,
    /// Its SPIFFE ID, if it is reached by mutual TLS.
    pub id: Option<SpiffeId>,
}

/// The pools of this process, one a destination: an estate that keeps a service keeps its connections.
#[derive(Default)]
pub struct Connections {
    own: Arc<OwnSvid>,
    trusted: Arc<ArcSwap<Authorities>>,
    open: Mutex<HashMap<Destination, Weak<Pool>>>,
}

/// Connections to one destination.
pub struct Pool {
    authority: Authority,
    tls: Option<Expecting>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    /// Drive the connections; they end with the pool.
    drivers: Mutex<JoinSet<()>>,
}

/// Whom a destination is held to: when hands are shaken, and whenever a connection is used again.
struct Expecting {
    config: Arc<ClientConfig>,
    check: Arc<Check>,
}

/// A connection, and who is at its other end.
struct Connection {
    sender: SendRequest<RequestBody>,
    /// None without TLS.
    peer: Option<PeerCertificates>,
}

/// A connection in use.
pub struct Lease {
    pool: Arc<Pool>,
    connection: Connection,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no connection in time")]
    Late,
    #[error("the exchange failed")]
    Http(#[source] hyper::Error),
}

impl Connections {
    /// `own` is the SVID with which this process connects.
    pub fn new(own: Arc<OwnSvid>) -> Self {
        Self { own, trusted: Arc::default(), open: Mutex::default() }
    }

    /// Services are held to these bundles from now on.
    pub fn trust(&self, authorities: impl Into<Arc<Authorities>>) {
        self.trusted.store(authorities.into());
    }

    /// The SVID with which this process connects and serves.
    pub const fn own(&self) -> &Arc<OwnSvid> {
        &self.own
    }

    /// The pool of a destination.
    pub fn to(&self, destination: &Destination) -> Arc<Pool> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = open.get(destination).and_then(Weak::upgrade) {
            return pool;
        }
        open.retain(|_, pool| pool.strong_count() > 0);
        let tls = destination.id.as_ref().map(|id| self.expecting(id.clone()));
        let (idle, drivers) = (Mutex::default(), Mutex::default());
        let pool = Arc::new(Pool { authority: destination.authority.clone(), tls, idle, drivers });
        open.insert(destination.clone(), Arc::downgrade(&pool));
        pool
    }

    /// How this process connects to the service of this SPIFFE ID, and to no other.
    pub fn secured(&self, id: SpiffeId) -> Arc<ClientConfig> {
        self.expecting(id).config
    }

    /// The same, to speak HTTP/2 with it.
    pub fn multiplexed(&self, id: SpiffeId) -> Arc<ClientConfig> {
        let mut config = (*self.secured(id)).clone();
        config.alpn_protocols = vec![tls::H2.to_vec()];
        Arc::new(config)
    }

    /// TLS with the service of this SPIFFE ID, and no other.
    fn expecting(&self, id: SpiffeId) -> Expecting {
        let trusted = Arc::clone(&self.trusted);
        let check = tls::only(id, move || trusted.load_full());
        Expecting { config: tls::client(Arc::clone(&self.own), Arc::clone(&check)), check }
    }
}

impl Pool {
    /// Sends a request, once. One that a kept connection did not take goes out on a fresh one: no byte of it was sent.
    ///
    /// # Errors
    /// [`Unsent`].
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Unsent> {
        while let Some(mut connection) = self.kept() {
            match timeout(READY, connection.sender.ready()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => continue,
            }
            match connection.sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, self.lease(connection))),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Unsent::Http(failed.into_error())),
                },
            }
        }
        let mut connection = timeout(CONNECT, self.connect()).await.unwrap_or(Err(Unsent::Late))?;
        let answer = connection.sender.send_request(request).await.map_err(Unsent::Http)?;
        Ok((answer, self.lease(connection)))
    }

    fn lease(self: &Arc<Self>, connection: Connection) -> Lease {
        Lease { pool: Arc::clone(self), connection }
    }

    /// The connection that was used last, if it may still be good.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, since)) = idle.pop() {
            if since.elapsed() >= KEEP {
                // those below were given back even earlier
                idle.clear();
            } else if !connection.sender.is_closed() && self.still_trusts(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// An SVID ends, and bundles change, while a connection is kept.
    fn still_trusts(&self, connection: &Connection) -> bool {
        match (&self.tls, &connection.peer) {
            (None, None) => true,
            (Some(expecting), Some(peer)) => (expecting.check)(peer).is_ok(),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    async fn connect(&self) -> Result<Connection, Unsent> {
        let Some(Expecting { config, .. }) = &self.tls else {
            let stream = plain(&self.authority, HTTP).await.map_err(Unsent::Connect)?;
            return self.handshake(stream, None).await;
        };
        let stream = secured(&self.authority, config).await.map_err(Unsent::Connect)?;
        let peer = tls::peer(stream.get_ref().1.peer_certificates());
        self.handshake(stream, peer).await
    }

    async fn handshake(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Option<PeerCertificates>,
    ) -> Result<Connection, Unsent> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Unsent::Http)?;
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(async move {
            // how it went shows in the exchanges themselves
            let _ = connection.await;
        });
        Ok(Connection { sender, peer })
    }
}

impl Lease {
    /// The exchange is over on both sides: the connection can take another.
    pub fn give_back(self) {
        let Self { pool, connection } = self;
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push((connection, Instant::now()));
        }
    }
}
