//! The flow as a whole, over a ledger in memory.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use audit::{Body, OutcomeResult, Unrecorded, Urgency};
use credential::{Channel, Message, PeerCredentials, Presented, Sources, Token, digest_of};
use identity::{Access, Class, Directory, Template};
use model::{BaseAction, Code, Epoch, Generation, PrincipalId, PrincipalKind, RecordId, Risk, Time, TraceId};
use policy::{Engine, PolicyFile, Question, Vocabulary};
use testkit::{MemoryLedger, MemorySlot};

use crate::{Answer, Asked, Call, Errand, NoRoom, Operation, Peer, Permit, Refusal, Settled, Snapshot, admit, replay};

const NOW: Time = Time::from_unix_seconds(1_800_000_000);
/// An errand for which there is no room.
const CROWDED: &str = "the errand of too many";

impl Errand for &'static str {
    fn take_room(&mut self, _: &PrincipalId) -> Result<(), NoRoom> {
        if *self == CROWDED { Err(NoRoom) } else { Ok(()) }
    }
}

/// Operators are uid 0; one service has public operations.
fn snapshot(policies: &str) -> Snapshot {
    let operators: Vec<PrincipalId> = vec!["human:local:0".parse().unwrap()];
    let class = Class {
        name: "local".to_owned(),
        source: "local".parse().unwrap(),
        kind: PrincipalKind::Human,
        template: Template::new("human:local:{uid}", &["uid"]).unwrap(),
        owner: "local".parse().unwrap(),
        purpose: "test".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: [].into(),
    };
    let directory = Directory::new([], vec![class]).unwrap();
    let vocabulary = Vocabulary { operators, services: vec!["billing".parse().unwrap()], ..Vocabulary::default() };
    let files = [PolicyFile { name: "test.cedar".to_owned(), text: policies.to_owned() }];
    let engine = Engine::compile(&files, &vocabulary, &directory).unwrap();
    Snapshot {
        generation: Generation(1),
        epoch: Epoch(7),
        digest: digest_of(b"estate"),
        keys: digest_of(b"keys"),
        sources: Sources::default(),
        directory: Arc::new(directory),
        engine: Arc::new(engine),
        staleness: crate::Staleness::default(),
    }
}

fn call() -> Call {
    Call {
        id: RecordId::new([7; 16]),
        trace: TraceId::new([8; 16]),
        door: "test",
        protocol: "http",
        operation: Some("GET /x".to_owned()),
        freshness: crate::Freshness::NOW,
    }
}

fn from(uid: u32) -> Presented<'static> {
    let peer = PeerCredentials { uid, gid: 0, pid: None };
    Presented { channel: Some(Channel::Kernel(peer)), message: None }
}

fn asks(action: BaseAction, resource: &str, access: Access) -> Asked<&'static str> {
    let question = Question {
        action: action.into(),
        resource: resource.parse().unwrap(),
        protocol: "http".to_owned(),
        service: "billing".to_owned(),
        params: vec![("invoice".to_owned(), "1".to_owned())],
    };
    Asked::Operation(Operation { question, access, errand: "the errand" })
}

fn reads() -> Asked<&'static str> {
    asks(BaseAction::Read, "countersign/ledger", Access::Proved)
}

fn crowded(asked: Asked<&'static str>) -> Asked<&'static str> {
    let Asked::Operation(operation) = asked else { panic!("only an operation takes room") };
    Asked::Operation(Operation { errand: CROWDED, ..operation })
}

fn unmapped() -> Asked<&'static str> {
    Asked::Unmapped { code: Code::OperationUnmapped, service: None }
}

type Admitted = Result<Permit<&'static str, MemorySlot>, Refusal>;

/// A ledger in memory never waits, so one poll is the whole await.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the flow waited for something else than the ledger"),
    }
}

fn admitted(ledger: &MemoryLedger, presented: &Presented<'_>, asked: Asked<&'static str>) -> Admitted {
    now_or_never(admit(&snapshot(""), ledger, &call(), presented, asked, NOW))
}

