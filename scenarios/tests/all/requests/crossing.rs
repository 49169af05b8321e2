//! What crosses to the service behind and back, and what never does.

use super::before;
use crate::harness::{Conn, call, request};

/// Headers that say who somebody is, or what a proxy thinks: a caller's own word.
const NEVER: &[&str] = &[
    "Proxy-Authorization: Basic eDp5",
    "Forwarded: for=10.0.0.1",
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Uri: /export",
    "X-Forwarded-User: root",
    "X-Forwarded-Client-Cert: By=spiffe://prod.acme.test/x",
    "X-Original-URL: /export",
    "X-Rewrite-URL: /export",
    "countersign-record: 00000000000000000000000000000000",
    "X-Countersign-Principal: root",
    "My-Countersign: 1",
    "COUNTERSIGN_PRINCIPAL: root",
    "x_forwarded_for: 10.0.0.1",
    "X_Forwarded-User: root",
    "x-original_url: /export",
    "X_Rewrite_URL: /export",
    "Proxy_Authorization: Basic eDp5",
    "Author_ization: unrelated",
    "For_warded: unrelated",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Proxy-Connection: keep-alive",
];

#[test]
fn credentials_and_claimed_identities_never_cross_and_the_rest_does() {
    let (upstream, dev, token) = before(|estate| estate);
    let kept = [
        "Cookie: a=1; b=2",
        "X-Request-Id: 7",
        "Accept: text/plain",
        "Accept: */*",
        "User-Agent: a test",
        "x_custom_header: stays",
        "X-Forwarded: almost",
        "X-Real-IP: 10.0.0.1",
    ];
    let lines: Vec<&str> = NEVER.iter().chain(&kept).copied().filter(|line| !line.contains("unrelated")).collect();
    let answer = call(dev.gateway(), "GET", "/invoices/crossing?x", Some(&token), &lines).is(200);
    let reached = upstream.only("/invoices/crossing");
    let text = reached.head.to_ascii_lowercase();
    for line in NEVER {
        let (name, value) = line.split_once(": ").expect("a header");
        let name = name.to_ascii_lowercase();
        if name == "countersign-record" {
            assert!(!reached.head.contains(value), "a forged record crossed: {reached:?}");
        } else {
            assert!(!text.contains(&format!("\n{name}:")), "{line} crossed: {reached:?}");
        }
    }
    assert!(!text.contains("\nauthorization:") && !text.contains("bearer"), "{reached:?}");
    for line in kept {
        assert!(text.contains(&format!("\n{}", line.to_ascii_lowercase())), "{line} is gone: {reached:?}");
    }
    assert_eq!(reached.header("countersign-record"), Some(answer.record()));
    assert_eq!(reached.header("host"), Some("billing.acme.test"));
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("countersign")).collect();
    assert!(
        ours.iter().all(|line| line.starts_with("countersign-record:") || line.starts_with("countersign-assertion:"))
    );
    assert_eq!(ours.len(), 2, "{reached:?}");
}

#[test]
fn a_trace_is_carried_on_if_it_is_one_and_begun_if_not() {
    let (upstream, dev, token) = before(|estate| estate);
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fresh = [
        ("none", vec![]),
        ("zeros", vec!["traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned()]),
        ("no parent", vec!["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned()]),
        ("capitals", vec![format!("traceparent: {}", good.to_ascii_uppercase())]),
        ("version ff", vec![format!("traceparent: ff{}", &good[2..])]),
        ("longer", vec![format!("traceparent: {good}-x")]),
        ("twice", vec![format!("traceparent: {good}"); 2]),
        ("a twin", vec![format!("trace_parent: {good}")]),
        ("nonsense", vec!["traceparent: '; DROP TABLE".to_owned()]),
    ];
    let asked = |mark: &str, lines: &[String]| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = call(dev.gateway(), "GET", &format!("/invoices/{mark}"), Some(&token), &lines).is(200);
        let sent = upstream.only(&format!("/invoices/{mark}")).header("traceparent").expect("a trace").to_owned();
        let recorded = dev.record(answer.record())["trace_id"].as_str().expect("a trace").to_owned();
        assert_eq!(sent.split('-').nth(1), Some(recorded.as_str()), "{mark}: the record and the upstream agree");
        sent
    };
    assert_eq!(asked("carried", &[format!("Traceparent: {good}")]), good);
    let future = good.replacen("00", "01", 1);
    assert_eq!(asked("future", &[format!("traceparent: {future}")]), future);
    for (name, lines) in fresh {
        let sent = asked(&name.replace(' ', "-"), &lines);
        let parts: Vec<&str> = sent.split('-').collect();
        assert!(parts.len() == 4 && parts[0] == "00" && parts[1].len() == 32 && parts[2].len() == 16, "{name}: {sent}");
        assert!(name == "a twin" || !sent.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{name}: {sent}");
        assert!(parts[2] != "0000000000000000" && parts[1] != "0".repeat(32), "{name}: {sent}");
    }
}

#[test]
fn an_upstream_does_not_speak_for_us() {
    let (_upstream, dev, token) = before(|estate| estate);
    let forged = dev.get("/invoices/1?forged", &token).is(200);
    assert_eq!(forged.all("countersign-record").len(), 1);
    assert_ne!(forged.record(), "0".repeat(32));
    assert!(forged.header("countersign-code").is_none(), "{forged:?}");
    dev.record(forged.record());

    let hop = dev.get("/invoices/1?hop", &token).is(200);
    assert_eq!((hop.header("x-hop"), hop.header("keep-alive"), hop.header("x-kept")), (None, None, Some("yes")));

    let early = dev.get("/invoices/1?early", &token).is(200);
    assert!(early.interim.is_empty(), "{early:?}");

    let trailers = dev.get("/invoices/1?trailers", &token).is(200);
    assert_eq!((trailers.text().as_str(), trailers.all("countersign-record").len()), ("ok", 1));

    let switch = dev.get("/invoices/1?switch", &token).is(502);
    assert_eq!(switch.code(), "upstream_unreachable");
    let garbage = dev.get("/invoices/1?garbage", &token).is(502);
    assert_eq!(dev.outcome(garbage.record())["result"], "failed");
}

#[test]
fn request_trailers_end_here() {
    let (upstream, dev, token) = before(|estate| estate);
    let mut conn = Conn::open(dev.gateway());
    let mut bytes = request("POST", "/invoices", Some(&token), &["Transfer-Encoding: chunked", "Trailer: X-Role"]);
    bytes.extend(b"2\r\n{}\r\n0\r\nX-Role: root\r\nAuthorization: Bearer x\r\ncountersign-record: forged\r\n\r\n");
    conn.send(&bytes);
    conn.answer().is(200);
    let all = String::from_utf8_lossy(&upstream.bytes()).to_ascii_lowercase();
    assert!(!all.contains("x-role") && !all.contains("bearer") && !all.contains("forged"), "{all}");
    assert_eq!(upstream.only("/invoices").body, b"2\r\n{}\r\n0\r\n\r\n");
}
