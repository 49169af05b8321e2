//! What an estate declares that policies may speak of.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    ActionName, BaseAction, EnvironmentName, Fact, GroupName, Owner, PrincipalId, ResourceId, Risk, ServiceName, Tier,
};

/// A named set of principals and other groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: GroupName,
    /// Groups that this one is a member of.
    pub parents: Vec<GroupName>,
}

/// The tier of each base action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiers {
    pub read: Tier,
    pub write: Tier,
    pub administer: Tier,
    pub effect: Tier,
}

/// One resource with everything it inherited: the loader has walked its tree, strictest tier wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub id: ResourceId,
    pub owner: Owner,
    pub tenant: Option<String>,
    pub sensitivity: String,
    pub tiers: Tiers,
}

/// A `.cedar` file: its name for messages, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    pub name: String,
    pub text: String,
}

/// Everything that an estate's policies may name.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The environment whose policies are compiled.
    pub environment: Option<EnvironmentName>,
    /// The environments beside it. Their policies are theirs alone: they are not looked at, whatever they name.
    pub other_environments: BTreeSet<EnvironmentName>,
    /// Declared members of base actions.
    pub actions: BTreeMap<ActionName, BaseAction>,
    pub groups: Vec<Group>,
    pub resources: Vec<Resource>,
    /// Facts that sources establish; built-in ones need no declaration.
    pub facts: Vec<Fact>,
    /// Tier that a principal's risk demands at least.
    pub risk_floor: BTreeMap<Risk, Tier>,
    /// Who may operate this installation over its control socket: members of the shipped group, beside those with a
    /// certificate.
    pub operators: Vec<PrincipalId>,
    /// Services, whose public operations ask for `public/<service>`.
    pub services: Vec<ServiceName>,
    pub max_candidates: MaxCandidates,
}

/// How many policies one question may be put to: an estate in which it could be more does not load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxCandidates(pub usize);

/// Why a policy does not load, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub suggestion: Option<String>,
}

impl Default for MaxCandidates {
    /// At about 2 µs each a decision stays far below a millisecond.
    fn default() -> Self {
        Self(64)
    }
}

impl Tiers {
    pub const fn of(&self, action: BaseAction) -> Tier {
        match action {
            BaseAction::Read => self.read,
            BaseAction::Write => self.write,
            BaseAction::Administer => self.administer,
            BaseAction::Effect => self.effect,
        }
    }
}
