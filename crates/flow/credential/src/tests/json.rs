//! The JSON reader.

use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use crate::json::{Json, read};

fn check(text: &str) -> Result<Json, String> {
    read(text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_member_named_twice_is_refused_at_every_depth() {
    for text in [
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"sub":"a","iss":"i","sub":"a"}"#,
        r#"{"sub":"a","s\u0075b":"b"}"#,
        r#"{"a":{"sub":1,"sub":2}}"#,
        r#"[[{"sub":1,"x":[],"\u0073ub":null}]]"#,
    ] {
        let message = check(text).unwrap_err();
        assert!(message.starts_with("member `sub` is named twice at line 1 column "), "{text}: {message}");
    }
    assert!(check(r#"{"":1,"":2}"#).unwrap_err().starts_with("member `` is named twice"));
    assert!(check(r#"{"sub":1,"Sub":2,"sub ":3,"a":{"sub":4}}"#).is_ok());
}

#[test]
fn only_plain_integers_within_64_bits_are_integers() {
    let number = |text: &str| check(text).unwrap();
    assert_eq!(number("0"), Json::Integer(0));
    assert_eq!(number("-1"), Json::Integer(-1));
    assert_eq!(number("9223372036854775807"), Json::Integer(i64::MAX));
    assert_eq!(number("-9223372036854775808"), Json::Integer(i64::MIN));
    assert_eq!(number("9223372036854775808"), Json::Large(1 << 63));
    assert_eq!(number("18446744073709551615"), Json::Large(u64::MAX));
    for text in ["-9223372036854775809", "1.5", "1.0", "1e3", "1E3", "-0", "18446744073709551616"] {
        assert_eq!(number(text), Json::Number, "{text}");
    }
    for text in ["1e400", "01", "+1", "1.", ".5", "0x10", "NaN", "Infinity", "1_000"] {
        assert!(check(text).is_err(), "{text}");
    }
}

#[test]
fn nothing_but_one_json_text_is_read() {
    for text in
        ["", " ", "{} {}", "{}x", "{}\0", "\u{feff}{}", "{\"a\":1,}", "{'a':1}", "{a:1}", "// c\n{}", "\"\\ud800\""]
    {
        assert!(check(text).is_err(), "{text:?}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"{\"\xff\":1}", b"\xff"] {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
    assert!(check(" \t\r\n{ } \n").is_ok());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(check(&nested(127)).is_ok());
    for depth in [128, 4096, 1_000_000] {
        assert!(check(&nested(depth)).unwrap_err().starts_with("recursion limit exceeded"), "{depth}");
        assert!(check(&r#"{"a":"#.repeat(depth)).is_err());
    }
}

#[test]
fn many_members_are_read_in_less_than_quadratic_time() {
    let members: Vec<String> = (0..40_000).map(|n| format!(r#""{n}":0"#)).collect();
    let object = format!("{{{}}}", members.join(","));
    assert!(check(&object).is_ok());
    assert!(check(&object.replace(r#""39999":0"#, r#""0":0"#)).is_err());
}

/// JSON texts that no reader disputes: every name is written once.
fn undisputed() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        proptest::strategy::Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn equal(ours: &Json, theirs: &serde_json::Value) -> bool {
    match ours {
        Json::Null => theirs.is_null(),
        Json::Bool(value) => theirs.as_bool() == Some(*value),
        Json::Integer(number) => theirs.as_i64() == Some(*number),
        Json::Large(number) => theirs.as_u64() == Some(*number),
        Json::Number => theirs.is_f64(),
        Json::String(text) => theirs.as_str() == Some(text),
        Json::Array(items) => theirs
            .as_array()
            .is_some_and(|them| them.len() == items.len() && items.iter().zip(them).all(|(a, b)| equal(a, b))),
        Json::Object(object) => theirs.as_object().is_some_and(|them| {
            them.iter().all(|(name, json)| object.find(name).is_some_and(|ours| equal(ours, json)))
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_no_reader_disputes_is_read_as_it_is(value in undisputed()) {
        let ours = check(&value.to_string()).unwrap();
        prop_assert_eq!(equal(&ours, &value), true, "{}", value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if read(&bytes).is_ok() {
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(), true);
        }
    }

    #[test]
    fn json_like_text_is_read_or_refused(text in r#"[\[\]{}:,"0-9a-e.\\u \-]{0,80}"#) {
        if read(text.as_bytes()).is_ok() {
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), true);
        }
    }
}