/// The code of a refusal and whether the peer counts as proved, or `permit`.
fn answer(presented: &Presented<'_>, asked: Asked<&'static str>) -> String {
    match admitted(&MemoryLedger::new(), presented, asked) {
        Ok(permit) => format!("permit {}", permit.begin().0),
        Err(Refusal { code, peer: Peer::Proved, .. }) => format!("{code} proved"),
        Err(Refusal { code, peer: Peer::Unproved, .. }) => format!("{code} unproved"),
    }
}

fn token(bytes: &[u8]) -> Presented<'_> {
    Presented { channel: None, message: Some(Message::Bearer(Token::new(bytes))) }
}

#[test]
fn every_way_through_the_gates_has_its_answer() {
    let public = || asks(BaseAction::Read, "public/billing", Access::Public);
    for (presented, asked, expected) in [
        (from(0), reads(), "permit the errand"),
        (from(1), reads(), "no_permit proved"),
        (Presented::default(), reads(), "credential_missing unproved"),
        (token(b"garbage"), reads(), "credential_malformed unproved"),
        (Presented::default(), public(), "permit the errand"),
        (from(1), public(), "permit the errand"),
        (token(b"garbage"), public(), "credential_malformed unproved"),
        (Presented::default(), unmapped(), "credential_missing unproved"),
        (from(1), unmapped(), "operation_unmapped proved"),
        (from(0), Asked::Unfit(Code::RequestAmbiguous), "request_ambiguous unproved"),
        (from(0), asks(BaseAction::Effect, "countersign/nothing", Access::Proved), "policy_error proved"),
        (from(0), crowded(reads()), "overloaded proved"),
        (Presented::default(), crowded(public()), "overloaded unproved"),
        // who may not come in hears nothing of room
        (from(1), crowded(reads()), "no_permit proved"),
        (Presented::default(), crowded(reads()), "credential_missing unproved"),
    ] {
        assert_eq!(answer(&presented, asked), expected);
    }
}

#[test]
fn a_stranger_hears_the_same_whether_an_operation_is_mapped_or_not() {
    let heard = |asked| admitted(&MemoryLedger::new(), &Presented::default(), asked).err().unwrap();
    assert_eq!(heard(reads()), heard(unmapped()));
}

#[test]
fn a_stranger_over_its_budget_is_counted_and_hears_the_same() {
    let public = || asks(BaseAction::Read, "public/billing", Access::Public);
    for (presented, asked, code) in [
        (Presented::default(), reads(), "credential_missing"),
        (token(b"garbage"), reads(), "credential_malformed"),
        (token(b"garbage"), public(), "credential_malformed"),
        (Presented::default(), unmapped(), "credential_missing"),
        (from(0), Asked::Unfit(Code::RequestAmbiguous), "request_ambiguous"),
        (Presented::default(), crowded(public()), "overloaded"),
    ] {
        let ledger = MemoryLedger::new();
        ledger.count_strangers();
        let refusal = admitted(&ledger, &presented, asked).err().unwrap();
        assert_eq!((refusal.code.as_str(), refusal.record, refusal.peer), (code, Some(call().id), Peer::Unproved));
        let [Body::Counted(counted)] = &ledger.records().into_iter().map(|record| record.body).collect::<Vec<_>>()[..]
        else {
            panic!("one counter");
        };
        assert_eq!((counted.source.as_deref(), counted.code.as_str(), counted.count), (None, code, 1));
    }
}

#[test]
fn who_proved_something_is_never_counted() {
    let ledger = MemoryLedger::new();
    ledger.count_strangers();
    for asked in [reads(), unmapped(), crowded(asks(BaseAction::Read, "public/billing", Access::Public))] {
        assert!(admitted(&ledger, &from(1), asked).is_err());
    }
    assert_eq!(ledger.judgements().len(), 3);
    assert_eq!(ledger.records().len(), 3);
}

