//! Everything that a question can be about, as Cedar sees it: actions, resources, groups, and the proof that each pair
//! demands. Made once a snapshot, so that a question finds what it names ready.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Entities, Entity, EntityUid, Schema};
use model::{ActionName, BaseAction, GroupName, PrincipalId, PrincipalKind, ResourceId, Risk, Tier};

use crate::entity::{BadEntity, Side, field, text};
use crate::schema::Types;
use crate::shipped;
use crate::vocabulary::{Resource, Vocabulary};

/// An estate's declarations and the built-in ones, ready to be asked about.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) types: Types,
    acts: BTreeMap<ActionName, Act>,
    places: Vec<Place>,
    /// Where each resource is found in `places`.
    keys: HashMap<ResourceId, PlaceKey>,
    /// Each group with every group that it is in, itself first.
    groups: HashMap<GroupName, Vec<EntityUid>>,
    operators: BTreeSet<PrincipalId>,
    risk_floor: BTreeMap<Risk, Tier>,
}

/// An action.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) key: ActKey,
    /// The base action that it is, or is in.
    pub(crate) base: BaseAction,
    pub(crate) side: Side,
    /// What Cedar has to know of it: of a base action nothing, since that is in no other.
    pub(crate) entity: Option<Entity>,
}

/// A resource.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) resource: Resource,
    pub(crate) side: Side,
    /// Its own key, and that of every declared resource above it. One that an estate does not declare has no key.
    pub(crate) key: Option<PlaceKey>,
    pub(crate) lineage: Vec<PlaceKey>,
    /// The resource alone, to which each question adds what else there is.
    pub(crate) entities: Entities,
}

/// Stands for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActKey(u32);

/// Stands for a declared resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceKey(usize);

impl World {
    /// # Errors
    /// [`BadEntity`] if a resource does not fit the schema.
    pub(crate) fn new(vocabulary: &Vocabulary, schema: &Schema) -> Result<Self, BadEntity> {
        let types = Types::new();
        let resources = resources(vocabulary);
        let keys: HashMap<ResourceId, PlaceKey> = resources.keys().cloned().zip((0..).map(PlaceKey)).collect();
        let mut places = Vec::new();
        for resource in resources.into_values() {
            let place = Place::new(resource, &types, |id| keys.get(id).copied())?;
            // a question's entities are not checked again: this one is as it is checked here, and of the others only the
            // texts differ from one question to the next
            let entity = place.entities.iter().cloned();
            Entities::from_entities(entity, Some(schema)).map_err(Box::new)?;
            places.push(place);
        }
        Ok(Self {
            acts: acts(vocabulary, &types)?,
            places,
            keys,
            groups: closures(vocabulary, &types),
            operators: vocabulary.operators.iter().cloned().collect(),
            risk_floor: vocabulary.risk_floor.clone(),
            types,
        })
    }

    pub(crate) fn act(&self, action: &ActionName) -> Option<&Act> {
        self.acts.get(action)
    }

    pub(crate) fn place(&self, id: &ResourceId) -> Option<Cow<'_, Place>> {
        if let Some(place) = self.keys.get(id).and_then(|key| self.place_at(*key)) {
            return Some(Cow::Borrowed(place));
        }
        let place = Place::new(shipped::public(id)?, &self.types, |id| self.keys.get(id).copied());
        place.ok().map(Cow::Owned)
    }

    /// The proof that an action on a resource demands of a principal of this risk.
    pub(crate) fn tier(&self, risk: Risk, base: BaseAction, resource: &Resource) -> Tier {
        let asked = resource.tiers.of(base);
        if shipped::is_public(&resource.id) {
            return asked;
        }
        asked.max(self.risk_floor.get(&risk).copied().unwrap_or(Tier::Routine))
    }

    /// A principal with every group that it is in, whether directly or through another group.
    ///
    /// A group that is not declared is left out: no policy can name it.
    pub(crate) fn principal(&self, kind: PrincipalKind, id: &PrincipalId, groups: &[GroupName]) -> Side {
        let mut above = self.all_groups(kind, groups);
        // INVARIANT: nothing else makes an operator or a part; an estate's word for their groups was left out in `closures`
        if self.is_operator(id) {
            above.push(self.types.group(shipped::OPERATORS));
        }
        above.extend(shipped::group_of_part(id).map(|group| self.types.group(group)));
        Side { uid: self.types.principal(kind, id.as_str()), above }
    }

    /// Some principal in some groups, whom no policy names: no id is empty.
    pub(crate) fn member(&self, kind: PrincipalKind, groups: &[GroupName]) -> Side {
        Side { uid: self.types.principal(kind, ""), above: self.all_groups(kind, groups) }
    }

    /// Some gateway and some node agent of the installation, whom no policy names.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Side> {
        let some = |group: &&str| {
            let uid = self.types.principal(PrincipalKind::Workload, "");
            Side { uid, above: vec![self.types.group(group)] }
        };
        shipped::PARTS.iter().map(some)
    }

    /// Some operator with a certificate, whom no policy names.
    pub(crate) fn certified(&self) -> Side {
        Side { uid: self.types.principal(PrincipalKind::Human, ""), above: vec![self.types.group(shipped::OPERATORS)] }
    }

    pub(crate) fn is_operator(&self, id: &PrincipalId) -> bool {
        self.operators.contains(id) || shipped::is_certified(id)
    }

    pub(crate) fn operators(&self) -> impl Iterator<Item = &PrincipalId> {
        self.operators.iter()
    }

    /// In order of their keys.
    pub(crate) fn acts(&self) -> impl Iterator<Item = (&ActionName, &Act)> {
        self.acts.iter()
    }

    /// In order of their keys.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// The key of a declared resource.
    pub(crate) fn place_key(&self, uid: &EntityUid) -> Option<PlaceKey> {
        let id: ResourceId = uid.id().unescaped().parse().ok()?;
        self.keys.get(&id).copied()
    }

    pub(crate) fn place_at(&self, key: PlaceKey) -> Option<&Place> {
        self.places.get(key.0)
    }

    pub(crate) fn has_group(&self, name: &str) -> bool {
        name.parse().is_ok_and(|name: GroupName| self.groups.contains_key(&name)) || shipped::is_shipped_group(name)
    }

    fn all_groups(&self, kind: PrincipalKind, groups: &[GroupName]) -> Vec<EntityUid> {
        if kind == PrincipalKind::Anonymous {
            return Vec::new();
        }
        let mut all: Vec<_> = groups.iter().filter_map(|name| self.groups.get(name)).flatten().cloned().collect();
        if groups.len() > 1 {
            all.sort();
            all.dedup();
        }
        all
    }

    /// In no order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        // tidy: order cannot matter, the nearest name is looked for
        self.groups.keys().map(GroupName::as_str).chain([shipped::OPERATORS]).chain(shipped::PARTS.iter().copied())
    }
}

