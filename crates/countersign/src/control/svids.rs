//! SVIDs for operators: an order becomes a certificate, for a principal that the estate knows.

use std::time::Duration;

use http::StatusCode;
use issuer::{BadRequest, CertificateRequest, MintFailed, Order};
use model::{PrincipalId, SpiffeId, Time};
use net::serial;
use net::svid::Minted;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use crate::epochs::Epochs;
use crate::issuing::certificate_pem;

/// Lifetime where none is asked for.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);
/// Longest lifetime that is asked for.
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

/// Body of `POST /v1/svids`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SvidRequest {
    /// Name or SPIFFE ID of a principal.
    pub id: String,
    /// A certificate request (PKCS #10) in PEM.
    pub csr: String,
    /// Such as `1h`.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// What is to be minted, and for whom.
#[derive(Debug)]
pub struct SvidOrder {
    pub bearer: Bearer,
    /// A certificate request in DER.
    pub request: Vec<u8>,
    pub ttl: Duration,
}

/// Who bears an SVID.
#[derive(Debug)]
pub enum Bearer {
    /// A principal of the estate, by name or id.
    Principal(String),
    /// A part of the product itself, by its id, and the hosts under which it is reached.
    Part { id: String, hosts: Vec<String> },
}

/// Why there is no SVID.
#[derive(Debug, thiserror::Error)]
pub enum Unminted {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("`{id}` is no principal here")]
    Unknown { id: String },
    #[error("`{id}` is a part of Countersign itself, and enrols: see `countersign enroll token`")]
    Own { id: PrincipalId },
    #[error("`{id}` is a human; only machines have SVIDs")]
    Human { id: PrincipalId },
    #[error("`{id}` expired at {at}")]
    Expired { id: PrincipalId, at: Time },
    #[error("an SVID lives between 1 s and 24 h")]
    Ttl,
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error("the certificate request is not in PEM")]
    Pem(#[from] issuer::BadPem),
    #[error("cannot mint")]
    Mint(#[from] MintFailed),
    #[error("this installation would refuse it itself")]
    Unsound(#[from] credential::Cause),
}

/// Mints what a permit orders.
///
/// # Errors
/// [`Unminted`].
pub(super) fn mint(epochs: &Epochs, order: &SvidOrder, until: Time, at: Time) -> Result<Minted, Unminted> {
    let issuer = epochs.issuer().ok_or(Unminted::NoEnvironment)?;
    let (id, hosts, ends) = bearer(epochs, &order.bearer, at)?;
    if order.ttl < Duration::from_secs(1) || order.ttl > MAX_TTL {
        return Err(Unminted::Ttl);
    }
    let key = CertificateRequest::read(&order.request)?;
    let order = Order { id: &id, key: &key, hosts: &hosts, ttl: order.ttl, until: ends.min(until) };
    let svid = issuer.authority.mint(&order, serial(), at)?;
    let expires = svid.not_after.to_string();
    let chain = svid.into_chain();
    // INVARIANT: nothing is handed out that our own door refuses: a weak key in a request, for one
    let finding = credential::PeerCertificates::new(chain.clone()).check(&issuer.authorities(), at)?;
    Ok(Minted {
        id: id.to_string(),
        svid: chain.iter().map(|der| certificate_pem(der)).collect(),
        bundle: issuer.bundle_pem(),
        credential_id: finding.credential_id,
        expires,
    })
}

fn bearer(epochs: &Epochs, bearer: &Bearer, at: Time) -> Result<(SpiffeId, Vec<String>, Time), Unminted> {
    let asked = match bearer {
        Bearer::Principal(asked) => asked,
        // needed before anything is in force: over TLS, operators hold the server to it
        Bearer::Part { id, hosts } => return part(id.clone(), hosts),
    };
    let live = epochs.live().load_full();
    if live.domain.is_none() {
        return Err(Unminted::NoEnvironment);
    }
    let unknown = || Unminted::Unknown { id: asked.clone() };
    let named = live.about.principals.get(asked).cloned();
    let id: PrincipalId = named.or_else(|| asked.parse().ok()).ok_or_else(unknown)?;
    let principal = live.snapshot.directory.principal(&id).ok_or_else(unknown)?;
    let ends = principal.expires.unwrap_or(Time::MAX);
    if ends <= at {
        return Err(Unminted::Expired { id, at: ends });
    }
    match id {
        PrincipalId::Spiffe(ref part) if policy::is_part(part) => Err(Unminted::Own { id }),
        PrincipalId::Spiffe(id) => Ok((id, Vec::new(), ends)),
        id @ (PrincipalId::Human(_) | PrincipalId::Anonymous) => Err(Unminted::Human { id }),
    }
}

fn part(id: String, hosts: &[String]) -> Result<(SpiffeId, Vec<String>, Time), Unminted> {
    let id = id.parse().ok().ok_or(Unminted::Unknown { id })?;
    Ok((id, hosts.to_vec(), Time::MAX))
}

pub(super) fn reply(minted: Result<Minted, Unminted>) -> Reply {
    match minted {
        Ok(minted) => Reply::ok(&minted),
        Err(why @ Unminted::Mint(MintFailed::Certificate(_))) => Reply::failed(&why),
        Err(why) => {
            Reply::Json(StatusCode::UNPROCESSABLE_ENTITY, serde_json::json!({"error": net::causes::chain(&why)}))
        }
    }
}
