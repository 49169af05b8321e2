//! Bodies: streamed both ways, bounded, and recorded as what they became.

use super::before;
use crate::harness::{Conn, Dev, End, request};

fn outcome(dev: &Dev, id: &str) -> (String, u64, u64) {
    let outcome = dev.outcome(id);
    let result = outcome["result"].as_str().expect("a result").to_owned();
    (result, outcome["bytes_in"].as_u64().unwrap_or(0), outcome["bytes_out"].as_u64().unwrap_or(0))
}

#[test]
fn bodies_cross_as_they_are_in_either_framing() {
    let (upstream, dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    let mut sized = request("POST", "/invoices?sized", Some(&token), &["Content-Length: 11"]);
    sized.extend(b"hello\r\n\0\xff\xfe!");
    conn.send(&sized);
    let answer = conn.answer().is(200);
    assert_eq!(upstream.only("?sized").body, b"hello\r\n\0\xff\xfe!");
    assert_eq!(outcome(&dev, answer.record()), ("delivered".to_owned(), 11, 15));

    let mut chunked = request("POST", "/invoices?pieces", Some(&token), &["Transfer-Encoding: chunked"]);
    chunked.extend(b"3;ext=1\r\nabc\r\n");
    conn.send(&chunked);
    // the upstream has the head before the caller has sent all
    upstream.only("?pieces");
    conn.send(b"2\r\nde\r\n0\r\n\r\n");
    let answer = conn.answer().is(200);
    let body = String::from_utf8(upstream.only("?pieces").body).expect("text");
    assert_eq!(
        body.split("\r\n").filter(|line| line.chars().any(|c| c.is_ascii_lowercase())).collect::<String>(),
        "abcde"
    );
    assert!(!body.contains("ext"), "{body}");
    assert_eq!(outcome(&dev, answer.record()), ("delivered".to_owned(), 5, 15));

    let answer = dev.get("/invoices/1?chunked", &token).is(200);
    assert_eq!((answer.text().as_str(), answer.end), ("hello world", End::Whole));
    assert_eq!(outcome(&dev, answer.record()), ("delivered".to_owned(), 0, 11));

    let answer = dev.get("/invoices/1?big=3000000", &token).is(200);
    assert_eq!((answer.body.len(), answer.end), (3_000_000, End::Whole));
    assert_eq!(outcome(&dev, answer.record()), ("delivered".to_owned(), 0, 3_000_000));
}

#[test]
fn the_answer_to_head_has_no_body_and_is_delivered() {
    let (_upstream, dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("HEAD", "/reports/1", Some(&token), &[]));
    let answer = conn.answer_to("HEAD").is(200);
    assert_eq!((answer.header("content-length"), answer.body.len()), (Some("15"), 0));
    assert_eq!(outcome(&dev, answer.record()).0, "delivered");
    // nothing of a body stands between this answer and the next
    conn.send(&request("GET", "/reports/1", Some(&token), &[]));
    assert_eq!(conn.answer().is(200).body.len(), 15);
    // a refusal of HEAD has none either
    conn.send(&request("HEAD", "/reports/1", None, &[]));
    conn.answer_to("HEAD").is(401);
    conn.send(&request("GET", "/reports/1", Some(&token), &[]));
    conn.answer().is(200);
}

#[test]
fn whoever_asks_first_hears_go_on_only_when_permitted() {
    let (upstream, dev, token) = before(|estate| estate);
    let lines = ["Content-Length: 2", "Expect: 100-continue"];
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("POST", "/invoices?asked", Some(&token), &lines));
    upstream.only("?asked");
    conn.send(b"{}");
    let answer = conn.answer().is(200);
    assert_eq!(answer.interim, [100]);
    assert_eq!(upstream.only("?asked").body, b"{}");

    for (token, status) in [(None, 401), (Some("no-token"), 401)] {
        let mut conn = Conn::open(dev.gateway());
        conn.send(&request("POST", "/invoices?refused", token, &lines));
        let answer = conn.answer().is(status);
        assert!(answer.interim.is_empty(), "told to go on, and then refused: {answer:?}");
    }
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("?refused"));
}

