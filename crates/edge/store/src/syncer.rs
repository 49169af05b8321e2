//! The one thread that waits for the disk, so that the writer does not: a sync takes in all that was written before it
//! began, and whoever is to be synced first is answered after it.
//!
//! INVARIANT: while a sync runs, the writer goes on for as long as no record is older than [`SYNC_AFTER`] that the sync does
//! not take in, and then waits: a power cut loses what was let through in two such spans, and no more.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::mailbox::Mailbox;
use crate::tally::Tally;
use crate::work::{Judged, Marked};

/// How long a routine record may stay unsynced until a sync begins; 50 ms are promised.
const SYNC_AFTER: Duration = Duration::from_millis(25);

/// Where the writer says what it has written. The thread ends, with everything synced, when it is dropped.
pub(crate) struct Syncer(Arc<Shared>);

/// Nothing can be known any more about what is on the disk; only a start can find out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Poisoned;

/// Who is answered once what was written is on the disk.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) judged: Vec<Judged>,
    pub(crate) marked: Vec<Marked>,
}

struct Shared {
    state: Mutex<State>,
    change: Condvar,
    mailbox: Arc<Mailbox>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct State {
    unsynced: Option<Unsynced>,
    disk: Disk,
    /// Whether nothing more will be written.
    ending: bool,
}

/// What was written since the last sync began.
struct Unsynced {
    file: Arc<File>,
    since: Instant,
    waiting: Waiting,
    /// Whether the writer waits for it.
    hurried: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Disk {
    #[default]
    Idle,
    Syncing,
    Poisoned,
}

impl Syncer {
    /// Starts the thread. Whoever holds the handle joins it once the syncer is dropped.
    pub(crate) fn start(mailbox: Arc<Mailbox>, tally: Arc<Tally>) -> io::Result<(Self, JoinHandle<()>)> {
        let shared = Arc::new(Shared { state: Mutex::default(), change: Condvar::new(), mailbox, tally });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("ledger-sync".to_owned()).spawn(move || theirs.run())?;
        Ok((Self(shared), thread))
    }

    /// Takes note that `file` was written to, and of who waits until it is synced. All that is not synced is of one file:
    /// before another one, there is a [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`Poisoned`]; those who wait hear of it when their answers are dropped.
    pub(crate) fn written(&self, file: &Arc<File>, waiting: Waiting) -> Result<(), Poisoned> {
        let mut state = self.0.wait_while(|state| state.disk == Disk::Syncing && state.is_overdue())?;
        let urgent = state.unsynced.is_none() || !waiting.is_empty();
        let unsynced = state.unsynced.get_or_insert_with(|| Unsynced::since_now(file));
        unsynced.waiting.add(waiting);
        drop(state);
        if urgent {
            self.0.change.notify_all();
        }
        Ok(())
    }

    /// Returns once everything is synced.
    ///
    /// # Errors
    /// [`Poisoned`].
    pub(crate) fn flush(&self) -> Result<(), Poisoned> {
        if let Some(unsynced) = &mut self.0.state().unsynced {
            unsynced.hurried = true;
        }
        self.0.change.notify_all();
        self.0.wait_while(|state| state.disk == Disk::Syncing || state.unsynced.is_some()).map(drop)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.0.state().ending = true;
        self.0.change.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        while let Some(unsynced) = self.next() {
            // what is written from here on may not be in it
            let taken_in = self.tally.written().unsynced;
            let synced = unsynced.file.sync_data();
            if let Err(error) = synced {
                // the kernel may have dropped what it could not write: trying again would lie
                tracing::error!(%error, "the ledger cannot be synced");
                self.state().disk = Disk::Poisoned;
                self.mailbox.end();
                self.change.notify_all();
                return;
            }
            self.tally.written().unsynced -= taken_in;
            self.state().disk = Disk::Idle;
            self.change.notify_all();
            unsynced.waiting.accept(&self.mailbox);
        }
    }

    /// Waits until something is to be synced; `None` once nothing more will be.
    fn next(&self) -> Option<Unsynced> {
        let mut state = self.state();
        while !state.is_due() {
            if state.ending {
                return None;
            }
            state = match state.patience() {
                Some(span) => self.change.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner).0,
                None => self.change.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.disk = Disk::Syncing;
        state.unsynced.take()
    }

    /// Waits as long as the disk is sound and `unfinished`.
    fn wait_while(&self, unfinished: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Poisoned> {
        let goes_on = |state: &mut State| state.disk != Disk::Poisoned && unfinished(state);
        let state = self.change.wait_while(self.state(), goes_on).unwrap_or_else(PoisonError::into_inner);
        if state.disk == Disk::Poisoned { Err(Poisoned) } else { Ok(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_due(&self) -> bool {
        let is_wanted = |unsynced: &Unsynced| unsynced.hurried || !unsynced.waiting.is_empty() || self.ending;
        self.unsynced.as_ref().is_some_and(is_wanted) || self.is_overdue()
    }

    fn is_overdue(&self) -> bool {
        self.patience().is_some_and(|span| span.is_zero())
    }

    /// How long what was written may still wait.
    fn patience(&self) -> Option<Duration> {
        self.unsynced.as_ref().map(|unsynced| SYNC_AFTER.saturating_sub(unsynced.since.elapsed()))
    }
}

impl Unsynced {
    fn since_now(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file), since: Instant::now(), waiting: Waiting::default(), hurried: false }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.judged.is_empty() && self.marked.is_empty()
    }

    fn add(&mut self, other: Self) {
        let Self { judged, marked } = other;
        self.judged.extend(judged);
        self.marked.extend(marked);
    }

    fn accept(self, mailbox: &Arc<Mailbox>) {
        self.judged.into_iter().for_each(|judged| judged.accept(mailbox));
        self.marked.into_iter().for_each(Marked::accept);
    }
}
