//! A real installation: what `init` lays out, and the processes that run in it, each with a directory of its own.

mod bundle;
mod gateway;
mod init;
mod process;
mod ready;
mod server;

pub use bundle::BadPair;
pub use gateway::{GatewayFailed, gateway};
pub use init::{InitFailed, Laid, NewInstallation, init};
pub use ready::{Context, OperatorFiles, READY, Ready, context_file};
pub use server::{ServerFailed, server};
