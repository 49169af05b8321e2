//! Records as they stand in the ledger, line by line, and more as they come.

use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{Body, Record};
use bytes::Bytes;
use http::StatusCode;
use model::{Code, Time};
use tokio::sync::mpsc;

use super::audience::Audience;
use super::command::Tail;
use super::perform::Settling;
use super::reply::Reply;

/// Lines that may wait for a slow reader.
const WAITING: usize = 256;
/// How often a follower looks for more.
const EVERY: Duration = Duration::from_millis(100);

/// Sends the records that `tail` asks for, from a task of its own that ends with its reader, or with what let the reader in.
pub(super) fn lines(ledger: PathBuf, tail: Tail, audience: Audience, settling: Settling) -> Reply {
    let (send, receive) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let status = match copy(&ledger, &tail, &audience, &send) {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be read");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        settling.settle(status);
    });
    Reply::Lines(receive)
}

fn copy(ledger: &Path, tail: &Tail, audience: &Audience, send: &mpsc::Sender<Bytes>) -> Result<(), store::LedgerFault> {
    let mut shown = Shown::default();
    let mut cursor = store::Cursor::at_start(ledger);
    while audience.may_hear() {
        let records = cursor.poll(WAITING)?;
        let caught_up = records.is_empty();
        for record in records {
            if !shown.wanted(&record, tail) {
                continue;
            }
            let Ok(mut line) = record.to_json() else { continue };
            line.push(b'\n');
            if send.blocking_send(Bytes::from(line)).is_err() {
                return Ok(());
            }
        }
        if caught_up {
            if !tail.follow || send.is_closed() {
                return Ok(());
            }
            std::thread::sleep(EVERY);
        }
    }
    Ok(())
}

/// Judgements that were shown and have no outcome yet: their outcomes are shown too.
#[derive(Default)]
struct Shown(std::collections::HashSet<String>);

impl Shown {
    fn wanted(&mut self, record: &Record, tail: &Tail) -> bool {
        let since = tail.since.is_none_or(|since| record.stamp.time.parse::<Time>().is_ok_and(|time| time >= since));
        let filtered = tail.denied || tail.principal.is_some();
        match &record.body {
            Body::Judgement(judgement) => {
                let denied = judgement.verdicts.iter().any(|verdict| verdict.decision == "deny");
                let id = judgement.principal.as_ref().map(|principal| principal.id.as_str());
                let principal = tail.principal.as_deref().is_none_or(|wanted| id == Some(wanted));
                let wanted = since && principal && (denied || !tail.denied);
                if wanted && filtered {
                    self.0.insert(judgement.id.clone());
                }
                wanted
            }
            Body::Outcome(outcome) if filtered => self.0.remove(&outcome.of),
            Body::Outcome(_) => since,
            // what is counted was refused, but for reading while the ledger could not be written
            Body::Counted(counted) => {
                let refused = counted.code != Code::LedgerUnavailable.as_str();
                since && tail.principal.is_none() && (refused || !tail.denied)
            }
            Body::Checkpoint { .. } | Body::Recovered(_) => since && !filtered,
        }
    }
}
