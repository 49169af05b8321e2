//! Keys, certificates and tokens of a server, spoilt as its fault says.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use model::Time;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use serde_json::{Map, Value, json};

use super::fault::Fault;
use crate::{TestCa, date, uri};

/// The trust domain, and the one workload.
pub(super) const DOMAIN: &str = "spiffe://example.test";
pub(super) const WORKLOAD: &str = "spiffe://example.test/workload";
/// A trust domain that is federated with.
pub(super) const OTHER_DOMAIN: &str = "spiffe://other.test";

/// OIDs of extensions, and the bits of key usage `digitalSignature`.
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];
const DIGITAL_SIGNATURE: [u8; 4] = [0x03, 0x02, 0x07, 0x80];
/// Of the key of JWT-SVIDs.
pub(super) const KEY_ID: &str = "key-1";

/// Everything that a server answers from.
pub(super) struct Material {
    pub(super) fault: Option<Fault>,
    pub(super) authority: TestCa,
    pub(super) other: TestCa,
    pub(super) stranger: TestCa,
    pub(super) jwt_key: EcdsaKeyPair,
    pub(super) svids: Vec<X509Svid>,
}

/// An X.509-SVID as it is handed out.
pub(super) struct X509Svid {
    pub(super) id: String,
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) bundle: Vec<u8>,
    pub(super) hint: String,
}

impl Material {
    pub(super) fn new(fault: Option<Fault>, at: Time) -> Self {
        let authority = TestCa::new("example.test", at, |params| spoil_authority(params, fault));
        let other = TestCa::new("other.test", at, |_| {});
        // it says of no trust domain that it is its authority
        let stranger = TestCa::new("stranger.test", at, |params| params.subject_alt_names.clear());
        let mut material = Self { fault, authority, other, stranger, jwt_key: key(), svids: Vec::new() };
        material.svids.push(material.svid(WORKLOAD, at, true));
        let second = match fault {
            Some(Fault::IdWithEncodedPath) => Some("/a%2fb"),
            Some(Fault::IdWithDotSegment) => Some("/a/../b"),
            Some(Fault::IdWithTrailingSlash) => Some("/a/"),
            Some(Fault::IdWithStrangePath) => Some("/a~b"),
            Some(Fault::LeafWithoutPath) => Some(""),
            Some(Fault::HintTwice | Fault::CertificateOfOtherId) => Some("/second"),
            _ => None,
        };
        if let Some(path) = second {
            let second = material.svid(&format!("{DOMAIN}{path}"), at, false);
            material.svids.push(second);
        }
        if fault == Some(Fault::NoSvids) {
            material.svids.clear();
        }
        material
    }

    fn svid(&self, id: &str, at: Time, is_first: bool) -> X509Svid {
        let fault = self.fault;
        let spoil = |params: &mut CertificateParams| {
            if is_first {
                spoil_leaf(params, fault, at);
            }
        };
        let (chain, key) = match fault {
            Some(Fault::LeafOfStranger) => self.stranger.leaf(id, at, spoil),
            Some(Fault::LeafLast) => {
                let below = self.authority.below("example.test", at, |_| {});
                let (leaf, key) = below.leaf(id, at, spoil);
                ([below.certificate(), leaf].concat(), key)
            }
            _ => self.authority.leaf(id, at, spoil),
        };
        let shown = if fault == Some(Fault::CertificateOfOtherId) && !is_first { "/third" } else { "" };
        X509Svid {
            id: if shown.is_empty() { id.to_owned() } else { format!("{DOMAIN}{shown}") },
            chain: if fault == Some(Fault::PemInsteadOfDer) { pem("CERTIFICATE", &chain) } else { chain },
            key: match fault {
                Some(Fault::OtherKey) => crate::key().serialize_der(),
                Some(Fault::KeyInPem) => pem("PRIVATE KEY", &key),
                _ => key,
            },
            bundle: match fault {
                Some(Fault::EmptyBundle) => Vec::new(),
                Some(Fault::BundleInPem) => pem("CERTIFICATE", &self.authority.certificate()),
                Some(Fault::SharedRoot) => [self.authority.certificate(), self.stranger.certificate()].concat(),
                Some(Fault::BundlesPooled) => [self.authority.certificate(), self.other.certificate()].concat(),
                _ => self.authority.certificate(),
            },
            hint: match fault {
                Some(Fault::HintTwice) => "internal".to_owned(),
                Some(Fault::HintTooLong) => "h".repeat(1025),
                _ => String::new(),
            },
        }
    }

