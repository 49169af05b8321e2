//! The table of hostile requests: what is refused leaves no byte upstream, what passes arrives as it was judged.

use serde_json::Value;

use super::before;
use super::table::{Want, table};
use crate::harness::{Answer, Conn, Dev, End, Upstream, until};

#[test]
fn what_can_be_read_in_two_ways_goes_nowhere() {
    let (upstream, dev, token) = before(|estate| estate);
    check(&upstream, &dev, &token, || Conn::open(dev.gateway()));
}

/// Sends each row on a connection of its own.
pub fn check(upstream: &Upstream, dev: &Dev, token: &str, open: impl Fn() -> Conn) {
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    let mut bare = 0;
    for hostile in table(token) {
        let (bytes, reached) = (upstream.bytes().len(), upstream.reached().len());
        let mut conn = open();
        conn.send(&hostile.bytes);
        let method =
            String::from_utf8_lossy(hostile.bytes.split(|b| *b == b' ').next().unwrap_or_default()).into_owned();
        let answer = conn.answer_to(&method);
        let new = upstream.reached().split_off(reached);
        let complaint = match &hostile.want {
            Want::Passes(line) => passed(&answer, line, &new.iter().map(|r| r.line().to_owned()).collect::<Vec<_>>()),
            Want::Refused { status, code } => {
                refused.push((hostile.name, answer.header("countersign-record").unwrap_or("-").to_owned(), *code));
                is_problem(&answer, *status, code, &method)
            }
            Want::Bare { status } => {
                bare += 1;
                is_bare(&answer, *status, &mut conn)
            }
        };
        if let Some(complaint) = complaint {
            wrong.push(format!("{}: {complaint}", hostile.name));
        }
        let passes = matches!(hostile.want, Want::Passes(_));
        if !passes && upstream.bytes().len() != bytes {
            wrong.push(format!("{}: bytes went upstream", hostile.name));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));

    let judgements = dev.judgements();
    for (name, id, code) in &refused {
        assert_eq!(judgements[id]["verdicts"][0]["code"], *code, "{name}");
    }
    let headless = || {
        let all = dev.judgements().into_values();
        let mine = all.filter(|r| r["door"] == "gateway" && r["operation"] == Value::Null).collect::<Vec<_>>();
        (mine.len() >= bare).then_some(mine)
    };
    let headless = until("what the library rejected is recorded too", headless);
    assert_eq!(headless.len(), bare);
    assert!(headless.iter().all(|record| record["verdicts"][0]["code"] == "request_malformed"));
    dev.verify().ended(0);
}

fn passed(answer: &Answer, line: &str, upstream: &[String]) -> Option<String> {
    if answer.status != 200 {
        return Some(format!("{} {}, expected it to pass", answer.status, answer.code()));
    }
    (upstream != [line]).then(|| format!("the upstream read {upstream:?}"))
}

fn is_problem(answer: &Answer, status: u16, code: &str, method: &str) -> Option<String> {
    let found = (answer.status, answer.code());
    let told = if status == 401 { "unauthenticated" } else { code };
    // the answer to HEAD has no body to tell by
    let good = found.0 == status && (found.1 == told || method == "HEAD");
    (!good).then(|| format!("{found:?} {:?}, expected {status} {code}", answer.end))
}

fn is_bare(answer: &Answer, status: u16, conn: &mut Conn) -> Option<String> {
    if answer.status != status || !answer.body.is_empty() {
        return Some(format!("{} {} {:?}, expected a bare {status}", answer.status, answer.code(), answer.end));
    }
    let after = conn.answer().end;
    (after != End::Closed).then(|| format!("the connection is not closed: {after:?}"))
}
