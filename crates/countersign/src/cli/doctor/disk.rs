//! What is kept: the ledger verifies, the state opens, and there is room to go on.

use std::fs;
use std::path::Path;

use net::causes::chain;
use rustix::fs::statvfs;
use store::{State, StateFault};

use super::finding::Finding;
use crate::home::state_beside;

/// A ledger up to this size is verified whole, in bytes.
const QUICK: u64 = 256 << 20;
/// Free space below which it is tight, and below which the next closed segment may not find room, in bytes.
const TIGHT: u64 = 1 << 30;
const SCARCE: u64 = 192 << 20;

pub(super) async fn look(directory: &Path) -> Vec<Finding> {
    let ledger = directory.join("ledger");
    if !ledger.is_dir() {
        let what = format!("`{}` has no ledger: nothing was ever judged here", directory.display());
        return vec![Finding::warning("ledger", what, "name the directory of a server, a gateway or dev with --dir")];
    }
    let mut findings = vec![chained(&ledger)];
    findings.extend(state(&state_beside(&ledger)).await);
    findings.extend(room(&ledger));
    findings
}

fn chained(ledger: &Path) -> Finding {
    let path = ledger.display();
    let megabytes = size(ledger) >> 20;
    if size(ledger) > QUICK {
        let what = format!("{megabytes} MiB, which takes its time to verify: `countersign ledger verify {path}` does");
        return Finding::ok("ledger", what);
    }
    match store::verify(ledger, None) {
        Ok(found) => match found.fault {
            None => Finding::ok("ledger", format!("it verifies ({megabytes} MiB)")),
            Some(fault) => Finding::problem(
                "ledger",
                format!("it is damaged: {}", chain(&fault)),
                format!("keep a copy, find out what happened, then `countersign ledger new-chain {path}`"),
            ),
        },
        Err(error) => Finding::problem(
            "ledger",
            format!("it cannot be read: {}", chain(&error)),
            "look at the file that is named",
        ),
    }
}

async fn state(path: &Path) -> Option<Finding> {
    let opened = match State::read(path).await {
        Ok(state) => {
            let last = state.last_epoch().await;
            state.close().await;
            last
        }
        Err(fault) => Err(fault),
    };
    match opened {
        Ok(Some(last)) => Some(Finding::ok("state", format!("it opens; the last epoch is {}", last.position))),
        Ok(None) => Some(Finding::ok("state", "it opens; nothing was applied yet")),
        // with PostgreSQL there is no file, and a server that runs has its state
        Err(StateFault::Missing { .. }) => None,
        Err(fault) => {
            let advice = "stop what runs here, keep a copy, and restore the state from a backup";
            Some(Finding::problem("state", chain(&fault), advice))
        }
    }
}

fn room(ledger: &Path) -> Option<Finding> {
    let about = statvfs(ledger).ok()?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let what = format!("{} MiB are free under the ledger", free >> 20);
    let advice = "make room: with a full disk every call is refused (`ledger_unavailable`)";
    Some(match free {
        SCARCE..TIGHT => Finding::warning("disk", what, advice),
        0..SCARCE => Finding::problem("disk", what, advice),
        TIGHT.. => Finding::ok("disk", what),
    })
}

/// Of all files in a directory and those in it, in bytes.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_gone) => 0,
    });
    sizes.sum()
}
