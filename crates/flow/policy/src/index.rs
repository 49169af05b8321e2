//! Which policies can have a say on a question: found by their scopes, without looking at the others.
//!
//! A policy stands on the shelf of the one principal, group or kind that its scope names, at the action and the resource
//! that it names. A question looks at the shelves of its principal and of every group that it is in, and there at its
//! action and at its resource and all that is above it. So whatever a scope can match is met on the way, forbids and
//! policies that err too. What is met, Cedar evaluates whole, scope and conditions: a policy too many would cost time,
//! and only one too few could cost an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{EntityTypeName, EntityUid, Policy, PolicySet, PolicySetError};

use crate::crowd::fullest;
use crate::entity::Side;
use crate::rule::Rule;
use crate::scene::Scene;
use crate::scope::{Acts, Say, Scope, Term};
use crate::world::{ActKey, Place, PlaceKey, World};

/// The policies of a snapshot, by what their scopes speak of.
#[derive(Debug, Default)]
pub(crate) struct Index {
    buckets: Vec<Arc<Bucket>>,
    of_anybody: Shelf,
    of_kinds: BTreeMap<EntityTypeName, Shelf>,
    /// Of principals and groups.
    of_named: HashMap<EntityUid, Shelves>,
}

/// The policies with one scope, and with a say on the same questions.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) set: PolicySet,
    pub(crate) rules: Vec<Rule>,
    reads_time: bool,
    reads_params: bool,
}

/// The shelves of a principal or a group: about whoever is in it, and about those of one kind.
#[derive(Debug, Default)]
struct Shelves {
    of_anybody: Shelf,
    of_kinds: BTreeMap<EntityTypeName, Shelf>,
}

/// Buckets, in order of where they stand.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    slots: Vec<Slot>,
    /// The most policies that one question meets here.
    pub(crate) most: usize,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) at: Mark,
    say: Say,
    pub(crate) bucket: Arc<Bucket>,
}

/// Where on a shelf a bucket stands: at a spot, and there at an action, or at `None` for any.
pub(crate) type Mark = (Spot, Option<ActKey>);

/// Which resources a scope speaks of. The order keeps together on a shelf what one question looks at: a tree's keys follow
/// one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    Anywhere,
    Of(PlaceKey, Reach),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// One resource alone.
    At,
    /// It, and all below it.
    Under,
}

/// The policies that a question is put to, a set for each scope: none is put together for a request.
#[derive(Debug, Default)]
pub(crate) struct Candidates<'a> {
    pub(crate) sets: Vec<&'a PolicySet>,
    pub(crate) rules: Vec<&'a Rule>,
    /// Whether the time can matter to one of them.
    pub(crate) read_time: bool,
    /// Whether parameters can matter to one of them.
    pub(crate) read_params: bool,
}

impl Index {
    pub(crate) fn new(buckets: BTreeMap<(Scope, Say), Bucket>, world: &World) -> Self {
        let mut index = Self::default();
        let mut of_named: BTreeMap<EntityUid, Shelves> = BTreeMap::new();
        for ((scope, say), bucket) in buckets {
            let shelf = match scope.principal {
                Term::Any => &mut index.of_anybody,
                Term::Is(kind) => index.of_kinds.entry(kind).or_default(),
                // nothing but a group has members, so that for a principal there is nothing below `in`
                Term::Eq(uid) | Term::In(uid) => &mut of_named.entry(uid).or_default().of_anybody,
                Term::IsIn(kind, uid) => of_named.entry(uid).or_default().of_kinds.entry(kind).or_default(),
            };
            let (spot, bucket) = (spot(&scope.resource, world), Arc::new(bucket));
            let slots = acts(&scope.action, world).into_iter();
            shelf.slots.extend(slots.map(|act| Slot { at: (spot, act), say, bucket: Arc::clone(&bucket) }));
            index.buckets.push(bucket);
        }
        let own = std::iter::once(&mut index.of_anybody).chain(index.of_kinds.values_mut());
        own.chain(of_named.values_mut().flat_map(Shelves::all)).for_each(|shelf| shelf.close(world));
        index.of_named = of_named.into_iter().collect();
        index
    }

