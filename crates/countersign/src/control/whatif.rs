//! Gate 2 for those who ask what would happen: a plain function of the flow. No witness, no record, no effect.

use std::collections::BTreeSet;

use model::{Code, Decision, Fact, PrincipalId, Time};
use policy::{Facts, Question};
use serde::{Deserialize, Serialize};

use crate::live::About;

/// What `decide` asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// An id, or a name of the estate.
    pub principal: String,
    pub action: String,
    pub resource: String,
    #[serde(default)]
    pub context: DecideContext,
}

/// The context of a `decide`, as the file of `--context` gives it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecideContext {
    pub evidence: Vec<String>,
    pub params: std::collections::BTreeMap<String, String>,
    pub protocol: Option<String>,
    pub service: Option<String>,
}

/// A question that names what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    #[error("`{name}` is neither the id nor the name of a principal here")]
    Principal { name: String },
    #[error("`{name}` is not an action here")]
    Action { name: String },
    #[error("`{name}` is not a resource here")]
    Resource { name: String },
    #[error("`{name}` is not the name of a fact")]
    Fact { name: String },
}

/// Decides what a principal may do, given what would be proved.
///
/// # Errors
/// [`BadQuestion`].
pub fn decide(
    snapshot: &guard::Snapshot,
    about: &About,
    request: &DecideRequest,
    at: Time,
) -> Result<audit::Verdict, BadQuestion> {
    let bad_principal = || BadQuestion::Principal { name: request.principal.clone() };
    let id: PrincipalId = match about.principals.get(&request.principal) {
        Some(id) => id.clone(),
        None => request.principal.parse().ok().ok_or_else(bad_principal)?,
    };
    let principal = snapshot.directory.principal(&id).ok_or_else(bad_principal)?;
    let action = request.action.parse().ok().filter(|action| snapshot.engine.has_action(action));
    let action = action.ok_or_else(|| BadQuestion::Action { name: request.action.clone() })?;
    let resource = request.resource.parse().ok().filter(|resource| snapshot.engine.has_resource(resource));
    let resource = resource.ok_or_else(|| BadQuestion::Resource { name: request.resource.clone() })?;
    let mut evidence = BTreeSet::new();
    for name in &request.context.evidence {
        let fact: Fact = name.parse().ok().ok_or_else(|| BadQuestion::Fact { name: name.clone() })?;
        evidence.insert(fact);
    }
    let context = &request.context;
    let question = Question {
        action,
        resource,
        protocol: context.protocol.clone().unwrap_or_else(|| "http".to_owned()),
        service: context.service.clone().unwrap_or_default(),
        params: context.params.clone().into_iter().collect(),
    };
    if let Some(end) = principal.expires.filter(|end| *end <= at) {
        let code = Code::PrincipalExpired;
        return Ok(verdict(&question, Some(code), format!("`{id}` expired at {end}"), None));
    }
    let finding = snapshot.engine.decide(&Facts { principal: &principal, evidence, question: &question, at });
    Ok(verdict(&question, finding.code, finding.reason.clone(), Some(&finding)))
}

fn verdict(
    question: &Question,
    code: Option<Code>,
    reason: String,
    finding: Option<&policy::Finding>,
) -> audit::Verdict {
    let names = |facts: &[Fact]| facts.iter().map(Fact::to_string).collect();
    audit::Verdict {
        action: Some(question.action.to_string()),
        resource: Some(question.resource.to_string()),
        tier: finding.map(|finding| finding.tier.to_string()),
        decision: if code.is_some() { Decision::Deny } else { Decision::Allow }.to_string(),
        layer: code.map(|code| code.layer().to_string()),
        code: code.map(|code| code.to_string()),
        reason: Some(reason),
        policies: finding.map(|f| f.policies.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        missing: finding.map(|finding| names(&finding.missing)).unwrap_or_default(),
        obligations: Vec::new(),
    }
}
