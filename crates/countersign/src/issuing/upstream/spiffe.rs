//! An outer control plane of the same trust domain: this one is a workload of it, and shows it the SVID that its Workload API gives
//! to the process. What is asked for is the same as of any other outer authority; whom verifiers trust is said in the same answer.

use std::sync::Arc;
use std::time::Duration;

use credential::BadBundle;
use issuer::{BadPem, Term, pem, point_text};
use model::{Time, TrustDomain};
use net::tls::{BadSvid, OwnSvid};
use net::{Connections, Nodes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::workload_api::{NotGiven, svid};
use super::{Answered, UpstreamFailed};
use crate::estate::SpiffeUpstream;
use crate::following::{Contact, NoContact};
use crate::issuing::outer::{BelowAnswer, BelowRequest, Outer, OuterAnswer, SharedKey, SharedKeys};
use crate::issuing::{BadOuter, CERTIFICATE, OuterWord, authorities_of, control_plane};

/// To the end of an exchange, the Workload API's part included.
const WITHIN: Duration = Duration::from_secs(15);

/// Why an outer control plane signs nothing, or says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SpiffeFailed {
    #[error("this process has no SVID of it")]
    NotGiven(#[from] NotGiven),
    #[error("the SVID that it gives cannot be used")]
    Svid(#[from] BadSvid),
    #[error("whom it says to trust cannot be trusted")]
    Bundle(#[from] BadBundle),
    #[error("the outer control plane does not do it")]
    Contact(#[from] NoContact),
    #[error("its answer holds no certificates in PEM")]
    Pem(#[from] BadPem),
    #[error("what it says cannot be used")]
    Outer(#[from] BadOuter),
    #[error("the outer control plane does not answer in time")]
    Late,
}

/// The certificate that was asked for, what is above it, and what the outer control plane says.
pub(super) async fn sign(
    settings: &SpiffeUpstream,
    domain: &TrustDomain,
    request: &[u8],
    Term { life, below, .. }: Term,
) -> Result<Answered, UpstreamFailed> {
    let (csr, life) = (pem::encode("CERTIFICATE REQUEST", request), format!("{}s", life.as_secs()));
    let asked = BelowRequest { csr, below, life };
    let BelowAnswer { chain, outer: OuterAnswer { bundle } } =
        ask(settings, domain, "/v1/nested/authority", &asked).await?;
    let chain = pem::decode_all(CERTIFICATE, &chain).map_err(SpiffeFailed::from)?;
    let Outer { word, x509: roots, .. } = Outer::read(domain, bundle).map_err(SpiffeFailed::from)?;
    Ok(Answered { chain, roots, outer: Some(word) })
}

/// What the outer control plane says, once it publishes these keys.
pub(super) async fn exchange(
    settings: &SpiffeUpstream,
    domain: &TrustDomain,
    jwt: &[(Vec<u8>, Time)],
) -> Result<OuterWord, SpiffeFailed> {
    let key = |(point, ends): &(Vec<u8>, Time)| SharedKey { point: point_text(point), ends: ends.to_string() };
    let shared = SharedKeys { jwt: jwt.iter().map(key).collect() };
    let OuterAnswer { bundle } = ask(settings, domain, "/v1/nested/bundle", &shared).await?;
    Ok(Outer::read(domain, bundle)?.word)
}

async fn ask<T: DeserializeOwned>(
    settings: &SpiffeUpstream,
    domain: &TrustDomain,
    path: &str,
    asked: &impl Serialize,
) -> Result<T, SpiffeFailed> {
    timeout(WITHIN, try_ask(settings, domain, path, asked)).await.unwrap_or(Err(SpiffeFailed::Late))
}

/// With the SVID of this moment, over a connection of its own.
async fn try_ask<T: DeserializeOwned>(
    SpiffeUpstream { socket, servers, id }: &SpiffeUpstream,
    domain: &TrustDomain,
    path: &str,
    asked: &impl Serialize,
) -> Result<T, SpiffeFailed> {
    let given = svid(socket, domain, id.as_ref()).await?;
    let own = Arc::new(OwnSvid::default());
    own.install(&given.chain, &given.pkcs8)?;
    let connections = Connections::new(own);
    connections.trust(authorities_of(domain, &given.authorities)?);
    let nodes = Nodes::new(servers.clone(), connections.secured(control_plane(domain)));
    Ok(Contact::new(nodes).post(path, None, asked).await?)
}
