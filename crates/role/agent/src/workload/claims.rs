//! The claims of a token that was validated, as protobuf writes JSON.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// Every claim of a JSON object; none of anything else.
pub(super) fn of(claims: &[u8]) -> Struct {
    match serde_json::from_slice(claims) {
        Ok(serde_json::Value::Object(members)) => object(members),
        Ok(_) | Err(_) => Struct::default(),
    }
}

fn object(members: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, json)| (name, value(json))).collect() }
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() })
        }
        serde_json::Value::Object(members) => Kind::StructValue(object(members)),
    };
    Value { kind: Some(kind) }
}
