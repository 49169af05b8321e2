//! `FetchX509SVID`.

use model::Selectors;
use tonic::Status;
use wire::workload::{X509svid, X509svidResponse};

use super::serving::{Hints, Ready, Says};
use super::{Node, keyed};
use crate::known::{Identified, Known};
use crate::svids::X509Svid;

/// Every identity of the workload, and whom it trusts.
pub(super) struct X509;

impl Says<X509Svid> for X509 {
    type Message = X509svidResponse;

    fn identities(&self, node: &Node, known: &Known, selectors: &Selectors) -> Result<Vec<Identified>, Status> {
        node.identities(known, selectors)
    }

    fn message(&self, node: &Node, known: &Known, ready: &Ready<X509Svid>) -> Result<X509svidResponse, Status> {
        let own = known.bundles.get(&node.domain).filter(|bundle| !bundle.x509.is_empty());
        let own = own.ok_or_else(|| Status::unavailable("there is no bundle of the own trust domain yet"))?;
        let mut hints = Hints::default();
        let svids = ready.iter().map(|(identified, svid)| X509svid {
            spiffe_id: svid.id.to_string(),
            x509_svid: svid.chain.clone(),
            x509_svid_key: svid.key.clone(),
            bundle: own.x509.clone(),
            hint: hints.next(identified),
        });
        let svids = svids.collect();
        let identities: Vec<Identified> = ready.iter().map(|(identified, _)| identified.clone()).collect();
        let mut federated = node.bundles(known, &identities);
        federated.retain(|(domain, _)| **domain != node.domain);
        let federated_bundles = keyed(&federated, |bundle| &bundle.x509);
        Ok(X509svidResponse { svids, crl: Vec::new(), federated_bundles })
    }
}
