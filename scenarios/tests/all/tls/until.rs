//! What let a caller in ends: the same connection, kept alive, and the same answer, streaming, end with it.

use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{
    Answer, CI, Conn, Dev, END_STREAM, End, Estate, Frame, Http2, Mint, Upstream, ci_claims, epoch_seconds, head,
    request, until,
};

/// Long enough for a first answer, short enough to wait for its end.
const TTL: &str = "4s";

fn before() -> (Upstream, Dev) {
    let upstream = Upstream::start();
    let estate = Estate::ours().upstream(&upstream.url).policy(
        "ci-writes",
        "permit (principal in Group::\"ci-billing\", action in Action::\"write\", resource in Resource::\"billing/invoices\");",
    );
    let dev = Dev::serving(&estate);
    (upstream, dev)
}

/// A token that is refused in so many seconds, or a little sooner: `exp` has a minute of leeway.
fn ending(seconds: i64) -> String {
    let (mut claims, now) = (ci_claims(), epoch_seconds());
    for (name, at) in [("iat", now - 300), ("nbf", now - 300), ("exp", now - 60 + seconds)] {
        claims[name] = json!(at);
    }
    Mint::shared().ci(&claims)
}

fn code(dev: &Dev, id: &str) -> Value {
    dev.record(id)["verdicts"][0]["code"].clone()
}

/// Asks until the answer is another, and gives both.
fn until_refused(mut ask: impl FnMut() -> Answer) -> (Answer, Answer) {
    let first = ask().is(200);
    let last = until("the end", || Some(ask()).filter(|answer| answer.status != 200));
    (first, last)
}

#[test]
fn a_connection_ends_with_the_svid_that_opened_it() {
    let (_upstream, dev) = before();
    let mut conn = dev.shake(Some(&dev.minted("reporter", "short", &["--ttl", TTL])));
    let (_, last) = until_refused(|| {
        conn.send(&request("GET", "/export", None, &[]));
        conn.answer()
    });
    let last = last.is(401);
    assert_eq!(last.header("connection"), Some("close"), "{last:?}");
    assert_eq!(code(&dev, last.record()), "expired");
    assert_eq!(conn.answer().end, End::Closed);
}

#[test]
fn an_http2_connection_ends_with_the_svid_that_opened_it() {
    let (_upstream, dev) = before();
    let peer = Http2::with(&dev);
    peer.open(1, Some(&dev.minted("reporter", "short", &["--ttl", TTL])));
    let mut stream = 1;
    let (_, last) = until_refused(|| {
        let answer = peer.exchange(1, stream, "GET", "/export", &[]);
        stream += 2;
        answer
    });
    assert_eq!(code(&dev, last.is(401).record()), "expired");
    let heard = peer.read(1, "closed");
    assert_eq!(heard.goaway(), Some(0), "it is told that nothing more is answered: {heard:?}");
    assert!(heard.is_closed(), "{heard:?}");
}

/// The outcome of an answer that had begun, and was cut.
fn is_cut(dev: &Dev, upstream: &Upstream, id: &str) {
    let outcome = dev.outcome(id);
    assert_eq!((&outcome["result"], &outcome["code"]), (&"failed".into(), &"expired".into()), "{outcome}");
    assert_eq!(outcome["status"], 200);
    let (ends, at) = (dev.record(id)["deadline"].clone(), outcome["time"].clone());
    let text = |time: &Value| time.as_str().expect("a time").to_owned();
    assert!(text(&ends) <= text(&at), "cut before its time: {ends} {at}");
    // whoever streamed hears that nobody listens: the next one is served on another connection
    assert_eq!(upstream.reached().len(), 1);
}

#[test]
fn a_streaming_answer_ends_with_the_svid_that_asked_for_it() {
    let (upstream, dev) = before();
    let mut conn = dev.shake(Some(&dev.minted("reporter", "short", &["--ttl", TTL])));
    conn.send(&request("GET", "/invoices/1?endless", None, &[]));
    let answer = conn.answer().is(200);
    assert!(answer.text().starts_with("hellohello") && answer.end == End::CutShort, "{:?}", answer.end);
    is_cut(&dev, &upstream, answer.record());
    assert_eq!(conn.answer().end, End::Closed);
}

