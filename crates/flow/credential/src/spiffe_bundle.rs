//! SPIFFE bundles as trust domains publish them (SPIFFE_Trust_Domain_and_Bundle.md §4): who signs the SVIDs of one trust domain.
//!
//! What is not known here (another `kty` or `use`, a parameter) is passed over, as the standard asks; what is known and broken
//! refuses the document, but for certificates, which are passed over one by one (X509-SVID.md §6.2), and for the keys of
//! WIT-SVIDs, which are passed over all together: their standard is incubating, and what is wrong with them keeps nothing else
//! from being used.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::TrustDomain;

use crate::authorities::{MAX_AUTHORITIES, authority};
use crate::json::{self, Json, Object};
use crate::{BadKeySet, KeySet, jwk};

/// Longest bundle that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most keys in a bundle, those that are passed over included.
const MAX_KEYS: usize = 100;
/// The values of `use`, compared octet for octet (§4.2.2).
const X509_SVID: &str = "x509-svid";
const JWT_SVID: &str = "jwt-svid";
const WIT_SVID: &str = "wit-svid";
/// What signs JWT-SVIDs (JWT-SVID.md §2.2) and WIT-SVIDs (WIT-SVID.md §2.3).
const KEY_TYPES: &[&str] = &["EC", "RSA"];

/// The authorities of one trust domain. Without any, no SVID of it is valid (§4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeBundle {
    domain: TrustDomain,
    x509: Vec<Vec<u8>>,
    jwt: String,
    wit: Option<String>,
    sequence: Option<u64>,
    refresh_hint: Option<Duration>,
}

/// Why a document is no SPIFFE bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpiffeBundle {
    #[error("the bundle has {found} bytes; at most {MAX_BYTES} are read")]
    TooLong { found: usize },
    #[error("the bundle is not JSON, or names a member twice: {reason}")]
    Json { reason: String },
    #[error("expected a JSON object with an array `keys` (SPIFFE_Trust_Domain_and_Bundle.md §4.1.3)")]
    NotABundle,
    #[error("the bundle has {found} keys; at most {MAX_KEYS} are read")]
    TooManyKeys { found: usize },
    #[error("the bundle has {found} authorities of X.509-SVIDs; at most {MAX_AUTHORITIES} are read")]
    TooManyAuthorities { found: usize },
    #[error("`{name}` is not an integer from 0 up, of at most 64 bits")]
    NotACount { name: &'static str },
    #[error("the keys of JWT-SVIDs cannot be used")]
    JwtKeys(#[source] BadKeySet),
}

impl SpiffeBundle {
    /// Reads the bundle of `domain`.
    ///
    /// # Errors
    /// [`BadSpiffeBundle`].
    pub fn parse(domain: &TrustDomain, document: &[u8]) -> Result<Self, BadSpiffeBundle> {
        if document.len() > MAX_BYTES {
            return Err(BadSpiffeBundle::TooLong { found: document.len() });
        }
        let read = json::read(document).map_err(|error| BadSpiffeBundle::Json { reason: error.to_string() })?;
        let bundle = read.as_object().ok_or(BadSpiffeBundle::NotABundle)?;
        let keys = bundle.find("keys").and_then(Json::as_array).ok_or(BadSpiffeBundle::NotABundle)?;
        if keys.len() > MAX_KEYS {
            return Err(BadSpiffeBundle::TooManyKeys { found: keys.len() });
        }
        let x509: Vec<Vec<u8>> =
            used_for(keys, X509_SVID).filter_map(certificate).filter(|der| authority(der, domain).is_ok()).collect();
        if x509.len() > MAX_AUTHORITIES {
            return Err(BadSpiffeBundle::TooManyAuthorities { found: x509.len() });
        }
        let sequence = count(bundle, "spiffe_sequence")?;
        let refresh_hint = count(bundle, "spiffe_refresh_hint")?.map(Duration::from_secs);
        let (jwt, wit) = (token_keys(keys, JWT_SVID)?, wit_keys(keys));
        Ok(Self { domain: domain.clone(), x509, jwt, wit, sequence, refresh_hint })
    }

    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Certificates of the authorities of X.509-SVIDs, in DER.
    pub fn x509_authorities(&self) -> &[Vec<u8>] {
        &self.x509
    }

    /// The keys of JWT-SVIDs, as a plain JWK Set.
    pub fn jwt_keys(&self) -> &str {
        &self.jwt
    }

    /// The keys of WIT-SVIDs, likewise; none where it has none that can be used, and so does not do WIT-SVIDs (WIT-SVID.md §6.2).
    pub fn wit_keys(&self) -> Option<&str> {
        self.wit.as_deref()
    }

    /// Greater with every change, where the trust domain says so (§4.1.1).
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How often the trust domain would have its bundle fetched (§4.1.2).
    pub const fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// Whether it trusts the same authorities.
    pub fn trusts_as(&self, other: &Self) -> bool {
        (&self.domain, &self.x509, &self.jwt, &self.wit) == (&other.domain, &other.x509, &other.jwt, &other.wit)
    }
}

fn used_for<'k>(keys: &'k [Json], usage: &'static str) -> impl Iterator<Item = &'k Object> {
    let used = move |key: &&Object| key.find("use").and_then(Json::as_str) == Some(usage);
    keys.iter().filter_map(Json::as_object).filter(used)
}

/// The first certificate of an entry; what follows it is not looked at (X509-SVID.md §6.2).
fn certificate(key: &Object) -> Option<Vec<u8>> {
    STANDARD.decode(key.find("x5c")?.as_array()?.first()?.as_str()?).ok()
}

/// All of them or none. No other key of the bundle has the name of one (WIT-SVID.md §6.1).
fn wit_keys(keys: &[Json]) -> Option<String> {
    let named = |usage| used_for(keys, usage).filter_map(|key| key.find("kid").and_then(Json::as_str));
    if named(WIT_SVID).any(|kid| named(JWT_SVID).any(|other| other == kid)) {
        return None;
    }
    let set = token_keys(keys, WIT_SVID).ok()?;
    KeySet::parse(set.as_bytes()).is_ok().then_some(set)
}

/// The keys of one use that have a name: without one, no validator can tell which is meant.
fn token_keys(keys: &[Json], usage: &'static str) -> Result<String, BadSpiffeBundle> {
    let text = |key: &Object, name| key.find(name).and_then(Json::as_str).map(str::to_owned);
    let known = |key: &&Object| {
        text(key, "kty").is_some_and(|kty| KEY_TYPES.contains(&kty.as_str()))
            && text(key, "kid").is_some_and(|kid| !kid.is_empty())
    };
    let plain = used_for(keys, usage).filter(known).map(jwk::plain);
    let plain: Vec<String> = plain.collect::<Result<_, _>>().map_err(BadSpiffeBundle::JwtKeys)?;
    let set = format!("{{\"keys\":[{}]}}", plain.join(","));
    match KeySet::parse(set.as_bytes()) {
        Ok(_) | Err(BadKeySet::NoneUsable { .. }) => Ok(set),
        Err(bad) => Err(BadSpiffeBundle::JwtKeys(bad)),
    }
}

fn count(bundle: &Object, name: &'static str) -> Result<Option<u64>, BadSpiffeBundle> {
    let Some(json) = bundle.find(name) else { return Ok(None) };
    json.as_count().map(Some).ok_or(BadSpiffeBundle::NotACount { name })
}
