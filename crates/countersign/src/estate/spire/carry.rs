//! One entry → one registration, its nodes aside; and what of the entry a registration cannot say.

use std::time::Duration;

use model::{Selector, Selectors, SpiffeId, Time, TrustDomain};

use super::super::registrations::{MAX_HINT, MAX_HOSTS, MAX_TTL, Registration, id_problem, is_host};
use super::entry::{Entry, Integer};

/// Types of selectors that are attested of workloads, and the names of each.
const ATTESTED: &[(&str, &[&str])] = &[
    ("unix", &["uid", "user", "gid", "group", "supplementary_gid", "supplementary_group", "path", "sha256"]),
    ("docker", &["label", "env", "image_id", "image_config_digest"]),
    (
        "k8s",
        &[
            "ns",
            "sa",
            "pod-name",
            "pod-uid",
            "node-name",
            "pod-label",
            "pod-owner",
            "pod-owner-uid",
            "container-name",
            "container-image",
            "pod-image",
            "pod-init-image",
            "pod-image-count",
            "pod-init-image-count",
        ],
    ),
    ("systemd", &["id"]),
];

/// A registration whose nodes are to be said, and what it does not say.
pub(super) struct Carried {
    pub registration: Registration,
    pub lost: Vec<String>,
}

/// Carries an entry.
///
/// # Errors
/// Why it is not carried.
pub(super) fn carry(entry: &Entry, id: &SpiffeId) -> Result<Carried, String> {
    let template = id.as_str().parse().map_err(|why| format!("its SPIFFE ID is none: {why}"))?;
    if let Some(problem) = id_problem(&template, id) {
        return Err(problem);
    }
    if entry.store_svid {
        return Err("`store_svid`: its SVID is put into a store outside, and no workload has it".to_owned());
    }
    let selectors = selectors(entry)?;
    if let Some(unattested) = selectors.iter().find(|selector| !is_attested(selector)) {
        return Err(format!("nothing attests its selector `{unattested}`, and without that it would be given to more"));
    }
    let mut lost = Vec::new();
    let registration = Registration {
        // names are given once all are known
        name: String::new(),
        id: template,
        nodes: Box::default(),
        selectors: selectors.into_iter().collect(),
        x509_ttl: ttl(entry.x509_svid_ttl, "x509_svid_ttl", &mut lost)?,
        jwt_ttl: ttl(entry.jwt_svid_ttl, "jwt_svid_ttl", &mut lost)?,
        dns_names: hosts(&entry.dns_names, &mut lost),
        hint: hint(&entry.hint, &mut lost),
        federates_with: others(&entry.federates_with, &mut lost),
        expires: expires(entry.expires_at)?,
        downstream: entry.downstream,
    };
    lost.extend(rights(entry));
    Ok(Carried { registration, lost })
}

/// The selectors of an entry.
///
/// # Errors
/// Where one is none, or there are none.
pub(super) fn selectors(entry: &Entry) -> Result<Selectors, String> {
    let mut selectors = Selectors::new();
    for one in &entry.selectors {
        let text = format!("{}:{}", one.kind, one.value);
        let selector: Selector = text.parse().map_err(|why| format!("its selector `{text}` is none here: {why}"))?;
        if text.contains("${DEV_") {
            return Err(format!("its selector `{text}` would be read as a place of `dev`"));
        }
        selectors.insert(selector);
    }
    if selectors.is_empty() { Err("it has no selectors".to_owned()) } else { Ok(selectors) }
}

fn is_attested(selector: &Selector) -> bool {
    let Some((kind, value)) = selector.as_str().split_once(':') else { return false };
    let Some((_, names)) = ATTESTED.iter().find(|(attested, _)| *attested == kind) else { return false };
    value.split_once(':').is_some_and(|(name, value)| names.contains(&name) && !value.is_empty())
}

/// How long an SVID lives; none where SPIRE's default holds.
fn ttl(Integer(seconds): Integer, field: &str, lost: &mut Vec<String>) -> Result<Option<Duration>, String> {
    let seconds = u64::try_from(seconds).or(Err(format!("`{field}` is negative")))?;
    let asked = Duration::from_secs(seconds);
    if asked > MAX_TTL {
        lost.push(format!("`{field}`: 24h instead of {seconds}s, for no SVID lives longer here"));
    }
    Ok(Some(asked.min(MAX_TTL)).filter(|ttl| !ttl.is_zero()))
}

fn hosts(names: &[String], lost: &mut Vec<String>) -> Vec<String> {
    let mut hosts = Vec::new();
    for name in names {
        if !is_host(name) {
            lost.push(format!(
                "`dns_names`: `{name}` is not carried, for it has other than labels of letters, digits and `-`"
            ));
        } else if hosts.len() == MAX_HOSTS {
            lost.push(format!("`dns_names`: `{name}` is not carried, for an SVID has at most {MAX_HOSTS}"));
        } else {
            hosts.push(name.clone());
        }
    }
    hosts
}

fn hint(hint: &str, lost: &mut Vec<String>) -> String {
    let blank = hint.trim().is_empty();
    let sound = hint.len() <= MAX_HINT && !hint.chars().any(char::is_control) && !hint.contains("${DEV_");
    if sound && !blank {
        return hint.to_owned();
    }
    if !hint.is_empty() {
        lost.push(format!(
            "`hint` is not carried: it is blank, or has control characters, `${{DEV_` or more than {MAX_HINT} bytes"
        ));
    }
    String::new()
}

fn others(names: &[String], lost: &mut Vec<String>) -> Vec<TrustDomain> {
    let mut domains = Vec::new();
    for name in names {
        match name.strip_prefix("spiffe://").unwrap_or(name).parse::<TrustDomain>() {
            Ok(domain) => domains.push(domain),
            Err(why) => lost.push(format!("`federates_with`: `{name}` is not carried: {why}")),
        }
    }
    domains.sort();
    domains.dedup();
    domains
}

fn expires(Integer(seconds): Integer) -> Result<Option<Time>, String> {
    if seconds == 0 {
        return Ok(None);
    }
    let time = Time::from_unix_seconds(seconds);
    // what no calendar has cannot be written down either
    let written = seconds > 0 && time.as_micros() / 1_000_000 == seconds && time.to_string().parse() == Ok(time);
    if written { Ok(Some(time)) } else { Err(format!("`expires_at`: {seconds} is no time that can be written")) }
}

/// What an entry gives beyond its SVID is not given here by a registration.
pub(super) fn rights(entry: &Entry) -> Vec<String> {
    let mut lost = Vec::new();
    if entry.admin {
        lost.push(
            "`admin` is not carried: who may operate Countersign is said in its settings and policies".to_owned(),
        );
    }
    if entry.downstream {
        let message =
            "`downstream`: a control plane below has authorities signed once a Principal of the estate has its id";
        lost.push(message.to_owned());
    }
    if entry.attributes.jwt_svid_include_jti {
        let message =
            "`jwt_svid_include_jti`: every JWT-SVID has a `jti`, but one is handed out until half of its life is over";
        lost.push(message.to_owned());
    }
    for field in entry.others.keys().chain(entry.attributes.others.keys()) {
        lost.push(format!("`{field}` is a field that is not known here, and not carried"));
    }
    lost
}
