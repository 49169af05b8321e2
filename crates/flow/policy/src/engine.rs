//! The policies of a snapshot, compiled, and the one question they answer.

mod review;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicySet, Schema};
use identity::Principal;
use model::{ActionName, Code, Fact, PolicyId, PrincipalId, PrincipalKind, ResourceId, Risk, Tier, Time};

use crate::case::{Case, Unaskable};
use crate::compile;
use crate::decide::Question;
use crate::explain;
use crate::names::Names;
use crate::rule::Rule;
use crate::schema::{self, Types};
use crate::shipped;
use crate::vocabulary::{PolicyFile, PolicyProblem, Vocabulary};
use crate::world::World;

pub use review::Written;

/// Everything that one decision reads. Plain facts: `decide` and `replay` fill them in by hand.
#[derive(Debug)]
pub struct Facts<'a> {
    pub principal: &'a Principal,
    pub evidence: BTreeSet<Fact>,
    pub question: &'a Question,
    pub at: Time,
}

/// The answer to one question, with its reasons. Plain facts: no `Grant` comes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why not; `None` when allowed.
    pub code: Option<Code>,
    pub tier: Tier,
    /// Allowed, or refused for want of proof: the permits. Forbidden: the forbids. Error: the policies that erred.
    pub policies: Vec<PolicyId>,
    /// The smallest set of facts that would change the answer.
    pub missing: Vec<Fact>,
    /// For operators: why, in a sentence.
    pub reason: String,
    pub evidence: BTreeSet<Fact>,
}

/// The policies of a snapshot.
#[derive(Debug)]
pub struct Engine {
    schema: Schema,
    types: Types,
    world: World,
    set: PolicySet,
    /// Those that have a say when an operator asks about the product's own operations.
    operating: PolicySet,
    /// Those that have a say when anybody else does.
    guarding: PolicySet,
    rules: BTreeMap<PolicyId, Rule>,
}

/// What the policies say, before tiers are looked at.
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

impl Engine {
    /// Compiles shipped packs and an estate's policies, strictly.
    ///
    /// # Errors
    /// Every [`PolicyProblem`], up to a hundred.
    pub fn compile(
        files: &[PolicyFile],
        vocabulary: &Vocabulary,
        declared: &dyn Fn(PrincipalKind, &PrincipalId) -> bool,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let world = World::new(vocabulary);
        let schema = schema::schema(&vocabulary.actions).map_err(|message| {
            let file = "countersign/schema.cedarschema".to_owned();
            vec![PolicyProblem { file, line: 1, column: 1, message, suggestion: None }]
        })?;
        let packs = shipped::packs();
        let (set, rules) = compile::compile(&packs, files, &schema, &Names { vocabulary, world: &world, declared })?;
        let only = |has_say: fn(&Rule) -> bool| {
            let mut some = PolicySet::new();
            for rule in rules.values().filter(|rule| has_say(rule)) {
                let added = some.add(rule.policy.clone());
                debug_assert!(added.is_ok(), "ids were found to be unique");
            }
            some
        };
        let (operating, guarding) = (only(Rule::has_say_on_operators), only(Rule::has_say_on_operations));
        Ok(Self { schema, types: Types::new(), world, set, operating, guarding, rules })
    }

    /// Decides. Total: an error in a policy denies.
    pub fn decide(&self, facts: &Facts<'_>) -> Finding {
        let question = facts.question;
        let (Some(base), Some(resource)) = (self.world.base(&question.action), self.world.resource(&question.resource))
        else {
            return unaskable(facts, Tier::Critical, &self.unknown(question));
        };
        let tier = self.world.tier(facts.principal.risk, base, &resource);
        let case = match Case::new(facts, &resource, &self.world, &self.types, &self.schema) {
            Ok(case) => case,
            Err(why) => return unaskable(facts, tier, &why),
        };
        match ask(self.candidates(&case), &case, &facts.evidence) {
            Err(why) => unaskable(facts, tier, &why),
            Ok(Answer::Erred(errors)) => erred(facts, tier, errors),
            Ok(Answer::Forbidden(forbids)) => {
                let rules = self.rules_about(&case);
                let reason = explain::forbidden(&rules, &forbids, &case);
                let missing = explain::missing(&rules, &case);
                finding(facts, tier, Some(Code::Forbidden), forbids, missing, reason)
            }
            Ok(Answer::Unpermitted) => {
                let rules = self.rules_about(&case);
                let reason = explain::no_permit(&rules, &case);
                let missing = explain::missing(&rules, &case);
                finding(facts, tier, Some(Code::NoPermit), Vec::new(), missing, reason)
            }
            Ok(Answer::Permitted(permits)) => proved(facts, tier, permits),
        }
    }

