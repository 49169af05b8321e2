//! What a door asks of guard.

use identity::Access;
use model::{Code, RecordId, TraceId};
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
    /// Not to be judged at all: unreadable, ambiguous, too large, or one too many.
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
