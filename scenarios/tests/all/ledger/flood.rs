//! Strangers at full rate: callers are served all the same, the ledger and the log stay within their budget, and no refusal
//! is lost. For some seconds, or for as long as is promised where `COUNTERSIGN_TEST_LONG` is set.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Answer, Conn, Dev, Estate, Mint, Upstream, base64url, ci_claims, request, until};

/// `api/ledger.md`: what is recorded in full of each source.
const BURST: u64 = 500;
const RATE: u64 = 100;
/// Longest of these refusals as a frame, and longest counter, in bytes.
const RECORD: u64 = 1500;
const COUNTER: u64 = 400;
/// Between two requests of the caller: what it leaves in the ledger stays readable.
const PAUSE: Duration = Duration::from_millis(5);

/// What one stranger presents, fresh each time, and the source that it names.
struct Kind {
    source: Option<&'static str>,
    code: &'static str,
    token: fn(&mut Random) -> Option<String>,
}

const KINDS: &[Kind] = &[
    Kind { source: None, code: "credential_missing", token: |_| None },
    Kind { source: None, code: "credential_malformed", token: |random| Some(base64url(&random.bytes(120))) },
    Kind { source: None, code: "issuer_unknown", token: |random| Some(jws("https://issuer.acme.test/else", random)) },
    Kind {
        source: Some("github"),
        code: "signature_invalid",
        token: |random| Some(jws("https://issuer.acme.test/github", random)),
    },
];

/// A job's token whose signature is noise.
fn jws(issuer: &str, random: &mut Random) -> String {
    let mut claims = ci_claims();
    claims["iss"] = issuer.into();
    claims["jti"] = base64url(&random.bytes(12)).into();
    let header = base64url(br#"{"alg":"RS256","typ":"JWT","kid":"gh-1"}"#);
    format!("{header}.{}.{}", base64url(claims.to_string().as_bytes()), base64url(&random.bytes(256)))
}

/// Xorshift: fresh is all that it has to be.
struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

/// What a stranger was answered.
#[derive(Default)]
struct Refused {
    count: u64,
    ids: HashSet<String>,
}

fn span() -> Duration {
    Duration::from_secs(if std::env::var_os("COUNTERSIGN_TEST_LONG").is_some() { 60 } else { 4 })
}

#[test]
fn a_flood_of_fresh_garbage_leaves_callers_served_and_the_ledger_within_its_budget() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&Estate::ours().upstream(&upstream.url));
    let token = Mint::shared().ci(&ci_claims());
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let (refused, answers) = thread::scope(|scope| {
        let (stop, address) = (&stop, dev.gateway());
        let strangers: Vec<_> = KINDS.iter().map(|kind| scope.spawn(move || stranger(address, kind, stop))).collect();
        let caller = scope.spawn(|| caller(address, &token, stop));
        thread::sleep(span());
        stop.store(true, Ordering::Relaxed);
        let refused: Vec<Refused> = strangers.into_iter().map(|one| one.join().expect("a stranger")).collect();
        (refused, caller.join().expect("the caller"))
    });
    // time may pass before the first and after the last of them
    let seconds = begun.elapsed().as_secs() + 2;

    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answers.len() > 50 && served * 100 >= answers.len() * 99, "{served} of {}", answers.len());

    let answered: u64 = refused.iter().map(|one| one.count).sum();
    let sources = 1 + KINDS.iter().filter_map(|kind| kind.source).collect::<HashSet<_>>().len() as u64;
    let most = sources * (BURST + RATE * seconds);
    assert!(answered > 2 * most, "{answered} refusals are no flood: {most} may be recorded in full");
    let written = until("each refusal is recorded or counted", || {
        Some(Written::of(&dev)).filter(|written| written.recorded + written.counted >= answered)
    });
    assert_eq!(written.recorded + written.counted, answered);
    assert!(written.recorded <= most, "{} recorded, {most} may be", written.recorded);
    let counters = KINDS.len() as u64 * seconds;
    assert!(written.counters <= counters, "{} counters, {counters} may be", written.counters);
    let budget = most * RECORD + counters * COUNTER;
    assert!(written.bytes <= budget, "{} bytes, {budget} may be", written.bytes);
    for (kind, one) in KINDS.iter().zip(&refused) {
        assert!(one.count > 0 && one.ids.is_subset(&written.ids), "{}: an id that is in no record", kind.code);
    }
    let logged = dev.log().lines().count() as u64;
    assert!(logged <= written.counters + 100, "{logged} lines for {} counters", written.counters);
    dev.verify().ended(0);
}

/// Asks as fast as it is answered.
fn stranger(address: &str, kind: &Kind, stop: &AtomicBool) -> Refused {
    let (mut random, mut refused) = (Random(0x2545_f491_4f6c_dd1d), Refused::default());
    let mut conn = Conn::open(address);
    while !stop.load(Ordering::Relaxed) {
        conn.send(&request("GET", "/invoices/1", (kind.token)(&mut random).as_deref(), &[]));
        refused.ids.insert(conn.answer().is(401).record().to_owned());
        refused.count += 1;
    }
    refused
}

fn caller(address: &str, token: &str, stop: &AtomicBool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut conn = Conn::open(address);
        conn.send(&request("GET", "/invoices/1", Some(token), &[]));
        answers.push(conn.answer());
        thread::sleep(PAUSE);
    }
    answers
}

/// What the ledger has of strangers.
#[derive(Default)]
struct Written {
    recorded: u64,
    counted: u64,
    counters: u64,
    bytes: u64,
    ids: HashSet<String>,
}

impl Written {
    fn of(dev: &Dev) -> Self {
        let mut written = Self::default();
        for line in dev.cli(&["ledger", "tail", "--denied", "--output", "json"]).ended(0).out.lines() {
            let record: Value = serde_json::from_str(line).expect("each line is JSON");
            written.ids.insert(record["id"].as_str().expect("an id").to_owned());
            // its length and its checksum stand before it
            written.bytes += line.len() as u64 + 8;
            match record["count"].as_u64() {
                Some(count) => {
                    written.counted += count;
                    written.counters += 1;
                }
                None => written.recorded += 1,
            }
            let known = |kind: &Kind| {
                let (code, source) = match record["kind"].as_str() {
                    Some("counted") => (&record["code"], &record["source"]),
                    _ => (&record["verdicts"][0]["code"], &record["presented"][0]["source"]),
                };
                code == kind.code && source.as_str() == kind.source
            };
            assert!(KINDS.iter().any(known), "{record}");
        }
        written
    }
}
