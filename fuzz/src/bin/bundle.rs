//! SPIFFE bundles of other trust domains: read or refused, and what is read of them can be handed on.
#![no_main]

use std::time::Duration;

use credential::{Bundle, KeySet, SVIDS, SpiffeBundle};

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    let domain: model::TrustDomain = "other.test".parse().expect("a trust domain");
    let Ok(read) = SpiffeBundle::parse(&domain, document) else { return };
    let source = SVIDS.parse().expect("a name");
    assert!(Bundle::new(source, domain, read.x509_authorities(), Duration::ZERO).is_ok());
    assert!(read.wit_keys().is_none_or(|keys| KeySet::parse(keys.as_bytes()).is_ok()));
});
