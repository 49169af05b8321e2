//! Countersign's binary: every role, the command line, and what they share. A role that begins as a module here keeps the
//! role's rules: `gateway` and `control` never import each other, and neither imports `dev`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod admin;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod dev;
pub mod epochs;
pub mod estate;
pub mod fakes;
pub mod federation;
pub mod feed;
pub mod following;
pub mod gateway;
pub mod home;
pub mod installation;
pub mod issuing;
pub mod keys;
pub mod live;
pub mod metrics;
pub mod pulse;
pub mod registry;
pub mod vitals;
