//! The ledger on disk, as the rest of the program holds it.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use audit::{Head, Judgement, Ledger, Outcome, OutcomeResult, Slot, Stranger, Unrecorded, Urgency};
use model::{Code, RecordId, Time};
use tokio::sync::oneshot;

use crate::budget::Afford;
use crate::compress::Compressor;
use crate::fault::LedgerFault;
use crate::mailbox::{Limits, Mailbox};
use crate::open::Open;
use crate::start::{Begun, begin};
use crate::syncer::Syncer;
use crate::tally::{Tally, Written};
use crate::writer::Writer;

/// Longest that closing waits for the disk.
const CLOSING: Duration = Duration::from_secs(10);

/// How a ledger is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes from which on a segment is closed.
    pub segment_bytes: u64,
    /// Most judgements that wait to be written.
    pub waiting: usize,
    /// Most judgements without an outcome.
    pub open: usize,
    /// Most refusals of strangers that wait to be written; they take nothing of `waiting`.
    pub strangers: usize,
    /// What the time is, for records that nobody asked for.
    pub clock: fn() -> Time,
}

/// A ledger in files, open for writing by this process alone.
pub struct FileLedger {
    mailbox: Arc<Mailbox>,
    tally: Arc<Tally>,
    threads: Mutex<Option<Threads>>,
}

/// A ledger in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    pub written: Written,
    /// Records that wait to be written.
    pub waiting: usize,
    /// Judgements that let something through whose outcome is not written.
    pub open: usize,
    /// Judgements that it did not take, each of which was refused or counted.
    pub unrecorded: u64,
    /// Whether it takes more: not after the disk refused the last.
    pub writable: bool,
}

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub writer: String,
    /// Bytes of a torn record that were cut off.
    pub cut_bytes: u64,
    /// Judgements that a crash left without an outcome; each has `unknown` now.
    pub open: u64,
}

/// Room for one outcome. Dropped without one, it says `failed`.
pub struct FileSlot {
    mailbox: Arc<Mailbox>,
    /// Id of the judgement; `None` once it is settled.
    of: Option<String>,
}

struct Threads {
    writer: JoinHandle<()>,
    syncer: JoinHandle<()>,
    compressor: JoinHandle<()>,
    /// Held until all have ended.
    _lock: File,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, waiting: 4096, open: 65_536, strangers: 512, clock: system_clock }
    }
}

impl FileLedger {
    /// Opens the ledger in `dir`, or begins one there; recovers what a crash left behind.
    ///
    /// # Errors
    /// [`LedgerFault`]: in use by another process, damaged, or not to be read or written.
    pub fn start(dir: &Path, options: Options) -> Result<(Self, Started), LedgerFault> {
        let Begun { lock, chain, active, closed, started } = begin(dir, (options.clock)())?;
        let cannot_start = |source| LedgerFault::Io { doing: "start a thread for", path: dir.to_owned(), source };
        let (compressor, compressing) = Compressor::start(dir).map_err(cannot_start)?;
        closed.into_iter().for_each(|segment| compressor.compress(segment));
        let mailbox =
            Mailbox::new(Limits { waiting: options.waiting, open: options.open, strangers: options.strangers });
        let tally = Arc::new(Tally::default());
        let (syncer, syncing) = Syncer::start(Arc::clone(&mailbox), Arc::clone(&tally)).map_err(cannot_start)?;
        let writer = Writer {
            mailbox: Arc::clone(&mailbox),
            tally: Arc::clone(&tally),
            dir: dir.to_owned(),
            chain,
            active,
            segment_bytes: options.segment_bytes,
            compressor,
            syncer,
            open: Open::default(),
            frames: Vec::new(),
            failing: false,
            retry: None,
        };
        let writing = thread::Builder::new().name("ledger-write".to_owned()).spawn(move || writer.run());
        let writing = writing.map_err(cannot_start)?;
        let threads = Threads { writer: writing, syncer: syncing, compressor: compressing, _lock: lock };
        Ok((Self { mailbox, tally, threads: Mutex::new(Some(threads)) }, started))
    }

    /// Counts a judgement instead of recording it, and gives the id of its counter. Counters are written once a second,
    /// or once the ledger can be written again.
    pub fn count(&self, code: Code, source: Option<&str>, id: RecordId, at: Time) -> RecordId {
        self.mailbox.count(code, source, id, at)
    }

