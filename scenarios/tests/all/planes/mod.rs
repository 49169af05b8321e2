//! A control plane and gateways apart: operators who come from elsewhere, enrolment, what is pushed, what is decided while
//! control is away, and what no disk or backup can bring back.

mod away;
mod backup;
mod clock;
mod crossing;
mod doors;
mod enrolment;
mod nodes;
mod operators;
mod pushed;
mod upgrade;

use serde_json::json;

use crate::harness::{Estate, Installation, Mint, Upstream, ci_claims, epoch_seconds, until};

/// The quickstart with budgets that a test can wait for, in front of our own upstream; `POST /invoices` is sensitive there.
fn estate(upstream: &Upstream, staleness: &str) -> Estate {
    Estate::ours()
        .upstream(&upstream.url)
        .replacing("staleness: {routine: 1h, sensitive: 5m, critical: 30s}", &format!("staleness: {staleness}"))
        .replacing("  trustDomain: prod.acme.test\n", "  trustDomain: prod.acme.test\n  development: true\n")
}

/// An installation with one gateway.
pub fn with_gateway(staleness: &str) -> (Upstream, Installation) {
    let upstream = Upstream::start();
    let mut installation = Installation::serving(&estate(&upstream, staleness));
    installation.enrol("edge-1");
    (upstream, installation)
}

/// A fresh token of the CI job.
pub fn ci() -> String {
    let mut claims = ci_claims();
    claims["iat"] = json!(epoch_seconds());
    Mint::shared().ci(&claims)
}

/// Waits until a gateway decides by this.
fn until_at(installation: &Installation, name: &str, position: (u64, u64)) {
    until("the position", || (installation.position(name) == position).then_some(()));
}
