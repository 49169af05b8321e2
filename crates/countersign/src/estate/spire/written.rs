//! Registrations as documents: in JSON, and in YAML that stays the same as long as they do.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::document::API_VERSION;
use super::super::registrations::{KIND, Registration};

/// Most documents of one file: as many as `registration put` takes at once.
const MOST: usize = 1_000;
/// Longest file, in bytes: well below what a file of an estate may have.
const LONGEST: usize = 2 * 1024 * 1024;

/// The document of a registration.
pub fn document(registration: &Registration) -> Value {
    let spec: Map<String, Value> =
        spec(registration).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": registration.name}, "spec": spec})
}

/// The same in YAML, with the entry that it comes of.
pub fn yaml(registration: &Registration, entry: &str) -> String {
    let mut text =
        format!("---\n# of SPIRE's entry `{}`\napiVersion: {API_VERSION}\nkind: {KIND}\n", entry.escape_debug());
    // writing to a string cannot fail
    let _ = writeln!(text, "metadata: {{name: {}}}\nspec:", Value::from(registration.name.as_str()));
    for (name, value) in spec(registration) {
        let _ = writeln!(text, "  {name}: {}", flow(&value));
    }
    text
}

/// Files of documents, by name: each can be put at once.
pub fn files(registrations: &[(Registration, String)]) -> Vec<(String, String)> {
    let (mut files, mut count): (Vec<String>, usize) = (Vec::new(), 0);
    for (registration, entry) in registrations {
        let text = yaml(registration, entry);
        match files.last_mut() {
            Some(file) if count < MOST && file.len() + text.len() <= LONGEST => {
                file.push_str(&text);
                count += 1;
            }
            _ => {
                files.push(text);
                count = 1;
            }
        }
    }
    let name = |nth: usize| format!("registrations-{:04}.yaml", nth + 1);
    files.into_iter().enumerate().map(|(nth, text)| (name(nth), text)).collect()
}

/// Fields in the order in which people read them.
fn spec(registration: &Registration) -> Vec<(&'static str, Value)> {
    let texts = |all: &mut dyn Iterator<Item = String>| Value::from(all.collect::<Vec<_>>());
    let mut fields = vec![
        ("id", Value::from(registration.id.as_str())),
        ("nodes", texts(&mut registration.nodes.iter().map(ToString::to_string))),
        ("selectors", texts(&mut registration.selectors.iter().map(ToString::to_string))),
    ];
    let mut x509 = Map::new();
    if let Some(ttl) = registration.x509_ttl {
        x509.insert("ttl".to_owned(), duration(ttl));
    }
    if !registration.dns_names.is_empty() {
        x509.insert("dnsNames".to_owned(), registration.dns_names.clone().into());
    }
    if !x509.is_empty() {
        fields.push(("x509", x509.into()));
    }
    fields.extend(registration.jwt_ttl.map(|ttl| ("jwt", json!({"ttl": duration(ttl)}))));
    if !registration.hint.is_empty() {
        fields.push(("hint", registration.hint.as_str().into()));
    }
    if !registration.federates_with.is_empty() {
        fields.push(("federatesWith", texts(&mut registration.federates_with.iter().map(ToString::to_string))));
    }
    if registration.downstream {
        fields.push(("downstream", true.into()));
    }
    fields.extend(registration.expires.map(|end| ("expires", end.to_string().replace(".000000Z", "Z").into())));
    fields
}

/// A value on one line. A JSON text is a YAML text, too.
fn flow(value: &Value) -> String {
    let all = |all: Vec<String>| all.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", all(items.iter().map(flow).collect())),
        Value::Object(fields) => {
            format!("{{{}}}", all(fields.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// In the largest unit that it is whole in.
fn duration(span: Duration) -> Value {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        hours if hours % 3600 == 0 => (seconds / 3600, "h"),
        minutes if minutes % 60 == 0 => (seconds / 60, "m"),
        _ => (seconds, "s"),
    };
    format!("{count}{unit}").into()
}
