//! What cannot be read in exactly one way: all of it is `credential_malformed`.

use serde_json::{Value, json};

use super::{Bad, changed, header, job, part, refuses, signed, written};
use crate::harness::{AUDIENCE, Mint, base64url, ci_claims};

const MALFORMED: &str = "credential_malformed";

fn headed(over: &Value) -> String {
    signed(&changed(header(), over).to_string(), &ci_claims().to_string())
}

fn claiming(old: &str, new: &str) -> String {
    signed(&header().to_string(), &written(old, new))
}

#[test]
fn times_are_json_integers_and_what_is_required_is_there() {
    // A9: a time that cannot be read is never a time that is not there
    let exp = format!("\"exp\":{}", ci_claims()["exp"]);
    let time = |new: &str| claiming(&exp, &format!("\"exp\":{new}"));
    let mut table: Vec<Bad> = [
        ("exp as text", "\"9999999999\""),
        ("exp with a fraction", "9999999999.0"),
        ("exp with an exponent", "1e10"),
        ("exp without end", "1e400"),
        ("exp beyond 64 bits", "99999999999999999999"),
        ("exp as minus zero with a fraction", "-0.0"),
        ("exp null", "null"),
        ("exp true", "true"),
        ("exp an array", "[9999999999]"),
        ("exp an object", "{}"),
        ("exp not a number", "NaN"),
    ]
    .map(|(name, new)| Bad(name, time(new), MALFORMED))
    .into();
    for (name, over) in [
        ("no exp", json!({"exp": null})),
        ("no iat, which this source requires", json!({"iat": null})),
        ("no aud", json!({"aud": null})),
        ("no sub, which this source requires", json!({"sub": null})),
        ("no iss", json!({"iss": null})),
        ("no repository_id", json!({"repository_id": null})),
        ("nbf as text", json!({"nbf": "0"})),
        ("nbf with a fraction", json!({"nbf": 1.5})),
        ("iat as text", json!({"iat": "0"})),
        ("iat with a fraction", json!({"iat": 1.5})),
        ("iss a number", json!({"iss": 1})),
        ("iss an array", json!({"iss": ["https://issuer.acme.test/github"]})),
        ("sub a number", json!({"sub": 1})),
        ("jti a number", json!({"jti": 1})),
        ("aud a number", json!({"aud": 1})),
        ("aud an object", json!({"aud": {AUDIENCE: true}})),
        ("aud with a number in it", json!({"aud": [AUDIENCE, 1]})),
        ("repository_id a number", json!({"repository_id": 4711})),
        ("repository_id an array", json!({"repository_id": ["4711"]})),
        ("repository_id empty", json!({"repository_id": ""})),
    ] {
        let payload = job(&over).to_string();
        table.push(Bad(name, signed(&header().to_string(), &payload), MALFORMED));
    }
    refuses(&table);
}

#[test]
fn a_header_asks_for_nothing_but_a_key() {
    // A10, A13
    let nested = Mint::shared().ci(&ci_claims());
    let mut table: Vec<Bad> = [
        ("crit", json!({"crit": ["exp"]})),
        ("crit of nothing", json!({"crit": []})),
        ("crit of what is not there", json!({"crit": ["b64"], "b64": false})),
        ("b64 false", json!({"b64": false})),
        ("zip", json!({"zip": "DEF"})),
        ("enc", json!({"enc": "A256GCM"})),
        ("cty", json!({"cty": "JWT"})),
        ("alg a number", json!({"alg": 256})),
        ("alg a list", json!({"alg": ["RS256"]})),
        ("no alg", json!({"alg": null})),
        ("kid a number", json!({"kid": 1})),
        ("kid a list", json!({"kid": ["gh-1"]})),
        ("typ a number", json!({"typ": 1})),
        ("typ of a logout token", json!({"typ": "logout+jwt"})),
        ("typ of a security event", json!({"typ": "secevent+jwt"})),
        ("typ of an identity assertion grant", json!({"typ": "oauth-id-jag+jwt"})),
        ("typ of a proof", json!({"typ": "dpop+jwt"})),
        ("typ of a client assertion", json!({"typ": "client-authentication+jwt"})),
        ("typ of a transaction token", json!({"typ": "txntoken+jwt"})),
        ("typ empty", json!({"typ": ""})),
        ("typ with a space", json!({"typ": "JWT "})),
        ("typ of another media type", json!({"typ": "text/jwt"})),
    ]
    .map(|(name, over)| Bad(name, headed(&over), MALFORMED))
    .into();
    table.push(Bad("a token in a token", signed(&header().to_string(), &nested), MALFORMED));
    let jwe =
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_000_000_000u64, "p2s": "AAAA", "zip": "DEF"});
    table.push(Bad("five parts", format!("{}.a.b.c.d", part(&jwe)), MALFORMED));
    refuses(&table);
}

