//! The one guarded way out: a bounded `GET` of a document whose place an estate or settings wrote down, or a `POST` that asks for one.
//!
//! No redirect is followed, no proxy asked, no name looked up twice: the addresses of a host are found once, judged, and
//! what is connected to is exactly one that passed, so that a name server cannot change its mind in between.

mod anyone;
mod connect;
mod exchange;
mod local;
mod metadata;
mod reach;
mod remote;
mod roots;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::tls::{self, Check};

pub use local::fetch_local;
pub use metadata::{BadMetadata, Metadata};
pub use reach::{Reach, Unreachable};
pub use remote::{BadRemote, Plain, Remote, has_plain_authority};
pub use roots::{BadRoots, Roots};

/// What a fetch brings along, and how much it takes.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `authorization`, which has to be marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Other lines of the head, which stand instead of those that would stand there.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is posted, JSON unless a header says otherwise; without it, the document is got.
    pub post: Option<Bytes>,
    /// Longest document, in bytes.
    pub most: usize,
    /// From the name's look-up to the last byte.
    pub within: Duration,
}

impl Terms {
    /// For what is public, and short.
    pub const fn public() -> Self {
        Self { authorization: None, headers: Vec::new(), post: None, most: 256 * 1024, within: Duration::from_secs(5) }
    }
}

/// A document, and how long its server says that it may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub document: Bytes,
    /// `max-age` (RFC 9111 §5.2.2.1); zero for what is not to be kept; `None` where nothing is said.
    pub max_age: Option<Duration>,
}

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailed {
    #[error("no whole answer within {} s", .within.as_secs())]
    Late { within: Duration },
    #[error("cannot connect to `{}`", .socket.display())]
    Socket { socket: PathBuf, source: io::Error },
    #[error("`{}` is held by user {found}, not by user {expected}", .socket.display())]
    Holder { socket: PathBuf, expected: u32, found: u32 },
    #[error("`{host}` cannot be looked up")]
    Name { host: String, source: io::Error },
    #[error("`{host}` has no address")]
    NoAddress { host: String },
    #[error("`{host}` is not fetched from")]
    Refused { host: String, source: Unreachable },
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the root certificates cannot be used")]
    Roots(#[from] BadRoots),
    #[error("no TLS with the server")]
    Tls(#[source] io::Error),
    #[error("the exchange failed")]
    Http(#[source] hyper::Error),
    #[error("the answer was {0}, not 200")]
    Status(StatusCode),
    #[error("the document is longer than {most} bytes")]
    TooLong { most: usize },
    #[error("the document broke off")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches a public document.
///
/// # Errors
/// [`FetchFailed`]; a redirect is a status like any other.
pub async fn fetch(remote: &Remote) -> Result<Fetched, FetchFailed> {
    fetch_on(remote, &Terms::public()).await
}

/// Fetches a document on these terms.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_on(remote: &Remote, terms: &Terms) -> Result<Fetched, FetchFailed> {
    fetched(remote, terms, None).await
}

/// Fetches a public document from a server that is held to `check` instead of to its name.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_from(remote: &Remote, check: Arc<Check>) -> Result<Fetched, FetchFailed> {
    // with no SVID of its own: whoever publishes a bundle asks nobody who he is
    fetched(remote, &Terms::public(), Some(tls::client(Arc::default(), check))).await
}

/// Over TLS by this configuration, or else by the URL's scheme.
async fn fetched(remote: &Remote, terms: &Terms, config: Option<Arc<ClientConfig>>) -> Result<Fetched, FetchFailed> {
    let fetch = async {
        let addresses = connect::addresses(remote).await?;
        let stream = connect::connect(remote, addresses).await?;
        let request = exchange::request(remote.url(), terms);
        let stream = match (config, remote.scheme()) {
            (Some(config), _) => connect::over_tls(stream, remote, config).await?,
            (None, remote::Scheme::Https) => connect::secured(stream, remote).await?,
            (None, remote::Scheme::Http) => return exchange::exchange(stream, request, terms).await,
        };
        exchange::exchange(stream, request, terms).await
    };
    // the state of a handshake is large, and a fetch is rare
    in_time(Box::pin(fetch), terms).await
}

async fn in_time(
    fetch: impl Future<Output = Result<Fetched, FetchFailed>>,
    terms: &Terms,
) -> Result<Fetched, FetchFailed> {
    let within = terms.within;
    timeout(within, fetch).await.unwrap_or(Err(FetchFailed::Late { within }))
}

#[cfg(test)]
mod tests;
