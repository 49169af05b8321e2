//! What `/metrics` says: a process in numbers, in Prometheus' text format. Names, types and labels are promised by
//! `api/metrics.md`; no label has a caller's words in it.

mod text;

use audit::OutcomeResult;
use guard::Clock;
use model::{SourceName, Tier, Time};
use store::{Decisions, Outcomes};

use self::text::{Page, counter, gauge, sample};
use crate::federation::FederationCounts;
use crate::vitals::Seen;

pub use text::CONTENT_TYPE;

/// The page.
pub fn page(seen: &Seen) -> String {
    let mut page = Page::default();
    process(&mut page, seen);
    decisions(&mut page, seen);
    in_force(&mut page, seen);
    ledger(&mut page, seen);
    sources(&mut page, seen);
    federations(&mut page, seen);
    certificates(&mut page, seen);
    page.text()
}

fn process(page: &mut Page, seen: &Seen) {
    page.family(
        gauge("countersign_build_info", "Always 1; the version stands in its label."),
        [sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    );
    page.family(
        gauge("process_start_time_seconds", "When the process was started, in seconds since 1970."),
        [sample(&[], unix(seen.started))],
    );
}

fn decisions(page: &mut Page, seen: &Seen) {
    let written = &seen.ledger.written;
    let decided = |alike: &Decisions| {
        let (code, tier) = (alike.code.as_deref().unwrap_or_default(), alike.tier.as_deref().unwrap_or_default());
        let labels = [("door", &*alike.door), ("decision", &*alike.decision), ("code", code), ("tier", tier)];
        sample(&labels, number(alike.count))
    };
    page.family(
        counter("countersign_decisions_total", "Decisions recorded in full, by door, decision, code and tier."),
        written.decisions.iter().map(decided),
    );
    page.family(
        counter("countersign_counted_total", "Decisions counted instead of recorded one by one, by code."),
        written.counted.iter().map(|(code, count)| sample(&[("code", code.as_str())], number(*count))),
    );
    let ended = |alike: &Outcomes| {
        let labels = [("result", result(alike.result)), ("code", alike.code.as_deref().unwrap_or_default())];
        sample(&labels, number(alike.count))
    };
    page.family(
        counter("countersign_outcomes_total", "What became of what was let through, by result and code."),
        written.outcomes.iter().map(ended),
    );
    page.family(
        counter("countersign_unrecorded_total", "Judgements that the ledger did not take when they were made."),
        [sample(&[], number(seen.ledger.unrecorded))],
    );
}

fn in_force(page: &mut Page, seen: &Seen) {
    page.family(
        gauge("countersign_snapshot_age_seconds", "Since control was last heard to say that this is in force."),
        [sample(&[], seen.age.as_secs_f64())],
    );
    let limits = [
        (Tier::Routine, seen.staleness.routine),
        (Tier::Sensitive, seen.staleness.sensitive),
        (Tier::Critical, seen.staleness.critical),
    ];
    page.family(
        gauge("countersign_snapshot_age_limit_seconds", "From which age on operations of a tier are refused."),
        limits.map(|(tier, limit)| sample(&[("tier", tier.as_str())], limit.as_secs_f64())),
    );
    page.family(
        gauge("countersign_clock_steady", "1, or 0 after the clock jumped and nobody confirmed it."),
        [sample(&[], truth(seen.clock == Clock::Steady))],
    );
    for (name, help, value) in [
        ("countersign_generation", "Generation of what is in force.", seen.generation),
        ("countersign_epoch", "Epoch of what is in force.", seen.epoch),
        ("countersign_revocation_seq", "Number of the last revocation in force.", seen.revocation_seq),
    ] {
        page.family(gauge(name, help), [sample(&[], number(value))]);
    }
}

fn ledger(page: &mut Page, seen: &Seen) {
    let ledger = &seen.ledger;
    page.family(
        counter("countersign_ledger_records_total", "Records written since the start, of every kind."),
        [sample(&[], number(ledger.written.records))],
    );
    for (name, help, value) in [
        (
            "countersign_ledger_unsynced_records",
            "Records written that may not be on the disk yet.",
            ledger.written.unsynced,
        ),
        ("countersign_ledger_waiting_records", "Records that wait to be written.", ledger.waiting as u64),
        (
            "countersign_ledger_open_judgements",
            "Effects under way: let through, without an outcome yet.",
            ledger.open as u64,
        ),
    ] {
        page.family(gauge(name, help), [sample(&[], number(value))]);
    }
    page.family(
        gauge("countersign_ledger_writable", "1, or 0 while the ledger refuses everything."),
        [sample(&[], truth(ledger.writable))],
    );
}

fn sources(page: &mut Page, seen: &Seen) {
    let of = |source: &SourceName, value: f64| sample(&[("source", source.as_str())], value);
    page.family(
        gauge("countersign_key_set_in_force", "1, or 0 where a source has no key set that is young enough."),
        seen.keys.iter().map(|kept| of(&kept.source, truth(kept.age.is_some()))),
    );
    page.family(
        gauge("countersign_key_set_age_seconds", "Since the key set in force was fetched."),
        seen.keys.iter().filter_map(|kept| Some(of(&kept.source, kept.age?.as_secs_f64()))),
    );
    page.family(
        counter("countersign_key_set_fetches_total", "Fetches of a key set."),
        seen.keys.iter().map(|kept| of(&kept.source, number(kept.fetches))),
    );
    page.family(
        counter("countersign_key_set_fetch_failures_total", "Fetches that brought no key set."),
        seen.keys.iter().map(|kept| of(&kept.source, number(kept.failures))),
    );
    page.family(
        counter("countersign_credential_cache_hits_total", "Credentials that were verified before."),
        seen.memos.iter().map(|memo| of(&memo.source, number(memo.hits))),
    );
    page.family(
        counter("countersign_credential_cache_misses_total", "Credentials that were not remembered."),
        seen.memos.iter().map(|memo| of(&memo.source, number(memo.misses))),
    );
}

fn federations(page: &mut Page, seen: &Seen) {
    let of = |one: &FederationCounts, value: f64| sample(&[("trust_domain", one.domain.as_str())], value);
    let all = || seen.federations.iter();
    page.family(
        gauge(
            "countersign_federation_bundle_known",
            "1, or 0 where nobody of a federated trust domain is trusted yet.",
        ),
        all().map(|one| of(one, truth(one.is_known))),
    );
    page.family(
        gauge(
            "countersign_federation_bundle_age_seconds",
            "Since the bundle of a federated trust domain was last had.",
        ),
        all().filter_map(|one| Some(of(one, one.age?.as_secs_f64()))),
    );
    page.family(
        counter("countersign_federation_fetches_total", "Fetches of the bundle of a federated trust domain."),
        all().map(|one| of(one, number(one.fetches))),
    );
    page.family(
        counter("countersign_federation_fetch_failures_total", "Fetches that brought no bundle that is taken."),
        all().map(|one| of(one, number(one.failures))),
    );
}

fn certificates(page: &mut Page, seen: &Seen) {
    let ends = [("svid", seen.svid_ends), ("authority", seen.authority_ends)];
    page.family(
        gauge("countersign_certificate_expiry_seconds", "Until a certificate ends; below zero once it has."),
        ends.into_iter().filter_map(|(name, end)| Some(sample(&[("certificate", name)], unix(end?) - unix(seen.at)))),
    );
}

const fn result(result: OutcomeResult) -> &'static str {
    match result {
        OutcomeResult::Delivered => "delivered",
        OutcomeResult::Answered => "answered",
        OutcomeResult::Failed => "failed",
        OutcomeResult::Unknown => "unknown",
    }
}

/// Counts beyond 2^53 lose their last digits; none of these comes near.
#[expect(clippy::cast_precision_loss, reason = "Prometheus' own numbers are doubles")]
const fn number(count: u64) -> f64 {
    count as f64
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Seconds since 1970.
fn unix(time: Time) -> f64 {
    let epoch = Time::from_unix_seconds(0);
    time.since(epoch).as_secs_f64() - epoch.since(time).as_secs_f64()
}

#[cfg(test)]
mod tests;
