//! `countersign dev`: everything in one process on loopback, with sample issuers that sign real tokens and a sample API
//! that logs what reached it. The sample parties stay what they are: nothing here is for production.

mod assertion;
mod callers;
mod directory;
mod issuers;
mod kubernetes;
mod own_api;
mod run;
mod sample_api;
mod svids;
mod watch;

pub use callers::{Caller, token};
pub use directory::{DevJson, Directory, Fresh};
pub use kubernetes::{KubernetesFailed, KubernetesOptions, KubernetesReady, kubernetes};
pub use own_api::{DiscoveryFailed, LaidOut, OwnApi, OwnApiFailed};
pub use run::{About, DevFailed, FakeClouds, Options, Running, run, start};
