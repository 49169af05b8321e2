//! SPIFFE_Workload_API.md: what each RPC answers.

use std::collections::{BTreeMap, BTreeSet};

use tonic::Code;

use super::CLIENT;
use crate::line::Check::{By, Outside};
use crate::line::{Check, Document, Line};
use crate::read::certificate::sequence;
use crate::read::id::{Parts, domain_id};
use crate::read::jwk;
use crate::read::jwk::{Jwk, keys, label, member, modulus, point};
use crate::read::key::public_half;
use crate::seen::{Answer, Attack, Seen, Svid, Watched};
use crate::verdict::{Against, Judged, broken, demand, every, shown, unseen};

/// Longest hint, in bytes (§8).
const MAX_HINT: usize = 1024;

const fn line(number: u16, section: &'static str, expected: &'static str, check: Check) -> Line {
    Line::stable(number, Document::WorkloadApi, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(80, "§1, §3", "the profiles of X.509 and of JWT are both there, in service `SpiffeWorkloadAPI`", By(profiles)),
    line(81, "§4.3", "a stream's first message comes at once, and each message is the whole state", By(streams)),
    line(82, "§4.3", "changes are pushed", Outside("it shows when something changes")),
    line(83, "§4.4", "what is empty or missing in a message is withdrawn", Outside(CLIENT)),
    line(84, "§4.5", "a mandatory field at its default should be InvalidArgument", By(defaults)),
    line(
        85,
        "§5.2.1",
        "an SVID at least; chain in DER, leaf first; its key in PKCS #8; its bundle; others by trust domain",
        By(x509_svid),
    ),
    line(86, "§5.2.1, §8", "a hint stands once, and has at most 1024 bytes", By(hints)),
    line(87, "§5.2.1, §5.2.2", "who has no identity should be told PermissionDenied", By(not_entitled)),
    line(88, "§5.2.2", "FetchX509Bundles: by SPIFFE ID of trust domains, the own one among them", By(x509_bundles)),
    line(
        89,
        "§6.2.1",
        "FetchJWTSVID: for every audience asked; for the SPIFFE ID asked alone, or it should be PermissionDenied",
        By(jwt_svid),
    ),
    line(
        90,
        "§6.2.2",
        "FetchJWTBundles: JWK Sets, the own trust domain's among them, no keys of other uses",
        By(jwt_bundles),
    ),
    line(
        91,
        "§6.2.3",
        "ValidateJWTSVID: a good token gives SPIFFE ID and claims, an altered one is refused",
        By(validation),
    ),
    line(92, "§6.3", "keys are those of the trust domain of `sub`; without one the token is refused", By(other_domain)),
    line(
        93,
        "§5, §6, §7",
        "a bundle of one type is not used for another",
        Outside("of what a server does with them, lines 39 and 90 tell"),
    ),
    Line::incubating(
        94,
        Document::WorkloadApi,
        "§7",
        "without WIT-SVIDs, both of their RPCs are Unimplemented",
        By(wit),
    ),
];

fn profiles(seen: &Seen) -> Judged {
    if matches!(seen.x509.first, Answer::Late) {
        return unseen("FetchX509SVID: no answer in time");
    }
    let answers = [
        ("FetchX509SVID", seen.x509.first.is_refused_with(Code::Unimplemented)),
        ("FetchX509Bundles", seen.x509_bundles.first.is_refused_with(Code::Unimplemented)),
        ("FetchJWTSVID", seen.jwt.is_refused_with(Code::Unimplemented)),
        ("FetchJWTBundles", seen.jwt_bundles.first.is_refused_with(Code::Unimplemented)),
        ("ValidateJWTSVID", seen.validated.is_refused_with(Code::Unimplemented)),
    ];
    let missing: Vec<&str> = answers.iter().filter(|(_, missing)| *missing).map(|(rpc, _)| *rpc).collect();
    if missing.is_empty() {
        Ok("no RPC is missing".to_owned())
    } else {
        broken(format!("Unimplemented: {}", missing.join(", ")))
    }
}

fn streams(seen: &Seen) -> Judged {
    let streams = [
        (
            "FetchX509SVID",
            told(&seen.x509, |message| {
                names(message.svids.iter().map(|svid| &svid.spiffe_id), message.federated_bundles.keys())
            }),
        ),
        ("FetchX509Bundles", told(&seen.x509_bundles, |message| names([], message.bundles.keys()))),
        ("FetchJWTBundles", told(&seen.jwt_bundles, |message| names([], message.bundles.keys()))),
    ];
    let asked = streams.into_iter().filter_map(|(rpc, told)| Some((rpc.to_owned(), told?)));
    every("stream", asked, Clone::clone)
}

fn names<'a>(
    svids: impl IntoIterator<Item = &'a String>,
    bundles: impl IntoIterator<Item = &'a String>,
) -> BTreeSet<String> {
    svids
        .into_iter()
        .map(|id| format!("SVID {id}"))
        .chain(bundles.into_iter().map(|id| format!("bundle {id}")))
        .collect()
}

