//! Reading claims: the registered ones by their types (RFC 7519 §4.1), any other by its path.

use std::fmt;
use std::str::FromStr;

use model::Time;

use crate::Cause;
use crate::json::{Json, Object};

/// A dotted path to a claim, such as `sub` or `kubernetes\.io.namespace`; `\.` is a dot within a name, `\\` a backslash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// Why a text is not a claim path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClaimPath {
    #[error("`{text}` is not a claim's path: a name in it is empty")]
    EmptyName { text: String },
    #[error("`{text}` is not a claim's path: a backslash stands before a dot or another backslash only")]
    Escape { text: String },
}

impl ClaimPath {
    pub(crate) fn find<'a>(&self, claims: &'a Object) -> Option<&'a Json> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.find(first)?, |json, name| json.as_object()?.find(name))
    }

    /// The claim, if it is a string.
    pub(crate) fn find_text<'a>(&self, claims: &'a Object) -> Option<&'a str> {
        self.find(claims)?.as_str()
    }
}

impl FromStr for ClaimPath {
    type Err = BadClaimPath;

    fn from_str(text: &str) -> Result<Self, BadClaimPath> {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '.' => names.push(std::mem::take(&mut name)),
                '\\' => match chars.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    Some(_) | None => return Err(BadClaimPath::Escape { text: text.to_owned() }),
                },
                plain => name.push(plain),
            }
        }
        names.push(name);
        if names.iter().any(String::is_empty) {
            return Err(BadClaimPath::EmptyName { text: text.to_owned() });
        }
        Ok(Self(names))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            for c in name.chars() {
                if matches!(c, '.' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The registered claims of a token, each of its type or absent. `null` is not absent: it has the wrong type.
pub(crate) struct Registered<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: Option<Vec<&'a str>>,
    pub(crate) expires: Option<Time>,
    pub(crate) not_before: Option<Time>,
    pub(crate) issued: Option<Time>,
    pub(crate) id: Option<&'a str>,
    pub(crate) confirmation: Option<Confirmation<'a>>,
}

/// Whom a token is bound to (`cnf`, RFC 7800 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation<'a> {
    /// `x5t#S256`: base64url of the SHA-256 of a client certificate (RFC 8705 §3.1).
    Certificate(&'a str),
    /// By a method, or by several, that nothing here can prove.
    Other,
}

impl<'a> Registered<'a> {
    /// # Errors
    /// [`Cause::ClaimMissing`] without `iss`, [`Cause::ClaimType`] for any claim of the wrong type.
    pub(crate) fn read(claims: &'a Object) -> Result<Self, Cause> {
        text(claims, "sub")?;
        Ok(Self {
            issuer: text(claims, "iss")?.ok_or_else(|| Cause::ClaimMissing { name: "iss".to_owned() })?,
            audience: audience(claims)?,
            expires: time(claims, "exp")?,
            not_before: time(claims, "nbf")?,
            issued: time(claims, "iat")?,
            id: text(claims, "jti")?,
            confirmation: confirmation(claims)?,
        })
    }
}

pub(crate) fn text<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a str>, Cause> {
    let Some(json) = claims.find(name) else { return Ok(None) };
    json.as_str().map(Some).ok_or_else(|| wrong_type(name, "a string"))
}

/// RFC 7519 §2 lets a NumericDate have a fraction; nobody needs one, and readers differ over them.
pub(crate) fn time(claims: &Object, name: &str) -> Result<Option<Time>, Cause> {
    let Some(found) = claims.find(name) else { return Ok(None) };
    let Json::Integer(seconds) = found else { return Err(wrong_type(name, "an integer")) };
    Ok(Some(Time::from_unix_seconds(*seconds)))
}

pub(crate) fn audience(claims: &Object) -> Result<Option<Vec<&str>>, Cause> {
    let Some(json) = claims.find("aud") else { return Ok(None) };
    let named = match json {
        Json::String(one) => Some(vec![one.as_str()]),
        Json::Array(many) => many.iter().map(Json::as_str).collect(),
        Json::Null | Json::Bool(_) | Json::Integer(_) | Json::Large(_) | Json::Number | Json::Object(_) => None,
    };
    named.map(Some).ok_or_else(|| wrong_type("aud", "a string or an array of strings"))
}

fn confirmation(claims: &Object) -> Result<Option<Confirmation<'_>>, Cause> {
    let Some(json) = claims.find("cnf") else { return Ok(None) };
    let methods = json.as_object().ok_or_else(|| wrong_type("cnf", "an object"))?;
    let certificate = methods.find("x5t#S256").and_then(Json::as_str).filter(|_| methods.len() == 1);
    Ok(Some(certificate.map_or(Confirmation::Other, Confirmation::Certificate)))
}

fn wrong_type(name: &str, expected: &'static str) -> Cause {
    Cause::ClaimType { name: name.to_owned(), expected }
}
