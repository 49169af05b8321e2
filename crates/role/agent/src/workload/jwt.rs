//! `FetchJWTSVID`: tokens of a workload, for whom it says.

use std::collections::BTreeSet;

use model::SpiffeId;
use net::causes::chain;
use tonic::Status;

use super::serving::Hints;
use super::stream::Caller;
use super::{told, wanted};
use crate::tokens::NoToken;

/// Most audiences of one JWT-SVID, and the longest of them, in bytes.
const MAX_AUDIENCES: usize = 32;
const MAX_AUDIENCE: usize = 1024;

/// A token, and how it is told from others of its workload.
pub(crate) struct Token {
    pub id: SpiffeId,
    pub svid: String,
    pub hint: String,
}

/// A token of each identity of a workload, or of the one that is asked for.
///
/// # Errors
/// [`Status`].
pub(crate) async fn tokens(caller: &Caller, audience: &[String], spiffe_id: &str) -> Result<Vec<Token>, Status> {
    let sound = |audience: &String| (1..=MAX_AUDIENCE).contains(&audience.len());
    if audience.is_empty() || audience.len() > MAX_AUDIENCES || !audience.iter().all(sound) {
        return Err(Status::invalid_argument("a JWT-SVID is for 1 to 32 audiences of 1 to 1024 bytes"));
    }
    let node = &caller.node;
    let known = node.known.borrow().clone();
    let mut identities = node.identities(&known, caller.selectors())?;
    if !spiffe_id.is_empty() {
        let wanted = wanted(spiffe_id)?;
        identities.retain(|identified| identified.id == wanted);
    }
    // several registrations of one id have one token
    let mut ids = BTreeSet::new();
    identities.retain(|identified| ids.insert(identified.id.clone()));
    if identities.is_empty() {
        return Err(Status::permission_denied("no identity issued"));
    }
    let mut hints = Hints::default();
    let mut tokens = Vec::new();
    for identified in &identities {
        let selectors = told(identified, caller.selectors());
        let svid = node.tokens.of(identified, selectors, audience).await.map_err(|why| untold(&why))?;
        tokens.push(Token { id: identified.id.clone(), svid, hint: hints.next(identified) });
    }
    Ok(tokens)
}

fn untold(why: &NoToken) -> Status {
    if why.passes() { Status::unavailable(chain(why)) } else { Status::permission_denied(chain(why)) }
}
