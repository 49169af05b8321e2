//! Every path that a source names: use trees spelled out, and paths written in place.

use crate::lex::{Kind, Token};

/// `crate::net::now`, as segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub segments: Vec<String>,
    pub line: usize,
}

impl Named {
    pub(crate) fn begins(&self, prefix: &[&str]) -> bool {
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(segment, want)| segment == want)
    }

    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// The paths in `tokens`, in order. A glob ends in `*`.
pub(crate) fn paths(tokens: &[Token<'_>]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let continues = at >= 2 && colons(tokens, at - 2) && !starts_absolute(tokens, at);
        at = match token.kind {
            // not the `use<'a>` of a bound
            Kind::Word("use") if !is(tokens, at + 1, '<') => tree(tokens, at + 1, &[], &mut found),
            Kind::Word(_) if !continues => in_place(tokens, at, &mut found),
            Kind::Word(_) | Kind::Sign(_) | Kind::Literal => at + 1,
        };
    }
    found
}

/// `::std::env`: the colons before it follow nothing that could own them.
fn starts_absolute(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(3).and_then(|before| tokens.get(before));
    !before.is_some_and(|token| token.word().is_some() || token.is_sign('>'))
}

fn in_place(tokens: &[Token<'_>], start: usize, found: &mut Vec<Named>) -> usize {
    let line = tokens.get(start).map_or(0, |token| token.line);
    let mut segments = Vec::new();
    let mut at = start;
    while let Some(word) = tokens.get(at).and_then(|token| token.word()) {
        segments.push(word.to_owned());
        at += 1;
        if !colons(tokens, at) {
            break;
        }
        at += 2;
    }
    if segments.len() > 1 {
        found.push(Named { segments, line });
    }
    at
}

/// Reads one use tree from `at`, and gives the place after it.
fn tree(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let mut segments = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Word("as") => at += 2,
            Kind::Word("self") if !segments.is_empty() => at += 1,
            Kind::Word(word) => {
                segments.push(word.to_owned());
                at += 1;
            }
            Kind::Sign('*') => {
                segments.push("*".to_owned());
                at += 1;
            }
            Kind::Sign('{') => return branches(tokens, at + 1, &segments, found),
            Kind::Sign(':') => at += 1,
            Kind::Sign(_) | Kind::Literal => break,
        }
    }
    let line = at.checked_sub(1).and_then(|last| tokens.get(last)).map_or(0, |token| token.line);
    if !segments.is_empty() {
        found.push(Named { segments, line });
    }
    at
}

/// The trees between braces, and the place after the closing one.
fn branches(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Sign('}') => return at + 1,
            Kind::Word(_) | Kind::Sign('*' | ':' | '{') => at = tree(tokens, at, prefix, found),
            Kind::Sign(_) | Kind::Literal => at += 1,
        }
    }
    at
}

fn colons(tokens: &[Token<'_>], at: usize) -> bool {
    is(tokens, at, ':') && is(tokens, at + 1, ':')
}

fn is(tokens: &[Token<'_>], at: usize, sign: char) -> bool {
    tokens.get(at).is_some_and(|token| token.is_sign(sign))
}
