//! The sample billing API. It logs every request that reached it, so that anyone can prove what did not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::{Value, json};

use crate::net::{Door, Peer};

/// Longest body that the sample API reads, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The sample upstream.
pub struct SampleApi {
    log: Mutex<File>,
}

#[derive(Serialize)]
struct Reached<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, std::borrow::Cow<'a, str>)>,
    body: String,
}

impl SampleApi {
    /// Logs to `log`, one JSON document a line, after what is there.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn new(log: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
        Ok(Self { log: Mutex::new(file) })
    }

    fn log(&self, reached: &Reached<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(reached)?;
        line.push(b'\n');
        self.log.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

impl Door for SampleApi {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return reply(StatusCode::BAD_REQUEST, &json!({"error": "the body cannot be read"})),
        };
        let header = |(name, value)| {
            let (name, value): (&http::HeaderName, &HeaderValue) = (name, value);
            (name.as_str(), String::from_utf8_lossy(value.as_bytes()))
        };
        let reached = Reached {
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
            headers: parts.headers.iter().map(header).collect(),
            body: format!("sha256:{}", credential::digest_of(&body)),
        };
        if let Err(error) = self.log(&reached) {
            tracing::error!(%error, "the sample API cannot log what reached it");
            return reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "the log cannot be written"}));
        }
        let (status, document) = invoices(&parts.method, parts.uri.path());
        reply(status, &document)
    }
}

fn invoices(method: &Method, path: &str) -> (StatusCode, Value) {
    let id = path.strip_prefix("/invoices/").filter(|id| !id.is_empty());
    match (method.as_str(), path, id) {
        ("GET", "/healthz", _) => (StatusCode::OK, json!({"status": "ok"})),
        ("GET" | "HEAD", _, Some(id)) => (StatusCode::OK, json!({"invoice": id, "total": "120.00", "currency": "EUR"})),
        ("GET", "/export", _) => (StatusCode::OK, json!({"invoices": [{"invoice": "1", "total": "120.00"}]})),
        ("POST", "/invoices", _) => (StatusCode::CREATED, json!({"invoice": "2"})),
        _ => (StatusCode::NOT_FOUND, json!({"error": "no such thing"})),
    }
}

fn reply(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(format!("{document}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
