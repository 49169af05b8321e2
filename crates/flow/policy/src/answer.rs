//! What policies say to a question, before tiers are looked at: Cedar evaluates, and the verdicts are combined here.

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicySet};
use model::{Fact, PolicyId};

use crate::case::{Case, Unaskable};

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Erred(Vec<(PolicyId, String)>),
    Forbidden(Vec<PolicyId>),
    Unpermitted,
    Permitted(Vec<PolicyId>),
}

/// Whether a condition holds for a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// Its evaluation ended in an error.
    Unknown,
}

/// Puts a question to every set of policies, as if exactly `evidence` were proved.
///
/// INVARIANT: any error in any of them is the answer; Cedar alone would skip the policy, forbids too. A forbid in one set
/// outweighs the permits of all others.
pub(crate) fn ask(sets: &[&PolicySet], case: &Case<'_>, evidence: &BTreeSet<Fact>) -> Result<Answer, Unaskable> {
    let (request, authorizer) = (case.request(evidence)?, Authorizer::new());
    let (mut errors, mut forbids, mut permits) = (Vec::new(), Vec::new(), Vec::new());
    for set in sets {
        let response = authorizer.is_authorized(&request, set, &case.entities);
        let diagnostics = response.diagnostics();
        errors.extend(diagnostics.errors().map(error));
        match response.decision() {
            Decision::Allow => permits.extend(diagnostics.reason().map(policy_id)),
            Decision::Deny => forbids.extend(diagnostics.reason().map(policy_id)),
        }
    }
    errors.sort();
    forbids.sort();
    permits.sort();
    Ok(if !errors.is_empty() {
        Answer::Erred(errors)
    } else if !forbids.is_empty() {
        Answer::Forbidden(forbids)
    } else if permits.is_empty() {
        Answer::Unpermitted
    } else {
        Answer::Permitted(permits)
    })
}

/// Whether a condition, as the one policy of `probe`, holds for what is proved.
pub(crate) fn holds(probe: &PolicySet, case: &Case<'_>) -> Holds {
    match ask(&[probe], case, case.evidence()) {
        Ok(Answer::Permitted(_)) => Holds::Yes,
        Ok(Answer::Unpermitted | Answer::Forbidden(_)) => Holds::No,
        Ok(Answer::Erred(_)) | Err(_) => Holds::Unknown,
    }
}

fn error(error: &AuthorizationError) -> (PolicyId, String) {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    (policy_id(error.policy_id()), error.inner().to_string())
}

/// The id of a policy that was compiled.
pub(crate) fn policy_id(id: &cedar_policy::PolicyId) -> PolicyId {
    #[expect(clippy::expect_used, reason = "compile reads every id with this parser before a policy enters a set")]
    AsRef::<str>::as_ref(id).parse().expect("an id of a compiled policy")
}
