//! The flow: presented → verify → resolve → decide → record → permit.

use audit::{Ledger, Urgency};
use credential::{Presented, Proofs, Refused};
use identity::{Caller, Unresolved};
use model::{Code, Tier, Time};
use policy::{Denial, Grant};

use crate::asked::{Asked, Call, Errand, NoRoom};
use crate::freshness::Freshness;
use crate::permit::{Permit, Refusal};
use crate::record;
use crate::snapshot::Snapshot;

/// How a call ended, and with what in hand.
#[derive(Debug)]
pub enum Verdict {
    Unfit(Code),
    Unproved(Box<Refused>),
    Unresolved(Box<Proofs>, Unresolved),
    Unmapped(Caller, Code),
    Denied(Caller, Box<Denial>),
    /// The policies would permit; what they were read from is too old for it.
    Stale(Caller, Box<Grant>, String),
    /// The policies let the call through, and the door has no room for it.
    Overloaded(Caller, Box<Grant>),
    Granted(Caller, Box<Grant>),
}

/// The end of every path through the two gates. Refusals too can be recorded.
#[derive(Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    pub at: Time,
}

/// Judges a call: pure and total. `at` is the instant at which the request's head was complete.
pub fn judge<E>(
    snapshot: &Snapshot,
    presented: &Presented<'_>,
    asked: &Asked<E>,
    freshness: Freshness,
    at: Time,
) -> Judgement {
    Judgement { verdict: verdict(snapshot, presented, asked, freshness, at), at }
}

fn verdict<E>(
    snapshot: &Snapshot,
    presented: &Presented<'_>,
    asked: &Asked<E>,
    freshness: Freshness,
    at: Time,
) -> Verdict {
    if let Asked::Unfit(code) = asked {
        return Verdict::Unfit(*code);
    }
    let proofs = match credential::verify(&snapshot.sources, presented, at) {
        Ok(proofs) => proofs,
        Err(refused) => return Verdict::Unproved(refused),
    };
    let revocations = snapshot.sources.revocations();
    let caller = match identity::resolve(&snapshot.directory, revocations, &proofs, asked.access(), at) {
        Ok(caller) => caller,
        Err(unresolved) => return Verdict::Unresolved(Box::new(proofs), unresolved),
    };
    let question = match asked {
        Asked::Operation(operation) => &operation.question,
        Asked::Unmapped { code, .. } | Asked::Unfit(code) => return Verdict::Unmapped(caller, *code),
    };
    match policy::decide(&snapshot.engine, &caller, question, at) {
        Ok(grant) => match freshness.refuses(snapshot.staleness, grant.tier()) {
            Some(why) => Verdict::Stale(caller, Box::new(grant), why),
            None => Verdict::Granted(caller, Box::new(grant)),
        },
        Err(denial) => Verdict::Denied(caller, Box::new(denial)),
    }
}

/// Judges a call, records the judgement, and only then lets it through.
///
/// # Errors
/// [`Refusal`] if either gate refuses, if there is no room, or if the judgement cannot be recorded.
pub async fn admit<E: Errand, L: Ledger>(
    snapshot: &Snapshot,
    ledger: &L,
    call: &Call,
    presented: &Presented<'_>,
    mut asked: Asked<E>,
    at: Time,
) -> Result<Permit<E, L::Slot>, Refusal> {
    let judgement = with_room(judge(snapshot, presented, &asked, call.freshness, at), &mut asked);
    let entry = || logged(call, record::judgement(snapshot, call, &asked, &judgement));
    if let Some(stranger) = judgement.verdict.stranger() {
        let recorded = ledger.record_or_count(stranger, call.id, at, entry).await;
        return Err(Refusal::recorded(recorded.map_err(Refusal::unrecorded)?, &judgement.verdict));
    }
    let entry = entry();
    let (caller, grant, operation) = match (judgement.verdict, asked) {
        (Verdict::Granted(caller, grant), Asked::Operation(operation)) => (caller, *grant, operation),
        (verdict, _) => {
            ledger.record(entry, at).await.map_err(Refusal::unrecorded)?;
            return Err(Refusal::recorded(call.id, &verdict));
        }
    };
    let urgency = match grant.tier() {
        Tier::Routine if !operation.errand.lasts() => Urgency::Routine,
        Tier::Routine | Tier::Sensitive | Tier::Critical => Urgency::Durable,
    };
    let slot = ledger.open(entry, at, urgency).await.map_err(Refusal::unrecorded)?;
    Ok(Permit::earned(call.id, caller, grant, operation.errand, slot, at))
}

/// What the policies let through needs room at its door as well.
fn with_room<E: Errand>(judgement: Judgement, asked: &mut Asked<E>) -> Judgement {
    let Judgement { verdict, at } = judgement;
    let verdict = match (verdict, asked) {
        (Verdict::Granted(caller, grant), Asked::Operation(operation)) => {
            match operation.errand.take_room(&caller.resolution().actor.id) {
                Ok(()) => Verdict::Granted(caller, grant),
                Err(NoRoom) => Verdict::Overloaded(caller, grant),
            }
        }
        (verdict, _) => verdict,
    };
    Judgement { verdict, at }
}

/// The one place where a decision is logged. What is only counted is logged by whoever writes the counters.
fn logged(call: &Call, entry: audit::Judgement) -> audit::Judgement {
    let verdict = entry.verdicts.first();
    tracing::info!(
        record = %call.id,
        door = call.door,
        operation = call.operation,
        principal = entry.principal.as_ref().map(|principal| principal.id.as_str()),
        decision = verdict.map(|verdict| verdict.decision.as_str()),
        code = verdict.and_then(|verdict| verdict.code.as_deref()),
        "judged"
    );
    entry
}
