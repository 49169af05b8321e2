//! What crosses from HTTP/2 to a service that speaks HTTP/1.1, and back.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Dev, END_STREAM, End, Frame, Http2, Upstream, finish, head, until};
use crate::requests::before;

struct Crossing {
    upstream: Upstream,
    dev: Dev,
    peer: Http2,
    bearer: String,
}

impl Crossing {
    fn begin() -> Self {
        let (upstream, dev, token) = before(|estate| estate);
        let peer = Http2::with(&dev);
        peer.open(1, None);
        Self { upstream, dev, peer, bearer: format!("Bearer {token}") }
    }

    fn ask(&self, stream: u32, method: &str, target: &str, more: &[(&str, &str)]) -> crate::harness::Answer {
        let more = [&[("authorization", self.bearer.as_str())], more].concat();
        self.peer.exchange(1, stream, method, target, &more)
    }

    fn outcome(&self, id: &str) -> (String, Value, Value) {
        let outcome = self.dev.outcome(id);
        (
            outcome["result"].as_str().expect("a result").to_owned(),
            outcome["status"].clone(),
            outcome["bytes_out"].clone(),
        )
    }
}

#[test]
fn a_request_goes_on_as_http1_says_it() {
    let crossing = Crossing::begin();
    let more = [
        ("cookie", "a=1"),
        ("x-a", "1"),
        ("cookie", "b=2"),
        ("accept", "text/plain"),
        ("cookie", "c=3"),
        ("accept", "*/*"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x_forwarded_user", "root"),
        ("x-forwarded-client-cert", "By=spiffe://prod.acme.test/x"),
        ("forwarded", "for=10.0.0.1"),
        ("proxy-authorization", "Basic eDp5"),
        ("countersign-assertion", "forged"),
        ("countersign_principal", "root"),
        ("trailer", "x-role"),
        ("te", "trailers"),
    ];
    let answer = crossing.ask(1, "GET", "/invoices/1?crossing", &more).is(200);
    let reached = crossing.upstream.only("?crossing");
    let lines: Vec<&str> = reached.head.trim_end().split("\r\n").collect();
    assert_eq!(
        &lines[..2],
        ["GET /invoices/1?crossing HTTP/1.1", "host: billing.acme.test"],
        "the host comes first, once"
    );
    let names: Vec<&str> = lines[1..].iter().map(|line| line.split_once(':').expect("a header").0).collect();
    for name in ["cookie", "x-a", "accept", "accept", "traceparent", "countersign-record", "countersign-assertion"] {
        assert!(names.contains(&name), "{name}: {reached:?}");
    }
    assert_eq!(names.len(), 8, "{reached:?}");
    assert_eq!(reached.header("cookie"), Some("a=1; b=2; c=3"));
    assert_ne!(reached.header("countersign-assertion"), Some("forged"));
    assert_eq!(reached.header("countersign-record"), Some(answer.record()));
}

#[test]
fn an_upstream_does_not_speak_for_us_in_trailers_either() {
    let crossing = Crossing::begin();
    crossing.ask(1, "GET", "/invoices/1?trailers", &[]).is(200);
    let stream = crossing.peer.read(1, "end:1").stream(1);
    assert_eq!(stream.answer.text(), "ok");
    assert_eq!(stream.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let hop = crossing.ask(3, "GET", "/invoices/1?hop", &[]).is(200);
    assert_eq!((hop.header("x-hop"), hop.header("connection"), hop.header("x-kept")), (None, None, Some("yes")));
    let forged = crossing.ask(5, "GET", "/invoices/1?forged", &[]).is(200);
    assert_eq!((forged.all("countersign-record").len(), forged.header("countersign-code")), (1, None));
    assert_eq!(crossing.ask(7, "GET", "/invoices/1?switch", &[]).is(502).code(), "upstream_unreachable");
}

#[test]
fn answers_without_a_body_end_and_are_delivered() {
    let crossing = Crossing::begin();
    let head = crossing.ask(1, "HEAD", "/reports/1", &[]).is(200);
    assert_eq!((head.header("content-length"), head.body.len(), head.end), (Some("15"), 0, End::Whole));
    let none = crossing.ask(3, "GET", "/invoices/1?status=204", &[]).is(204);
    let same = crossing.ask(5, "GET", "/invoices/1?status=304", &[]).is(304);
    assert_eq!((same.header("etag"), same.end, none.end), (Some("\"7\""), End::Whole, End::Whole));
    let early = crossing.ask(7, "GET", "/invoices/1?early", &[]).is(200);
    assert!(early.interim.is_empty(), "{early:?}");
    for (answer, status) in [(&head, 200), (&none, 204), (&same, 304)] {
        assert_eq!(crossing.outcome(answer.record()), ("delivered".to_owned(), status.into(), 0.into()));
    }
    // all over one connection of the upstream: none of them left anything behind
    crossing.ask(9, "GET", "/invoices/last", &[]).is(200);
    assert_eq!(crossing.upstream.connections(), 1);
}

#[test]
fn a_short_answer_is_no_whole_one() {
    let crossing = Crossing::begin();
    let short = crossing.ask(1, "GET", "/invoices/1?short", &[]).is(200);
    assert_eq!(short.end, End::CutShort, "the stream is reset");
    assert_eq!(crossing.outcome(short.record()).0, "failed");
    crossing.ask(3, "GET", "/invoices/1", &[]).is(200);
}

#[test]
fn whoever_leaves_in_the_middle_takes_the_upstreams_connection_along() {
    let crossing = Crossing::begin();
    let ask = |stream: u32, method, target: &str| {
        let mut fields = head(method, target);
        fields.push(("authorization", &crossing.bearer));
        crossing.peer.send(1, &[Frame::open(stream, &fields)]);
        let mark = target.split_once('?').expect("a mark").1;
        crossing.upstream.only(mark).header("countersign-record").expect("a record").to_owned()
    };
    // in the middle of its body; before an answer; in the middle of one
    let body = ask(1, "POST", "/invoices?half");
    crossing.peer.send(1, &[Frame::data(1, 0, b"half"), Frame::reset(1)]);
    let waits = ask(3, "GET", "/invoices/1?slow=3000");
    crossing.peer.send(1, &[Frame::reset(3)]);
    let streams = ask(5, "GET", "/invoices/1?endless");
    crossing.peer.read(1, "answer:5");
    crossing.peer.send(1, &[Frame::reset(5)]);
    for id in [body, waits, streams] {
        assert_eq!(crossing.outcome(&id).0, "failed");
    }
    assert!(crossing.upstream.only("?half").body.is_empty(), "the upstream took half a body for a whole one");
    let left = crossing.upstream.connections();
    crossing.ask(7, "GET", "/invoices/next", &[]).is(200);
    assert_eq!(crossing.upstream.connections(), left + 1, "none of theirs is used again");
}

#[test]
fn an_answer_may_come_before_the_request_has_ended() {
    let crossing = Crossing::begin();
    let mut fields = head("POST", "/invoices?first");
    fields.push(("authorization", &crossing.bearer));
    fields.push(("expect", "100-continue"));
    crossing.peer.send(1, &[Frame::open(1, &fields)]);
    crossing.upstream.only("?first");
    crossing.peer.send(1, &[Frame::data(1, END_STREAM, b"{}")]);
    crossing.peer.read(1, "end:1").stream(1).answer.is(200);
    // refused before its body came: told so at once, and the rest is not waited for
    let mut fields = head("POST", "/invoices?second");
    fields.push(("authorization", "Bearer no-token"));
    crossing.peer.send(1, &[Frame::open(3, &fields)]);
    let refused = crossing.peer.read(1, "end:3").stream(3);
    assert_eq!((refused.answer.status, refused.answer.end), (401, End::Whole));
    crossing.peer.send(1, &[Frame::data(3, 0, b"{"), Frame::data(3, END_STREAM, b"}")]);
    crossing.ask(5, "GET", "/invoices/1", &[]).is(200);
    assert!(!String::from_utf8_lossy(&crossing.upstream.bytes()).contains("?second"));
}

#[test]
fn large_bodies_cross_both_ways() {
    let crossing = Crossing::begin();
    let file = crossing.dev.path("body");
    std::fs::write(&file, vec![b'x'; 5_000_000]).unwrap();
    let url = crossing.dev.info["gateway"]["https"].as_str().unwrap();
    for version in ["--http1.1", "--http2"] {
        let curl = |args: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", version, "--max-time", "50", "-o", "/dev/null", "-H"]);
            curl.arg(format!("authorization: {}", crossing.bearer)).arg("--cacert").arg(crossing.dev.ca()).args(args);
            finish(curl, b"").ended(0).out
        };
        let mark = format!("sent{version}");
        let body = format!("@{}", file.display());
        let target = format!("{url}/invoices?{mark}");
        assert_eq!(curl(&["-w", "%{http_code}", "--data-binary", &body, &target]), "200");
        let sent = until("the whole body", || Some(crossing.upstream.only(&mark)).filter(|sent| !sent.body.is_empty()));
        assert_eq!(sent.body.len(), 5_000_000);
        let target = format!("{url}/invoices/1?big=5000000");
        assert_eq!(curl(&["-w", "%{http_code} %{size_download}", &target]), "200 5000000");
    }
}
