//! Room in the queue: what waits, what is refused, what is counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{OutcomeResult, Stranger, Unrecorded, Urgency};
use model::{Code, RecordId};

use super::support::{AT, allowed, id, refused};
use crate::counts::Counts;
use crate::ledger::{FileSlot, ended};
use crate::mailbox::{Limits, Mailbox};
use crate::work::{Answer, Backlog};

const fn limits(waiting: usize, open: usize) -> Limits {
    Limits { waiting, open, strangers: 3 }
}

#[test]
fn what_does_not_fit_is_refused_at_once() {
    let mailbox = Mailbox::new(limits(2, 8));
    let _first = mailbox.record(refused(1), AT).unwrap();
    let _second = mailbox.open(allowed(2), AT, Urgency::Routine).unwrap();
    assert_eq!(mailbox.record(refused(3), AT).unwrap_err(), Unrecorded::Full);
    assert_eq!(mailbox.open(allowed(3), AT, Urgency::Durable).unwrap_err(), Unrecorded::Full);
    assert_eq!(mailbox.take(Backlog::Wanted, None).judgements.len(), 2);
    let _third = mailbox.record(refused(3), AT).unwrap();
}

#[test]
fn no_more_judgements_are_open_than_outcomes_have_room() {
    let mailbox = Mailbox::new(limits(100, 2));
    for n in 0..2 {
        drop(mailbox.open(allowed(n), AT, Urgency::Routine).unwrap());
    }
    assert_eq!(mailbox.open(allowed(3), AT, Urgency::Routine).unwrap_err(), Unrecorded::Full);
    // a refusal needs no such room
    drop(mailbox.record(refused(4), AT).unwrap());
    mailbox.free(1);
    drop(mailbox.open(allowed(5), AT, Urgency::Routine).unwrap());
}

#[test]
fn every_outcome_of_an_open_judgement_is_taken_in() {
    let mailbox = Mailbox::new(limits(1000, 1000));
    for n in 0..1000 {
        drop(mailbox.open(allowed(n), AT, Urgency::Routine).unwrap());
    }
    let mut opened = mailbox.take(Backlog::Wanted, None).judgements;
    opened.extend(mailbox.take(Backlog::Wanted, None).judgements);
    assert!(matches!(opened[0].answer, Answer::Opened(Urgency::Routine, _)));
    // nothing can be written, and all of them end
    for asked in opened {
        drop(FileSlot::new(Arc::clone(&mailbox), asked.judgement.id));
        assert!(mailbox.take(Backlog::CanWait, Some(Instant::now())).is_empty());
    }
    let one = mailbox.take(Backlog::Wanted, None).outcomes;
    let other = mailbox.take(Backlog::Wanted, None).outcomes;
    assert_eq!(one.len() + other.len(), 1000);
}

#[test]
fn outcomes_come_before_judgements() {
    let mailbox = Mailbox::new(limits(10, 10_000));
    let _waits = mailbox.record(refused(0), AT).unwrap();
    for n in 0..700 {
        mailbox.settle(ended(id(n), OutcomeResult::Delivered), Some(AT));
    }
    let work = mailbox.take(Backlog::CanWait, None);
    assert_eq!((work.outcomes.len(), work.judgements.len()), (512, 0));
    let work = mailbox.take(Backlog::CanWait, None);
    assert_eq!((work.outcomes.len(), work.judgements.len()), (188, 1));
}

#[test]
fn what_is_put_back_keeps_its_order() {
    let mailbox = Mailbox::new(limits(10, 10));
    for n in 0..3 {
        mailbox.settle(ended(id(n), OutcomeResult::Delivered), Some(AT));
    }
    let work = mailbox.take(Backlog::Wanted, None);
    mailbox.settle(ended(id(3), OutcomeResult::Delivered), Some(AT));
    mailbox.give_back(work.outcomes, work.counts);
    let ids: Vec<_> = mailbox.take(Backlog::Wanted, None).outcomes.into_iter().map(|settled| settled.body).collect();
    let expected = (0..4).map(|n| audit::Body::Outcome(ended(id(n), OutcomeResult::Delivered)));
    assert_eq!(ids, expected.collect::<Vec<_>>());
}

