//! Connections: kept after a refusal, pipelined, slow, and never a place where one request's bytes become another.

use std::thread;
use std::time::{Duration, Instant};

use super::before;
use crate::harness::{Conn, End, request, until};

#[test]
fn a_refusal_does_not_end_the_connection() {
    let (upstream, dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    for (target, credential, status) in [
        ("/invoices/1", None, 401),
        ("/invoices/1", Some("no-token"), 401),
        ("/invoices/../1", Some(token.as_str()), 400),
        ("/nope", Some(token.as_str()), 403),
        ("/export", Some(token.as_str()), 403),
        ("/invoices/1", Some(token.as_str()), 200),
        ("/invoices/1", None, 401),
    ] {
        conn.send(&request("GET", target, credential, &[]));
        conn.answer().is(status);
    }
    assert_eq!(upstream.reached().len(), 1, "a proof is for one request, not for its connection");
}

#[test]
fn pipelined_requests_are_answered_in_order_each_for_itself() {
    let (upstream, dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    let bytes = [
        request("GET", "/invoices/first?slow=200", Some(&token), &[]),
        request("GET", "/invoices/second", None, &[]),
        request("GET", "/invoices/third", Some(&token), &[]),
    ]
    .concat();
    conn.send(&bytes);
    let ids = [conn.answer().is(200), conn.answer().is(401), conn.answer().is(200)].map(|a| a.record().to_owned());
    assert_eq!(upstream.only("first").header("countersign-record"), Some(ids[0].as_str()));
    assert_eq!(upstream.only("third").header("countersign-record"), Some(ids[2].as_str()));
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("second"));
}

#[test]
fn the_body_of_a_refused_request_is_never_read_as_the_next_one() {
    let (upstream, dev, token) = before(|estate| estate);
    let smuggled = String::from_utf8(request("GET", "/invoices/smuggled", Some(&token), &[])).expect("text");
    let length = format!("Content-Length: {}", smuggled.len());
    let chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for (lines, body) in [(vec![length.as_str()], smuggled.clone()), (vec!["Transfer-Encoding: chunked"], chunk)] {
        for credential in [None, Some("no-token")] {
            let mut conn = Conn::open(dev.gateway());
            conn.send(&request("POST", "/invoices", credential, &lines));
            conn.send(body.as_bytes());
            conn.answer().is(401);
            // whether it is kept or closed, the next answer is to the next request
            conn.send(&request("GET", "/nope", Some(&token), &[]));
            let next = conn.answer();
            assert!(next.status == 403 || next.end == End::Closed, "{next:?}");
        }
    }
    // the same from within a request that was let through
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("POST", "/invoices?carrier", Some(&token), &[&length]));
    conn.send(smuggled.as_bytes());
    conn.answer().is(200);
    assert_eq!(upstream.only("?carrier").body, smuggled.as_bytes());
    assert!(upstream.reached().iter().all(|reached| !reached.target().contains("smuggled")));
}

#[test]
fn what_follows_a_length_beside_chunked_is_one_request_for_both() {
    let (upstream, dev, token) = before(|estate| estate);
    // a reader of the length would take the second request for a body
    let second = String::from_utf8(request("GET", "/invoices/second", None, &[])).expect("text");
    let length = format!("Content-Length: {}", 5 + second.len());
    let mut bytes = request("POST", "/invoices?first", Some(&token), &["Transfer-Encoding: chunked", &length]);
    bytes.extend(b"0\r\n\r\n");
    bytes.extend(second.as_bytes());
    let mut conn = Conn::open(dev.gateway());
    conn.send(&bytes);
    conn.answer().is(200);
    let after = conn.answer();
    assert!(after.status == 401 || after.end == End::Closed, "{after:?}");
    let reached = upstream.only("?first");
    assert!(reached.header("content-length").is_none_or(|length| length == "0"), "{reached:?}");
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("second"));
}

#[test]
fn a_slow_head_and_an_idle_connection_end() {
    let (upstream, dev, token) = before(|estate| estate.service("timeouts: {header: 600ms, idle: 900ms}"));
    let mut slow = Conn::open(dev.gateway());
    let begun = Instant::now();
    let head = request("GET", "/invoices/slow", Some(&token), &[]);
    for byte in head.chunks(1) {
        if !slow.send(byte) || begun.elapsed() > Duration::from_secs(5) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "a byte at a time held the connection for {:?}", begun.elapsed());
    let answer = slow.answer();
    assert!(matches!(answer.status, 0 | 400 | 408), "{answer:?}");
    assert!(upstream.bytes().is_empty());

    let begun = Instant::now();
    let idle = (0..20).map(|_| {
        let mut idle = Conn::open(dev.gateway());
        idle.send(&request("GET", "/invoices/1", Some(&token), &[]));
        idle.answer().is(200);
        idle
    });
    let ends: Vec<End> = idle.collect::<Vec<_>>().iter_mut().map(|idle| idle.answer().end).collect();
    assert_eq!(ends, [End::Closed; 20]);
    assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&begun.elapsed()), "{:?}", begun.elapsed());

    // one that waited less long still serves
    let mut kept = Conn::open(dev.gateway());
    for _ in 0..3 {
        kept.send(&request("GET", "/invoices/1", Some(&token), &[]));
        kept.answer().is(200);
        thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn half_a_head_is_recorded_and_goes_nowhere() {
    let (upstream, dev, token) = before(|estate| estate);
    let head = request("GET", "/invoices/half", Some(&token), &[]);
    let mut conn = Conn::open(dev.gateway());
    conn.send(&head[..head.len() - 2]);
    conn.finish();
    let answer = conn.answer();
    assert!(answer.status == 0 || answer.status == 400, "{answer:?}");
    let headless = || dev.judgements().into_values().find(|r| r["door"] == "gateway" && r["operation"].is_null());
    let record = until("half a head is recorded", headless);
    assert_eq!(record["verdicts"][0]["code"], "request_malformed");
    assert!(upstream.bytes().is_empty());
    // whoever connects and says nothing is nobody's request
    drop(Conn::open(dev.gateway()));
    dev.get("/invoices/1", &token).is(200);
    assert_eq!(dev.judgements().values().filter(|r| r["door"] == "gateway").count(), 2);
}

#[test]
fn stopping_lets_an_open_request_end() {
    let (upstream, mut dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("GET", "/invoices/open?slow=800", Some(&token), &[]));
    upstream.only("/invoices/open");
    let address = dev.gateway().to_owned();
    let reader = thread::spawn(move || conn.answer());
    assert_eq!(dev.stop(), 0);
    reader.join().expect("it ends").is(200);
    assert!(Conn::try_open(&address).is_err(), "it still accepts");
    dev.again();
    assert_eq!(
        dev.outcome(upstream.only("/invoices/open").header("countersign-record").expect("a record"))["result"],
        "delivered"
    );
    dev.verify().ended(0);
}
