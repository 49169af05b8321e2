//! The control door over TLS: planes and whom an estate lets in, and to everybody else one answer.

use std::path::Path;

use serde_json::Value;

use super::with_gateway;
use crate::harness::{Answer, Identity, Installation, shake_hands};

/// A request at the control plane's listener for planes.
pub fn ask(
    installation: &Installation,
    identity: Option<&Identity>,
    method: &str,
    target: &str,
    token: Option<&str>,
    body: &str,
) -> Answer {
    let address = installation.word("server", "/planes");
    let ca = installation.word("server", "/ca");
    let mut conn = shake_hands(address.trim_start_matches("https://"), "localhost", Path::new(&ca), identity).unwrap();
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    conn.send(head.as_bytes());
    conn.send(body.as_bytes());
    conn.answer()
}

/// `GET` at a gateway's TLS listener.
pub fn at_gateway(installation: &Installation, name: &str, identity: &Identity, target: &str) -> Answer {
    try_at_gateway(installation, name, identity, target).expect("hands are shaken")
}

/// Likewise; none where the handshake fails.
pub fn try_at_gateway(installation: &Installation, name: &str, identity: &Identity, target: &str) -> Option<Answer> {
    let address = installation.word(name, "/gateway/https");
    let ca = installation.word("server", "/ca");
    let host = crate::harness::HOST;
    let mut conn = shake_hands(address.trim_start_matches("https://"), host, Path::new(&ca), Some(identity)).ok()?;
    conn.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    Some(conn.answer())
}

#[test]
fn strangers_get_one_answer_and_a_workload_is_no_operator() {
    let (_upstream, installation) = with_gateway("{routine: 1h, sensitive: 5m, critical: 30s}");
    let asked = [
        ("GET", "/v1/status", None, ""),
        ("GET", "/v1/feed?after=0", None, ""),
        ("GET", "/nothing", None, ""),
        ("POST", "/v1/enrol", None, "{}"),
        ("POST", "/v1/enrol", Some("not.a.token"), r#"{"csr": "", "assertion_key": ""}"#),
        ("POST", "/v1/apply", Some("e30.e30.e30"), "what"),
    ];
    let mut bodies: Vec<Value> = Vec::new();
    for (method, target, token, body) in asked {
        let answer = ask(&installation, None, method, target, token, body).is(401);
        let mut document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(document["record"].take().is_string(), "{document}");
        bodies.push(document);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    // one who is proved, and whom nothing permits
    let reporter = installation.minted("reporter", "reporter", &[]);
    for (method, target) in [("GET", "/v1/status"), ("GET", "/v1/feed?after=0"), ("POST", "/v1/rollback")] {
        let body = if method == "POST" { r#"{"epoch": 1}"# } else { "" };
        let answer = ask(&installation, Some(&reporter), method, target, None, body).is(403);
        assert_eq!(answer.code(), "no_permit");
    }
    // a gateway hears and reports, and operates nothing
    let gateway = Identity::under(&installation.home("edge-1").join("svid"));
    ask(&installation, Some(&gateway), "POST", "/v1/rollback", None, r#"{"epoch": 1}"#).is(403);
    ask(&installation, Some(&gateway), "GET", "/v1/live/principals", None, "").is(403);
    // a handshake that is refused is recorded
    let folder = installation.path("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Installation::laid_out("other", "prod.acme.test");
    let mut other = other;
    other.start("server");
    other
        .apply(
            &super::estate(&_upstream, "{routine: 1h, sensitive: 5m, critical: 30s}")
                .replacing("name: production", "name: other"),
            &[],
        )
        .ended(0);
    let forged = other.minted("reporter", "forged", &[]);
    let address = installation.word("server", "/planes");
    let ca = installation.word("server", "/ca");
    if let Ok(mut conn) =
        shake_hands(address.trim_start_matches("https://"), "localhost", Path::new(&ca), Some(&forged))
    {
        conn.send(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(conn.answer().status, 0);
    }
    let records = installation.records("server");
    let refused = records.iter().any(|record| record["verdicts"][0]["code"] == "chain_invalid");
    assert!(refused, "{:?}", records.last());
}
