//! The exact JSON of every kind of record.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, proptest};

use super::samples::{all, counted, judgement, outcome, recovered, stamped};
use crate::line::Unreadable;
use crate::record::{Body, Record};

const STAMP: &str = r#""writer":"w-0a1b2c3d","seq":7,"prev":"abababababababababababababababababababababababababababababababab","time":"2027-01-02T03:04:05.000006Z""#;

fn check(body: Body, before: &str, after: &str) {
    let record = stamped(body);
    let json = format!("{{{before},{STAMP},{after}}}");
    assert_eq!(String::from_utf8(record.to_json().unwrap()).unwrap(), json);
    assert_eq!(Record::from_json(json.as_bytes()).unwrap(), record);
}

#[test]
fn a_judgement_is_exactly_these_bytes() {
    check(
        judgement(),
        r#""kind":"judgement","id":"0123456789abcdef0123456789abcdef""#,
        r#""trace_id":"fedcba9876543210fedcba9876543210","door":"gateway","protocol":"http","operation":"GET /invoices/{invoice}","presented":[{"source":"github","kind":"jwt","binding":"bearer","credential_id":"jti-1","digest":"sha256:aa","issued":"2027-01-02T03:00:00.000000Z","expires":"2027-01-02T03:10:00.000000Z","until":"2027-01-02T03:10:00.000000Z","key":["9001","4711"],"facts":["protected_ref"],"display":[["repository","acme/billing"]],"key_id":"k1","key_thumbprint":"cc","refused":null}],"principal":{"id":"spiffe://prod.acme.test/ci/billing","kind":"Job","owner":"team-billing"},"subject":null,"actors":[],"verdicts":[{"action":"read","resource":"billing/invoices","tier":"routine","decision":"allow","layer":null,"code":null,"reason":null,"policies":["ci-reads"],"missing":[],"obligations":[]}],"evidence":["protected_ref"],"generation":1,"epoch":2,"revocation_seq":3,"inputs":{"snapshot":"sha256:dd","keys":"sha256:ee","context":{"service":"billing-api","public":false,"params":[["invoice","1"]]}},"deadline":"2027-01-02T03:05:00.000000Z""#,
    );
}

#[test]
fn an_outcome_is_exactly_these_bytes() {
    check(
        outcome(),
        r#""kind":"outcome","of":"0123456789abcdef0123456789abcdef""#,
        r#""result":"delivered","status":200,"code":null,"bytes_in":0,"bytes_out":41,"micros":1234"#,
    );
}

#[test]
fn a_checkpoint_is_exactly_these_bytes() {
    let head = "ab".repeat(32);
    check(Body::Checkpoint { head: head.clone() }, r#""kind":"checkpoint""#, &format!(r#""head":"{head}""#));
}

#[test]
fn a_count_is_exactly_these_bytes() {
    check(
        counted(),
        r#""kind":"counted","id":"00000000000000000000000000000001""#,
        r#""source":"127.0.0.1","code":"ledger_unavailable","first":"2027-01-02T03:04:05.000001Z","last":"2027-01-02T03:04:05.000005Z","count":9"#,
    );
}

#[test]
fn a_recovery_is_exactly_these_bytes() {
    check(recovered(), r#""kind":"recovered""#, r#""cut_bytes":12,"open":2,"follows":null"#);
}

#[test]
fn a_record_has_one_text_and_no_other() {
    let json = String::from_utf8(stamped(outcome()).to_json().unwrap()).unwrap();
    let refused = [
        (r#","code":null"#, "", "a missing field"),
        (r#""code":null"#, r#""code":null,"extra":1"#, "an unknown field"),
        (r#""code":null"#, r#""code":null,"code":null"#, "a repeated field"),
        (r#""status":200,"code":null"#, r#""code":null,"status":200"#, "another order"),
        (r#""seq":7"#, r#""seq": 7"#, "white space"),
        (r#""seq":7"#, r#""seq":7.0"#, "a fraction"),
        (r#""of":"0"#, r#""of":"\u0030"#, "a needless escape"),
        (r#""kind":"outcome""#, r#""kind":"checkpoint""#, "another kind"),
        (r#""kind":"outcome""#, r#""kind":"verdict""#, "an unknown kind"),
    ];
    for (from, to, what) in refused {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{what}");
        assert!(Record::from_json(changed.as_bytes()).is_err(), "{what}");
    }
    assert!(matches!(Record::from_json(format!("{json}\n").as_bytes()), Err(Unreadable::NotCanonical)));
    let missing = json.replacen(r#","code":null"#, "", 1);
    assert!(matches!(Record::from_json(missing.as_bytes()), Err(Unreadable::NotCanonical)));
}

#[test]
fn no_bytes_are_read_as_a_record_that_would_be_written_otherwise() {
    for body in all() {
        let json = stamped(body).to_json().unwrap();
        testkit::mutate(&json, 2_000, |bytes| {
            if let Ok(record) = Record::from_json(bytes) {
                assert_eq!(record.to_json().unwrap(), bytes);
            }
        });
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        texts in vec(any::<String>(), 8),
        optional in vec(option::of(any::<String>()), 6),
        number in any::<u64>(),
        status in option::of(any::<u16>()),
    ) {
        for body in all() {
            let mut record = stamped(body);
            record.stamp.seq = number;
            record.stamp.time.clone_from(&texts[0]);
            match &mut record.body {
                Body::Judgement(judgement) => {
                    judgement.operation.clone_from(&optional[0]);
                    judgement.presented[0].credential_id.clone_from(&optional[1]);
                    judgement.presented[0].display = vec![(texts[1].clone(), texts[2].clone())];
                    judgement.inputs.context.params = vec![(texts[3].clone(), texts[4].clone())];
                    judgement.verdicts[0].reason.clone_from(&optional[2]);
                    judgement.evidence.clone_from(&texts);
                }
                Body::Outcome(outcome) => {
                    outcome.status = status;
                    outcome.code.clone_from(&optional[3]);
                }
                Body::Checkpoint { head } => head.clone_from(&texts[5]),
                Body::Counted(counted) => counted.source.clone_from(&optional[4]),
                Body::Recovered(recovered) => recovered.follows.clone_from(&optional[5]),
            }
            let json = record.to_json().unwrap();
            assert_eq!(Record::from_json(&json).unwrap(), record);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in (0..5usize).prop_map(|i| ["judgement", "outcome", "checkpoint", "counted", "recovered"][i])) {
        let _ = Record::from_json(&bytes);
        let mut json = format!(r#"{{"kind":"{kind}","#).into_bytes();
        json.extend(bytes);
        let _ = Record::from_json(&json);
    }
}
