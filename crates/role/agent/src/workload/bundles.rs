//! `FetchX509Bundles`, `FetchJWTBundles` and `FetchWITBundles`: whom the workload trusts, all of it in each message.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tonic::Status;
use wire::workload::{JwtBundlesResponse, WitBundlesResponse, X509BundlesResponse};

use super::stream::Caller;
use super::{Node, keyed, wit};
use crate::known::{Bundle, Known};

/// Authorities of X.509-SVIDs.
pub(crate) fn x509(caller: Caller) -> impl Stream<Item = Result<X509BundlesResponse, Status>> {
    let response = |bundles| X509BundlesResponse { crl: Vec::new(), bundles };
    bundles(caller, always, |bundle| &bundle.x509).map(move |bundles| bundles.map(response))
}

/// Keys of JWT-SVIDs, and no others.
pub(crate) fn jwt(caller: Caller) -> impl Stream<Item = Result<JwtBundlesResponse, Status>> {
    bundles(caller, always, |bundle| &bundle.jwt).map(|bundles| bundles.map(|bundles| JwtBundlesResponse { bundles }))
}

/// Keys of WIT-SVIDs, and no others; as text, which they are.
pub(super) fn wits(caller: Caller) -> impl Stream<Item = Result<WitBundlesResponse, Status>> {
    let text = |(domain, keys): (String, Bytes)| (domain, String::from_utf8_lossy(&keys).into_owned());
    let response = move |bundles: Keyed| WitBundlesResponse { bundles: bundles.into_iter().map(text).collect() };
    bundles(caller, wit::served, |bundle| &bundle.wit).map(move |bundles| bundles.map(response))
}

type Keyed = HashMap<String, Bytes>;
/// Holds while a profile is served.
type Served = fn(&Node, &Known) -> Result<(), Status>;

const fn always(_: &Node, _: &Known) -> Result<(), Status> {
    Ok(())
}

fn bundles(caller: Caller, served: Served, of: fn(&Bundle) -> &Bytes) -> impl Stream<Item = Result<Keyed, Status>> {
    stream::unfold(Some((caller, None)), move |state| async move {
        let (mut caller, sent) = state?;
        match next(&mut caller, sent.as_ref(), (served, of)).await {
            Ok(bundles) => Some((Ok(bundles.clone()), Some((caller, Some(bundles))))),
            Err(status) => Some((Err(status), None)),
        }
    })
}

async fn next(
    caller: &mut Caller,
    sent: Option<&Keyed>,
    (served, of): (Served, fn(&Bundle) -> &Bytes),
) -> Result<Keyed, Status> {
    loop {
        let known = caller.known();
        let identities = caller.node.identities(&known, caller.selectors())?;
        served(&caller.node, &known)?;
        let bundles = keyed(&caller.node.bundles(&known, &identities), of);
        if sent != Some(&bundles) {
            return Ok(bundles);
        }
        caller.changed(std::future::pending()).await?;
    }
}
