//! One judgement, with its outcome and with who put in force what it rested on; or a counter of judgements.

use std::path::Path;

use audit::{Body, Judgement, Record};
use model::{Epoch, Generation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Found, Merged, Position, Wanted};
use tokio::task::spawn_blocking;

use super::DOOR;
use super::command::Selector;
use crate::epochs::{Applied, Archive, EpochsFailed};

/// When something came into force, and by whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Where {
    pub name: String,
    pub epoch: u64,
    pub by: String,
    pub time: String,
    pub record: String,
}

/// Why there is nothing to show of a judgement.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    #[error("no judgement and no counter has this id; counters are written a second after their first count")]
    Unknown,
    #[error("more than one judgement has an id that begins so")]
    Ambiguous,
    #[error("this id is of counters: what was counted was not recorded one by one, and cannot be decided again")]
    Counted,
    #[error("the ledger cannot be read")]
    Ledger(#[from] store::LedgerFault),
    #[error("what was applied cannot be read")]
    Epochs(#[from] EpochsFailed),
    #[error("the record cannot be shown")]
    Json(#[from] serde_json::Error),
    #[error("reading was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// Explains the judgement that `selector` names: its record, with `outcome` and `applied` beside its fields. Of an id that
/// counted judgements have in common, `counters` are the records.
///
/// # Errors
/// [`NotFound`].
pub async fn explain(ledger: &Path, archive: &Archive, selector: Selector) -> Result<Value, NotFound> {
    let ledger = ledger.to_owned();
    // reading files holds up nobody there
    match spawn_blocking(move || one(&ledger, &selector)).await?? {
        Found::Judged(merged) => {
            let history = archive.history(position(&merged.judgement)).await?;
            Ok(document(*merged, &history)?)
        }
        Found::Counted(counters) => {
            let records = counters.into_iter().map(|(stamp, counted)| Record { stamp, body: Body::Counted(counted) });
            let counters = records.map(|record| value(&record)).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({"kind": "counted", "counters": counters}))
        }
    }
}

/// The epoch that a judgement was made by.
pub(super) const fn position(judgement: &Judgement) -> Position {
    Position { generation: Generation(judgement.generation), epoch: Epoch(judgement.epoch) }
}

/// The one judgement or the counters that a selector names.
pub(super) fn one(ledger: &Path, selector: &Selector) -> Result<Found, NotFound> {
    let mut found = find(ledger, selector)?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(NotFound::Unknown),
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(NotFound::Ambiguous),
    }
}

/// What a selector names: more than one means that it is ambiguous.
fn find(ledger: &Path, selector: &Selector) -> Result<Vec<Found>, store::LedgerFault> {
    match selector {
        Selector::Id(prefix) => store::find(ledger, Wanted::Id(prefix)),
        Selector::Last => Ok(store::find_last(ledger, |judgement| judgement.door != DOOR)?.into_iter().collect()),
        // a trace may pass many doors: the last judgement of it is meant
        Selector::Trace(trace) => Ok(store::find(ledger, Wanted::Trace(trace))?.pop().into_iter().collect()),
    }
}

/// The record as it stands in the ledger, with `outcome` and `applied` beside its fields. `history` ends with its epoch.
fn document(merged: Merged, history: &[Applied]) -> Result<Value, serde_json::Error> {
    let Merged { stamp, judgement, outcome } = merged;
    let outcome = outcome.map(|(stamp, outcome)| value(&Record { stamp, body: Body::Outcome(outcome) })).transpose()?;
    let policies = judgement.verdicts.iter().flat_map(|verdict| &verdict.policies);
    let policies: Vec<Where> = policies.filter_map(|id| since(history, "Policy", id)).collect();
    let applied = json!({"binding": binding(history, &judgement), "policies": policies});
    let mut document = value(&Record { stamp, body: Body::Judgement(Box::new(judgement)) })?;
    if let Value::Object(fields) = &mut document {
        fields.insert("outcome".to_owned(), json!(outcome));
        fields.insert("applied".to_owned(), applied);
    }
    Ok(document)
}

/// Since when the credential's key belongs to the principal: its document, or the class that takes every key.
fn binding(history: &[Applied], judgement: &Judgement) -> Option<Where> {
    let id = &judgement.principal.as_ref()?.id;
    let source = judgement.presented.iter().find_map(|presented| presented.source.as_ref());
    let keys = [Some(id.clone()), source.map(|source| format!("source:{source}"))];
    let (kind, name) =
        keys.iter().flatten().find_map(|key| history.iter().rev().find_map(|applied| applied.binders.get(key)))?;
    since(history, kind, name)
}

fn since(history: &[Applied], kind: &str, name: &str) -> Option<Where> {
    let changed = |applied: &&Applied| applied.changes.iter().any(|change| change.kind == kind && change.name == name);
    let applied = history.iter().rev().find(changed)?;
    Some(Where {
        name: name.to_owned(),
        epoch: applied.epoch,
        by: applied.by.clone(),
        time: applied.time.clone(),
        record: applied.record.clone(),
    })
}

/// A record as JSON.
fn value(record: &Record) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(&record.to_json()?)
}
