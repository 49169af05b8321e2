//! Amazon: the metadata service of instances in its second version, and STS.

use std::env;

use bytes::Bytes;
use credential::{STS_BODY, STS_BODY_TYPE, STS_BOUND, Statement, host_of};
use http::{HeaderName, HeaderValue, Method, header};
use model::Time;
use net::sigv4::{ALGORITHM, Canonical, Scope, SecretKey, sign};
use net::{Metadata, Remote, Terms, fetch_on, now};
use serde::Deserialize;
use wire::agent::SignedCall;

use super::{NoWord, Of, encoded, secret, trimmed};

/// How long a session with the metadata service lasts: for one question or two.
const SESSION_SECONDS: &str = "60";
const DOCUMENT: &str = "/latest/dynamic/instance-identity/rsa2048";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Life of a token, in seconds: it is shown at once.
const TOKEN_SECONDS: u32 = 300;

/// STS of a region, and with whose keys it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sts {
    pub region: String,
    pub remote: Remote,
    pub keys: KeySource,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Those of the instance's role.
    Metadata(Metadata),
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of this process.
    Environment,
}

/// Keys of a session.
pub(crate) struct Keys {
    access_key: String,
    secret: SecretKey,
    session_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenAnswer {
    get_web_identity_token_response: TokenResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenResponse {
    get_web_identity_token_result: TokenResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenResult {
    web_identity_token: String,
}

/// The identity document within its region's signature, in base64.
pub(crate) async fn document(metadata: &Metadata) -> Result<Bytes, NoWord> {
    Ok(trimmed(&Session::open(metadata).await?.read(DOCUMENT).await?))
}

/// A session with the metadata service: what asks for one is no proxy that somebody else talks through.
struct Session<'a> {
    metadata: &'a Metadata,
    token: String,
}

impl<'a> Session<'a> {
    async fn open(metadata: &'a Metadata) -> Result<Self, NoWord> {
        let life = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
        let headers = vec![(life, HeaderValue::from_static(SESSION_SECONDS))];
        let token = metadata.ask(Method::PUT, "/latest/api/token", headers).await.map_err(unread)?;
        let token = String::from_utf8(token.to_vec()).ok().ok_or(NoWord::Answer { of: Of::Metadata })?;
        Ok(Self { metadata, token })
    }

    async fn read(&self, target: &str) -> Result<Bytes, NoWord> {
        let token = secret(Of::Metadata, "x-aws-ec2-metadata-token", &self.token)?;
        self.metadata.ask(Method::GET, target, vec![token]).await.map_err(unread)
    }
}

const fn unread(source: net::FetchFailed) -> NoWord {
    NoWord::Fetch { of: Of::Metadata, source }
}

impl Keys {
    pub(crate) async fn find(source: &KeySource) -> Result<Self, NoWord> {
        match source {
            KeySource::Metadata(metadata) => Self::of_role(metadata).await,
            KeySource::Environment => {
                let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
                let pair = named("AWS_ACCESS_KEY_ID").zip(named("AWS_SECRET_ACCESS_KEY"));
                let (access_key, secret) = pair.ok_or(NoWord::Environment)?;
                let session_token = named("AWS_SESSION_TOKEN").unwrap_or_default();
                Ok(Self { access_key, secret: SecretKey::new(secret), session_token })
            }
        }
    }

    async fn of_role(metadata: &Metadata) -> Result<Self, NoWord> {
        let not_understood = || NoWord::Answer { of: Of::Metadata };
        let session = Session::open(metadata).await?;
        let roles = session.read(ROLES).await?;
        let role = std::str::from_utf8(&roles).ok().and_then(|text| text.lines().next()).unwrap_or_default();
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if role.is_empty() || !role.bytes().all(sound) {
            return Err(not_understood());
        }
        let keys = session.read(&format!("{ROLES}{role}")).await?;
        let keys: RoleKeys = serde_json::from_slice(&keys).ok().ok_or_else(not_understood)?;
        let secret = SecretKey::new(keys.secret_access_key);
        Ok(Self { access_key: keys.access_key_id, secret, session_token: keys.token })
    }
}

impl Sts {
    /// What control needs to ask STS who signed this.
    pub(crate) fn signed_call(&self, keys: &Keys, statement: &Statement<'_>, at: Time) -> SignedCall {
        let bound = statement.bound();
        let signed = self.signed(keys, &signing_time(at), STS_BODY, &[(STS_BOUND, &bound)]);
        SignedCall {
            access_key: keys.access_key.clone(),
            time: signed.time,
            region: self.region.clone(),
            session_token: keys.session_token.clone(),
            signature: signed.signature,
            nonce: Bytes::copy_from_slice(statement.nonce),
        }
    }

    /// A token for an audience.
    ///
    /// # Errors
    /// [`NoWord`].
    pub(crate) async fn token(&self, audience: &str) -> Result<Bytes, NoWord> {
        let keys = Keys::find(&self.keys).await?;
        let body = format!(
            "Action=GetWebIdentityToken&Version=2011-06-15&Audience.member.1={}&DurationSeconds={TOKEN_SECONDS}&\
             SigningAlgorithm=ES384",
            encoded(audience)
        );
        let signed = self.signed(&keys, &signing_time(now()), &body, &[]);
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(STS_BODY_TYPE)),
            secret(Of::Sts, "x-amz-date", &signed.time)?,
            secret(Of::Sts, "authorization", &signed.authorization)?,
        ];
        if !keys.session_token.is_empty() {
            headers.push(secret(Of::Sts, "x-amz-security-token", &keys.session_token)?);
        }
        let terms = Terms { headers, post: Some(Bytes::from(body)), ..Terms::public() };
        let answer = fetch_on(&self.remote, &terms).await.map_err(|source| NoWord::Fetch { of: Of::Sts, source })?;
        let answer: Option<TokenAnswer> = serde_json::from_slice(&answer.document).ok();
        let answer = answer.ok_or(NoWord::Answer { of: Of::Sts })?;
        let token = answer.get_web_identity_token_response.get_web_identity_token_result.web_identity_token;
        Ok(trimmed(token.as_bytes()))
    }

    /// Signs a `POST` of a form, with what every such request has and with these headers beside.
    fn signed(&self, keys: &Keys, time: &str, body: &str, beside: &[(&str, &str)]) -> Signed {
        let host = host_of(self.remote.url());
        let mut headers = vec![("content-type", STS_BODY_TYPE), ("host", host), ("x-amz-date", time)];
        if !keys.session_token.is_empty() {
            headers.push(("x-amz-security-token", &keys.session_token));
        }
        headers.extend_from_slice(beside);
        let scope = Scope { time, region: &self.region, service: "sts" };
        let request = Canonical { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
        let signature = sign(&keys.secret, scope, &request);
        let (key, scope, names) = (&keys.access_key, scope.text(), request.signed_headers());
        let authorization =
            format!("{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}");
        Signed { time: time.to_owned(), signature, authorization }
    }
}

struct Signed {
    time: String,
    signature: String,
    authorization: String,
}

/// `20270102T030405Z`.
fn signing_time(at: Time) -> String {
    let text = at.to_string();
    let second = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{}Z", second.replace(['-', ':'], ""))
}
