//! Syncing: who waits for it, and a disk that fails.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use audit::{Head, Unrecorded};
use model::Digest;
use tokio::sync::oneshot;

use super::support::{AT, refused};
use crate::mailbox::{Limits, Mailbox};
use crate::syncer::{Poisoned, Syncer, Waiting};
use crate::tally::Tally;
use crate::work::{Mark, Marked};

type Heard = oneshot::Receiver<Result<Head, Unrecorded>>;

fn mailbox() -> Arc<Mailbox> {
    Mailbox::new(Limits { waiting: 8, open: 8, strangers: 8 })
}

/// No disk, so that it cannot be synced.
fn broken() -> Arc<File> {
    let (_, pipe) = std::io::pipe().unwrap();
    Arc::new(File::from(OwnedFd::from(pipe)))
}

fn awaited() -> (Waiting, Heard) {
    let (answer, heard) = oneshot::channel();
    let head = Head { writer: "w".to_owned(), seq: 1, head: Digest::new([1; 32]), time: AT };
    let marked = vec![Marked { mark: Mark { at: AT, answer }, head }];
    (Waiting { marked, ..Waiting::default() }, heard)
}

#[test]
fn whoever_waits_for_the_disk_is_answered_once_it_was_synced() {
    let tally = Arc::new(Tally::default());
    let (syncer, thread) = Syncer::start(mailbox(), Arc::clone(&tally)).unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    tally.written().records(2);
    let (waiting, heard) = awaited();
    syncer.written(&file, waiting).unwrap();
    assert_eq!(heard.blocking_recv().unwrap().unwrap().seq, 1);
    assert_eq!(tally.written().unsynced, 0);
    drop(syncer);
    thread.join().unwrap();
}

#[test]
fn what_was_written_is_synced_before_the_thread_ends() {
    let tally = Arc::new(Tally::default());
    let (syncer, thread) = Syncer::start(mailbox(), Arc::clone(&tally)).unwrap();
    tally.written().records(1);
    syncer.written(&Arc::new(tempfile::tempfile().unwrap()), Waiting::default()).unwrap();
    drop(syncer);
    thread.join().unwrap();
    assert_eq!(tally.written().unsynced, 0);
}

#[test]
fn after_a_sync_that_failed_nobody_who_waited_is_let_through_and_nothing_more_is_taken() {
    let mailbox = mailbox();
    let mut recording = mailbox.record(refused(1), AT).unwrap();
    let (syncer, thread) = Syncer::start(Arc::clone(&mailbox), Arc::default()).unwrap();
    let (waiting, heard) = awaited();
    syncer.written(&broken(), waiting).unwrap();
    thread.join().unwrap();
    assert!(heard.blocking_recv().is_err());
    assert!(matches!(recording.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    assert_eq!(mailbox.record(refused(2), AT).unwrap_err(), Unrecorded::Unwritable);
    assert_eq!(syncer.flush(), Err(Poisoned));
    let sound = Arc::new(tempfile::tempfile().unwrap());
    assert_eq!(syncer.written(&sound, Waiting::default()), Err(Poisoned));
}
