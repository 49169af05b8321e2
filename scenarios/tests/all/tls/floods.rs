//! Floods and dawdlers over TLS: memory and work stay bounded, what is held is let go, and a valid caller is served throughout.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    ACK, Conn, Dev, END_HEADERS, END_STREAM, End, Estate, Frame, Http2, Mint, Upstream, ci_claims, head, request, until,
};

/// How much a flood may add to what is resident, in KiB.
const MEMORY: u64 = 96 * 1024;
/// How much work it may cost: hundredths of a second of both cores together, in a build that nobody optimised.
const WORK: u64 = 60 * 100;

struct Flooded {
    upstream: Upstream,
    dev: Dev,
    peer: Http2,
    bearer: String,
}

impl Flooded {
    fn before(more: impl FnOnce(Estate) -> Estate) -> Self {
        let upstream = Upstream::start();
        let estate = Estate::ours().upstream(&upstream.url).policy(
            "ci-writes",
            "permit (principal in Group::\"ci-billing\", action in Action::\"write\", resource in Resource::\"billing/invoices\");",
        );
        let dev = Dev::serving(&more(estate));
        let peer = Http2::with(&dev);
        Self { upstream, dev, peer, bearer: format!("Bearer {}", Mint::shared().ci(&ci_claims())) }
    }

    fn fields<'a>(&'a self, method: &'a str, target: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut fields = head(method, target);
        fields.push(("authorization", &self.bearer));
        fields
    }

    fn is_served(&self) {
        let mut conn = self.dev.shake(None);
        conn.send(&request("GET", "/invoices/valid", self.bearer.strip_prefix("Bearer "), &[]));
        conn.answer().is(200);
    }

    /// Pours while a valid caller asks again and again.
    fn pour(&self, frames: &[Frame], times: u32, step: u32) -> Value {
        let before = (resident(&self.dev), worked(&self.dev));
        let poured = thread::scope(|scope| {
            let flood = scope.spawn(|| self.peer.pour(1, frames, times, step));
            while !flood.is_finished() {
                self.is_served();
            }
            flood.join().expect("it ends")
        });
        self.is_served();
        let (memory, work) = (resident(&self.dev).saturating_sub(before.0), worked(&self.dev) - before.1);
        assert!(memory < MEMORY, "{memory} KiB more after {poured}");
        assert!(work < WORK, "{work} hundredths of a second of work for {poured}");
        poured
    }

    /// The flood was ended, long before it ended by itself.
    fn is_ended(&self, poured: &Value, times: u32) {
        assert!(poured["goaway"] == 11 || poured["closed"].is_string(), "{poured}");
        assert!(poured["sent"].as_u64().expect("a count") < u64::from(times), "{poured}");
    }
}

/// Resident memory, in KiB.
fn resident(dev: &Dev) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", dev.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("KiB")
}

/// Work so far, in hundredths of a second.
fn worked(dev: &Dev) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", dev.pid())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    [11, 12].map(|place: usize| fields[place].parse::<u64>().expect("ticks")).iter().sum()
}

#[test]
fn requests_that_are_given_up_at_once_end_the_connection() {
    // CVE-2023-44487
    let flooded = Flooded::before(|estate| estate);
    flooded.peer.open(1, None);
    let fields = flooded.fields("GET", "/invoices/1?slow=100");
    let poured = flooded.pour(&[Frame::request(1, &fields), Frame::reset(1)], 50_000, 2);
    flooded.is_ended(&poured, 50_000);
    flooded.dev.verify().ended(0);
}

#[test]
fn requests_that_make_us_give_up_end_the_connection() {
    // CVE-2025-8671: a window of nothing is an error of its stream; data behind the end of one too
    for wrong in [Frame::named("WINDOW_UPDATE", 0, 1, [0; 4]), Frame::data(1, 0, b"behind the end")] {
        let flooded = Flooded::before(|estate| estate);
        flooded.peer.open(1, None);
        let fields = flooded.fields("GET", "/invoices/1?slow=100");
        let poured = flooded.pour(&[Frame::request(1, &fields), wrong], 50_000, 2);
        flooded.is_ended(&poured, 50_000);
    }
}

