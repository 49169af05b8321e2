//! Who is reached by mutual TLS: one node, or any of several that answer alike.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credential::Cause;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls;

/// To the end of the handshakes.
const WITHIN: Duration = Duration::from_secs(5);
/// Where none is written (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// Nodes of a control plane.
pub struct Nodes {
    /// Never empty.
    all: Vec<Authority>,
    /// The one that answered last.
    last: AtomicUsize,
    tls: Arc<ClientConfig>,
}

/// Why no node is reached: of several, the last that was tried.
#[derive(Debug, thiserror::Error)]
pub enum NoNode {
    #[error("cannot connect to control at {authority}")]
    Connect { authority: Authority, source: io::Error },
    #[error("whoever answers at {authority} is not the control plane")]
    OtherPeer { authority: Authority, source: Cause },
    #[error("control does not answer in time")]
    Late,
}

impl Nodes {
    /// `tls` says who has to be at the other end.
    pub const fn new(all: Vec<Authority>, tls: Arc<ClientConfig>) -> Self {
        Self { all, last: AtomicUsize::new(0), tls }
    }

    /// A connection to the node that answered last, else to the next one that does.
    ///
    /// # Errors
    /// [`NoNode`].
    pub async fn reach(&self) -> Result<(&Authority, TlsStream<TcpStream>), NoNode> {
        let first = self.last.load(Ordering::Relaxed);
        let mut why = NoNode::Late;
        for node in (first..).take(self.all.len()) {
            let node = node % self.all.len();
            let Some(authority) = self.all.get(node) else { continue };
            match timeout(WITHIN, secured(authority, &self.tls)).await {
                Ok(Ok(stream)) => {
                    self.last.store(node, Ordering::Relaxed);
                    return Ok((authority, stream));
                }
                Ok(Err(error)) => why = NoNode::because(authority, error),
                Err(_late) => why = NoNode::Late,
            }
        }
        Err(why)
    }
}

impl NoNode {
    fn because(authority: &Authority, error: io::Error) -> Self {
        let authority = authority.clone();
        match tls::refusal(&error) {
            Some(source) => Self::OtherPeer { authority, source },
            None => Self::Connect { authority, source: error },
        }
    }
}

/// Connects, and shakes hands with whom `tls` expects.
///
/// # Errors
/// If the address cannot be reached, or another one answers.
pub(super) async fn secured(authority: &Authority, tls: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = plain(authority, HTTPS).await?;
    let name = ServerName::try_from(host(authority).to_owned());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    TlsConnector::from(Arc::clone(tls)).connect(name, stream).await
}

/// Connects, to `port` where the address names none.
///
/// # Errors
/// If the address cannot be reached.
pub(super) async fn plain(authority: &Authority, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host(authority), authority.port_u16().unwrap_or(port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether an exchange failed because the other end ended TLS with a word: for what we presented, if hands were shaken.
pub fn was_turned_away(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    let mut carried = causes.filter_map(|error| error.downcast_ref::<io::Error>()?.get_ref());
    carried.any(|inner| matches!(inner.downcast_ref(), Some(rustls::Error::AlertReceived(_))))
}

fn host(authority: &Authority) -> &str {
    authority.host().trim_matches(['[', ']'])
}
