//! Issuers and audiences: equality of strings, and nothing like it.

use model::Code;

use crate::tests::issuer::{NOW, at, changed, key_set, proved, refused, source};
use crate::{Cause, ExtraAudiences, Message, Presented, SharedIssuer, Source, SourceKeys, Sources, Token, verify};

#[test]
fn the_audience_is_one_that_is_ours() {
    for json in
        [r#""https://api.test""#, r#""https://other.test""#, r#"["https://api.test"]"#, r#""https:\/\/api.test""#]
    {
        proved(source(), &changed(&[("aud", Some(json))]));
    }
    for json in [
        r#""""#,
        "[]",
        r#""https://api.test/""#,
        r#""https://API.test""#,
        r#""https://api.tes""#,
        r#""https://api.test.evil.test""#,
        r#"" https://api.test""#,
        r#""https://api.test https://other.test""#,
        r#""*""#,
        r#"["https://api.test","https://evil.test"]"#,
        r#"["https://api.test","https://other.test"]"#,
        r#"["https://api.test","https://api.test"]"#,
        r#"["https://evil.test"]"#,
    ] {
        let cause = refused(source(), &changed(&[("aud", Some(json))]));
        assert_eq!(cause, Cause::AudienceWrong, "{json}");
    }
    let words = "issued for another audience, or for more than one";
    assert_eq!((Cause::AudienceWrong.to_string().as_str(), Cause::AudienceWrong.code()), (words, Code::AudienceWrong));
}

#[test]
fn further_audiences_are_accepted_where_the_source_says_so() {
    let open = Source { extra_audiences: ExtraAudiences::Allowed, ..source() };
    proved(open.clone(), &changed(&[("aud", Some(r#"["https://evil.test","https://api.test"]"#))]));
    for json in [r#"["https://evil.test"]"#, "[]", r#""https://evil.test""#] {
        assert_eq!(refused(open.clone(), &changed(&[("aud", Some(json))])), Cause::AudienceWrong, "{json}");
    }
}

#[test]
fn a_source_without_audiences_accepts_none() {
    for extra_audiences in [ExtraAudiences::Refused, ExtraAudiences::Allowed] {
        let none = Source { audiences: Vec::new(), extra_audiences, ..source() };
        assert_eq!(refused(none, &changed(&[])), Cause::AudienceWrong);
    }
}

#[test]
fn an_issuer_is_compared_as_an_opaque_string() {
    for issuer in [
        "",
        "https://ci.test/",
        "https://CI.test",
        "HTTPS://ci.test",
        "https://ci.test:443",
        "https://u@ci.test",
        "https://ci.test#",
        " https://ci.test",
        "https://ci.test\\u0000",
        "ci.test",
    ] {
        let cause = refused(source(), &changed(&[("iss", Some(&format!(r#""{issuer}""#)))]));
        assert_eq!(cause, Cause::IssuerUnknown, "{issuer}");
    }
    let words = "no trust source has this issuer";
    assert_eq!((Cause::IssuerUnknown.to_string().as_str(), Cause::IssuerUnknown.code()), (words, Code::IssuerUnknown));
}

#[test]
fn two_sources_never_share_an_issuer() {
    let second = Source { name: "ci-2".parse().unwrap(), ..source() };
    let error: SharedIssuer = Sources::new([source(), second]).unwrap_err();
    assert_eq!(error.to_string(), "trust sources `ci` and `ci-2` have the same issuer `https://ci.test`");
}

#[test]
fn the_issuer_picks_the_source_and_with_it_the_keys() {
    let theirs = Source {
        name: "theirs".parse().unwrap(),
        issuer: "https://theirs.test".to_owned(),
        keys: SourceKeys::Given(key_set(&[format!(
            r#""kid":"p256",{}"#,
            // the key of RFC 7515 appendix A.3
            r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#
        )])),
        ..source()
    };
    let token = changed(&[("iss", Some(r#""https://theirs.test""#))]);
    assert_eq!(refused(theirs, &token), Cause::SignatureInvalid);
}

#[test]
fn without_sources_every_token_is_a_strangers() {
    let token = changed(&[]);
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
    assert_eq!(verify(&Sources::default(), &presented, at(NOW)).unwrap_err().cause, Cause::IssuerUnknown);
}
