//! The outside: the clock, randomness, listeners, paced connections, and the plain outbound fetch. Decides nothing.

mod edge;
mod fetch;
mod pace;
mod serve;

pub use edge::{now, record_id, trace_id};
pub use fetch::{FetchFailed, fetch};
pub use pace::Pacing;
pub use serve::{Door, Listener, Peer, Stop, Stopper, serve, stop};
