//! The metadata service of the machine: plain HTTP to an address that no router forwards, and to nothing else.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::exchange::{exchange, request};
use super::reach::Kind;
use super::{FetchFailed, Terms, connect, has_plain_authority, in_time};

/// Amazon's over IPv6, which is no link-local address.
const OVER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// A metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    url: String,
    address: SocketAddr,
}

/// Why a URL is not that of a metadata service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` is no metadata service: expected `http://`, a link-local or loopback address, perhaps a port, and no path"
)]
pub struct BadMetadata {
    url: String,
}

impl Metadata {
    /// Where clouds have it.
    pub const DEFAULT: &'static str = "http://169.254.169.254";

    /// Reads `http://ADDRESS` or `http://ADDRESS:PORT`.
    ///
    /// # Errors
    /// [`BadMetadata`]; also for a name: who answers for one is a name server's word.
    pub fn new(url: &str) -> Result<Self, BadMetadata> {
        let url = url.strip_suffix('/').unwrap_or(url);
        Self::read(url).ok_or_else(|| BadMetadata { url: url.to_owned() })
    }

    fn read(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let plain = uri.scheme_str() == Some("http") && uri.path_and_query().is_none_or(|path| path == "/");
        if !plain || url.contains(['#', '@', '?']) || !has_plain_authority(&uri) {
            return None;
        }
        let host = uri.host()?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip: IpAddr = bracketed.unwrap_or(host).parse().ok()?;
        let near = matches!(Kind::of(ip), Kind::LinkLocal | Kind::Loopback) || ip == IpAddr::V6(OVER_IPV6);
        let address = SocketAddr::new(ip, uri.port_u16().unwrap_or(80));
        near.then(|| Self { url: url.to_owned(), address })
    }

    /// What lies at `target`, a path and perhaps a query, asked for with these headers. No redirect is followed and no proxy asked.
    ///
    /// # Errors
    /// [`FetchFailed`].
    pub async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Bytes, FetchFailed> {
        let terms = Terms { headers, most: 64 * 1024, ..Terms::public() };
        let mut request = request(&format!("{}{target}", self.url), &terms);
        *request.method_mut() = method;
        let fetch = async { exchange(connect::to(self.address).await?, request, &terms).await };
        Ok(in_time(fetch, &terms).await?.document)
    }
}
