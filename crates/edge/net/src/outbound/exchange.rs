//! One request and its answer: capped in head and body, and never decoded.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{FetchFailed, Fetched, Terms};

/// Most bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Most header lines of an answer.
const HEAD_LINES: usize = 64;
const AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// # Errors
/// [`FetchFailed`].
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    terms: &Terms,
) -> Result<Fetched, FetchFailed> {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(FetchFailed::Http)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(FetchFailed::Http)?;
        // what is posted may be made by it (RFC 9110 §15.3.2)
        let made = terms.post.is_some() && answer.status() == StatusCode::CREATED;
        if answer.status() != StatusCode::OK && !made {
            return Err(FetchFailed::Status(answer.status()));
        }
        let max_age = max_age(answer.headers());
        match Limited::new(answer.into_body(), terms.most).collect().await {
            Ok(body) => Ok(Fetched { document: body.to_bytes(), max_age }),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchFailed::TooLong { most: terms.most }),
            Err(error) => Err(FetchFailed::Broke(error)),
        }
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

/// A request for an absolute URL, which was read as one before.
pub(super) fn request(url: &str, terms: &Terms) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(terms.post.clone().unwrap_or_default()));
    let uri: Uri = url.parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Some(host) = uri.authority().and_then(|authority| authority.as_str().parse().ok()) {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, header::HeaderValue::from_static(AGENT));
    if let Some(authorization) = &terms.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    if terms.post.is_some() {
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        *request.method_mut() = Method::POST;
    }
    for (name, value) in &terms.headers {
        request.headers_mut().insert(name, value.clone());
    }
    *request.uri_mut() = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    request
}

/// The shortest of what is said.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = lines.flat_map(|line| line.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    directives.filter_map(|directive| read_age(&directive)).min()
}

fn read_age(directive: &str) -> Option<Duration> {
    if matches!(directive, "no-store" | "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = directive.strip_prefix("max-age=")?.trim_matches('"');
    seconds.parse().ok().map(Duration::from_secs)
}
