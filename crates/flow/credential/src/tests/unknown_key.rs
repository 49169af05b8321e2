//! Which tokens are a reason to look for newer keys.

use crate::tests::issuer::{base64, changed, claims, every_key, headed, source};
use crate::{Algorithm, Source, SourceKeys, Sources, Token, UnknownKey};

fn fetched() -> Source {
    Source { keys: SourceKeys::Fetched(Some(every_key())), ..source() }
}

fn unknown(source: Source, token: &str) -> Option<UnknownKey> {
    UnknownKey::of(&Sources::new([source]).unwrap(), Token::new(token.as_bytes()))
}

fn named(kid: &str) -> String {
    let kid = serde_json::Value::from(kid).to_string();
    format!("{}.{}.", base64(format!(r#"{{"alg":"ES256","kid":{kid}}}"#)), base64(claims(&[])))
}

#[test]
fn a_key_that_a_source_does_not_have_is_a_reason() {
    let key = |kid: &str| Some(UnknownKey { source: "ci".parse().unwrap(), kid: Some(kid.to_owned()) });
    // the name is opaque, whatever it looks like
    for kid in ["new", "", "../../etc/passwd", "' OR 1=1 --", "\u{0}\r\n", "P256", "ключ", &"k".repeat(4_000)] {
        assert_eq!(unknown(fetched(), &named(kid)), key(kid));
    }
    let without = Source { keys: SourceKeys::Fetched(None), ..source() };
    assert_eq!(unknown(without.clone(), &changed(&[])), key("p256"));
    let nameless = Some(UnknownKey { source: "ci".parse().unwrap(), kid: None });
    assert_eq!(unknown(without, &headed(r#"{"alg":"ES256"}"#)), nameless);
}

#[test]
fn nothing_else_is_a_reason() {
    assert_eq!(unknown(source(), &named("new")), None, "keys of the estate are all that there are");
    assert_eq!(unknown(fetched(), &changed(&[])), None, "the key is there");
    assert_eq!(unknown(fetched(), &headed(r#"{"alg":"ES256"}"#)), None, "no key is named");
    for token in ["", "a.b.c", "...", &named("new")[1..], &format!("{}.", named("new"))] {
        assert_eq!(unknown(fetched(), token), None, "{token}");
    }
    assert_eq!(unknown(fetched(), &named(&"k".repeat(8_000))), None, "longer than any token");
    let foreign = Source { issuer: "https://elsewhere.test".to_owned(), ..fetched() };
    assert_eq!(unknown(foreign, &named("new")), None, "the issuer is nobody's");
    let narrow = Source { algorithms: vec![Algorithm::Rs256], ..fetched() };
    assert_eq!(unknown(narrow, &named("new")), None, "the algorithm is refused whatever the keys are");
}
