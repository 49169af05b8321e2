//! The SVID that a Workload API gives to this process (SPIFFE_Workload_API.md §5.2.1), asked for once: gRPC over a Unix socket.

use std::io;
use std::path::{Path, PathBuf};

use credential::{Flaw, certificates_apart};
use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{SpiffeId, TrustDomain};
use tokio::net::UnixStream;
use tonic::Status;
use tonic::metadata::MetadataValue;
use wire::Channel;
use wire::workload::X509svidRequest;
use wire::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;

/// Without it, a Workload API answers nobody (SPIFFE_Workload_Endpoint.md §3).
const HEADER: &str = "workload.spiffe.io";
/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// An SVID and its key, with whom its trust domain trusts; in DER.
pub(super) struct Given {
    pub chain: Vec<Vec<u8>>,
    pub pkcs8: Vec<u8>,
    pub authorities: Vec<Vec<u8>>,
}

/// Why this process has no SVID.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    #[error("nothing answers at `{}`", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("what answers at `{}` does not speak HTTP/2", .socket.display())]
    Http { socket: PathBuf, source: hyper::Error },
    #[error("the Workload API says: {} ({:?})", .0.message(), .0.code())]
    Said(Box<Status>),
    #[error("it gives no SVID `{wanted}` to this process: is it registered?")]
    Other { wanted: String },
    #[error("what it gives is no certificates in DER")]
    Der(#[from] Flaw),
}

/// The SVID of this id, or else the first one of the trust domain.
pub(super) async fn svid(socket: &Path, domain: &TrustDomain, id: Option<&SpiffeId>) -> Result<Given, NotGiven> {
    let failed = |source| NotGiven::Connect { socket: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).await.map_err(failed)?;
    let opened = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(|source| NotGiven::Http { socket: socket.to_owned(), source })?;
    // ends with the connection, which ends with the client
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let mut client = SpiffeWorkloadApiClient::with_origin(Channel::new(sender), Uri::from_static("http://localhost/"))
        .max_decoding_message_size(MAX_MESSAGE);
    let mut request = tonic::Request::new(X509svidRequest {});
    request.metadata_mut().insert(HEADER, MetadataValue::from_static("true"));
    let said = |status: Status| NotGiven::Said(Box::new(status));
    let mut answers = client.fetch_x509svid(request).await.map_err(said)?.into_inner();
    let svids = answers.message().await.map_err(said)?.unwrap_or_default().svids;
    let is_it = |found: &str| match id {
        Some(id) => found == id.as_str(),
        None => found.parse::<SpiffeId>().is_ok_and(|found| found.is_member_of(domain)),
    };
    let wanted = || id.map_or(format!("spiffe://{domain}/…"), ToString::to_string);
    let svid = svids.into_iter().find(|svid| is_it(&svid.spiffe_id));
    let svid = svid.ok_or_else(|| NotGiven::Other { wanted: wanted() })?;
    let (chain, authorities) = (certificates_apart(&svid.x509_svid)?, certificates_apart(&svid.bundle)?);
    Ok(Given { chain, pkcs8: svid.x509_svid_key.to_vec(), authorities })
}
