//! The task, against an issuer on loopback whose answers change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use credential::{Algorithm, CredentialCache, ExtraAudiences, KeySet, Picked, Source, SourceKeys, Sources, UnknownKey};
use guard::{Snapshot, Staleness};
use identity::Directory;
use model::{Digest, Epoch, Generation, PrincipalKind};
use net::{Stopper, stop};
use policy::{Engine, Vocabulary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::{KeyCounts, Keys, keeper};
use super::{document, remote, set};
use crate::catalog::Catalog;
use crate::estate::RemoteKeys;
use crate::live::{Current, Live, Timeouts};

const LONG: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

/// An issuer: what it answers, and how often it was asked.
struct Issuer {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicU64>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicU64::new(0)));
        let (answers, counter) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().clone();
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, text: &str) {
        text.clone_into(&mut self.answer.lock().unwrap());
    }

    fn publishes(&self, kid: &str) {
        let body = document(kid);
        self.answers(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn keys(&self, refresh: Duration, max_stale: Duration) -> RemoteKeys {
        remote(&self.url, refresh, max_stale)
    }
}

/// A keeper at work, and what is in force.
struct Kept {
    keys: Keys,
    live: Current,
    stopper: Stopper,
    task: JoinHandle<()>,
}

impl Kept {
    /// With the key set of `remote` in force, as an estate puts it there.
    async fn of(remote: &RemoteKeys) -> Self {
        let ((keys, keeper), (stopper, stopped)) = (keeper(), stop());
        let task = tokio::spawn(keeper.run(stopped));
        let live = Arc::new(ArcSwap::from_pointee(live(None, None)));
        let kept = Self { keys, live, stopper, task };
        kept.apply(remote).await;
        kept
    }

    async fn apply(&self, remote: &RemoteKeys) {
        let fetched = self.keys.fetch(std::slice::from_ref(remote)).await;
        self.live.store(Arc::new(live(Some(remote), fetched.get(&remote.source).cloned())));
        self.keys.follow(&self.live).await;
    }

    /// Digest of the key sets in force.
    fn in_force(&self) -> Digest {
        self.live.load().snapshot.keys
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let all = async {
            while !holds(self) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), all).await.unwrap_or_else(|_| panic!("{what}: not within ten seconds"));
    }

    async fn looks_for(&self, kid: &str) {
        self.keys.look_for(UnknownKey { source: "ci".parse().unwrap(), kid: Some(kid.to_owned()) }).await;
    }

    async fn counts(&self) -> KeyCounts {
        let [counts] = self.keys.counts().await.try_into().unwrap();
        counts
    }

    async fn stop(self) {
        self.stopper.stop();
        timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap();
    }
}

/// An estate of one source, `ci`.
fn live(remote: Option<&RemoteKeys>, keys: Option<Arc<KeySet>>) -> Live {
    let source = Source {
        name: "ci".parse().unwrap(),
        picked: Picked::ByIssuer,
        proves: vec![PrincipalKind::Job],
        issuer: "https://ci.test".to_owned(),
        audiences: vec!["https://api.test".to_owned()],
        extra_audiences: ExtraAudiences::Refused,
        algorithms: vec![Algorithm::Es256],
        required_claims: Vec::new(),
        max_age: LONG,
        types: vec![None],
        identity_key: vec!["sub".parse().unwrap()],
        display: Vec::new(),
        evidence: Vec::new(),
        keys: SourceKeys::Fetched(keys),
        cache: CredentialCache::On,
    };
    let sources = Sources::new([source]).unwrap();
    let snapshot = Snapshot {
        generation: Generation(1),
        epoch: Epoch(1),
        digest: Digest::new([0; 32]),
        keys: sources.keys_digest(),
        sources,
        directory: Arc::new(Directory::default()),
        engine: Arc::new(Engine::compile(&[], &Vocabulary::default(), &Directory::default()).unwrap()),
        staleness: Staleness::default(),
    };
    Live {
        snapshot,
        catalog: Arc::new(Catalog::new([])),
        pacing: Timeouts::pacing(std::iter::empty()),
        federations: Arc::from([]),
        remotes: remote.cloned().into_iter().collect(),
        about: Arc::default(),
        domain: None,
        hosts: Arc::from([]),
        assertions: None,
    }
}

/// What is in force with the key set of this key, or without any.
fn digest(kid: Option<&str>) -> Digest {
    live(None, kid.map(set)).snapshot.keys
}

#[tokio::test]
async fn newer_keys_are_in_force_as_they_come_and_bad_answers_change_nothing() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(SOON, LONG)).await;
    assert_eq!(kept.in_force(), digest(Some("a")));
    issuer.publishes("b");
    kept.until("the second set", |kept| kept.in_force() == digest(Some("b"))).await;
    let private = document("c").replace("\"x\"", "\"d\":\"AQ\",\"x\"");
    for lie in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{private}", private.len()),
        "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<html>no</html>".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned(),
        String::new(),
    ] {
        issuer.answers(&lie);
        let asked = issuer.asked();
        kept.until("two more questions", |_| issuer.asked() >= asked + 2).await;
        assert_eq!(kept.in_force(), digest(Some("b")), "{lie}");
    }
    issuer.publishes("c");
    kept.until("the third set", |kept| kept.in_force() == digest(Some("c"))).await;
    let counts = kept.counts().await;
    assert!(counts.failures >= 5 && counts.fetches > counts.failures, "{counts:?}");
    kept.stop().await;
}

