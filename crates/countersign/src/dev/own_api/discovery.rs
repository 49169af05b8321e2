//! Where an issuer's keys are, asked once and when a person is there to see the answer: what was found is written into the
//! estate, and no token ever makes anybody ask again.

use net::{BadRemote, FetchFailed, Plain, Reach, Remote, Roots, fetch};
use serde::Deserialize;

use super::OwnApi;

/// What is accepted where no discovery document says how the issuer signs.
const USUAL: &[&str] = &["RS256", "ES256"];

/// Why the keys of an issuer are not found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryFailed {
    #[error("the issuer's discovery document has no address to fetch it from; name its keys with --jwks-url")]
    Url(#[source] BadRemote),
    #[error("the issuer's discovery document `{url}` cannot be fetched; name its keys with --jwks-url")]
    Fetch { url: String, source: FetchFailed },
    #[error("`{url}` is no discovery document; name the issuer's keys with --jwks-url")]
    Document { url: String, source: serde_json::Error },
    #[error("`{url}` is of the issuer `{}`, and --issuer is `{asked}`: they are compared as they are written", .found.escape_debug())]
    OtherIssuer { url: String, found: String, asked: String },
}

/// Where an issuer's keys are, and how it signs.
#[derive(Debug)]
pub(super) struct Keys {
    pub url: String,
    pub algorithms: Vec<String>,
}

/// OpenID Connect Discovery 1.0 §3, as far as it matters here. A field that stands twice is an error.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
}

/// Finds the keys of the user's issuer.
///
/// # Errors
/// [`DiscoveryFailed`].
pub(super) async fn keys(own: &OwnApi) -> Result<Keys, DiscoveryFailed> {
    if let Some(url) = &own.jwks_url {
        return Ok(Keys { url: url.clone(), algorithms: usual() });
    }
    let url = format!("{}/.well-known/openid-configuration", own.issuer.strip_suffix('/').unwrap_or(&own.issuer));
    // whoever starts `dev` names their own issuer, wherever it is
    let remote = Remote::new(&url, Reach::Private, Plain::OnLoopback, Roots::Platform).map_err(DiscoveryFailed::Url)?;
    match fetch(&remote).await {
        Ok(fetched) => read(url, &fetched.document, &own.issuer),
        Err(source) => Err(DiscoveryFailed::Fetch { url, source }),
    }
}

/// Reads the discovery document that stands at `url`.
pub(super) fn read(url: String, bytes: &[u8], issuer: &str) -> Result<Keys, DiscoveryFailed> {
    let document: Document = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(source) => return Err(DiscoveryFailed::Document { url, source }),
    };
    if document.issuer != issuer {
        return Err(DiscoveryFailed::OtherIssuer { url, found: document.issuer, asked: issuer.to_owned() });
    }
    let known = |name: &String| name.parse::<credential::Algorithm>().is_ok();
    let mut algorithms: Vec<String> =
        document.id_token_signing_alg_values_supported.into_iter().filter(known).collect();
    if algorithms.is_empty() {
        algorithms = usual();
    }
    Ok(Keys { url: document.jwks_uri, algorithms })
}

fn usual() -> Vec<String> {
    USUAL.iter().map(|name| (*name).to_owned()).collect()
}
