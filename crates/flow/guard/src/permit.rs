//! The two answers of guard: a permit to do exactly one thing, or a refusal.

use audit::{Outcome, OutcomeResult, Slot, Unrecorded};
use identity::Caller;
use model::{Code, Fact, RecordId, Time};
use policy::Grant;

use crate::admit::Verdict;

/// Leave to perform one effect, whose target is inside. It exists only once its judgement is recorded, and only
/// [`crate::admit`] makes one.
///
/// ```compile_fail
/// fn forge<E, S>(id: model::RecordId, caller: identity::Caller, grant: policy::Grant, errand: E, slot: S, at: model::Time) -> guard::Permit<E, S> {
///     guard::Permit { id, caller, grant, errand, slot, at }
/// }
/// ```
///
/// A permit is taken apart when its effect starts:
///
/// ```
/// fn act<E, S: audit::Slot>(permit: guard::Permit<E, S>) -> (E, guard::Settlement<S>) {
///     permit.begin()
/// }
/// ```
#[derive(Debug)]
pub struct Permit<E, S> {
    id: RecordId,
    caller: Caller,
    grant: Grant,
    errand: E,
    slot: S,
    at: Time,
}

/// What is left to do once an effect has begun: to say how it ended.
#[derive(Debug)]
pub struct Settlement<S> {
    id: RecordId,
    slot: S,
    at: Time,
}

/// How an effect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub result: OutcomeResult,
    /// Status of the answer that the caller got.
    pub status: Option<u16>,
    pub code: Option<Code>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
}

/// Whether the peer proved who it is: decides how much it may learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Proved,
    Unproved,
}

/// The call is refused. Holds only what the peer may learn, once the door has looked at `peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// `None` only if the judgement could not be recorded.
    pub record: Option<RecordId>,
    pub peer: Peer,
    pub missing: Vec<Fact>,
}

impl<E, S: Slot> Permit<E, S> {
    pub(crate) const fn earned(id: RecordId, caller: Caller, grant: Grant, errand: E, slot: S, at: Time) -> Self {
        Self { id, caller, grant, errand, slot, at }
    }

    pub const fn id(&self) -> RecordId {
        self.id
    }

    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What is let through. [`Permit::begin`] gives it away.
    pub const fn errand(&self) -> &E {
        &self.errand
    }

    /// No effect after this instant.
    pub const fn deadline(&self) -> Time {
        self.grant.deadline()
    }

    /// Starts the effect: its target, and the settlement that is owed for it.
    pub fn begin(self) -> (E, Settlement<S>) {
        (self.errand, Settlement { id: self.id, slot: self.slot, at: self.at })
    }
}

impl<S: Slot> Settlement<S> {
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// Closes the record. A settlement that is dropped instead leaves the slot to say `failed`.
    pub fn settle(self, settled: Settled, at: Time) {
        let outcome = Outcome {
            of: self.id.to_string(),
            result: settled.result,
            status: settled.status,
            code: settled.code.map(|code| code.as_str().to_owned()),
            bytes_in: settled.bytes_in,
            bytes_out: settled.bytes_out,
            micros: u64::try_from(at.since(self.at).as_micros()).ok(),
        };
        self.slot.settle(outcome, at);
    }
}

impl Refusal {
    pub(crate) const fn unrecorded(why: Unrecorded) -> Self {
        match why {
            Unrecorded::Full | Unrecorded::Unwritable => {
                Self { code: Code::LedgerUnavailable, record: None, peer: Peer::Unproved, missing: Vec::new() }
            }
        }
    }

    /// `id` is of the judgement's record, or of the counter that it was counted by.
    pub(crate) fn recorded(id: RecordId, verdict: &Verdict) -> Self {
        let (code, missing) = match verdict {
            Verdict::Unfit(code) | Verdict::Unmapped(_, code) => (*code, Vec::new()),
            Verdict::Unproved(refused) => (refused.cause.code(), Vec::new()),
            Verdict::Unresolved(_, unresolved) => (unresolved.code(), Vec::new()),
            Verdict::Denied(_, denial) => (denial.code, denial.finding.missing.clone()),
            Verdict::Stale(..) => (Code::SnapshotStale, Vec::new()),
            Verdict::Overloaded(..) => (Code::Overloaded, Vec::new()),
            // a grant without its operation cannot be made; were it, nothing may follow from it
            Verdict::Granted(..) => (Code::RequestMalformed, Vec::new()),
        };
        let peer = if verdict.stranger().is_some() { Peer::Unproved } else { Peer::Proved };
        Self { code, record: Some(id), peer, missing }
    }
}
