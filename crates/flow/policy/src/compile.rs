//! Policy files become checked rules, or a list of what is wrong with them.

use std::collections::BTreeMap;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, Schema, ValidationMode, Validator};
use model::{BadName, BaseAction, Owner, PolicyId};

use crate::cause::{Cause, MAX_FILE, nearest};
use crate::lint;
use crate::names::{self, Names};
use crate::rule::Rule;
use crate::scan::{self, Excess, Statement};
use crate::shipped;
use crate::vocabulary::{PolicyFile, PolicyProblem};

/// After so many problems the rest is not read.
const MAX_PROBLEMS: usize = 100;

/// How far a policy may look: principal, resource and parameters themselves, never an entity that one of them names.
const LEVEL: u32 = 1;

const REQUIRED: &[&str] = &["id", "owner", "purpose"];
const OPTIONAL: &[&str] = &["environment"];

/// Compiles the shipped packs and an estate's files.
///
/// # Errors
/// Every problem, in order of file and place.
pub(crate) fn compile(
    packs: &[PolicyFile],
    files: &[PolicyFile],
    schema: &Schema,
    names: &Names<'_>,
) -> Result<(PolicySet, BTreeMap<PolicyId, Rule>), Vec<PolicyProblem>> {
    let mut reading = Reading { names, drafts: BTreeMap::new(), problems: Vec::new() };
    for pack in packs {
        reading.file(pack, Origin::Shipped);
    }
    for file in files {
        reading.file(file, Origin::Estate);
    }
    reading.finish(schema)
}

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Shipped,
    Estate,
}

/// A policy that Cedar could read and that has a sound id.
struct Draft<'a> {
    file: &'a PolicyFile,
    statement: Statement<'a>,
    policy: Policy,
}

struct Reading<'a> {
    names: &'a Names<'a>,
    drafts: BTreeMap<PolicyId, Draft<'a>>,
    problems: Vec<PolicyProblem>,
}

impl<'a> Reading<'a> {
    fn file(&mut self, file: &'a PolicyFile, origin: Origin) {
        if file.text.len() > MAX_FILE {
            self.problems.push(Cause::FileTooLarge { found: file.text.len() }.at(file, 0));
            return;
        }
        let (statements, blank) = scan::statements(&file.text);
        if let Err(error) = blank.parse::<PolicySet>() {
            self.problems.push(cedar(file, file.text.len() - blank.len(), DetailedError::from(&error)));
        }
        for statement in statements {
            if self.problems.len() >= MAX_PROBLEMS {
                return;
            }
            let before = self.problems.len();
            if let Some((id, policy)) = self.statement(file, &statement, origin) {
                // only what is otherwise sound takes an id, so that one mistake is told once
                if self.problems.len() == before {
                    self.draft(id, Draft { file, statement, policy });
                }
            }
        }
    }

    fn statement(
        &mut self,
        file: &PolicyFile,
        statement: &Statement<'_>,
        origin: Origin,
    ) -> Option<(PolicyId, Policy)> {
        if let Some((cause, at)) = unreadable(statement) {
            self.problems.push(cause.at(file, at));
            return None;
        }
        let policy = match Policy::parse(None, statement.text) {
            Ok(policy) => policy,
            Err(errors) => {
                let each = errors.iter().map(|error| cedar(file, statement.at, DetailedError::from(error)));
                self.problems.extend(each);
                return None;
            }
        };
        let id = self.annotations(file, statement, &policy, origin);
        if origin == Origin::Estate {
            self.lint(file, statement, &policy);
        }
        let id = id?;
        let policy = policy.new_id(cedar_policy::PolicyId::new(id.as_str()));
        Some((id, policy))
    }

    fn draft(&mut self, id: PolicyId, draft: Draft<'a>) {
        let Some(first) = self.drafts.get(&id) else {
            self.drafts.insert(id, draft);
            return;
        };
        let (line, _) = scan::place(&first.file.text, first.statement.at);
        let taken = Cause::IdTaken { id: id.to_string(), file: first.file.name.clone(), line };
        let at = draft.statement.annotation("id").unwrap_or(draft.statement.at);
        self.problems.push(taken.at(draft.file, at));
    }

    /// The id of a policy whose annotations are all there and sound.
    fn annotations(
        &mut self,
        file: &PolicyFile,
        statement: &Statement<'_>,
        policy: &Policy,
        origin: Origin,
    ) -> Option<PolicyId> {
        let mut found = Vec::new();
        for name in REQUIRED.iter().filter(|name| policy.annotation(name).is_none()) {
            found.push((statement.at, Cause::AnnotationMissing { name }));
        }
        for (name, value) in policy.annotations() {
            let at = statement.annotation(name).unwrap_or(statement.at);
            if !REQUIRED.contains(&name) && !OPTIONAL.contains(&name) {
                let nearest = nearest(name, REQUIRED.iter().chain(OPTIONAL).copied()).map(|name| format!("@{name}"));
                found.push((at, Cause::AnnotationUnknown { name: name.to_owned(), nearest }));
            } else if value.trim().is_empty() {
                found.push((at, Cause::AnnotationEmpty { name: name.to_owned() }));
            } else if let Some(cause) = unfit(name, value, origin) {
                found.push((at, cause));
            }
        }
        let id = policy.annotation("id").and_then(|id| id.parse().ok());
        let sound = found.is_empty();
        self.problems.extend(found.into_iter().map(|(at, cause)| cause.at(file, at)));
        id.filter(|_| sound)
    }

