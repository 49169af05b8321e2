//! The one thread that writes: it takes what waits, chains it, writes it at once, and answers.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Body, Chain, Head, Unencodable, Unrecorded};
use model::Time;

use crate::active::Active;
use crate::compress::Compressor;
use crate::counts::Counts;
use crate::files::remove_if_there;
use crate::layout::Segment;
use crate::mailbox::Mailbox;
use crate::open::Open;
use crate::syncer::{Poisoned, Syncer, Waiting};
use crate::tally::Tally;
use crate::work::{Asked, Backlog, Judged, Mark, Marked, Settled, Work};

/// Most bytes of the buffer for frames that are kept between two batches.
const FRAMES: usize = 1 << 20;
/// How soon outcomes are tried again that could not be written.
const RETRY: Duration = Duration::from_millis(200);
/// How long outcomes are tried to be written while the ledger closes.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) struct Writer {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) dir: PathBuf,
    pub(crate) chain: Chain,
    pub(crate) active: Active,
    pub(crate) segment_bytes: u64,
    pub(crate) compressor: Compressor,
    pub(crate) syncer: Syncer,
    /// What the chain leaves open so far.
    pub(crate) open: Open,
    /// Room for frames, from batch to batch.
    pub(crate) frames: Vec<u8>,
    /// Whether the last write failed.
    pub(crate) failing: bool,
    /// When to try again, after a write that failed.
    pub(crate) retry: Option<Instant>,
}

/// What was chained but is not written yet.
struct Batch {
    frames: Vec<u8>,
    chain: Chain,
    settled: usize,
    judged: Vec<Judged>,
    marked: Vec<Marked>,
}

impl Writer {
    /// Writes until the mailbox is closed and empty, or the disk cannot be trusted any more.
    pub(crate) fn run(mut self) {
        if let Err(Poisoned) = self.serve() {
            tracing::error!("nothing is recorded until the next start");
        }
    }

