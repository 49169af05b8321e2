//! One connection to a Workload API: gRPC over a Unix socket, in the clear, as the standard has it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::client::Grpc;
use wire::Channel;
use wire::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;

/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// A connection; it ends when this is dropped.
pub(crate) struct Connection {
    channel: Channel,
    driver: JoinHandle<()>,
}

pub(crate) type Client = SpiffeWorkloadApiClient<Channel>;

/// Why nothing was looked at.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    #[error("nothing answers at `{}`", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("what answers at `{}` does not speak HTTP/2", .socket.display())]
    Http { socket: PathBuf, source: hyper::Error },
    #[error("nothing answers at `{}` in time", .socket.display())]
    Late { socket: PathBuf },
}

impl Connection {
    /// # Errors
    /// [`NotReached`].
    pub(crate) async fn open(socket: &Path, within: Duration) -> Result<Self, NotReached> {
        let socket = socket.to_owned();
        timeout(within, connect(&socket)).await.unwrap_or(Err(NotReached::Late { socket }))
    }

    pub(crate) fn client(&self) -> Client {
        Client::with_origin(self.channel.clone(), origin()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// For what the Workload API does not have.
    pub(crate) fn grpc(&self) -> Grpc<Channel> {
        Grpc::with_origin(self.channel.clone(), origin())
    }
}

async fn connect(socket: &Path) -> Result<Connection, NotReached> {
    let failed = |source| NotReached::Connect { socket: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).await.map_err(failed)?;
    let opened = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(|source| NotReached::Http { socket: socket.to_owned(), source })?;
    let driver = tokio::spawn(async move {
        // how it went shows in the exchanges themselves
        let _ = connection.await;
    });
    Ok(Connection { channel: Channel::new(sender), driver })
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What clients of a Unix socket call their host.
fn origin() -> Uri {
    Uri::from_static("http://localhost/")
}
