//! What is malformed, and in which words it is refused.

use model::Code;

use crate::tests::issuer::{
    AUDIENCE, NOW, at, base64, changed, claims, headed, proved, refused, sign, source, token, try_verify,
};
use crate::{Algorithm, BadClaimPath, Cause, ClaimPath, Step};

#[track_caller]
fn check(token: &str, words: &str) {
    let cause = refused(source(), token);
    assert_eq!(cause.to_string(), words);
    assert_eq!((cause.code(), cause.step()), (Code::CredentialMalformed, Step::Shape));
}

#[test]
fn a_credential_has_three_parts_of_strict_base64url() {
    let good = changed(&[]);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    check("", "expected a compact JWS of three parts, found 1");
    check("abc", "expected a compact JWS of three parts, found 1");
    check(&format!("{header}.{payload}"), "expected a compact JWS of three parts, found 2");
    check(&format!("{good}."), "expected a compact JWS of three parts, found 4");
    check(&format!("{good}.{payload}.{signature}"), "expected a compact JWS of three parts, found 5");
    check("..", "the header is not a JSON object, or names a member twice");
    for (bad, part) in [
        (format!("{header}=.{payload}.{signature}"), "header"),
        (format!("{header}.{payload}=.{signature}"), "payload"),
        (format!("{good}="), "signature"),
        (format!("{good}=="), "signature"),
        (format!("{good}\n"), "signature"),
        (format!("{good} "), "signature"),
        (format!(" {good}"), "header"),
        (format!("\u{feff}{good}"), "header"),
        (format!("{header}.{payload}.{signature}é"), "signature"),
        (format!("{header}.{payload}.{}+{}", &signature[..4], &signature[5..]), "signature"),
        (format!("{header}.{payload}.{}/{}", &signature[..4], &signature[5..]), "signature"),
        (format!("{header}.{payload}.\0"), "signature"),
    ] {
        check(&bad, &format!("the {part} is not unpadded base64url"));
    }
}

#[test]
fn base64_has_one_spelling() {
    // 64 bytes end in a group of two characters: the lower four bits of the last carry nothing
    let good = changed(&[]);
    let (rest, last) = good.split_at(good.len() - 1);
    for other in ('A'..='Z').map(String::from).filter(|other| last != other) {
        let cause = refused(source(), &format!("{rest}{other}"));
        assert!(matches!(cause, Cause::SignatureInvalid | Cause::Base64 { part: "signature" }), "{cause}");
    }
    let twin = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        "w" => "x",
        other => panic!("{other} carries bits that must be zero"),
    };
    check(&format!("{rest}{twin}"), "the signature is not unpadded base64url");
}

#[test]
fn a_credential_of_8192_bytes_is_read_and_one_more_is_not() {
    proved(source(), &of_length(8192));
    check(&of_length(8193), "the credential has 8193 bytes; at most 8192 are read");
    check(&"a".repeat(8192), "expected a compact JWS of three parts, found 1");
    check(&".".repeat(8193), "the credential has 8193 bytes; at most 8192 are read");
}

