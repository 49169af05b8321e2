//! From a host to a connection: one look-up, every address judged, and a connection to exactly one that passed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::FetchFailed;
use super::remote::{Host, Remote};

/// How long one address may take to accept: long enough for the first packet to be lost and sent again.
const CONNECT: Duration = Duration::from_millis(1500);
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// The addresses of a remote's host.
///
/// # Errors
/// [`FetchFailed::Name`].
pub(super) async fn addresses(remote: &Remote) -> Result<Vec<IpAddr>, FetchFailed> {
    match remote.host() {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), remote.port())).await;
            let found = found.map_err(|source| FetchFailed::Name { host: name.clone(), source })?;
            Ok(found.map(|found| found.ip()).collect())
        }
    }
}

/// A connection to the first of `addresses` that may be connected to and accepts.
///
/// # Errors
/// [`FetchFailed::Refused`] if none may be connected to, [`FetchFailed::Connect`] if none of them accepts.
pub(super) async fn connect(remote: &Remote, addresses: Vec<IpAddr>) -> Result<TcpStream, FetchFailed> {
    let host = || match remote.host() {
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    };
    let mut why = FetchFailed::NoAddress { host: host() };
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        if let Err(source) = remote.check(address) {
            why = FetchFailed::Refused { host: host(), source };
            continue;
        }
        match to(SocketAddr::new(address, remote.port())).await {
            Ok(stream) => return Ok(stream),
            Err(failed) => why = failed,
        }
    }
    Err(why)
}

/// A connection to an address: nothing is looked up here.
///
/// # Errors
/// [`FetchFailed::Connect`].
pub(super) async fn to(address: SocketAddr) -> Result<TcpStream, FetchFailed> {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(FetchFailed::Connect),
        Err(_late) => Err(FetchFailed::Connect(std::io::ErrorKind::TimedOut.into())),
    }
}

/// TLS over a connection, with a server that proves the remote's host.
///
/// # Errors
/// [`FetchFailed::Roots`], [`FetchFailed::Tls`].
pub(super) async fn secured(stream: TcpStream, remote: &Remote) -> Result<TlsStream<TcpStream>, FetchFailed> {
    over_tls(stream, remote, Arc::new(remote.roots().config().await?)).await
}

/// TLS over a connection, with a server of whom `config` decides.
///
/// # Errors
/// [`FetchFailed::Tls`].
pub(super) async fn over_tls(
    stream: TcpStream,
    remote: &Remote,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, FetchFailed> {
    let name = match remote.host() {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|bad| FetchFailed::Tls(std::io::Error::other(bad)))?
        }
    };
    TlsConnector::from(config).connect(name, stream).await.map_err(FetchFailed::Tls)
}