    /// The policies that can have a say on a question.
    pub(crate) fn candidates<'a>(&'a self, scene: &Scene<'_>) -> Candidates<'a> {
        let mut found = Candidates::default();
        for shelf in self.shelves(&scene.principal) {
            for spot in spots(&scene.place) {
                for act in [None, Some(scene.act.key)] {
                    let slots = shelf.run((spot, act)).iter();
                    slots.filter(|slot| slot.say.is_heard(scene.matter)).for_each(|slot| found.add(&slot.bucket));
                }
            }
        }
        found
    }

    /// The shelves that a principal's questions look at.
    pub(crate) fn shelves<'a>(&'a self, principal: &Side) -> impl Iterator<Item = &'a Shelf> {
        let kind = principal.uid.type_name();
        let named = std::iter::once(&principal.uid).chain(&principal.above).filter_map(|uid| self.of_named.get(uid));
        let of_named = named.flat_map(|shelves| std::iter::once(&shelves.of_anybody).chain(shelves.of_kinds.get(kind)));
        std::iter::once(&self.of_anybody).chain(self.of_kinds.get(kind)).chain(of_named)
    }

    /// Every policy, as its author wrote it.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.buckets.iter().flat_map(|bucket| bucket.set.policies())
    }

    /// Every principal and group that a scope names.
    pub(crate) fn named(&self) -> BTreeSet<&EntityUid> {
        // tidy: order cannot matter, they are put in order here
        self.of_named.keys().collect()
    }
}

impl Shelves {
    fn all(&mut self) -> impl Iterator<Item = &mut Shelf> {
        std::iter::once(&mut self.of_anybody).chain(self.of_kinds.values_mut())
    }
}

impl Bucket {
    pub(crate) fn add(&mut self, policy: Policy, rule: Rule) -> Result<(), Box<PolicySetError>> {
        self.set.add(policy).map_err(Box::new)?;
        self.reads_time |= rule.reads_time;
        self.reads_params |= rule.reads_params;
        self.rules.push(rule);
        Ok(())
    }
}

impl Shelf {
    /// All that stands here.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What stands at one mark.
    pub(crate) fn run(&self, at: Mark) -> &[Slot] {
        let (_, rest) = self.slots.split_at(self.slots.partition_point(|slot| slot.at < at));
        rest.split_at(rest.partition_point(|slot| slot.at == at)).0
    }

    /// Nothing comes to stand here any more.
    fn close(&mut self, world: &World) {
        self.slots.sort_by_key(|slot| slot.at);
        self.most = fullest(std::iter::once(&*self), world).0;
    }
}

impl<'a> Candidates<'a> {
    /// Their rules, in order of their ids.
    pub(crate) fn sorted(&self) -> Vec<&'a Rule> {
        let mut rules = self.rules.clone();
        rules.sort_by_key(|rule| &rule.id);
        rules
    }

    fn add(&mut self, bucket: &'a Bucket) {
        self.sets.push(&bucket.set);
        self.rules.extend(&bucket.rules);
        self.read_time |= bucket.reads_time;
        self.read_params |= bucket.reads_params;
    }
}

/// The spots from which a resource can be spoken of.
pub(crate) fn spots(place: &Place) -> impl Iterator<Item = Spot> {
    let above = place.lineage.iter().map(|key| Spot::Of(*key, Reach::Under));
    std::iter::once(Spot::Anywhere).chain(place.key.map(|key| Spot::Of(key, Reach::At))).chain(above)
}

fn spot(resource: &Term, world: &World) -> Spot {
    let key = resource.uid().and_then(|uid| world.place_key(uid));
    match (resource, key) {
        // a name that no question can have is met everywhere rather than nowhere: Cedar will see that it does not fit
        (Term::Any | Term::Is(_), _) | (_, None) => Spot::Anywhere,
        (Term::Eq(_), Some(key)) => Spot::Of(key, Reach::At),
        (Term::In(_) | Term::IsIn(..), Some(key)) => Spot::Of(key, Reach::Under),
    }
}

fn acts(action: &Acts, world: &World) -> Vec<Option<ActKey>> {
    let fits = |side: &Side| match action {
        Acts::Any => false,
        Acts::Eq(uid) => side.uid == *uid,
        Acts::In(uids) => uids.iter().any(|uid| side.is_in(uid)),
    };
    let all: Vec<_> = world.acts().filter(|(_, act)| fits(&act.side)).map(|(_, act)| Some(act.key)).collect();
    // for any action, and likewise for a name that no question can have
    if all.is_empty() { vec![None] } else { all }
}