/// A good token of exactly this length: spaces in the header reach what base64 of the payload alone cannot.
fn of_length(length: usize) -> String {
    let header = |spaces: usize| format!(r#"{{"alg":"ES256","kid":"p256"{}}}"#, " ".repeat(spaces));
    let payload = |filling: usize| claims(&[("filling", Some(&format!(r#""{}""#, "x".repeat(filling))))]);
    // two dots, and 64 bytes of signature
    let found = |spaces, filling| base64(header(spaces)).len() + base64(payload(filling)).len() + 2 + 86;
    let fits = (0..3).flat_map(|spaces| (5500..6000).map(move |filling| (spaces, filling)));
    let (spaces, filling) = fits.into_iter().find(|(spaces, filling)| found(*spaces, *filling) == length).unwrap();
    let token = token(Algorithm::Es256, &header(spaces), &payload(filling));
    assert_eq!(token.len(), length);
    token
}

#[test]
fn header_and_payload_are_json_objects_without_twins() {
    let payload = claims(&[]);
    for header in [
        "",
        "null",
        "[]",
        r#""ES256""#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256"} "#.repeat(2).as_str(),
        "\u{feff}{\"alg\":\"ES256\"}",
    ] {
        check(&token(Algorithm::Es256, header, &payload), "the header is not a JSON object, or names a member twice");
    }
    for payload in [
        payload.replacen('{', r#"{"sub":"root","#, 1),
        payload.replacen('{', r#"{"s\u0075b":"root","#, 1),
        payload.replacen("\"id\"", r#""id":"1","id""#, 1),
        payload.replacen("\"id\"", r#""\u0069d":"1","id""#, 1),
        format!("{payload}{payload}"),
        format!("\u{feff}{payload}"),
        format!("[{payload}]"),
        claims(&[("deep", Some(&"[".repeat(2000)))]),
        claims(&[("deep", Some(&format!("{}{}", "[".repeat(200), "]".repeat(200))))]),
        claims(&[("exp", Some("1e400"))]),
        claims(&[("exp", Some("NaN"))]),
    ] {
        let token = token(Algorithm::Es256, r#"{"alg":"ES256","kid":"p256"}"#, &payload);
        check(&token, "the payload is not a JSON object, or names a member twice");
    }
}

#[test]
fn a_payload_that_is_not_utf_8_is_refused() {
    let payload = claims(&[("name", Some(r#""?""#))]).into_bytes();
    let payload: Vec<u8> = payload.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    let signed = format!("{}.{}", base64(r#"{"alg":"ES256"}"#), base64(payload));
    let token = format!("{signed}.{}", base64(sign(Algorithm::Es256, signed.as_bytes())));
    check(&token, "the payload is not a JSON object, or names a member twice");
}

#[test]
fn header_parameters_that_change_the_meaning_are_refused() {
    for (name, json) in [
        ("crit", r#"["exp"]"#),
        ("crit", "[]"),
        ("b64", "false"),
        ("b64", "true"),
        ("zip", r#""DEF""#),
        ("enc", r#""A256GCM""#),
        ("cty", r#""JWT""#),
        ("cty", "null"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"p256","{name}":{json}}}"#);
        check(&headed(&header), &format!("header parameter `{name}` is not accepted"));
    }
    for (name, header) in [
        ("alg", r#"{"kid":"p256"}"#),
        ("alg", r#"{"alg":null}"#),
        ("alg", r#"{"alg":["ES256"]}"#),
        ("alg", r#"{"ALG":"ES256"}"#),
        ("kid", r#"{"alg":"ES256","kid":1}"#),
        ("kid", r#"{"alg":"ES256","kid":null}"#),
        ("typ", r#"{"alg":"ES256","typ":{}}"#),
    ] {
        check(&headed(header), &format!("header parameter `{name}` is missing or not a string"));
    }
}

#[test]
fn the_type_is_one_that_the_source_accepts() {
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"] {
        proved(source(), &headed(&format!(r#"{{"alg":"ES256","kid":"p256","typ":"{typ}"}}"#)));
    }
    for typ in ["", "logout+jwt", "dpop+jwt", "JWS", "JWT ", "application/", "application/application/jwt", "text/jwt"]
    {
        let header = format!(r#"{{"alg":"ES256","kid":"p256","typ":"{typ}"}}"#);
        check(&headed(&header), &format!("`typ` is `{typ}`, which this source does not accept"));
    }
    let mut typed = source();
    typed.types.pop();
    let cause = refused(typed, &changed(&[]));
    assert_eq!(cause.to_string(), "header parameter `typ` is missing or not a string");
    let long = headed(&format!(r#"{{"alg":"ES256","typ":"\u001b[31m{}"}}"#, "y".repeat(4000)));
    let shown = format!("\\u{{1b}}[31m{}…", "y".repeat(59));
    check(&long, &format!("`typ` is `{shown}`, which this source does not accept"));
}

#[test]
fn registered_claims_have_their_types() {
    let times = ["\"1900000300\"", "1900000300.5", "1900000300.0", "19e8", "null", "[]", "true", "1e30", "-0"];
    for name in ["exp", "nbf", "iat"] {
        for json in times {
            check(&changed(&[(name, Some(json))]), &format!("claim `{name}` is not an integer"));
        }
    }
    for name in ["iss", "sub", "jti"] {
        for json in ["1", "null", "[]", "{}", r#"["https://ci.test"]"#] {
            check(&changed(&[(name, Some(json))]), &format!("claim `{name}` is not a string"));
        }
    }
    for json in ["1", "null", "{}", "[1]", r#"["https://api.test",null]"#, r#"[["https://api.test"]]"#] {
        check(&changed(&[("aud", Some(json))]), "claim `aud` is not a string or an array of strings");
    }
}

#[test]
fn required_claims_are_there() {
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        check(&changed(&[(name, None)]), &format!("claim `{name}` is missing"));
    }
    let mut relaxed = source();
    relaxed.required_claims.clear();
    for name in ["iss", "aud", "exp"] {
        let cause = refused(relaxed.clone(), &changed(&[(name, None)]));
        assert_eq!(cause, Cause::ClaimMissing { name: name.to_owned() }, "required of every source");
    }
    proved(relaxed.clone(), &changed(&[("sub", None), ("iat", None)]));
    relaxed.required_claims.push("environment".to_owned());
    for json in [None, Some("null")] {
        let cause = refused(relaxed.clone(), &changed(&[("environment", json)]));
        assert_eq!(cause, Cause::ClaimMissing { name: "environment".to_owned() });
    }
}

#[test]
fn claims_of_the_identity_key_are_non_empty_strings() {
    check(&changed(&[("owner_id", None)]), "claim `owner_id` is missing");
    check(&changed(&[("repo", Some("{}"))]), "claim `repo.id` is missing");
    check(&changed(&[("repo", Some(r#""4711""#))]), "claim `repo.id` is missing");
    check(&changed(&[("repo", None), ("repo.id", Some(r#""4711""#))]), "claim `repo.id` is missing");
    for json in ["9001", r#""""#, "null", "[]", r#"["9001"]"#] {
        check(&changed(&[("owner_id", Some(json))]), "claim `owner_id` is not a non-empty string");
    }
}

#[test]
fn a_claim_path_reads_back_as_it_is_written() {
    for text in ["sub", "a.b.c", r"kubernetes\.io.namespace", r"https://x\.test/claim", r"a\\b", r"a\\.b", "ü. "] {
        assert_eq!(text.parse::<ClaimPath>().unwrap().to_string(), text);
    }
    for text in ["", ".", "a.", ".a", "a..b"] {
        assert_eq!(text.parse::<ClaimPath>(), Err(BadClaimPath::EmptyName { text: text.to_owned() }));
    }
    for text in [r"a\", r"a\b", r"\n"] {
        assert_eq!(text.parse::<ClaimPath>(), Err(BadClaimPath::Escape { text: text.to_owned() }));
    }
    let words = "a.".parse::<ClaimPath>().unwrap_err().to_string();
    assert_eq!(words, "`a.` is not a claim's path: a name in it is empty");
    let words = r"a\b".parse::<ClaimPath>().unwrap_err().to_string();
    assert_eq!(words, r"`a\b` is not a claim's path: a backslash stands before a dot or another backslash only");
}

#[test]
fn a_refused_credential_is_named_by_its_digest_and_never_shown() {
    let token = changed(&[("exp", Some("1"))]);
    let refused = try_verify(source(), token.as_bytes(), at(NOW)).unwrap_err();
    assert_eq!(refused.digest, crate::digest_of(token.as_bytes()));
    assert_eq!(refused.source.as_ref().map(model::SourceName::as_str), Some("ci"));
    let debug = format!("{refused:?}");
    assert!(!debug.contains(&token[..40]) && !debug.contains(AUDIENCE), "{debug}");
    let unpicked = try_verify(source(), b"a.b.c", at(NOW)).unwrap_err();
    assert_eq!(unpicked.source, None);
}
