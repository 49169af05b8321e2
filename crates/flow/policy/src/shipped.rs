//! What every installation has, whatever its estate says: five policy packs and two resource trees.

use model::{Owner, PrincipalId, ResourceId, ServiceName, SpiffeId, Tier};

use crate::vocabulary::{PolicyFile, Resource, Tiers};

/// The group of those who operate an installation. Its members are the vocabulary's `operators`, and who has an operator's
/// certificate, told by the id: an estate that names it in a group or a principal adds nobody.
pub const OPERATORS: &str = "countersign-operators";

/// The group of gateways that run apart from their control plane. Its members are told by their ids; an estate that names
/// it in a group or a principal adds nobody.
pub const PLANES: &str = "countersign-planes";

/// The group of node agents. Its members are told by their ids, likewise.
pub const AGENTS: &str = "countersign-agents";

/// Where the SPIFFE IDs of gateways and other parts of the product are: no estate can declare one there.
pub const OWN: &str = "/countersign";

/// Where those of gateways are, each with its name behind it.
const GATEWAYS: &str = "/countersign/gateway/";

/// Where those of node agents are.
const AGENT_IDS: &str = "/countersign/agent/";

/// Roots of the built-in resource trees: no estate can declare a resource under them.
pub const ROOTS: &[&str] = &[COUNTERSIGN, PUBLIC];

/// Ids of shipped policies start with this, and no others do.
pub(crate) const PREFIX: &str = "countersign/";

/// Ids of local operators start with this.
const LOCAL: &str = "human:local:";

/// Ids of operators with a certificate start with this, and no others do: the source `operators` proves them alone, and
/// no estate can declare it.
const CERTIFIED: &str = "human:operators:";

const COUNTERSIGN: &str = "countersign";
const PUBLIC: &str = "public";
const ENROLMENT: &str = "countersign/enrolment";
const ATTESTATION: &str = "countersign/attestation";

/// What the product's own operations act on.
const OPERATED: &[&str] = &[
    COUNTERSIGN,
    ATTESTATION,
    ENROLMENT,
    "countersign/estate",
    "countersign/feed",
    "countersign/keys",
    "countersign/ledger",
    "countersign/nested",
    "countersign/planes",
    "countersign/svids",
    "countersign/workloads",
];

const OPERATED_TIERS: Tiers =
    Tiers { read: Tier::Routine, write: Tier::Sensitive, administer: Tier::Sensitive, effect: Tier::Sensitive };

/// At first contact there is nothing yet that a token could be bound to: its single use and its short life stand in for it.
const ENROLMENT_TIERS: Tiers = Tiers { effect: Tier::Routine, ..OPERATED_TIERS };

const PUBLIC_TIERS: Tiers =
    Tiers { read: Tier::Routine, write: Tier::Routine, administer: Tier::Routine, effect: Tier::Routine };

/// The shipped packs, read like an estate's policies.
pub(crate) fn packs() -> [PolicyFile; 5] {
    let pack = |name: &str, text: &str| PolicyFile { name: name.to_owned(), text: text.to_owned() };
    [
        pack("countersign/agents.cedar", include_str!("../../../../policy/packs/agents.cedar")),
        pack("countersign/nested.cedar", include_str!("../../../../policy/packs/nested.cedar")),
        pack("countersign/operators.cedar", include_str!("../../../../policy/packs/operators.cedar")),
        pack("countersign/planes.cedar", include_str!("../../../../policy/packs/planes.cedar")),
        pack("countersign/public.cedar", include_str!("../../../../policy/packs/public.cedar")),
    ]
}

/// The built-in resources, without the child that each service has under `public`: see [`public_of`].
pub(crate) fn resources() -> Vec<Resource> {
    let ids = OPERATED.iter().chain(&[PUBLIC]);
    ids.filter_map(|id| id.parse().ok()).map(built_in).collect()
}

/// The resource of a service's public operations, whatever the service is called.
pub(crate) fn public(id: &ResourceId) -> Option<Resource> {
    let service = id.as_str().strip_prefix(PUBLIC)?.strip_prefix('/')?;
    service.parse::<ServiceName>().ok()?;
    Some(built_in(id.clone()))
}

/// The resource of the public operations of one service.
pub(crate) fn public_of(service: &ServiceName) -> Option<Resource> {
    Some(built_in(format!("{PUBLIC}/{service}").parse().ok()?))
}

/// Whether `id` lies in the public tree, where no tier above routine is asked.
pub(crate) fn is_public(id: &ResourceId) -> bool {
    root(id) == PUBLIC
}

pub(crate) fn is_built_in(id: &ResourceId) -> bool {
    ROOTS.contains(&root(id))
}

fn root(id: &ResourceId) -> &str {
    id.as_str().split('/').next().unwrap_or_default()
}

fn built_in(id: ResourceId) -> Resource {
    let (tiers, sensitivity) = match id.as_str() {
        _ if is_public(&id) => (PUBLIC_TIERS, "public"),
        ENROLMENT | ATTESTATION => (ENROLMENT_TIERS, "restricted"),
        _ => (OPERATED_TIERS, "restricted"),
    };
    Resource { id, owner: owner(), tenant: None, sensitivity: sensitivity.to_owned(), tiers }
}

fn owner() -> Owner {
    #[expect(clippy::expect_used, reason = "a literal that the name parser accepts; every test run reads it")]
    COUNTERSIGN.parse().expect("a sound owner")
}

/// Whether this is the id of a part of the product.
pub fn is_part(id: &SpiffeId) -> bool {
    id.path().strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Groups of parts of the installation that run apart from control.
pub(crate) const PARTS: &[&str] = &[PLANES, AGENTS];

/// The group that a part of the installation is in: a gateway, or a node agent.
pub(crate) fn group_of_part(id: &PrincipalId) -> Option<&'static str> {
    let PrincipalId::Spiffe(id) = id else { return None };
    let lies_under = |prefix: &str| id.path().strip_prefix(prefix).is_some_and(|name| !name.is_empty());
    [(GATEWAYS, PLANES), (AGENT_IDS, AGENTS)].into_iter().find(|(prefix, _)| lies_under(prefix)).map(|(_, group)| group)
}

/// Whether this is an operator with a certificate.
pub(crate) fn is_certified(id: &PrincipalId) -> bool {
    match id {
        PrincipalId::Human(id) => id.as_str().starts_with(CERTIFIED),
        PrincipalId::Spiffe(_) | PrincipalId::Anonymous => false,
    }
}

/// Whether this can be the id of an operator.
pub(crate) fn is_operators_id(id: &str) -> bool {
    id.starts_with(LOCAL) || id.starts_with(CERTIFIED)
}

/// Whether a group's members are not for an estate to say.
pub(crate) fn is_shipped_group(name: &str) -> bool {
    name == OPERATORS || PARTS.contains(&name)
}

/// Whether a resource lies in the tree of the product's own operations.
pub(crate) fn is_operated(id: &str) -> bool {
    id.split('/').next() == Some(COUNTERSIGN)
}
