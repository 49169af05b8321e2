//! The YAML reader alone: what it keeps, what it refuses, and that it always ends.

use crate::{At, BadYaml, Node, Quoting, Value, read, read_json};

fn text<'a>(node: &'a Node, field: &str) -> &'a str {
    let Value::Map(entries) = &node.value else { panic!("not a mapping") };
    let entry = entries.iter().find(|entry| entry.key == field).unwrap();
    let Value::Scalar(text, _) = &entry.value.value else { panic!("not a scalar") };
    text
}

#[track_caller]
fn check(yaml: &str, line: usize, column: usize, expected: &str) {
    let (at, error) = read(yaml).err().unwrap_or_else(|| panic!("this was read: {yaml}"));
    assert_eq!((at, error.to_string().as_str()), (At { line, column }, expected), "for {yaml}");
}

#[test]
fn a_scalar_is_the_text_that_was_written() {
    let documents = read("{a: 010, b: 1e3, c: yes, d: 2027-01-01, e: \"x\\ty\", f: 'it''s', g: 0x1F}").unwrap();
    let read: Vec<&str> = ["a", "b", "c", "d", "e", "f", "g"].iter().map(|field| text(&documents[0], field)).collect();
    assert_eq!(read, ["010", "1e3", "yes", "2027-01-01", "x\ty", "it's", "0x1F"]);
}

#[test]
fn places_count_from_one_in_characters() {
    let documents = read("ä: 1\n---\nb:\n  - é: x\n").unwrap();
    let Value::Map(entries) = &documents[1].value else { panic!("not a mapping") };
    assert_eq!((entries[0].key.as_str(), entries[0].at), ("b", At { line: 3, column: 1 }));
    let Value::List(nodes) = &entries[0].value.value else { panic!("not a list") };
    let Value::Map(inner) = &nodes[0].value else { panic!("not a mapping") };
    assert_eq!((inner[0].at, inner[0].value.at), (At { line: 4, column: 5 }, At { line: 4, column: 8 }));
}

#[test]
fn nothing_is_one_of_three_plain_words() {
    for (yaml, nothing) in [("a: ~", true), ("a: null", true), ("a:", true), ("a: 'null'", false), ("a: ''", false)] {
        let documents = read(yaml).unwrap();
        let Value::Map(entries) = &documents[0].value else { panic!("not a mapping") };
        assert_eq!(entries[0].value.is_null(), nothing, "{yaml}");
    }
    assert_eq!(read("---\n---\n~\n---\n# a comment\n").unwrap(), []);
}

#[test]
fn what_two_readers_could_see_differently_is_refused() {
    let anchor = "anchors and aliases are not accepted: write the value out";
    check("a: &x 1", 1, 4, anchor);
    check("a: *x", 1, 4, "not YAML: while parsing node, found unknown anchor");
    check("a: &x [1]\nb: *x", 1, 4, anchor);
    check("&x a: 1", 1, 1, anchor);
    check("a: !!int 1", 1, 4, "tags are not accepted");
    check("a: !secret x", 1, 4, "tags are not accepted");
    check("a: {<<: {b: 1}}", 1, 5, "`<<` is not accepted: write the fields out");
    check("a: 1\n\"a\": 2", 2, 1, "key `a` stands here twice");
    check("? [a]\n: 1", 1, 3, "a key has to be a word");
}

#[test]
fn every_bound_holds() {
    assert_eq!(read(&" ".repeat(4 * 1024 * 1024 + 1)), Err((At::START, BadYaml::TooLong)));
    assert_eq!(read(&"[".repeat(65)).err().unwrap().1, BadYaml::TooDeep);
    assert_eq!(read(&"- ".repeat(65)).err().unwrap().1, BadYaml::TooDeep);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(64)).is_ok() && read(&nested(65)).is_err());
    let many = |count: usize| format!("[{}]", "a,".repeat(count));
    assert!(read(&many(199_999)).is_ok());
    assert_eq!(read(&many(200_001)).err().unwrap().1, BadYaml::TooMany);
}

#[test]
fn no_text_makes_the_reader_panic() {
    let seeds = [
        include_str!("../../../../examples/quickstart/estate.yaml"),
        r#"{"a": "\ud83d\ude00\\\ud83d\\ude00", "b": [1, "\ud83d\u0041"]}"#,
        "a: |\n  x\n  y\nb: >-\n  z\n? k\n: [1, {b: 'c'}]\n--- \"\\u00e9\\n\"\n...\n%YAML 1.2\n---\n- x\n",
    ];
    for seed in seeds {
        testkit::mutate(seed.as_bytes(), 4_000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let _ = read_json(&text);
            let Ok(documents) = read(&text) else { return };
            // what was read stands where the text has a line
            assert!(documents.iter().all(|node| node.at.line >= 1 && node.at.column >= 1));
            assert!(
                documents
                    .iter()
                    .all(|node| !matches!(&node.value, Value::Scalar(text, Quoting::Plain) if text.is_empty()))
            );
        });
    }
}

#[test]
fn json_is_read_too() {
    for (json, expected) in [
        (r#"{"a":"b"}"#, "b"),
        ("{\n\t\"a\": \"b\",\n\t\"c\": [\n\t\t1\n\t]\n}\n", "b"),
        ("{\r\n  \"a\" : \"b\" ,\r\n  \"c\":{}}", "b"),
        (r#"{"a":"\/\"\\\b\f\n\r\t\u00e9"}"#, "/\"\\\u{8}\u{c}\n\r\té"),
        (r#"{"a":"\ud83d\ude00"}"#, "\u{1f600}"),
        (r#"{"a":"\uD83D\uDE00\uDBFF\udfff"}"#, "\u{1f600}\u{10ffff}"),
        (r#"{"a":"\\ud83d\\ude00"}"#, r"\ud83d\ude00"),
        (r#"{"a":"\u0000"}"#, "\0"),
        (r#"{"a":"x: y # z, {w}"}"#, "x: y # z, {w}"),
        ("{\"a\":\n\n\"b\"}", "b"),
        (r#"{"a":-1.5e3}"#, "-1.5e3"),
    ] {
        let documents = read_json(json).unwrap_or_else(|error| panic!("{json}: {error:?}"));
        assert_eq!(text(&documents[0], "a"), expected, "{json}");
    }
    let half = read_json(r#"{"a":"\ud83d"}"#).unwrap_err();
    assert!(matches!(half.1, BadYaml::Syntax { .. }), "{half:?}");
}

#[test]
fn places_in_json_are_those_of_the_file() {
    let emoji = r"\ud83d\ude00";
    let json = format!("{{\"a\": \"{emoji}{emoji}\", \"é\": 1,\r\n\t\"b\": \"{emoji}\", \"c\": {{\"d\": {emoji}}}}}");
    let at = |json: &str, what: &str| {
        let (before, _) = json.split_once(what).unwrap();
        let line = before.rsplit('\n').next().unwrap();
        At { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    };
    let documents = read_json(&json).unwrap();
    let Value::Map(entries) = &documents[0].value else { panic!("not a mapping") };
    let places: Vec<At> = entries.iter().map(|entry| entry.at).collect();
    assert_eq!(places, ["\"a\"", "\"é\"", "\"b\"", "\"c\""].map(|key| at(&json, key)));
    let broken = json.replace("\"c\"", "\"b\"");
    let place = at(&json, "\"c\"");
    assert_eq!(read_json(&broken), Err((place, BadYaml::RepeatedKey { key: "b".to_owned() })));
}
