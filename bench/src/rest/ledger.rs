//! How many records a second the ledger takes in, and how long whoever waits for one waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Context, Inputs, Judgement, Ledger, Outcome, OutcomeResult, Presented, Principal, Slot, Urgency, Verdict};
use model::Time;
use store::{FileLedger, Options};

/// Who ask at the same time.
const CALLERS: u64 = 64;
const AT: Time = Time::from_unix_seconds(1_800_000_000);
const HEAD: &str = "| ledger | judgements with outcomes | a second | p50 | p99 |\n|---|---:|---:|---:|---:|";

/// Each caller asks so often, for routine and for durable records.
pub async fn table(dir: &Path, routine: u64, durable: u64) {
    println!("\n{HEAD}");
    println!("{}", row(dir, "routine", Urgency::Routine, routine).await);
    println!("{}", row(dir, "durable: synced first", Urgency::Durable, durable).await);
    let begun = Instant::now();
    let verification = store::verify(dir, None).expect("a ledger");
    assert!(verification.ok, "{:?}", verification.fault);
    let records: u64 = verification.through.values().sum();
    println!("\nVerified offline: {records} records in {:.1} s.", begun.elapsed().as_secs_f64());
}

async fn row(dir: &Path, name: &str, urgency: Urgency, calls: u64) -> String {
    let (ledger, _) =
        FileLedger::start(dir, Options { segment_bytes: 16 << 20, ..Options::default() }).expect("a ledger");
    let ledger = Arc::new(ledger);
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let ledger = Arc::clone(&ledger);
        callers.spawn(async move {
            let mut waits = Vec::new();
            for call in 0..calls {
                let asked = Instant::now();
                let slot = ledger.open(judgement(caller, call), AT, urgency).await.expect("room and a disk");
                waits.push(asked.elapsed());
                slot.settle(outcome(call), AT);
            }
            waits
        });
    }
    let mut waits: Vec<Duration> = Vec::new();
    while let Some(joined) = callers.join_next().await {
        waits.extend(joined.expect("a caller"));
    }
    let took = begun.elapsed();
    ledger.close().await;
    waits.sort_unstable();
    let rate = waits.len() as f64 / took.as_secs_f64();
    let millis = |part: usize| format!("{:.2} ms", waits[waits.len() * part / 100].as_secs_f64() * 1e3);
    format!("| {name} | {} | {rate:.0} | {} | {} |", waits.len(), millis(50), millis(99))
}

/// Ids look random, as real ones are.
fn id(caller: u64, call: u64) -> String {
    let mixed = (caller << 32 | call).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{:016x}", mixed.rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

fn outcome(call: u64) -> Outcome {
    Outcome {
        of: String::new(),
        result: OutcomeResult::Delivered,
        status: Some(200),
        code: None,
        bytes_in: Some(0),
        bytes_out: Some(40 + call % 100),
        micros: Some(900 + call % 777),
    }
}

fn judgement(caller: u64, call: u64) -> Judgement {
    let time = || Some("2027-01-15T08:00:00.000000Z".to_owned());
    let presented = Presented {
        source: Some("github".to_owned()),
        kind: "jwt".to_owned(),
        binding: "bearer".to_owned(),
        credential_id: Some(id(caller, call / 50)),
        digest: format!("sha256:{}{}", id(caller, call / 50), id(caller + 9, call / 50)),
        issued: time(),
        expires: time(),
        until: time(),
        key: Some(vec!["9001".to_owned(), "4711".to_owned()]),
        facts: vec!["protected_ref".to_owned()],
        display: vec![("repository".to_owned(), "acme/billing".to_owned())],
        key_id: None,
        key_thumbprint: Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".to_owned()),
        refused: None,
    };
    let principal = Principal {
        id: "spiffe://prod.acme.test/ci/billing".to_owned(),
        kind: "Job".to_owned(),
        owner: "team-billing".to_owned(),
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
        params: vec![("invoice".to_owned(), (call % 1000).to_string())],
    };
    Judgement {
        id: id(caller, call),
        trace_id: id(caller + 1, call),
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
        epoch: 7,
        revocation_seq: 0,
        inputs: Inputs {
            snapshot: format!("sha256:{}{}", id(1, 1), id(1, 2)),
            keys: format!("sha256:{}{}", id(1, 3), id(1, 4)),
            context,
        },
        deadline: time(),
    }
}
