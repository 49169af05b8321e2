//! Recorded judgements are decided again, by the snapshots that they name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use audit::{Body, Judgement, Stamp};
use guard::Answer;
use http::StatusCode;
use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::command::{Replay, Selector};
use super::epochs::Epochs;
use super::explain::find;
use super::reply::Reply;

/// What replay found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Replayed {
    pub checked: u64,
    pub agreed: u64,
    pub differ: Vec<Differs>,
}

/// A judgement that would be another one now.
#[derive(Debug, Serialize, Deserialize)]
pub struct Differs {
    pub id: String,
    pub was: Value,
    pub now: Value,
}

/// Decides again.
pub(super) async fn replay(ledger: &Path, which: Replay, epochs: &Epochs) -> Reply {
    let ledger = ledger.to_owned();
    let found = tokio::task::spawn_blocking(move || judgements(ledger, &which)).await;
    let records = match found {
        Ok(Ok(records)) => records,
        Ok(Err(error)) => return Reply::failed(&error),
        Err(error) => return Reply::failed(&error),
    };
    let records = match records {
        Selected::These(records) => records,
        Selected::Wrong(why) => return Reply::Json(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
    };
    let mut snapshots = HashMap::new();
    let mut replayed = Replayed::default();
    for (at, judgement) in records {
        let digest = judgement.inputs.snapshot.clone();
        if !snapshots.contains_key(&digest) {
            let snapshot = epochs.snapshot(&digest, judgement.epoch).await;
            snapshots.insert(digest.clone(), snapshot.map_err(|error| crate::causes::chain(&error)));
        }
        let again = match snapshots.get(&digest) {
            Some(Ok(snapshot)) => guard::replay(snapshot, &judgement, at).map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error.clone()),
            None => Err("the snapshot is gone".to_owned()),
        };
        replayed.compare(&judgement, again);
    }
    Reply::ok(&replayed)
}

impl Replayed {
    fn compare(&mut self, judgement: &Judgement, again: Result<Answer, String>) {
        self.checked += 1;
        let was = Answer::recorded(judgement).map_err(|error| error.to_string());
        match (was, again) {
            (Ok(was), Ok(now)) if was == now => self.agreed += 1,
            (was, now) => {
                let id = judgement.id.clone();
                self.differ.push(Differs { id, was: shown(was), now: shown(now) });
            }
        }
    }
}

fn shown(answer: Result<Answer, String>) -> Value {
    match answer {
        Ok(answer) => json!({"principal": answer.principal, "verdict": answer.verdict}),
        Err(error) => json!({"error": error}),
    }
}

enum Selected {
    These(Vec<(Time, Judgement)>),
    Wrong(&'static str),
}

fn judgements(ledger: PathBuf, which: &Replay) -> Result<Selected, store::LedgerFault> {
    match which {
        Replay::Id(id) => {
            let mut found = find(&ledger, &Selector::Id(id.clone()))?;
            Ok(match (found.pop(), found.is_empty()) {
                (None, _) => Selected::Wrong("no judgement has this id"),
                (Some(one), true) => Selected::These(timed(&one.stamp, one.judgement).into_iter().collect()),
                (Some(_), false) => Selected::Wrong("more than one judgement has an id that begins so"),
            })
        }
        Replay::Since(since) => {
            let mut these = Vec::new();
            for record in store::read(&ledger)? {
                let record = record?.record;
                if let Body::Judgement(judgement) = record.body {
                    these.extend(timed(&record.stamp, *judgement).filter(|(at, _)| at >= since));
                }
            }
            Ok(Selected::These(these))
        }
    }
}

fn timed(stamp: &Stamp, judgement: Judgement) -> Option<(Time, Judgement)> {
    Some((stamp.time.parse().ok()?, judgement))
}
