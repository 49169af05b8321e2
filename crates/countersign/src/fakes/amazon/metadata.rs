//! The metadata service of the instance, in its second version alone: whoever has no session hears nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use model::Time;
use serde_json::json;

use super::super::keys::base64url;
use super::super::reply::{Asked, Reply};
use super::{Amazon, INSTANCE, REGION, ROLE, document};

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Longest life of a session, in seconds.
const MAX_SECONDS: u64 = 21_600;
/// Most sessions that are open.
const MOST: usize = 1_000;
/// Life of a role's keys that is told.
const KEYS_LIFE: Duration = Duration::from_secs(6 * 3600);

/// Sessions, each until when.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Time>>);

impl Sessions {
    fn open(&self, seconds: u64, at: Time) -> String {
        let token = base64url(net::challenge());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, until| *until > at);
        if open.len() < MOST {
            open.insert(token.clone(), at.plus(Duration::from_secs(seconds)));
        }
        token
    }

    fn holds(&self, token: &str, at: Time) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).is_some_and(|until| *until > at)
    }
}

pub(super) fn reply(amazon: &Amazon, asked: &Asked) -> Reply {
    if asked.path() == "/latest/api/token" {
        return session(amazon, asked);
    }
    let session = asked.header("x-aws-ec2-metadata-token");
    if !session.is_some_and(|token| amazon.sessions.holds(token, asked.at)) {
        return Reply::refused(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    if asked.method() != "GET" {
        return Reply::refused(StatusCode::METHOD_NOT_ALLOWED, "GET alone");
    }
    match asked.path().strip_prefix(ROLES) {
        Some("") => Reply::text(ROLE.to_owned()),
        Some(role) if role == ROLE => keys(amazon, asked.at),
        _ => match asked.path() {
            "/latest/dynamic/instance-identity/document" => Reply::text(document::document()),
            "/latest/dynamic/instance-identity/rsa2048" => match amazon.region.signed(asked.at) {
                Ok(message) => Reply::text(message),
                Err(_) => Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "no signature"),
            },
            "/latest/meta-data/instance-id" => Reply::text(INSTANCE.to_owned()),
            "/latest/meta-data/placement/region" => Reply::text(REGION.to_owned()),
            // where older clients look whether there is a role
            "/latest/meta-data/iam/security-credentials" => Reply::text(ROLE.to_owned()),
            _ => Reply::not_found(),
        },
    }
}

/// What comes through a proxy has no session: it would be the proxy's.
fn session(amazon: &Amazon, asked: &Asked) -> Reply {
    if asked.method() != "PUT" {
        return Reply::refused(StatusCode::METHOD_NOT_ALLOWED, "PUT alone");
    }
    if asked.parts.headers.contains_key("x-forwarded-for") {
        return Reply::refused(StatusCode::FORBIDDEN, "Forbidden");
    }
    let seconds = asked.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|text| text.parse().ok());
    match seconds.filter(|seconds| (1..=MAX_SECONDS).contains(seconds)) {
        Some(seconds) => Reply::text(amazon.sessions.open(seconds, asked.at)),
        None => Reply::bad_request("Bad Request"),
    }
}

fn keys(amazon: &Amazon, at: Time) -> Reply {
    let seconds = |at: Time| format!("{}Z", at.to_string().chars().take(19).collect::<String>());
    let keys = &amazon.keys;
    Reply::json(&json!({
        "Code": "Success", "LastUpdated": seconds(at), "Type": "AWS-HMAC", "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret, "Token": keys.token, "Expiration": seconds(at.plus(KEYS_LIFE)),
    }))
}
