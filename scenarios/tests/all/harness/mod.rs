//! What every story uses: processes, raw HTTP, tokens by an independent library, estates, an upstream that keeps all bytes.

mod dev;
mod estate;
mod golden;
mod http;
mod mint;
mod process;
mod upstream;

pub use dev::Dev;
pub use estate::{AUDIENCE, CI, DUNNING, Estate, HOST};
pub use golden::{golden, normal};
pub use http::{Answer, Conn, End, call, request};
pub use mint::{Mint, alice_claims, base64url, ci_claims, dunning_claims, epoch_seconds};
pub use process::{Ran, binary, command, end, finish, folder, peer, run, signal, until};
pub use upstream::Upstream;
