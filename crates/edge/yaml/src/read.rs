//! From nodes to typed values. Every problem is collected, not only the first.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::parse::{Entry, Node, Value};
use crate::problem::{At, Problem, nearest};

/// Collects the problems of one file.
pub struct Reader<'a> {
    pub file: &'a str,
    pub problems: &'a mut Vec<Problem>,
}

/// The fields of one mapping; closing it finds the unknown ones.
pub struct Fields<'n> {
    entries: &'n [Entry],
    at: At,
    known: Vec<&'static str>,
    what: &'static str,
}

impl Reader<'_> {
    pub fn problem(&mut self, at: At, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file, at, message));
    }

    pub fn suggest(&mut self, at: At, message: impl Into<String>, suggestion: Option<String>) {
        let problem = Problem::new(self.file, at, message);
        self.problems.push(Problem { suggestion, ..problem });
    }

    /// The fields of a mapping; `what` names it in messages.
    pub fn fields<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        match &node.value {
            Value::Map(entries) => Some(Fields { entries, at: node.at, known: Vec::new(), what }),
            Value::Scalar(..) | Value::List(_) => {
                self.problem(node.at, format!("{what}: expected a mapping"));
                None
            }
        }
    }

    pub fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(text, _) if !node.is_null() => Some(text),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
                self.problem(node.at, "expected text");
                None
            }
        }
    }

    /// Text that is not empty.
    pub fn words(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() {
            self.problem(node.at, "expected text that is not empty");
            return None;
        }
        Some(text.to_owned())
    }

    pub fn list<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(nodes) => Some(nodes),
            Value::Scalar(..) | Value::Map(_) => {
                self.problem(node.at, "expected a list");
                None
            }
        }
    }

    /// A list with at least one value, each of which `one` reads.
    pub fn some<T>(&mut self, node: &Node, mut one: impl FnMut(&mut Self, &Node) -> Option<T>) -> Option<Vec<T>> {
        let nodes = self.list(node)?;
        if nodes.is_empty() {
            self.problem(node.at, "expected at least one");
            return None;
        }
        // every element is read, so that every problem is found
        let read: Vec<Option<T>> = nodes.iter().map(|node| one(self, node)).collect();
        read.into_iter().collect()
    }

    /// A value that reads itself from text.
    pub fn parse<T: FromStr<Err: std::error::Error>>(&mut self, node: &Node) -> Option<T> {
        let text = self.text(node)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
                let message = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
                self.problem(node.at, message);
                None
            }
        }
    }

    pub fn flag(&mut self, node: &Node) -> Option<bool> {
        match self.text(node)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.problem(node.at, "expected `true` or `false`");
                None
            }
        }
    }

    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = self.text(node)?;
        let read = read_duration(text);
        if read.is_none() {
            self.problem(node.at, format!("`{text}` is not a duration such as `30s`, `5m`, `1h` or `500ms`"));
        }
        read
    }

    pub fn size(&mut self, node: &Node) -> Option<u64> {
        let text = self.text(node)?;
        let read = read_size(text);
        if read.is_none() {
            self.problem(node.at, format!("`{text}` is not a size such as `8KiB`, `1MiB` or a number of bytes"));
        }
        read
    }

    /// Reports what does not hold between documents.
    pub fn refuse(&mut self, at: At, error: &impl Display) {
        self.problem(at, error.to_string());
    }
}

impl<'n> Fields<'n> {
    pub fn optional(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    pub fn required(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<&'n Node> {
        let found = self.optional(name);
        if found.is_none() {
            reader.problem(self.at, format!("{}: `{name}` is missing", self.what));
        }
        found
    }

    pub const fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// Reports every field that nobody asked for.
    pub fn close(self, reader: &mut Reader<'_>) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let message = format!("{}: unknown field `{}`", self.what, entry.key);
            let expected = || (!self.known.is_empty()).then(|| format!("expected one of {}", self.known.join(", ")));
            reader.suggest(entry.at, message, nearest(&entry.key, self.known.iter().copied()).or_else(expected));
        }
    }
}

/// `500ms`, `30s`, `5m`, `1h` or `2d`.
pub fn read_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// `8KiB`, `8 KiB`, `1MiB`, `1GiB` or a number of bytes.
fn read_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let each = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(each)
}
