//! How many policies one question can be put to, at most. Counted when a snapshot is made, over every question that the
//! estate makes possible, so that an estate in which a decision would be slow does not come into force.
//!
//! Who can ask is everybody that the directory knows: each set of groups that somebody is in, and each principal that a
//! scope names. The most that one of them can meet is found in two steps. The most on each of its shelves, added up, is
//! never too low, since no question meets more of a shelf; it is known at once, and nearly always small enough. Only where
//! it is not are the shelves counted together, which is exact, if dearer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::EntityUid;
use identity::Directory;
use model::{GroupName, PolicyId, PrincipalKind};

use crate::entity::Side;
use crate::explain::listed;
use crate::index::{Index, Mark, Shelf, Spot, spots};
use crate::world::{ActKey, Place, World};

/// Policies that meet on one question, and on whose.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Who asks for what.
    pub(crate) question: String,
    /// In order.
    pub(crate) ids: Vec<PolicyId>,
}

/// Who asks.
#[derive(Debug)]
enum Asker {
    Named(EntityUid),
    Member { kind: PrincipalKind, groups: Vec<GroupName> },
}

/// The most policies that a question can meet.
///
/// # Errors
/// The largest [`Crowd`] of more than `limit`.
pub(crate) fn most(index: &Index, world: &World, directory: &Directory, limit: usize) -> Result<usize, Crowd> {
    let (mut most, mut largest) = (0, None::<Crowd>);
    for (asker, side) in askers(index, world, directory) {
        let mut met: usize = index.shelves(&side).map(|shelf| shelf.most).sum();
        if met > limit {
            let (exactly, mark) = fullest(index.shelves(&side), world);
            met = exactly;
            if met > limit.max(largest.as_ref().map_or(0, |crowd| crowd.ids.len())) {
                largest = Some(crowd(asker, mark, index.shelves(&side), world));
            }
        }
        most = most.max(met);
    }
    largest.map_or(Ok(most), Err)
}

/// The most policies of some shelves that one question meets, and at which mark it is.
pub(crate) fn fullest<'a>(shelves: impl Iterator<Item = &'a Shelf>, world: &World) -> (usize, Mark) {
    let mut standing: BTreeMap<Mark, usize> = BTreeMap::new();
    for slot in shelves.flat_map(Shelf::slots) {
        *standing.entry(slot.at).or_default() += slot.bucket.rules.len();
    }
    let acts: BTreeSet<Option<ActKey>> = standing.keys().map(|(_, act)| *act).collect();
    // a question at any other mark meets no more than the one at the nearest of these
    let marks = standing.keys().flat_map(|(spot, act)| match act {
        Some(_) => vec![(*spot, *act)],
        None => acts.iter().map(|act| (*spot, *act)).collect(),
    });
    let met = |mark| looked_at(mark, world).iter().filter_map(|mark| standing.get(mark)).sum::<usize>();
    let met = marks.map(|mark| (met(mark), Reverse(mark))).max();
    met.map_or((0, (Spot::Anywhere, None)), |(met, Reverse(mark))| (met, mark))
}

/// Everybody who can meet more, or other, policies than somebody else.
fn askers(index: &Index, world: &World, directory: &Directory) -> Vec<(Asker, Side)> {
    let mut askers = Vec::new();
    let nobody = (PrincipalKind::Anonymous, Vec::new().into());
    for (kind, groups) in directory.memberships().into_iter().chain([nobody]) {
        askers.push((Asker::Member { kind, groups: groups.to_vec() }, world.member(kind, &groups)));
    }
    let named = index.named().into_iter().filter_map(|uid| uid.id().unescaped().parse().ok());
    let named = named.filter_map(|id| directory.principal(&id));
    let named = named.map(|principal| world.principal(principal.kind, &principal.id, &principal.groups));
    // the installation itself says who operates it, so that no directory has to know them
    let operators = world.operators().map(|id| match directory.principal(id) {
        Some(principal) => world.principal(principal.kind, id, &principal.groups),
        None => world.principal(PrincipalKind::Human, id, &[]),
    });
    askers
        .extend(world.parts().map(|part| (Asker::Member { kind: PrincipalKind::Workload, groups: Vec::new() }, part)));
    askers.push((Asker::Member { kind: PrincipalKind::Human, groups: Vec::new() }, world.certified()));
    askers.extend(named.chain(operators).map(|side| (Asker::Named(side.uid.clone()), side)));
    askers
}

fn crowd<'a>(asker: Asker, mark: Mark, shelves: impl Iterator<Item = &'a Shelf>, world: &World) -> Crowd {
    let marks = looked_at(mark, world);
    let slots = shelves.flat_map(|shelf| marks.iter().flat_map(|mark| shelf.run(*mark)));
    let mut ids: Vec<PolicyId> = slots.flat_map(|slot| slot.bucket.rules.iter().map(|rule| rule.id.clone())).collect();
    ids.sort();
    let action = world.acts().find(|(_, act)| Some(act.key) == mark.1).map(|(name, _)| format!("`{name}`"));
    let resource = place(mark.0, world).map(|place| format!("`{}`", place.resource.id));
    let (action, resource) = (action.as_deref().unwrap_or("any action"), resource.as_deref().unwrap_or("any resource"));
    Crowd { question: format!("{asker} asking for {action} on {resource}"), ids }
}

/// Every mark that a question at `mark` looks at.
fn looked_at((spot, act): Mark, world: &World) -> Vec<Mark> {
    let spots = place(spot, world).map_or_else(|| vec![Spot::Anywhere], |place| spots(place).collect());
    let acts = std::iter::once(None).chain(act.map(Some));
    acts.flat_map(|act| spots.iter().map(move |spot| (*spot, act))).collect()
}

fn place(spot: Spot, world: &World) -> Option<&Place> {
    match spot {
        Spot::Anywhere => None,
        Spot::Of(key, _) => world.place_at(key),
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(uid) => write!(f, "`{uid}`"),
            Self::Member { kind, groups } if groups.is_empty() => write!(f, "any `{kind}`"),
            Self::Member { kind, groups } => write!(f, "a `{kind}` in {}", listed(groups)),
        }
    }
}
