//! Key sets: read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|document: &[u8]| drop(credential::KeySet::parse(document)));
