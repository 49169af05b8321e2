//! The node agent: attests workloads of its node, has their SVIDs minted by the control plane, and hands them out on the
//! Workload API, and to Envoys by secret discovery.
//!
//! It decides nothing: which workloads are whom is registered at control, which judges and records each minting. Here it is
//! found out what a process is, and what was minted is kept, renewed and handed to whoever it is for.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod admin;
mod attest;
mod broker;
mod clouds;
mod control;
mod door;
mod evidence;
mod follow;
mod health;
mod identity;
mod known;
mod logs;
mod room;
mod run;
mod sds;
mod settings;
mod svids;
mod tokens;
mod tpm;
mod trust;
mod watched;
mod workload;

pub use clouds::{KeySource, NoWord, Of, Sts};
pub use control::{Client, ControlPlane, NoContact};
pub use evidence::{Attestation, Means, NoEvidence, NotAttested};
pub use identity::NoIdentity;
pub use logs::log;
pub use run::{AgentFailed, agent};
pub use settings::{Settings, agent_settings};
pub use trust::Untrusted;
