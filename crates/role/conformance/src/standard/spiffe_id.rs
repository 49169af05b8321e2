//! SPIFFE-ID.md: how a SPIFFE ID is written. Each fault of a text is reported by one line alone.

use super::CLIENT;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::read::id::Parts;
use crate::seen::Seen;
use crate::verdict::{Judged, demand, every, shown};

/// Longest SPIFFE ID, and longest name of a trust domain, in bytes (§2.3).
const MAX_ID: usize = 2048;
const MAX_DOMAIN: usize = 255;

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::SpiffeId, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(1, "§2", "the scheme is `spiffe`, there is a trust domain, and neither query nor fragment", By(shape)),
    line(2, "§2.1", "a SPIFFE ID has neither user nor port", By(authority)),
    line(3, "§2.1", "a trust domain is in lower case", By(lower_case)),
    line(4, "§2.1", "a trust domain has only letters, digits, `.`, `-` and `_`", By(domain_alphabet)),
    line(5, "§2.1", "nothing in a trust domain is percent-encoded", By(domain_percent)),
    line(6, "§2.1", "a trust domain that looks like an address is a name like any other", Outside(CLIENT)),
    line(7, "§2.2", "nothing in a path is percent-encoded", By(path_percent)),
    line(8, "§2.2", "no segment of a path is empty, `.` or `..`", By(segments)),
    line(9, "§2.2", "a path does not end in `/`", By(trailing)),
    line(10, "§2.2", "a segment has only letters, digits, `.`, `-` and `_`", By(path_alphabet)),
    line(11, "§2.3", "a SPIFFE ID has at most 2048 bytes, its trust domain at most 255", By(length)),
    line(12, "§2.4", "paths that differ in case are different SPIFFE IDs", By(case)),
    line(
        13,
        "§3.1",
        "a trust domain's signing authority has an SVID of its own",
        Outside("advice and not a demand; what such an SVID must not be is line 20"),
    ),
    line(
        14,
        "§3.2",
        "the SPIFFE ID and the public key lie inside what is signed",
        Outside("the formats of X.509 and JWT leave no other place"),
    ),
    line(15, "§3.3", "only documents that a specification defines count as SVIDs", Outside(CLIENT)),
];

fn on_each(seen: &Seen, judge: impl Fn(&str, Parts<'_>) -> Result<(), String>) -> Judged {
    let ids = seen.ids();
    let named = ids.iter().map(|(id, places)| {
        let places: Vec<&str> = places.iter().copied().collect();
        (format!("{} (in {})", shown(id), places.join(", ")), id.as_str())
    });
    every("SPIFFE ID", named, |id| judge(id, Parts::of(id)))
}

fn shape(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| {
        demand(parts.has_scheme, || "the scheme is not `spiffe`".to_owned())?;
        demand(!parts.domain().is_empty(), || "no trust domain".to_owned())?;
        demand(!parts.has_query, || "a query".to_owned())?;
        demand(!parts.has_fragment, || "a fragment".to_owned())
    })
}

fn authority(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| demand(!parts.authority.contains(['@', ':']), || format!("`{}`", shown(parts.authority))))
}

fn lower_case(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| {
        demand(!parts.domain().contains(|letter: char| letter.is_ascii_uppercase()), || {
            format!("`{}`", shown(parts.domain()))
        })
    })
}

fn domain_alphabet(seen: &Seen) -> Judged {
    // upper case and `%` are lines of their own
    let strange = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '%'));
    on_each(seen, |_, parts| match parts.domain().chars().find(|letter| strange(*letter)) {
        Some(found) => Err(format!("`{}`", found.escape_debug())),
        None => Ok(()),
    })
}

fn domain_percent(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| demand(!parts.domain().contains('%'), || format!("`{}`", shown(parts.domain()))))
}

fn path_percent(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| demand(!parts.path.contains('%'), || format!("`{}`", shown(parts.path))))
}

fn segments(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| {
        let inner = parts.path.strip_suffix('/').unwrap_or(parts.path);
        let bad = inner.split('/').skip(1).find(|segment| matches!(*segment, "" | "." | ".."));
        bad.map_or(Ok(()), |bad| Err(format!("a segment `{bad}`")))
    })
}

fn trailing(seen: &Seen) -> Judged {
    on_each(seen, |_, parts| demand(!parts.path.ends_with('/'), || "a `/` at its end".to_owned()))
}

fn path_alphabet(seen: &Seen) -> Judged {
    let strange = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '%'));
    on_each(seen, |_, parts| match parts.segments().flat_map(str::chars).find(|letter| strange(*letter)) {
        Some(found) => Err(format!("`{}`", found.escape_debug())),
        None => Ok(()),
    })
}

fn length(seen: &Seen) -> Judged {
    on_each(seen, |id, parts| {
        demand(id.len() <= MAX_ID, || format!("{} bytes", id.len()))?;
        demand(parts.domain().len() <= MAX_DOMAIN, || format!("a trust domain of {} bytes", parts.domain().len()))
    })
}

fn case(seen: &Seen) -> Judged {
    let refused = seen.jwt_recased.refused()?;
    Ok(format!("the caller's SPIFFE ID in other letters: {refused}"))
}
