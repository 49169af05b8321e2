//! The shape of files: what each opens with, how long it and its functions are, and what must not be left behind.

use crate::finding::Finding;
use crate::lex::{Kind, Token};
use crate::source::{Parsed, is_test, item_end};

const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 90;

/// In parts, so that the scan does not find itself.
const LEFT_BEHIND: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

pub(crate) fn check(source: &Parsed<'_>) -> Vec<Finding> {
    let mut findings = opening(source);
    findings.extend(left_behind(source));
    findings.extend(long_file(source));
    findings.extend(long_functions(source));
    findings.extend(tests_that_ship(source));
    findings
}

fn opening(source: &Parsed<'_>) -> Vec<Finding> {
    let opened = source.text.lines().next().and_then(|line| line.strip_prefix("//! "));
    if opened.is_some_and(|text| !text.trim().is_empty()) {
        return Vec::new();
    }
    vec![Finding::new(source.path, 1, "opening", "the first line must be `//! ` and say what this file owns")]
}

fn left_behind(source: &Parsed<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for word in LEFT_BEHIND.iter().filter(|word| line.contains(**word)) {
            let text = format!("`{word}`: finish it, or open an issue");
            findings.push(Finding::new(source.path, at + 1, "left-behind", text));
        }
    }
    for tokens in source.tokens.windows(3) {
        let [first, second, third] = tokens else { continue };
        let stub = first.word().filter(|word| matches!(*word, "todo" | "unimplemented") && second.is_sign('!'));
        if let Some(word) = stub {
            findings.push(Finding::new(source.path, first.line, "left-behind", format!("`{word}!`: no stubs")));
        }
        if first.is_sign('#') && second.is_sign('[') && third.is_word("ignore") {
            let text = "`#[ignore]`: a test runs, or it goes";
            findings.push(Finding::new(source.path, first.line, "left-behind", text));
        }
    }
    findings
}

fn long_file(source: &Parsed<'_>) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= MAX_FILE {
        return Vec::new();
    }
    vec![Finding::new(source.path, 1, "length", format!("{lines} lines, at most {MAX_FILE}: split it"))]
}

fn long_functions(source: &Parsed<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, pair) in source.tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        let Some(name) = name.word().filter(|_| keyword.is_word("fn")) else { continue };
        let body = source.tokens.get(at..).unwrap_or_default();
        let Some(last) = item_end(body).and_then(|end| body.get(end)) else { continue };
        let lines = last.line + 1 - keyword.line;
        if lines > MAX_FUNCTION {
            let text = format!("`{name}` has {lines} lines, at most {MAX_FUNCTION}: split it");
            findings.push(Finding::new(source.path, keyword.line, "length", text));
        }
    }
    findings
}

/// A file named `tests` is taken for test code by the other rules, so its module must not ship.
fn tests_that_ship(source: &Parsed<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in source.shipped.windows(2) {
        let [keyword, name] = pair else { continue };
        if keyword.is_word("mod") && name.is_word("tests") {
            let text = "`mod tests` without `#[cfg(test)]`: test code must not ship";
            findings.push(Finding::new(source.path, keyword.line, "tests", text));
        }
    }
    if !is_test(source.path) {
        findings.extend(bare_tests(source.path, &source.shipped));
    }
    findings
}

fn bare_tests(path: &str, shipped: &[Token<'_>]) -> Vec<Finding> {
    let is_test = |tokens: &&[Token<'_>]| {
        tokens.iter().map(|token| token.kind).eq([
            Kind::Sign('#'),
            Kind::Sign('['),
            Kind::Word("test"),
            Kind::Sign(']'),
        ])
    };
    let found = shipped.windows(4).filter(is_test).filter_map(|tokens| tokens.first());
    found.map(|token| Finding::new(path, token.line, "tests", "a test outside `#[cfg(test)]`")).collect()
}
