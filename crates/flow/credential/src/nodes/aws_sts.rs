//! A request to Amazon's STS that a node signed and did not send. It says who its signer is, and names this exchange in a
//! header that is signed. Control makes the request anew from a few words, so that nothing else of it is the node's
//! (CVE-2020-16250: a verifier that sent what it was given), and the answer is read whole or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Binding, Digest, SourceName, Time};

use super::aws_iid::{is_account, is_region};
use super::x509pop::Statement;
use crate::cause::shown;
use crate::json::{self, Object};
use crate::{Cause, CredentialKind, Finding, digest_of};

/// What is asked, byte for byte.
pub const STS_BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
pub const STS_BODY_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The header that names the exchange.
pub const STS_BOUND: &str = "x-countersign-attestation";
/// Headers that are signed; the token's, where there is one.
const SIGNED: &str = "content-type;host;x-amz-date;x-countersign-attestation";
const SIGNED_WITH_TOKEN: &str = "content-type;host;x-amz-date;x-amz-security-token;x-countersign-attestation";

/// How far the time of signing may be from now, as at STS.
const CLOSE: Duration = Duration::from_secs(5 * 60);
/// How long STS takes a request after it was signed.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// Longest token of a session, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

const EXPECTED: &str = "the parts of a signed request to STS";
const EXPECTED_ANSWER: &str = "what STS says of an assumed role";

/// Whose sessions are nodes: those of these roles, by what STS of these regions says.
#[derive(Debug, Clone)]
pub struct AwsCallers {
    roles: Vec<Role>,
    regions: Vec<String>,
    place: StsPlace,
}

/// Where STS of a region is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StsPlace {
    /// Where Amazon says, at public addresses.
    Amazons,
    /// The same name, which may lead to a private address: an endpoint of a private network.
    AmazonsInPrivate,
    /// A URL of this machine, for all regions.
    Here(String),
}

/// A role, by account and name: what STS says of a session has no path of its role.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Role {
    partition: Partition,
    account: String,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partition {
    Aws,
    China,
    UsGov,
}

/// Why a text names no role whose sessions can be nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRole {
    #[error("`{text}` is not a role's ARN, such as `arn:aws:iam::123456789012:role/agents`")]
    Arn { text: String },
    #[error("`{text}` has a path, which STS does not tell: write `{without}`")]
    Path { text: String, without: String },
    #[error("roles of several partitions of AWS: one source is of one")]
    Partitions,
    #[error("region `{region}` is of another partition of AWS than the roles")]
    Region { region: String },
}

/// What a node sends of the request that it signed.
#[derive(Debug)]
pub struct SignedCall<'a> {
    pub access_key: &'a str,
    /// `x-amz-date`.
    pub time: &'a str,
    pub region: &'a str,
    /// Empty where the credentials are not a session's.
    pub session_token: &'a str,
    /// In hexadecimal.
    pub signature: &'a str,
    pub statement: Statement<'a>,
}

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StsCall {
    pub url: String,
    /// In order; `host` is among them.
    pub headers: Vec<(&'static str, String)>,
    pub body: &'static str,
    pub place: StsPlace,
}

/// What came of sending it.
#[derive(Debug, Clone, Copy)]
pub enum StsAnswer<'a> {
    Said(&'a [u8]),
    /// STS does not take the signature, or its time, or the key.
    Refused,
    /// It could not be asked, or gave no answer.
    Unheard,
}

/// A signed request, and what was answered to it.
#[derive(Debug)]
pub struct AwsCall<'a> {
    pub signed: SignedCall<'a>,
    pub answer: StsAnswer<'a>,
}

impl AwsCallers {
    /// Sessions of roles, each `arn:aws:iam::ACCOUNT:role/NAME`.
    ///
    /// # Errors
    /// [`BadRole`].
    pub fn new(roles: &[String], regions: Vec<String>, place: StsPlace) -> Result<Self, BadRole> {
        let roles = roles.iter().map(|text| Role::read(text)).collect::<Result<Vec<_>, _>>()?;
        let mut partitions = roles.iter().map(|role| role.partition);
        let first = partitions.next();
        if partitions.any(|one| Some(one) != first) {
            return Err(BadRole::Partitions);
        }
        if let Some(region) = regions.iter().find(|region| Some(Partition::of_region(region)) != first) {
            return Err(BadRole::Region { region: region.clone() });
        }
        Ok(Self { roles, regions, place })
    }