/// Whether messages of two streams say the same state; none where the stream was refused. A name that a message drops, and
/// that a new stream has again, was not withdrawn: the message was only a part.
fn told<T>(watched: &Watched<T>, names: impl Fn(&T) -> BTreeSet<String>) -> Option<Result<(), String>> {
    let first = match &watched.first {
        Answer::Said(messages) => messages,
        Answer::Late => return Some(Err("no message in time".to_owned())),
        Answer::Refused { .. } | Answer::NotAsked(_) => return None,
    };
    let Answer::Said(again) = &watched.again else {
        return Some(Err(format!("a second stream: {}", watched.again.described())));
    };
    let fresh = again.first().map(&names).unwrap_or_default();
    let mut before = BTreeSet::new();
    for state in first.iter().map(&names) {
        if let Some(name) = before.difference(&state).find(|name| fresh.contains(*name)) {
            return Some(Err(format!("{} is in one message, and missing in the next", shown(name))));
        }
        before = state;
    }
    let missing = before.difference(&fresh).next();
    Some(missing.map_or(Ok(()), |name| Err(format!("{} is missing in a second stream", shown(name)))))
}

fn defaults(seen: &Seen) -> Judged {
    let named = seen.defaults.iter().filter(|(_, answer)| !answer.is_refused_with(Code::Unimplemented));
    every("request", named.map(|(name, answer)| ((*name).to_owned(), answer)), |answer| {
        match answer.refused_with(Code::InvalidArgument) {
            Ok(_) => Ok(()),
            Err(_) => Err(answer.described()),
        }
    })
}

fn x509_svid(seen: &Seen) -> Judged {
    let svids = seen.x509_svids()?;
    if svids.is_empty() {
        return broken("an answer without an SVID");
    }
    let each = every("X.509-SVID", svids.iter().map(|svid| (svid.spiffe_id.clone(), svid)), |svid| sound(svid))?;
    let messages = seen.x509.first.said("FetchX509SVID")?;
    let federated = messages.iter().take(1).flat_map(|message| &message.federated_bundles);
    for (name, bundle) in federated {
        by_trust_domain(name).and_then(|()| in_der(bundle)).or_else(|why| broken(format!("federated: {why}")))?;
    }
    Ok(each)
}

fn sound(svid: &Svid) -> Result<(), String> {
    let chain = svid.chain.as_ref().map_err(|found| format!("its chain is not DER: {found}"))?;
    let first = chain.first().ok_or("an empty chain")?;
    let (leaf, _) = svid.leaf().ok_or("an empty chain")?;
    demand(first.der == leaf.der, || "the leaf is not the first of its chain".to_owned())?;
    demand(leaf.uris.is_empty() || leaf.uris.contains(&svid.spiffe_id), || {
        "the certificate is of another SPIFFE ID".to_owned()
    })?;
    let half = public_half(&svid.key).ok_or("its key is no plain PKCS #8 in DER")?;
    demand(half == leaf.key, || "its key is not the certificate's".to_owned())?;
    let bundle = svid.bundle.as_ref().map_err(|found| format!("its bundle is not DER: {found}"))?;
    demand(!bundle.is_empty(), || "its bundle is empty".to_owned())
}

fn by_trust_domain(name: &str) -> Result<(), String> {
    let parts = Parts::of(name);
    demand(name.contains("://"), || format!("`{}` is not the SPIFFE ID of a trust domain", shown(name)))?;
    demand(parts.path.is_empty(), || format!("`{}` has a path", shown(name)))
}

/// A trust domain without X.509-SVIDs has an empty one.
fn in_der(bundle: &[u8]) -> Result<(), String> {
    sequence(bundle).map(drop).map_err(|found| format!("a bundle is not DER: {found}"))
}