#[test]
fn what_breaks_off_is_failed_on_either_side() {
    let (upstream, dev, token) = before(|estate| estate);
    let short = dev.get("/invoices/1?short", &token).is(200);
    assert_eq!((short.end, short.body.len()), (End::CutShort, 10), "a short answer must not look whole");
    assert_eq!(outcome(&dev, short.record()).0, "failed");

    // the caller leaves in the middle of the answer
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("GET", "/invoices/left?big=60000000", Some(&token), &[]));
    let id = upstream.only("/invoices/left").header("countersign-record").expect("a record").to_owned();
    drop(conn);
    assert_eq!(outcome(&dev, &id).0, "failed");

    // before it
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("GET", "/invoices/early?slow=700", Some(&token), &[]));
    let id = upstream.only("/invoices/early").header("countersign-record").expect("a record").to_owned();
    drop(conn);
    assert_eq!(outcome(&dev, &id).0, "failed");

    // in the middle of the request
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("POST", "/invoices?half", Some(&token), &["Content-Length: 1000"]));
    conn.send(b"half");
    let id = upstream.only("?half").header("countersign-record").expect("a record").to_owned();
    drop(conn);
    assert_eq!(outcome(&dev, &id).0, "failed");
    assert!(upstream.only("?half").body.is_empty(), "the upstream took half a body for a whole one");
}

#[test]
fn a_body_that_cannot_be_read_never_ends_upstream() {
    let (upstream, dev, token) = before(|estate| estate);
    for (mark, body) in [
        ("size", &b"zz\r\nab\r\n0\r\n\r\n"[..]),
        ("longer", b"2\r\nabc\r\n0\r\n\r\n"),
        ("overflow", b"fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
        ("below-zero", b"-2\r\nab\r\n0\r\n\r\n"),
        ("hex", b"0x2\r\nab\r\n0\r\n\r\n"),
        ("line-feed", b"2\nab\n0\n\n"),
        ("extension", b"2;\nx\r\nab\r\n0\r\n\r\n"),
    ] {
        let mut conn = Conn::open(dev.gateway());
        let mut bytes = request("POST", &format!("/invoices?{mark}"), Some(&token), &["Transfer-Encoding: chunked"]);
        bytes.extend(body);
        conn.send(&bytes);
        let answer = conn.answer();
        assert!(answer.status == 400 || answer.end == End::Closed, "{mark}: {answer:?}");
        assert_eq!(conn.answer().end, End::Closed, "{mark}: what follows could be read as a request");
        let reached = upstream.reached().into_iter().filter(|r| r.target().ends_with(mark)).collect::<Vec<_>>();
        assert!(reached.iter().all(|r| r.body.is_empty()), "{mark}: the upstream read a whole body: {reached:?}");
        for reached in &reached {
            let id = reached.header("countersign-record").expect("a record");
            assert_eq!(outcome(&dev, id).0, "failed", "{mark}");
        }
    }
}

#[test]
fn a_body_is_as_long_as_the_service_takes() {
    let (upstream, dev, token) =
        before(|estate| estate.service("limits: {body: 16, requestLine: 100, headers: 2KiB, headerCount: 20}"));
    let post = |mark: &str, lines: &[&str], body: &[u8]| {
        let mut conn = Conn::open(dev.gateway());
        let mut bytes = request("POST", &format!("/invoices?{mark}"), Some(&token), lines);
        bytes.extend(body);
        conn.send(&bytes);
        conn.answer()
    };
    post("fits", &["Content-Length: 16"], b"0123456789abcdef").is(200);
    assert_eq!(post("said", &["Content-Length: 17"], b"0123456789abcdefg").is(413).code(), "request_too_large");
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("?said"));
    let streamed =
        post("found", &["Transfer-Encoding: chunked"], b"8\r\n01234567\r\n9\r\n89abcdefg\r\n0\r\n\r\n").is(413);
    assert_eq!(dev.outcome(streamed.record())["code"], "request_too_large");
    assert!(upstream.only("?found").body.is_empty(), "the upstream took a cut body for a whole one");

    let line = format!("/invoices/{}", "a".repeat(100));
    assert_eq!(dev.get(&line, &token).is(414).code(), "request_too_large");
    let lines = vec!["X-A: 1"; 20];
    assert_eq!(post("many", &lines, b"").is(431).code(), "request_too_large");
    let long = format!("X-A: {}", "a".repeat(2100));
    assert_eq!(post("long", &[&long], b"").is(431).code(), "request_too_large");
}

#[test]
fn whoever_sends_a_body_that_is_refused_by_its_head_still_gets_the_answer() {
    let dev = Dev::start();
    let length = 1 << 20;
    let head = format!("POST /invoices HTTP/1.1\r\nHost: billing.acme.test\r\nContent-Length: {length}\r\n\r\n");
    for _ in 0..20 {
        let mut conn = Conn::open(dev.gateway());
        // as most clients do: all of it, and only then a look at the answer
        conn.send(head.as_bytes());
        assert!(conn.send(&vec![b'x'; length]), "the connection was closed under it");
        assert_eq!(conn.answer().status, 401);
    }
}
