//! What fakes are asked, and what they answer.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use model::Time;
use serde_json::Value;

/// A request, whole.
pub(super) struct Asked {
    pub parts: Parts,
    pub body: Bytes,
    pub at: Time,
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(super) fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    /// A header that is there once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.parts.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// Values of a parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = form(self.parts.uri.query().unwrap_or_default().as_bytes())?;
        let mut values = pairs.into_iter().filter(|(found, _)| found == name).map(|(_, value)| value);
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    }
}

/// Pairs of a form, or of a query; none where one is not UTF-8 or badly encoded.
pub(super) fn form(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(text).ok()?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// An answer.
pub(super) struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: String,
    more: Option<(&'static str, &'static str)>,
}

impl Reply {
    pub(super) const fn new(status: StatusCode, kind: &'static str, body: String) -> Self {
        Self { status, kind, body, more: None }
    }

    pub(super) const fn text(body: String) -> Self {
        Self::new(StatusCode::OK, "text/plain", body)
    }

    pub(super) fn json(document: &Value) -> Self {
        Self::new(StatusCode::OK, "application/json", document.to_string())
    }

    pub(super) fn refused(status: StatusCode, why: &str) -> Self {
        Self::new(status, "text/plain", format!("{why}\n"))
    }

    pub(super) fn bad_request(why: &str) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, why)
    }

    pub(super) fn not_found() -> Self {
        Self::refused(StatusCode::NOT_FOUND, "no such thing")
    }

    pub(super) const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.more = Some((name, value));
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut answer = Response::new(Full::from(self.body));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        if let Some((name, value)) = self.more {
            answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        answer
    }
}
