//! The flow's purity, Cedar and JOSE in one place each.

use super::{check_passes, check_refused, found};

const IDENTITY: &str = "crates/flow/identity/src/caller.rs";
const GUARD: &str = "crates/flow/guard/src/admit.rs";

#[test]
fn the_flow_does_not_wait() {
    check_refused("purity", IDENTITY, "pub async fn resolve() {}", "`async`");
    check_refused("purity", IDENTITY, "fn f() { drop(async move { 1 }) }", "`async`");
    check_refused("purity", IDENTITY, "fn f() { lookup()\n.await }", "3: `await`");
    check_passes("purity", GUARD, "pub async fn admit() { ledger.record().await }");
    check_passes("purity", "crates/edge/store/src/writer.rs", "pub async fn write() {}");
}

#[test]
fn the_flow_has_no_clock_and_no_chance() {
    for (text, words) in [
        ("fn f() { std::time::SystemTime::now() }", "`SystemTime`"),
        ("use std::time::Instant;", "`Instant`"),
        ("use aws_lc_rs::rand::fill;", "`aws_lc_rs::rand::fill`"),
        ("use {rand::random, std::fmt};", "`rand::random`"),
        ("static KEYS: std::sync::OnceLock<u8> = x;", "`OnceLock`"),
        ("use aws_lc_rs::hmac;", "`hmac`"),
    ] {
        check_refused("purity", IDENTITY, text, words);
        check_refused("purity", GUARD, text, words);
        check_refused("purity", "crates/model/src/time.rs", text, words);
    }
}

#[test]
fn the_flow_reaches_nothing_outside() {
    for (text, words) in [
        ("fn f() { std::env::var(name) }", "`std::env::var`"),
        ("fn f() { ::std::fs::read(name) }", "`std::fs::read`"),
        ("use std::{fmt, net::TcpStream};", "`std::net::TcpStream`"),
        ("use std::{\n    fmt,\n    process::{self, Command as Run},\n};", "`std::process`"),
        ("use std::*;", "`std::*`"),
        ("fn f() { println!(text) }", "`println!`"),
        ("fn f() { dbg!(1) }", "`dbg!`"),
    ] {
        let found = found("purity", IDENTITY, text);
        assert!(found.iter().any(|found| found.contains(words)), "{text}\n{found:?}");
    }
    check_passes("purity", IDENTITY, "use std::{fmt, sync::Arc};\nfn f(print: u8) -> u8 { print }");
    check_passes("purity", "crates/countersign/src/cli/output.rs", "use std::{env, fs};");
}

#[test]
fn serde_stays_in_the_record_and_the_one_json_reader() {
    check_refused("purity", "crates/model/src/name.rs", "#[derive(serde::Serialize)] struct S;", "`serde`");
    check_refused("purity", "crates/flow/credential/src/claims.rs", "use serde_json::Value;", "`serde_json`");
    check_refused("purity", GUARD, "#[serde(rename = \"x\")] struct S;", "`serde`");
    check_passes("purity", "crates/flow/credential/src/json.rs", "use serde::de::Visitor;");
    check_passes("purity", "crates/flow/audit/src/record.rs", "use serde::Serialize;");
}

#[test]
fn words_in_comments_and_literals_are_not_code() {
    for text in [
        "// async fn, SystemTime::now() and serde",
        "/* async /* nested */ await */ fn f() {}",
        "fn f() -> &'static str { \"async \\\" await\" }",
        "fn f() -> &'static str { r#\"println!(\" async \")\"# }",
        "fn f() -> char { '\\'' } // async",
        "fn f<'async_>(quote: char) -> bool { quote == '\"' || quote == 'a' }",
    ] {
        check_passes("purity", IDENTITY, text);
    }
    check_refused("purity", IDENTITY, "fn f(c: char) -> bool { c == '\"' } async fn g() {}", "`async`");
    check_refused("purity", IDENTITY, "fn f<'a>(s: &'a str) { r#\"\"\"# } async fn g() {}", "`async`");
    check_refused("purity", IDENTITY, "fn r#type() {} async fn g() {}", "`async`");
}

#[test]
fn tests_may_do_what_the_flow_may_not() {
    let text = "#[cfg(test)]\nmod tests { async fn f() { std::env::var(x) } }\nfn g() {}";
    check_passes("purity", IDENTITY, text);
    check_passes("purity", "crates/flow/identity/src/tests/lookup.rs", "async fn f() {}");
    check_refused("purity", IDENTITY, "#[cfg(test)]\nuse std::fs;\nasync fn f() {}", "4: `async`");
    check_refused("purity", IDENTITY, "#[cfg(any(test, windows))]\nasync fn f() {}", "`async`");
}

#[test]
fn cedar_is_named_by_policy_alone() {
    check_refused("cedar", GUARD, "use cedar_policy::Decision;", "only crates/flow/policy");
    check_refused("cedar", "scenarios/src/lib.rs", "use cedar_policy::Decision;", "only crates/flow/policy");
    check_passes("cedar", "crates/flow/policy/src/engine.rs", "use cedar_policy::Decision;");
}

#[test]
fn jose_is_read_by_credential_by_the_judge_and_by_tests() {
    let text = "use base64::prelude::BASE64_URL_SAFE_NO_PAD;";
    check_refused("jose", "crates/countersign/src/gateway/head.rs", text, "only crates/flow/credential");
    check_refused("jose", "crates/flow/audit/src/checkpoint.rs", text, "only crates/flow/credential");
    check_refused("jose", "crates/countersign/src/dev/issuers.rs", text, "only crates/flow/credential");
    check_passes("jose", "crates/flow/credential/src/jws.rs", text);
    check_passes("jose", "crates/role/conformance/src/read/token.rs", text);
    check_passes("jose", "crates/countersign/src/fakes/keys.rs", text);
    check_passes("jose", "crates/countersign/src/gateway/tests.rs", text);
    check_passes("jose", "scenarios/tests/tokens.rs", text);
}
