//! A document's place: a URL that can be read in one way only, and how it may be reached.

use std::net::IpAddr;

use http::Uri;

use super::reach::{Kind, Reach, Unreachable};
use super::roots::Roots;

/// Longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// A document on another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    url: String,
    scheme: Scheme,
    host: Host,
    port: u16,
    reach: Reach,
    roots: Roots,
}

/// Whether a document may come without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Refused,
    OnLoopback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// To loopback addresses alone.
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A DNS name in ASCII.
    Name(String),
    Address(IpAddr),
}

/// Why a URL names no document that can be fetched.
#[derive(Debug, thiserror::Error)]
pub enum BadRemote {
    #[error("`{url}` is not a URL")]
    Url { url: String, source: http::uri::InvalidUri },
    #[error("`{url}`: expected a host, perhaps a port, and neither user nor fragment")]
    Authority { url: String },
    #[error("`{url}`: expected `https://`")]
    Scheme { url: String },
    #[error("`{url}`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment")]
    Plain { url: String },
    #[error("`{url}`: `{host}` is neither a host's name nor an address as addresses are written")]
    Host { url: String, host: String },
    #[error("`{url}`")]
    Unreachable { url: String, source: Unreachable },
}

impl Remote {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// [`BadRemote`]; also for an address that `reach` does not cover. What a name leads to is judged when it is fetched.
    pub fn new(url: &str, reach: Reach, plain: Plain, roots: Roots) -> Result<Self, BadRemote> {
        let named = || url.to_owned();
        let uri: Uri = url.parse().map_err(|source| BadRemote::Url { url: named(), source })?;
        if url.contains('#') || url.contains('@') || !has_plain_authority(&uri) {
            return Err(BadRemote::Authority { url: named() });
        }
        let host = uri.host().unwrap_or_default();
        let read = Host::read(host);
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") if read.as_ref().is_some_and(Host::is_loopback) => Scheme::Http,
            _ => return Err(BadRemote::Scheme { url: named() }),
        };
        if scheme == Scheme::Http && plain == Plain::Refused {
            return Err(BadRemote::Plain { url: named() });
        }
        let Some(read) = read else { return Err(BadRemote::Host { url: named(), host: host.to_owned() }) };
        let port = uri.port_u16().unwrap_or(match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        });
        let remote = Self { url: named(), scheme, host: read, port, reach, roots };
        if let Host::Address(address) = remote.host {
            remote.check(address).map_err(|source| BadRemote::Unreachable { url: named(), source })?;
        }
        Ok(remote)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(super) const fn host(&self) -> &Host {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// # Errors
    /// [`Unreachable`], unless this document may be fetched from this address.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Unreachable> {
        self.reach.check(address)?;
        let kind = Kind::of(address);
        if self.scheme == Scheme::Http && kind != Kind::Loopback {
            return Err(Unreachable::Plain { address, kind });
        }
        Ok(())
    }
}

impl Host {
    /// `None` for what a resolver might take for an address that does not look like one: `2130706433`, `0x7f.1`, `127.1`.
    fn read(host: &str) -> Option<Self> {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(v6) = bracketed {
            return v6.parse().ok().map(|address| Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = host.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let is_label = |label: &str| {
            let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(sound) && !label.starts_with('-')
        };
        let last = host.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let is_number = hex || last.bytes().all(|byte| byte.is_ascii_digit());
        (host.len() <= MAX_NAME && host.split('.').all(is_label) && !is_number).then(|| Self::Name(host.to_owned()))
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }
}

/// Whether a URL's authority is a host and perhaps a port, and nothing else: a port that is no `u16` would be read as none.
pub fn has_plain_authority(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    !host.is_empty() && uri.authority().is_some_and(|authority| authority.as_str() == format!("{host}{port}"))
}
