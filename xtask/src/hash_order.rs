//! No iteration over a hash map or set in the flow: its order differs from run to run, and a decision must not.
//!
//! An approximation: it knows names whose type, in the same file, is spelled with `HashMap` or `HashSet`.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::lex::{Kind, Token};
use crate::purity::is_flow;
use crate::source::Parsed;

/// On the line above an iteration whose order was argued not to matter.
const MARKER: &str = "// tidy: order cannot matter";

const ITERATES: &[&str] = &[
    "iter",
    "iter_mut",
    "into_iter",
    "keys",
    "into_keys",
    "values",
    "values_mut",
    "into_values",
    "drain",
    "retain",
    "extract_if",
];

pub(crate) fn check(source: &Parsed<'_>) -> Vec<Finding> {
    if !is_flow(source.path) {
        return Vec::new();
    }
    let tokens = &source.shipped;
    let names = Names::of(tokens);
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = token.word().filter(|word| names.mean_hashed(tokens, at, word)) else { continue };
        let iterated = method(tokens, at).filter(|method| method.word().is_some_and(|word| ITERATES.contains(&word)));
        let Some(place) = iterated.or_else(|| looped(tokens, at).then_some(*token)) else { continue };
        if !is_marked(source, token.line) && !is_marked(source, place.line) {
            let text = format!(
                "`{name}` is a hash map or set: use a `BTreeMap` or `BTreeSet`, or write `{MARKER}` above, with the reason"
            );
            findings.push(Finding::new(source.path, place.line, "hash-order", text));
        }
    }
    findings
}

fn is_marked(source: &Parsed<'_>, line: usize) -> bool {
    source.comments.iter().any(|comment| comment.line + 1 == line && comment.text.starts_with(MARKER))
}

/// The method called on the word at `at`.
fn method<'a>(tokens: &[Token<'a>], at: usize) -> Option<Token<'a>> {
    tokens.get(at + 1).filter(|next| next.is_sign('.'))?;
    tokens.get(at + 3).filter(|next| next.is_sign('('))?;
    tokens.get(at + 2).copied()
}

/// `for … in &self.name {`
fn looped(tokens: &[Token<'_>], at: usize) -> bool {
    if !tokens.get(at + 1).is_some_and(|next| next.is_sign('{')) {
        return false;
    }
    let before = tokens.get(..at).unwrap_or_default().iter().rev();
    let first = before.into_iter().find(|token| !is_access(**token));
    first.is_some_and(|token| token.is_word("in"))
}

fn is_access(token: Token<'_>) -> bool {
    match token.kind {
        Kind::Word(word) => word != "in",
        Kind::Sign(sign) => matches!(sign, '&' | '.'),
        Kind::Literal => false,
    }
}

/// The names of a file that stand for hash maps and sets.
#[derive(Debug, Default)]
struct Names<'a> {
    hashed: BTreeSet<&'a str>,
    /// Names that (also) stand for something else, outside the bodies of structs.
    other: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(tokens: &[Token<'a>]) -> Self {
        let mut names = Self::default();
        for (at, token) in tokens.iter().enumerate() {
            let Some(name) = token.word() else { continue };
            let Some(Kind::Sign(sign @ (':' | '='))) = tokens.get(at + 1).map(|next| next.kind) else { continue };
            let path_or_comparison = |next: &Token<'_>| next.is_sign(':') || next.is_sign('=') || next.is_sign('>');
            if tokens.get(at + 2).is_some_and(path_or_comparison) {
                continue;
            }
            if type_is_hashed(tokens.get(at + 2..).unwrap_or_default(), sign) {
                names.hashed.insert(name);
            } else {
                names.other.insert(name);
            }
        }
        names
    }

    /// A field of the name is a hash map for sure; a bare name may be an argument that only shares it.
    fn mean_hashed(&self, tokens: &[Token<'a>], at: usize, name: &str) -> bool {
        let is_field = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token.is_sign('.'));
        self.hashed.contains(name) && (is_field || !self.other.contains(name))
    }
}

/// Whether the type (after `:`) or the path of the expression (after `=`) names a hash map or set.
fn type_is_hashed(tokens: &[Token<'_>], sign: char) -> bool {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Word("HashMap" | "HashSet") => return true,
            Kind::Sign('<') if sign == ':' => depth += 1,
            Kind::Sign('>') => depth = depth.saturating_sub(1),
            Kind::Sign('&' | ':') | Kind::Word(_) | Kind::Literal => {}
            Kind::Sign(_) if depth > 0 => {}
            Kind::Sign(_) => return false,
        }
    }
    false
}
