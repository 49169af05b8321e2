//! One policy as explanations need it: its id, the facts that it asks for, and its conditions taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::pst::{self, BinaryOp, Clause, Expr};
use cedar_policy::{Effect, Policy, PolicySet};
use model::{Fact, PolicyId};

use crate::lint::{self, Sight};

/// A policy that was checked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) effect: Effect,
    /// Facts that its conditions ask for.
    pub(crate) facts: BTreeSet<Fact>,
    /// Whether its conditions can depend on the time.
    pub(crate) reads_time: bool,
    /// Whether they can depend on parameters.
    pub(crate) reads_params: bool,
    pub(crate) parts: Vec<Arc<Part>>,
}

/// A part of a policy's conditions that can be to blame for a denial.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) blamed: Blamed,
    /// One policy that permits exactly where the part holds.
    pub(crate) probe: PolicySet,
}

/// When a part is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blamed {
    /// In a permit's `unless`, in a forbid's `when`.
    WhenItHolds,
    /// In a permit's `when`, in a forbid's `unless`: each conjunct is a part of its own.
    WhenItFails,
}

/// Every part that there is, once: many policies have the same.
#[derive(Debug, Default)]
pub(crate) struct Parts(BTreeMap<(Blamed, String), Arc<Part>>);

impl Rule {
    pub(crate) fn new(
        id: PolicyId,
        effect: Effect,
        clauses: &[Clause],
        known: &mut Parts,
    ) -> Result<Self, Box<pst::PstConstructionError>> {
        let sights = lint::sights(clauses);
        let reads = |name: &str| {
            sights.iter().any(|sight| match sight {
                Sight::Field(field) => field == name,
                Sight::WholeContext => true,
                Sight::Fact(_) | Sight::BaseAction(_) => false,
            })
        };
        let (reads_time, reads_params) = (reads("now"), reads("params"));
        let facts = sights.into_iter().filter_map(|sight| match sight {
            Sight::Fact(fact) => fact.parse().ok(),
            Sight::Field(_) | Sight::WholeContext | Sight::BaseAction(_) => None,
        });
        let parts = clauses.iter().flat_map(|clause| exprs(effect, clause));
        let parts = parts.map(|(blamed, expr)| known.part(blamed, expr)).collect::<Result<_, _>>()?;
        Ok(Self { id, effect, facts: facts.collect(), reads_time, reads_params, parts })
    }
}

impl Parts {
    fn part(&mut self, blamed: Blamed, expr: &Expr) -> Result<Arc<Part>, Box<pst::PstConstructionError>> {
        let key = (blamed, expr.to_string());
        if let Some(part) = self.0.get(&key) {
            return Ok(Arc::clone(part));
        }
        let part = Arc::new(Part { text: key.1.clone(), blamed, probe: probe(expr)? });
        self.0.insert(key, Arc::clone(&part));
        Ok(part)
    }
}

/// What a clause consists of, as far as it can be blamed.
fn exprs(effect: Effect, clause: &Clause) -> Vec<(Blamed, &Expr)> {
    let whole = lint::body(clause);
    match (effect, clause) {
        (Effect::Permit, Clause::Unless(_)) | (Effect::Forbid, Clause::When(_)) => vec![(Blamed::WhenItHolds, whole)],
        (Effect::Permit, Clause::When(_)) | (Effect::Forbid, Clause::Unless(_)) => {
            conjuncts(whole).into_iter().map(|expr| (Blamed::WhenItFails, expr)).collect()
        }
    }
}

fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let Expr::BinaryOp { op: BinaryOp::And, left, right } = expr else { return vec![expr] };
    let mut all = conjuncts(left);
    all.extend(conjuncts(right));
    all
}

fn probe(expr: &Expr) -> Result<PolicySet, Box<pst::PstConstructionError>> {
    let template = pst::Template::new(
        pst::PolicyID("part".into()),
        pst::Effect::Permit,
        pst::PrincipalConstraint::Any,
        pst::ActionConstraint::Any,
        pst::ResourceConstraint::Any,
    );
    let template = template.try_with_clauses([Clause::When(Arc::new(expr.clone()))]).map_err(Box::new)?;
    let policy = pst::StaticPolicy::try_from(template).map_err(|slot| Box::new(slot.into()))?;
    let mut probe = PolicySet::new();
    let added = probe.add(Policy::from_pst(pst::Policy::Static(policy)).map_err(Box::new)?);
    debug_assert!(added.is_ok(), "the first policy of a set collides with none");
    Ok(probe)
}
