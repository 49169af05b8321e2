//! Identity tokens of instances of Google Compute Engine.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use net::Metadata;

use super::{NoWord, Of, encoded, trimmed};

/// The instance's identity token for an audience, with what the instance is.
pub(crate) async fn token(metadata: &Metadata, audience: &str) -> Result<Bytes, NoWord> {
    let target = format!(
        "/computeMetadata/v1/instance/service-accounts/default/identity?audience={}&format=full",
        encoded(audience)
    );
    let flavour = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    let answer = metadata.ask(Method::GET, &target, vec![flavour]).await;
    Ok(trimmed(&answer.map_err(|source| NoWord::Fetch { of: Of::Metadata, source })?))
}
