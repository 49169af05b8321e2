//! What is live, for those who look.

use credential::Standing;
use guard::Clock;
use model::Time;
use serde_json::{Value, json};

use crate::epochs::listed;
use crate::keys::KeyCounts;
use crate::live::Live;
use crate::vitals::Seen;

/// Kinds that [`get`] knows beside those of documents.
const REVOCATIONS: &str = "revocations";

/// What this server is deciding by.
pub(super) fn status(live: &Live, at: Time) -> Value {
    let snapshot = &live.snapshot;
    let revocations = snapshot.sources.revocations();
    json!({
        "time": at.to_string(),
        "trust_domain": live.domain.as_ref().map(ToString::to_string),
        "generation": snapshot.generation.0,
        "epoch": snapshot.epoch.0,
        "snapshot": format!("sha256:{}", snapshot.digest),
        "keys": format!("sha256:{}", snapshot.keys),
        "revocation_seq": revocations.seq(),
        "revoked": revocations.entries().filter(|(.., standing)| *standing == Standing::Revoked).count(),
        "documents": live.about.documents.len(),
        "sources": snapshot.sources.memo_counts().iter().map(|counts| json!({
            "source": counts.source.as_str(), "cache_hits": counts.hits, "cache_misses": counts.misses,
        })).collect::<Vec<_>>(),
    })
}

/// How the process is, and the planes that follow it.
pub(super) fn detail(seen: &Seen, planes: &Value, overdue: Value) -> Value {
    let key_set = |kept: &KeyCounts| {
        json!({
            "source": kept.source.as_str(),
            "age_seconds": kept.age.map(|age| age.as_secs()),
            "fetches": kept.fetches,
            "failures": kept.failures,
            "failing": kept.failing,
        })
    };
    let Seen { ledger, staleness, .. } = seen;
    let ends = |end: Option<Time>| end.map(|end| end.to_string());
    json!({
        "started": seen.started.to_string(),
        "age_seconds": seen.age.as_secs(),
        "staleness_seconds": {
            "routine": staleness.routine.as_secs(),
            "sensitive": staleness.sensitive.as_secs(),
            "critical": staleness.critical.as_secs(),
        },
        "clock": match seen.clock { Clock::Steady => "steady", Clock::Jumped => "jumped" },
        "svid_ends": ends(seen.svid_ends),
        "authority_ends": ends(seen.authority_ends),
        "authorities_overdue": overdue,
        "ledger": {
            "records": ledger.written.records,
            "unsynced": ledger.written.unsynced,
            "waiting": ledger.waiting,
            "open": ledger.open,
            "unrecorded": ledger.unrecorded,
            "writable": ledger.writable,
        },
        "key_sets": seen.keys.iter().map(key_set).collect::<Vec<_>>(),
        "planes": planes.get("items"),
    })
}

/// Names of what is live, of one kind; `None` for a kind that there is not.
pub(super) fn get(live: &Live, kind: &str) -> Option<Value> {
    if kind.eq_ignore_ascii_case(REVOCATIONS) {
        return Some(json!({"kind": REVOCATIONS, "items": listed(live.snapshot.sources.revocations())}));
    }
    let known = crate::estate::kinds().find(|known| is_named(known, kind))?;
    let items: Vec<Value> = live
        .about
        .documents
        .iter()
        .filter(|((kind, _), _)| kind == known)
        .map(|((_, name), digest)| {
            let id = live.about.principals.get(name).filter(|_| known == "Principal").map(ToString::to_string);
            json!({"name": name, "id": id, "digest": format!("sha256:{digest}")})
        })
        .collect();
    Some(json!({"kind": known, "items": items}))
}

pub(super) fn no_kind(kind: &str) -> String {
    let known: Vec<_> = crate::estate::kinds().chain([REVOCATIONS]).collect();
    format!("`{}` is no kind; there are {}", kind.escape_debug(), known.join(", "))
}

/// As it is written in documents, or as people say it: in lower case, one or several.
fn is_named(known: &str, asked: &str) -> bool {
    let asked = asked.to_ascii_lowercase();
    let known = known.to_ascii_lowercase();
    let plural = known.strip_suffix('y').map_or_else(|| format!("{known}s"), |stem| format!("{stem}ies"));
    asked == known || asked == plural || asked == format!("{known}es")
}
