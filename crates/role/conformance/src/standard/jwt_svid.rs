//! JWT-SVID.md: what tokens say, and which are refused.

use super::bundle::published_keys;
use crate::line::Check::By;
use crate::line::{Document, Line};
use crate::read::jwk::{self, label, member};
use crate::read::token::Token;
use crate::seen::{Answer, Attack, Seen};
use crate::verdict::{Against, Judged, broken, demand, every, shown, unseen};

/// Algorithms that a JWT-SVID may have (§2.1).
pub(super) const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];
/// Header parameters that a JWT-SVID may have (§2).
const PARAMETERS: [&str; 3] = ["alg", "kid", "typ"];

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::JwtSvid, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(30, "§1, §5.1", "a JWT-SVID is a JWS in compact serialization, and in no other accepted", By(compact)),
    line(31, "§2", "the header has `alg`, `kid` and `typ` at most, and no key of its own is believed", By(header)),
    line(32, "§2.1", "`alg` is one of RS, ES and PS 256, 384 and 512; no other is accepted", By(algorithm)),
    line(33, "§2.3", "`typ`, where it stands, is `JWT` or `JOSE`", By(typ)),
    line(34, "§3.1", "`sub` is the SPIFFE ID", By(subject)),
    line(35, "§3.2", "`aud` has a value, and who is not in it refuses the token", By(audience)),
    line(36, "§3.3, §4", "`exp` is there and ahead, and what has ended is refused", By(expiry)),
    line(37, "§4", "no token without `aud` or `exp` is accepted", By(never_without)),
    line(38, "§6.1", "the keys of JWT-SVIDs have a `kid`", By(key_ids)),
    line(39, "§6.2", "only keys for JWT-SVIDs verify them", By(other_use)),
    line(40, "de facto", "a token's `kid` names the key that verifies it, as widespread verifiers ask", By(kid)),
];

fn on_tokens(seen: &Seen, judge: impl Fn(&str, &Token) -> Result<(), String>) -> Judged {
    let named = seen.jwts()?.into_iter().map(|(id, token)| (id.to_owned(), (id, token)));
    every("JWT-SVID", named, |(id, token)| judge(id, token))
}

/// What was handed out is as it should be, and what is not is refused, as far as either can be seen.
fn both(given: Judged, attacked: Judged) -> Judged {
    match (given, attacked) {
        (Err(Against::Broken(given)), Err(Against::Broken(attacked))) => broken(format!("{given}; {attacked}")),
        (Err(Against::Broken(wrong)), _) | (_, Err(Against::Broken(wrong))) => broken(wrong),
        (Ok(given), Ok(attacked)) => Ok(format!("{given}; {attacked}")),
        (Ok(seen), Err(Against::Unseen(_))) | (Err(Against::Unseen(_)), Ok(seen)) => Ok(seen),
        (Err(Against::Unseen(why)), Err(Against::Unseen(_))) => unseen(why),
    }
}

fn compact(seen: &Seen) -> Judged {
    seen.jwt.said("FetchJWTSVID")?;
    let tokens = seen.tokens.iter().map(|svid| (svid.spiffe_id.clone(), &svid.token));
    let given = every("JWT-SVID", tokens, |token| token.as_ref().map(drop).map_err(Clone::clone));
    both(given, seen.repelled(&[(Attack::Flattened, "flattened JSON"), (Attack::General, "general JSON")]))
}

fn header(seen: &Seen) -> Judged {
    let given = on_tokens(seen, |_, token| {
        let extra: Vec<&str> =
            token.header.keys().map(String::as_str).filter(|name| !PARAMETERS.contains(name)).collect();
        demand(extra.is_empty(), || format!("`{}`", shown(&extra.join("`, `"))))
    });
    both(given, seen.repelled(&[(Attack::EmbeddedKey, "an own key in `jwk`")]))
}

fn algorithm(seen: &Seen) -> Judged {
    let given = on_tokens(seen, |_, token| {
        let alg = token.parameter("alg").unwrap_or_default();
        demand(ALGORITHMS.contains(&alg), || format!("`alg` is `{}`", shown(alg)))
    });
    let attacks =
        [(Attack::Unsigned, "none"), (Attack::Hmac, "HS256 with the public key as secret"), (Attack::EdDsa, "EdDSA")];
    both(given, seen.repelled(&attacks))
}

fn typ(seen: &Seen) -> Judged {
    on_tokens(seen, |_, token| match token.header.get("typ") {
        None => Ok(()),
        Some(typ) => {
            demand(matches!(typ.as_str(), Some("JWT" | "JOSE")), || format!("`typ` is {}", shown(&typ.to_string())))
        }
    })
}

fn subject(seen: &Seen) -> Judged {
    on_tokens(seen, |id, token| {
        demand(token.text("sub") == Some(id), || format!("`sub` is `{}`", shown(token.text("sub").unwrap_or_default())))
    })
}

fn audience(seen: &Seen) -> Judged {
    let given = on_tokens(seen, |_, token| demand(!token.audience().is_empty(), || "no `aud`".to_owned()));
    both(given, seen.repelled(&[(Attack::OtherAudience, "for another audience")]))
}

fn expiry(seen: &Seen) -> Judged {
    let now = seen.at.as_micros() / 1_000_000;
    let given = on_tokens(seen, |_, token| {
        let expires = token.expires().ok_or("no `exp`")?;
        demand(expires > now, || format!("`exp` is {} s past", now - expires))
    });
    both(given, seen.repelled(&[(Attack::Expired, "with `exp` a day past, under another token's signature")]))
}

fn never_without(seen: &Seen) -> Judged {
    seen.repelled(&[(Attack::WithoutExpiry, "without `exp`"), (Attack::WithoutAudience, "without `aud`")])
}

/// At the Workload API a key set is a plain one, in which `use` may be left out (SPIFFE_Workload_API.md §6.2.2).
fn key_ids(seen: &Seen) -> Judged {
    let with_id =
        |key: &&jwk::Jwk| demand(member(key, "kid").is_some_and(|kid| !kid.is_empty()), || "no `kid`".to_owned());
    let handed_out = if matches!(seen.jwt_bundles.first, Answer::Said(_)) {
        every("key in FetchJWTBundles", seen.jwt_keys.iter().map(|key| (label(key), key)), with_id)
    } else {
        unseen(format!("FetchJWTBundles: {}", seen.jwt_bundles.first.described()))
    };
    let published = match published_keys(seen, "jwt-svid") {
        Ok(keys) => every("key at the bundle endpoint", keys.iter().map(|key| (label(key), key)), with_id),
        Err(against) => Err(against),
    };
    both(handed_out, published)
}

fn other_use(seen: &Seen) -> Judged {
    seen.repelled(&[(Attack::OtherUse, "signed with the X.509-SVID's key")])
}

fn kid(seen: &Seen) -> Judged {
    if seen.jwt_keys.is_empty() {
        return unseen("FetchJWTBundles gives no key to verify with");
    }
    on_tokens(seen, |_, token| {
        let kid = token.parameter("kid").ok_or("no `kid`")?;
        let named = seen.jwt_keys.iter().find(|key| member(key, "kid") == Some(kid));
        let key = named.ok_or_else(|| format!("no key `{}` in FetchJWTBundles", shown(kid)))?;
        let known = token.parameter("alg").is_some_and(|alg| ALGORITHMS.contains(&alg));
        demand(!known || jwk::verifies(key, token), || format!("key `{}` does not verify it", shown(kid)))
    })
}