impl Place {
    fn new(
        resource: Resource,
        types: &Types,
        key: impl Fn(&ResourceId) -> Option<PlaceKey>,
    ) -> Result<Self, BadEntity> {
        let above = resource.id.and_ancestors().skip(1).map(|id| types.resource(id.as_str()));
        let side = Side { uid: types.resource(resource.id.as_str()), above: above.collect() };
        let mut attributes =
            vec![field("owner", text(resource.owner.as_str())), field("sensitivity", text(&resource.sensitivity))];
        attributes.extend(resource.tenant.iter().map(|tenant| field("tenant", text(tenant))));
        let entities = Entities::from_entities([side.entity(attributes)?], None).map_err(Box::new)?;
        let lineage = resource.id.and_ancestors().filter_map(|id| key(&id)).collect();
        Ok(Self { key: key(&resource.id), lineage, side, entities, resource })
    }
}

/// Declared and built-in resources.
fn resources(vocabulary: &Vocabulary) -> BTreeMap<ResourceId, Resource> {
    let declared = vocabulary.resources.iter().filter(|resource| !shipped::is_built_in(&resource.id)).cloned();
    let public = vocabulary.services.iter().filter_map(shipped::public_of);
    declared.chain(shipped::resources()).chain(public).map(|resource| (resource.id.clone(), resource)).collect()
}

fn acts(vocabulary: &Vocabulary, types: &Types) -> Result<BTreeMap<ActionName, Act>, BadEntity> {
    let mut bases = vocabulary.actions.clone();
    bases.extend(BaseAction::ALL.iter().map(|base| (ActionName::from(*base), *base)));
    let keyed = bases.into_iter().zip((0..).map(ActKey));
    let act = |((name, base), key): ((ActionName, BaseAction), ActKey)| {
        let above = name.base().is_none().then(|| types.action(base.as_str()));
        let side = Side { uid: types.action(name.as_str()), above: above.into_iter().collect() };
        let entity = (!side.above.is_empty()).then(|| side.entity(Vec::new())).transpose()?;
        Ok((name, Act { key, base, side, entity }))
    };
    keyed.map(act).collect()
}

fn is_shipped(name: &GroupName) -> bool {
    shipped::is_shipped_group(name.as_str())
}

fn closures(vocabulary: &Vocabulary, types: &Types) -> HashMap<GroupName, Vec<EntityUid>> {
    let mut parents: BTreeMap<&GroupName, Vec<&GroupName>> = BTreeMap::new();
    // tidy: order cannot matter, it is that of a list
    for group in vocabulary.groups.iter().filter(|group| !is_shipped(&group.name)) {
        parents.entry(&group.name).or_default().extend(group.parents.iter().filter(|name| !is_shipped(name)));
    }
    let closure = |name: &GroupName| {
        let mut found = vec![name];
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for parent in parents.get(name).into_iter().flatten() {
                if !found.contains(parent) {
                    found.push(parent);
                    open.push(parent);
                }
            }
        }
        found.into_iter().map(|name| types.group(name.as_str())).collect()
    };
    parents.keys().map(|name| ((*name).clone(), closure(name))).collect()
}