    /// Bundles of other trust domains in FetchX509SVID.
    pub(super) fn federated(&self) -> (String, Vec<u8>) {
        let spoilt = match self.fault {
            Some(Fault::IdOfOtherScheme) => "http://third.test".to_owned(),
            Some(Fault::IdWithQuery) => "spiffe://third.test?x=1".to_owned(),
            Some(Fault::IdWithPort) => "spiffe://third.test:8443".to_owned(),
            Some(Fault::IdInUpperCase) => "spiffe://Third.test".to_owned(),
            Some(Fault::IdWithStrangeDomain) => "spiffe://third~test".to_owned(),
            Some(Fault::IdWithEncodedDomain) => "spiffe://third%2etest".to_owned(),
            Some(Fault::IdTooLong) => format!("spiffe://{}", "a".repeat(256)),
            Some(Fault::FederatedByName) => return ("other.test".to_owned(), self.federated_bundle()),
            _ => return (OTHER_DOMAIN.to_owned(), self.federated_bundle()),
        };
        (spoilt, self.stranger.certificate())
    }

    pub(super) fn federated_bundle(&self) -> Vec<u8> {
        match self.fault {
            Some(Fault::ForeignDomainWithoutX509) => Vec::new(),
            Some(Fault::SharedRoot) => [self.other.certificate(), self.stranger.certificate()].concat(),
            _ => self.other.certificate(),
        }
    }

    /// A JWT-SVID of the workload.
    pub(super) fn token(&self, audience: &[String], now: i64) -> String {
        let fault = self.fault;
        let mut header = json!({"alg": "ES256", "kid": KEY_ID, "typ": "JWT"});
        let mut claims = json!({"sub": WORKLOAD, "aud": audience, "exp": now + 300, "iat": now});
        match fault {
            Some(Fault::ExtraHeader) => header["x5t"] = json!("AAAA"),
            Some(Fault::EdDsaToken) => header["alg"] = json!("EdDSA"),
            Some(Fault::OtherType) => header["typ"] = json!("at+jwt"),
            Some(Fault::NoKeyId) => remove(&mut header, "kid"),
            Some(Fault::UnknownKeyId) => header["kid"] = json!("key-2"),
            Some(Fault::OtherSubject) => claims["sub"] = json!(format!("{DOMAIN}/somebody-else")),
            Some(Fault::NoAudience) => remove(&mut claims, "aud"),
            Some(Fault::SecondAudienceDropped) => claims["aud"] = json!(audience.first()),
            Some(Fault::NoExpiry) => remove(&mut claims, "exp"),
            Some(Fault::ExpiredToken) => claims["exp"] = json!(now - 3600),
            _ => {}
        }
        let other = key();
        let key = if fault == Some(Fault::SignedByOther) { &other } else { &self.jwt_key };
        let token = signed(key, &header, &claims);
        if fault == Some(Fault::JsonToken) {
            let parts: Vec<&str> = token.split('.').collect();
            return json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
        }
        token
    }

