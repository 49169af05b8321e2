//! Azure's metadata service, as a virtual machine with a managed identity has it.

use std::path::Path;

use http::StatusCode;
use serde_json::{Value, json};

use super::keys::{BadKey, Signing, SigningKey, base64url};
use super::reply::{Asked, Reply};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CLIENT: &str = "5f1e9a52-9f0c-4b8e-8a4e-3b1a5d0c7e21";
const PRINCIPAL: &str = "c3f1c7d2-0d0f-4b57-9a34-0f2f4a7c9b10";
const MACHINE: &str = "/subscriptions/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0/resourcegroups/prod/providers/Microsoft.Compute/virtualMachines/web-1";
/// Life of a token, in seconds.
const LIFE: i64 = 24 * 3600 - 300;

pub(super) struct Azure {
    key: SigningKey,
}

impl Azure {
    pub(super) fn open(directory: &Path) -> Result<Self, BadKey> {
        Ok(Self { key: SigningKey::named(directory, "azure", Signing::Rs256)? })
    }

    pub(super) fn key_set(&self) -> Value {
        json!({"keys": [self.key.jwk()]})
    }

    /// Whoever does not say that it asks for metadata is taken for somebody who was sent here.
    pub(super) fn metadata(&self, asked: &Asked) -> Reply {
        if asked.header("metadata") != Some("true") || asked.parts.headers.contains_key("x-forwarded-for") {
            return refused("invalid_request", "Required metadata header not specified");
        }
        if asked.method() != "GET" {
            return Reply::refused(StatusCode::METHOD_NOT_ALLOWED, "GET alone");
        }
        match asked.path() {
            "/metadata/identity/oauth2/token" => self.token(asked),
            _ => Reply::not_found(),
        }
    }

    fn token(&self, asked: &Asked) -> Reply {
        if asked.query("api-version").as_deref() != Some("2018-02-01") {
            return refused("invalid_request", "api-version is missing, or none of 2018-02-01");
        }
        let Some(resource) = asked.query("resource") else {
            return refused("invalid_request", "Required query variable 'resource' is missing");
        };
        if asked.query("client_id").is_some_and(|client| client != CLIENT) {
            return refused("invalid_request", "Identity not found");
        }
        let now = asked.at.as_micros() / 1_000_000;
        let id = base64url(net::challenge());
        let claims = json!({
            "aud": resource, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now, "nbf": now, "exp": now + LIFE,
            "appid": CLIENT, "appidacr": "2", "idp": format!("https://sts.windows.net/{TENANT}/"), "idtyp": "app",
            "oid": PRINCIPAL, "sub": PRINCIPAL, "tid": TENANT, "uti": id, "ver": "1.0", "xms_mirid": MACHINE,
        });
        match self.key.token(&claims) {
            Ok(token) => Reply::json(&json!({
                "access_token": token, "client_id": CLIENT, "expires_in": LIFE.to_string(),
                "expires_on": (now + LIFE).to_string(), "ext_expires_in": LIFE.to_string(), "not_before": now.to_string(),
                "resource": resource, "token_type": "Bearer",
            })),
            Err(_) => Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "no token"),
        }
    }
}

fn refused(error: &str, description: &str) -> Reply {
    let document = json!({"error": error, "error_description": description});
    Reply::new(StatusCode::BAD_REQUEST, "application/json", document.to_string())
}
