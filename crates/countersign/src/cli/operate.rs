//! Verbs by which an operator changes and looks at what is in force.

use serde_json::{Value, json};

use super::args::{Get, Plan, RegistrationVerb, Revoke, Rollback};
use super::server::runtime;
use super::{Client, Exit, Format, Stopped, output};
use crate::control::{Act, EstateRequest, EvictionRequest, Registering, RevocationRequest, RollBackRequest};
use crate::estate::Bundle;

/// Shows what an estate would change; changes nothing.
///
/// # Errors
/// [`Stopped`].
pub(super) fn plan(client: &Client, plan: &Plan, format: Format) -> Result<(), Stopped> {
    let estate = Bundle::read(&plan.file).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let planned =
        runtime()?.block_on(client.post("/v1/plan", &EstateRequest { estate, base: None, new_generation: false }))?;
    // the same document as `apply` prints
    let told = json!({"epoch": null, "changes": planned.get("changes")});
    output::result(&told, format, output::changes_text);
    Ok(())
}

/// Brings back an earlier epoch's content as a new epoch.
///
/// # Errors
/// [`Stopped`].
pub(super) fn roll_back(client: &Client, rollback: &Rollback, format: Format) -> Result<(), Stopped> {
    let applied = runtime()?.block_on(client.post("/v1/rollback", &RollBackRequest { epoch: rollback.epoch }))?;
    output::result(&applied, format, |applied| {
        let changes = output::changes_text(applied);
        format!("{changes}epoch {} is in force, with the content of epoch {}", number(applied, "epoch"), rollback.epoch)
    });
    Ok(())
}

/// Puts or deletes registrations beside those of the estate.
///
/// # Errors
/// [`Stopped`].
pub(super) fn register(client: &Client, verb: RegistrationVerb, format: Format) -> Result<(), Stopped> {
    let (asked, word) = match verb {
        RegistrationVerb::Put { file } => {
            let bundle = Bundle::read(&file).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
            (Registering::Put(bundle), "registered")
        }
        RegistrationVerb::Delete { names } => (Registering::Delete(names), "deleted"),
    };
    let done = runtime()?.block_on(client.post("/v1/registrations", &asked))?;
    output::result(&done, format, |done| format!("{word}: {}", listed(done, "registrations").join(", ")));
    Ok(())
}

/// Revokes or restores.
///
/// # Errors
/// [`Stopped`] with [`Exit::Failed`] where planes are missing that were to be waited for.
pub(super) fn revoke(client: &Client, act: Act, revoke: &Revoke, format: Format) -> Result<(), Stopped> {
    let request = RevocationRequest { act, kind: revoke.kind, id: revoke.id.clone(), wait: revoke.wait };
    let done = runtime()?.block_on(client.post("/v1/revocations", &request))?;
    let missing = listed(&done, "missing");
    output::result(&done, format, |done| {
        let word = if act == Act::Revoke { "revoked" } else { "restored" };
        let mut text = format!("{} {} (revocation {})", word, text(done, "id"), number(done, "revocation_seq"));
        if revoke.wait {
            let at = listed(done, "acknowledged").join(", ");
            let at = if at.is_empty() { "no gateway, for none has it yet" } else { &at };
            text.push_str(&format!("\nin force at: {at}"));
        }
        text
    });
    if revoke.wait && !missing.is_empty() {
        return Err(Stopped::new(Exit::Failed, format!("not yet in force at: {}", missing.join(", "))));
    }
    Ok(())
}

/// Has an agent forgotten.
///
/// # Errors
/// [`Stopped`].
pub(super) fn evict(client: &Client, name: &str, format: Format) -> Result<(), Stopped> {
    let request = EvictionRequest { agent: name.to_owned() };
    let done = runtime()?.block_on(client.post("/v1/evictions", &request))?;
    output::result(&done, format, |done| format!("evicted {}: it has to attest its node again", text(done, "id")));
    Ok(())
}

/// Lists what is live.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] where nothing has the name that is asked for.
pub(super) fn get(client: &Client, get: &Get, format: Format) -> Result<(), Stopped> {
    let path = format!("/v1/live/{}", get.kind.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>());
    let mut document = runtime()?.block_on(client.get(&path))?;
    if let Some(name) = &get.name
        && let Some(items) = document.get_mut("items").and_then(Value::as_array_mut)
    {
        items.retain(|item| ["name", "id"].iter().any(|key| item.get(key).and_then(Value::as_str) == Some(name)));
        if items.is_empty() {
            return Err(Stopped::new(Exit::Invalid, format!("no {} is named `{name}`", get.kind)));
        }
    }
    output::result(&document, format, |document| {
        let items = document.get("items").and_then(Value::as_array).filter(|items| !items.is_empty());
        let Some(items) = items else { return "nothing of that kind".to_owned() };
        let line = |item: &Value| {
            let fields = ["kind", "name", "trust_domain", "id", "standing", "time", "method"];
            let line =
                fields.iter().filter_map(|key| item.get(key).and_then(Value::as_str)).collect::<Vec<_>>().join("  ");
            let line = if item.get("profile").is_some() { format!("{line}{}", federation(item)) } else { line };
            listed(item, "selectors").into_iter().fold(line, |text, selector| format!("{text}\n    {selector}"))
        };
        items.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// How a federation fares, below the line that names it.
fn federation(item: &Value) -> String {
    let or = |name: &str, none: &str| item.get(name).and_then(Value::as_str).unwrap_or(none).to_owned();
    let count =
        |name: &str| item.get(name).and_then(Value::as_u64).map_or("none".to_owned(), |count| count.to_string());
    let mut lines = vec![
        format!("{} by {}", text(item, "url"), text(item, "profile")),
        format!(
            "sequence {}, {} X.509 authorities, changed {}",
            count("sequence"),
            count("x509_authorities"),
            or("changed", "never")
        ),
        format!(
            "last fetch {}, next {}; {} of {} failed",
            or("fetched", "never"),
            or("next", "now"),
            count("failures"),
            count("fetches")
        ),
    ];
    lines.extend(item.get("error").and_then(Value::as_str).map(|error| format!("last error: {error}")));
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// Says who the server takes the caller for.
///
/// # Errors
/// [`Stopped`].
pub(super) fn who_am_i(client: &Client, format: Format) -> Result<(), Stopped> {
    let who = runtime()?.block_on(client.get("/v1/whoami"))?;
    output::result(&who, format, |who| text(who, "principal").to_owned());
    Ok(())
}

pub(super) fn number(document: &Value, name: &str) -> String {
    document.get(name).map(ToString::to_string).unwrap_or_default()
}

pub(super) fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn listed(document: &Value, name: &str) -> Vec<String> {
    let names = document.get(name).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}
