//! Everything that is printed: results on stdout, the rest on stderr.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

use super::Format;
use crate::dev::{About, Running};

/// A line of results.
pub(super) fn line(text: &str) {
    // a reader that has gone away wants no more
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Parts of results, as they are.
pub(super) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // a reader that has gone away wants no more
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// A message for people.
pub(super) fn complain(text: &str) {
    // nobody is left to tell if this cannot be written
    let _ = writeln!(std::io::stderr().lock(), "countersign: {text}");
}

/// Something worth knowing beside the results.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A result as the caller asked for it.
pub(super) fn result(document: &Value, format: Format, text: impl FnOnce(&Value) -> String) {
    match format {
        Format::Json => line(&document.to_string()),
        // `junit` is refused where nothing has such an output
        Format::Text | Format::Junit => line(text(document).trim_end()),
    }
}

/// What `dev` says once it serves.
pub(super) fn dev_ready(running: &Running, format: Format) {
    for text in &running.notes {
        note(text);
    }
    let json = &running.json;
    if format == Format::Json {
        line(&serde_json::to_value(json).unwrap_or_default().to_string());
        return;
    }
    let (gateway, estate, ledger) = (&json.gateway.http, json.estate.display(), json.ledger.display());
    let dir =
        if is_default(running) { String::new() } else { format!(" --dir {}", running.directory.root().display()) };
    let callers = match &running.estate {
        About::Samples => format!("\n  callers   {}", json.tokens.join(", ")),
        About::LaidOut(_) | About::Other => String::new(),
    };
    let clouds = json.clouds.as_ref().map(|url| format!("\n  clouds    {url}")).unwrap_or_default();
    line(&format!(
        "countersign dev is ready

  gateway   {gateway}
  control   {control}
  estate    {estate}
  ledger    {ledger}{callers}{clouds}

{next}
Ctrl-C drains and stops.",
        control = json.control,
        next = next_steps(running, &dir),
    ));
}

/// What to try, and what to edit.
fn next_steps(running: &Running, dir: &str) -> String {
    let (gateway, estate) = (&running.json.gateway.http, running.json.estate.display());
    let curl =
        |token: &str, target: &str| format!("  curl -i -H \"Authorization: Bearer {token}\" {gateway}{target}\n");
    let apply = |file: &str| format!("  $EDITOR {estate}/{file} && countersign apply -f {estate}{dir}\n");
    let explain = format!("  countersign explain last{dir}\n");
    match &running.estate {
        About::Samples => {
            let token = format!("$(countersign dev token ci-main{dir})");
            let curl = curl(&token, "/invoices/1");
            format!("Try it in another terminal:\n{curl}{explain}{}", apply("billing.cedar"))
        }
        About::LaidOut(laid_out) => {
            let curl = curl("$TOKEN", &laid_out.target);
            let left_out = match laid_out.left_out {
                0 => String::new(),
                count => format!(
                    "\n{count} operation(s) of the file are not mapped, because no route can say their paths; estate.yaml lists them.\n"
                ),
            };
            format!(
                "A first estate for your API is laid out. With a token of your issuer, this answers 403 until a policy permits it:
{curl}{explain}
What to edit next, and how to put it in force:
  {estate}/estate.yaml    whose tokens these are, and what each operation asks
{}  countersign catalog list -f {estate}
{left_out}",
                apply("api.cedar")
            )
        }
        About::Other => {
            format!("Try it in another terminal:\n{}{explain}{}", curl("$TOKEN", "/…"), apply("estate.yaml"))
        }
    }
}

fn is_default(running: &Running) -> bool {
    let here = std::env::current_dir().ok().and_then(|here| here.join(".countersign").canonicalize().ok());
    here.is_some_and(|here| here == running.directory.root())
}

/// `file:line:column: message`, and how to mend it.
pub(super) fn problem_text(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| problem.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut line = format!("{}:{}:{}: {}", text("file"), number("line"), number("column"), text("message"));
    if !text("suggestion").is_empty() {
        let _ = write!(line, "\n  help: {}", text("suggestion"));
    }
    line
}

/// The changes of a plan or an application.
pub(super) fn changes_text(document: &Value) -> String {
    let changes = document.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    for change in changes {
        let word = |name: &str| change.get(name).and_then(Value::as_str).unwrap_or_default();
        let sign = match word("change") {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        let _ = writeln!(text, "  {sign} {} {}", word("kind"), word("name"));
    }
    if changes.is_empty() {
        text.push_str("  nothing changes\n");
    }
    text
}

/// Gate 1, step by step.
pub(super) fn resolved_text(document: &Value) -> String {
    let mut text = String::new();
    for step in document.get("steps").and_then(Value::as_array).into_iter().flatten() {
        let word = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
        let mark = if step.get("ok").and_then(Value::as_bool) == Some(true) { "ok     " } else { "REFUSED" };
        let source = if word("source").is_empty() { String::new() } else { format!(" [{}]", word("source")) };
        let _ = writeln!(text, "{mark}  {:<10} {}{source}", word("step"), word("detail"));
    }
    match (word(document, "/principal/id"), word(document, "/code")) {
        (Some(id), _) => {
            let kind = word(document, "/principal/kind").unwrap_or_default();
            let _ =
                writeln!(text, "\n{kind} {id}, owned by {}", word(document, "/principal/owner").unwrap_or_default());
        }
        (None, code) => {
            let _ = writeln!(text, "\nnobody: {}", code.unwrap_or_default());
        }
    }
    text
}

/// What replay found.
pub(super) fn replayed_text(document: &Value) -> String {
    let number = |name: &str| document.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!("{} checked, {} agreed\n", number("checked"), number("agreed"));
    for differs in document.get("differ").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| differs.get(name).map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}\n  was {}\n  now {}",
            word(differs, "/id").unwrap_or_default(),
            part("was"),
            part("now")
        );
    }
    text
}

