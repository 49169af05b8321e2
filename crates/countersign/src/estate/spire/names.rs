//! Names of registrations, from the paths of their ids: the same for the same entries.

use std::collections::{BTreeMap, BTreeSet};

use super::super::registrations::Registration;

/// Longest name that is made of a path, in bytes: a number has room behind it.
const MAX: usize = 240;

/// Names registrations, in order of what they come of, and orders them by their names.
pub(super) fn name(carried: Vec<(Registration, String)>) -> Vec<(Registration, String)> {
    let made: Vec<String> = carried.iter().map(|(one, _)| readable(path(one.id.as_str()))).collect();
    let mut taken: BTreeSet<String> = made.iter().cloned().collect();
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named = Vec::with_capacity(carried.len());
    for ((registration, entry), made) in carried.into_iter().zip(&made) {
        let count = given.entry(made).or_default();
        *count += 1;
        let mut name = made.clone();
        // the first of its name has it alone
        while *count > 1 {
            name = format!("{made}-{count}");
            if taken.insert(name.clone()) {
                break;
            }
            *count += 1;
        }
        named.push((Registration { name, ..registration }, entry));
    }
    named.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    named
}

/// What follows the trust domain.
fn path(id: &str) -> &str {
    id.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path)
}

/// `ns/billing/sa/web` → `ns.billing.sa.web`.
fn readable(path: &str) -> String {
    let plain = |byte: u8| match byte {
        b'/' => '.',
        b'.' | b'0'..=b'9' | b'a'..=b'z' => char::from(byte),
        b'A'..=b'Z' => char::from(byte.to_ascii_lowercase()),
        _ => '-',
    };
    let made: String = path.bytes().map(plain).take(MAX).collect();
    let made = made.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if made.is_empty() { "entry".to_owned() } else { made.to_owned() }
}
