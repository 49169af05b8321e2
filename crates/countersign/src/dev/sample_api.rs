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
use model::Code;
use net::{Door, Peer};
use serde::Serialize;
use serde_json::{Value, json};

use super::assertion::{Caller, Verifier};

/// Longest body that the sample API reads, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The sample upstream.
pub struct SampleApi {
    log: Mutex<File>,
    verifier: Verifier,
}

#[derive(Serialize)]
struct Reached<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, std::borrow::Cow<'a, str>)>,
    body: String,
    /// Whom the gateway's assertion names; none without one, or for one that does not hold.
    caller: Option<&'a str>,
}

impl SampleApi {
    /// Logs to `log`, one JSON document a line, after what is there. Assertions are verified with the keys that the admin
    /// listener at `admin` publishes.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn new(log: &Path, admin: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
        Ok(Self { log: Mutex::new(file), verifier: Verifier::new(admin) })
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
        let caller = self.verifier.caller(&parts.headers).await;
        let reached = Reached {
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
            headers: parts.headers.iter().map(header).collect(),
            body: format!("sha256:{}", credential::digest_of(&body)),
            caller: match &caller {
                Caller::Named(caller) => Some(caller),
                Caller::Unnamed | Caller::Refused(_) => None,
            },
        };
        if let Err(error) = self.log(&reached) {
            tracing::error!(%error, "the sample API cannot log what reached it");
            return reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "the log cannot be written"}));
        }
        // an estate may call the service something else; whose assertion it is not is refused for anything else
        if let Caller::Refused(code) = caller
            && code != Code::AudienceWrong
        {
            return reply(
                StatusCode::UNAUTHORIZED,
                &json!({"error": "the gateway's assertion does not hold", "code": code.as_str()}),
            );
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
