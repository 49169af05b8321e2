//! Which module of the binary may name which: roles never know each other, and nothing but the command line knows `dev`, and nothing
//! but `dev` its fakes.

use crate::finding::Finding;
use crate::paths::{Named, paths};
use crate::source::Parsed;

const SOURCES: &str = "crates/countersign/src/";

/// A module, and the modules beside it that it must not name.
const REFUSED: &[(&str, &[&str])] = &[
    ("gateway", &["control", "dev", "fakes", "cli"]),
    ("control", &["gateway", "dev", "fakes", "cli"]),
    ("admin", &["gateway", "control", "dev", "fakes", "cli"]),
    ("catalog", &["gateway", "control", "dev", "fakes", "cli"]),
    ("estate", &["gateway", "control", "dev", "fakes", "cli"]),
    ("issuing", &["gateway", "control", "dev", "fakes", "cli"]),
    ("keys", &["gateway", "control", "dev", "fakes", "cli"]),
    ("live", &["gateway", "control", "dev", "fakes", "cli"]),
    ("epochs", &["gateway", "control", "dev", "fakes", "cli"]),
    ("pulse", &["gateway", "control", "dev", "fakes", "cli"]),
    ("registry", &["gateway", "control", "dev", "fakes", "cli"]),
    ("federation", &["gateway", "control", "dev", "fakes", "cli"]),
    ("feed", &["gateway", "control", "following", "installation", "dev", "fakes", "cli"]),
    ("following", &["gateway", "control", "installation", "dev", "fakes", "cli"]),
    ("home", &["gateway", "control", "following", "installation", "dev", "fakes", "cli"]),
    ("vitals", &["gateway", "control", "following", "installation", "dev", "fakes", "cli"]),
    ("metrics", &["gateway", "control", "following", "installation", "dev", "fakes", "cli"]),
    ("installation", &["dev", "fakes", "cli"]),
    ("dev", &["installation", "cli"]),
    (
        "fakes",
        &["gateway", "control", "estate", "epochs", "following", "installation", "issuing", "live", "dev", "cli"],
    ),
    ("cli", &[]),
    ("lib", &[]),
    ("main", &[]),
];

/// One import that breaks a rule for now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub file: &'static str,
    pub path: &'static [&'static str],
    /// Why it stands, for whoever reads the table.
    pub reason: &'static str,
}

pub(crate) const ALLOWED: &[Allowance] = &[];

pub(crate) fn check(source: &Parsed<'_>) -> Vec<Finding> {
    let Some((module, from)) = module(source.path) else { return Vec::new() };
    let Some((_, refused)) = REFUSED.iter().find(|(name, _)| *name == module) else {
        let text = format!("module `{module}` is in no table: say in `REFUSED` what it must not name");
        return vec![Finding::new(source.path, 1, "roles", text)];
    };
    let mut findings = Vec::new();
    for named in paths(&source.tokens) {
        let Some(named) = from_root(&named, &from) else { continue };
        let breaks = refused.iter().find(|other| named.begins(&["crate", other]));
        if let Some(other) = breaks.filter(|_| allowance(source.path, &named).is_none()) {
            let text = format!("`{}`: `{module}` must not know `{other}`", named.text());
            findings.push(Finding::new(source.path, named.line, "roles", text));
        }
    }
    findings
}

/// Every allowance that no source needs any more.
pub(crate) fn unused_allowances(sources: &[Parsed<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for allowed in ALLOWED {
        let source = sources.iter().find(|source| source.path == allowed.file);
        let used = source.is_some_and(|source| {
            let from = module(source.path).map(|(_, from)| from).unwrap_or_default();
            paths(&source.tokens).iter().filter_map(|named| from_root(named, &from)).any(|it| it.begins(allowed.path))
        });
        if !used {
            let text = format!(
                "nothing names `{}` any more: take the allowance ({}) out of the table",
                allowed.path.join("::"),
                allowed.reason
            );
            findings.push(Finding::new(allowed.file, 1, "roles", text));
        }
    }
    findings
}

fn allowance(file: &str, named: &Named) -> Option<&'static Allowance> {
    ALLOWED.iter().find(|allowed| allowed.file == file && named.begins(allowed.path))
}

/// The module under the crate's root that a file belongs to, and the file's own module path.
fn module(path: &str) -> Option<(&str, Vec<String>)> {
    let inside = path.strip_prefix(SOURCES)?.strip_suffix(".rs")?;
    let parts: Vec<&str> = inside.split('/').collect();
    let names = match parts.as_slice() {
        [parents @ .., "mod"] => parents,
        ["lib" | "main"] => &[],
        all => all,
    };
    let from = std::iter::once("crate").chain(names.iter().copied()).map(str::to_owned).collect();
    Some((parts.first().copied()?, from))
}

/// `self::…` and `super::…` spelled from the crate's root; other crates' paths as they are.
fn from_root(named: &Named, from: &[String]) -> Option<Named> {
    let mut rest = named.segments.as_slice();
    let mut base = from.to_vec();
    let relative = rest.first().is_some_and(|first| matches!(first.as_str(), "self" | "super"));
    if !relative {
        return Some(named.clone());
    }
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop()?;
            }
            _ => break,
        }
        rest = after;
    }
    base.extend_from_slice(rest);
    Some(Named { segments: base, line: named.line })
}
