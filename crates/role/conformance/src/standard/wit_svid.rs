//! WIT-SVID.md (incubating): what workload identity tokens say, where a server has them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::CLIENT;
use super::jwt_svid::ALGORITHMS;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::read::id::domain_id;
use crate::read::jwk::{keys, member};
use crate::read::token::Token;
use crate::seen::Seen;
use crate::verdict::{Judged, demand, every, shown};

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::incubating(number, Document::WitSvid, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(41, "§2.1", "a token has a `kid`", By(kid)),
    line(42, "§2.2", "`typ` is `wit+jwt`", By(typ)),
    line(43, "§2.3, §3.2", "`alg`, and that of the confirmed key, is one of the nine", By(algorithms)),
    line(44, "§3.1, §3.2", "`sub` is the SPIFFE ID, and `cnf` is there", By(subject)),
    line(45, "§3.4, §3.5", "`exp` is there and ahead", By(expiry)),
    line(46, "§3.3", "`jti` is no protection against replay", Outside(CLIENT)),
    line(47, "§3.8", "there is no `aud`", By(no_audience)),
    line(48, "§5, §7.1", "a token never counts without a proof that its key is held", Outside(CLIENT)),
    line(49, "§3.7", "`iss` does not look like an OIDC issuer", Outside("advice, and not a demand")),
    line(50, "§6.1", "each key of WIT-SVIDs has a `kid`, which no other key of the trust domain has", By(key_ids)),
];

fn on_tokens(seen: &Seen, judge: impl Fn(&str, &Token) -> Result<(), String>) -> Judged {
    let messages = seen.wit.svids.said("FetchWITSVID")?;
    let svids = messages.iter().take(1).flat_map(|message| &message.svids);
    every("WIT-SVID", svids.map(|svid| (svid.spiffe_id.clone(), svid)), |svid| {
        judge(&svid.spiffe_id, &Token::read(&svid.wit_svid)?)
    })
}

fn kid(seen: &Seen) -> Judged {
    on_tokens(seen, |_, token| demand(token.parameter("kid").is_some(), || "no `kid`".to_owned()))
}

fn typ(seen: &Seen) -> Judged {
    on_tokens(seen, |_, token| {
        let typ = token.parameter("typ").unwrap_or_default();
        demand(typ == "wit+jwt", || format!("`typ` is `{}`", shown(typ)))
    })
}

fn algorithms(seen: &Seen) -> Judged {
    on_tokens(seen, |_, token| {
        let confirmed = token.claims.get("cnf").and_then(|cnf| cnf.pointer("/jwk/alg"));
        // a token without a confirmed key is another line's
        let confirmed = confirmed.and_then(Value::as_str);
        let confirmed = confirmed.or_else(|| token.claims.contains_key("cnf").then_some(""));
        for alg in [Some(token.parameter("alg").unwrap_or_default()), confirmed].into_iter().flatten() {
            demand(ALGORITHMS.contains(&alg), || format!("`alg` is `{}`", shown(alg)))?;
        }
        Ok(())
    })
}

fn subject(seen: &Seen) -> Judged {
    on_tokens(seen, |id, token| {
        demand(token.text("sub") == Some(id), || "`sub` is not the SPIFFE ID".to_owned())?;
        demand(token.claims.contains_key("cnf"), || "no `cnf`".to_owned())
    })
}

fn expiry(seen: &Seen) -> Judged {
    let now = seen.at.as_micros() / 1_000_000;
    on_tokens(seen, |_, token| {
        let expires = token.expires().ok_or("no `exp`")?;
        demand(expires > now, || format!("`exp` is {} s past", now - expires))
    })
}

fn no_audience(seen: &Seen) -> Judged {
    on_tokens(seen, |_, token| demand(!token.claims.contains_key("aud"), || "an `aud`".to_owned()))
}

fn key_ids(seen: &Seen) -> Judged {
    let messages = seen.wit.bundles.said("FetchWITBundles")?;
    let bundles = messages.iter().take(1).flat_map(|message| &message.bundles);
    let own = seen.identity().map(domain_id).unwrap_or_default();
    every("key set", bundles.map(|(name, document)| (name.clone(), (name, document))), |(name, document)| {
        let others = if **name == own { seen.jwt_keys.as_slice() } else { &[] };
        let mut met: BTreeSet<&str> = others.iter().filter_map(|key| member(key, "kid")).collect();
        let keys = keys(document.as_bytes())?;
        keys.iter().try_for_each(|key| {
            let kid = member(key, "kid").ok_or("a key without `kid`")?;
            demand(met.insert(kid), || format!("two keys with `kid` `{}`", shown(kid)))
        })
    })
}