    /// What an estate's policy may not do, though Cedar would let it.
    fn lint(&mut self, file: &PolicyFile, statement: &Statement<'_>, policy: &Policy) {
        let mut found = Vec::new();
        if let ActionConstraint::Eq(uid) = policy.action_constraint()
            && let Ok(base) = uid.id().unescaped().parse::<BaseAction>()
        {
            found.push(names::base_action(statement, base));
        }
        match policy.to_pst() {
            Ok(tree) => {
                let sights = lint::sights(tree.body().clauses());
                found
                    .extend(sights.into_iter().filter_map(|sight| self.names.sight(sight, policy.effect(), statement)));
            }
            Err(error) => found.push((statement.at, Cause::Cedar { detail: error.to_string(), help: None })),
        }
        let mut literals = policy.entity_literals();
        literals.sort_by_cached_key(ToString::to_string);
        literals.dedup();
        found.extend(literals.iter().filter_map(|uid| {
            let is = |name: &str, id: &str| format!("{name}::{id}").parse::<EntityUid>().is_ok_and(|read| read == *uid);
            let at = statement.uid(is).unwrap_or(statement.at);
            Some((at, self.names.unnamed(uid)?))
        }));
        self.problems.extend(found.into_iter().map(|(at, cause)| cause.at(file, at)));
    }

    /// Validates what was read, and makes rules of it.
    fn finish(mut self, schema: &Schema) -> Result<(PolicySet, BTreeMap<PolicyId, Rule>), Vec<PolicyProblem>> {
        let mut set = PolicySet::new();
        let mut rules = BTreeMap::new();
        for (id, draft) in &self.drafts {
            let (file, at) = (draft.file, draft.statement.at);
            if let Err(error) = set.add(draft.policy.clone()) {
                self.problems.push(cedar(file, at, DetailedError::from(&error)));
            }
            let place = (file.name.clone(), at);
            match Rule::new(id.clone(), draft.policy.clone(), draft.statement.text, place) {
                Ok(rule) => _ = rules.insert(id.clone(), rule),
                Err(error) => {
                    self.problems.push(Cause::Cedar { detail: error.to_string(), help: None }.at(file, at));
                }
            }
        }
        let invalid = self.validate(&set, schema);
        self.problems.extend(invalid);
        if self.problems.is_empty() {
            return Ok((set, rules));
        }
        self.problems
            .sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        self.problems.dedup();
        self.problems.truncate(MAX_PROBLEMS);
        Err(self.problems)
    }

    /// What Cedar's validator says of each policy: its errors, or else its warnings, which are errors here.
    fn validate(&self, set: &PolicySet, schema: &Schema) -> Vec<PolicyProblem> {
        let result = Validator::new(schema.clone()).validate_with_level(set, ValidationMode::Strict, LEVEL);
        let mut by_policy: BTreeMap<&str, Vec<DetailedError>> = BTreeMap::new();
        for error in result.validation_errors() {
            by_policy.entry(error.policy_id().as_ref()).or_default().push(DetailedError::from(error));
        }
        let erred: Vec<&str> = by_policy.keys().copied().collect();
        for warning in result.validation_warnings().filter(|warning| !erred.contains(&warning.policy_id().as_ref())) {
            by_policy.entry(warning.policy_id().as_ref()).or_default().push(DetailedError::from(warning));
        }
        let mut problems = Vec::new();
        for (id, draft) in &self.drafts {
            let found = by_policy.remove(id.as_str()).unwrap_or_default();
            problems.extend(found.into_iter().map(|error| cedar(draft.file, draft.statement.at, error)));
        }
        problems
    }
}

/// Why a statement is not shown to Cedar at all.
fn unreadable(statement: &Statement<'_>) -> Option<(Cause, usize)> {
    match statement.excess() {
        Some(Excess::Depth { at }) => return Some((Cause::TooDeep, at)),
        Some(Excess::Operators { at, found }) => return Some((Cause::TooLong { found }, at)),
        None => {}
    }
    let slot = statement.slot()?;
    Some((Cause::Slot { slot: slot.text.to_owned() }, slot.at))
}

fn unfit(name: &str, value: &str, origin: Origin) -> Option<Cause> {
    let unfit = |name: &'static str, source: BadName| Cause::AnnotationUnfit { name, source };
    match name {
        "id" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
            if !value.chars().all(plain) {
                return Some(Cause::IdCharacters { id: value.escape_debug().to_string() });
            }
            if value.starts_with(shipped::PREFIX) && origin == Origin::Estate {
                return Some(Cause::IdReserved { id: value.to_owned() });
            }
            value.parse::<PolicyId>().err().map(|source| unfit("id", source))
        }
        "owner" => value.parse::<Owner>().err().map(|source| unfit("owner", source)),
        _ => None,
    }
}

/// Cedar's words, at their place in a file: Cedar counts from `start`.
fn cedar(file: &PolicyFile, start: usize, error: DetailedError) -> PolicyProblem {
    let within = error.source_locations.first().map_or(0, |label| label.loc.start);
    Cause::cedar(error).at(file, start + within)
}
