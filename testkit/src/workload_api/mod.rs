//! A Workload API in this process, sound or with exactly one fault, on a Unix socket of its own; and a bundle endpoint.

#![allow(clippy::indexing_slicing, reason = "members of JSON that is written here")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a fault changes one thing, and all else stays sound")]

mod endpoint;
mod fault;
mod material;
mod published;
mod service;
mod validator;
mod wit;

pub use endpoint::WorkloadApi;
pub use fault::Fault;