/// What verification of a ledger found.
pub(super) fn verified_text(document: &Value) -> String {
    let mut text = String::new();
    for (writer, seq) in document.get("through").and_then(Value::as_object).into_iter().flatten() {
        let _ = writeln!(text, "{writer}: complete to {seq}");
    }
    let end = match word(document, "/end") {
        Some("proven") => "the end is proven by the checkpoint",
        _ => "end not proven: only a checkpoint kept elsewhere shows that nothing is missing after this",
    };
    match document.get("fault").filter(|fault| !fault.is_null()) {
        None => text.push_str(end),
        Some(fault) => {
            let _ = write!(
                text,
                "FAULT: {} in {} at seq {}",
                word(fault, "/kind").unwrap_or_default(),
                word(fault, "/segment").unwrap_or_default(),
                fault.get("seq").map(ToString::to_string).unwrap_or_default()
            );
        }
    }
    text
}

/// One record, in one line.
pub(super) fn record_text(record: &Value) -> String {
    let w = |pointer: &str| word(record, pointer);
    let mut line = format!("{}  {:<9}", w("/time").unwrap_or_default(), w("/kind").unwrap_or_default());
    match w("/kind") {
        Some("judgement") => {
            let answer = match (w("/verdicts/0/decision"), w("/verdicts/0/code")) {
                (Some("allow"), _) => "allow",
                (_, code) => code.unwrap_or("deny"),
            };
            let _ = write!(
                line,
                "  {}  {answer:<20}  {}  {}",
                w("/id").unwrap_or_default(),
                w("/principal/id").unwrap_or("-"),
                w("/operation").unwrap_or("-").escape_debug()
            );
        }
        Some("outcome") => {
            let status = record.get("status").map(ToString::to_string).unwrap_or_default();
            let _ = write!(line, "  {}  {} {status}", w("/of").unwrap_or_default(), w("/result").unwrap_or_default());
        }
        Some("counted") => {
            let count = record.get("count").map(ToString::to_string).unwrap_or_default();
            let _ = write!(
                line,
                "  {}  {:<20}  {}  {count} times since {}",
                w("/id").unwrap_or_default(),
                w("/code").unwrap_or_default(),
                w("/source").unwrap_or("-"),
                w("/first").unwrap_or_default()
            );
        }
        _ => {
            let _ = write!(line, "  {record}");
        }
    }
    line
}

/// The text at a JSON pointer.
pub(super) fn word<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    document.pointer(pointer).and_then(Value::as_str)
}

/// The texts of a list at a JSON pointer, with commas between.
pub(super) fn list(document: &Value, pointer: &str) -> String {
    let words = document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    words.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}
