//! What waits to be written. Nobody waits here for room: what does not fit is refused at once.
//!
//! INVARIANT: an outcome always has room, because `open` counted it when its judgement was taken in.
//! INVARIANT: refusals of strangers wait in a share of their own, so that they never take a caller's room.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use audit::{Body, Head, Judgement, Outcome, Stranger, Unrecorded, Urgency};
use model::{Code, RecordId, SourceName, Time};
use tokio::sync::oneshot;

use crate::budget::{Afford, Budget};
use crate::counts::Counts;
use crate::ledger::FileSlot;
use crate::work::{Answer, Asked, Backlog, Mark, Settled, Work};

/// Most records of a kind that are written at once.
const BATCH: usize = 512;
/// Most refusals of strangers among them: who has proved something waits for little of that.
const STRANGERS: usize = 64;
/// Most checkpoints that wait at once.
const CHECKPOINTS: usize = 16;
/// How often counted judgements are written.
const COUNTING: Duration = Duration::from_secs(1);

pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    wake: Condvar,
    limits: Limits,
}

/// Bounds, in records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) waiting: usize,
    pub(crate) open: usize,
    pub(crate) strangers: usize,
}

/// How a mailbox stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) waiting: usize,
    pub(crate) open: usize,
    pub(crate) writable: bool,
}

#[derive(Default)]
struct Queue {
    judgements: VecDeque<Asked>,
    strangers: VecDeque<Asked>,
    outcomes: VecDeque<Settled>,
    checkpoints: VecDeque<Mark>,
    counts: Counts,
    counting_since: Option<Instant>,
    budget: Budget,
    /// Judgements that were taken in to be opened and whose outcome is not written.
    open: usize,
    state: State,
    disk: Disk,
    latest: Option<Time>,
    /// Whether the writer waits to be woken.
    asleep: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Taking,
    /// Takes in outcomes only, and ends once they are written.
    Closing,
    /// Nothing will be written any more.
    Closed,
}

/// What the disk did with the last that was to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Disk {
    #[default]
    Takes,
    Refuses,
}