#[test]
fn a_field_block_without_end_ends_the_connection() {
    // RUSTSEC-2024-0332
    let flooded = Flooded::before(|estate| estate);
    flooded.peer.open(1, None);
    let fields = flooded.fields("GET", "/invoices/1");
    flooded.peer.send(1, &[Frame::named("HEADERS", END_STREAM, 1, crate::harness::fields(&fields))]);
    let more = crate::harness::fields(&[("x-a", "a".repeat(1000))]);
    let poured = flooded.pour(&[Frame::named("CONTINUATION", 0, 1, more)], 200_000, 0);
    flooded.is_ended(&poured, 200_000);
    // and one whose parts are empty
    flooded.peer.open(2, None);
    flooded.peer.send(2, &[Frame::named("HEADERS", 0, 1, b"")]);
    let poured = flooded.peer.pour(2, &[Frame::named("CONTINUATION", 0, 1, b"")], 200_000, 0);
    flooded.is_ended(&poured, 200_000);
}

#[test]
fn frames_that_ask_for_an_answer_cost_no_memory() {
    for frame in [
        Frame::named("SETTINGS", 0, 0, b""),
        Frame::named("SETTINGS", 0, 0, [0, 4, 0, 1, 0, 0]),
        Frame::named("SETTINGS", ACK, 0, b""),
        Frame::named("PING", 0, 0, [7; 8]),
        Frame::named("PRIORITY", 0, 1, [0, 0, 0, 0, 1]),
        Frame::new(0x42, 0, 1, [7; 64]),
    ] {
        let flooded = Flooded::before(|estate| estate);
        flooded.peer.open(1, None);
        flooded.pour(&[frame], 100_000, 0);
    }
}

#[test]
fn data_without_bytes_costs_no_memory() {
    let flooded = Flooded::before(|estate| estate);
    flooded.peer.open(1, None);
    flooded.peer.send(1, &[Frame::open(1, &flooded.fields("POST", "/invoices?empty"))]);
    flooded.upstream.only("?empty");
    flooded.pour(&[Frame::data(1, 0, b"")], 200_000, 0);
    assert!(flooded.upstream.only("?empty").body.is_empty(), "no data is no end");
    // bytes that are all padding, too
    flooded.peer.open(2, None);
    flooded.peer.send(2, &[Frame::open(1, &flooded.fields("POST", "/invoices?padded"))]);
    flooded.peer.pour(2, &[Frame::data(1, 0x8, &[200; 201])], 50_000, 0);
    flooded.is_served();
}

#[test]
fn a_small_field_block_that_stands_for_a_large_one_is_refused() {
    // CVE-2016-6581: one field of 4000 bytes is remembered, and then named 4000 times in a frame
    let flooded = Flooded::before(|estate| estate);
    flooded.peer.open(1, None);
    let mut block = crate::harness::fields(&flooded.fields("GET", "/invoices/1"));
    // literal with incremental indexing: x-a, and a length of 4000 after a prefix of seven bits
    block.extend(b"\x40\x03x-a\x7f\xa1\x1e");
    block.extend([b'a'; 4000]);
    flooded.peer.send(1, &[Frame::named("HEADERS", END_HEADERS | END_STREAM, 1, block)]);
    flooded.peer.read(1, "end:1").stream(1).answer.is(200);
    let mut bomb = crate::harness::fields(&flooded.fields("GET", "/invoices/1"));
    // the newest entry of the table is number 62
    bomb.extend([0x80 | 62; 4000]);
    let reached = || flooded.upstream.reached().iter().filter(|reached| reached.target() == "/invoices/1").count();
    assert_eq!(reached(), 1);
    flooded.pour(&[Frame::named("HEADERS", END_HEADERS | END_STREAM, 3, bomb)], 2_000, 2);
    assert_eq!(reached(), 1, "nothing of it goes on");
}

