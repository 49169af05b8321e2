//! The outside: the clock, randomness, whole files, listeners, TLS, paced connections, pools of upstream connections, and the
//! one guarded way out to what is not a service. Decides nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod authority;
pub mod causes;
mod edge;
pub mod files;
mod http2;
mod nodes;
mod outbound;
mod pace;
mod pool;
mod process;
mod rejected;
mod sent;
mod serve;
pub mod sigv4;
mod streams;
pub mod svid;
pub mod tls;

pub use edge::{Interrupted, challenge, interrupted, jittered, now, record_id, serial, spread, trace_id};
pub use nodes::{NoNode, Nodes, was_turned_away};
pub use outbound::{
    BadMetadata, BadRemote, BadRoots, FetchFailed, Fetched, Metadata, Plain, Reach, Remote, Roots, Terms, Unreachable,
    fetch, fetch_from, fetch_local, fetch_on, has_plain_authority,
};
pub use pace::Pacing;
pub use pool::{Connections, Destination, Lease, Pool, Unsent};
pub use process::{Gone, Process, Unpinned};
pub use sent::{Broke, RequestBody, Transfer};
pub use serve::{Door, LastAnswer, Listener, Peer, Stop, Stopper, serve, stop};
