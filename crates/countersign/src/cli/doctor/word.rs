//! What the process says of itself, and what its silence means.

use std::path::Path;
use std::time::Duration;

use model::Time;
use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

use super::certificates;
use super::finding::Finding;
use crate::cli::operate::text;
use crate::cli::{Client, Exit, Stopped};
use crate::installation::READY;

/// Clocks of one machine, or of two that are kept, are not so far apart.
const APART: Duration = Duration::from_secs(5);
/// So many records wait only for a disk that does not follow.
const WAITING: u64 = 1024;

/// Whether it spoke.
pub(super) enum Word {
    Given(Value),
    Refused(String),
    /// Nobody is there.
    None,
}

pub(super) async fn asked(client: Result<Client, Stopped>) -> Word {
    let asked = match client {
        Ok(client) => client.get("/v1/status?detail=true").await,
        Err(stopped) => Err(stopped),
    };
    match asked {
        Ok(status) => Word::Given(status),
        Err(Stopped { exit: Exit::Unreachable, .. }) => Word::None,
        Err(stopped) => Word::Refused(stopped.message),
    }
}

/// Why nobody answers.
pub(super) fn silence(directory: &Path) -> Finding {
    let announced = [READY, "dev.json"].into_iter().find_map(|name| {
        let document: Value = serde_json::from_slice(&std::fs::read(directory.join(name)).ok()?).ok()?;
        i32::try_from(document.get("pid")?.as_i64()?).ok()
    });
    let runs = |pid: i32| Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    match announced {
        Some(pid) if runs(pid) => {
            let what = format!("process {pid} should answer here, and does not");
            Finding::problem("process", what, "look at its log; stop it, and start it again")
        }
        Some(pid) => {
            let what = format!("process {pid} was killed here, and nothing runs now");
            Finding::warning("process", what, "start it again: it says what it recovers")
        }
        None => Finding::warning("process", "nothing runs here", "start it, and look again"),
    }
}

/// What it says.
pub(super) fn look(status: &Value, at: Time) -> Vec<Finding> {
    let detail = status.get("detail").unwrap_or(&Value::Null);
    let mut findings = vec![in_force(status), age(detail)];
    findings.extend(clock(status, detail, at));
    findings.push(ledger(detail));
    let time = |name: &str| detail.get(name).and_then(Value::as_str).and_then(|time| time.parse().ok());
    findings.extend(time("svid_ends").map(|end| certificates::svid(end, at)));
    findings.extend(time("authority_ends").map(|end| certificates::authority(end, at)));
    findings.extend(items(detail, "authorities_overdue").map(overdue));
    findings.extend(items(detail, "key_sets").map(key_set));
    findings.extend(items(detail, "planes").map(plane));
    findings
}

/// What is due with an authority and fails.
fn overdue(failed: &Value) -> Finding {
    let (kind, since, why) = (text(failed, "kind"), text(failed, "since"), text(failed, "why"));
    let what = format!("an authority of {kind}-SVIDs is not changed as is due since {since}: {why}");
    Finding::warning("certificates", what, "it is tried again, and what is active signs on until it ends")
}

fn in_force(status: &Value) -> Finding {
    match status.get("trust_domain").and_then(Value::as_str) {
        Some(domain) => {
            let (generation, epoch) = (count(status, "/generation"), count(status, "/epoch"));
            Finding::ok("process", format!("it answers, and decides for {domain} by epoch {generation}.{epoch}"))
        }
        None => {
            let advice = "apply an estate at the control plane: `countersign apply -f PATH`";
            Finding::warning("process", "it answers, and nothing is in force", advice)
        }
    }
}

fn age(detail: &Value) -> Finding {
    let age = count(detail, "/age_seconds");
    let tiers = ["routine", "sensitive", "critical"];
    let refused: Vec<&str> =
        tiers.into_iter().filter(|tier| age > count(detail, &format!("/staleness_seconds/{tier}"))).collect();
    if refused.is_empty() {
        return Finding::ok("age", format!("what is in force was confirmed {age} s ago"));
    }
    let what = format!("control was last heard {age} s ago; refused are the tiers: {}", refused.join(", "));
    Finding::problem(
        "age",
        what,
        "start the control plane, or mend the way to it; the gateway's log says what is wrong",
    )
}

fn clock(status: &Value, detail: &Value, at: Time) -> Option<Finding> {
    if text(detail, "clock") == "jumped" {
        let what = "the clock jumped: sensitive and critical operations are refused until control confirms it";
        return Some(Finding::problem("clock", what, "set the clock; restart a process that decides by its own word"));
    }
    let told: Time = text(status, "time").parse().ok()?;
    let apart = at.since(told).max(told.since(at));
    Some(if apart > APART {
        let what = format!("the process's clock and this one are {} s apart", apart.as_secs());
        Finding::warning("clock", what, "keep both by NTP")
    } else {
        Finding::ok("clock", "it is steady")
    })
}

fn ledger(detail: &Value) -> Finding {
    let (waiting, unrecorded) = (count(detail, "/ledger/waiting"), count(detail, "/ledger/unrecorded"));
    let writable = detail.pointer("/ledger/writable").and_then(Value::as_bool).unwrap_or_default();
    if !writable {
        let advice = "make room on its disk; if the log says that it cannot be synced, restart the process";
        return Finding::problem("recording", "the ledger takes nothing: every call is refused", advice);
    }
    if unrecorded > 0 || waiting > WAITING {
        let what = format!("{unrecorded} judgements were not taken since the start, and {waiting} records wait");
        return Finding::warning("recording", what, "look at the disk, and for `ledger` in the log");
    }
    Finding::ok("recording", "the ledger takes all that is judged")
}

fn key_set(set: &Value) -> Finding {
    let (source, failing) = (text(set, "source"), count(set, "/failing"));
    let advice = "the log says why; compare `jwks.url` with what the issuer publishes";
    match set.get("age_seconds").and_then(Value::as_u64) {
        None => {
            let what = format!("`{source}` has no key set that is young enough: its tokens are refused");
            Finding::problem("keys", what, advice)
        }
        Some(age) if failing > 0 => {
            let what = format!("the last {failing} fetches of `{source}` failed; its key set is {age} s old");
            Finding::warning("keys", what, advice)
        }
        Some(age) => Finding::ok("keys", format!("the key set of `{source}` is {age} s old")),
    }
}

fn plane(plane: &Value) -> Finding {
    let name = text(plane, "name");
    let heard = plane.get("heard").and_then(Value::as_str).unwrap_or("never");
    let what = |says: &str| format!("{name} {says}; it was heard last: {heard}");
    match text(plane, "standing") {
        "current" => Finding::ok("planes", format!("{name} decides by what is in force")),
        "revoked" => Finding::ok("planes", format!("{name} is revoked, and hears nothing more")),
        "behind" => {
            Finding::warning("planes", what("is behind"), "wait a moment; else its log says what it does not take")
        }
        _ => Finding::warning(
            "planes",
            what("is silent"),
            format!("look at it; if it is gone for good, `countersign revoke principal {}`", text(plane, "id")),
        ),
    }
}

fn count(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}
