//! One judgement for people, to be read in half a minute: identity, access, protocol and outcome, each apart.

use std::fmt::Write as _;

use serde_json::Value;

use super::output::{list, word};

/// One judgement: identity, access, protocol and outcome, each apart; or what was counted.
pub fn explain_text(doc: &Value) -> String {
    if word(doc, "/kind") == Some("counted") {
        return counters_text(doc);
    }
    let mut text = String::new();
    let verdict = doc.pointer("/verdicts/0").cloned().unwrap_or_default();
    let answer = match (word(&verdict, "/decision"), word(&verdict, "/code")) {
        (Some("allow"), _) => "ALLOWED".to_owned(),
        (_, code) => format!("REFUSED {}", code.unwrap_or_default()),
    };
    let _ = writeln!(
        text,
        "{answer}  {}  {}\nrecord    {}  (seq {} of {})\n",
        word(doc, "/operation").unwrap_or("(no readable head)"),
        word(doc, "/time").unwrap_or_default(),
        word(doc, "/id").unwrap_or_default(),
        doc.get("seq").map(ToString::to_string).unwrap_or_default(),
        word(doc, "/writer").unwrap_or_default(),
    );
    identity(&mut text, doc, &verdict);
    if word(&verdict, "/layer") != Some("identity") {
        access(&mut text, &verdict);
        applied(&mut text, doc.pointer("/applied/policies"), "policy");
    }
    protocol(&mut text, doc);
    outcome(&mut text, doc, &verdict);
    text
}

/// What an id stands for that many judgements have together, since none of them has a record of its own.
fn counters_text(doc: &Value) -> String {
    let counters = doc.get("counters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let first = counters.first().unwrap_or(&Value::Null);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "COUNTED  {}\nrecord    {}  (seq {} of {})\n\ncounted   more came at once than is recorded one by one; this answer was one of",
        word(first, "/time").unwrap_or_default(),
        word(first, "/id").unwrap_or_default(),
        first.get("seq").map(ToString::to_string).unwrap_or_default(),
        word(first, "/writer").unwrap_or_default(),
    );
    for counter in counters {
        let source = match (word(counter, "/code"), word(counter, "/source")) {
            (Some("ledger_unavailable"), reader) => format!("read by {}", reader.unwrap_or("unknown")),
            (_, Some(source)) => format!("refused, by a credential of source {source}"),
            (_, None) => "refused, by no credential of a known source".to_owned(),
        };
        let _ = writeln!(
            text,
            "          {} times {}, {source}\n          from {} to {}",
            counter.get("count").map(ToString::to_string).unwrap_or_default(),
            word(counter, "/code").unwrap_or_default(),
            word(counter, "/first").unwrap_or_default(),
            word(counter, "/last").unwrap_or_default(),
        );
    }
    text.push_str("outcome   nothing was let through\n");
    text
}

/// Gate 2 alone, in a few lines.
pub(super) fn verdict_text(verdict: &Value) -> String {
    let mut text = String::new();
    access(&mut text, verdict);
    text
}

fn identity(text: &mut String, doc: &Value, verdict: &Value) {
    match word(doc, "/principal/id") {
        Some(id) => {
            let _ = writeln!(
                text,
                "identity  {} {id}, owned by {}",
                word(doc, "/principal/kind").unwrap_or_default(),
                word(doc, "/principal/owner").unwrap_or_default()
            );
        }
        None if word(verdict, "/layer") == Some("identity") => {
            let _ = writeln!(
                text,
                "identity  nobody: {}\n          {}",
                word(verdict, "/code").unwrap_or_default(),
                word(verdict, "/reason").unwrap_or_default()
            );
        }
        None => text.push_str("identity  not asked\n"),
    }
    for presented in doc.get("presented").and_then(Value::as_array).into_iter().flatten() {
        let w = |pointer: &str| word(presented, pointer);
        let _ = write!(
            text,
            "          by a {} credential of source {} ({})",
            w("/kind").unwrap_or_default(),
            w("/source").unwrap_or("unknown"),
            w("/binding").unwrap_or_default()
        );
        if !list(presented, "/key").is_empty() {
            let _ = write!(text, ", key ({})", list(presented, "/key"));
        }
        if let Some(expires) = w("/expires") {
            let _ = write!(text, ", expires {expires}");
        }
        text.push('\n');
    }
    if !list(doc, "/evidence").is_empty() {
        let _ = writeln!(text, "          proved facts: {}", list(doc, "/evidence"));
    }
    if doc.pointer("/applied/binding").is_some_and(Value::is_object) {
        applied(text, doc.pointer("/applied/binding").cloned().map(|one| Value::Array(vec![one])).as_ref(), "bound by");
    }
}