impl Mailbox {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), wake: Condvar::new(), limits })
    }

    /// Takes in a judgement that nothing follows.
    pub(crate) fn record(
        &self,
        judgement: Judgement,
        at: Time,
    ) -> Result<oneshot::Receiver<Result<(), Unrecorded>>, Unrecorded> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.room(at)?;
        queue.judgements.push_back(Asked { judgement: Box::new(judgement), at, answer: Answer::Recorded(answer) });
        self.wake(queue);
        Ok(answered)
    }

    /// Takes in a judgement that an effect follows, and reserves the room for its outcome.
    pub(crate) fn open(
        &self,
        judgement: Judgement,
        at: Time,
        urgency: Urgency,
    ) -> Result<oneshot::Receiver<Result<FileSlot, Unrecorded>>, Unrecorded> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.room(at)?;
        if queue.open >= self.limits.open {
            return Err(Unrecorded::Full);
        }
        queue.open += 1;
        let answer = Answer::Opened(urgency, answer);
        queue.judgements.push_back(Asked { judgement: Box::new(judgement), at, answer });
        self.wake(queue);
        Ok(answered)
    }

    /// Whether a stranger's refusal is to be recorded in full.
    pub(crate) fn affords(&self, stranger: Stranger<'_>, now: Instant) -> Afford {
        self.queue().budget.spend(stranger.source.map(SourceName::as_str), now)
    }

    /// Takes in the refusal of a stranger, into the share that strangers have.
    pub(crate) fn record_stranger(
        &self,
        judgement: Judgement,
        at: Time,
    ) -> Result<oneshot::Receiver<Result<(), Unrecorded>>, Unrecorded> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.taking(at)?;
        if queue.strangers.len() >= self.limits.strangers {
            return Err(Unrecorded::Full);
        }
        queue.strangers.push_back(Asked { judgement: Box::new(judgement), at, answer: Answer::Recorded(answer) });
        self.wake(queue);
        Ok(answered)
    }

    /// Counts the refusal of a stranger; not while the disk refuses everything, for then no counter may ever be written.
    pub(crate) fn count_stranger(
        &self,
        stranger: Stranger<'_>,
        id: RecordId,
        at: Time,
    ) -> Result<RecordId, Unrecorded> {
        let queue = self.taking(at)?;
        if queue.disk == Disk::Refuses {
            return Err(Unrecorded::Unwritable);
        }
        Ok(self.add(queue, stranger.code, stranger.source.map(SourceName::as_str), id, at))
    }

    /// Takes in the outcome of an opened judgement. Without an instant it ends at the latest one that was heard of.
    pub(crate) fn settle(&self, outcome: Outcome, at: Option<Time>) {
        let mut queue = self.queue();
        if queue.state == State::Closed {
            return;
        }
        let Some(at) = at.or(queue.latest) else { return };
        queue.latest = queue.latest.max(Some(at));
        queue.outcomes.push_back(Settled { body: Body::Outcome(outcome), at });
        self.wake(queue);
    }

    /// Counts a judgement that is not recorded by itself.
    pub(crate) fn count(&self, code: Code, source: Option<&str>, id: RecordId, at: Time) -> RecordId {
        let mut queue = self.queue();
        queue.latest = queue.latest.max(Some(at));
        self.add(queue, code, source, id, at)
    }

    fn add(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        code: Code,
        source: Option<&str>,
        id: RecordId,
        at: Time,
    ) -> RecordId {
        let counter = queue.counts.add(code, source, id, at);
        if queue.counting_since.is_none() {
            queue.counting_since = Some(Instant::now());
            // the writer learns until when it may sleep; of the next ones it need not hear
            self.wake(queue);
        }
        counter
    }

    /// Takes in a wish for a checkpoint.
    pub(crate) fn mark(&self, at: Time) -> Result<oneshot::Receiver<Result<Head, Unrecorded>>, Unrecorded> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.room(at)?;
        if queue.checkpoints.len() >= CHECKPOINTS {
            return Err(Unrecorded::Full);
        }
        queue.checkpoints.push_back(Mark { at, answer });
        self.wake(queue);
        Ok(answered)
    }

    /// Waits until there is something to write, at most until `until`. What wakes it seldom comes alone: whoever runs on
    /// this core goes on first, so that all that stand ready are written at once.
    pub(crate) fn take(&self, backlog: Backlog, until: Option<Instant>) -> Work {
        let mut queue = self.queue();
        let mut slept = false;
        loop {
            let now = Instant::now();
            if queue.is_ready(backlog, now) || until.is_some_and(|until| until <= now) {
                if std::mem::take(&mut slept) {
                    drop(queue);
                    thread::yield_now();
                    queue = self.queue();
                    continue;
                }
                return queue.take(backlog, now);
            }
            let counting = queue.counting_until().filter(|_| backlog == Backlog::Wanted);
            let until = match (until, counting) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            queue.asleep = true;
            queue = match until {
                Some(until) => {
                    let span = until.saturating_duration_since(now).max(Duration::from_millis(1));
                    self.wake.wait_timeout(queue, span).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
            queue.asleep = false;
            slept = true;
        }
    }

    /// Wakes the writer if it sleeps, and lets go of the queue first: it would only wait for it.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        if std::mem::take(&mut queue.asleep) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// Puts back, in front, what could not be written and must be tried again.
    pub(crate) fn give_back(&self, outcomes: Vec<Settled>, counts: Counts) {
        let mut queue = self.queue();
        for outcome in outcomes.into_iter().rev() {
            queue.outcomes.push_front(outcome);
        }
        if !counts.is_empty() {
            queue.counting_since.get_or_insert_with(Instant::now);
            queue.counts.merge(counts);
        }
    }

    /// Refuses what somebody waits for: it cannot be written now, and nobody waits for a disk. Until something was written
    /// again, no stranger is counted.
    pub(crate) fn refuse_waiting(&self) {
        let (judgements, checkpoints) = {
            let mut queue = self.queue();
            queue.disk = Disk::Refuses;
            let mut judgements = std::mem::take(&mut queue.judgements);
            judgements.append(&mut queue.strangers);
            let opened = judgements.iter().filter(|asked| asked.answer.is_opened()).count();
            queue.open = queue.open.saturating_sub(opened);
            (judgements, std::mem::take(&mut queue.checkpoints))
        };
        judgements.into_iter().for_each(|asked| asked.answer.refuse(Unrecorded::Unwritable));
        checkpoints.into_iter().for_each(|mark| mark.refuse());
    }

    /// Frees the room of `slots` judgements: their outcomes are written, or they were never opened.
    pub(crate) fn free(&self, slots: usize) {
        let mut queue = self.queue();
        queue.open = queue.open.saturating_sub(slots);
    }

    /// Says that all of a batch was written, and frees the room of its outcomes.
    pub(crate) fn written(&self, outcomes: usize) {
        let mut queue = self.queue();
        queue.disk = Disk::Takes;
        queue.open = queue.open.saturating_sub(outcomes);
    }

    /// What waits now, and whether anything more would be written.
    pub(crate) fn standing(&self) -> Standing {
        let queue = self.queue();
        Standing {
            waiting: queue.judgements.len() + queue.strangers.len() + queue.outcomes.len(),
            open: queue.open,
            writable: queue.state == State::Taking && queue.disk == Disk::Takes,
        }
    }

    /// Takes in no further judgement.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        if queue.state == State::Taking {
            queue.state = State::Closing;
        }
        self.wake.notify_all();
    }

    /// Refuses everything from now on, what waits too.
    pub(crate) fn end(&self) {
        {
            let mut queue = self.queue();
            queue.state = State::Closed;
            queue.outcomes.clear();
        }
        self.refuse_waiting();
        self.wake.notify_all();
    }

    fn room(&self, at: Time) -> Result<MutexGuard<'_, Queue>, Unrecorded> {
        let queue = self.taking(at)?;
        if queue.judgements.len() >= self.limits.waiting {
            return Err(Unrecorded::Full);
        }
        Ok(queue)
    }

    fn taking(&self, at: Time) -> Result<MutexGuard<'_, Queue>, Unrecorded> {
        let mut queue = self.queue();
        if queue.state != State::Taking {
            return Err(Unrecorded::Unwritable);
        }
        queue.latest = queue.latest.max(Some(at));
        Ok(queue)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_ready(&self, backlog: Backlog, now: Instant) -> bool {
        let waited_for = self.is_waited_for();
        let unwaited = !self.outcomes.is_empty() || self.counting_until().is_some_and(|until| until <= now);
        waited_for || self.state != State::Taking || (unwaited && backlog == Backlog::Wanted)
    }

    fn take(&mut self, backlog: Backlog, now: Instant) -> Work {
        let closing = self.state != State::Taking;
        let waited_for = self.is_waited_for();
        let mut work = Work { closing, ..Work::default() };
        if backlog == Backlog::Wanted || waited_for {
            work.outcomes = self.outcomes.drain(..self.outcomes.len().min(BATCH)).collect();
            if closing || self.counting_until().is_some_and(|until| until <= now) {
                work.counts = std::mem::take(&mut self.counts);
                self.counting_since = None;
            }
        }
        if self.outcomes.is_empty() {
            work.judgements = self.judgements.drain(..self.judgements.len().min(BATCH)).collect();
            work.judgements.extend(self.strangers.drain(..self.strangers.len().min(STRANGERS)));
            work.checkpoints = self.checkpoints.drain(..).collect();
        }
        work
    }

    fn is_waited_for(&self) -> bool {
        !self.judgements.is_empty() || !self.strangers.is_empty() || !self.checkpoints.is_empty()
    }

    fn counting_until(&self) -> Option<Instant> {
        self.counting_since.map(|since| since + COUNTING)
    }
}