    /// The request that a node signed, made anew.
    ///
    /// # Errors
    /// The [`Cause`] for which there is none to send.
    pub fn call(&self, signed: &SignedCall<'_>, at: Time) -> Result<StsCall, Cause> {
        let malformed = || Cause::EvidenceMalformed { expected: EXPECTED };
        let time = signing_time(signed.time).ok_or_else(malformed)?;
        if !signed.is_sound() {
            return Err(malformed());
        }
        let region = self.regions.iter().find(|region| *region == signed.region);
        let region = region.ok_or_else(|| Cause::NotListed { found: shown(signed.region) })?;
        if time > at.plus(CLOSE) {
            return Err(Cause::NotYetValid { claim: "x-amz-date", at: time });
        }
        if time.plus(CLOSE) < at {
            return Err(Cause::TooOld);
        }
        let url = self.url(region);
        let host = host_of(&url).to_owned();
        let day = signed.time.get(..8).unwrap_or_default();
        let with_token = !signed.session_token.is_empty();
        let names = if with_token { SIGNED_WITH_TOKEN } else { SIGNED };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{day}/{region}/sts/aws4_request, SignedHeaders={names}, Signature={}",
            signed.access_key, signed.signature
        );
        let mut headers = vec![
            ("host", host),
            ("content-type", STS_BODY_TYPE.to_owned()),
            ("x-amz-date", signed.time.to_owned()),
            (STS_BOUND, signed.statement.bound()),
            ("authorization", authorization),
        ];
        if with_token {
            headers.push(("x-amz-security-token", signed.session_token.to_owned()));
        }
        Ok(StsCall { url, headers, body: STS_BODY, place: self.place.clone() })
    }

    /// INVARIANT: made of a region that the estate lists, and of nothing that a node says.
    fn url(&self, region: &str) -> String {
        match &self.place {
            StsPlace::Here(url) => url.clone(),
            StsPlace::Amazons | StsPlace::AmazonsInPrivate => sts_of(region),
        }
    }
}

/// Where Amazon has STS of a region.
pub fn sts_of(region: &str) -> String {
    format!("https://sts.{region}.{}/", Partition::of_region(region).domain())
}

/// The host of a URL, and the port if there is one.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

impl SignedCall<'_> {
    /// Whether each part has the characters that it may have, so that none can become another.
    fn is_sound(&self) -> bool {
        let key = self.access_key;
        let is_key = (16..=128).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let is_signature = self.signature.len() == 64 && self.signature.bytes().all(hex);
        let token = self.session_token;
        let is_token = token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
        is_key && is_signature && is_token && is_region(self.region)
    }

    pub(super) fn digest(&self) -> Digest {
        digest_of(self.signature.as_bytes())
    }
}

/// `20270102T030405Z`.
fn signing_time(text: &str) -> Option<Time> {
    let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(day, 8) || !digits(clock, 6) {
        return None;
    }
    let part = |of: &str, from: usize, to: usize| of.get(from..to).unwrap_or_default().to_owned();
    let date = [part(day, 0, 4), part(day, 4, 6), part(day, 6, 8)].join("-");
    let clock = [part(clock, 0, 2), part(clock, 2, 4), part(clock, 4, 6)].join(":");
    format!("{date}T{clock}Z").parse().ok()
}

impl Role {
    fn read(text: &str) -> Result<Self, BadRole> {
        let bad = || BadRole::Arn { text: text.to_owned() };
        let (partition, rest) = Partition::split(text).ok_or_else(bad)?;
        let (account, path) = rest.strip_prefix("iam::").and_then(|rest| rest.split_once(":role/")).ok_or_else(bad)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        if !is_account(account) || !is_name(name) {
            return Err(bad());
        }
        if name != path {
            let without = format!("arn:{}:iam::{account}:role/{name}", partition.as_str());
            return Err(BadRole::Path { text: text.to_owned(), without });
        }
        Ok(Self { partition, account: account.to_owned(), name: name.to_owned() })
    }

