//! What the decision must not know: waiting, clocks, the environment, files, sockets, output, chance, and serde.

use crate::finding::Finding;
use crate::lex::Token;
use crate::paths::paths;
use crate::source::Parsed;

const FLOW: &str = "crates/flow/";
const MODEL: &str = "crates/model/";
const GUARD: &str = "crates/flow/guard/";

/// Words that no shipped line of the flow may hold, and why.
const WORDS: &[(&str, &str)] = &[
    ("SystemTime", "the time comes as an argument"),
    ("Instant", "the time comes as an argument"),
    ("SystemRandom", "entropy comes as an argument"),
    ("thread_rng", "entropy comes as an argument"),
    ("hmac", "no symmetric key exists in the flow, so that a public key can never be used as a secret"),
    ("getrandom", "entropy comes as an argument"),
    ("RandomState", "entropy comes as an argument"),
    ("OnceLock", "the answer depends on its arguments only"),
    ("thread_local", "the answer depends on its arguments only"),
];

/// Macros that write or stop.
const MACROS: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

/// Modules of the standard library that reach outside.
const OUTSIDE: &[&str] = &["env", "fs", "net", "process", "thread", "io", "os"];

/// Crates of the flow that must not know serde; in `credential` one private reader of JSON does.
const NO_SERDE: &[&str] =
    &[MODEL, "crates/flow/credential/", "crates/flow/identity/", "crates/flow/policy/", "crates/flow/guard/"];
const JSON_READER: &str = "crates/flow/credential/src/json.rs";

pub(crate) fn check(source: &Parsed<'_>) -> Vec<Finding> {
    if !is_flow(source.path) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, token) in source.shipped.iter().enumerate() {
        let called = source.shipped.get(at + 1).is_some_and(|next| next.is_sign('!'));
        if let Some(text) = token.word().and_then(|word| refused_word(source.path, word, called)) {
            findings.push(Finding::new(source.path, token.line, "purity", text));
        }
    }
    findings.extend(refused_paths(source.path, &source.shipped));
    findings
}

pub(crate) fn is_flow(path: &str) -> bool {
    path.starts_with(FLOW) || path.starts_with(MODEL)
}

fn refused_word(path: &str, word: &str, called: bool) -> Option<String> {
    if matches!(word, "async" | "await") && !path.starts_with(GUARD) {
        return Some(format!("`{word}`: only guard awaits, and only the ledger"));
    }
    if matches!(word, "serde" | "serde_json") && path != JSON_READER && NO_SERDE.iter().any(|dir| path.starts_with(dir))
    {
        return Some(format!("`{word}`: wire and file types live at the edge, and are converted where they enter"));
    }
    if called && MACROS.contains(&word) {
        return Some(format!("`{word}!`: the flow writes nothing; guard logs decisions"));
    }
    WORDS.iter().find(|(banned, _)| *banned == word).map(|(banned, why)| format!("`{banned}`: {why}"))
}

fn refused_paths(path: &str, tokens: &[Token<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for named in paths(tokens) {
        let outside = OUTSIDE.iter().any(|module| named.begins(&["std", module]));
        if outside || named.begins(&["std", "*"]) {
            let text = format!("`{}`: the flow reaches nothing outside its arguments", named.text());
            findings.push(Finding::new(path, named.line, "purity", text));
        }
        if named.segments.iter().any(|segment| segment == "rand") {
            let text = format!("`{}`: entropy comes as an argument", named.text());
            findings.push(Finding::new(path, named.line, "purity", text));
        }
    }
    findings
}
