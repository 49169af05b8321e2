//! An estate of any size: teams with ten policies each, all unlike in scope, and the questions that their callers ask.

use std::collections::{BTreeMap, BTreeSet};

use identity::{Directory, Principal};
use model::{BaseAction, Fact, PrincipalKind, Risk, Tier};
use policy::{Facts, Group, PolicyFile, Question, Resource, Tiers, Vocabulary};

/// Policies of one team: exact, by group, by attribute, forbids.
pub const POLICIES_A_TEAM: usize = 10;

/// Teams in one file: far below the largest size of a file.
const TEAMS_A_FILE: usize = 100;

/// Teams that call all the time.
const BUSY: usize = 20;

/// Teams that call now and then: what their decisions read is in no cache any more.
const RARE: usize = 2_000;

pub struct Estate {
    pub vocabulary: Vocabulary,
    pub directory: Directory,
    pub files: Vec<PolicyFile>,
    /// Questions of teams that call all the time: allowed, and refused.
    pub allowed: Vec<Asked>,
    pub refused: Vec<Asked>,
    /// Questions of many more teams, allowed.
    pub rare: Vec<Asked>,
}

/// One question, and who asks with what proved.
pub struct Asked {
    pub principal: Principal,
    pub question: Question,
    pub evidence: BTreeSet<Fact>,
    pub expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Allowed,
    Refused,
}

impl Asked {
    pub fn facts(&self) -> Facts<'_> {
        let at = "2026-11-24T04:00:00.000000Z".parse().unwrap();
        Facts { principal: &self.principal, evidence: self.evidence.clone(), question: &self.question, at }
    }
}

/// An estate with so many policies.
pub fn of(policies: usize) -> Estate {
    let teams = policies / POLICIES_A_TEAM;
    let vocabulary = Vocabulary {
        actions: BTreeMap::from([("refund".parse().unwrap(), BaseAction::Effect)]),
        groups: (0..teams).map(|team| Group { name: team_name(team).parse().unwrap(), parents: Vec::new() }).collect(),
        resources: (0..teams).flat_map(resources).collect(),
        ..Vocabulary::default()
    };
    let people = (0..teams).flat_map(|team| [api(team), agent(team), human(team)]);
    let directory = Directory::new(people.map(|principal| (principal, Vec::new())), Vec::new()).unwrap();
    let numbers: Vec<usize> = (0..teams).collect();
    let files = numbers.chunks(TEAMS_A_FILE).map(|teams| PolicyFile {
        name: format!("teams-{}.cedar", teams[0]),
        text: teams.iter().map(|team| policies_of(*team)).collect(),
    });
    // by a prime that divides no number of teams here, so that each is asked about, and neighbours lie far apart
    let some = |of: &[Each], most: usize| -> Vec<Asked> {
        let asked = (0..teams.min(most)).map(|n| (n * 7919) % teams);
        of.iter().flat_map(|each| asked.clone().map(|team| each.of(team))).collect()
    };
    Estate {
        vocabulary,
        directory,
        files: files.collect(),
        allowed: some(ALLOWED, BUSY),
        refused: some(REFUSED, BUSY),
        rare: some(ALLOWED, RARE),
    }
}

fn team_name(team: usize) -> String {
    format!("team-{team}")
}

fn resources(team: usize) -> [Resource; 3] {
    let tiers = Tiers { read: Tier::Routine, write: Tier::Routine, administer: Tier::Routine, effect: Tier::Routine };
    let resource = |id: String, sensitivity: &str| Resource {
        id: id.parse().unwrap(),
        owner: team_name(team).parse().unwrap(),
        tenant: Some(team_name(team)),
        sensitivity: sensitivity.to_owned(),
        tiers,
    };
    let name = team_name(team);
    [
        resource(name.clone(), "internal"),
        resource(format!("{name}/items"), "internal"),
        resource(format!("{name}/items/export"), "restricted"),
    ]
}

