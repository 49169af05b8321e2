//! The outside: the clock, randomness, listeners, TLS, paced connections, pools of upstream connections, and the outbound
//! fetch. Decides nothing.

mod edge;
mod fetch;
mod pace;
mod pool;
mod sent;
mod serve;
pub mod tls;

pub use edge::{now, record_id, serial, trace_id};
pub use fetch::{FetchFailed, fetch};
pub use pace::Pacing;
pub use pool::{Connections, Destination, Lease, Pool, Unsent};
pub use sent::{Broke, RequestBody, Transfer};
pub use serve::{Door, LastAnswer, Listener, Peer, Stop, Stopper, serve, stop};
