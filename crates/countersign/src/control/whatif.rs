//! The plain functions of the flow, for those who ask what would happen: no witness, no record, no effect.

use std::collections::BTreeSet;

use credential::{Message, Presented, Step, Token};
use identity::Access;
use model::{Code, Decision, Fact, PrincipalId, Time};
use policy::{Facts, Question};
use serde::{Deserialize, Serialize};

use crate::live::About;

/// Gate 1, explained step by step.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolved {
    pub principal: Option<ResolvedPrincipal>,
    pub code: Option<String>,
    pub steps: Vec<ResolveStep>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ResolvedPrincipal {
    pub id: String,
    pub kind: String,
    pub owner: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ResolveStep {
    pub step: String,
    pub source: Option<String>,
    pub ok: bool,
    pub detail: String,
}

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

/// Explains what a token proves, and whom.
pub fn resolve(snapshot: &guard::Snapshot, token: &[u8], at: Time) -> Resolved {
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token))) };
    let proofs = match credential::verify(&snapshot.sources, &presented, at) {
        Ok(proofs) => proofs,
        Err(refused) => {
            let source = refused.source.as_ref().map(ToString::to_string);
            let mut steps = passed(|step| *step < refused.cause.step(), source.as_deref());
            steps.push(ResolveStep {
                step: refused.cause.step().as_str().to_owned(),
                source,
                ok: false,
                detail: refused.cause.to_string(),
            });
            return Resolved { principal: None, code: Some(refused.cause.code().to_string()), steps };
        }
    };
    let finding = proofs.message().map(credential::Verified::finding);
    let source = finding.map(|finding| finding.source.to_string());
    let mut steps = passed(|_| true, source.as_deref());
    let resolved = identity::resolve(&snapshot.directory, snapshot.sources.revocations(), &proofs, Access::Proved, at);
    let key = finding.map(|finding| finding.key.join(", ")).unwrap_or_default();
    let (ok, detail, principal, code) = match resolved {
        Ok(caller) => {
            let actor = &caller.resolution().actor;
            let principal = ResolvedPrincipal {
                id: actor.id.to_string(),
                kind: actor.kind.to_string(),
                owner: actor.owner.to_string(),
            };
            (true, format!("key ({key}) belongs to {} `{}`", actor.kind, actor.id), Some(principal), None)
        }
        Err(why) => (false, format!("{why}; the key is ({key})"), None, Some(why.code().to_string())),
    };
    steps.push(ResolveStep { step: "resolve".to_owned(), source, ok, detail });
    Resolved { principal, code, steps }
}

fn passed(which: impl Fn(&Step) -> bool, source: Option<&str>) -> Vec<ResolveStep> {
    let detail = |step: Step| match step {
        Step::Shape => "a compact JWS with sound header and claims",
        Step::Issuer => "a trust source has this issuer",
        Step::Algorithm => "the source accepts this algorithm, and the key is of it",
        Step::Key => "the source has this key",
        Step::Signature => "the signature verifies",
        Step::Times => "within its times and the source's `maxAge`",
        Step::Audience => "issued for an audience of the source",
        Step::Revocation => "neither it nor its key or source is revoked",
        Step::Binding => "bound to nothing, or to what the connection proves",
    };
    let step = |step: &Step| ResolveStep {
        step: step.as_str().to_owned(),
        // the issuer picks the source, so that no earlier step has one
        source: (*step >= Step::Issuer).then(|| source.map(str::to_owned)).flatten(),
        ok: true,
        detail: detail(*step).to_owned(),
    };
    Step::ALL.iter().filter(|s| which(s)).map(step).collect()
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
