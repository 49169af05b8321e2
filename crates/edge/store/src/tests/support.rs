//! Ledgers in temporary directories, and records with numbers for ids.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use audit::{Body, Context, Inputs, Judgement, Ledger, Outcome, OutcomeResult, Record, Slot, Urgency, Verdict};
use model::Time;
use tempfile::TempDir;

use crate::ledger::{FileLedger, Options, Started};
use crate::verify::{Verification, verify};

pub(super) const AT: Time = Time::from_unix_seconds(1_800_000_000);

/// A directory with a ledger in it.
pub(super) struct Shelf(TempDir);

impl Shelf {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One writer with the judgements `1..=count`, each a refusal, in segments of some 2 KiB.
    pub(super) async fn with(count: u64) -> Self {
        Self::filled(count, 2048).await
    }

    /// The same in one segment.
    pub(super) async fn whole(count: u64) -> Self {
        Self::filled(count, 64 << 20).await
    }

    async fn filled(count: u64, segment_bytes: u64) -> Self {
        let shelf = Self::new();
        let (ledger, _) = shelf.start_with(segment_bytes);
        for n in 1..=count {
            ledger.record(refused(n), AT).await.unwrap();
        }
        ledger.close().await;
        shelf
    }

    /// The same, its closed segments compressed.
    pub(super) async fn compressed(count: u64) -> Self {
        let shelf = Self::with(count).await;
        // what was not compressed when the ledger closed is compressed after the next start
        let (ledger, _) = shelf.start();
        let deadline = Instant::now() + Duration::from_secs(20);
        while shelf.segments().iter().rev().skip(1).any(|path| path.extension().unwrap() == "seg") {
            assert!(Instant::now() < deadline, "{:?}", shelf.segments());
            thread::yield_now();
        }
        ledger.close().await;
        shelf
    }

    pub(super) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn start(&self) -> (FileLedger, Started) {
        self.start_with(64 << 20)
    }

    pub(super) fn start_with(&self, segment_bytes: u64) -> (FileLedger, Started) {
        FileLedger::start(self.dir(), options(segment_bytes)).unwrap()
    }

    /// Why the ledger does not start, the whole chain of causes.
    pub(super) fn refusal(&self) -> String {
        let Err(error) = FileLedger::start(self.dir(), options(64 << 20)) else { panic!("it starts") };
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        let text = if self.writer().is_empty() { text } else { text.replace(&*self.writer(), "W") };
        text.replace(&*self.dir().display().to_string(), "D")
    }

    pub(super) fn writer(&self) -> String {
        let name = fs::read_to_string(self.dir().join("current")).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// Paths of the writer's segments, in order.
    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let segments = crate::layout::segments(self.dir(), &self.writer()).unwrap();
        segments.iter().map(|segment| segment.path(self.dir())).collect()
    }

    /// Paths of the lists of what is open.
    pub(super) fn lists(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir().join(self.writer())).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().unwrap() == "open").collect()
    }

    pub(super) fn last(&self) -> PathBuf {
        self.segments().pop().unwrap()
    }

    pub(super) fn verify(&self) -> Verification {
        verify(self.dir(), None).unwrap()
    }

    /// What verification says: `ok through …` or `kind segment seq`, with `W` for the writer.
    pub(super) fn verdict(&self) -> String {
        say(&self.verify(), &self.writer())
    }

    pub(super) fn records(&self) -> Vec<Record> {
        crate::read(self.dir()).unwrap().map(|entry| entry.unwrap().record).collect()
    }

    /// Kind and id of every record.
    pub(super) fn story(&self) -> Vec<String> {
        self.records().iter().map(tell).collect()
    }
}

pub(super) fn say(verification: &Verification, writer: &str) -> String {
    let said = match &verification.fault {
        None => format!("ok through {:?} {:?}", verification.through.values().collect::<Vec<_>>(), verification.end),
        Some(fault) => format!("{} {} {}", fault.kind, fault.segment, fault.seq),
    };
    assert_eq!(verification.ok, verification.fault.is_none());
    said.replace(writer, "W")
}

pub(super) fn tell(record: &Record) -> String {
    let number = |id: &str| u64::from_str_radix(id, 16).unwrap();
    match &record.body {
        Body::Judgement(judgement) => format!("judgement {}", number(&judgement.id)),
        Body::Outcome(outcome) => format!("{:?} {}", outcome.result, number(&outcome.of)).to_lowercase(),
        Body::Checkpoint { .. } => "checkpoint".to_owned(),
        Body::Counted(counted) => format!("counted {}", counted.count),
        Body::Recovered(recovered) => format!("recovered {} {}", recovered.cut_bytes, recovered.open),
    }
}

pub(super) fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, clock: || AT, ..Options::default() }
}

pub(super) fn id(n: u64) -> String {
    format!("{n:032x}")
}

pub(super) fn refused(n: u64) -> Judgement {
    judgement(n, "deny")
}

pub(super) fn allowed(n: u64) -> Judgement {
    judgement(n, "allow")
}

pub(super) async fn open(ledger: &FileLedger, n: u64, urgency: Urgency) -> crate::FileSlot {
    ledger.open(allowed(n), AT, urgency).await.unwrap()
}

pub(super) fn settle(slot: impl Slot) {
    slot.settle(delivered(), AT);
}

pub(super) fn delivered() -> Outcome {
    Outcome { status: Some(200), ..crate::ledger::ended(id(0), OutcomeResult::Delivered) }
}

fn judgement(n: u64, decision: &str) -> Judgement {
    let verdict = Verdict {
        action: Some("read".to_owned()),
        resource: Some("billing/invoices".to_owned()),
        tier: Some("routine".to_owned()),
        decision: decision.to_owned(),
        layer: None,
        code: None,
        // what a caller may have chosen must not be taken for a decision
        reason: Some(r#""decision":"allow""#.to_owned()),
        policies: Vec::new(),
        missing: Vec::new(),
        obligations: Vec::new(),
    };
    Judgement {
        id: id(n),
        trace_id: id(n % 3),
        door: if n.is_multiple_of(5) { "control" } else { "gateway" }.to_owned(),
        protocol: Some("http".to_owned()),
        operation: Some("GET /invoices/{invoice}".to_owned()),
        presented: Vec::new(),
        principal: None,
        subject: None,
        actors: Vec::new(),
        verdicts: vec![verdict],
        evidence: Vec::new(),
        generation: 1,
        epoch: 1,
        revocation_seq: 0,
        inputs: Inputs { snapshot: "sha256:00".to_owned(), keys: "sha256:00".to_owned(), context: Context::default() },
        deadline: None,
    }
}
