//! One body of each kind, every field different from its neighbours.

use crate::record::{
    Body, Context, Counted, Inputs, Judgement, Outcome, OutcomeResult, Presented, Principal, Record, Recovered, Stamp,
    Verdict,
};

pub(super) fn stamped(body: Body) -> Record {
    let stamp = Stamp {
        writer: "w-0a1b2c3d".to_owned(),
        seq: 7,
        prev: "ab".repeat(32),
        time: "2027-01-02T03:04:05.000006Z".to_owned(),
    };
    Record { stamp, body }
}

pub(super) fn all() -> Vec<Body> {
    vec![judgement(), outcome(), Body::Checkpoint { head: "ab".repeat(32) }, counted(), recovered()]
}

pub(super) fn judgement() -> Body {
    let principal = Principal {
        id: "spiffe://prod.acme.test/ci/billing".to_owned(),
        kind: "Job".to_owned(),
        owner: "team-billing".to_owned(),
    };
    let presented = Presented {
        source: Some("github".to_owned()),
        kind: "jwt".to_owned(),
        binding: "bearer".to_owned(),
        credential_id: Some("jti-1".to_owned()),
        digest: "sha256:aa".to_owned(),
        issued: Some("2027-01-02T03:00:00.000000Z".to_owned()),
        expires: Some("2027-01-02T03:10:00.000000Z".to_owned()),
        until: Some("2027-01-02T03:10:00.000000Z".to_owned()),
        key: Some(vec!["9001".to_owned(), "4711".to_owned()]),
        facts: vec!["protected_ref".to_owned()],
        display: vec![("repository".to_owned(), "acme/billing".to_owned())],
        key_id: Some("k1".to_owned()),
        key_thumbprint: Some("cc".to_owned()),
        refused: None,
    };
    let verdict = Verdict {
        action: Some("read".to_owned()),
        resource: Some("billing/invoices".to_owned()),
        tier: Some("routine".to_owned()),
        decision: "allow".to_owned(),
        layer: None,
        code: None,
        reason: None,
        policies: vec!["ci-reads".to_owned()],
        missing: Vec::new(),
        obligations: Vec::new(),
    };
    let context = Context {
        service: Some("billing-api".to_owned()),
        public: false,
        params: vec![("invoice".to_owned(), "1".to_owned())],
    };
    Body::Judgement(Box::new(Judgement {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        trace_id: "fedcba9876543210fedcba9876543210".to_owned(),
        door: "gateway".to_owned(),
        protocol: Some("http".to_owned()),
        operation: Some("GET /invoices/{invoice}".to_owned()),
        presented: vec![presented],
        principal: Some(principal),
        subject: None,
        actors: Vec::new(),
        verdicts: vec![verdict],
        evidence: vec!["protected_ref".to_owned()],
        generation: 1,
        epoch: 2,
        revocation_seq: 3,
        inputs: Inputs { snapshot: "sha256:dd".to_owned(), keys: "sha256:ee".to_owned(), context },
        deadline: Some("2027-01-02T03:05:00.000000Z".to_owned()),
    }))
}

pub(super) fn outcome() -> Body {
    Body::Outcome(Outcome {
        of: "0123456789abcdef0123456789abcdef".to_owned(),
        result: OutcomeResult::Delivered,
        status: Some(200),
        code: None,
        bytes_in: Some(0),
        bytes_out: Some(41),
        micros: Some(1234),
    })
}

pub(super) fn counted() -> Body {
    Body::Counted(Counted {
        id: "00000000000000000000000000000001".to_owned(),
        source: Some("127.0.0.1".to_owned()),
        code: "ledger_unavailable".to_owned(),
        first: "2027-01-02T03:04:05.000001Z".to_owned(),
        last: "2027-01-02T03:04:05.000005Z".to_owned(),
        count: 9,
    })
}

pub(super) fn recovered() -> Body {
    Body::Recovered(Recovered { cut_bytes: 12, open: 2, follows: None })
}