#[test]
fn an_answer_that_nobody_takes_is_let_go() {
    let flooded = Flooded::before(|estate| estate.service("limits: {inFlight: 2}\n  timeouts: {bodyIdle: 700ms}"));
    let token = flooded.bearer.strip_prefix("Bearer ");
    // HTTP/2: a window of nothing, and one of some bytes
    for (conn, window) in [(1, 0), (2, 100)] {
        flooded.peer.open_with(conn, None, json!({ "window": window }));
        let target = format!("/invoices/{conn}?big=3000000");
        flooded.peer.send(conn, &[Frame::request(1, &flooded.fields("GET", &target))]);
        let id = flooded.upstream.only(&format!("/{conn}?")).header("countersign-record").expect("a record").to_owned();
        assert_eq!(flooded.dev.outcome(&id)["result"], "failed");
    }
    // HTTP/1.1: whoever does not read, over TLS and without
    let dev = &flooded.dev;
    for (mark, mut conn) in [("tls", dev.shake(None)), ("plain", Conn::open(dev.gateway()))] {
        conn.send(&request("GET", &format!("/invoices/{mark}?big=60000000"), token, &[]));
        let id = flooded.upstream.only(&format!("/{mark}?")).header("countersign-record").expect("a record").to_owned();
        assert_eq!(dev.outcome(&id)["result"], "failed", "{mark}");
    }
    // both slots are free again
    flooded.is_served();
    flooded.is_served();
}

#[test]
fn an_http2_connection_that_gave_up_its_requests_is_idle() {
    let flooded = Flooded::before(|estate| estate.service("timeouts: {header: 600ms, idle: 800ms}"));
    flooded.peer.open(1, None);
    for stream in [1, 3, 5] {
        let target = format!("/invoices/{stream}?slow=300");
        flooded.peer.send(1, &[Frame::request(stream, &flooded.fields("GET", &target))]);
        flooded.upstream.only(&format!("/{stream}?"));
        flooded.peer.send(1, &[Frame::reset(stream)]);
    }
    let heard = flooded.peer.read(1, "closed");
    assert!(heard.is_closed(), "{heard:?}");
    assert_eq!(heard.goaway(), Some(0), "it is told, so that no request is lost: {heard:?}");
    for reached in flooded.upstream.reached() {
        assert_eq!(flooded.dev.outcome(reached.header("countersign-record").expect("a record"))["result"], "failed");
    }
}

#[test]
fn dawdlers_are_let_go_and_hold_nobody_up() {
    let timeouts = "timeouts: {header: 700ms, idle: 700ms, bodyIdle: 700ms}";
    let flooded = Flooded::before(|estate| estate.service(timeouts));
    let dev = &flooded.dev;
    // in the handshake, before a head, within one, and within a body
    let mut held: Vec<Conn> = (0..100).map(|_| Conn::open(dev.secure())).collect();
    for conn in held.iter_mut().step_by(2) {
        conn.send(b"\x16\x03\x01\x02\x00\x01\x00");
    }
    for turn in 0..20 {
        let mut conn = dev.shake(None);
        if turn % 2 == 0 {
            conn.send(b"GET /invoices/1 HTTP/1.1\r\nHost: bil");
        }
        held.push(conn);
    }
    let token = flooded.bearer.strip_prefix("Bearer ");
    let mut body = dev.shake(None);
    body.send(&request("POST", "/invoices?dawdler", token, &["Content-Length: 100"]));
    body.send(b"{");
    flooded.is_served();
    assert!(held.iter_mut().all(|conn| matches!(conn.answer().end, End::Closed | End::Garbage)));
    let answer = body.answer().is(400);
    assert_eq!(dev.outcome(answer.record())["code"], "request_malformed");
    assert!(flooded.upstream.only("?dawdler").body.is_empty());

    // HTTP/2: a preface and nothing, half a field block, half a body; empty parts are no progress
    for conn in 1..=3 {
        flooded.peer.open(conn, None);
    }
    let half = crate::harness::fields(&head("GET", "/invoices/1"));
    flooded.peer.send(2, &[Frame::named("HEADERS", END_STREAM, 1, half)]);
    flooded.peer.send(3, &[Frame::open(1, &flooded.fields("POST", "/invoices?second"))]);
    let id = flooded.upstream.only("?second").header("countersign-record").expect("a record").to_owned();
    until("the body is given up", || {
        flooded.peer.send(3, &[Frame::data(1, 0, b"")]);
        dev.records().into_iter().find(|record| record["of"] == id.as_str())
    });
    assert_eq!(dev.outcome(&id)["code"], "request_malformed");
    for conn in [1, 2] {
        assert!(flooded.peer.read(conn, "closed").is_closed(), "{conn}");
    }
    flooded.is_served();
}