    /// The key set of the own trust domain in FetchJWTBundles.
    pub(super) fn jwt_keys(&self) -> Value {
        let mut keys = vec![self.jwt_jwk()];
        let mut more = |mut key: Value, members: Value| {
            let (Some(key_members), Value::Object(members)) = (key.as_object_mut(), members) else { return };
            key_members.extend(members);
            keys.push(key);
        };
        let authority = point_jwk(&self.authority_point());
        match self.fault {
            Some(Fault::X509KeysInJwtBundles) => {
                more(
                    authority,
                    json!({"use": "x509-svid", "x5c": [BASE64_STANDARD.encode(self.authority.certificate())]}),
                );
            }
            Some(Fault::X509KeyWithoutUse) => more(authority, json!({"kid": "authority"})),
            Some(Fault::WitKeysInJwtBundles) => {
                more(point_jwk(key().public_key().as_ref()), json!({"use": "wit-svid", "kid": "wit"}));
            }
            Some(Fault::PrivateKeyInJwtBundles) => {
                more(point_jwk(key().public_key().as_ref()), json!({"kid": "private", "d": "AAAA"}));
            }
            Some(Fault::JwtKeyWithoutId) => more(point_jwk(key().public_key().as_ref()), json!({})),
            _ => {}
        }
        json!({"keys": keys})
    }

    /// The public key of JWT-SVIDs.
    pub(super) fn jwt_jwk(&self) -> Value {
        let mut key = point_jwk(self.jwt_key.public_key().as_ref());
        key["kid"] = json!(KEY_ID);
        key
    }

    pub(super) fn authority_point(&self) -> Vec<u8> {
        self.authority.public_key()
    }

    /// Whether the header names the key of JWT-SVIDs.
    pub(super) fn is_key_id(header: &Map<String, Value>) -> bool {
        header.get("kid").and_then(Value::as_str) == Some(KEY_ID)
    }
}

fn spoil_authority(params: &mut CertificateParams, fault: Option<Fault>) {
    match fault {
        Some(Fault::AuthorityWithPath) => params.subject_alt_names = vec![uri("spiffe://example.test/authority")],
        Some(Fault::AuthorityWithoutCertSign) => params.key_usages = vec![KeyUsagePurpose::CrlSign],
        Some(Fault::PlainRoot) => {
            params.subject_alt_names.clear();
            params.key_usages.clear();
        }
        Some(Fault::AuthorityIsNone) => params.is_ca = IsCa::ExplicitNoCa,
        _ => {}
    }
}

fn spoil_leaf(params: &mut CertificateParams, fault: Option<Fault>, at: Time) {
    let extension = |oid, content: &[u8]| CustomExtension::from_oid_content(oid, content.to_vec());
    match fault {
        Some(Fault::TwoUriNames) => params.subject_alt_names.push(uri("spiffe://example.test/second")),
        Some(Fault::NoUriName) => params.subject_alt_names.clear(),
        Some(Fault::NamesNotCritical) => {
            params.distinguished_name = DistinguishedName::new();
            params.subject_alt_names.clear();
            let name = [&[0x86, WORKLOAD.len() as u8], WORKLOAD.as_bytes()].concat();
            let names = [&[0x30, name.len() as u8], name.as_slice()].concat();
            params.custom_extensions.push(extension(ALTERNATIVE_NAME, &names));
        }
        Some(Fault::LeafIsAuthority) => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Some(Fault::LeafWithoutKeyUsage) => params.key_usages.clear(),
        Some(Fault::KeyUsageNotCritical) => {
            params.key_usages.clear();
            params.custom_extensions.push(extension(KEY_USAGE, &DIGITAL_SIGNATURE));
        }
        Some(Fault::LeafSignsCertificates) => params.key_usages.push(KeyUsagePurpose::KeyCertSign),
        Some(Fault::LeafWithoutDigitalSignature) => params.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
        Some(Fault::OnlyServerAuth) => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Some(Fault::OnlyClientAuth) => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Some(Fault::ExpiredLeaf) => params.not_after = date(at.minus(Duration::from_secs(60))),
        _ => {}
    }
}

pub(super) fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the system gives random bytes")
}

/// A token in compact serialization.
pub(super) fn signed(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fn encoded(object: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(object.to_string())
}

pub(super) fn point_jwk(point: &[u8]) -> Value {
    let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(32)).expect("an uncompressed point");
    let text = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
}

pub(super) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der)).into_bytes()
}

pub(super) fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().expect("an object").remove(name);
}
