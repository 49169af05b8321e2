//! Who asks for what, and what comes of it: the answer, the ledger, and what reached the service behind.

use serde_json::Value;

use crate::harness::{Answer, CI, DUNNING, Dev, call};

pub struct Row {
    /// Whose token is in the message.
    pub caller: Option<&'static str>,
    pub method: &'static str,
    pub target: &'static str,
    pub status: u16,
    /// Code of the answer; empty for a success.
    pub code: &'static str,
    /// Code in the ledger; empty for none.
    pub ledger: &'static str,
    pub principal: Option<&'static str>,
    pub missing: Option<&'static str>,
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { caller: Some("ci-main"), method: "GET", target: "/invoices/1", status: 200, code: "", ledger: "", principal: Some(CI), missing: None },
    Row { caller: Some("ci-fork"), method: "GET", target: "/invoices/1", status: 403, code: "forbidden", ledger: "forbidden", principal: Some(CI), missing: Some("protected_ref") },
    Row { caller: Some("ci-lookalike"), method: "GET", target: "/invoices/1", status: 401, code: "unauthenticated", ledger: "principal_unknown", principal: None, missing: None },
    Row { caller: Some("dunning"), method: "GET", target: "/invoices/1", status: 200, code: "", ledger: "", principal: Some(DUNNING), missing: None },
    Row { caller: Some("dunning"), method: "POST", target: "/invoices", status: 403, code: "no_permit", ledger: "no_permit", principal: Some(DUNNING), missing: Some("task_capability") },
    Row { caller: Some("ci-main"), method: "GET", target: "/nope", status: 403, code: "operation_unmapped", ledger: "operation_unmapped", principal: Some(CI), missing: None },
    Row { caller: Some("dunning"), method: "GET", target: "/nope", status: 403, code: "operation_unmapped", ledger: "operation_unmapped", principal: Some(DUNNING), missing: None },
    Row { caller: Some("alice"), method: "GET", target: "/nope", status: 403, code: "operation_unmapped", ledger: "operation_unmapped", principal: Some("human:people:alice"), missing: None },
    Row { caller: Some("alice"), method: "GET", target: "/invoices/1", status: 403, code: "no_permit", ledger: "no_permit", principal: Some("human:people:alice"), missing: None },
    Row { caller: None, method: "GET", target: "/nope", status: 401, code: "unauthenticated", ledger: "credential_missing", principal: None, missing: None },
    Row { caller: None, method: "GET", target: "/invoices/1", status: 401, code: "unauthenticated", ledger: "credential_missing", principal: None, missing: None },
    Row { caller: None, method: "GET", target: "/healthz", status: 200, code: "", ledger: "", principal: Some("anonymous"), missing: None },
    Row { caller: Some("ci-main"), method: "GET", target: "/healthz", status: 200, code: "", ledger: "", principal: Some(CI), missing: None },
    Row { caller: Some("ci-lookalike"), method: "GET", target: "/healthz", status: 401, code: "unauthenticated", ledger: "principal_unknown", principal: None, missing: None },
    Row { caller: Some("ci-main"), method: "GET", target: "/export", status: 403, code: "evidence_missing", ledger: "evidence_missing", principal: Some(CI), missing: Some("sender_bound") },
];

#[test]
fn each_sample_caller_gets_the_answer_that_is_promised() {
    check(&Dev::start(), ROWS, |dev, row, token| dev.call(row.method, row.target, token));
}

/// Asks each row, and looks at the answer, the ledger and what reached the service behind.
pub fn check(dev: &Dev, rows: &[Row], ask: impl Fn(&Dev, &Row, Option<&str>) -> Answer) {
    let mut answers = Vec::new();
    for row in rows {
        let token = row.caller.map(|name| dev.token(name));
        let before = dev.reached().len();
        let answer = ask(dev, row, token.as_deref()).is(row.status);
        let of = format!("{:?} {} {}", row.caller, row.method, row.target);
        assert_eq!(answer.code(), row.code, "{of}");
        let after = dev.reached();
        assert_eq!(after.len() - before, usize::from(row.code.is_empty()), "{of}: what reached the service");
        if let Some(reached) = after.get(before) {
            assert_eq!((&reached["method"], &reached["target"]), (&row.method.into(), &row.target.into()), "{of}");
            let told = row.principal.filter(|principal| *principal != "anonymous");
            assert_eq!(reached["caller"].as_str(), told, "{of}: whom the gateway vouched for");
        }
        answers.push(answer.record().to_owned());
    }
    let judgements = dev.judgements();
    for (row, id) in rows.iter().zip(&answers) {
        let record = &judgements[id];
        let verdict = &record["verdicts"][0];
        assert_eq!(verdict["code"].as_str().unwrap_or_default(), row.ledger, "{record}");
        assert_eq!(verdict["decision"], if row.ledger.is_empty() { "allow" } else { "deny" }, "{record}");
        assert_eq!(record["principal"]["id"].as_str(), row.principal, "{record}");
        if let Some(missing) = row.missing {
            assert!(holds(&verdict["missing"], missing), "{record}");
            assert!(!holds(&record["evidence"], missing), "{record}");
        }
    }
}

fn holds(list: &Value, word: &str) -> bool {
    list.as_array().expect("a list").iter().any(|one| one == word)
}

#[test]
fn strangers_hear_the_same_whether_an_operation_exists_or_not() {
    let dev = Dev::start();
    let lookalike = dev.token("ci-lookalike");
    let alike = |target: &str, token: Option<&str>| {
        let answer = dev.call("GET", target, token).is(401);
        let varies = [answer.record().to_owned(), answer.header("date").expect("a date").to_owned()];
        varies.iter().fold(format!("{}{}", answer.head, answer.text()), |text, varies| text.replace(varies, "-"))
    };
    let first = alike("/invoices/1", None);
    for target in ["/nope", "/export", "/invoices/1?x=y", "/healthz/more"] {
        assert_eq!(alike(target, None), first, "{target}");
        assert_eq!(alike(target, Some(&lookalike)), first, "{target} with a token that proves nobody");
    }
}

#[test]
fn a_service_is_found_by_its_host_alone() {
    let dev = Dev::start();
    let token = dev.token("dunning");
    let asked = |host: &str| {
        let request = format!("GET /invoices/1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let mut conn = crate::harness::Conn::open(dev.gateway());
        conn.send(request.as_bytes());
        conn.answer()
    };
    asked("BILLING.acme.TEST:99").is(200);
    asked(dev.gateway()).is(200);
    assert_eq!(asked("other.acme.test").is(403).code(), "operation_unmapped");
    assert_eq!(call(dev.gateway(), "GET", "/invoices/1", None, &[]).status, 401);
}