fn principal(team: usize, kind: PrincipalKind, id: String, groups: &[String]) -> Principal {
    Principal {
        id: id.parse().unwrap(),
        kind,
        owner: team_name(team).parse().unwrap(),
        purpose: "does what the team does".to_owned(),
        tenant: Some(team_name(team)),
        risk: Risk::Low,
        expires: None,
        groups: groups.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

fn api(team: usize) -> Principal {
    let id = format!("spiffe://bench.test/team-{team}/api");
    principal(team, PrincipalKind::Workload, id, &[team_name(team)])
}

fn agent(team: usize) -> Principal {
    principal(team, PrincipalKind::Agent, format!("spiffe://bench.test/team-{team}/agent"), &[])
}

fn human(team: usize) -> Principal {
    principal(team, PrincipalKind::Human, format!("human:people:{team}"), &[team_name(team)])
}

fn policies_of(team: usize) -> String {
    let (api, agent) = (api(team).id, agent(team).id);
    let team = team_name(team);
    let (api, agent) = (format!("Workload::\"{api}\""), format!("Agent::\"{agent}\""));
    let (group, tree) = (format!("Group::\"{team}\""), format!("Resource::\"{team}\""));
    let (items, export) = (format!("Resource::\"{team}/items\""), format!("Resource::\"{team}/items/export\""));
    let (read, write) = ("action in Action::\"read\"", "action in [Action::\"read\", Action::\"write\"]");
    let proved = |fact: &str| format!("context.evidence.contains(\"{fact}\")");
    let (bound, task) = (proved("sender_bound"), proved("task_capability"));
    let same_tenant = "principal has tenant && resource has tenant && principal.tenant == resource.tenant";
    let policies: [String; POLICIES_A_TEAM] = [
        format!("permit (principal == {api}, {read}, resource in {items});"),
        format!("permit (principal == {api}, {write}, resource in {tree});"),
        format!("permit (principal in {group}, {read}, resource in {tree});"),
        format!("permit (principal is Workload in {group}, {write}, resource in {items}) when {{ {bound} }};"),
        format!("permit (principal is Workload, {read}, resource in {items}) when {{ {same_tenant} }};"),
        format!("permit (principal, {read}, resource in {items}) when {{ resource.sensitivity == \"public\" }};"),
        format!("forbid (principal, action, resource == {export}) unless {{ {bound} }};"),
        format!("forbid (principal in {group}, action, resource in {items}) when {{ context.service == \"old\" }};"),
        format!("permit (principal == {agent}, action in Action::\"write\", resource == {items}) when {{ {task} }};"),
        format!("forbid (principal is Agent, action in Action::\"write\", resource in {tree}) unless {{ {task} }};"),
    ];
    let annotated = policies.iter().enumerate().map(|(number, policy)| {
        format!("@id(\"{team}/{number}\") @owner(\"{team}\") @purpose(\"number {number} of {team}\")\n{policy}\n")
    });
    annotated.collect()
}

/// A question of every team.
struct Each {
    who: fn(usize) -> Principal,
    action: &'static str,
    /// Below the root of the team's tree.
    below: &'static str,
    proved: &'static [&'static str],
    expected: Expected,
}

/// By up to eight policies.
const ALLOWED: &[Each] = &[
    Each { who: api, action: "read", below: "/items/export", proved: &["sender_bound"], expected: Expected::Allowed },
    Each { who: api, action: "read", below: "/items", proved: &[], expected: Expected::Allowed },
    Each { who: api, action: "write", below: "/items", proved: &["sender_bound"], expected: Expected::Allowed },
    Each { who: agent, action: "write", below: "/items", proved: &["task_capability"], expected: Expected::Allowed },
    Each { who: human, action: "read", below: "/items", proved: &[], expected: Expected::Allowed },
];

/// Two by a forbid, two for want of a permit; a refusal says why, and what is missing.
const REFUSED: &[Each] = &[
    Each { who: api, action: "read", below: "/items/export", proved: &[], expected: Expected::Refused },
    Each { who: agent, action: "write", below: "/items", proved: &[], expected: Expected::Refused },
    Each { who: agent, action: "read", below: "/items", proved: &[], expected: Expected::Refused },
    Each { who: human, action: "refund", below: "", proved: &[], expected: Expected::Refused },
];

impl Each {
    fn of(&self, team: usize) -> Asked {
        let question = Question {
            action: self.action.parse().unwrap(),
            resource: format!("{}{}", team_name(team), self.below).parse().unwrap(),
            protocol: "http".to_owned(),
            service: "bench-api".to_owned(),
            params: vec![("item".to_owned(), "4711".to_owned())],
        };
        let evidence = self.proved.iter().map(|fact| fact.parse().unwrap()).collect();
        Asked { principal: (self.who)(team), question, evidence, expected: self.expected }
    }
}
