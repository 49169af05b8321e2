//! The identity document of an instance of Amazon EC2, by the signature of its region: the document that is read is the one
//! inside of the signed message, and no other is looked at.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{Binding, Digest, SourceName, Time};

use super::cms::Message;
use crate::cause::shown;
use crate::certificate::{self, Flaw, Particulars};
use crate::json::{self, Json, Object};
use crate::{Cause, CredentialKind, Finding, digest_of};

/// Most certificates of one region: its key is replaced now and then.
const MAX_CERTIFICATES: usize = 8;
/// Longest document that is read, in bytes of base64.
const MAX_BYTES: usize = 16 * 1024;
/// Longest value that becomes a selector, in bytes.
const MAX_VALUE: usize = 128;

const EXPECTED: &str = "an instance's identity document";

/// Selectors, by the names that SPIRE gives them where it has them, and the members of the document.
const ATTESTED: &[(&str, &str)] = &[
    ("aws_iid:account", "accountId"),
    ("aws_iid:region", "region"),
    ("aws_iid:az", "availabilityZone"),
    ("aws_iid:instance:id", "instanceId"),
    ("aws_iid:instance:type", "instanceType"),
    ("aws_iid:image:id", "imageId"),
];

/// Instances that are nodes: of these accounts, in these regions.
#[derive(Debug, Clone)]
pub struct AwsInstances {
    accounts: Vec<String>,
    regions: BTreeMap<String, Vec<Signer>>,
    digest: Digest,
}

/// A certificate of a region.
#[derive(Debug, Clone)]
struct Signer {
    der: Vec<u8>,
    particulars: Particulars,
}

/// Why certificates are not those of a region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRegion {
    #[error("a region has at most {MAX_CERTIFICATES} certificates, `{region}` has {found}")]
    TooMany { region: String, found: usize },
    #[error("certificate {place} of region `{region}` signs no documents")]
    Certificate { region: String, place: usize, source: Flaw },
}

impl AwsInstances {
    /// Instances of accounts, by the certificates of each region in DER.
    ///
    /// # Errors
    /// [`BadRegion`].
    pub fn new(accounts: Vec<String>, regions: BTreeMap<String, Vec<Vec<u8>>>) -> Result<Self, BadRegion> {
        let digest =
            digest_of(&regions.values().flatten().flat_map(|der| *digest_of(der).as_bytes()).collect::<Vec<_>>());
        let mut read = BTreeMap::new();
        for (region, certificates) in regions {
            if certificates.len() > MAX_CERTIFICATES {
                return Err(BadRegion::TooMany { region, found: certificates.len() });
            }
            let mut signers = Vec::new();
            for (place, der) in (1..).zip(certificates) {
                let particulars = certificate::parse(&der).and_then(|parsed| {
                    certificate::check_rsa(&parsed)?;
                    Particulars::of(&parsed)
                });
                match particulars {
                    Ok(particulars) => signers.push(Signer { der, particulars }),
                    Err(source) => return Err(BadRegion::Certificate { region, place, source }),
                }
            }
            read.insert(region, signers);
        }
        Ok(Self { accounts, regions: read, digest })
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Shape, the region's certificates, the signature and their times, and then whose instance it is.
pub(super) fn check(
    source: &SourceName,
    instances: &AwsInstances,
    evidence: &[u8],
    at: Time,
) -> Result<Finding, Cause> {
    let malformed = || Cause::EvidenceMalformed { expected: EXPECTED };
    if evidence.len() > MAX_BYTES {
        return Err(Cause::TooLong { found: evidence.len(), most: MAX_BYTES });
    }
    // as the metadata service gives it: base64 in lines
    let text: Vec<u8> = evidence.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = BASE64_STANDARD.decode(text).ok().ok_or_else(malformed)?;
    let message = Message::read(&bytes)?;
    let document = Document::read(message.unverified()).ok_or_else(malformed)?;
    // INVARIANT: the region that the document names is the one whose signature it has
    let signers = instances.regions.get(&document.region).ok_or(Cause::KeyUnknown)?;
    let place = message.signed_by(signers.iter().map(|signer| signer.der.as_slice()));
    let signer = place.and_then(|place| signers.get(place)).ok_or(Cause::SignatureInvalid)?;
    signer.particulars.hold_at(at)?;
    if !instances.accounts.contains(&document.account) {
        return Err(Cause::NotListed { found: shown(&document.account) });
    }
    let digest = digest_of(&bytes);
    Ok(Finding {
        source: source.clone(),
        kind: CredentialKind::AwsIid,
        binding: Binding::Bearer,
        key: vec![document.account, document.region, document.instance],
        display: document.selectors,
        facts: BTreeSet::new(),
        credential_id: format!("sha256:{digest}"),
        digest,
        issued: document.launched,
        expires: None,
        until: signer.particulars.ends(),
        key_id: Some(signer.particulars.serial.clone()),
        key_thumbprint: Some(signer.particulars.key),
    })
}

/// What a document says that is needed.
struct Document {
    account: String,
    region: String,
    instance: String,
    launched: Option<Time>,
    selectors: Vec<(String, String)>,
}

impl Document {
    /// None of what names no instance.
    fn read(bytes: &[u8]) -> Option<Self> {
        let members = json::read_object(bytes)?;
        let text = |name: &str| members.find(name).and_then(Json::as_str);
        Some(Self {
            account: text("accountId").filter(|text| is_account(text))?.to_owned(),
            region: text("region").filter(|text| is_region(text))?.to_owned(),
            instance: text("instanceId").filter(|text| is_instance(text))?.to_owned(),
            launched: text("pendingTime").and_then(|text| text.parse().ok()),
            selectors: selectors(&members),
        })
    }
}

fn selectors(members: &Object) -> Vec<(String, String)> {
    let attested = ATTESTED.iter().filter_map(|(name, member)| {
        let value = members.find(member)?.as_str()?;
        let fits = !value.is_empty() && value.len() <= MAX_VALUE && !value.chars().any(char::is_control);
        fits.then(|| ((*name).to_owned(), value.to_owned()))
    });
    attested.collect()
}

/// Twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Such as `eu-central-2`.
pub fn is_region(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (4..=32).contains(&text.len()) && text.bytes().all(sound) && !text.starts_with('-') && !text.ends_with('-')
}

/// Such as `i-0b22a22eec53b9321`.
pub(super) fn is_instance(text: &str) -> bool {
    let hex = text.strip_prefix("i-").filter(|hex| matches!(hex.len(), 8 | 17));
    hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')))
}
