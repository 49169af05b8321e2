//! The policies of a snapshot, compiled, and the one question they answer.

mod review;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use identity::{Directory, Principal};
use model::{ActionName, Code, Fact, PolicyId, ResourceId, Risk, Tier, Time};

use crate::answer::{Answer, ask};
use crate::case::{Case, Unaskable};
use crate::compile::{self, Compiled};
use crate::decide::Question;
use crate::explain;
use crate::index::{Candidates, Index};
use crate::memo::Memo;
use crate::names::Names;
use crate::scene::Scene;
use crate::schema;
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
    pub(crate) world: World,
    pub(crate) index: Index,
    most_candidates: usize,
    /// Where each policy is written: name of its file, and the byte at which it begins there.
    places: BTreeMap<PolicyId, (Arc<str>, usize)>,
    memo: Memo,
}

impl Engine {
    /// Compiles shipped packs and an estate's policies, strictly.
    ///
    /// # Errors
    /// Every [`PolicyProblem`], up to a hundred.
    pub fn compile(
        files: &[PolicyFile],
        vocabulary: &Vocabulary,
        directory: &Directory,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let unfit = |message: String| {
            let file = "countersign/schema.cedarschema".to_owned();
            vec![PolicyProblem { file, line: 1, column: 1, message, suggestion: None }]
        };
        let schema = schema::schema(&vocabulary.actions).map_err(unfit)?;
        let world = World::new(vocabulary, &schema).map_err(|error| unfit(error.to_string()))?;
        let names = Names { vocabulary, world: &world, directory };
        let Compiled { index, most_candidates, places } = compile::compile(&shipped::packs(), files, &schema, &names)?;
        Ok(Self { world, index, most_candidates, places, memo: Memo::default() })
    }

    /// Decides. Total: an error in a policy denies.
    pub fn decide(&self, facts: &Facts<'_>) -> Finding {
        self.decide_among(facts, |scene| self.index.candidates(scene))
    }

    /// Decides as [`Self::decide`] does; what was decided before and cannot have changed is not decided again. So requests
    /// are decided.
    pub fn decide_or_recall(&self, facts: &Facts<'_>) -> Finding {
        if let Some(finding) = self.memo.recall(facts) {
            return finding;
        }
        let mut lasts = false;
        let finding = self.decide_among(facts, |scene| {
            let candidates = self.index.candidates(scene);
            lasts = !candidates.read_time && !candidates.read_params;
            candidates
        });
        if lasts && finding.code != Some(Code::PolicyError) {
            self.memo.remember(facts, &finding);
        }
        finding
    }

    /// Decides among the policies that `candidates` finds for a question.
    pub(crate) fn decide_among<'a>(
        &'a self,
        facts: &Facts<'_>,
        candidates: impl FnOnce(&Scene<'_>) -> Candidates<'a>,
    ) -> Finding {
        let question = facts.question;
        let (Some(act), Some(place)) = (self.world.act(&question.action), self.world.place(&question.resource)) else {
            return unaskable(facts, Tier::Critical, &self.unknown(question));
        };
        let tier = self.world.tier(facts.principal.risk, act.base, &place.resource);
        let scene = Scene::new(facts, act, place, &self.world);
        let candidates = candidates(&scene);
        let case = match Case::new(scene, facts, &self.world, &candidates) {
            Ok(case) => case,
            Err(why) => return unaskable(facts, tier, &why),
        };
        match ask(&candidates.sets, &case, &facts.evidence) {
            Err(why) => unaskable(facts, tier, &why),
            Ok(Answer::Erred(errors)) => erred(facts, tier, errors),
            Ok(Answer::Forbidden(forbids)) => {
                let reason = explain::forbidden(&candidates, &forbids, &case);
                let missing = explain::missing(&candidates, &case);
                finding(facts, tier, Some(Code::Forbidden), forbids, missing, reason)
            }
            Ok(Answer::Unpermitted) => {
                let reason = explain::no_permit(&candidates, &case);
                let missing = explain::missing(&candidates, &case);
                finding(facts, tier, Some(Code::NoPermit), Vec::new(), missing, reason)
            }
            Ok(Answer::Permitted(permits)) => proved(facts, tier, permits),
        }
    }

    /// No question is put to more policies than this: a bound, counted when the snapshot was made.
    pub fn most_candidates(&self) -> usize {
        self.most_candidates
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
        self.world.act(action).is_some()
    }

    pub fn has_resource(&self, resource: &ResourceId) -> bool {
        self.world.place(resource).is_some()
    }

    /// The tier that an action on a resource demands of a principal of this risk; none where there is no such action or
    /// resource.
    pub fn tier(&self, risk: Risk, action: &ActionName, resource: &ResourceId) -> Option<Tier> {
        Some(self.world.tier(risk, self.world.act(action)?.base, &self.world.place(resource)?.resource))
    }

    /// The estate's policies as they were written, by id; the shipped ones are left out.
    pub fn policy_texts(&self) -> impl Iterator<Item = (&str, String)> {
        let texts = self.index.policies().map(|policy| (policy.id().as_ref(), policy.to_string()));
        texts.filter(|(id, _): &(&str, _)| !id.starts_with(shipped::PREFIX))
    }

    fn unknown(&self, question: &Question) -> Unaskable {
        if self.has_action(&question.action) {
            Unaskable::NoResource { resource: question.resource.to_string() }
        } else {
            Unaskable::NoAction { action: question.action.to_string() }
        }
    }
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
