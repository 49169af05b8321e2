//! Registrations beside those of the estate: put and deleted by name, and in force at once.

use serde_json::{Value, json};
use store::StateFault;

use super::command::Registering;
use super::reply::Reply;
use crate::epochs::{Author, Epochs};
use crate::estate::{Problem, read_registrations};
use crate::registry::{Origin, write};

/// Most registrations of one request.
const MOST: usize = 1_000;
/// Most that are listed.
const LISTED: usize = 10_000;

/// Why nothing was registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRegistered {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("{} problem(s)", .0.len())]
    Problems(Vec<Problem>),
    #[error("a request has at most {MOST} registrations")]
    TooMany,
    #[error("`{name}` is a registration of the estate: change it there")]
    OfEstate { name: String },
    #[error("no registration `{name}` was put here")]
    Unknown { name: String },
    #[error("it may not be kept")]
    Kept(#[from] StateFault),
}

/// Puts or deletes registrations; all of a request or none.
pub(super) async fn register(epochs: &Epochs, asked: Registering, by: &Author) -> Result<Value, NotRegistered> {
    let registry = epochs.registry();
    let own = |name: &str| match registry.named(name) {
        Some(registered) if registered.origin == Origin::Estate => {
            Err(NotRegistered::OfEstate { name: name.to_owned() })
        }
        registered => Ok(registered),
    };
    let put: Vec<(String, Option<String>)> = match asked {
        Registering::Put(bundle) => {
            let domain = epochs.live().load().domain.clone().ok_or(NotRegistered::NoEnvironment)?;
            let registrations = read_registrations(&bundle, &domain).map_err(NotRegistered::Problems)?;
            let written = |one: crate::estate::Registration| {
                own(&one.name)?;
                Ok((one.name.clone(), Some(write(&one))))
            };
            registrations.into_iter().map(written).collect::<Result<_, NotRegistered>>()?
        }
        Registering::Delete(names) => {
            let deleted = |name: String| match own(&name)? {
                Some(_) => Ok((name, None)),
                None => Err(NotRegistered::Unknown { name }),
            };
            names.into_iter().map(deleted).collect::<Result<_, _>>()?
        }
    };
    if put.len() > MOST {
        return Err(NotRegistered::TooMany);
    }
    let names: Vec<&String> = put.iter().map(|(name, _)| name).collect();
    let seq = if put.is_empty() { 0 } else { epochs.register(&put, by).await? };
    Ok(json!({"registrations": names, "change": seq}))
}

/// What is registered, for people and programs.
pub(super) fn listed(epochs: &Epochs) -> Value {
    let (all, count) = epochs.registry().listed(LISTED);
    let items: Vec<Value> = all
        .iter()
        .map(|registered| {
            let of = &registered.registration;
            json!({
                "name": of.name,
                "id": of.id.to_string(),
                "by": match registered.origin { Origin::Estate => "estate", Origin::Own => "operator" },
                "nodes": of.nodes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "selectors": of.selectors.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "downstream": of.downstream,
                "expires": of.expires.map(|end| end.to_string()),
                "digest": format!("sha256:{}", registered.digest),
            })
        })
        .collect();
    json!({"kind": "Registration", "items": items, "count": count})
}

pub(super) fn reply(done: Result<Value, NotRegistered>) -> Reply {
    match done {
        Ok(done) => Reply::ok(&done),
        Err(NotRegistered::Problems(problems)) => {
            let document = json!({"error": "the registrations do not load", "errors": problems});
            Reply::Json(http::StatusCode::UNPROCESSABLE_ENTITY, document)
        }
        Err(why @ NotRegistered::Kept(_)) => Reply::failed(&why),
        Err(why) => Reply::invalid(&why.to_string()),
    }
}
