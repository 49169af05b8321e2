//! Policy files become checked rules, or a list of what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::pst::Clause;
use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, Schema, ValidationMode, Validator};
use model::{BadName, BaseAction, Owner, PolicyId};

use crate::answer::policy_id;
use crate::cause::{Cause, MAX_FILE, nearest};
use crate::crowd::{self, Crowd};
use crate::index::{Bucket, Index};
use crate::lint;
use crate::names::{self, ENVIRONMENT, Names};
use crate::rule::{Parts, Rule};
use crate::scan::{self, Excess, Statement};
use crate::scope::{Say, Scope};
use crate::shipped;
use crate::vocabulary::{PolicyFile, PolicyProblem};

/// After so many problems the rest is not read.
const MAX_PROBLEMS: usize = 100;

/// How far a policy may look: principal, resource and parameters themselves, never an entity that one of them names.
const LEVEL: u32 = 1;

const REQUIRED: &[&str] = &["id", "owner", "purpose"];
const OPTIONAL: &[&str] = &[ENVIRONMENT];

/// What sound policies become.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) index: Index,
    pub(crate) most_candidates: usize,
    pub(crate) places: BTreeMap<PolicyId, (Arc<str>, usize)>,
}

/// Compiles the shipped packs and an estate's files.
///
/// # Errors
/// Every problem, in order of file and place.
pub(crate) fn compile(
    packs: &[PolicyFile],
    files: &[PolicyFile],
    schema: &Schema,
    names: &Names<'_>,
) -> Result<Compiled, Vec<PolicyProblem>> {
    let mut reading = Reading { names, drafts: BTreeMap::new(), parts: Parts::default(), problems: Vec::new() };
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
    at: usize,
    policy: Policy,
    rule: Rule,
}

/// Where each policy stands.
type Places<'a> = BTreeMap<PolicyId, (&'a PolicyFile, usize)>;

