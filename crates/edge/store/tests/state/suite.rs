//! What holds on both engines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{
    Again, Append, Attest, AuthorityAct, Change, Changed, Enrol, GONE, KeptAgent, KeptAuthorities, KeptAuthority,
    KeptBundle, KeptPlane, KeptUpstream, NewPlane, RevocationAct, State, Step,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::node::{at, digest, history, next, try_next};
use crate::place::{Place, open, run};

/// The first change of generation 2.
const SECOND: u64 = (2 << 32) + 1;
/// Authors that apply at once, half of them on each of two nodes.
const AUTHORS: usize = 16;

macro_rules! on_both_engines {
    ($($fact:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $fact() { super::run(super::$fact(super::Place::sqlite())); })+
        }
        mod on_postgres {
            $(#[test] fn $fact() {
                if let Some(place) = super::Place::postgres() {
                    super::run(super::$fact(place));
                }
            })+
        }
    };
}

on_both_engines!(
    what_is_kept_is_found_by_every_node_and_after_a_restart,
    an_author_who_saw_an_older_epoch_is_told_the_last_one_and_keeps_nothing,
    an_epoch_never_goes_behind_the_last_one,
    of_many_authors_who_saw_the_same_exactly_one_wins,
    a_reader_who_follows_the_log_sees_every_change_in_the_order_of_commits,
    nodes_that_start_at_once_on_nothing_all_start,
    of_many_that_use_one_token_at_once_exactly_one_is_enrolled,
    of_many_that_attest_by_one_token_at_once_exactly_one_does,
    an_attestation_whose_answer_was_lost_may_be_had_again_by_the_same_key_alone,
    a_plane_is_known_by_what_it_last_said_and_a_stranger_says_nothing,
    a_new_generation_brings_what_is_revoked_along_under_numbers_that_nobody_has_seen,
    acts_of_another_control_plane_keep_their_numbers,
    of_nodes_that_would_take_a_step_at_once_exactly_one_does_and_the_others_keep_nothing,
    what_is_done_with_authorities_is_kept_with_who_did_it_and_those_that_are_gone_are_read_no_more,
    of_nodes_that_keep_a_bundle_at_once_one_does_and_what_is_forgotten_is_gone,
    a_state_that_a_newer_program_wrote_is_left_as_it_is,
    a_change_of_an_unknown_kind_is_not_passed_over,
    an_estate_that_was_damaged_is_not_handed_out,
    what_is_asked_after_closing_fails_at_once,
);