    fn serve(&mut self) -> Result<(), Poisoned> {
        let mut give_up = None;
        loop {
            let backlog = self.backlog();
            let work = self.mailbox.take(backlog, self.retry);
            let closing = work.closing;
            if !work.is_empty() {
                self.write(work)?;
            } else if self.retry.is_none_or(|retry| retry <= Instant::now()) {
                self.retry = None;
                // what could wait may still be there
                if closing && backlog == Backlog::Wanted {
                    return self.syncer.flush();
                }
            }
            if closing && let Some(retry) = self.retry {
                if *give_up.get_or_insert_with(|| Instant::now() + DRAIN) <= Instant::now() {
                    tracing::error!("the ledger is closed with outcomes that it could not write");
                    return self.syncer.flush();
                }
                std::thread::sleep(retry.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn backlog(&self) -> Backlog {
        match self.retry {
            Some(retry) if retry > Instant::now() => Backlog::CanWait,
            Some(_) | None => Backlog::Wanted,
        }
    }

    fn write(&mut self, work: Work) -> Result<(), Poisoned> {
        let Work { outcomes, counts, judgements, checkpoints, closing: _ } = work;
        let mut batch = Batch::after(&self.chain, mem::take(&mut self.frames));
        outcomes.iter().for_each(|settled| batch.settle(settled));
        counts.records().for_each(|(counted, at)| batch.chain_or_log(&Body::Counted(counted), at));
        let unchained: usize = judgements.into_iter().map(|asked| batch.judge(asked)).sum();
        checkpoints.into_iter().for_each(|mark| batch.mark(mark));
        self.mailbox.free(unchained);
        match self.active.append(&batch.frames) {
            Ok(()) => {
                counts.log();
                self.note(&outcomes, &counts, &batch);
                self.accepted(batch)
            }
            Err(error) => {
                self.mailbox.give_back(outcomes, counts);
                self.refused(batch, &error);
                Ok(())
            }
        }
    }

    fn note(&mut self, outcomes: &[Settled], counts: &Counts, batch: &Batch) {
        let mut written = self.tally.written();
        written.records(batch.chain.seq() - self.chain.seq());
        written.counted(counts);
        for settled in outcomes {
            if let Body::Outcome(outcome) = &settled.body {
                self.open.settled(&outcome.of);
                written.settled(outcome);
            }
        }
        for Judged { answer, judgement } in &batch.judged {
            written.judged(judgement);
            if answer.is_opened() {
                self.open.opened(&judgement.id);
            }
        }
    }

    fn accepted(&mut self, batch: Batch) -> Result<(), Poisoned> {
        self.retry = None;
        if mem::replace(&mut self.failing, false) {
            tracing::info!("the ledger can be written again");
        }
        self.chain = batch.chain;
        self.frames = batch.frames;
        self.frames.shrink_to(FRAMES);
        self.mailbox.written(batch.settled);
        let (routine, judged): (Vec<_>, Vec<_>) =
            batch.judged.into_iter().partition(|judged| judged.answer.is_routine());
        self.syncer.written(self.active.file(), Waiting { judged, marked: batch.marked })?;
        routine.into_iter().for_each(|judged| judged.accept(&self.mailbox));
        self.close_if_full()
    }

    fn refused(&mut self, batch: Batch, error: &io::Error) {
        self.retry = Some(Instant::now() + RETRY);
        if !mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the ledger cannot be written");
        }
        let opened = batch.judged.iter().filter(|judged| judged.answer.is_opened()).count();
        self.mailbox.free(opened);
        batch.judged.into_iter().for_each(|judged| judged.answer.refuse(Unrecorded::Unwritable));
        batch.marked.into_iter().for_each(|marked| marked.mark.refuse());
        self.mailbox.refuse_waiting();
    }

    /// Begins a new segment where this one is long enough; if that fails, this one grows longer.
    fn close_if_full(&mut self) -> Result<(), Poisoned> {
        if self.active.length() < self.segment_bytes {
            return Ok(());
        }
        self.syncer.flush()?;
        let next = Segment::raw(self.chain.writer(), self.chain.next_seq());
        let path = next.path(&self.dir);
        match self.open.keep(&self.dir, &next).and_then(|()| Active::create(&self.dir, next.clone())) {
            Ok(next) => {
                let closed = mem::replace(&mut self.active, next);
                Open::forget(&self.dir, closed.segment());
                self.compressor.compress(closed.segment().clone());
            }
            Err(error) => {
                tracing::warn!(%error, "no new segment can be begun");
                Open::forget(&self.dir, &next);
                // an empty segment that stayed here would be taken for the end of the chain
                remove_if_there(&path).or(Err(Poisoned))?;
            }
        }
        Ok(())
    }
}

/// However the thread ends, nobody waits for it in vain.
impl Drop for Writer {
    fn drop(&mut self) {
        self.mailbox.end();
    }
}

impl Batch {
    /// `frames` is a buffer that was used before.
    fn after(chain: &Chain, mut frames: Vec<u8>) -> Self {
        frames.clear();
        Self { frames, chain: chain.clone(), settled: 0, judged: Vec::new(), marked: Vec::new() }
    }

    fn settle(&mut self, settled: &Settled) {
        self.chain_or_log(&settled.body, settled.at);
        self.settled += 1;
    }

    /// Chains a judgement. Gives the slots that it frees because no frame can hold it.
    fn judge(&mut self, asked: Asked) -> usize {
        let Asked { judgement, at, answer } = asked;
        let body = Body::Judgement(judgement);
        let chained = self.chain_on(&body, at);
        let Body::Judgement(judgement) = body else { return 0 };
        if let Err(error) = chained {
            tracing::error!(record = judgement.id, %error, "a judgement cannot be recorded");
            let slots = usize::from(answer.is_opened());
            answer.refuse(Unrecorded::Unwritable);
            return slots;
        }
        self.judged.push(Judged { answer, judgement });
        0
    }

    fn mark(&mut self, mark: Mark) {
        let body = Body::Checkpoint { head: self.chain.head().to_string() };
        if let Err(error) = self.chain_on(&body, mark.at) {
            tracing::error!(%error, "a checkpoint cannot be recorded");
            return mark.refuse();
        }
        let writer = self.chain.writer().to_owned();
        let head = Head { writer, seq: self.chain.seq(), head: self.chain.head(), time: mark.at };
        self.marked.push(Marked { mark, head });
    }

    /// For what nobody waits for: there is nobody to refuse.
    fn chain_or_log(&mut self, body: &Body, at: Time) {
        if let Err(error) = self.chain_on(body, at) {
            tracing::error!(%error, "a record is lost");
        }
    }

    fn chain_on(&mut self, body: &Body, at: Time) -> Result<(), Unencodable> {
        self.chain.append(body, at, &mut self.frames)
    }
}
