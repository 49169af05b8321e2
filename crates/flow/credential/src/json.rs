//! The one JSON reader of this crate: bounded in depth, and it refuses an object that names a member twice.
//!
//! RFC 7519 §4 lets a reader take the last of two equal claims; two readers that choose differently see two callers in one
//! token. So there is no `serde_json::Value` here, which takes the last one silently.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::cause::shown;

/// A JSON value, with integers apart from every other number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Written without fraction or exponent, and within `i64`.
    Integer(i64),
    /// The same above `i64`, and within `u64`.
    Large(u64),
    /// Any other number: nothing here ever needs its value.
    Number,
    String(String),
    Array(Vec<Self>),
    Object(Object),
}

/// The members of an object, in their order. INVARIANT: no two have the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Object(Vec<(String, Json)>);

/// Reads one JSON text (RFC 8259) and nothing behind it. The depth is bounded by `serde_json` (128).
///
/// # Errors
/// Anything that is not one JSON text in UTF-8 without a byte order mark, or that names a member twice.
pub(crate) fn read(bytes: &[u8]) -> Result<Json, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let json = Json::deserialize(&mut reader)?;
    reader.end()?;
    Ok(json)
}

/// The same for a JSON object; none where it is anything else.
pub(crate) fn read_object(bytes: &[u8]) -> Option<Object> {
    let Json::Object(object) = read(bytes).ok()? else { return None };
    Some(object)
}

/// A text as JSON writes it.
pub(crate) fn quoted(text: &str) -> String {
    // a text always can be written
    serde_json::to_string(text).unwrap_or_default()
}

impl Json {
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub(crate) const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(crate) const fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// An integer from 0 up.
    pub(crate) fn as_count(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Large(number) => Some(*number),
            Self::Null | Self::Bool(_) | Self::Number | Self::String(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

impl Object {
    pub(crate) fn find(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, json)| json)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, json)| (name.as_str(), json))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn named_twice(&self) -> Option<&str> {
        // sorted once: comparing every pair would be quadratic in what a stranger sends
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.iter().zip(names.iter().skip(1)).find(|(name, next)| name == next).map(|(name, _)| *name)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or(Json::Large(number), Json::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object(Vec::new());
        while let Some(member) = members.next_entry()? {
            object.0.push(member);
        }
        match object.named_twice() {
            Some(name) => Err(A::Error::custom(format_args!("member `{}` is named twice", shown(name)))),
            None => Ok(Json::Object(object)),
        }
    }
}