    /// Writes a checkpoint, syncs it, and gives what is to be signed.
    ///
    /// # Errors
    /// [`Unrecorded`].
    pub async fn checkpoint(&self, at: Time) -> Result<Head, Unrecorded> {
        answered(self.mailbox.mark(at)).await
    }

    /// What was recorded since the start, and what waits.
    pub fn figures(&self) -> Figures {
        let standing = self.mailbox.standing();
        Figures {
            written: self.tally.written().clone(),
            waiting: standing.waiting,
            open: standing.open,
            unrecorded: self.tally.unrecorded(),
            writable: standing.writable,
        }
    }

    /// Takes in nothing more, writes and syncs what waits, and lets go of the files.
    pub async fn close(&self) {
        self.mailbox.close();
        let Some(threads) = self.take_threads() else { return };
        let joined = tokio::time::timeout(CLOSING, tokio::task::spawn_blocking(|| threads.join())).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the ledger did not close in time");
        }
    }

    fn take_threads(&self) -> Option<Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Ledger for FileLedger {
    type Slot = FileSlot;

    async fn record_or_count(
        &self,
        stranger: Stranger<'_>,
        id: RecordId,
        at: Time,
        judgement: impl FnOnce() -> Judgement + Send,
    ) -> Result<RecordId, Unrecorded> {
        if self.mailbox.affords(stranger, Instant::now()) == Afford::Record {
            match self.mailbox.record_stranger(judgement(), at) {
                // many sources at once: what their share cannot hold is counted like what is over a budget
                Err(Unrecorded::Full) => {}
                taken => return self.tally.heed(answered(taken).await).map(|()| id),
            }
        }
        self.tally.heed(self.mailbox.count_stranger(stranger, id, at))
    }

    async fn record(&self, judgement: Judgement, at: Time) -> Result<(), Unrecorded> {
        self.tally.heed(answered(self.mailbox.record(judgement, at)).await)
    }

    async fn open(&self, judgement: Judgement, at: Time, urgency: Urgency) -> Result<FileSlot, Unrecorded> {
        self.tally.heed(answered(self.mailbox.open(judgement, at, urgency)).await)
    }
}

impl Drop for FileLedger {
    fn drop(&mut self) {
        self.mailbox.close();
        if let Some(threads) = self.take_threads() {
            threads.join();
        }
    }
}

impl FileSlot {
    pub(crate) const fn new(mailbox: Arc<Mailbox>, of: String) -> Self {
        Self { mailbox, of: Some(of) }
    }
}

impl Slot for FileSlot {
    /// The outcome is that of the slot's own judgement, whatever `outcome.of` says.
    fn settle(mut self, outcome: Outcome, at: Time) {
        if let Some(of) = self.of.take() {
            self.mailbox.settle(Outcome { of, ..outcome }, Some(at));
        }
    }
}

impl Drop for FileSlot {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            self.mailbox.settle(ended(of, OutcomeResult::Failed), None);
        }
    }
}

impl fmt::Debug for FileSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSlot").field("of", &self.of).finish_non_exhaustive()
    }
}

impl Started {
    /// A sentence for whoever watches the start, if there was anything to recover.
    pub fn note(&self) -> Option<String> {
        if self.cut_bytes == 0 && self.open == 0 {
            return None;
        }
        Some(format!(
            "the ledger was recovered: {} bytes of a torn record cut off, {} judgements left without an outcome",
            self.cut_bytes, self.open
        ))
    }
}

impl Threads {
    fn join(self) {
        // a thread that panicked has nothing left to say
        let _ = (self.writer.join(), self.syncer.join(), self.compressor.join());
    }
}

/// What the writer makes of what was taken in. One that ends answers nobody.
async fn answered<T>(taken: Result<oneshot::Receiver<Result<T, Unrecorded>>, Unrecorded>) -> Result<T, Unrecorded> {
    taken?.await.unwrap_or(Err(Unrecorded::Unwritable))
}

/// An outcome of which nothing more is known.
pub(crate) const fn ended(of: String, result: OutcomeResult) -> Outcome {
    Outcome { of, result, status: None, code: None, bytes_in: None, bytes_out: None, micros: None }
}

fn system_clock() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
