//! The node agent: attests workloads of its node, has their SVIDs minted by the control plane, and hands them out on the
//! Workload API.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod attest;
