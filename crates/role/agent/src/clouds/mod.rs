//! What clouds say of this machine: their metadata services, and Amazon's STS. One module a cloud; nothing is remembered.

mod amazon;
mod azure;
mod google;
mod settings;

use std::fmt;

use bytes::Bytes;
use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue, StatusCode};
use net::FetchFailed;

pub use amazon::{KeySource, Sts};
pub(crate) use amazon::{Keys, document};
pub(crate) use azure::token as azure_token;
pub(crate) use google::token as google_token;
pub(crate) use settings::{CLOUDS, Declared};

/// Why a cloud says nothing of this machine.
#[derive(Debug, thiserror::Error)]
pub enum NoWord {
    #[error("{of} does not answer")]
    Fetch { of: Of, source: FetchFailed },
    #[error("what {of} says is not understood")]
    Answer { of: Of },
    #[error("`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` are not both set")]
    Environment,
    #[error("what is to be said to {of} cannot stand in a request")]
    Header { of: Of, source: InvalidHeaderValue },
}

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Metadata,
    Sts,
}

impl NoWord {
    /// Whether the same may succeed later, with nobody's help.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Fetch { source: FetchFailed::Status(status), .. } => {
                status.is_server_error() || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_FOUND)
            }
            Self::Fetch { .. } => true,
            Self::Answer { .. } | Self::Environment | Self::Header { .. } => false,
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the metadata service",
            Self::Sts => "STS",
        })
    }
}

/// A header of a request.
type Header = (HeaderName, HeaderValue);

fn secret(of: Of, name: &'static str, value: &str) -> Result<Header, NoWord> {
    let mut value = HeaderValue::from_str(value).map_err(|source| NoWord::Header { of, source })?;
    value.set_sensitive(true);
    Ok((HeaderName::from_static(name), value))
}

/// A text as it may stand in a query (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A token as it came, without what stands around it.
fn trimmed(token: &[u8]) -> Bytes {
    Bytes::copy_from_slice(token.trim_ascii())
}

#[cfg(test)]
mod tests;
