//! `FetchWITSVID`, where it is served (SPIFFE_Workload_API.md §7): the standard is incubating, and whether there are WIT-SVIDs is for
//! this agent's settings and for the control plane's.

use std::sync::Arc;

use model::{Selectors, SpiffeId};
use tonic::Status;
use wire::workload::{Witsvid, WitsvidResponse};

use super::Node;
use super::serving::{Hints, Ready, Says};
use crate::known::{Identified, Known};
use crate::svids::{Svids, WitSvid};

/// Every identity of the workload, or the one that it asks for.
pub(super) struct Wit {
    pub only: Option<SpiffeId>,
}

impl Says<WitSvid> for Wit {
    type Message = WitsvidResponse;

    fn identities(&self, node: &Node, known: &Known, selectors: &Selectors) -> Result<Vec<Identified>, Status> {
        let mut identities = node.identities(known, selectors)?;
        served(node, known)?;
        identities.retain(|identified| self.only.as_ref().is_none_or(|only| identified.id == *only));
        if identities.is_empty() { Err(Status::permission_denied("no identity issued")) } else { Ok(identities) }
    }

    fn message(&self, _: &Node, _: &Known, ready: &Ready<WitSvid>) -> Result<WitsvidResponse, Status> {
        let mut hints = Hints::default();
        let svids = ready.iter().map(|(identified, svid)| Witsvid {
            spiffe_id: svid.id.to_string(),
            wit_svid: svid.token.clone(),
            wit_svid_key: svid.key.clone(),
            hint: hints.next(identified),
        });
        Ok(WitsvidResponse { svids: svids.collect() })
    }
}

/// Where WIT-SVIDs are kept, if the settings have them.
pub(super) fn kept(node: &Node) -> Result<Arc<Svids<WitSvid>>, Status> {
    node.wits.clone().ok_or_else(|| Status::unimplemented("the WIT-SVID profile is not served"))
}

/// Holds while the control plane signs WIT-SVIDs.
pub(super) fn served(node: &Node, known: &Known) -> Result<(), Status> {
    match known.bundles.get(&node.domain) {
        Some(own) if !own.wit.is_empty() => Ok(()),
        Some(_) | None => Err(Status::unimplemented("the control plane signs no WIT-SVIDs")),
    }
}