#[tokio::test]
async fn an_issuer_that_is_down_is_believed_until_its_keys_are_too_old() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(SOON, Duration::from_millis(400))).await;
    issuer.answers("");
    let asked = issuer.asked();
    kept.until("a question more", |_| issuer.asked() > asked).await;
    assert_eq!(kept.in_force(), digest(Some("a")), "the last that is known");
    kept.until("the end of it", |kept| kept.in_force() == digest(None)).await;
    assert_eq!(kept.counts().await.age, None);
    issuer.publishes("a");
    kept.until("the issuer's return", |kept| kept.in_force() == digest(Some("a"))).await;
    kept.stop().await;
}

#[tokio::test]
async fn an_issuer_that_was_down_at_the_start_is_asked_again() {
    let issuer = Issuer::start().await;
    let kept = Kept::of(&issuer.keys(SOON, LONG)).await;
    assert_eq!(kept.in_force(), digest(None));
    issuer.publishes("a");
    kept.until("its first set", |kept| kept.in_force() == digest(Some("a"))).await;
    kept.stop().await;
}

#[tokio::test]
async fn whoever_asks_for_an_unknown_key_finds_it_in_force() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(LONG, LONG)).await;
    issuer.publishes("b");
    let together = (0..100).map(|_| kept.looks_for("b"));
    let asked = issuer.asked();
    all_at_once(together).await;
    assert_eq!(kept.in_force(), digest(Some("b")));
    assert_eq!(issuer.asked(), asked + 1, "all of them waited for one answer");
    assert_eq!(kept.counts().await.refetches, 1);
    kept.stop().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_within_the_budget() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(LONG, LONG)).await;
    let (before, began) = (issuer.asked(), std::time::Instant::now());
    for number in 0..10_000 {
        kept.looks_for(&number.to_string()).await;
    }
    let most = u64::from(super::super::kept::BURST) + began.elapsed().as_secs() / 10 + 1;
    let asked = issuer.asked() - before;
    assert!((1..=most).contains(&asked), "{asked} of at most {most}");
    let counts = kept.counts().await;
    assert_eq!((counts.refetches, counts.refetches + counts.refused), (asked, 10_000));
    kept.stop().await;
}

#[tokio::test]
async fn only_what_is_in_force_is_asked_for() {
    let (old, new) = (Issuer::start().await, Issuer::start().await);
    old.publishes("a");
    new.publishes("b");
    let kept = Kept::of(&old.keys(SOON, LONG)).await;
    kept.apply(&new.keys(SOON, LONG)).await;
    assert_eq!(kept.in_force(), digest(Some("b")));
    kept.counts().await;
    let (asked, asks) = (old.asked(), new.asked());
    kept.until("ten questions", |_| new.asked() >= asks + 10).await;
    // one may have been under way
    assert!(old.asked() <= asked + 1, "the old place is left alone");
    // another estate has no such source: nothing is kept, and nobody waits
    kept.live.store(Arc::new(live(None, None)));
    kept.keys.follow(&kept.live).await;
    kept.looks_for("c").await;
    assert_eq!(kept.keys.counts().await, []);
    assert_eq!(kept.in_force(), digest(None));
    kept.stop().await;
}

#[tokio::test]
async fn an_estate_that_is_applied_while_its_issuer_is_down_keeps_the_keys_that_are_known() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(LONG, LONG)).await;
    issuer.answers("");
    kept.apply(&issuer.keys(LONG, 2 * LONG)).await;
    assert_eq!(kept.in_force(), digest(Some("a")));
    kept.stop().await;
}

#[tokio::test]
async fn keys_that_nobody_keeps_any_more_are_out_of_force() {
    let issuer = Issuer::start().await;
    issuer.publishes("a");
    let kept = Kept::of(&issuer.keys(LONG, LONG)).await;
    kept.counts().await;
    kept.task.abort();
    kept.until("the end of it", |kept| kept.in_force() == digest(None)).await;
    kept.looks_for("b").await;
    // one that was asked to stop leaves what is in force to those that drain
    let kept = Kept::of(&issuer.keys(LONG, LONG)).await;
    let live = Arc::clone(&kept.live);
    kept.stop().await;
    assert_eq!(live.load().snapshot.keys, digest(Some("a")));
}

#[tokio::test]
async fn a_keeper_that_stops_breaks_off_what_it_waits_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let ((keys, keeper), (stopper, stopped)) = (keeper(), stop());
    let task = tokio::spawn(keeper.run(stopped));
    let slow = remote(&url, LONG, LONG);
    let asking = tokio::spawn({
        let keys = keys.clone();
        async move { keys.fetch(&[slow]).await }
    });
    let _held = listener.accept().await.unwrap();
    stopper.stop();
    timeout(Duration::from_secs(4), task).await.unwrap().unwrap();
    assert!(asking.await.unwrap().is_empty());
    assert_eq!(keys.counts().await, []);
}

async fn all_at_once(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
