//! `FetchX509Bundles` and `FetchJWTBundles`: whom the workload trusts, all of it in each message.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tonic::Status;
use wire::workload::{JwtBundlesResponse, X509BundlesResponse};

use super::keyed;
use super::stream::Caller;
use crate::known::Bundle;

/// Authorities of X.509-SVIDs.
pub(super) fn x509(caller: Caller) -> impl Stream<Item = Result<X509BundlesResponse, Status>> {
    let response = |bundles| X509BundlesResponse { crl: Vec::new(), bundles };
    bundles(caller, |bundle| &bundle.x509).map(move |bundles| bundles.map(response))
}

/// Keys of JWT-SVIDs, and no others.
pub(super) fn jwt(caller: Caller) -> impl Stream<Item = Result<JwtBundlesResponse, Status>> {
    bundles(caller, |bundle| &bundle.jwt).map(|bundles| bundles.map(|bundles| JwtBundlesResponse { bundles }))
}

type Keyed = HashMap<String, Bytes>;

fn bundles(caller: Caller, of: fn(&Bundle) -> &Bytes) -> impl Stream<Item = Result<Keyed, Status>> {
    stream::unfold(Some((caller, None)), move |state| async move {
        let (mut caller, sent) = state?;
        match next(&mut caller, sent.as_ref(), of).await {
            Ok(bundles) => Some((Ok(bundles.clone()), Some((caller, Some(bundles))))),
            Err(status) => Some((Err(status), None)),
        }
    })
}

async fn next(caller: &mut Caller, sent: Option<&Keyed>, of: fn(&Bundle) -> &Bytes) -> Result<Keyed, Status> {
    loop {
        let known = caller.known();
        let identities = caller.node.identities(&known, caller.selectors())?;
        let bundles = keyed(&caller.node.bundles(&known, &identities), of);
        if sent != Some(&bundles) {
            return Ok(bundles);
        }
        caller.changed(std::future::pending()).await?;
    }
}