async fn what_is_kept_is_found_by_every_node_and_after_a_restart(place: Place) {
    let (one, other) = (place.node().await, place.node().await);
    assert_eq!(one.last_epoch().await.unwrap(), None);
    assert_eq!((one.last_change().await.unwrap(), one.changes_since(0, 10).await.unwrap()), (0, Vec::new()));
    let first = next(None, "ada");
    // larger than a page, and with what text in SQL must not hold
    let estate: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(one.append_epoch(None, &first, &estate).await.unwrap(), Append::Kept { seq: 1 });
    let second = next(Some(first.position), "bob");
    let appended = other.append_epoch(Some(first.position), &second, b"").await.unwrap();
    assert_eq!(appended, Append::Kept { seq: 2 });
    // a new generation begins behind every epoch of the one before
    let mut third = next(Some(at(2, 0)), "ada");
    third.applied = "\u{1f512} \u{0001} 'quoted' $1".to_owned();
    let appended = one.append_epoch(Some(second.position), &third, b"is kept already").await.unwrap();
    assert_eq!(appended, Append::Kept { seq: SECOND });
    one.keep_estate(digest("eve"), b"of nobody's epoch").await.unwrap();
    one.close().await;
    other.close().await;

    let again = place.node().await;
    assert_eq!(history(&again).await, [first.clone(), second.clone(), third.clone()]);
    assert_eq!(again.epochs_through(at(1, 2)).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(again.epochs_through(at(1, 1)).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(again.epochs_through(at(0, 9)).await.unwrap(), []);
    assert_eq!(again.last_epoch().await.unwrap(), Some(third.clone()));
    assert_eq!(again.estate(digest("ada")).await.unwrap(), Some(estate), "the one that was there first");
    assert_eq!(again.estate(digest("bob")).await.unwrap(), Some(Vec::new()));
    assert_eq!(again.estate(digest("eve")).await.unwrap(), Some(b"of nobody's epoch".to_vec()));
    assert_eq!(again.estate(digest("mallory")).await.unwrap(), None);
    let change = |seq, position| Change { seq, what: Changed::Epoch(position) };
    let changes = [change(1, first.position), change(2, second.position), change(SECOND, third.position)];
    assert_eq!(again.changes_since(0, 10).await.unwrap(), changes);
    assert_eq!(again.changes_since(1, 1).await.unwrap(), changes[1..2]);
    assert_eq!(again.changes_since(SECOND, 10).await.unwrap(), []);
    assert_eq!(again.last_change().await.unwrap(), SECOND);
}

async fn an_author_who_saw_an_older_epoch_is_told_the_last_one_and_keeps_nothing(place: Place) {
    let (one, other) = (place.node().await, place.node().await);
    let first = next(None, "ada");
    one.append_epoch(None, &first, b"").await.unwrap();
    let late = next(None, "eve");
    let moved = Append::Moved { current: Some(first.position) };
    assert_eq!(other.append_epoch(None, &late, b"").await.unwrap(), moved);
    let far = next(Some(at(1, 7)), "eve");
    assert_eq!(other.append_epoch(Some(at(1, 7)), &far, b"").await.unwrap(), moved);
    assert_eq!(other.estate(digest("eve")).await.unwrap(), None);
    assert_eq!(history(&other).await, [first]);
    // no number was used up
    assert_eq!(other.last_change().await.unwrap(), 1);
}

async fn an_epoch_never_goes_behind_the_last_one(place: Place) {
    let node = place.node().await;
    let first = next(Some(at(3, 4)), "ada");
    node.append_epoch(None, &first, b"").await.unwrap();
    for position in [at(3, 5), at(3, 4), at(2, 9)] {
        let mut behind = next(None, "eve");
        behind.position = position;
        let appended = node.append_epoch(Some(first.position), &behind, b"").await.unwrap();
        assert_eq!(appended, Append::Moved { current: Some(first.position) });
    }
    assert_eq!(history(&node).await, [first]);
}

async fn of_many_authors_who_saw_the_same_exactly_one_wins(place: Place) {
    const ROUNDS: u64 = 8;
    let nodes = [place.node().await, place.node().await];
    let mut last = None;
    for round in 1..=ROUNDS {
        let barrier = Arc::new(Barrier::new(AUTHORS));
        let mut authors = JoinSet::new();
        for author in 0..AUTHORS {
            let (node, barrier) = (nodes[author % 2].clone(), Arc::clone(&barrier));
            let epoch = next(last, &format!("{round}/{author}"));
            authors.spawn(async move {
                barrier.wait().await;
                let appended = node.append_epoch(last, &epoch, epoch.applied.as_bytes()).await.unwrap();
                (appended, epoch)
            });
        }
        let (mut won, mut lost) = (Vec::new(), Vec::new());
        while let Some(done) = authors.join_next().await {
            match done.unwrap() {
                (Append::Kept { seq }, epoch) => {
                    assert_eq!(seq, round);
                    won.push(epoch);
                }
                (Append::Moved { current }, epoch) => lost.push((current, epoch)),
            }
        }
        assert_eq!((won.len(), lost.len()), (1, AUTHORS - 1));
        let winner = won.pop().unwrap();
        assert!(lost.iter().all(|(current, _)| *current == Some(winner.position)));
        assert_eq!(nodes[0].last_epoch().await.unwrap().as_ref(), Some(&winner));
        for (_, loser) in &lost {
            assert_eq!(nodes[1].estate(loser.estate).await.unwrap(), None, "of who lost nothing is kept");
        }
        last = Some(winner.position);
    }
    assert_eq!(history(&nodes[1]).await.len() as u64, ROUNDS);
}

async fn a_reader_who_follows_the_log_sees_every_change_in_the_order_of_commits(place: Place) {
    const EPOCHS: u64 = 120;
    let nodes = [place.node().await, place.node().await];
    let full = Arc::new(AtomicBool::new(false));
    let mut authors = JoinSet::new();
    for author in 0..AUTHORS / 2 {
        let (node, full) = (nodes[author % 2].clone(), Arc::clone(&full));
        authors.spawn(async move {
            while !full.load(Ordering::Relaxed) {
                try_next(&node, &format!("author {author}")).await.unwrap();
            }
        });
    }
    let reader = place.node().await;
    let (mut seen, mut positions) = (0, Vec::new());
    while seen < EPOCHS {
        for change in reader.changes_since(seen, 7).await.unwrap() {
            assert_eq!(change.seq, seen + 1, "a number is there before every one below it is");
            let Changed::Epoch(position) = change.what else { panic!("only epochs were added") };
            positions.push(position);
            seen = change.seq;
        }
    }
    full.store(true, Ordering::Relaxed);
    while let Some(done) = authors.join_next().await {
        done.unwrap();
    }
    // an epoch is kept only behind the one before it, so that their order is the order of commits
    assert_eq!(positions, (1..=seen).map(|epoch| at(1, epoch)).collect::<Vec<_>>());
    let kept: BTreeSet<_> = history(&reader).await.into_iter().map(|epoch| epoch.position).collect();
    assert!(positions.iter().all(|position| kept.contains(position)));
    assert_eq!(kept.len() as u64, reader.last_change().await.unwrap());
}

async fn nodes_that_start_at_once_on_nothing_all_start(place: Place) {
    let barrier = Arc::new(Barrier::new(AUTHORS));
    let mut starting = JoinSet::new();
    for _ in 0..AUTHORS {
        let (address, barrier) = (place.address(), Arc::clone(&barrier));
        starting.spawn(async move {
            barrier.wait().await;
            let node: State = open(&address).await.unwrap();
            node.last_change().await.unwrap()
        });
    }
    while let Some(started) = starting.join_next().await {
        assert_eq!(started.unwrap(), 0);
    }
}

async fn of_many_that_use_one_token_at_once_exactly_one_is_enrolled(place: Place) {
    let nodes = [place.node().await, place.node().await];
    let barrier = Arc::new(Barrier::new(AUTHORS));
    let mut users = JoinSet::new();
    for user in 0..AUTHORS {
        let (node, barrier) = (nodes[user % 2].clone(), Arc::clone(&barrier));
        users.spawn(async move {
            barrier.wait().await;
            node.enrol("token-1", &plane(&format!("plane-{user}"), "now")).await.unwrap()
        });
    }
    let done = users.join_all().await;
    assert_eq!(done.iter().filter(|one| **one == Enrol::Enrolled).count(), 1, "{done:?}");
    assert_eq!(nodes[0].planes().await.unwrap().len(), 1);
    assert_eq!(nodes[1].enrol("token-2", &plane("plane-x", "now")).await.unwrap(), Enrol::Enrolled);
}

async fn of_many_that_attest_by_one_token_at_once_exactly_one_does(place: Place) {
    let nodes = [place.node().await, place.node().await];
    let agent = |number: usize| KeptAgent {
        id: format!("agent-{number}"),
        attested: "2026-01-01".to_owned(),
        record: "r1".to_owned(),
        method: "join_token".to_owned(),
        selectors: ["a:1".parse().unwrap(), "b:2:3".parse().unwrap()].into(),
    };
    let barrier = Arc::new(Barrier::new(AUTHORS));
    let mut users = JoinSet::new();
    for user in 0..AUTHORS {
        let (node, barrier, agent) = (nodes[user % 2].clone(), Arc::clone(&barrier), agent(user));
        users.spawn(async move {
            barrier.wait().await;
            node.attest(Some("token-1"), &agent, &format!("key-{user}"), Again::Anyone).await.unwrap()
        });
    }
    let done = users.join_all().await;
    assert_eq!(done.iter().filter(|one| **one == Attest::Attested).count(), 1, "{done:?}");
    let kept = nodes[0].agents().await.unwrap();
    assert_eq!(kept.len(), 1);
    // a gateway has the same tokens to spend
    assert_eq!(nodes[0].enrol("token-1", &plane("edge-1", "now")).await.unwrap(), Enrol::Spent);
    // without a token an agent is attested as often as it likes, and is what it was attested last
    let anew = KeptAgent { selectors: ["c:4".parse().unwrap()].into(), ..kept[0].clone() };
    assert_eq!(nodes[1].attest(None, &anew, "key-x", Again::Anyone).await.unwrap(), Attest::Attested);
    assert_eq!(nodes[0].agent(&anew.id).await.unwrap(), Some(anew));
    assert_eq!(nodes[0].agent("agent-x").await.unwrap(), None);
}

async fn an_attestation_whose_answer_was_lost_may_be_had_again_by_the_same_key_alone(place: Place) {
    let node = place.node().await;
    let agent = |id: &str| KeptAgent {
        id: id.to_owned(),
        attested: "2026-01-01".to_owned(),
        record: "r1".to_owned(),
        method: "join_token".to_owned(),
        selectors: ["a:1".parse().unwrap()].into(),
    };
    let by_token =
        async |id: &str, key: &str| node.attest(Some("token"), &agent(id), key, Again::Anyone).await.unwrap();
    let by_first = async |id: &str, key: &str| node.attest(None, &agent(id), key, Again::SameKey).await.unwrap();
    assert_eq!(by_token("agent-1", "key-1").await, Attest::Attested);
    assert_eq!(by_token("agent-1", "key-1").await, Attest::Attested);
    assert_eq!(by_token("agent-1", "key-2").await, Attest::Spent);
    assert_eq!(by_token("agent-2", "key-1").await, Attest::Spent);
    assert_eq!(by_first("agent-3", "key-3").await, Attest::Attested);
    assert_eq!(by_first("agent-3", "key-3").await, Attest::Attested);
    assert_eq!(by_first("agent-3", "key-4").await, Attest::Taken);
    // whoever is evicted has no key any more: a token that was spent stays spent, and another one may come first
    for id in ["agent-1", "agent-3"] {
        assert!(node.evict(id).await.unwrap() && !node.evict(id).await.unwrap());
    }
    assert_eq!(by_token("agent-1", "key-1").await, Attest::Spent);
    assert_eq!(by_first("agent-3", "key-4").await, Attest::Attested);
    assert_eq!(node.agents().await.unwrap().len(), 1);
}

async fn a_plane_is_known_by_what_it_last_said_and_a_stranger_says_nothing(place: Place) {
    let node = place.node().await;
    node.enrol("token", &plane("edge-1", "2026-01-01")).await.unwrap();
    node.report("edge-1", at(1, 7), 12, "2026-01-02").await.unwrap();
    node.report("edge-2", at(1, 7), 12, "2026-01-02").await.unwrap();
    let said = KeptPlane {
        id: "edge-1".to_owned(),
        enrolled: "2026-01-01".to_owned(),
        record: "r1".to_owned(),
        assertion_key: "BA".to_owned(),
        heard: "2026-01-02".to_owned(),
        position: at(1, 7),
        revocation_seq: 12,
    };
    assert_eq!(node.planes().await.unwrap(), std::slice::from_ref(&said));
    node.rekey("edge-1", "BB").await.unwrap();
    assert_eq!(node.planes().await.unwrap()[0].assertion_key, "BB");
    // enrolled anew, it has said nothing yet
    node.enrol("token-2", &NewPlane { record: "r2", ..plane("edge-1", "2026-02-01") }).await.unwrap();
    let anew = node.planes().await.unwrap();
    assert_eq!((anew[0].heard.as_str(), anew[0].position, anew[0].record.as_str()), ("", at(0, 0), "r2"));
}

async fn a_new_generation_brings_what_is_revoked_along_under_numbers_that_nobody_has_seen(place: Place) {
    let node = place.node().await;
    let first = next(None, "ada");
    node.append_epoch(None, &first, b"").await.unwrap();
    let (kept, other) = (act("key", "github/1"), act("principal", "dunning"));
    assert_eq!(node.append_revocation(&kept).await.unwrap(), 2);
    let second = next(Some(at(2, 0)), "bob");
    let stale = node.begin_generation(None, &second, b"", std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(stale, Append::Moved { current: Some(first.position) });
    let last = Some(first.position);
    let begun = node.begin_generation(last, &second, b"", std::slice::from_ref(&kept)).await.unwrap();
    assert_eq!(begun, Append::Kept { seq: SECOND });
    assert_eq!(node.revocations().await.unwrap(), [(2, kept.clone()), (SECOND + 1, kept)]);
    assert_eq!(node.append_revocation(&other).await.unwrap(), SECOND + 2);
}

async fn acts_of_another_control_plane_keep_their_numbers(place: Place) {
    let node = place.node().await;
    let acts = [(7, act("key", "github/1")), (9, act("principal", "dunning"))];
    node.mirror_revocations(&acts[..1]).await.unwrap();
    node.mirror_revocations(&acts).await.unwrap();
    assert_eq!(node.revocations().await.unwrap(), acts);
}

const fn plane<'a>(id: &'a str, time: &'a str) -> NewPlane<'a> {
    NewPlane { id, time, record: "r1", assertion_key: "BA" }
}

fn act(kind: &str, subject: &str) -> RevocationAct {
    let text = str::to_owned;
    RevocationAct {
        kind: text(kind),
        subject: text(subject),
        act: text("revoke"),
        time: text("2026-01-01T00:00:00Z"),
        actor: text("human:local:0"),
        record: text("r"),
    }
}

async fn a_state_that_a_newer_program_wrote_is_left_as_it_is(place: Place) {
    let node = place.node().await;
    try_next(&node, "ada").await.unwrap();
    node.close().await;
    place.tamper("UPDATE schema_version SET version = 10; ALTER TABLE changes ADD COLUMN later BIGINT").await;
    let refused = open(&place.address()).await.err().unwrap();
    let words =
        format!("the state in `{}` has format 10, and this program knows 9: use the newer program", place.name());
    assert_eq!(refused.to_string(), words);
    place.tamper("UPDATE schema_version SET version = 9").await;
    assert_eq!(history(&place.node().await).await.len(), 1);
}

async fn a_change_of_an_unknown_kind_is_not_passed_over(place: Place) {
    let node = place.node().await;
    try_next(&node, "ada").await.unwrap();
    place.tamper("INSERT INTO changes (seq, kind, subject) VALUES (2, 'approval', 'x')").await;
    assert_eq!(node.changes_since(0, 1).await.unwrap().len(), 1);
    let words = format!(
        "change 2 in `{}` is of kind `approval`, which this program does not know: use the newer program",
        place.name()
    );
    assert_eq!(node.changes_since(0, 2).await.unwrap_err().to_string(), words);
}

async fn an_estate_that_was_damaged_is_not_handed_out(place: Place) {
    let node = place.node().await;
    let noise: Vec<u8> = (0..1000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    node.keep_estate(digest("ada"), &noise).await.unwrap();
    let (zeros, of) = ("00".repeat(40), digest("ada"));
    let literal = if place.address().starts_with("postgres") { format!("'\\x{zeros}'") } else { format!("x'{zeros}'") };
    let words = format!("the state in `{}` is damaged; it is left as it is, put a backup in its place", place.name());
    place.tamper(&format!("UPDATE estates SET document = {literal} WHERE digest = '{of}'")).await;
    assert_eq!(node.estate(of).await.unwrap_err().to_string(), words);
    place.tamper("INSERT INTO estates (digest, document) VALUES ('short', '')").await;
    place.tamper("INSERT INTO epochs (generation, epoch, estate, applied) VALUES (1, 1, 'short', '{}')").await;
    assert_eq!(node.last_epoch().await.unwrap_err().to_string(), words);
}

async fn what_is_asked_after_closing_fails_at_once(place: Place) {
    let node = place.node().await;
    node.close().await;
    let words = format!("the state in `{}` cannot be reached", place.name());
    assert_eq!(node.last_epoch().await.unwrap_err().to_string(), words);
}

fn authority(id: &str, standing: &str) -> KeptAuthority {
    let text = |text: &str| text.to_owned();
    KeptAuthority {
        id: text(id),
        kind: text("x509"),
        standing: text(standing),
        public_key: vec![4, 0, 255],
        certificate: vec![0x30; 70_000],
        upstream: None,
        made: text("2027-01-01T00:00:00.000000Z"),
        since: text("2027-01-01T00:00:00.000000Z"),
        ends: text("2027-01-02T00:00:00.000000Z"),
        sealed: vec![0; 3],
    }
}

fn done(act: &str, authority: &str) -> AuthorityAct {
    let text = |text: &str| text.to_owned();
    let (time, actor) = (text("2027-01-01T00:00:00.000000Z"), text("human:local:0"));
    AuthorityAct { authority: text(authority), act: text(act), time, actor, record: text("r1") }
}

async fn of_nodes_that_would_take_a_step_at_once_exactly_one_does_and_the_others_keep_nothing(place: Place) {
    const ROUNDS: u64 = 8;
    let nodes = [place.node().await, place.node().await];
    let mut seen = 0;
    for round in 1..=ROUNDS {
        let barrier = Arc::new(Barrier::new(AUTHORS));
        let mut authors = JoinSet::new();
        for author in 0..AUTHORS {
            let (node, barrier) = (nodes[author % 2].clone(), Arc::clone(&barrier));
            let id = format!("{round}/{author}");
            authors.spawn(async move {
                barrier.wait().await;
                let made = [authority(&id, "prepared")];
                node.step_authorities("a.test", seen, &done("prepare", &id), &made).await.unwrap()
            });
        }
        let mut kept = Vec::new();
        while let Some(step) = authors.join_next().await {
            match step.unwrap() {
                Step::Kept { seq } => kept.push(seq),
                Step::Moved => {}
            }
        }
        assert_eq!(kept, [round], "no number is used up by who comes second");
        seen = round;
        let found = nodes[0].authorities("a.test").await.unwrap();
        assert_eq!((found.seq, found.authorities.len() as u64), (seen, round));
    }
    // authorities of another trust domain are no reason to wait
    let made = [authority("one", "active")];
    let step = nodes[1].step_authorities("b.test", 0, &done("prepare", "one"), &made).await.unwrap();
    assert_eq!(step, Step::Kept { seq: ROUNDS + 1 });
    let last = nodes[0].changes_since(ROUNDS - 1, 9).await.unwrap();
    let change = |seq, domain: &str| Change { seq, what: Changed::Authorities(domain.to_owned()) };
    assert_eq!(last, [change(ROUNDS, "a.test"), change(ROUNDS + 1, "b.test")]);
}

async fn what_is_done_with_authorities_is_kept_with_who_did_it_and_those_that_are_gone_are_read_no_more(place: Place) {
    let (node, other) = (place.node().await, place.node().await);
    assert_eq!(node.authorities("a.test").await.unwrap(), KeptAuthorities::default());
    let first = authority("first", "active");
    node.step_authorities("a.test", 0, &done("prepare", "first"), std::slice::from_ref(&first)).await.unwrap();
    // an outer authority signed this one
    let upstream = KeptUpstream { above: "own and outer".to_owned(), roots: "root".to_owned() };
    let signed = |standing| KeptAuthority { upstream: Some(upstream.clone()), ..authority("second", standing) };
    let second = signed("prepared");
    node.step_authorities("a.test", 1, &done("prepare", "second"), std::slice::from_ref(&second)).await.unwrap();
    // what is neither standing, nor its time, nor the sealed key stays as it is
    let retired = KeptAuthority { sealed: vec![9], ..authority("first", "retired") };
    let changed = KeptAuthority { certificate: b"another".to_vec(), ..retired.clone() };
    let active = signed("active");
    let becomes = [changed, active.clone()];
    assert_eq!(
        other.step_authorities("a.test", 2, &done("activate", "second"), &becomes).await.unwrap(),
        Step::Kept { seq: 3 }
    );
    let found = node.authorities("a.test").await.unwrap();
    assert_eq!(found, KeptAuthorities { seq: 3, authorities: vec![retired, active.clone()] });
    let gone = KeptAuthority { sealed: Vec::new(), ..authority("first", GONE) };
    node.step_authorities("a.test", 3, &done("revoke", "first"), &[gone]).await.unwrap();
    let found = other.authorities("a.test").await.unwrap();
    assert_eq!(found, KeptAuthorities { seq: 4, authorities: vec![active] });
    let acts: Vec<String> = other.authority_acts("a.test").await.unwrap().into_iter().map(|act| act.act).collect();
    assert_eq!(acts, ["revoke", "activate", "prepare", "prepare"]);
    // one that is gone makes way for another of its id, and what an outer control plane says for what it says next
    let gone = KeptAuthority { sealed: Vec::new(), ..signed(GONE) };
    node.step_authorities("a.test", 4, &done("revoke", "second"), &[gone]).await.unwrap();
    let nested = KeptAuthority { certificate: b"another".to_vec(), ..authority("second", "nested") };
    let said = |word: &[u8]| KeptAuthority {
        kind: "outer".to_owned(),
        certificate: word.to_vec(),
        ..authority("outer", "active")
    };
    node.step_authorities("a.test", 5, &done("share", "second"), &[nested.clone(), said(b"one")]).await.unwrap();
    node.step_authorities("a.test", 6, &done("outer", "outer"), &[said(b"two")]).await.unwrap();
    let mut found = other.authorities("a.test").await.unwrap().authorities;
    found.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(found, [said(b"two"), nested]);
}

async fn of_nodes_that_keep_a_bundle_at_once_one_does_and_what_is_forgotten_is_gone(place: Place) {
    let (node, other) = (place.node().await, place.node().await);
    let bundle = |seq, document: &[u8]| KeptBundle {
        domain: "other.test".to_owned(),
        seq,
        terms: "terms".to_owned(),
        fetched: "2027-01-01T00:00:00Z".to_owned(),
        document: document.to_vec(),
    };
    assert_eq!(node.keep_federated(&bundle(0, b"first")).await.unwrap(), Step::Kept { seq: 1 });
    assert_eq!(other.keep_federated(&bundle(0, b"late")).await.unwrap(), Step::Moved);
    assert_eq!(other.keep_federated(&bundle(1, b"second")).await.unwrap(), Step::Kept { seq: 2 });
    assert_eq!(node.federated().await.unwrap(), [bundle(2, b"second")]);
    assert_eq!(node.forget_federated("other.test", 1).await.unwrap(), Step::Moved);
    assert_eq!(node.forget_federated("other.test", 2).await.unwrap(), Step::Kept { seq: 3 });
    assert!(other.federated().await.unwrap().is_empty());
    let last = other.changes_since(2, 9).await.unwrap();
    assert_eq!(last, [Change { seq: 3, what: Changed::Federated("other.test".to_owned()) }]);
}
