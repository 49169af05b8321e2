//! Tests of the crate: attacks first, as data; what holds, after them.

mod algorithms;
mod audience;
mod findings;
pub(crate) mod issuer;
mod json;
mod key_sets;
mod memo;
mod operators;
mod order;
mod properties;
mod shape;
mod spiffe_bundle;
mod svid;
mod times;
mod unknown_key;
