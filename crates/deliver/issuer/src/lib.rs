//! What a permit may mint: X.509-SVIDs, JWT-SVIDs and WIT-SVIDs, the assertions by which a gateway names its caller to a service, and the tokens by
//! which a new plane comes to control.
//!
//! This crate holds no private key of ours: every signature comes from a [`Signer`], or from an [`OuterAuthority`] that an operator
//! put beside us. It reads no clock; keys are made only
//! for who asks for one; who may have what it mints was decided before it is asked.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod assertion;
mod authority;
mod compact;
mod enrolment;
mod jwt_svid;
pub mod lifecycle;
mod operator;
mod outer;
pub mod pem;
mod publish;
mod request;
mod signer;
mod wit_svid;

pub use assertion::{Assertions, Statement};
pub use authority::{Authority, BACKDATE, MintFailed, Order, Svid};
pub use enrolment::{ENROLMENT_TYPE, Enrolment, Enrolments};
pub use jwt_svid::{JwtAuthority, JwtOrder, JwtSvid};
pub use operator::OwnCertificate;
pub use outer::{OuterAuthority, Term};
pub use pem::BadPem;
pub use publish::{
    Published, PublishedCertificate, PublishedKey, bundle, enrolment_keys, jwt_keys, key_set, point_text, read_point,
    wit_keys,
};
pub use request::{BadRequest, CertificateRequest, NewKey};
pub use signer::{Signer, SigningFailed, key_digest, key_id};
pub use wit_svid::{WitAuthority, WitOrder, WitSvid};

#[cfg(test)]
mod tests;
