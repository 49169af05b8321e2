//! Written by `xtask codegen`; by hand only this file.

pub mod agent;
pub mod workload;
