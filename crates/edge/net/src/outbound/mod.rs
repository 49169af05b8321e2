//! The one guarded way out: a bounded `GET` of a document whose place an estate wrote down.
//!
//! No redirect is followed, no proxy asked, no name looked up twice: the addresses of a host are found once, judged, and
//! what is connected to is exactly one that passed, so that a name server cannot change its mind in between.

mod connect;
mod exchange;
mod reach;
mod remote;
mod roots;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::timeout;

pub use reach::{Reach, Unreachable};
pub use remote::{BadRemote, Plain, Remote, has_plain_authority};
pub use roots::{BadRoots, Roots};

/// Longest document, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// From the name's look-up to the last byte.
const WITHIN: Duration = Duration::from_secs(5);

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
    #[error("no whole answer within {} s", WITHIN.as_secs())]
    Late,
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
    #[error("the document is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the document broke off")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches a document.
///
/// # Errors
/// [`FetchFailed`]; a redirect is a status like any other.
pub async fn fetch(remote: &Remote) -> Result<Fetched, FetchFailed> {
    fetch_within(remote, WITHIN).await
}

async fn fetch_within(remote: &Remote, within: Duration) -> Result<Fetched, FetchFailed> {
    let fetch = async {
        let addresses = connect::addresses(remote).await?;
        let stream = connect::connect(remote, addresses).await?;
        match remote.scheme() {
            remote::Scheme::Http => exchange::exchange(stream, remote).await,
            remote::Scheme::Https => exchange::exchange(connect::secured(stream, remote).await?, remote).await,
        }
    };
    // the state of a handshake is large, and a fetch is rare
    timeout(within, Box::pin(fetch)).await.unwrap_or(Err(FetchFailed::Late))
}

#[cfg(test)]
mod tests;