#[test]
fn the_record_of_a_call_without_room_names_its_caller_and_what_it_asked() {
    let ledger = MemoryLedger::new();
    assert!(admitted(&ledger, &from(0), crowded(reads())).is_err());
    let [judgement] = &ledger.judgements()[..] else { panic!("one judgement") };
    let verdict = &judgement.verdicts[0];
    assert_eq!(judgement.principal.as_ref().unwrap().id, "human:local:0");
    assert_eq!((verdict.decision.as_str(), verdict.code.as_deref()), ("deny", Some("overloaded")));
    assert_eq!((verdict.resource.as_deref(), verdict.tier.as_deref()), (Some("countersign/ledger"), Some("routine")));
    assert_eq!(verdict.reason.as_deref(), Some("too many requests are in flight"));
    assert_eq!((&judgement.deadline, ledger.outcomes().len()), (&None, 0));
}

#[test]
fn what_a_stranger_writes_into_the_ledger_is_short() {
    let long = |asked| {
        let Asked::Operation(mut operation) = asked else { panic!("only an operation has parameters") };
        operation.question.params = vec![("invoice".to_owned(), "x".repeat(8000))];
        Asked::Operation(operation)
    };
    let written = |presented, asked| {
        let ledger = MemoryLedger::new();
        assert!(admitted(&ledger, &presented, asked).is_err());
        ledger.records().remove(0).to_json().unwrap().len()
    };
    assert!(written(token(b"garbage"), long(reads())) < 1500);
    assert!(written(Presented::default(), long(reads())) < 1500);
    // what a decision read is kept whole
    assert!(written(from(1), long(reads())) > 8000);
    let forbidden = || long(asks(BaseAction::Read, "public/billing", Access::Public));
    assert!(written(Presented::default(), crowded(forbidden())) > 8000);
}

#[test]
fn a_judgement_is_in_the_ledger_before_anything_can_happen() {
    let ledger = MemoryLedger::new();
    let permit = admitted(&ledger, &from(0), reads()).unwrap();
    let [judgement] = &ledger.judgements()[..] else { panic!("one judgement") };
    assert_eq!(judgement.id, call().id.to_string());
    assert_eq!(judgement.principal.as_ref().unwrap().id, "human:local:0");
    assert_eq!(judgement.verdicts[0].decision, "allow");
    assert_eq!(judgement.verdicts[0].policies, ["countersign/operators"]);
    assert_eq!(judgement.evidence, ["sender_bound"]);
    assert_eq!((judgement.generation, judgement.epoch), (1, 7));
    assert!(ledger.outcomes().is_empty());
    let (_, settlement) = permit.begin();
    let settled = Settled {
        result: OutcomeResult::Delivered,
        status: Some(200),
        code: None,
        bytes_in: Some(0),
        bytes_out: Some(2),
    };
    settlement.settle(settled, NOW.plus(std::time::Duration::from_millis(3)));
    let [outcome] = &ledger.outcomes()[..] else { panic!("one outcome") };
    assert_eq!((outcome.of.as_str(), outcome.micros), (judgement.id.as_str(), Some(3000)));
}

#[test]
fn a_permit_that_is_dropped_leaves_a_failed_outcome() {
    let ledger = MemoryLedger::new();
    drop(admitted(&ledger, &from(0), reads()));
    assert_eq!(ledger.outcomes()[0].result, OutcomeResult::Failed);
}

#[test]
fn what_cannot_be_recorded_does_not_happen() {
    for cause in [Unrecorded::Full, Unrecorded::Unwritable] {
        let ledger = MemoryLedger::new();
        ledger.refuse(Some(cause));
        for presented in [from(0), from(1), Presented::default()] {
            let refusal = admitted(&ledger, &presented, reads()).err().unwrap();
            let expected =
                Refusal { code: Code::LedgerUnavailable, record: None, peer: Peer::Unproved, missing: vec![] };
            assert_eq!(refusal, expected);
        }
    }
}

#[test]
fn what_is_more_than_routine_is_on_disk_before_it_happens() {
    let ledger = MemoryLedger::new();
    let administers = asks(BaseAction::Administer, "countersign/estate", Access::Proved);
    assert!(admitted(&ledger, &from(0), reads()).is_ok() && admitted(&ledger, &from(0), administers).is_ok());
    assert_eq!(ledger.urgencies(), [Urgency::Routine, Urgency::Durable]);
}

