//! Golden files: what was promised, byte for byte. `UPDATE=1` writes them anew.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Compares `text` with the file of that name.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, text).expect("it can be written");
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes what was answered:\n{text}", path.display()));
    assert_eq!(text, expected, "differs from {}; UPDATE=1 writes it anew", path.display());
}

/// A JSON document with what differs each time replaced by its name; order, nulls and all else stay.
pub fn normal(document: &Value) -> String {
    let mut document = document.clone();
    replace(&mut document);
    format!("{document:#}\n")
}

fn replace(value: &mut Value) {
    match value {
        Value::Object(members) => {
            *members = std::mem::take(members).into_iter().map(|(name, value)| member(name, value)).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(replace),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn member(name: String, mut value: Value) -> (String, Value) {
    let varies = match name.as_str() {
        "id" | "of" => value.as_str().is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())),
        "record" | "trace_id" | "prev" | "time" | "writer" | "digest" | "issued" | "expires" | "until" | "deadline"
        | "credential_id" | "key_thumbprint" | "snapshot" | "keys" | "micros" | "head" | "signature" | "server"
        | "seq" => true,
        _ => false,
    };
    if varies && (value.is_string() || value.is_number()) {
        value = Value::String(format!("<{name}>"));
    }
    if name == "segment"
        && let Some(segment) = value.as_str().and_then(|text| text.split_once('/'))
    {
        value = Value::String(format!("<writer>/{}", segment.1));
    }
    let is_uid = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match &mut value {
        Value::String(text) if text.strip_prefix("human:local:").is_some_and(is_uid) => {
            *text = "human:local:<uid>".to_owned();
        }
        // whoever runs this: the kernel's word is one number
        Value::Array(key) if name == "key" && key.len() == 1 && key[0].as_str().is_some_and(is_uid) => {
            *key = vec![Value::String("<uid>".to_owned())];
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {}
    }
    replace(&mut value);
    let is_writer = name.len() == 10 && name.starts_with("w-");
    (if is_writer { "<writer>".to_owned() } else { name }, value)
}
