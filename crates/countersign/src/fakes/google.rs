//! Google's metadata server, as an instance of Compute Engine has it.

use std::path::Path;

use http::StatusCode;
use serde_json::{Value, json};

use super::keys::{BadKey, Signing, SigningKey};
use super::reply::{Asked, Reply};

const ISSUER: &str = "https://accounts.google.com";
const PROJECT: &str = "acme-prod";
const EMAIL: &str = "agents@acme-prod.iam.gserviceaccount.com";
const SUBJECT: &str = "103735118742906319871";
const ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default/";
/// Life of a token, in seconds.
const LIFE: i64 = 3600;

pub(super) struct Google {
    key: SigningKey,
}

impl Google {
    pub(super) fn open(directory: &Path) -> Result<Self, BadKey> {
        Ok(Self { key: SigningKey::named(directory, "google", Signing::Rs256)? })
    }

    pub(super) fn key_set(&self) -> Value {
        json!({"keys": [self.key.jwk()]})
    }

    /// Whoever does not say which flavour it expects is taken for somebody who was sent here.
    pub(super) fn metadata(&self, asked: &Asked) -> Reply {
        if asked.header("metadata-flavor") != Some("Google") || asked.parts.headers.contains_key("x-forwarded-for") {
            return Reply::refused(StatusCode::FORBIDDEN, "Missing Metadata-Flavor:Google header.");
        }
        if asked.method() != "GET" {
            return Reply::refused(StatusCode::METHOD_NOT_ALLOWED, "GET alone");
        }
        let of_account = asked.path().strip_prefix(ACCOUNT);
        let reply = match (asked.path(), of_account) {
            ("/", _) => Reply::text("computeMetadata/\n".to_owned()),
            ("/computeMetadata/v1/project/project-id", _) => Reply::text(PROJECT.to_owned()),
            (_, Some("")) => Reply::json(&json!({"aliases": ["default"], "email": EMAIL, "scopes": []})),
            (_, Some("email")) => Reply::text(EMAIL.to_owned()),
            (_, Some("identity")) => self.identity(asked),
            _ => Reply::not_found(),
        };
        reply.with("metadata-flavor", "Google")
    }

    fn identity(&self, asked: &Asked) -> Reply {
        let Some(audience) = asked.query("audience") else {
            return Reply::bad_request("non-empty audience parameter required");
        };
        let now = asked.at.as_micros() / 1_000_000;
        let mut claims = json!({
            "aud": audience, "azp": SUBJECT, "exp": now + LIFE, "iat": now, "iss": ISSUER, "sub": SUBJECT,
        });
        if asked.query("format").as_deref() == Some("full")
            && let Some(claims) = claims.as_object_mut()
        {
            claims.insert("email".to_owned(), json!(EMAIL));
            claims.insert("email_verified".to_owned(), json!(true));
            let instance = json!({
                "instance_creation_timestamp": 1_790_000_000, "instance_id": "8123487236481236481", "instance_name": "web-1",
                "project_id": PROJECT, "project_number": 739_419_398_126_i64, "zone": "europe-west6-a",
            });
            claims.insert("google".to_owned(), json!({"compute_engine": instance}));
        }
        match self.key.token(&claims) {
            Ok(token) => Reply::text(token),
            Err(_) => Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "no token"),
        }
    }
}
