//! `authority`: the keys that sign SVIDs, as operators see and change them.

use serde_json::Value;

use super::args::{AuthorityDo, AuthorityOf};
use super::operate::{number, text};
use super::server::runtime;
use super::{Client, Format, Stopped, output};
use crate::control::{AuthorityKind, AuthorityRequest, AuthorityVerb};

/// Shows or changes authorities.
///
/// # Errors
/// [`Stopped`].
pub(super) fn authority(client: &Client, verb: &AuthorityDo, format: Format) -> Result<(), Stopped> {
    let request = |act, kind, id: Option<&String>| AuthorityRequest { act, kind, id: id.cloned() };
    let of = |act, of: &AuthorityOf| request(act, of.kind, of.id.as_ref());
    let request = match verb {
        AuthorityDo::Show { kind } => return show(client, *kind, format),
        AuthorityDo::Prepare { kind } => request(AuthorityVerb::Prepare, *kind, None),
        AuthorityDo::Activate(one) => of(AuthorityVerb::Activate, one),
        AuthorityDo::Taint(one) => of(AuthorityVerb::Taint, one),
        AuthorityDo::Revoke(one) => of(AuthorityVerb::Revoke, one),
    };
    let done = runtime()?.block_on(client.post("/v1/authorities", &request))?;
    output::result(&done, format, |done| {
        let word = match request.act {
            AuthorityVerb::Prepare => "is prepared, and published",
            AuthorityVerb::Activate => "signs from now on",
            AuthorityVerb::Taint => "is tainted: what it signed is being replaced",
            AuthorityVerb::Revoke => "is revoked: what it signed counts nowhere",
        };
        format!("{} {} {word} (bundle {})", text(done, "kind"), text(done, "id"), number(done, "sequence"))
    });
    Ok(())
}

fn show(client: &Client, kind: Option<AuthorityKind>, format: Format) -> Result<(), Stopped> {
    let mut document = runtime()?.block_on(client.get("/v1/authorities"))?;
    if let Some(kind) = kind.and_then(|kind| serde_json::to_value(kind).ok())
        && let Some(items) = document.get_mut("items").and_then(Value::as_array_mut)
    {
        items.retain(|item| item.get("kind") == Some(&kind));
    }
    output::result(&document, format, |document| {
        let items = document.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let line = |item: &Value| {
            let last = item.get("last").unwrap_or(&Value::Null);
            format!(
                "{:<4}  {}  {:<8}  since {}  ends {}  by {}",
                text(item, "kind"),
                text(item, "id"),
                text(item, "standing"),
                text(item, "since"),
                text(item, "ends"),
                text(last, "by"),
            )
        };
        items.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}
