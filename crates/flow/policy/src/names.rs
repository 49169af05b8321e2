//! What an estate's policies may name, and what they may do with it.

use std::collections::BTreeSet;

use cedar_policy::{Effect, EntityUid, Policy};
use identity::Directory;
use model::{BaseAction, EnvironmentName, Fact, PrincipalId, PrincipalKind};

use crate::cause::{Cause, nearest};
use crate::lint::Sight;
use crate::scan::Statement;
use crate::vocabulary::Vocabulary;
use crate::world::World;

/// The annotation that says of which environment a policy is, where an estate has several.
pub(crate) const ENVIRONMENT: &str = "environment";

/// Everything that is declared.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) world: &'a World,
    pub(crate) directory: &'a Directory,
}

impl Names<'_> {
    /// Whether a policy is of the environment that is compiled, and not of another one.
    ///
    /// # Errors
    /// Why that is not plain.
    pub(crate) fn is_own(&self, policy: &Policy) -> Result<bool, Cause> {
        let Vocabulary { environment: own, other_environments: others, .. } = self.vocabulary;
        let known: BTreeSet<&str> = others.iter().chain(own).map(EnvironmentName::as_str).collect();
        match policy.annotation(ENVIRONMENT) {
            None if others.is_empty() => Ok(true),
            None => {
                let written = |name: &&str| format!("`@{ENVIRONMENT}(\"{name}\")`");
                Err(Cause::EnvironmentMissing { known: known.iter().map(written).collect() })
            }
            Some(said) if said.trim().is_empty() => Err(Cause::AnnotationEmpty { name: ENVIRONMENT.to_owned() }),
            Some(said) if known.contains(said) => Ok(own.as_ref().is_some_and(|own| own.as_str() == said)),
            Some(said) => {
                let nearest = nearest(said, known).map(str::to_owned);
                Err(Cause::EnvironmentUnknown { name: said.escape_debug().to_string(), nearest })
            }
        }
    }

    /// Why an estate's policy may not do what was seen.
    pub(crate) fn sight(&self, sight: Sight, effect: Effect, statement: &Statement<'_>) -> Option<(usize, Cause)> {
        let start = statement.at;
        match sight {
            Sight::Field(field) if field == "protocol" && effect == Effect::Permit => {
                let at = statement.path(["context", "protocol"]).or_else(|| statement.word("protocol"));
                Some((at.unwrap_or(start), Cause::ProtocolInPermit))
            }
            Sight::Field(_) => None,
            Sight::WholeContext => Some((statement.word("context").unwrap_or(start), Cause::WholeContext)),
            Sight::BaseAction(base) => Some(base_action(statement, base)),
            Sight::Fact(fact) => {
                let known = |name: &str| self.facts().any(|fact| fact == name);
                if known(&fact) {
                    return None;
                }
                let nearest = nearest(&fact, self.facts()).map(ToOwned::to_owned);
                Some((statement.literal(&fact).unwrap_or(start), Cause::UnknownFact { fact, nearest }))
            }
        }
    }

    /// Why an estate's policy may not name an entity.
    pub(crate) fn unnamed(&self, uid: &EntityUid) -> Option<Cause> {
        let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
        let written = |id: &str| format!("{kind}::\"{id}\"");
        let undeclared = |nearest: Option<String>| Some(Cause::Undeclared { uid: uid.to_string(), nearest });
        match kind.as_str() {
            "Action" if id.parse().is_ok_and(|id| self.world.act(&id).is_some()) => None,
            "Action" => undeclared(nearest(id, self.world.acts().map(|(action, _)| action.as_str())).map(written)),
            "Group" if self.world.has_group(id) => None,
            "Group" => undeclared(nearest(id, self.world.groups()).map(written)),
            // any `public/…` can be asked about, but a policy that names one means a service that there is
            "Resource" if self.world.place_key(uid).is_some() => None,
            "Resource" => undeclared(nearest(id, self.resources()).map(written)),
            "Params" => Some(Cause::NamedParams { uid: uid.to_string() }),
            // an unknown type is for the validator to refuse
            _ => self.principal(kind.parse().ok()?, id).and_then(undeclared),
        }
    }

    /// `None` for a declared principal, else the same id as another kind of principal, if that is declared.
    fn principal(&self, kind: PrincipalKind, id: &str) -> Option<Option<String>> {
        let Ok(parsed) = id.parse::<PrincipalId>() else { return Some(None) };
        let known = |kind: PrincipalKind| match (kind, &parsed) {
            (PrincipalKind::Anonymous, PrincipalId::Anonymous) => true,
            (PrincipalKind::Anonymous, _) | (_, PrincipalId::Anonymous) => false,
            (kind, id) => self.directory.principal(id).is_some_and(|principal| principal.kind == kind),
        };
        if known(kind) {
            return None;
        }
        let other = PrincipalKind::ALL.iter().copied().find(|kind| known(*kind));
        Some(other.map(|kind| format!("{kind}::\"{id}\"")))
    }

    fn resources(&self) -> impl Iterator<Item = &str> {
        self.world.places().map(|place| place.resource.id.as_str())
    }

    fn facts(&self) -> impl Iterator<Item = &str> {
        self.vocabulary.facts.iter().map(Fact::as_str).chain(Fact::BUILT_IN.iter().copied())
    }
}

/// A base action compared by equality.
pub(crate) fn base_action(statement: &Statement<'_>, base: BaseAction) -> (usize, Cause) {
    let literal = format!("\"{base}\"");
    let at = statement.uid(|name, id| name == "Action" && id == literal);
    (at.unwrap_or(statement.at), Cause::BaseActionEquals { action: base.to_string() })
}
