//! SPIFFE_Trust_Domain_and_Bundle.md: what a trust domain publishes, and whose authorities are whose.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::CLIENT;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::read::certificate::sequence;
use crate::read::id::domain_id;
use crate::read::jwk::{Jwk, keys_of, label, member};
use crate::seen::{Answer, Seen};
use crate::verdict::{Against, Judged, broken, demand, every, unseen};

/// Uses that are defined (§4.2.2, WIT-SVID.md §6.1).
const USES: [&str; 3] = ["x509-svid", "jwt-svid", "wit-svid"];

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::Bundle, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(51, "§4.1", "a bundle is understood without parameters that the standard does not have", Outside(CLIENT)),
    line(52, "§4.1.1", "`spiffe_sequence`, where it stands, is a whole number", By(sequence_number)),
    line(53, "§4.1.2", "`spiffe_refresh_hint`, where it stands, is a whole number of seconds", By(refresh_hint)),
    line(54, "§4.1.3", "`keys` is there, if only empty", By(keys_present)),
    line(55, "§4.2", "each entry has a `kty`, and a `use` in the standard's letters", By(uses)),
    line(56, "§4.1.3", "under an empty bundle every SVID of the trust domain is invalid", Outside(CLIENT)),
    line(57, "§3", "bundles are kept apart: none has an authority of another trust domain", By(not_pooled)),
    line(58, "§5.1.1", "a bundle map has `trust_domains`, each a bundle", By(map)),
    line(59, "§5.1.1", "refresh hints inside a bundle map are ignored", Outside(CLIENT)),
];

/// The document, where it is the bundle of one trust domain.
fn bundle(seen: &Seen) -> Result<Value, Against> {
    let document = seen.published()?;
    match document.get("trust_domains") {
        Some(_) => unseen("the document is a bundle map"),
        None => Ok(document),
    }
}

/// Keys of one use that the endpoint publishes.
pub(super) fn published_keys(seen: &Seen, wanted: &str) -> Result<Vec<Jwk>, Against> {
    match keys_of(&bundle(seen)?) {
        Ok(keys) => Ok(keys.into_iter().filter(|key| member(key, "use") == Some(wanted)).collect()),
        Err(why) => unseen(format!("the document has no entries: {why}")),
    }
}

fn whole_number(seen: &Seen, name: &str) -> Judged {
    match bundle(seen)?.get(name) {
        None => unseen("it does not stand there, and need not"),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        Some(other) => broken(other.to_string()),
    }
}

fn sequence_number(seen: &Seen) -> Judged {
    whole_number(seen, "spiffe_sequence")
}

fn refresh_hint(seen: &Seen) -> Judged {
    whole_number(seen, "spiffe_refresh_hint")
}

fn keys_present(seen: &Seen) -> Judged {
    match keys_of(&bundle(seen)?) {
        Ok(keys) => Ok(format!("{} entries", keys.len())),
        Err(why) => broken(why),
    }
}

fn uses(seen: &Seen) -> Judged {
    let Ok(keys) = keys_of(&bundle(seen)?) else { return unseen("the document has no entries") };
    every("entry", keys.iter().map(|key| (label(key), key)), |key| {
        demand(member(key, "kty").is_some(), || "no `kty`: the entry is ignored".to_owned())?;
        let usage = member(key, "use").ok_or("no `use`: the entry is ignored")?;
        let misspelt = USES.iter().any(|known| known.eq_ignore_ascii_case(usage) && *known != usage);
        demand(!misspelt, || format!("`use` is `{usage}`: the entry is ignored"))
    })
}

/// Two trust domains may stand under one root (X509-SVID.md §3.2). An authority that says whose it is, and stands in that
/// trust domain's bundle, has no place in another's.
fn not_pooled(seen: &Seen) -> Judged {
    let bundles = bundles(seen)?;
    let mut held: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (domain, document) in &bundles {
        let authorities = sequence(document).unwrap_or_default().into_iter().map(|it| it.der);
        held.entry(domain).or_default().extend(authorities);
    }
    let named = bundles.iter().map(|(domain, document)| (domain.clone(), (domain, document)));
    every("bundle", named, |(domain, document)| {
        for authority in sequence(document).unwrap_or_default() {
            let owner = authority.only_uri().map(domain_id).filter(|owner| owner != *domain);
            let foreign = owner.filter(|owner| held.get(owner.as_str()).is_some_and(|it| it.contains(&authority.der)));
            if let Some(foreign) = foreign {
                return Err(format!("it has an authority of {foreign}"));
            }
        }
        Ok(())
    })
}

/// Every X.509 bundle that was handed out, by the trust domain whose it should be.
fn bundles(seen: &Seen) -> Result<Vec<(String, Vec<u8>)>, Against> {
    let messages = seen.x509.first.said("FetchX509SVID")?;
    let mut found = Vec::new();
    let mut add = |id: &str, document: &[u8]| found.push((domain_id(id), document.to_vec()));
    for message in messages.iter().take(1) {
        message.svids.iter().for_each(|svid| add(&svid.spiffe_id, &svid.bundle));
        message.federated_bundles.iter().for_each(|(id, document)| add(id, document));
    }
    if let Answer::Said(messages) = &seen.x509_bundles.first {
        messages.iter().take(1).flat_map(|message| &message.bundles).for_each(|(id, document)| add(id, document));
    }
    Ok(found)
}

fn map(seen: &Seen) -> Judged {
    let document = seen.published()?;
    let Some(domains) = document.get("trust_domains") else {
        return unseen("the document is the bundle of one trust domain");
    };
    let Some(domains) = domains.as_object() else { return broken("`trust_domains` is no object") };
    every("bundle", domains.iter().map(|(name, bundle)| (name.clone(), bundle)), |bundle| keys_of(bundle).map(drop))
}
