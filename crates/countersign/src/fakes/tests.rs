//! What fakes refuse, as the real ones do.

use bytes::Bytes;
use credential::{AwsCallers, STS_BODY, STS_BODY_TYPE, STS_BOUND, SignedCall, Statement, StsPlace, host_of};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::Time;
use net::now;
use net::sigv4::{ALGORITHM, Canonical, Scope, SecretKey, sign};
use serde_json::Value;

use super::Clouds;
use super::reply::Asked;

struct Fake {
    clouds: Clouds,
    _folder: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { clouds: Clouds::open(folder.path()).unwrap(), _folder: folder }
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let asked = Asked { parts, body: Bytes::copy_from_slice(body.as_bytes()), at: now() };
        let answer = self.clouds.reply(&asked).into_response();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn session(&self) -> String {
        let life = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
        self.ask("PUT", "/latest/api/token", &[life], "").await.1
    }

    async fn keys(&self) -> (String, String, String) {
        let session = self.session().await;
        let target = "/latest/meta-data/iam/security-credentials/agents";
        let keys = self.ask("GET", target, &[("x-aws-ec2-metadata-token", &session)], "").await.1;
        let keys: Value = serde_json::from_str(&keys).unwrap();
        let word = |name: &str| keys[name].as_str().unwrap().to_owned();
        (word("AccessKeyId"), word("SecretAccessKey"), word("Token"))
    }
}