fn hints(seen: &Seen) -> Judged {
    let x509 = seen.x509.first.said("FetchX509SVID")?;
    let jwt: Vec<&str> = match &seen.jwt {
        Answer::Said(response) => response.svids.iter().map(|svid| svid.hint.as_str()).collect(),
        Answer::Refused { .. } | Answer::Late | Answer::NotAsked(_) => Vec::new(),
    };
    let x509: Vec<&str> =
        x509.iter().take(1).flat_map(|message| &message.svids).map(|svid| svid.hint.as_str()).collect();
    let answers = [("FetchX509SVID".to_owned(), x509), ("FetchJWTSVID".to_owned(), jwt)];
    every("answer", answers, |hints| {
        let mut met = BTreeSet::new();
        for hint in hints.iter().filter(|hint| !hint.is_empty()) {
            demand(hint.len() <= MAX_HINT, || format!("a hint of {} bytes", hint.len()))?;
            demand(met.insert(*hint), || format!("two SVIDs with hint `{}`", shown(hint)))?;
        }
        Ok(())
    })
}

/// What a caller without an identity is told; nobody can be asked to lose theirs.
fn not_entitled(seen: &Seen) -> Judged {
    match &seen.x509.first {
        Answer::Said(_) => unseen("the caller has an identity; run the kit as a user without one, too"),
        Answer::Refused { code: Code::PermissionDenied, .. } => {
            let bundles = &seen.x509_bundles.first;
            // a server may let anybody verify, though this one does not know the caller
            let known = matches!(bundles, Answer::Said(_)) || bundles.is_refused_with(Code::PermissionDenied);
            if known {
                Ok("PermissionDenied".to_owned())
            } else {
                broken(format!("FetchX509Bundles: {}", bundles.described()))
            }
        }
        Answer::Refused { code: Code::Unavailable | Code::Unimplemented, .. } | Answer::Late | Answer::NotAsked(_) => {
            unseen(seen.x509.first.described())
        }
        Answer::Refused { .. } => broken(seen.x509.first.described()),
    }
}

fn x509_bundles(seen: &Seen) -> Judged {
    let messages = seen.x509_bundles.first.said("FetchX509Bundles")?;
    let bundles = messages.first().map(|message| &message.bundles);
    let bundles: BTreeMap<&String, &[u8]> =
        bundles.into_iter().flatten().map(|(name, it)| (name, it.as_ref())).collect();
    own_is_among(seen, bundles.keys().map(|name| name.as_str()))?;
    every(
        "bundle",
        bundles.iter().map(|(name, bundle)| ((*name).clone(), (name.as_str(), *bundle))),
        |(name, bundle)| {
            by_trust_domain(name)?;
            in_der(bundle)
        },
    )
}

fn own_is_among<'a>(seen: &Seen, mut names: impl Iterator<Item = &'a str>) -> Result<(), Against> {
    let Some(own) = seen.identity().map(domain_id) else { return Ok(()) };
    if names.any(|name| name == own) { Ok(()) } else { broken(format!("no bundle of {own}")) }
}

fn jwt_svid(seen: &Seen) -> Judged {
    let response = seen.jwt.said("FetchJWTSVID")?;
    if response.svids.is_empty() {
        return broken("an answer without an SVID");
    }
    let tokens = seen.jwts()?.into_iter().map(|(id, token)| (id.to_owned(), token));
    every("JWT-SVID", tokens, |token| {
        let missing = seen.audiences.iter().find(|asked| !token.audience().contains(&asked.as_str()));
        missing.map_or(Ok(()), |missing| Err(format!("`aud` has no `{}`", shown(missing))))
    })?;
    let named = seen.jwt_named.said("FetchJWTSVID for the caller's SPIFFE ID")?;
    let identity = seen.identity().unwrap_or_default();
    if named.svids.is_empty() || named.svids.iter().any(|svid| svid.spiffe_id != identity) {
        let ids: Vec<&str> = named.svids.iter().map(|svid| svid.spiffe_id.as_str()).collect();
        return broken(format!("asked for {identity} alone, and got {}", shown(&ids.join(", "))));
    }
    let foreign = seen.jwt_foreign.refused_with(Code::PermissionDenied);
    foreign.or_else(|against| match against {
        Against::Broken(how) => broken(format!("asked for a SPIFFE ID that the caller has not: {how}")),
        Against::Unseen(why) => unseen(why),
    })
}

