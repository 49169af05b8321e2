//! The standards, one module a document: every demand, and how it is judged.

mod broker;
mod bundle;
mod endpoint;
mod federation;
mod jwt_svid;
mod spiffe_id;
mod wit_svid;
mod workload_api;
mod x509_svid;

use crate::line::Line;

/// Why a demand on those who use an SVID is never judged here.
const CLIENT: &str = "a duty of who verifies or fetches: no server shows whether it is met";

const DOCUMENTS: &[&[Line]] = &[
    spiffe_id::LINES,
    x509_svid::LINES,
    jwt_svid::LINES,
    wit_svid::LINES,
    bundle::LINES,
    federation::LINES,
    endpoint::LINES,
    workload_api::LINES,
    broker::LINES,
];

/// Every line, in order of its number.
pub fn lines() -> impl Iterator<Item = &'static Line> {
    DOCUMENTS.iter().copied().flatten()
}
