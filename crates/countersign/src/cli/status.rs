//! `status`: what a server decides by, and in more words how it is.

use std::fmt::Write as _;

use serde_json::Value;

use super::operate::{number, text};
use super::server::runtime;
use super::{Client, Format, Stopped, output};

/// Says what the server is deciding by.
///
/// # Errors
/// [`Stopped`].
pub(super) fn status(client: &Client, format: Format) -> Result<(), Stopped> {
    let status = runtime()?.block_on(client.get("/v1/status"))?;
    output::result(&status, format, status_text);
    Ok(())
}

/// Says how it is as well, and where the command line's `settings` came from.
///
/// # Errors
/// [`Stopped`].
pub(super) fn verbose(client: &Client, settings: Value, format: Format) -> Result<(), Stopped> {
    let mut status = runtime()?.block_on(client.get("/v1/status?detail=true"))?;
    if let Some(members) = status.as_object_mut() {
        members.insert("settings".to_owned(), settings);
    }
    output::result(&status, format, |status| {
        let detail = status.get("detail").map(detail_text).unwrap_or_default();
        format!("{}\n{detail}{}", status_text(status), settings_text(status))
    });
    Ok(())
}

fn status_text(status: &Value) -> String {
    let domain = status.get("trust_domain").and_then(Value::as_str).unwrap_or("none yet");
    format!(
        "trust domain  {domain}\nepoch         {}.{}\nsnapshot      {}\nkeys          {}\nrevocations   {} (through {})",
        number(status, "generation"),
        number(status, "epoch"),
        text(status, "snapshot"),
        text(status, "keys"),
        number(status, "revoked"),
        number(status, "revocation_seq"),
    )
}

fn detail_text(detail: &Value) -> String {
    let at = |pointer: &str| detail.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let end = |name: &str| {
        let end = detail.get(name).and_then(Value::as_str);
        end.map_or_else(|| "none yet".to_owned(), |end| format!("until {end}"))
    };
    let writable = if at("/ledger/writable") == "true" { "" } else { "; REFUSES" };
    let mut lines = vec![
        format!("started       {}", text(detail, "started")),
        format!(
            "age           {} s; routine {} s, sensitive {} s, critical {} s",
            at("/age_seconds"),
            at("/staleness_seconds/routine"),
            at("/staleness_seconds/sensitive"),
            at("/staleness_seconds/critical")
        ),
        format!("clock         {}", text(detail, "clock")),
        format!("SVID          {}", end("svid_ends")),
        format!("authority     {}", end("authority_ends")),
        format!(
            "ledger        {} records, {} to write, {} to sync, {} open, {} not taken{writable}",
            at("/ledger/records"),
            at("/ledger/waiting"),
            at("/ledger/unsynced"),
            at("/ledger/open"),
            at("/ledger/unrecorded")
        ),
    ];
    lines.extend(items(detail, "key_sets").map(key_set_text));
    lines.extend(items(detail, "planes").map(plane_text));
    lines.iter().fold(String::new(), |mut text, line| {
        // a `String` takes all that is written
        let _ = writeln!(text, "{line}");
        text
    })
}

fn key_set_text(set: &Value) -> String {
    let age = set.get("age_seconds").and_then(Value::as_u64);
    let age = age.map_or_else(|| "NONE IN FORCE".to_owned(), |age| format!("{age} s old"));
    let (fetches, failures) = (number(set, "fetches"), number(set, "failures"));
    format!("key set       {}  {age}, {fetches} fetches, {failures} failed", text(set, "source"))
}

fn plane_text(plane: &Value) -> String {
    let (generation, epoch) = (number(plane, "generation"), number(plane, "epoch"));
    let heard = plane.get("heard").and_then(Value::as_str).unwrap_or("never");
    format!(
        "plane         {}  {}, epoch {generation}.{epoch}, heard {heard}",
        text(plane, "name"),
        text(plane, "standing")
    )
}

fn settings_text(status: &Value) -> String {
    let line = |setting: &Value| {
        format!("\n  {:<8}{}  ({})", text(setting, "name"), text(setting, "value"), text(setting, "from"))
    };
    format!("\nsettings of this command line{}", items(status, "settings").map(line).collect::<String>())
}

fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}