fn jwt_bundles(seen: &Seen) -> Judged {
    let messages = seen.jwt_bundles.first.said("FetchJWTBundles")?;
    let bundles = messages.first().map(|message| &message.bundles);
    let bundles: BTreeMap<&String, &[u8]> =
        bundles.into_iter().flatten().map(|(name, it)| (name, it.as_ref())).collect();
    own_is_among(seen, bundles.keys().map(|name| name.as_str()))?;
    let authorities: Vec<Vec<u8>> =
        seen.svids.iter().flat_map(|svid| svid.bundle.iter().flatten()).map(|it| it.key.clone()).collect();
    every("key set", bundles.iter().map(|(name, it)| ((*name).clone(), (name.as_str(), *it))), |(name, document)| {
        by_trust_domain(name)?;
        keys(document)?
            .iter()
            .try_for_each(|key| for_jwts(key, &authorities).map_err(|why| format!("{}: {why}", label(key))))
    })
}

/// A key that is for verifying JWT-SVIDs, as far as can be told.
fn for_jwts(key: &Jwk, authorities: &[Vec<u8>]) -> Result<(), String> {
    demand(!["d", "k", "p", "priv"].iter().any(|name| key.contains_key(*name)), || "it is a private key".to_owned())?;
    let usage = member(key, "use");
    demand(matches!(usage, None | Some("jwt-svid" | "sig")), || format!("`use` is `{}`", usage.unwrap_or_default()))?;
    demand(!key.contains_key("x5c"), || "it has an `x5c`: it is for X.509-SVIDs".to_owned())?;
    let same = |authority: &Vec<u8>| {
        point(key).is_some_and(|point| point == *authority)
            || modulus(key).is_some_and(|n| authority.windows(n.len()).any(|part| part == n))
    };
    demand(!authorities.iter().any(same), || "it is the key of an X.509 authority".to_owned())
}

fn validation(seen: &Seen) -> Judged {
    let [audience, _] = &seen.audiences;
    let Some(svid) = seen.tokens.first() else { return unseen("there is no JWT-SVID to validate") };
    let Ok(token) = &svid.token else { return unseen("there is no JWT-SVID to validate") };
    let verified = seen.jwt_keys.iter().any(|key| {
        member(key, "kid").is_some_and(|kid| token.parameter("kid") == Some(kid)) && jwk::verifies(key, token)
    });
    let now = seen.at.as_micros() / 1_000_000;
    let good = token.text("sub") == Some(&svid.spiffe_id)
        && token.audience().contains(&audience.as_str())
        && token.expires().is_some_and(|exp| exp > now);
    if !verified || !good {
        return unseen("the token that was given out is not good itself; other lines say why");
    }
    let response = match &seen.validated {
        Answer::Said(response) => response,
        Answer::Refused { code: Code::Unimplemented, .. } | Answer::NotAsked(_) => {
            return unseen(format!("ValidateJWTSVID: {}", seen.validated.described()));
        }
        Answer::Refused { .. } | Answer::Late => {
            return broken(format!("a good token: {}", seen.validated.described()));
        }
    };
    if response.spiffe_id != svid.spiffe_id {
        return broken(format!("a good token of {} is said to be of `{}`", svid.spiffe_id, shown(&response.spiffe_id)));
    }
    let claims = response.claims.as_ref().map(|claims| claims.fields.contains_key("sub"));
    match claims {
        Some(true) => {}
        Some(false) | None => return broken("its claims are not given, not even `sub`"),
    }
    seen.repelled(&[(Attack::OtherSubject, "with another `sub` under the same signature")])
}

fn other_domain(seen: &Seen) -> Judged {
    seen.repelled(&[(Attack::OtherDomain, "of a trust domain without a bundle")])
}

fn wit(seen: &Seen) -> Judged {
    let missing = |refused: bool| if refused { "Unimplemented" } else { "implemented" };
    let svids = seen.wit.svids.is_refused_with(Code::Unimplemented);
    let bundles = seen.wit.bundles.is_refused_with(Code::Unimplemented);
    match svids == bundles {
        true => Ok(format!("both {}", missing(svids))),
        false => broken(format!("FetchWITSVID is {}, FetchWITBundles {}", missing(svids), missing(bundles))),
    }
}

#[cfg(test)]
mod tests;
