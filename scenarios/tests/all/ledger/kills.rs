//! Killed forty times at random moments under load: whatever reached the service behind stands in the ledger.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Conn, Dev, Estate, Mint, Upstream, ci_claims, request};

const KILLS: usize = 40;
const CLIENTS: usize = 64;
/// Between two requests of a client: enough is under way, and the ledger stays small enough to be read forty times.
const PAUSE: Duration = Duration::from_millis(20);

/// What the clients need to know.
struct Load {
    address: Mutex<String>,
    token: Mutex<String>,
    /// While the ledger is looked at: what is read must not grow as fast as it is read.
    paused: AtomicBool,
    stop: AtomicBool,
    answered: AtomicU64,
}

#[test]
fn forty_kills_under_load_lose_nothing_that_happened() {
    let upstream = Upstream::start();
    let mut dev = Dev::serving(&Estate::ours().upstream(&upstream.url));
    let token = || Mint::shared().ci(&ci_claims());
    let load = Arc::new(Load {
        address: Mutex::new(dev.gateway().to_owned()),
        token: Mutex::new(token()),
        paused: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        answered: AtomicU64::new(0),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let load = Arc::clone(&load);
            thread::spawn(move || client(&load))
        })
        .collect();
    let seed = RandomState::new().hash_one(0);
    let mut random = seed | 1;
    let (mut recorded, mut checked) = (HashSet::new(), 0);
    for kill in 0..KILLS {
        let answered = load.answered.load(Ordering::Relaxed);
        let begun = Instant::now();
        // at least something is under way
        while load.answered.load(Ordering::Relaxed) < answered + 20 {
            assert!(begun.elapsed() < Duration::from_secs(20), "no answers; seed {seed}:\n{}", dev.log());
            thread::sleep(Duration::from_millis(5));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_millis(random % 150));
        dev.kill9();
        load.paused.store(true, Ordering::Relaxed);
        if kill % 4 == 3 {
            // and once more before it is ready
            dev.launch();
            thread::sleep(Duration::from_millis(random % 400));
            dev.kill9();
        }
        dev.again();
        dev.gateway().clone_into(&mut load.address.lock().unwrap());
        *load.token.lock().unwrap() = token();
        dev.verify().ended(0);
        let since = format!("{}s", begun.elapsed().as_secs() + 3);
        let tail = dev.cli(&["ledger", "tail", "--since", &since, "--output", "json"]).ended(0).out;
        recorded.extend(ids(&tail, "judgement", "id"));
        checked = all_recorded(&upstream, checked, &recorded, seed);
        load.paused.store(false, Ordering::Relaxed);
    }
    load.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client"));
    assert_eq!(dev.stop(), 0);
    dev.again();
    let all = dev.cli(&["ledger", "tail", "--output", "json"]).ended(0).out;
    recorded.extend(ids(&all, "judgement", "id"));
    all_recorded(&upstream, 0, &recorded, seed);
    let reached = upstream.reached();
    assert!(reached.len() > KILLS * 20, "{}", reached.len());
    settled_once(&all, seed);
    dev.verify().ended(0);
}

/// Asks, and asks again, over connections that end at any moment.
fn client(load: &Load) {
    while !load.stop.load(Ordering::Relaxed) {
        let address = load.address.lock().unwrap().clone();
        if load.paused.load(Ordering::Relaxed) {
            thread::sleep(PAUSE);
            continue;
        }
        let Ok(mut conn) = Conn::try_open(&address) else {
            thread::sleep(PAUSE);
            continue;
        };
        while !load.stop.load(Ordering::Relaxed) && !load.paused.load(Ordering::Relaxed) {
            let token = load.token.lock().unwrap().clone();
            if !conn.send(&request("GET", "/invoices/1", Some(&token), &[])) || conn.answer().status == 0 {
                break;
            }
            load.answered.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PAUSE);
        }
    }
}

/// Checks those that reached the upstream, from one on; gives how many did by now.
fn all_recorded(upstream: &Upstream, from: usize, recorded: &HashSet<String>, seed: u64) -> usize {
    let reached = upstream.reached();
    for one in &reached[from..] {
        let id = one.header("countersign-record").expect("a record");
        assert!(recorded.contains(id), "{id} reached the upstream and is in no ledger; seed {seed}");
    }
    reached.len()
}

/// Values of a field, of the records of a kind: found as text, for there are many.
fn ids<'a>(lines: &'a str, kind: &str, field: &str) -> impl Iterator<Item = String> + 'a {
    let (opening, name) = (format!("{{\"kind\":\"{kind}\""), format!("\"{field}\":\""));
    lines.lines().filter(move |line| line.starts_with(&opening)).filter_map(move |line| {
        let at = line.find(&name)? + name.len();
        Some(line.get(at..at + 32)?.to_owned())
    })
}

/// Each judgement that let something through has one outcome; `unknown` where a kill came between.
fn settled_once(lines: &str, seed: u64) {
    let mut outcomes: HashMap<String, usize> = HashMap::new();
    for of in ids(lines, "outcome", "of") {
        *outcomes.entry(of).or_default() += 1;
    }
    let allowed: String =
        lines.lines().filter(|line| line.contains("\"decision\":\"allow\"")).map(|line| format!("{line}\n")).collect();
    let mut count = 0;
    // the newest is this very listing, which has not ended
    let newest = ids(&allowed, "judgement", "id").last().expect("a judgement");
    for id in ids(&allowed, "judgement", "id").filter(|id| *id != newest) {
        assert_eq!(outcomes.get(&id), Some(&1), "{id} has not one outcome; seed {seed}");
        count += 1;
    }
    assert!(count > KILLS * 10, "{count}");
    let unknown = lines.lines().filter(|line| line.contains("\"result\":\"unknown\"")).count();
    assert!(unknown > 0, "forty kills under load interrupted nothing");
}
