//! `Group`: named sets of principals, classes and other groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::GroupName;
use policy::Group;
use yaml::{At, Problem, Reader, nearest};

use super::document::Document;

/// What group documents say, sorted by who is meant.
#[derive(Default)]
pub(super) struct Groups {
    declared: BTreeSet<GroupName>,
    /// The groups that a group is a member of.
    parents: BTreeMap<GroupName, BTreeSet<GroupName>>,
    /// The groups that name a principal or a class as their member.
    members: HashMap<String, Vec<GroupName>>,
}

/// A member as it is named, and where.
struct Named<'a> {
    group: GroupName,
    member: String,
    file: &'a str,
    at: At,
}

impl Groups {
    pub(super) fn read(documents: &[Document], problems: &mut Vec<Problem>) -> Self {
        let mut groups = Self::default();
        let mut named = Vec::new();
        for document in documents.iter().filter(|document| document.kind == "Group") {
            named.extend(groups.declare(document, problems));
        }
        for one in named {
            groups.add(one, documents, problems);
        }
        groups.check_circles(documents, problems);
        groups
    }

    /// The groups that name this principal or class.
    pub(super) fn of(&self, name: &str) -> &[GroupName] {
        self.members.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every group there is: those declared, and those that principals say they are in.
    pub(super) fn with<'a>(mut self, named: impl Iterator<Item = &'a GroupName>) -> Vec<Group> {
        let mut all = self.declared;
        all.extend(named.cloned());
        let mut parents = |name: &GroupName| self.parents.remove(name).unwrap_or_default().into_iter().collect();
        all.into_iter().map(|name| Group { parents: parents(&name), name }).collect()
    }

    fn declare<'d>(&mut self, document: &'d Document, problems: &mut Vec<Problem>) -> Vec<Named<'d>> {
        let mut reader = Reader { file: &document.file, problems };
        let Ok(group) = document.name.parse::<GroupName>() else { return Vec::new() };
        if let Some(whose) = shipped(&group) {
            reader.problem(document.name_at, format!("`{group}` is the group of this installation's {whose}"));
            return Vec::new();
        }
        self.declared.insert(group.clone());
        let Some(mut fields) = reader.fields(&document.spec, "Group") else { return Vec::new() };
        let members = fields.required(&mut reader, "members");
        fields.close(&mut reader);
        let nodes = members.and_then(|node| reader.list(node)).unwrap_or_default();
        let mut named = Vec::new();
        for node in nodes {
            let member = reader.words(node);
            named.extend(member.map(|member| Named {
                group: group.clone(),
                member,
                file: &document.file,
                at: node.at,
            }));
        }
        named
    }

    fn add(&mut self, named: Named<'_>, documents: &[Document], problems: &mut Vec<Problem>) {
        let Named { group, member, file, at } = named;
        let can_be = |document: &&Document| matches!(document.kind.as_str(), "Principal" | "PrincipalClass" | "Group");
        let found: Vec<&Document> =
            documents.iter().filter(can_be).filter(|document| document.name == member).collect();
        match found.as_slice() {
            [] => {
                let message = format!("`{member}` is neither a principal, a class nor a group here");
                let known = documents.iter().filter(can_be).map(|document| document.name.as_str());
                problems.push(Problem { suggestion: nearest(&member, known), ..Problem::new(file, at, message) });
            }
            [only] if only.kind == "Group" => {
                if let Ok(member) = member.parse() {
                    self.parents.entry(member).or_default().insert(group);
                }
            }
            [_] => self.members.entry(member).or_default().push(group),
            [first, second, ..] => {
                // whoever adds a document must not change who an older name means
                let message = format!("`{member}` is the name of a {} and of a {}", first.kind, second.kind);
                let problem = Problem::new(file, at, message);
                problems.push(problem.suggest("rename one of them, so that it is plain who is a member"));
            }
        }
    }

    /// Groups that are in each other are one group with two names: nobody means that.
    fn check_circles(&self, documents: &[Document], problems: &mut Vec<Problem>) {
        for document in documents.iter().filter(|document| document.kind == "Group") {
            let Ok(name) = document.name.parse::<GroupName>() else { continue };
            let mut above: BTreeSet<&GroupName> = BTreeSet::new();
            let mut open = vec![&name];
            while let Some(one) = open.pop() {
                open.extend(self.parents.get(one).into_iter().flatten().filter(|parent| above.insert(*parent)));
            }
            if above.contains(&name) {
                let message = format!("group `{name}` is a member of itself, through the groups that it is in");
                problems.push(Problem::new(&document.file, document.name_at, message));
            }
        }
    }
}

/// Whose group it is, if its members are not for an estate to say.
pub(super) fn shipped(group: &GroupName) -> Option<&'static str> {
    match group.as_str() {
        policy::OPERATORS => Some("operators"),
        policy::PLANES => Some("gateways"),
        policy::AGENTS => Some("node agents"),
        _ => None,
    }
}
