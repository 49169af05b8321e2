//! Each rule shown to fail on what it is for, and to pass its twin.

mod graphs;
mod licences;
mod links;
mod order;
mod outside;
mod roles;
mod shapes;

use crate::{Finding, Source, check_sources};

/// The findings of one rule in one file, as `line: text`. An opening line is put before `text`, so code begins on line 2.
fn found(rule: &str, path: &str, text: &str) -> Vec<String> {
    let source = Source { path: path.to_owned(), text: format!("//! What it owns.\n{text}") };
    let of_rule = |finding: &Finding| finding.rule == rule;
    check_sources(&[source]).into_iter().filter(of_rule).map(|it| format!("{}: {}", it.line, it.text)).collect()
}

/// Fails unless `rule` finds exactly one thing in `text`, and says `words` of it.
fn check_refused(rule: &str, path: &str, text: &str, words: &str) {
    let found = found(rule, path, text);
    assert_eq!(found.len(), 1, "{text}\n{found:?}");
    assert!(found[0].contains(words), "`{}` does not say `{words}`", found[0]);
}

fn check_passes(rule: &str, path: &str, text: &str) {
    assert_eq!(found(rule, path, text), Vec::<String>::new(), "{text}");
}