    fn arn(&self) -> String {
        format!("arn:{}:iam::{}:role/{}", self.partition.as_str(), self.account, self.name)
    }
}

impl Partition {
    const ALL: [Self; 3] = [Self::Aws, Self::China, Self::UsGov];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::UsGov => "aws-us-gov",
        }
    }

    const fn domain(self) -> &'static str {
        match self {
            Self::Aws | Self::UsGov => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }

    fn of_region(region: &str) -> Self {
        match region {
            china if china.starts_with("cn-") => Self::China,
            gov if gov.starts_with("us-gov-") => Self::UsGov,
            _ => Self::Aws,
        }
    }

    /// The partition of an ARN, and what follows it.
    fn split(arn: &str) -> Option<(Self, &str)> {
        let (partition, rest) = arn.strip_prefix("arn:")?.split_once(':')?;
        Some((Self::ALL.into_iter().find(|one| one.as_str() == partition)?, rest))
    }
}

/// Names of roles and of sessions.
fn is_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(sound)
}

/// The request as it must have been, then what STS says of its signer, and then whether that is listed.
pub(super) fn check(source: &SourceName, callers: &AwsCallers, call: &AwsCall<'_>, at: Time) -> Result<Finding, Cause> {
    callers.call(&call.signed, at)?;
    let answer = match call.answer {
        StsAnswer::Said(answer) => answer,
        StsAnswer::Refused => return Err(Cause::SignatureInvalid),
        StsAnswer::Unheard => return Err(Cause::VoucherUnheard),
    };
    let session = Session::read(answer).ok_or(Cause::EvidenceMalformed { expected: EXPECTED_ANSWER })?;
    if !callers.roles.contains(&session.role) {
        return Err(Cause::NotListed { found: shown(&session.role.arn()) });
    }
    let digest = call.signed.digest();
    let signed = signing_time(call.signed.time).unwrap_or(at);
    Ok(Finding {
        source: source.clone(),
        kind: CredentialKind::AwsSts,
        binding: Binding::Proof,
        display: session.selectors(),
        key: vec![session.role.account, session.role_id, session.name],
        facts: BTreeSet::new(),
        credential_id: format!("sha256:{digest}"),
        digest,
        issued: Some(signed),
        expires: Some(signed.plus(LIFE)),
        until: signed.plus(LIFE),
        key_id: Some(call.signed.access_key.to_owned()),
        key_thumbprint: None,
    })
}

/// A session of an assumed role.
struct Session {
    role: Role,
    /// Never given to another role, as names are.
    role_id: String,
    name: String,
}

impl Session {
    /// The answer in JSON, which STS gives to whoever asks for it.
    fn read(answer: &[u8]) -> Option<Self> {
        let answer = json::read_object(answer)?;
        let within = |object: &Object, name: &str| object.find(name)?.as_object().cloned();
        let result = within(&within(&answer, "GetCallerIdentityResponse")?, "GetCallerIdentityResult")?;
        let text = |name: &str| result.find(name)?.as_str();
        let (account, arn, user) = (text("Account")?, text("Arn")?, text("UserId")?);
        let (partition, rest) = Partition::split(arn)?;
        let (of, session) = rest.strip_prefix("sts::")?.split_once(":assumed-role/")?;
        let (role, name) = session.split_once('/')?;
        let (role_id, also) = user.split_once(':')?;
        let is_id = role_id.starts_with("AROA") && role_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let agree = of == account && also == name;
        let sound = is_account(account) && is_name(role) && is_name(name) && is_id && role_id.len() <= 128;
        let role = Role { partition, account: account.to_owned(), name: role.to_owned() };
        (agree && sound).then(|| Self { role, role_id: role_id.to_owned(), name: name.to_owned() })
    }

    fn selectors(&self) -> Vec<(String, String)> {
        let pairs = [
            ("aws_sts:account", self.role.account.clone()),
            ("aws_sts:iamrole", self.role.arn()),
            ("aws_sts:iamrole:id", self.role_id.clone()),
            ("aws_sts:session", self.name.clone()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
