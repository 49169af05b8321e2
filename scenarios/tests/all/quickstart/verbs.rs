//! Exit codes and help.

use std::path::Path;

use serde_json::json;

use crate::harness::{Dev, binary, command, finish, run};

#[test]
fn exit_codes_say_what_kind_of_end_it_was() {
    #[rustfmt::skip]
    let table: &[(&[&str], i32)] = &[
        (&["version"], 0),
        (&["--help"], 0),
        (&["explain-code", "audience_wrong"], 0),
        (&["explain-code", "no_such_code"], 3),
        (&["completion", "tcsh"], 64),
        (&["catalog", "lint", "-f", "/nonexistent"], 3),
        (&["catalog", "list"], 64),
        (&["check", "-f", "/nonexistent"], 3),
        (&["resolve", "--token-file", "/nonexistent", "-f", "/nonexistent"], 3),
        (&["ledger", "verify", "/nonexistent"], 3),
        (&["dev", "token", "nobody-of-that-name"], 3),
        (&["explain", "ab", "--server", "unix:/nonexistent/control.sock"], 4),
        (&["dev", "token", "ci-main", "--dir", "/nonexistent"], 4),
        (&["nosuchverb"], 64),
        (&[], 64),
        (&["check"], 64),
        (&["apply", "--nosuchflag"], 64),
        (&["apply", "-f", "/nonexistent", "--output", "yaml"], 64),
        (&["resolve", "--token", "abc"], 64),
        (&["explain"], 64),
        (&["explain", "ab", "--server", "ftp://example"], 64),
        (&["ledger", "verify", "/nonexistent", "--key", "k"], 64),
    ];
    for (args, code) in table {
        let ran = run(args, b"");
        assert_eq!(ran.code, *code, "{args:?}: {ran:?}");
        assert!(*code == 0 || (ran.out.is_empty() && !ran.err.is_empty()), "{args:?}: errors go to stderr: {ran:?}");
    }
}

#[test]
fn a_shell_completes_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completion", shell], b"").ended(0).out;
        assert!(script.contains("explain-code") && script.contains("token-file"), "{shell}: {script}");
        let json = run(&["completion", shell, "--output", "json"], b"").ended(0).json();
        assert_eq!(json, json!({"shell": shell, "script": script}));
    }
    // as bash itself would ask, with the cursor behind the last word
    let asked = |words: &str, last: &str, before: &str| {
        let ask = format!(
            "source <(\"$1\" completion bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _countersign countersign \"{last}\" \"{before}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let binary = binary();
        let args = ["--norc", "-c", &ask, "bash", binary.to_str().expect("a plain path")];
        finish(command(Path::new("bash"), &args), b"").ended(0).out
    };
    assert_eq!(asked("countersign exp", "exp", "countersign"), "explain\nexplain-code\n");
    assert_eq!(asked("countersign ledger ver", "ver", "ledger"), "verify\n");
    assert_eq!(asked("countersign apply --y", "--y", "apply"), "--yes\n");
}

#[test]
fn every_verb_helps_with_examples() {
    let verbs: &[&[&str]] = &[
        &["dev"],
        &["dev", "token"],
        &["status"],
        &["doctor"],
        &["check"],
        &["apply"],
        &["resolve"],
        &["decide"],
        &["explain"],
        &["replay"],
        &["ledger", "tail"],
        &["ledger", "verify"],
        &["ledger", "checkpoint"],
        &["catalog", "list"],
        &["catalog", "lint"],
        &["explain-code"],
        &["completion"],
        &["version"],
    ];
    for verb in verbs {
        let ran = run(&[*verb, &["--help"]].concat(), b"").ended(0);
        let example = format!("countersign {}", verb.join(" "));
        assert!(ran.out.contains("Example") && ran.out.contains(&example), "{verb:?}: {ran:?}");
    }
}

#[test]
fn records_are_found_by_id_prefix_trace_and_last() {
    let dev = Dev::start();
    let token = dev.token("ci-fork");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let line = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let answer = crate::harness::call(dev.gateway(), "GET", "/invoices/1", Some(&token), &[&line]).is(403);
    let id = answer.record();
    for args in [&["explain", id][..], &["explain", &id[..8]], &["explain", "last"], &["explain", "--trace", trace]] {
        let json = dev.cli(&[args, &["--output", "json"]].concat()).ended(0).json();
        assert_eq!((&json["id"], &json["trace_id"]), (&id.into(), &trace.into()), "{args:?}");
    }
    let text = dev.cli(&["explain", id]).ended(0).out;
    for word in ["ci/billing", "forbidden", "jobs-need-protected-ref", "protected_ref", "team-billing"] {
        assert!(text.contains(word), "`{word}` is not explained:\n{text}");
    }
    for unknown in ["ffffffffffffffffffffffffffffffff", "zz"] {
        let ran = dev.cli(&["explain", unknown]).ended(3);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{ran:?}");
    }
    // one hex digit begins several ids once there are more than sixteen
    for _ in 0..20 {
        dev.get("/invoices/1", &token).is(403);
    }
    let first = |id: &str| id[..1].to_owned();
    let mut digits: Vec<String> = dev.judgements().keys().map(|id| first(id)).collect();
    digits.sort();
    let shared = digits.windows(2).find(|pair| pair[0] == pair[1]).expect("seventeen ids share a digit")[0].clone();
    dev.cli(&["explain", &shared]).ended(3);
}

#[test]
fn a_refusal_by_resolve_or_decide_exits_with_denied() {
    let dev = Dev::start();
    let token = dev.token("ci-main");
    dev.cli_with(&["resolve", "--token-file", "-"], token.as_bytes()).ended(0);
    dev.cli_with(&["resolve", "--token-file", "-"], b"not a token").ended(2);
    let decide = |principal: &str, resource: &str, context: &str| {
        let args = ["decide", "--principal", principal, "--action", "read", "--resource", resource, "--context", "-"];
        dev.cli_with(&args, context.as_bytes()).code
    };
    assert_eq!(decide("billing-ci", "billing/invoices", r#"{"evidence": ["protected_ref"]}"#), 0);
    assert_eq!(decide("billing-ci", "billing/invoices", "{}"), 2);
    assert_eq!(decide("nobody", "billing/invoices", "{}"), 3);
    assert_eq!(decide("dunning", "no/such", "{}"), 3);
    assert_eq!(decide("dunning", "billing/invoices", r#"{"unknown": 1}"#), 3);
}
