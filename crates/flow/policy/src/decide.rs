//! The witness of gate 2: a grant is made only for a caller, by a decision.

use identity::Caller;
use model::{ActionName, Code, PolicyId, ResourceId, Tier, Time};

use crate::engine::{Engine, Facts, Finding};

/// What is asked, in the catalog's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub action: ActionName,
    pub resource: ResourceId,
    /// For `context.protocol`: only ever to narrow.
    pub protocol: String,
    pub service: String,
    /// Decoded path parameters.
    pub params: Vec<(String, String)>,
}

/// The caller may. Only [`decide`] makes one, for a [`Caller`].
///
/// ```compile_fail
/// fn forge(finding: policy::Finding, until: model::Time) -> policy::Grant {
///     policy::Grant { finding, deadline: until }
/// }
/// ```
///
/// A grant can be read:
///
/// ```
/// fn read(grant: policy::Grant, _until: model::Time) -> policy::Finding {
///     grant.finding().clone()
/// }
/// ```
#[derive(Debug)]
pub struct Grant {
    finding: Finding,
    deadline: Time,
}

/// The caller may not, and what would change that. An answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub code: Code,
    pub finding: Finding,
}

impl Grant {
    pub const fn finding(&self) -> &Finding {
        &self.finding
    }

    /// The tier whose proof was given.
    pub const fn tier(&self) -> Tier {
        self.finding.tier
    }

    /// The policies that permit.
    pub fn policies(&self) -> &[PolicyId] {
        &self.finding.policies
    }

    /// No effect after this instant: what the grant rests on ends then.
    pub const fn deadline(&self) -> Time {
        self.deadline
    }
}

/// Decides what `caller` may do.
///
/// # Errors
/// [`Denial`] unless a policy permits, none forbids, none errors, and the tier's evidence is there.
pub fn decide(engine: &Engine, caller: &Caller, question: &Question, at: Time) -> Result<Grant, Denial> {
    let resolution = caller.resolution();
    let finding = engine.decide_or_recall(&Facts {
        principal: &resolution.actor,
        evidence: Engine::evidence_of(resolution.proved()),
        question,
        at,
    });
    match finding.code {
        None => Ok(Grant { finding, deadline: resolution.until }),
        Some(code) => Err(Denial { code, finding }),
    }
}