#[test]
fn no_member_stands_twice() {
    // A11: two readers that choose differently see two callers
    let head = header().to_string();
    let twice = |from: &str, to: &str| head.replacen(from, to, 1);
    let in_header = |header: String| signed(&header, &ci_claims().to_string());
    refuses(&[
        Bad("sub twice", claiming("{", "{\"sub\":\"x\","), MALFORMED),
        Bad("sub twice, alike", claiming("{", "{\"sub\":\"repo:acme/billing:ref:refs/heads/main\","), MALFORMED),
        Bad("sub twice, once escaped", claiming("{", "{\"s\\u0075b\":\"x\","), MALFORMED),
        Bad("repository_id twice", claiming("{", "{\"repository_id\":\"1\","), MALFORMED),
        Bad("exp twice", claiming("{", "{\"exp\":1,"), MALFORMED),
        Bad("twice, deep inside", claiming("{", "{\"x\":[{\"a\":1,\"a\":2}],"), MALFORMED),
        Bad("alg twice", in_header(twice("{", "{\"alg\":\"none\",")), MALFORMED),
        Bad("alg twice, once escaped", in_header(twice("{", "{\"\\u0061lg\":\"none\",")), MALFORMED),
        Bad("kid twice", in_header(twice("{", "{\"kid\":\"gh-1\",")), MALFORMED),
    ]);
}

#[test]
fn bytes_have_one_reading() {
    // A12
    let good = Mint::shared().ci(&ci_claims());
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let raw = |header: &[u8], payload: &[u8]| Mint::shared().raw("github", "RS256", header, payload);
    let (head_json, claims) = (header().to_string(), ci_claims().to_string());
    let with_bom = [b"\xef\xbb\xbf", claims.as_bytes()].concat();
    let not_utf8: Vec<u8> =
        claims.replacen("4711", "47\u{1}1", 1).bytes().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    let deep = claims.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(1000), "]".repeat(1000)), 1);
    let long = "x".repeat(8200);
    let scopes = claims.replacen('{', &format!("{{\"scope\":\"{}\",", "read:all ".repeat(900)), 1);
    refuses(&[
        Bad("one part", "abc".to_owned(), MALFORMED),
        Bad("two parts", format!("{head}.{payload}"), MALFORMED),
        Bad("four parts", format!("{good}.x"), MALFORMED),
        Bad("an end that is empty", format!("{good}."), MALFORMED),
        Bad("dots alone", "..".to_owned(), MALFORMED),
        Bad("padding", format!("{good}=="), MALFORMED),
        Bad("padding in the header", format!("{head}=.{payload}.{signature}"), MALFORMED),
        Bad(
            "base64 of the other alphabet",
            format!("{head}.{payload}.{}+/{}", &signature[..4], &signature[6..]),
            MALFORMED,
        ),
        Bad("a space inside", format!("{head}.{payload}. {signature}"), MALFORMED),
        Bad("a tab inside", format!("{head}.\t{payload}.{signature}"), MALFORMED),
        Bad("percent", format!("{head}.{payload}.%41{signature}"), MALFORMED),
        Bad("a comma and a second", format!("{good},{good}"), MALFORMED),
        Bad("over 8 KiB, one part", long, MALFORMED),
        Bad("over 8 KiB, sound", raw(head_json.as_bytes(), scopes.as_bytes()), MALFORMED),
        Bad("a mark of byte order", raw(head_json.as_bytes(), &with_bom), MALFORMED),
        Bad("not UTF-8", raw(head_json.as_bytes(), &not_utf8), MALFORMED),
        Bad("half a surrogate", raw(head_json.as_bytes(), claims.replacen("4711", "\\ud800", 1).as_bytes()), MALFORMED),
        Bad("too deep", raw(head_json.as_bytes(), deep.as_bytes()), MALFORMED),
        Bad("something behind", raw(head_json.as_bytes(), format!("{claims}{{}}").as_bytes()), MALFORMED),
        Bad("a comma too many", raw(head_json.as_bytes(), claims.replacen('}', ",}", 1).as_bytes()), MALFORMED),
        Bad("a comment", raw(head_json.as_bytes(), claims.replacen('{', "{/**/", 1).as_bytes()), MALFORMED),
        Bad("quotes of the other kind", raw(head_json.as_bytes(), claims.replace('"', "'").as_bytes()), MALFORMED),
        Bad("an array", raw(head_json.as_bytes(), format!("[{claims}]").as_bytes()), MALFORMED),
        Bad("null", raw(head_json.as_bytes(), b"null"), MALFORMED),
        Bad("nothing", raw(head_json.as_bytes(), b""), MALFORMED),
        Bad("a header of nothing", raw(b"", claims.as_bytes()), MALFORMED),
        Bad("a header that is a list", raw(b"[]", claims.as_bytes()), MALFORMED),
        Bad("zero bytes", raw(head_json.as_bytes(), &[0; 64]), MALFORMED),
        Bad("a trailing bit", trailing_bit(&good), MALFORMED),
        Bad("base64 twice", base64url(good.as_bytes()), MALFORMED),
    ]);
}

/// The same signature with a bit set that base64 does not use: 256 bytes end in one such character.
fn trailing_bit(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let at = ALPHABET.find(last).expect("base64url");
    format!("{rest}{}", &ALPHABET[at + 1..at + 2])
}
