//! Protobuf on the wire, as `api/proto` defines it: messages, and what serves and calls them. Decides nothing.

mod channel;
// as the generator writes it
#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, clippy::restriction, unused_qualifications, reason = "generated")]
mod generated;

pub use channel::Channel;
pub use generated::{agent, broker, envoy, google, grpc, workload};
/// What every message can: be encoded and decoded.
pub use prost::Message;

/// What is served to workloads, as gRPC's reflection describes it: a `FileDescriptorSet`.
pub const DESCRIBED: &[u8] = include_bytes!("generated/workload.binpb");
/// What is served to brokers, likewise.
pub const DESCRIBED_TO_BROKERS: &[u8] = include_bytes!("generated/broker.binpb");