    /// The facts that findings establish, built-in ones too.
    pub fn evidence_of<'a>(findings: impl IntoIterator<Item = &'a credential::Finding>) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        for finding in findings {
            facts.extend(finding.facts.iter().cloned());
            facts.extend(finding.binding.is_sender_bound().then(Fact::sender_bound));
        }
        facts
    }

    pub fn has_action(&self, action: &ActionName) -> bool {
        self.world.base(action).is_some()
    }

    pub fn has_resource(&self, resource: &ResourceId) -> bool {
        self.world.resource(resource).is_some()
    }

    /// The tier that an action on a resource demands of a principal of this risk; none where there is no such action or
    /// resource.
    pub fn tier(&self, risk: Risk, action: &ActionName, resource: &ResourceId) -> Option<Tier> {
        Some(self.world.tier(risk, self.world.base(action)?, &*self.world.resource(resource)?))
    }

    /// The estate's policies as they were written, by id; the shipped ones are left out.
    pub fn policy_texts(&self) -> impl Iterator<Item = (&PolicyId, &str)> {
        let own = self.rules.values().filter(|rule| !rule.is_shipped());
        own.map(|rule| (&rule.id, rule.text.as_str()))
    }

    /// The policies that may have a say: all of them, and Cedar scans them. About the product's own operations, permits
    /// only if they name them, so that a broad one lets nobody in; forbids on operators likewise, so that a broad one, or
    /// one that errs, does not lock out who would mend it.
    fn candidates(&self, case: &Case<'_>) -> &PolicySet {
        match (case.is_about_operations(), case.is_asked_by_operator()) {
            (false, _) => &self.set,
            (true, true) => &self.operating,
            (true, false) => &self.guarding,
        }
    }

    fn rules_about(&self, case: &Case<'_>) -> Vec<&Rule> {
        let has_say = |rule: &&Rule| match (case.is_about_operations(), case.is_asked_by_operator()) {
            (false, _) => true,
            (true, true) => rule.has_say_on_operators(),
            (true, false) => rule.has_say_on_operations(),
        };
        self.rules.values().filter(has_say).filter(|rule| rule.is_about(case)).collect()
    }

    fn unknown(&self, question: &Question) -> Unaskable {
        if self.has_action(&question.action) {
            Unaskable::NoResource { resource: question.resource.to_string() }
        } else {
            Unaskable::NoAction { action: question.action.to_string() }
        }
    }
}

/// Puts a question to some policies, as if exactly `evidence` were proved.
///
/// INVARIANT: any error in any of them is the answer; Cedar alone would skip the policy, forbids too.
pub(crate) fn ask(set: &PolicySet, case: &Case<'_>, evidence: &BTreeSet<Fact>) -> Result<Answer, Unaskable> {
    let response = Authorizer::new().is_authorized(&case.request(evidence)?, set, &case.entities);
    let diagnostics = response.diagnostics();
    let mut errors: Vec<_> = diagnostics.errors().map(error).collect();
    if !errors.is_empty() {
        errors.sort();
        return Ok(Answer::Erred(errors));
    }
    let mut reasons: Vec<_> = diagnostics.reason().filter_map(policy_id).collect();
    reasons.sort();
    Ok(match response.decision() {
        Decision::Allow => Answer::Permitted(reasons),
        Decision::Deny if reasons.is_empty() => Answer::Unpermitted,
        Decision::Deny => Answer::Forbidden(reasons),
    })
}

/// Whether a condition, as the one policy of `probe`, holds for what is proved.
pub(crate) fn holds(probe: &PolicySet, case: &Case<'_>) -> Holds {
    match ask(probe, case, case.evidence()) {
        Ok(Answer::Permitted(_)) => Holds::Yes,
        Ok(Answer::Unpermitted | Answer::Forbidden(_)) => Holds::No,
        Ok(Answer::Erred(_)) | Err(_) => Holds::Unknown,
    }
}

fn error(error: &AuthorizationError) -> (PolicyId, String) {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    #[expect(clippy::expect_used, reason = "compile reads every id with this parser before a policy enters a set")]
    let id = policy_id(error.policy_id()).expect("an id of a compiled policy");
    (id, error.inner().to_string())
}

fn policy_id(id: &cedar_policy::PolicyId) -> Option<PolicyId> {
    AsRef::<str>::as_ref(id).parse().ok()
}

/// The policies permit; is there the proof that the tier demands?
fn proved(facts: &Facts<'_>, tier: Tier, permits: Vec<PolicyId>) -> Finding {
    let permitted = format!("permitted by {}", explain::listed(&permits));
    let lacks = |fact: &Fact| !facts.evidence.contains(fact);
    match tier {
        Tier::Sensitive if lacks(&Fact::sender_bound()) => {
            let reason = format!("{permitted}, but the tier is sensitive and the credential is not sender-bound");
            finding(facts, tier, Some(Code::EvidenceMissing), permits, vec![Fact::sender_bound()], reason)
        }
        Tier::Routine | Tier::Sensitive => finding(facts, tier, None, permits, Vec::new(), permitted),
        // nobody can approve yet, so that nothing critical is ever allowed
        Tier::Critical => {
            let reason = format!("{permitted}, but the tier is critical and needs a person's approval");
            let mut missing: BTreeSet<Fact> = [Fact::sender_bound(), Fact::approved()].into_iter().collect();
            if lacks(&Fact::provenance()) {
                missing.insert(Fact::attested());
            }
            let missing = missing.into_iter().filter(lacks).collect();
            finding(facts, tier, Some(Code::ApprovalRequired), permits, missing, reason)
        }
    }
}

fn unaskable(facts: &Facts<'_>, tier: Tier, why: &Unaskable) -> Finding {
    finding(facts, tier, Some(Code::PolicyError), Vec::new(), Vec::new(), why.to_string())
}

fn erred(facts: &Facts<'_>, tier: Tier, errors: Vec<(PolicyId, String)>) -> Finding {
    let told: Vec<_> = errors.iter().map(|(id, error)| format!("`{id}`: {error}")).collect();
    let reason = format!("cannot be evaluated: {}", told.join("; "));
    let policies = errors.into_iter().map(|(id, _)| id).collect();
    finding(facts, tier, Some(Code::PolicyError), policies, Vec::new(), reason)
}

fn finding(
    facts: &Facts<'_>,
    tier: Tier,
    code: Option<Code>,
    policies: Vec<PolicyId>,
    missing: Vec<Fact>,
    reason: String,
) -> Finding {
    Finding { code, tier, policies, missing, reason, evidence: facts.evidence.clone() }
}
