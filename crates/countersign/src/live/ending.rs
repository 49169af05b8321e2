//! Whether what authenticated a connection still does.

use credential::{Channel, Presented};
use identity::{Access, Unresolved};
use model::{Code, Time};
use net::Peer;

use super::Live;

/// Why what authenticated a connection proves nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Open connections are cut.
    Revoked,
    /// The next request is told, and is the last.
    Refused,
}

/// Whether what authenticated the connection proves nothing any more: then no other request of it can be answered.
pub fn ends(peer: &Peer, live: &Live, at: Time) -> Option<End> {
    let (Peer::Tls(peer) | Peer::Vouched(_, peer)) = peer else { return None };
    let presented = Presented { channel: Some(Channel::Tls(peer)), message: None };
    match credential::verify(&live.snapshot.sources, &presented, at) {
        Ok(proofs) => {
            let (directory, revocations) = (&live.snapshot.directory, live.snapshot.sources.revocations());
            let resolved = identity::resolve(directory, revocations, &proofs, Access::Proved, at);
            resolved.err().filter(|why| matches!(why, Unresolved::Revoked { .. })).map(|_| End::Revoked)
        }
        Err(refused) if refused.cause.code() == Code::Revoked => Some(End::Revoked),
        Err(_) => Some(End::Refused),
    }
}
