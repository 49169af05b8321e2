//! Key sets (RFC 7517 §5): the public keys of one source, parsed once.
//!
//! A set that holds a private or symmetric key, or one `kid` twice, or anything of the wrong type, is refused whole: half a
//! key set is not what its owner published. Keys that are sound and not for us (encryption, other curves) are passed over.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use model::Digest;

use crate::cause::shown;
use crate::json::{self, Json};
use crate::jwk::Key;
use crate::{Algorithm, digest_of};

/// Longest key set that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most keys in a set, those that are passed over included.
const MAX_KEYS: usize = 100;

/// The public keys of one source. A clone shares them.
#[derive(Clone)]
pub struct KeySet {
    digest: Digest,
    keys: Arc<[Key]>,
}

/// Why a key set does not load. Keys are named by `kid`, or by their place, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    #[error("the key set has {found} bytes; at most {most} are read")]
    TooLong { found: usize, most: usize },
    #[error("the key set is not JSON, or names a member twice: {reason}")]
    Json { reason: String },
    #[error("expected a JSON object with an array `keys` (RFC 7517 §5)")]
    NotASet,
    #[error("the key set has {found} keys; at most {most} are read")]
    TooManyKeys { found: usize, most: usize },
    #[error("key {key} is not a JSON object")]
    NotAnObject { key: String },
    #[error("key {key} has the private member `{member}`; a key set holds public keys only")]
    Private { key: String, member: &'static str },
    #[error("key {key} is symmetric (`kty` is `oct`); a key set holds public keys only")]
    Symmetric { key: String },
    #[error("two keys have the `kid` `{kid}`")]
    KidRepeated { kid: String },
    #[error("key {key} has no `{name}`")]
    MemberMissing { key: String, name: &'static str },
    #[error("`{name}` of key {key} is not {expected}")]
    MemberType { key: String, name: &'static str, expected: &'static str },
    #[error("`{name}` of key {key} is not unpadded base64url")]
    Base64 { key: String, name: &'static str },
    #[error("`{name}` of key {key} is empty or starts with a zero byte (RFC 7518 §2)")]
    NotMinimal { key: String, name: &'static str },
    #[error("key {key} has a modulus of {bits} bits; expected 2048 to 8192")]
    ModulusSize { key: String, bits: usize },
    #[error("`e` of key {key} is not an odd number from 3 up, of at most 33 bits")]
    Exponent { key: String },
    #[error("`{name}` of key {key} has {found} bytes; its curve has {expected}")]
    CoordinateSize { key: String, name: &'static str, found: usize, expected: usize },
    #[error("key {key} is not a public key of its type: its point is not on the curve, or its modulus is even")]
    Rejected { key: String },
    #[error("`alg` of key {key} is `{algorithm}`, which is not for a key of its type")]
    AlgorithmOfOtherType { key: String, algorithm: Algorithm },
    #[error("none of the {found} keys is a signature key of a type that is accepted here")]
    NoneUsable { found: usize },
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5) of at most 256 KiB and 100 keys.
    ///
    /// # Errors
    /// [`BadKeySet`].
    pub fn parse(json: &[u8]) -> Result<Self, BadKeySet> {
        if json.len() > MAX_BYTES {
            return Err(BadKeySet::TooLong { found: json.len(), most: MAX_BYTES });
        }
        let set = json::read(json).map_err(|error| BadKeySet::Json { reason: error.to_string() })?;
        let members = set.as_object().and_then(|set| set.find("keys")).and_then(Json::as_array);
        let members = members.ok_or(BadKeySet::NotASet)?;
        if members.len() > MAX_KEYS {
            return Err(BadKeySet::TooManyKeys { found: members.len(), most: MAX_KEYS });
        }
        let mut kids = BTreeSet::new();
        let mut keys = Vec::new();
        for (place, member) in (1..).zip(members) {
            if let Some(kid) = member.as_object().and_then(|key| key.find("kid")).and_then(Json::as_str)
                && !kids.insert(kid)
            {
                return Err(BadKeySet::KidRepeated { kid: shown(kid) });
            }
            keys.extend(Key::read(member, place)?);
        }
        if keys.is_empty() {
            return Err(BadKeySet::NoneUsable { found: members.len() });
        }
        Ok(Self { digest: digest_of(json), keys: keys.into() })
    }

    /// SHA-256 of the document's exact bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The key with this `kid`: an opaque name, compared byte for byte.
    pub(crate) fn named(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }

    /// The one key that fits the algorithm.
    ///
    /// # Errors
    /// How many keys fit, if it is not one.
    pub(crate) fn only_fit(&self, algorithm: Algorithm) -> Result<&Key, usize> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.count()) {
            (Some(key), 0) => Ok(key),
            (first, others) => Err(others + usize::from(first.is_some())),
        }
    }
}

/// Names the set; it may hold a hundred keys.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("digest", &self.digest).field("keys", &self.keys.len()).finish()
    }
}
