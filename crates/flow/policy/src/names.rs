//! What an estate's policies may name, and what they may do with it.

use cedar_policy::{Effect, EntityUid};
use model::{BaseAction, Fact, PrincipalId, PrincipalKind};

use crate::cause::{Cause, nearest};
use crate::lint::Sight;
use crate::scan::Statement;
use crate::shipped;
use crate::vocabulary::{Declared, Vocabulary};
use crate::world::World;

/// Everything that is declared.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) world: &'a World,
    pub(crate) declared: Declared<'a>,
}

impl Names<'_> {
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
            "Action" if id.parse().is_ok_and(|id| self.world.base(&id).is_some()) => None,
            "Action" => undeclared(nearest(id, self.world.actions().map(|action| action.as_str())).map(written)),
            "Group" if self.groups().any(|name| name == id) => None,
            "Group" => undeclared(nearest(id, self.groups()).map(written)),
            "Resource" if self.has_resource(id) => None,
            "Resource" => undeclared(nearest(id, self.world.resources().map(|id| id.as_str())).map(written)),
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
            (kind, id) => (self.declared)(kind, id),
        };
        if known(kind) {
            return None;
        }
        let other = PrincipalKind::ALL.iter().copied().find(|kind| known(*kind));
        Some(other.map(|kind| format!("{kind}::\"{id}\"")))
    }

    fn has_resource(&self, id: &str) -> bool {
        let Ok(id) = id.parse() else { return false };
        // any `public/…` can be asked about, but a policy that names one means a service that there is
        let service = |id: &str| self.vocabulary.services.iter().any(|service| id == format!("public/{service}"));
        self.world.resources().any(|known| *known == id) || service(id.as_str())
    }

    fn groups(&self) -> impl Iterator<Item = &str> {
        self.vocabulary.groups.iter().map(|group| group.name.as_str()).chain([shipped::OPERATORS])
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
