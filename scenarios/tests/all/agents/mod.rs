//! Node agents: attested nodes, and workloads that have SVIDs without a secret to start from.

mod attested;
mod authorities;
mod brokers;
mod clients;
mod clouds;
mod cluster;
mod conforming;
mod discovery;
mod envoy;
mod herd;
mod joining;
mod locked_out;
mod tpm;
mod watching;
mod wit;
mod workloads;

use std::process::Command;

use crate::harness::{Estate, Installation, Ran, Sockets, finish};

/// Nobody, whom no registration names.
const STRANGER: u32 = 65_534;

/// The document of a registration, for nodes called `node-1` and workloads of this uid.
pub(crate) fn registration(name: &str, uid: u32, more: &str) -> String {
    format!(
        "kind: Registration\nmetadata: {{name: {name}}}\nspec:\n  id: spiffe://prod.acme.test/{name}\n  \
         nodes: [\"node:name:node-1\"]\n  selectors: [\"unix:uid:{uid}\"]\n{more}"
    )
}

/// An estate that registers the user of this test.
fn estate(more: &str) -> Estate {
    Estate::empty().document(&registration("web", own_uid(), more))
}

pub(crate) fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// An installation with one node that has joined.
fn joined(estate: &Estate) -> (Sockets, Installation) {
    joined_to(Installation::serving(estate))
}

fn joined_to(mut installation: Installation) -> (Sockets, Installation) {
    let sockets = Sockets::new();
    installation.join(&sockets, "node-1");
    (sockets, installation)
}

/// This as a process of another user; none where this test may not start one.
#[expect(clippy::print_stderr, reason = "what is skipped says so")]
fn as_stranger(sockets: &Sockets, ask: Command, stdin: &[u8]) -> Option<Ran> {
    if own_uid() != 0 {
        eprintln!("skipped: only root can start a process of another user");
        return None;
    }
    let user = format!("{STRANGER}");
    let mut stranger = Command::new("setpriv");
    stranger.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(ask.get_program()).args(ask.get_args());
    stranger.env("SPIFFE_ENDPOINT_SOCKET", format!("unix://{}", sockets.of("node-1").display()));
    Some(finish(stranger, stdin))
}