struct Reading<'a> {
    names: &'a Names<'a>,
    drafts: BTreeMap<PolicyId, Draft<'a>>,
    parts: Parts,
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
            let draft = self.statement(file, &statement, origin);
            // only what is otherwise sound takes an id, so that one mistake is told once
            if let Some(draft) = draft.filter(|_| self.problems.len() == before) {
                self.draft(draft, &statement);
            }
        }
    }

    fn statement(&mut self, file: &'a PolicyFile, statement: &Statement<'_>, origin: Origin) -> Option<Draft<'a>> {
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
        if origin == Origin::Estate {
            match self.names.is_own(&policy) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(cause) => {
                    let at = statement.annotation(ENVIRONMENT).unwrap_or(statement.at);
                    self.problems.push(cause.at(file, at));
                    return None;
                }
            }
        }
        let id = self.annotations(file, statement, &policy, origin);
        let tree = match policy.to_pst() {
            Ok(tree) => tree,
            Err(error) => {
                self.problems.push(syntax(&error).at(file, statement.at));
                return None;
            }
        };
        let clauses = tree.body().clauses();
        if origin == Origin::Estate {
            self.lint(file, statement, &policy, clauses);
        }
        let id = id?;
        let policy = policy.new_id(cedar_policy::PolicyId::new(id.as_str()));
        match Rule::new(id, policy.effect(), clauses, &mut self.parts) {
            Ok(rule) => Some(Draft { file, at: statement.at, policy, rule }),
            Err(error) => {
                self.problems.push(syntax(&error).at(file, statement.at));
                None
            }
        }
    }

    fn draft(&mut self, draft: Draft<'a>, statement: &Statement<'_>) {
        let id = draft.rule.id.clone();
        let Some(first) = self.drafts.get(&id) else {
            self.drafts.insert(id, draft);
            return;
        };
        let (line, _) = scan::place(&first.file.text, first.at);
        let taken = Cause::IdTaken { id: id.to_string(), file: first.file.name.clone(), line };
        self.problems.push(taken.at(draft.file, statement.annotation("id").unwrap_or(statement.at)));
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
    fn lint(&mut self, file: &PolicyFile, statement: &Statement<'_>, policy: &Policy, clauses: &[Clause]) {
        let mut found = Vec::new();
        if let ActionConstraint::Eq(uid) = policy.action_constraint()
            && let Ok(base) = uid.id().unescaped().parse::<BaseAction>()
        {
            found.push(names::base_action(statement, base));
        }
        let sights = lint::sights(clauses).into_iter();
        found.extend(sights.filter_map(|sight| self.names.sight(sight, policy.effect(), statement)));
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

    /// Validates what was read, and puts it where questions find it.
    fn finish(mut self, schema: &Schema) -> Result<Compiled, Vec<PolicyProblem>> {
        let mut buckets: BTreeMap<(Scope, Say), Bucket> = BTreeMap::new();
        let mut places = Places::new();
        for (id, draft) in std::mem::take(&mut self.drafts) {
            let scope = Scope::of(&draft.policy);
            let say = Say::of(id.as_str(), draft.policy.effect(), &scope);
            let bucket = buckets.entry((scope, say)).or_default();
            if let Err(error) = bucket.add(draft.policy, draft.rule) {
                self.problems.push(cedar(draft.file, draft.at, DetailedError::from(&*error)));
            }
            places.insert(id, (draft.file, draft.at));
        }
        let validator = Validator::new(schema.clone());
        for (id, error) in buckets.values().flat_map(|bucket| invalid(&validator, &bucket.set)) {
            #[expect(clippy::expect_used, reason = "each policy was given its place when it was put into its bucket")]
            let (file, at) = places.get(&id).expect("a policy with a place");
            self.problems.push(cedar(file, *at, error));
        }
        if !self.problems.is_empty() {
            self.problems
                .sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
            self.problems.dedup();
            self.problems.truncate(MAX_PROBLEMS);
            return Err(self.problems);
        }
        let index = Index::new(buckets, self.names.world);
        let limit = self.names.vocabulary.max_candidates.0;
        match crowd::most(&index, self.names.world, self.names.directory, limit) {
            Ok(most_candidates) => Ok(Compiled { index, most_candidates, places: kept(places) }),
            Err(crowd) => Err(crowded(crowd, limit, &places)),
        }
    }
}

/// Places without the files' texts; names of files are shared.
fn kept(places: Places<'_>) -> BTreeMap<PolicyId, (Arc<str>, usize)> {
    let mut names: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for (id, (file, at)) in places {
        let name = names.entry(file.name.as_str()).or_insert_with(|| file.name.as_str().into());
        kept.insert(id, (Arc::clone(name), at));
    }
    kept
}

/// What Cedar's validator says of some policies: its errors, or else its warnings, which are errors here.
fn invalid(validator: &Validator, set: &PolicySet) -> Vec<(PolicyId, DetailedError)> {
    let result = validator.validate_with_level(set, ValidationMode::Strict, LEVEL);
    let errors = result.validation_errors();
    let mut found: Vec<_> = errors.map(|error| (policy_id(error.policy_id()), DetailedError::from(error))).collect();
    let erred: BTreeSet<PolicyId> = found.iter().map(|(id, _)| id.clone()).collect();
    let warnings = result.validation_warnings();
    let warnings = warnings.map(|warning| (policy_id(warning.policy_id()), DetailedError::from(warning)));
    found.extend(warnings.filter(|(id, _)| !erred.contains(id)));
    found
}

/// Where the first of too many policies stands that an estate can mend.
fn crowded(crowd: Crowd, limit: usize, places: &Places<'_>) -> Vec<PolicyProblem> {
    let own = places.iter().find(|(id, _)| !id.as_str().starts_with(shipped::PREFIX) && crowd.ids.contains(id));
    let place = own.or_else(|| places.iter().next()).map(|(_, place)| *place);
    let cause = Cause::Crowded { found: crowd.ids.len(), limit, question: crowd.question, ids: crowd.ids };
    place.map(|(file, at)| cause.at(file, at)).into_iter().collect()
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

/// What Cedar's tree does not take, though its parser does.
fn syntax(error: &impl std::fmt::Display) -> Cause {
    Cause::Cedar { detail: error.to_string(), help: None }
}

/// Cedar's words, at their place in a file: Cedar counts from `start`.
fn cedar(file: &PolicyFile, start: usize, error: DetailedError) -> PolicyProblem {
    let within = error.source_locations.first().map_or(0, |label| label.loc.start);
    Cause::cedar(error).at(file, start + within)
}
