//! `${DEV_…}`: a dev server's addresses, put into scalars after parsing, so that no value can change the structure.

use std::collections::BTreeMap;

use yaml::{At, Node, Problem, Value, nearest};

/// The names that every dev server knows.
const KNOWN: &[&str] = &["DEV_ISSUER", "DEV_UPSTREAM"];
/// What stands for a dev server's addresses where none is at hand.
const STAND_IN: &str = "http://127.0.0.1:1";

/// What `${DEV_…}` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vars {
    /// A dev server's own addresses.
    Dev(BTreeMap<String, String>),
    /// Nothing: an estate that contains one does not load.
    Refused,
    /// Nothing yet: noted, and a stand-in is used.
    Noted,
}

/// Substitutes in the documents of one file.
pub(super) struct Substitution<'a> {
    pub file: &'a str,
    pub vars: &'a Vars,
    pub problems: &'a mut Vec<Problem>,
    pub notes: &'a mut Vec<Problem>,
}

impl Substitution<'_> {
    pub(super) fn apply(&mut self, node: &mut Node) {
        let at = node.at;
        match &mut node.value {
            Value::Scalar(text, _) if text.contains("${DEV_") => *text = self.text(text, at),
            Value::Scalar(..) => {}
            Value::List(nodes) => nodes.iter_mut().for_each(|node| self.apply(node)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.apply(&mut entry.value)),
        }
    }

    fn text(&mut self, text: &str, at: At) -> String {
        let mut pieces = text.split("${DEV_");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let Some((name, rest)) = piece.split_once('}') else {
                self.problems.push(Problem::new(self.file, at, "`${DEV_` without its `}`"));
                return whole;
            };
            whole.push_str(&self.value(&format!("DEV_{name}"), at));
            whole.push_str(rest);
        }
        whole
    }

    fn value(&mut self, name: &str, at: At) -> String {
        match self.vars {
            Vars::Dev(vars) => {
                if let Some(value) = vars.get(name) {
                    return value.clone();
                }
                self.unknown(name, vars.keys().map(String::as_str), at);
            }
            Vars::Refused => {
                let problem = Problem::new(self.file, at, format!("only `dev` knows what `${{{name}}}` is"));
                self.problems.push(problem.suggest("write the value"));
            }
            Vars::Noted if KNOWN.contains(&name) => {
                self.notes.push(Problem::new(self.file, at, format!("`${{{name}}}` is served by `dev` alone")));
            }
            Vars::Noted => self.unknown(name, KNOWN.iter().copied(), at),
        }
        // where it is a problem too: what reads the value has nothing more to say of it
        STAND_IN.to_owned()
    }

    fn unknown<'k>(&mut self, name: &str, known: impl Iterator<Item = &'k str>, at: At) {
        let problem = Problem::new(self.file, at, format!("`dev` has no `${{{name}}}`"));
        self.problems.push(Problem { suggestion: nearest(name, known), ..problem });
    }
}
