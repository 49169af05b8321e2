//! Node agents: attested nodes, and workloads that have SVIDs without a secret to start from.

mod attested;
mod authorities;
mod clients;
mod conforming;
mod joining;
mod workloads;

use crate::harness::{Estate, Installation, Sockets};

/// The document of a registration, for nodes called `node-1` and workloads of this uid.
fn registration(name: &str, uid: u32, more: &str) -> String {
    format!(
        "kind: Registration\nmetadata: {{name: {name}}}\nspec:\n  id: spiffe://prod.acme.test/{name}\n  \
         nodes: [\"node:name:node-1\"]\n  selectors: [\"unix:uid:{uid}\"]\n{more}"
    )
}

/// An estate that registers the user of this test.
fn estate(more: &str) -> Estate {
    Estate::empty().document(&registration("web", own_uid(), more))
}

fn own_uid() -> u32 {
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
