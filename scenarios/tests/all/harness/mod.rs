//! What every story uses: processes, raw HTTP, tokens by an independent library, estates, an upstream that keeps all bytes,
//! an issuer that can be made to lie.

mod agent;
mod cluster;
mod dev;
mod envoy;
mod estate;
mod file_server;
mod frames;
mod golden;
mod http;
mod http2;
mod installation;
mod issuer;
mod mint;
mod process;
mod scripted;
mod tls;
mod tpm;
mod upstream;

pub use agent::{Greeter, Sockets, curl, discovery};
pub use cluster::Cluster;
pub use dev::Dev;
pub use envoy::Envoy;
pub use estate::{AUDIENCE, CI, DUNNING, Estate, HOST, REPORTER};
pub use file_server::{FileServer, issue};
pub use frames::{ACK, END_HEADERS, END_STREAM, Frame, fields};
pub use golden::{golden, normal};
pub use http::{Answer, Conn, End, call, request};
pub use http2::{Http2, head};
pub use installation::Installation;
pub use issuer::{Issuer, Says};
pub use mint::{Mint, alice_claims, base64url, ci_claims, dunning_claims, epoch_seconds};
pub use process::{
    Ran, agent_binary, binary, command, end, finish, folder, peer, run, signal, until, until_renewed, until_within,
};
pub use scripted::Scripted;
pub use tls::{Identity, shake_hands};
pub use tpm::Tpm;
pub use upstream::Upstream;
