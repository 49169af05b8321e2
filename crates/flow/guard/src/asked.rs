//! What a door asks of guard.

use identity::Access;
use model::{Code, PrincipalId, RecordId, TraceId};
use policy::Question;

use crate::freshness::Freshness;

/// One call at one door. The identifiers are random and made at the edge.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: RecordId,
    pub trace: TraceId,
    /// `gateway`, `control`.
    pub door: &'static str,
    pub protocol: &'static str,
    /// The catalog's operation, or what came instead; `None` without a readable head.
    pub operation: Option<String>,
    /// How current the door was when the call came.
    pub freshness: Freshness,
}

/// What a door will do when a call is let through.
pub trait Errand: Send + Sync {
    /// Takes the room that the effect needs, and keeps it as long as the errand lives. Asked once the policies have let
    /// `caller` through, so that nobody takes room who may not come in.
    ///
    /// # Errors
    /// [`NoRoom`]: the call is refused as `overloaded`.
    fn take_room(&mut self, caller: &PrincipalId) -> Result<(), NoRoom>;

    /// Whether what it does outlives the call, such as an identity that is handed out: then its record is synced first,
    /// whatever the tier.
    fn lasts(&self) -> bool {
        false
    }
}

/// All the room is taken, or all that one caller may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests are in flight")]
pub struct NoRoom;

/// A mapped operation, and what the door will do when it is let through.
#[derive(Debug)]
pub struct Operation<E> {
    pub question: Question,
    pub access: Access,
    /// The effect's target. The door reads it back from the [`crate::Permit`], and from nowhere else.
    pub errand: E,
}

/// What a door made of a request.
#[derive(Debug)]
pub enum Asked<E> {
    Operation(Operation<E>),
    /// The catalog has no such operation, or reads it in two ways. Looked at only after the caller is resolved, so that
    /// strangers cannot map the catalog.
    Unmapped {
        code: Code,
        service: Option<String>,
    },
    /// Not to be judged at all: unreadable, ambiguous or too large.
    Unfit(Code),
}

impl<E> Asked<E> {
    pub(crate) const fn access(&self) -> Access {
        match self {
            Self::Operation(operation) => operation.access,
            Self::Unmapped { .. } | Self::Unfit(_) => Access::Proved,
        }
    }
}
