//! The way to the control plane: gRPC over one connection of mutual TLS, opened anew when it breaks.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use net::{NoNode, Nodes};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use wire::Channel;
use wire::agent::control_plane_client::ControlPlaneClient;

use crate::watched::Watched;

/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// How often a silent connection is asked whether anyone is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Nodes of the control plane, and the connection to one of them.
pub struct ControlPlane {
    nodes: Nodes,
    open: Mutex<Option<Open>>,
    /// Held by whoever opens a connection: the others wait for that one.
    opening: tokio::sync::Mutex<()>,
    /// What was presented was refused by the other end of a connection.
    turned_away: Arc<AtomicBool>,
}

struct Open {
    channel: Channel,
    origin: Uri,
    driver: JoinHandle<()>,
}

/// Speaks to one node.
pub type Client = ControlPlaneClient<Channel>;

/// Why control was not reached, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NoContact {
    #[error(transparent)]
    Node(NoNode),
    #[error(
        "none of the authorities that are known here vouches for control: copy its `ca.pem` to where `ca` of the settings says, which is \
         read again while this lasts"
    )]
    Stranger(#[source] NoNode),
    #[error("the exchange failed")]
    Http(#[from] hyper::Error),
    #[error("control says: {} ({:?})", .0.message(), .0.code())]
    Said(Box<Status>),
    #[error("control does not answer in time")]
    Late,
    #[error("control's answer is not what it should be")]
    Answer,
    #[error("a request cannot be made")]
    Request(#[from] io::Error),
}

impl NoContact {
    /// Whether the same may succeed later: control is away, or an exchange with it broke.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Node(_) | Self::Stranger(_) | Self::Late | Self::Http(_) => true,
            // what control says has no cause here; a broken connection has
            Self::Said(status) => {
                matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) || status.source().is_some()
            }
            Self::Answer | Self::Request(_) => false,
        }
    }

    /// Whether control knows who asks, and does not want it, or does not know it.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Said(status) = self else { return false };
        matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
    }
}

impl From<NoNode> for NoContact {
    fn from(why: NoNode) -> Self {
        match why {
            NoNode::OtherPeer { .. } => Self::Stranger(why),
            NoNode::Connect { .. } | NoNode::Late => Self::Node(why),
        }
    }
}

impl From<Status> for NoContact {
    fn from(status: Status) -> Self {
        Self::Said(Box::new(status))
    }
}

impl ControlPlane {
    /// Of these nodes; none is reached yet.
    pub fn new(nodes: Nodes) -> Self {
        Self { nodes, open: Mutex::default(), opening: tokio::sync::Mutex::default(), turned_away: Arc::default() }
    }

    /// A client over the connection that is open, or over a new one.
    ///
    /// # Errors
    /// [`NoContact`] where no node is reached.
    pub async fn client(&self) -> Result<Client, NoContact> {
        if let Some(client) = self.connected() {
            return Ok(client);
        }
        let _opening = self.opening.lock().await;
        if let Some(client) = self.connected() {
            return Ok(client);
        }
        let (authority, stream) = self.nodes.reach().await?;
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE);
        let (sender, connection) =
            http.handshake(TokioIo::new(Watched::new(stream, Arc::clone(&self.turned_away)))).await?;
        let driver = tokio::spawn(async move {
            // how it went shows in the exchanges themselves
            let _ = connection.await;
        });
        let origin = Uri::builder().scheme("https").authority(authority.clone()).path_and_query("/").build();
        let origin = origin.map_err(io::Error::other)?;
        let channel = Channel::new(sender);
        let client = client(&channel, &origin);
        if let Some(before) = self.lock().replace(Open { channel, origin, driver }) {
            before.driver.abort();
        }
        Ok(client)
    }

    /// Lets go of the connection: the next client is over a new one, which presents the SVID of then.
    pub(crate) fn leave(&self) {
        // what is open on it ends by itself
        self.lock().take();
    }

    /// Whether control has refused, since this was last asked, the SVID that it was shown: it does not say so in HTTP.
    pub(crate) fn turned_away(&self) -> bool {
        self.turned_away.swap(false, Ordering::Relaxed)
    }

    fn connected(&self) -> Option<Client> {
        self.lock().as_ref().filter(|open| !open.channel.is_closed()).map(|open| client(&open.channel, &open.origin))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(open) = self.lock().take() {
            open.driver.abort();
        }
    }
}

fn client(channel: &Channel, origin: &Uri) -> Client {
    ControlPlaneClient::with_origin(channel.clone(), origin.clone()).max_decoding_message_size(MAX_MESSAGE)
}
