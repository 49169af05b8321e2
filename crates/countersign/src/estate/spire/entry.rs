//! Entries as SPIRE prints them: `spire.api.types.Entry` in protobuf's JSON, with the names of the fields in either form. Ids may
//! be texts, too, as in the files that `spire-server entry create -data` takes.

use std::collections::BTreeMap;
use std::fmt;

use model::{BadSpiffeId, SpiffeId};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// Longest list, in bytes.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Most entries of a list.
const MAX_ENTRIES: usize = 1_000_000;

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    #[error(
        "a list of entries has at most {MAX_BYTES} bytes and {MAX_ENTRIES} entries: export it in parts, by `-parentID` or `-spiffeID`"
    )]
    TooLarge,
    #[error("not what `spire-server entry show -output json` prints")]
    Json(#[from] serde_json::Error),
}

#[derive(serde::Deserialize)]
struct List {
    #[serde(deserialize_with = "or_default")]
    entries: Vec<Entry>,
    #[serde(default, alias = "nextPageToken", deserialize_with = "or_default")]
    next_page_token: String,
}

/// One entry, not judged yet.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Entry {
    #[serde(default, alias = "entry_id", alias = "entryId", deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, alias = "spiffeId", deserialize_with = "or_default")]
    pub spiffe_id: Id,
    #[serde(default, alias = "parentId", deserialize_with = "or_default")]
    pub parent_id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub selectors: Vec<TypedValue>,
    #[serde(default, alias = "x509SvidTtl", deserialize_with = "or_default")]
    pub x509_svid_ttl: Integer,
    #[serde(default, alias = "jwtSvidTtl", deserialize_with = "or_default")]
    pub jwt_svid_ttl: Integer,
    #[serde(default, alias = "federatesWith", deserialize_with = "or_default")]
    pub federates_with: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub admin: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub downstream: bool,
    #[serde(default, alias = "expiresAt", deserialize_with = "or_default")]
    pub expires_at: Integer,
    #[serde(default, alias = "dnsNames", deserialize_with = "or_default")]
    pub dns_names: Vec<String>,
    #[serde(default, alias = "storeSvid", deserialize_with = "or_default")]
    pub store_svid: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub hint: String,
    #[serde(
        default,
        rename = "additional_attributes",
        alias = "additionalAttributes",
        deserialize_with = "or_default"
    )]
    pub attributes: Attributes,
    /// How often it was changed, and when it was made: said of the entry, not of the workload.
    #[serde(default, alias = "revisionNumber", rename = "revision_number")]
    _revision: IgnoredAny,
    #[serde(default, alias = "createdAt", rename = "created_at")]
    _created: IgnoredAny,
    /// Fields that are not known here.
    #[serde(flatten)]
    pub others: BTreeMap<String, IgnoredAny>,
}

/// `additional_attributes`. That X.509-SVIDs are not made ahead needs no carrying: here they are made when they are asked for.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Attributes {
    #[serde(default, alias = "jwtSvidIncludeJti", deserialize_with = "or_default")]
    pub jwt_svid_include_jti: bool,
    #[serde(default, alias = "disableX509SvidPrefetch", rename = "disable_x509_svid_prefetch")]
    _disable_prefetch: IgnoredAny,
    #[serde(flatten)]
    pub others: BTreeMap<String, IgnoredAny>,
}

/// A selector.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedValue {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub value: String,
}

/// A SPIFFE ID in its two parts, or as a text.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(String);

/// A number, or the text of one: how protobuf's JSON says 64 bits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Integer(pub i64);

impl Entry {
    /// What entries are ordered by: all that tells them apart.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let mut selectors: Vec<_> = self.selectors.iter().map(|one| (one.kind.clone(), one.value.clone())).collect();
        selectors.sort();
        (self.spiffe_id.text(), self.id.clone(), self.parent_id.text(), selectors)
    }
}

impl Id {
    pub(super) fn read(&self) -> Result<SpiffeId, BadSpiffeId> {
        self.0.parse()
    }

    pub(super) fn text(&self) -> String {
        self.0.clone()
    }
}

/// Reads a list, and whether there is more than is on it.
///
/// # Errors
/// [`NotRead`].
pub(super) fn read(json: &[u8]) -> Result<(Vec<Entry>, bool), NotRead> {
    if json.len() > MAX_BYTES {
        return Err(NotRead::TooLarge);
    }
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    let list = if first == Some(&b'[') {
        List { entries: serde_json::from_slice(json)?, next_page_token: String::new() }
    } else {
        serde_json::from_slice::<List>(json)?
    };
    if list.entries.len() > MAX_ENTRIES {
        return Err(NotRead::TooLarge);
    }
    Ok((list.entries, !list.next_page_token.is_empty()))
}

/// `null` says what an absent field says.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SPIFFE ID, or its `trust_domain` and `path`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                Ok(Id(text.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Id, M::Error> {
                let (mut domain, mut path) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let place = match key.as_str() {
                        "trust_domain" | "trustDomain" => &mut domain,
                        "path" => &mut path,
                        other => return Err(M::Error::unknown_field(other, &["trust_domain", "path"])),
                    };
                    if place.is_some() {
                        return Err(M::Error::custom(format!("`{key}` stands here twice")));
                    }
                    *place = Some(map.next_value::<String>()?);
                }
                Ok(Id(format!("spiffe://{}{}", domain.unwrap_or_default(), path.unwrap_or_default())))
            }
        }
        from.deserialize_any(Parts)
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
                Ok(Integer(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
                i64::try_from(number).map(Integer).or(Err(E::custom("a number of at most 63 bits")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Integer, E> {
                text.parse().map(Integer).or(Err(E::custom(format!("`{text}` is no whole number"))))
            }
        }
        from.deserialize_any(Digits)
    }
}
