//! Recorded judgements are decided again, by the snapshots that they name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use audit::{Body, Judgement, Stamp};
use credential::Revocations;
use guard::{Answer, Snapshot};
use model::Time;
use net::causes::chain;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Found, Position, RevocationAct};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::command::{Replay, Selector};
use super::explain::{NotFound, one, position};
use crate::epochs::{Archive, EpochsFailed, fold};

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

/// Decides again what a ledger has recorded, by the estates in its archive.
///
/// # Errors
/// [`NotFound`] if what is to be replayed cannot be read. That a judgement differs is an answer, not an error.
pub async fn replay(ledger: &Path, archive: &Archive, which: Replay) -> Result<Replayed, NotFound> {
    let (ledger, archive, here) = (ledger.to_owned(), archive.clone(), Handle::current());
    // a ledger is too large to be held: estates are asked for from where it is read
    let acts = archive.revocations().await?;
    let snapshot = move |digest: &str, position| here.block_on(archive.snapshot(digest, position));
    spawn_blocking(move || decide_again(&ledger, snapshot, &acts, &which)).await?
}

fn decide_again(
    ledger: &Path,
    snapshot: impl Fn(&str, Position) -> Result<Snapshot, EpochsFailed>,
    acts: &[(u64, RevocationAct)],
    which: &Replay,
) -> Result<Replayed, NotFound> {
    let mut snapshots = HashMap::new();
    let mut revoked: HashMap<u64, Arc<Revocations>> = HashMap::new();
    let mut replayed = Replayed::default();
    let mut again = |at, judgement: &Judgement| {
        let digest = &judgement.inputs.snapshot;
        let snapshot = snapshots.entry(digest.clone()).or_insert_with(|| snapshot(digest, position(judgement)));
        let again = match snapshot {
            Ok(snapshot) => {
                let seq = judgement.revocation_seq;
                let revocations = revoked.entry(seq).or_insert_with(|| Arc::new(fold(acts, seq)));
                let sources = snapshot.sources.clone().with_revocations(Arc::clone(revocations));
                let then = Snapshot { sources, ..snapshot.clone() };
                guard::replay(&then, judgement, at).map_err(|error| error.to_string())
            }
            Err(error) => Err(chain(error)),
        };
        replayed.compare(judgement, again);
    };
    match which {
        Replay::Id(id) => {
            let Found::Judged(one) = one(ledger, &Selector::Id(id.clone()))? else { return Err(NotFound::Counted) };
            again(time(&one.stamp), &one.judgement);
        }
        Replay::Since(since) => {
            for record in store::read(ledger)? {
                let record = record?.record;
                let at = time(&record.stamp);
                if let (Body::Judgement(judgement), true) = (record.body, at >= *since) {
                    again(at, &judgement);
                }
            }
        }
    }
    Ok(replayed)
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

fn time(stamp: &Stamp) -> Time {
    // a ledger is read only if it verifies, and its times were written from such values
    stamp.time.parse().unwrap_or(Time::MIN)
}
