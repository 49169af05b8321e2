//! One source file, taken apart once for all rules.

use crate::lex::{Comment, Kind, Lexed, Token, lex};

/// A file of Rust, or a page, by its path from the workspace's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// With `/`, whatever the system says.
    pub path: String,
    pub text: String,
}

/// A source with what the rules ask of it.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub path: &'a str,
    pub text: &'a str,
    pub tokens: Vec<Token<'a>>,
    /// The tokens that ship: none in a test file, and none under `#[cfg(test)]`.
    pub shipped: Vec<Token<'a>>,
    pub comments: Vec<Comment<'a>>,
}

impl Source {
    pub(crate) fn parse(&self) -> Parsed<'_> {
        let Lexed { tokens, comments } = lex(&self.text);
        let shipped = if is_test(&self.path) { Vec::new() } else { without_tests(&tokens) };
        Parsed { path: &self.path, text: &self.text, tokens, shipped, comments }
    }
}

/// Whether the whole file is test code, by its name. That such a module hangs under `#[cfg(test)]` is a rule of its own.
pub(crate) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Leaves out every item under exactly `#[cfg(test)]`; a wider condition ships, so it stays.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut shipped = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        if let Some(item) = after_cfg_test(rest) {
            rest = after_item(item);
        } else {
            shipped.push(*first);
            rest = after;
        }
    }
    shipped
}

fn after_cfg_test<'s, 'a>(tokens: &'s [Token<'a>]) -> Option<&'s [Token<'a>]> {
    const CFG_TEST: [Kind<'static>; 7] = [
        Kind::Sign('#'),
        Kind::Sign('['),
        Kind::Word("cfg"),
        Kind::Sign('('),
        Kind::Word("test"),
        Kind::Sign(')'),
        Kind::Sign(']'),
    ];
    let (head, after) = tokens.split_at_checked(CFG_TEST.len())?;
    head.iter().map(|token| token.kind).eq(CFG_TEST).then_some(after)
}

/// What follows the next item: after its `;`, or after its block.
fn after_item<'s, 'a>(tokens: &'s [Token<'a>]) -> &'s [Token<'a>] {
    let end = item_end(tokens).map_or(tokens.len(), |end| end + 1);
    tokens.get(end..).unwrap_or_default()
}

/// Where the item that begins here ends: at a `;` outside all brackets, or at the `}` that closes its first block.
pub(crate) fn item_end(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[' | '{') => depth += 1,
            Kind::Sign(')' | ']') => depth = depth.saturating_sub(1),
            Kind::Sign('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            Kind::Sign(';') if depth == 0 => return Some(at),
            Kind::Sign(_) | Kind::Word(_) | Kind::Literal => {}
        }
    }
    None
}
