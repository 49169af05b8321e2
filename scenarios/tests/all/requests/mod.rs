//! Requests as bytes: what two readers could read differently, what crosses and what does not, who finds room, and how exchanges
//! end.

mod bodies;
mod connections;
mod crossing;
mod crowding;
pub mod hostile;
pub mod table;

use crate::harness::{Dev, Estate, Mint, Upstream, ci_claims};

/// A server before an upstream that keeps every byte; release jobs may write, and ask for heads.
pub fn before(more: impl FnOnce(Estate) -> Estate) -> (Upstream, Dev, String) {
    let upstream = Upstream::start();
    let estate = Estate::ours()
        .upstream(&upstream.url)
        .route(r#"{match: "HEAD /reports/{report}", action: read, resource: billing/invoices}"#)
        .route(r#"{match: "GET /reports/{report}", action: read, resource: billing/invoices}"#)
        .policy(
            "ci-writes",
            "permit (principal in Group::\"ci-billing\", action in Action::\"write\", resource in Resource::\"billing/invoices\");",
        );
    let dev = Dev::serving(&more(estate));
    (upstream, dev, Mint::shared().ci(&ci_claims()))
}
