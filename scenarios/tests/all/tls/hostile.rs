//! The tables of hostile requests over TLS: what is refused leaves no byte upstream, what passes arrives as it was judged.

use std::time::Duration;

use serde_json::Value;

use super::frames::{Hostile, Want, table};
use crate::harness::{Dev, End, Http2, Upstream, until_within};
use crate::requests::{before, hostile};

#[test]
fn over_tls_http1_is_read_as_without() {
    let (upstream, dev, token) = before(|estate| estate);
    hostile::check(&upstream, &dev, &token, || dev.shake(None));
}

#[test]
fn what_can_be_read_in_two_ways_goes_nowhere() {
    let (upstream, dev, token) = before(|estate| estate);
    let peer = Http2::with(&dev);
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    let mut headless = 0;
    for (conn, row) in (1..).zip(table(&token)) {
        if let Err(complaint) = check(&upstream, &dev, &peer, conn, &row, &mut refused) {
            wrong.push(format!("{}: {complaint}", row.name));
        }
        headless += usize::from(matches!(row.want, Want::Bare { .. } | Want::Reset(_) | Want::Cut(_)));
        peer.close(conn);
        let counted = || {
            let all = dev.judgements().into_values();
            all.filter(|record| record["door"] == "gateway" && record["operation"] == Value::Null).collect::<Vec<_>>()
        };
        let bound = Duration::from_secs(2);
        until_within(bound, || Some(counted()).filter(|records| records.len() >= headless));
        let recorded = counted();
        if recorded.len() != headless {
            wrong.push(format!("{}: {} records without a head, expected {headless}", row.name, recorded.len()));
            headless = recorded.len();
        }
        if recorded.iter().any(|record| record["verdicts"][0]["code"] != "request_malformed") {
            wrong.push(format!("{}: recorded as something else", row.name));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let judgements = dev.judgements();
    for (name, id, code) in &refused {
        assert_eq!(judgements[id]["verdicts"][0]["code"], *code, "{name}");
    }
    dev.verify().ended(0);
}

fn check(
    upstream: &Upstream,
    dev: &Dev,
    peer: &Http2,
    conn: u32,
    row: &Hostile,
    refused: &mut Vec<(&'static str, String, &'static str)>,
) -> Result<(), String> {
    let (bytes, reached) = (upstream.bytes().len(), upstream.reached().len());
    peer.open(conn, None);
    peer.send(conn, &row.frames);
    let heard = peer.read(conn, "end-or-goaway:1");
    let stream = heard.stream(1);
    let found = (stream.answer.status, stream.answer.code());
    let new = upstream.reached().split_off(reached);
    let nothing = |what: Result<(), String>| match upstream.bytes().len() == bytes {
        true => what,
        false => Err(format!("bytes went upstream: {:?}", upstream.reached().split_off(reached))),
    };
    let expected = |good: bool| if good { Ok(()) } else { Err(format!("{found:?}, {heard:?}")) };
    match &row.want {
        Want::Passes(line) => {
            let lines: Vec<_> = new.iter().map(|reached| reached.line().to_owned()).collect();
            expected(found.0 == 200 && lines == [*line]).map_err(|heard| format!("{heard}; upstream: {lines:?}"))
        }
        Want::Refused { status, code } => {
            let told = if *status == 401 { "unauthenticated" } else { code };
            // the answer to HEAD has no body to tell by
            let good = found.0 == *status && (found.1 == told || stream.answer.body.is_empty());
            if let Some(id) = stream.answer.header("countersign-record") {
                refused.push((row.name, id.to_owned(), *code));
            }
            nothing(expected(good && stream.answer.header("countersign-record").is_some()))
        }
        Want::Bare { status } => nothing(expected(found.0 == *status && stream.answer.body.is_empty())),
        Want::Reset(code) => {
            nothing(expected(found.0 == 0 && (stream.reset == Some(*code) || heard.goaway() == Some(*code))))
        }
        Want::Cut(code) => {
            let outcomes = || new.iter().filter_map(|reached| reached.header("countersign-record"));
            let failed = outcomes().all(|id| dev.outcome(id)["result"] == "failed");
            let whole = upstream.reached().split_off(reached).iter().any(|reached| !reached.body.is_empty());
            let told = stream.reset == Some(*code) || (found.0 == 400 && stream.answer.end == End::Whole);
            expected(told && failed && !whole).map_err(|heard| format!("{heard}; upstream: {new:?}"))
        }
    }
}
