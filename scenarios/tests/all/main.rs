//! Scenarios: the built binary, driven from outside over loopback. A folder a story.
//!
//! Which binary: `COUNTERSIGN_BIN`, else the one beside this test. Answers are compared with files under `golden/`;
//! `UPDATE=1` writes them anew; `COUNTERSIGN_TEST_LONG=1` lets what is bounded by time go on for as long as it should. Peers (PyJWT, h2,
//! oauth2-mock-server, curl, openssl, prlimit, h2load, Go, go-spiffe, PostgreSQL, SoftHSM, faketime) are installed by `./test`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod admin;
mod agents;
mod answers;
mod authority;
mod cli;
mod conformance;
mod disk;
mod estate;
mod federation;
mod harness;
mod keys;
mod ledger;
mod planes;
mod quickstart;
mod requests;
mod revoked;
mod third_party;
mod tls;
mod tokens;
