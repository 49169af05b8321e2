//! Tokens of managed identities of Azure.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use net::Metadata;
use serde::Deserialize;

use super::{NoWord, Of, encoded, trimmed};

#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

/// The token of the machine's managed identity for a resource; of the one of this client id, where it has several.
pub(crate) async fn token(metadata: &Metadata, resource: &str, client: Option<&str>) -> Result<Bytes, NoWord> {
    let client = client.map(|id| format!("&client_id={}", encoded(id))).unwrap_or_default();
    let target =
        format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={}{client}", encoded(resource));
    let header = (HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
    let answer = metadata.ask(Method::GET, &target, vec![header]).await;
    let answer = answer.map_err(|source| NoWord::Fetch { of: Of::Metadata, source })?;
    let answer: Answer = serde_json::from_slice(&answer).ok().ok_or(NoWord::Answer { of: Of::Metadata })?;
    Ok(trimmed(answer.access_token.as_bytes()))
}
