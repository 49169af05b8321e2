//! The bundle endpoint's document, spoilt as its server's fault says.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::fault::Fault;
use super::material::{Material, point_jwk};

impl Material {
    /// Status and document.
    pub(super) fn published(&self) -> (u16, Vec<u8>) {
        let status = match self.fault {
            Some(Fault::EndpointAsksWhoIsThere) => 401,
            Some(Fault::EndpointNotFound) => 404,
            _ => 200,
        };
        let mut document = self.document().to_string().into_bytes();
        if self.fault == Some(Fault::DocumentNotUtf8) {
            document.push(0xff);
        }
        (status, document)
    }

    fn document(&self) -> Value {
        let certificate = BASE64_STANDARD.encode(self.authority.certificate());
        let mut x509 = point_jwk(&self.authority_point());
        x509["use"] = json!("x509-svid");
        x509["x5c"] = json!([certificate]);
        let mut jwt = self.jwt_jwk();
        jwt["use"] = json!("jwt-svid");
        let mut extra = Vec::new();
        match self.fault {
            Some(Fault::TwoCertificatesInEntry) => x509["x5c"] = json!([certificate, certificate]),
            Some(Fault::X509EntryWithKeyId) => x509["kid"] = json!("authority"),
            Some(Fault::PublishedKeyWithoutId) => drop(jwt.as_object_mut().map(|jwt| jwt.remove("kid"))),
            Some(Fault::EntryWithoutUse) => extra.push(self.jwt_jwk()),
            Some(Fault::UseInUpperCase) => {
                let mut key = self.jwt_jwk();
                key["use"] = json!("JWT-SVID");
                extra.push(key);
            }
            _ => {}
        }
        let keys: Vec<Value> = [x509, jwt].into_iter().chain(extra).collect();
        match self.fault {
            Some(Fault::NoKeysMember) => json!({"spiffe_sequence": 1}),
            Some(Fault::BrokenMap) => json!({"trust_domains": []}),
            Some(Fault::SequenceInText) => json!({"keys": keys, "spiffe_sequence": "1"}),
            Some(Fault::NegativeRefreshHint) => json!({"keys": keys, "spiffe_refresh_hint": -1}),
            _ => json!({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 300}),
        }
    }
}
