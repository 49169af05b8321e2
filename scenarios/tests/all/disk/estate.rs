//! An estate that cannot be kept does not come into force.

use super::limit;
use crate::harness::{Dev, Estate, Mint, Upstream, dunning_claims};

#[test]
fn an_estate_that_cannot_be_kept_is_not_in_force_and_is_applied_once_it_can_be() {
    let upstream = Upstream::start();
    let estate = Estate::ours().upstream(&upstream.url);
    let mut dev = Dev::serving(&estate);
    let dunning = || Mint::shared().dunning(&dunning_claims());
    dev.get("/invoices/1", &dunning()).is(200);

    // the ledger stays below what files may grow to; an estate with so much to say does not
    let padding = format!("// {}\n", "x".repeat(97)).repeat(9_000);
    let narrowed = estate.policy("nobody", &format!("forbid (principal is Agent, action, resource);\n{padding}"));
    narrowed.write(dev.estate());
    let path = dev.estate().to_str().unwrap().to_owned();
    let apply = || dev.cli(&["apply", "--yes", "-f", &path]);
    limit(dev.pid(), "600000:unlimited");
    let refused = apply().ended(1);
    assert!(refused.err.contains("it cannot be kept: "), "{refused:?}");
    dev.get("/invoices/1", &dunning()).is(200);

    limit(dev.pid(), "unlimited:unlimited");
    apply().ended(0);
    dev.get("/invoices/1", &dunning()).is(403);
    assert_eq!(dev.stop(), 0);
    dev.again();
    dev.get("/invoices/1", &dunning()).is(403);
    dev.verify().ended(0);
}