#[test]
fn a_stream_of_an_http2_connection_ends_with_the_svid_that_opened_it() {
    let (upstream, dev) = before();
    let peer = Http2::with(&dev);
    peer.open(1, Some(&dev.minted("reporter", "short", &["--ttl", TTL])));
    let answer = peer.exchange(1, 1, "GET", "/invoices/1?endless", &[]).is(200);
    assert!(answer.text().starts_with("hellohello") && answer.end != End::Whole, "{:?}", answer.end);
    is_cut(&dev, &upstream, answer.record());
}

#[test]
fn a_streaming_answer_ends_with_the_token_that_asked_for_it() {
    let (upstream, dev) = before();
    let answer = dev.get("/invoices/1?endless", &ending(4)).is(200);
    assert!(answer.text().starts_with("hellohello") && answer.end == End::CutShort, "{:?}", answer.end);
    is_cut(&dev, &upstream, answer.record());

    let (upstream, dev) = before();
    let peer = Http2::with(&dev);
    peer.open(1, None);
    let bearer = format!("Bearer {}", ending(4));
    let answer = peer.exchange(1, 1, "GET", "/invoices/1?endless", &[("authorization", &bearer)]).is(200);
    assert_eq!(answer.end, End::CutShort, "the stream is reset");
    is_cut(&dev, &upstream, answer.record());
    // the connection is not the token's
    let fresh = format!("Bearer {}", Mint::shared().ci(&ci_claims()));
    peer.exchange(1, 3, "GET", "/invoices/1", &[("authorization", &fresh)]).is(200);
}

#[test]
fn an_assertion_never_outlives_what_its_caller_proved() {
    let (upstream, dev) = before();
    let ends = |mark: &str, token: &str| {
        let answer = dev.get(&format!("/invoices/{mark}"), token).is(200);
        let sent = upstream.only(&format!("/invoices/{mark}"));
        let assertion = sent.header("countersign-assertion").expect("an assertion").to_owned();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).expect("claims")).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!((&claims["sub"], &claims["aud"]), (&CI.into(), &"billing-api".into()), "{claims}");
        (claims["exp"].as_i64().expect("a time"), dev.record(answer.record())["deadline"].clone())
    };
    // one that would last for ten seconds is at hand when the other token comes
    let (long, _) = ends("long", &Mint::shared().ci(&ci_claims()));
    let refused = epoch_seconds() + 8;
    let (short, deadline) = ends("short", &ending(8));
    assert!(short <= refused + 1 && short < long, "{short} {long} {deadline}");
}

#[test]
fn an_upload_ends_with_the_token_that_came_with_it() {
    let (upstream, dev) = before();
    let mut conn = Conn::open(dev.gateway());
    conn.send(&request("POST", "/invoices?drip", Some(&ending(4)), &["Transfer-Encoding: chunked"]));
    let id = upstream.only("?drip").header("countersign-record").expect("a record").to_owned();
    drip(|| conn.send(b"1\r\nx\r\n"), || !dev.records().iter().any(|record| record["of"] == id.as_str()));
    assert_eq!(dev.outcome(&id)["code"], "expired");
    assert!(upstream.only("?drip").body.is_empty(), "the upstream took half a body for a whole one");

    let peer = Http2::with(&dev);
    peer.open(1, None);
    let bearer = format!("Bearer {}", ending(4));
    let mut fields = head("POST", "/invoices?second");
    fields.push(("authorization", &bearer));
    peer.send(1, &[Frame::open(1, &fields)]);
    let id = upstream.only("?second").header("countersign-record").expect("a record").to_owned();
    drip(
        || peer.send(1, &[Frame::data(1, 0, b"x")]),
        || !dev.records().iter().any(|record| record["of"] == id.as_str()),
    );
    assert_eq!(dev.outcome(&id)["code"], "expired");
    let answer = peer.read(1, "answer:1").stream(1).answer.is(401);
    assert_eq!(answer.record(), id);
    peer.send(1, &[Frame::data(1, END_STREAM, b"")]);
    assert!(upstream.only("?second").body.is_empty(), "the upstream took half a body for a whole one");
}

/// Sends bit by bit as long as it is wanted, fifteen seconds at most.
fn drip(mut send: impl FnMut() -> bool, mut wanted: impl FnMut() -> bool) {
    for _ in 0..150 {
        if !send() || !wanted() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("an upload outlives the token that came with it");
}
