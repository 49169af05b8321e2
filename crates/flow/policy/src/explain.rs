//! Why the answer is no, and the least that would make it yes. Runs on refusals only.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use model::{Fact, PolicyId};

use crate::answer::{Answer, Holds, ask, holds};
use crate::case::Case;
use crate::index::Candidates;
use crate::rule::{Blamed, Part, Rule};

/// More facts than this are not tried; with [`MAX_SET`] at most 92 sets are.
const MAX_FACTS: usize = 8;
/// Largest set of facts that is tried.
const MAX_SET: usize = 3;
/// Permits that a reason names.
const MAX_NAMED: usize = 5;
/// Characters of a condition that a reason shows.
const MAX_SHOWN: usize = 200;

/// The smallest set of facts, not yet proved, with which the policies would permit; empty where none is found.
///
/// Only the candidates take part: no other policy can change the answer.
pub(crate) fn missing(candidates: &Candidates<'_>, case: &Case<'_>) -> Vec<Fact> {
    let asked_for: BTreeSet<&Fact> = candidates.rules.iter().flat_map(|rule| &rule.facts).collect();
    let unproved: Vec<&Fact> = asked_for.into_iter().filter(|fact| !case.evidence().contains(*fact)).collect();
    if unproved.len() > MAX_FACTS {
        return Vec::new();
    }
    let suffices = |facts: &[&Fact]| {
        let mut evidence = case.evidence().clone();
        evidence.extend(facts.iter().copied().cloned());
        matches!(ask(&candidates.sets, case, &evidence), Ok(Answer::Permitted(_)))
    };
    let found = (1..=MAX_SET).flat_map(|size| subsets(&unproved, size)).find(|facts| suffices(facts));
    found.into_iter().flatten().cloned().collect()
}

/// Why no permit applies: the nearest ones, and what each failed on.
pub(crate) fn no_permit(candidates: &Candidates<'_>, case: &Case<'_>) -> String {
    let permits: Vec<_> = candidates.sorted().into_iter().filter(|rule| rule.effect == Effect::Permit).collect();
    if permits.is_empty() {
        let (kind, action) = (case.scene.principal.uid.type_name(), case.scene.act.side.uid.id().unescaped());
        return format!("no policy lets this {kind} `{action}` `{}`", case.scene.place.resource.id);
    }
    let named: Vec<_> =
        permits.iter().take(MAX_NAMED).map(|rule| format!("`{}` would, but {}", rule.id, blame(rule, case))).collect();
    let more = permits.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("no policy permits this: {}{more}", named.join("; "))
}

/// What made the forbids fire.
pub(crate) fn forbidden(candidates: &Candidates<'_>, forbids: &[PolicyId], case: &Case<'_>) -> String {
    let fired = candidates.sorted().into_iter().filter(|rule| forbids.contains(&rule.id)).take(MAX_NAMED);
    let named: Vec<_> = fired
        .map(|rule| match rule.parts.is_empty() {
            true => format!("`{}`, which has no condition", rule.id),
            false => format!("`{}`, because {}", rule.id, blame(rule, case)),
        })
        .collect();
    format!("forbidden by {}", named.join("; "))
}

/// Names in backticks, with commas between.
pub(crate) fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The parts of a policy's conditions that are to blame.
fn blame(rule: &Rule, case: &Case<'_>) -> String {
    let mut blamed = Vec::new();
    for part in &rule.parts {
        let verb = match (part.blamed, holds(&part.probe, case)) {
            (Blamed::WhenItHolds, Holds::Yes) => "holds",
            (Blamed::WhenItFails, Holds::No) => "does not hold",
            // a later conjunct may rest on an earlier one, `principal has tenant && principal.tenant == …`
            (Blamed::WhenItHolds, Holds::No | Holds::Unknown) | (Blamed::WhenItFails, Holds::Yes | Holds::Unknown) => {
                continue;
            }
        };
        blamed.push(format!("`{}` {verb}", shortened(part)));
    }
    blamed.join(" and ")
}

fn shortened(part: &Part) -> String {
    match part.text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", part.text.get(..end).unwrap_or_default()),
        None => part.text.clone(),
    }
}

/// Every subset of `items` with exactly `size` members, in order.
fn subsets<'a, T>(items: &[&'a T], size: usize) -> Vec<Vec<&'a T>> {
    let Some(less) = size.checked_sub(1) else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let later = items.get(index + 1..).unwrap_or_default();
        all.extend(subsets(later, less).into_iter().map(|mut rest| {
            rest.insert(0, *first);
            rest
        }));
    }
    all
}
