//! A registration in JSON: what is kept of it, and what its digest is of.

use std::time::Duration;

use model::{Selector, Time};
use serde::{Deserialize, Serialize};

use crate::estate::Registration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    nodes: Vec<String>,
    selectors: Vec<String>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x509_ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwt_ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dns_names: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hint: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    federates_with: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    downstream: bool,
}

/// Why what is kept is no registration.
#[derive(Debug, thiserror::Error)]
pub enum BadDocument {
    #[error("it is not the JSON of a registration")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] model::BadIdTemplate),
    #[error(transparent)]
    Selector(#[from] model::BadSelector),
    #[error(transparent)]
    Domain(#[from] model::BadSpiffeId),
    #[error(transparent)]
    Time(#[from] model::BadTime),
}

/// Its JSON.
pub fn write(registration: &Registration) -> String {
    let texts = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect();
    let millis = |span: Option<Duration>| span.and_then(|span| u64::try_from(span.as_millis()).ok());
    let document = Document {
        id: registration.id.to_string(),
        nodes: texts(&registration.nodes),
        selectors: texts(&registration.selectors),
        x509_ttl: millis(registration.x509_ttl),
        jwt_ttl: millis(registration.jwt_ttl),
        dns_names: registration.dns_names.clone(),
        hint: registration.hint.clone(),
        federates_with: registration.federates_with.iter().map(ToString::to_string).collect(),
        expires: registration.expires.map(|end| end.to_string()),
        downstream: registration.downstream,
    };
    // strings and numbers: serialising them cannot fail
    serde_json::to_string(&document).unwrap_or_default()
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// [`BadDocument`].
pub fn read(name: String, json: &str) -> Result<Registration, BadDocument> {
    let document: Document = serde_json::from_str(json)?;
    let selectors =
        |texts: Vec<String>| texts.iter().map(|text| text.parse::<Selector>()).collect::<Result<Box<[Selector]>, _>>();
    Ok(Registration {
        name,
        id: document.id.parse()?,
        nodes: selectors(document.nodes)?,
        selectors: selectors(document.selectors)?,
        x509_ttl: document.x509_ttl.map(Duration::from_millis),
        jwt_ttl: document.jwt_ttl.map(Duration::from_millis),
        dns_names: document.dns_names,
        hint: document.hint,
        federates_with: document.federates_with.iter().map(|domain| domain.parse()).collect::<Result<_, _>>()?,
        expires: document.expires.map(|end| end.parse::<Time>()).transpose()?,
        downstream: document.downstream,
    })
}