#[tokio::test]
async fn whoever_does_not_ask_for_metadata_as_such_hears_none() {
    let fake = Fake::new();
    let status =
        async |method: &str, target: &str, headers: &[(&str, &str)]| fake.ask(method, target, headers, "").await.0;
    let document = "/latest/dynamic/instance-identity/document";
    assert_eq!(status("GET", document, &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("GET", document, &[("x-aws-ec2-metadata-token", "guess")]).await, StatusCode::UNAUTHORIZED);
    let life = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
    assert_eq!(status("GET", "/latest/api/token", &[life]).await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(status("PUT", "/latest/api/token", &[]).await, StatusCode::BAD_REQUEST);
    assert_eq!(
        status("PUT", "/latest/api/token", &[life, ("x-forwarded-for", "10.0.0.1")]).await,
        StatusCode::FORBIDDEN
    );
    let session = fake.session().await;
    assert_eq!(status("GET", document, &[("x-aws-ec2-metadata-token", &session)]).await, StatusCode::OK);
    let identity = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=a&format=full";
    assert_eq!(status("GET", identity, &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(status("GET", identity, &[("metadata-flavor", "Google")]).await, StatusCode::OK);
    let token = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=a";
    assert_eq!(status("GET", token, &[]).await, StatusCode::BAD_REQUEST);
    assert_eq!(status("GET", token, &[("metadata", "true")]).await, StatusCode::OK);
    assert_eq!(status("GET", &token.replace("2018", "2017"), &[("metadata", "true")]).await, StatusCode::BAD_REQUEST);
}

/// A request to STS, signed as a client does, with what a test changes.
struct Call<'a> {
    body: &'a str,
    sent: &'a str,
    time: String,
    region: &'a str,
    secret: &'a str,
    beside: &'a [(&'a str, &'a str)],
}

fn stamp(at: Time) -> String {
    let digits: String = at.to_string().chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{digits}Z")
}

#[tokio::test]
async fn sts_believes_a_signature_over_exactly_what_it_hears() {
    const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
    let fake = Fake::new();
    let (key, secret, token) = fake.keys().await;
    let call = async |call: Call<'_>| {
        let headers =
            [("host", "127.0.0.1"), ("x-amz-date", call.time.as_str()), ("x-amz-security-token", token.as_str())];
        let request = Canonical { method: "POST", path: "/", query: "", headers: &headers, body: call.body.as_bytes() };
        let scope = Scope { time: &call.time, region: call.region, service: "sts" };
        let signature = sign(&SecretKey::new(call.secret.to_owned()), scope, &request);
        let (scope, names) = (scope.text(), request.signed_headers());
        let authorization =
            format!("{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}");
        let own = [("authorization", authorization.as_str()), ("accept", "application/json")];
        fake.ask("POST", "/", &[&headers[..], &own, call.beside].concat(), call.sent).await
    };
    let sound =
        || Call { body: BODY, sent: BODY, time: stamp(now()), region: "eu-central-2", secret: &secret, beside: &[] };
    let (status, said) = call(sound()).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["GetCallerIdentityResponse"]["GetCallerIdentityResult"]["Account"], "123456789012");
    let late = stamp(now().minus(std::time::Duration::from_secs(600)));
    let cases = [
        (
            "another body",
            Call { sent: "Action=GetWebIdentityToken&Version=2011-06-15", ..sound() },
            "SignatureDoesNotMatch",
        ),
        ("another region", Call { region: "us-east-1", ..sound() }, "SignatureDoesNotMatch"),
        ("another secret", Call { secret: "guess", ..sound() }, "SignatureDoesNotMatch"),
        ("of ten minutes ago", Call { time: late, ..sound() }, "SignatureDoesNotMatch"),
        (
            "a header of Amazon's that is not signed",
            Call { beside: &[("x-amz-target", "x")], ..sound() },
            "SignatureDoesNotMatch",
        ),
        ("two of one header", Call { beside: &[("host", "evil.test")], ..sound() }, "SignatureDoesNotMatch"),
        (
            "another action",
            Call {
                body: "Action=AssumeRole&Version=2011-06-15",
                sent: "Action=AssumeRole&Version=2011-06-15",
                ..sound()
            },
            "InvalidAction",
        ),
    ];
    for (what, wrong, expected) in cases {
        let (status, said) = call(wrong).await;
        assert!(status.is_client_error() && said.contains(expected), "{what}: {status} {said}");
    }
    let (status, said) = fake.ask("POST", "/", &[], BODY).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(said.contains("<Code>MissingAuthenticationToken</Code>"), "{said}");
}

#[tokio::test]
async fn what_was_signed_for_one_exchange_says_nothing_in_another() {
    const URL: &str = "http://127.0.0.1:8/";
    let fake = Fake::new();
    let (key, secret, token) = fake.keys().await;
    let roles = ["arn:aws:iam::123456789012:role/agents".to_owned()];
    let regions = vec!["eu-central-2".to_owned()];
    let callers = AwsCallers::new(&roles, regions, StsPlace::Here(URL.to_owned())).unwrap();
    let domain = "prod.acme.test".parse().unwrap();
    let own = Statement { domain: &domain, source: "aws", challenge: &[1; 32], nonce: &[2; 32], request: b"own key" };
    let (time, bound) = (stamp(now()), own.bound());
    let headers = [
        ("content-type", STS_BODY_TYPE),
        ("host", host_of(URL)),
        ("x-amz-date", time.as_str()),
        ("x-amz-security-token", token.as_str()),
        (STS_BOUND, bound.as_str()),
    ];
    let request = Canonical { method: "POST", path: "/", query: "", headers: &headers, body: STS_BODY.as_bytes() };
    let scope = Scope { time: &time, region: "eu-central-2", service: "sts" };
    let signature = sign(&SecretKey::new(secret), scope, &request);
    let elsewhere = "elsewhere.test".parse().unwrap();
    let exchanges = [
        ("this one", own, true),
        ("another challenge, to which it is said again", Statement { challenge: &[3; 32], ..own }, false),
        ("another nonce", Statement { nonce: &[3; 32], ..own }, false),
        ("somebody else's key", Statement { request: b"another key", ..own }, false),
        ("another source", Statement { source: "aws-2", ..own }, false),
        ("another trust domain, to which it was said first", Statement { domain: &elsewhere, ..own }, false),
    ];
    for (what, statement, holds) in exchanges {
        let (access_key, session_token) = (key.as_str(), token.as_str());
        let region = "eu-central-2";
        let signed = SignedCall { access_key, time: &time, region, session_token, signature: &signature, statement };
        // as control makes it anew
        let call = callers.call(&signed, now()).unwrap();
        let headers: Vec<(&str, &str)> = call.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, said) = fake.ask("POST", "/", &headers, call.body).await;
        assert_eq!(status == StatusCode::OK, holds, "{what}: {said}");
        assert_eq!(said.contains("SignatureDoesNotMatch"), !holds, "{what}: {said}");
    }
}
