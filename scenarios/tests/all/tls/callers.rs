//! The table of the quickstart over TLS, and the rows that need it: over HTTP/1.1 and over HTTP/2.

use crate::harness::{Answer, CI, Dev, Http2, Identity, REPORTER, head, request};
use crate::quickstart::callers::{ROWS, Row, check};

#[rustfmt::skip]
const WITH_REPORTERS_SVID: &[Row] = &[
    Row { caller: None, method: "GET", target: "/export", status: 200, code: "", ledger: "", principal: Some(REPORTER), missing: None },
    Row { caller: None, method: "GET", target: "/invoices/1", status: 200, code: "", ledger: "", principal: Some(REPORTER), missing: None },
    Row { caller: None, method: "GET", target: "/healthz", status: 200, code: "", ledger: "", principal: Some(REPORTER), missing: None },
    Row { caller: None, method: "POST", target: "/invoices", status: 403, code: "no_permit", ledger: "no_permit", principal: Some(REPORTER), missing: None },
    Row { caller: None, method: "GET", target: "/nope", status: 403, code: "operation_unmapped", ledger: "operation_unmapped", principal: Some(REPORTER), missing: None },
    Row { caller: Some("alice"), method: "GET", target: "/invoices/1", status: 401, code: "unauthenticated", ledger: "kind_mismatch", principal: None, missing: None },
    Row { caller: Some("alice"), method: "GET", target: "/healthz", status: 401, code: "unauthenticated", ledger: "kind_mismatch", principal: None, missing: None },
    Row { caller: Some("dunning"), method: "GET", target: "/invoices/1", status: 401, code: "unauthenticated", ledger: "conflicting_credentials", principal: None, missing: None },
    Row { caller: Some("ci-main"), method: "GET", target: "/export", status: 401, code: "unauthenticated", ledger: "conflicting_credentials", principal: None, missing: None },
    Row { caller: Some("ci-lookalike"), method: "GET", target: "/export", status: 401, code: "unauthenticated", ledger: "principal_unknown", principal: None, missing: None },
];

/// A certificate and a token of one principal: neither wins, and the channel makes the token's sender known.
#[rustfmt::skip]
const WITH_CIS_SVID: &[Row] = &[
    Row { caller: Some("ci-main"), method: "GET", target: "/export", status: 200, code: "", ledger: "", principal: Some(CI), missing: None },
    Row { caller: Some("ci-fork"), method: "GET", target: "/export", status: 403, code: "forbidden", ledger: "forbidden", principal: Some(CI), missing: Some("protected_ref") },
    Row { caller: None, method: "GET", target: "/export", status: 403, code: "forbidden", ledger: "forbidden", principal: Some(CI), missing: Some("protected_ref") },
];

fn over_http1(identity: Option<&Identity>) -> impl Fn(&Dev, &Row, Option<&str>) -> Answer {
    move |dev, row, token| {
        let mut conn = dev.shake(identity);
        conn.send(&request(row.method, row.target, token, &[]));
        conn.answer_to(row.method)
    }
}

/// Each row is one stream more of one connection.
fn over_http2(peer: &Http2, conn: u32) -> impl Fn(&Dev, &Row, Option<&str>) -> Answer {
    let next = std::cell::Cell::new(1);
    move |_, row, token| {
        let stream = next.replace(next.get() + 2);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let more: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        peer.exchange(conn, stream, row.method, row.target, &more)
    }
}

#[test]
fn each_sample_caller_gets_over_tls_what_is_promised() {
    let dev = Dev::start();
    check(&dev, ROWS, over_http1(None));
    let peer = Http2::with(&dev);
    peer.open(1, None);
    check(&dev, ROWS, over_http2(&peer, 1));
}

#[test]
fn a_certificate_is_a_caller_and_no_token_beside_it_may_be_another() {
    let dev = Dev::start();
    let (reporter, ci) = (dev.svid("reporter"), dev.minted("billing-ci", "ci", &[]));
    check(&dev, WITH_REPORTERS_SVID, over_http1(Some(&reporter)));
    check(&dev, WITH_CIS_SVID, over_http1(Some(&ci)));
    let peer = Http2::with(&dev);
    peer.open(1, Some(&reporter));
    check(&dev, WITH_REPORTERS_SVID, over_http2(&peer, 1));
    peer.open(2, Some(&ci));
    check(&dev, WITH_CIS_SVID, over_http2(&peer, 2));
}

#[test]
fn what_a_certificate_proved_stands_in_the_record() {
    let dev = Dev::start();
    let mut conn = dev.shake(Some(&dev.svid("reporter")));
    conn.send(&request("GET", "/export", None, &[]));
    let record = dev.record(conn.answer().is(200).record());
    let presented = &record["presented"][0];
    assert_eq!((&presented["kind"], &presented["binding"]), (&"x509-svid".into(), &"mtls".into()), "{record}");
    let id = presented["credential_id"].as_str().expect("an id");
    assert!(id.strip_prefix("serial:").is_some_and(|serial| serial.len() == 32), "{record}");
    assert!(record["evidence"].as_array().expect("a list").contains(&"sender_bound".into()), "{record}");
    // the same questions from the record alone
    dev.cli(&["replay", record["id"].as_str().expect("an id")]).ended(0);
}

#[test]
fn requests_of_one_http2_connection_are_each_their_own() {
    let dev = Dev::start();
    let peer = Http2::with(&dev);
    peer.open(1, None);
    let token = format!("Bearer {}", dev.token("ci-main"));
    let frame = |stream, more: &[(&str, &str)]| {
        let mut fields = head("GET", "/invoices/1");
        fields.extend(more);
        crate::harness::Frame::request(stream, &fields)
    };
    // a proof is for one request, not for its connection; nor does the order of streams matter
    let bearer = [("authorization", token.as_str())];
    peer.send(1, &[frame(1, &bearer), frame(3, &[]), frame(5, &bearer), frame(7, &[])]);
    let statuses = [1, 3, 5, 7].map(|stream| peer.read(1, &format!("end:{stream}")).stream(stream).answer.status);
    assert_eq!(statuses, [200, 401, 200, 401]);
    assert_eq!(dev.reached().len(), 2);
}
