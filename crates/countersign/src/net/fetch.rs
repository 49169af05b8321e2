//! One plain bounded fetch over HTTP: no redirects, a cap on time and on size.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest document, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// From the first connection attempt to the last byte.
const WITHIN: Duration = Duration::from_secs(5);

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailed {
    #[error("`{url}` is not a URL that can be fetched: only `http` to a named host for now")]
    Url { url: String },
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("the exchange failed")]
    Http(#[source] hyper::Error),
    #[error("the answer was {0}, not 200")]
    Status(StatusCode),
    #[error("the document is longer than {MAX_BYTES} bytes, or broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches a document.
///
/// # Errors
/// [`FetchFailed`]; a redirect is a status like any other.
pub async fn fetch(url: &str) -> Result<Bytes, FetchFailed> {
    timeout(WITHIN, fetch_now(url)).await.unwrap_or(Err(FetchFailed::Late))
}

async fn fetch_now(url: &str) -> Result<Bytes, FetchFailed> {
    let bad = || FetchFailed::Url { url: url.to_owned() };
    let uri: Uri = url.parse().ok().ok_or_else(bad)?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(bad()) };
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .ok()
        .ok_or_else(bad)?;
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(FetchFailed::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(FetchFailed::Http)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(FetchFailed::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchFailed::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(FetchFailed::Body)
    };
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        done = exchange.as_mut() => done,
        ended = connection.as_mut() => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(FetchFailed::Http(error)),
        },
    }
}