#[test]
fn an_estate_may_narrow_what_operators_do() {
    let narrowed = snapshot(
        r#"@id("not-at-night") @owner("security") @purpose("test")
           forbid (principal == Human::"human:local:0", action in Action::"read", resource in Resource::"countersign/ledger");"#,
    );
    let ledger = MemoryLedger::new();
    let refusal = now_or_never(admit(&narrowed, &ledger, &call(), &from(0), reads(), NOW)).err().unwrap();
    assert_eq!(refusal.code, Code::Forbidden);
    assert_eq!(ledger.judgements()[0].verdicts[0].policies, ["not-at-night"]);
}

#[test]
fn a_policy_about_everything_neither_locks_operators_out_nor_lets_others_in() {
    let policies = [
        "forbid (principal, action, resource);",
        "forbid (principal is Human, action, resource is Resource);",
        "forbid (principal, action, resource) when { 9223372036854775807 + (context.depth + 1) > 0 };",
        "permit (principal, action, resource);",
    ];
    for policy in policies {
        let snapshot = snapshot(&format!(r#"@id("all") @owner("security") @purpose("test") {policy}"#));
        let asked = |uid| {
            let answer = now_or_never(admit(&snapshot, &MemoryLedger::new(), &call(), &from(uid), reads(), NOW));
            answer.map(drop).map_err(|refusal| refusal.code)
        };
        assert!(asked(0).is_ok() && asked(1).is_err(), "{policy}");
    }
}

#[test]
fn a_replay_of_any_record_agrees_with_it() {
    let public = || asks(BaseAction::Read, "public/billing", Access::Public);
    let snapshot = snapshot("");
    for (presented, asked) in [
        (from(0), reads()),
        (from(1), reads()),
        (from(1), unmapped()),
        (from(1), public()),
        (Presented::default(), public()),
        (Presented::default(), reads()),
        (Presented::default(), unmapped()),
        (token(b"garbage"), reads()),
        (from(0), Asked::Unfit(Code::RequestTooLarge)),
        (from(0), crowded(reads())),
        (Presented::default(), crowded(public())),
    ] {
        let ledger = MemoryLedger::new();
        let _ = now_or_never(admit(&snapshot, &ledger, &call(), &presented, asked, NOW));
        let judgement = ledger.judgements().remove(0);
        assert_eq!(replay(&snapshot, &judgement, NOW), Answer::recorded(&judgement));
    }
}

#[test]
fn a_replay_shows_what_would_be_answered_now() {
    let ledger = MemoryLedger::new();
    let _ = admitted(&ledger, &from(0), reads());
    let judgement = ledger.judgements().remove(0);
    let stricter = snapshot(
        r#"@id("nobody") @owner("security") @purpose("test")
           forbid (principal, action, resource in Resource::"countersign");"#,
    );
    let again = replay(&stricter, &judgement, NOW).unwrap();
    assert_eq!(again.verdict.code.as_deref(), Some("forbidden"));
}

#[test]
fn a_record_that_was_tampered_with_is_not_replayed() {
    let ledger = MemoryLedger::new();
    let _ = admitted(&ledger, &from(0), reads());
    let mut judgement = ledger.judgements().remove(0);
    judgement.presented[0].key = None;
    assert_eq!(replay(&snapshot(""), &judgement, NOW).unwrap_err().to_string(), "`key` is missing");
    judgement.presented[0].kind = "word of honour".to_owned();
    let expected = "`kind` is `word of honour`, which cannot be read";
    judgement.presented[0].key = Some(vec!["0".to_owned()]);
    assert_eq!(replay(&snapshot(""), &judgement, NOW).unwrap_err().to_string(), expected);
    judgement.verdicts.clear();
    assert_eq!(replay(&snapshot(""), &judgement, NOW).unwrap_err().to_string(), "the record has no verdict");
}