#[test]
fn who_waits_when_nothing_can_be_written_hears_it_and_its_room_is_freed() {
    let mailbox = Mailbox::new(limits(10, 1));
    let mut opening = mailbox.open(allowed(1), AT, Urgency::Routine).unwrap();
    let mut recording = mailbox.record(refused(2), AT).unwrap();
    let mut marking = mailbox.mark(AT).unwrap();
    mailbox.refuse_waiting();
    assert!(matches!(opening.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    assert!(matches!(recording.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    assert!(matches!(marking.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    drop(mailbox.open(allowed(3), AT, Urgency::Routine).unwrap());
}

#[test]
fn when_the_writer_ends_nobody_waits_in_vain() {
    let mailbox = Mailbox::new(limits(10, 10));
    let mut recording = mailbox.record(refused(1), AT).unwrap();
    mailbox.end();
    assert!(matches!(recording.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    assert_eq!(mailbox.record(refused(2), AT).unwrap_err(), Unrecorded::Unwritable);
    mailbox.settle(ended(id(1), OutcomeResult::Delivered), Some(AT));
    assert!(mailbox.take(Backlog::Wanted, None).is_empty());
}

#[test]
fn strangers_have_a_share_of_their_own_and_take_no_callers_room() {
    let mailbox = Mailbox::new(limits(2, 8));
    for n in 0..3 {
        drop(mailbox.record_stranger(refused(n), AT).unwrap());
    }
    assert_eq!(mailbox.record_stranger(refused(3), AT).unwrap_err(), Unrecorded::Full);
    let _first = mailbox.record(refused(4), AT).unwrap();
    let _second = mailbox.open(allowed(5), AT, Urgency::Routine).unwrap();
    assert_eq!(mailbox.record(refused(6), AT).unwrap_err(), Unrecorded::Full);
    let ids = mailbox.take(Backlog::Wanted, None).judgements.into_iter().map(|asked| asked.judgement.id);
    assert_eq!(ids.collect::<Vec<_>>(), [4, 5, 0, 1, 2].map(id));
    drop(mailbox.record_stranger(refused(7), AT).unwrap());
}

#[test]
fn callers_wait_for_few_strangers_at_a_time() {
    let mailbox = Mailbox::new(Limits { waiting: 10, open: 10, strangers: 500 });
    for n in 0..500 {
        drop(mailbox.record_stranger(refused(n), AT).unwrap());
    }
    let _caller = mailbox.record(refused(1000), AT).unwrap();
    let first = mailbox.take(Backlog::Wanted, None).judgements;
    assert_eq!((first.len(), first[0].judgement.id.clone()), (65, id(1000)));
    assert_eq!(mailbox.take(Backlog::Wanted, None).judgements.len(), 64);
}

#[test]
fn no_stranger_is_counted_while_nothing_can_be_written() {
    let mailbox = Mailbox::new(limits(10, 10));
    let stranger = Stranger { source: None, code: Code::CredentialMissing };
    let count = || mailbox.count_stranger(stranger, RecordId::new([1; 16]), AT);
    assert!(count().is_ok());
    let mut recording = mailbox.record_stranger(refused(1), AT).unwrap();
    mailbox.refuse_waiting();
    assert!(matches!(recording.try_recv(), Ok(Err(Unrecorded::Unwritable))));
    assert_eq!(count(), Err(Unrecorded::Unwritable));
    // the next one that is recorded in full finds out
    let _tries = mailbox.record_stranger(refused(2), AT).unwrap();
    mailbox.written(0);
    assert!(count().is_ok());
    mailbox.close();
    assert_eq!(count(), Err(Unrecorded::Unwritable));
    assert_eq!(mailbox.record_stranger(refused(3), AT).unwrap_err(), Unrecorded::Unwritable);
}

#[test]
fn counters_are_taken_a_second_after_the_first_count_whatever_comes_meanwhile() {
    let mailbox = Mailbox::new(limits(10, 10));
    let begun = Instant::now();
    let id = |n| RecordId::new([n; 16]);
    for n in 1..100 {
        assert_eq!(mailbox.count(Code::Overloaded, None, id(n), AT), id(1));
    }
    let counts = mailbox.take(Backlog::Wanted, None).counts;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(counts.records().map(|(counted, _)| counted.count).collect::<Vec<_>>(), [99]);
    assert_eq!(mailbox.count(Code::Overloaded, None, id(100), AT), id(100), "the next second has another counter");
}

#[test]
fn taking_waits_no_longer_than_asked() {
    let mailbox = Mailbox::new(limits(10, 10));
    let until = Instant::now() + Duration::from_millis(20);
    assert!(mailbox.take(Backlog::Wanted, Some(until)).is_empty());
    assert!(Instant::now() >= until);
}

#[test]
fn counters_are_bounded_and_lose_no_count() {
    let mut counts = Counts::default();
    for n in 0..5000_u32 {
        let source = format!("source-{n}");
        counts.add(Code::CredentialMissing, Some(&source), RecordId::new([0; 16]), AT);
    }
    let mut earlier = Counts::default();
    earlier.add(Code::CredentialMissing, Some("source-1"), RecordId::new([9; 16]), AT);
    counts.merge(earlier);
    let records: Vec<_> = counts.records().map(|(counted, _)| counted).collect();
    assert!(records.len() <= 1025);
    assert_eq!(records.iter().map(|counted| counted.count).sum::<u64>(), 5001);
    let first = records.iter().find(|counted| counted.source.as_deref() == Some("source-1")).unwrap();
    assert_eq!((first.count, first.id.clone()), (2, RecordId::new([9; 16]).to_string()));
}
