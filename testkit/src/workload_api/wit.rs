//! WIT-SVIDs (incubating): served where the fault is one of theirs, else not at all.

use aws_lc_rs::signature::KeyPair;
use serde_json::json;
use wire::workload::{WitBundlesResponse, Witsvid, WitsvidResponse};

use super::fault::Fault;
use super::material::{DOMAIN, KEY_ID, Material, WORKLOAD, key, point_jwk, remove, signed};

impl Material {
    /// Whether this server has WIT-SVIDs.
    pub(super) const fn serves_wit(&self) -> bool {
        matches!(
            self.fault,
            Some(
                Fault::WitServed
                    | Fault::WitWithoutKeyId
                    | Fault::WitOfOtherType
                    | Fault::WitOfOtherAlgorithm
                    | Fault::WitOfOtherSubject
                    | Fault::WitWithoutConfirmation
                    | Fault::ExpiredWit
                    | Fault::WitWithAudience
                    | Fault::WitKeyWithoutId
                    | Fault::WitKeyIdOfJwtKey
            )
        )
    }

    pub(super) fn wit_svid(&self, now: i64) -> WitsvidResponse {
        let own = key();
        let mut jwk = point_jwk(own.public_key().as_ref());
        jwk["alg"] = json!("ES256");
        let mut header = json!({"alg": "ES256", "kid": "wit-1", "typ": "wit+jwt"});
        let mut claims = json!({"sub": WORKLOAD, "exp": now + 300, "cnf": {"jwk": jwk}});
        match self.fault {
            Some(Fault::WitWithoutKeyId) => remove(&mut header, "kid"),
            Some(Fault::WitOfOtherType) => header["typ"] = json!("JWT"),
            Some(Fault::WitOfOtherAlgorithm) => header["alg"] = json!("EdDSA"),
            Some(Fault::WitOfOtherSubject) => claims["sub"] = json!(format!("{DOMAIN}/somebody-else")),
            Some(Fault::WitWithoutConfirmation) => remove(&mut claims, "cnf"),
            Some(Fault::ExpiredWit) => claims["exp"] = json!(now - 3600),
            Some(Fault::WitWithAudience) => claims["aud"] = json!("somebody"),
            _ => {}
        }
        // who fetches it would want the private key; who looks at it does not
        let svid = Witsvid {
            spiffe_id: WORKLOAD.to_owned(),
            wit_svid: signed(&self.jwt_key, &header, &claims),
            wit_svid_key: String::new(),
            hint: String::new(),
        };
        WitsvidResponse { svids: vec![svid] }
    }

    pub(super) fn wit_bundles(&self) -> WitBundlesResponse {
        let mut key = point_jwk(self.jwt_key.public_key().as_ref());
        match self.fault {
            Some(Fault::WitKeyWithoutId) => {}
            Some(Fault::WitKeyIdOfJwtKey) => key["kid"] = json!(KEY_ID),
            _ => key["kid"] = json!("wit-1"),
        }
        WitBundlesResponse { bundles: [(DOMAIN.to_owned(), json!({"keys": [key]}).to_string())].into() }
    }
}
