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
    let padding: String = (0..20_000_u64).map(|line| format!("// {:020}\n", mixed(line))).collect();
    let narrowed = estate.policy("nobody", &format!("forbid (principal is Agent, action, resource);\n{padding}"));
    narrowed.write(dev.estate());
    let path = dev.estate().to_str().unwrap().to_owned();
    let apply = || dev.cli(&["apply", "--yes", "-f", &path]);
    limit(dev.pid(), "200000:unlimited");
    let refused = apply().ended(1);
    assert!(refused.err.contains("it may not be kept"), "{refused:?}");
    dev.get("/invoices/1", &dunning()).is(200);

    limit(dev.pid(), "unlimited:unlimited");
    apply().ended(0);
    dev.get("/invoices/1", &dunning()).is(403);
    assert_eq!(dev.stop(), 0);
    dev.again();
    dev.get("/invoices/1", &dunning()).is(403);
    dev.verify().ended(0);
}

/// Numbers that no compression makes shorter (splitmix64).
const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