fn access(text: &mut String, verdict: &Value) {
    let w = |pointer: &str| word(verdict, pointer);
    let asked = match (w("/action"), w("/resource")) {
        (Some(action), Some(resource)) => format!("{action} {resource}"),
        _ => "nothing in the catalog".to_owned(),
    };
    let tier = w("/tier").map(|tier| format!(", tier {tier}")).unwrap_or_default();
    let answer = if w("/decision") == Some("allow") { "allowed" } else { w("/code").unwrap_or("denied") };
    let _ = writeln!(text, "access    {answer}: {asked}{tier}");
    if let Some(reason) = w("/reason") {
        for line in reason.lines() {
            let _ = writeln!(text, "          {line}");
        }
    }
    if !list(verdict, "/missing").is_empty() {
        let _ = writeln!(text, "          missing: {}", list(verdict, "/missing"));
    }
}

fn applied(text: &mut String, list: Option<&Value>, word_for: &str) {
    for one in list.and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(
            text,
            "          {word_for} {} since epoch {}, applied by {} at {}",
            word(one, "/name").unwrap_or_default(),
            one.get("epoch").map(ToString::to_string).unwrap_or_default(),
            word(one, "/by").unwrap_or_default(),
            word(one, "/time").unwrap_or_default()
        );
    }
}

fn protocol(text: &mut String, doc: &Value) {
    let _ = write!(
        text,
        "protocol  {} at the {} door",
        word(doc, "/protocol").unwrap_or_default(),
        word(doc, "/door").unwrap_or_default()
    );
    if let Some(service) = word(doc, "/inputs/context/service") {
        let _ = write!(text, ", service {service}");
    }
    for param in doc.pointer("/inputs/context/params").and_then(Value::as_array).into_iter().flatten() {
        let part = |index: usize| param.get(index).and_then(Value::as_str).unwrap_or_default();
        let _ = write!(text, ", {} = {}", part(0), part(1).escape_debug());
    }
    let _ = writeln!(
        text,
        "\n          trace {}; decided by epoch {}",
        word(doc, "/trace_id").unwrap_or_default(),
        doc.get("epoch").map(ToString::to_string).unwrap_or_default()
    );
}

fn outcome(text: &mut String, doc: &Value, verdict: &Value) {
    let Some(outcome) = doc.get("outcome").filter(|outcome| outcome.is_object()) else {
        let why = if word(verdict, "/decision") == Some("allow") { "not known yet" } else { "nothing was let through" };
        let _ = writeln!(text, "outcome   {why}");
        return;
    };
    let _ = write!(text, "outcome   {}", word(outcome, "/result").unwrap_or_default());
    let number = |name: &str| outcome.get(name).and_then(Value::as_u64);
    if let Some(status) = number("status") {
        let _ = write!(text, ", status {status}");
    }
    if let Some(code) = word(outcome, "/code") {
        let _ = write!(text, " ({code})");
    }
    if let (Some(bytes_in), Some(bytes_out)) = (number("bytes_in"), number("bytes_out")) {
        let _ = write!(text, ", {bytes_in} bytes in, {bytes_out} out");
    }
    if let Some(micros) = number("micros") {
        let _ = write!(text, ", {}.{:03} ms", micros / 1000, micros % 1000);
    }
    text.push('\n');
}
