//! A sample issuer that signs real tokens, and the source that trusts it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{PrincipalKind, Time};

use crate::{
    Algorithm, Cause, CredentialCache, EvidenceRule, ExtraAudiences, Finding, KeySet, Message, Picked, Presented,
    Refused, Source, SourceKeys, Sources, Token, verify,
};

pub(crate) const NOW: i64 = 1_900_000_000;
pub(crate) const ISSUER: &str = "https://ci.test";
pub(crate) const AUDIENCE: &str = "https://api.test";

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static P256: LazyLock<EcdsaKeyPair> = LazyLock::new(|| elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING));
static P384: LazyLock<EcdsaKeyPair> = LazyLock::new(|| elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING));
static P521: LazyLock<EcdsaKeyPair> = LazyLock::new(|| elliptic(&ECDSA_P521_SHA512_FIXED_SIGNING));
static ED25519: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(algorithm).unwrap()
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_unix_seconds(seconds)
}

/// Signs with the issuer's key of the algorithm's type.
pub(crate) fn sign(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let rng = SystemRandom::new();
    let rsa = |encoding| {
        let mut signature = vec![0; RSA.public_modulus_len()];
        RSA.sign(encoding, &rng, message, &mut signature).unwrap();
        signature
    };
    let elliptic = |pair: &EcdsaKeyPair| pair.sign(&rng, message).unwrap().as_ref().to_vec();
    match algorithm {
        Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
        Algorithm::Es256 => elliptic(&P256),
        Algorithm::Es384 => elliptic(&P384),
        Algorithm::Es512 => elliptic(&P521),
        Algorithm::EdDsa => ED25519.sign(message).as_ref().to_vec(),
    }
}

/// The issuer's public RSA key in DER (PKCS #1), as an attacker has it too.
pub(crate) fn rsa_der() -> Vec<u8> {
    RSA.public_key().as_ref().to_vec()
}

/// The members of the public key that verifies the algorithm, without braces.
pub(crate) fn public_members(algorithm: Algorithm) -> String {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => {
            // SEQUENCE { INTEGER 00 ‖ 256 bytes, INTEGER 65537 }
            let der = rsa_der();
            assert_eq!(der[..9], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
            format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, base64(&der[9..265]))
        }
        Algorithm::Es256 => elliptic_members("P-256", &P256),
        Algorithm::Es384 => elliptic_members("P-384", &P384),
        Algorithm::Es512 => elliptic_members("P-521", &P521),
        Algorithm::EdDsa => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, base64(ED25519.public_key())),
    }
}

fn elliptic_members(curve: &str, pair: &EcdsaKeyPair) -> String {
    let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
    format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, base64(x), base64(y))
}

pub(crate) fn key_set(keys: &[String]) -> Arc<KeySet> {
    let keys: Vec<String> = keys.iter().map(|members| format!("{{{members}}}")).collect();
    Arc::new(KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap())
}

/// The keys `rsa`, `p256`, `p384`, `p521` and `ed`.
pub(crate) fn every_key() -> Arc<KeySet> {
    let named = |kid: &str, algorithm| format!(r#""kid":"{kid}",{}"#, public_members(algorithm));
    key_set(&[
        named("rsa", Algorithm::Rs256),
        named("p256", Algorithm::Es256),
        named("p384", Algorithm::Es384),
        named("p521", Algorithm::Es512),
        named("ed", Algorithm::EdDsa),
    ])
}

pub(crate) fn source() -> Source {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Source {
        name: "ci".parse().unwrap(),
        picked: Picked::ByIssuer,
        proves: vec![PrincipalKind::Job],
        issuer: ISSUER.to_owned(),
        audiences: texts(&[AUDIENCE, "https://other.test"]),
        extra_audiences: ExtraAudiences::Refused,
        algorithms: Algorithm::ALL.to_vec(),
        required_claims: texts(&["iss", "sub", "aud", "exp", "iat"]),
        max_age: Duration::from_secs(600),
        types: vec![Some("JWT".to_owned()), Some("at+jwt".to_owned()), None],
        identity_key: vec!["owner_id".parse().unwrap(), "repo.id".parse().unwrap()],
        display: vec!["sub".parse().unwrap(), "repo.name".parse().unwrap(), "run".parse().unwrap()],
        evidence: vec![EvidenceRule {
            fact: "protected_ref".parse().unwrap(),
            conditions: vec![
                ("ref_protected".parse().unwrap(), texts(&["true"])),
                ("event".parse().unwrap(), texts(&["push", "dispatch"])),
            ],
        }],
        keys: SourceKeys::Given(every_key()),
        cache: CredentialCache::On,
    }
}

/// The claims of a good token, some of them replaced (`Some`) or left out (`None`); values are JSON.
pub(crate) fn claims(changes: &[(&str, Option<&str>)]) -> String {
    let good = [
        ("iss", r#""https://ci.test""#),
        ("sub", r#""repo:acme/billing""#),
        ("aud", r#""https://api.test""#),
        ("exp", "1900000300"),
        ("iat", "1900000000"),
        ("owner_id", r#""9001""#),
        ("repo", r#"{"id":"4711","name":"acme/billing"}"#),
        ("ref_protected", r#""true""#),
        ("event", r#""push""#),
    ];
    let changed = |name: &str| changes.iter().find(|(changed, _)| *changed == name);
    let kept = good.iter().map(|(name, json)| (*name, changed(name).map_or(Some(*json), |(_, json)| *json)));
    let added = changes.iter().copied().filter(|(name, _)| !good.iter().any(|(good, _)| good == name));
    let members = kept.chain(added).filter_map(|(name, json)| Some(format!(r#""{name}":{}"#, json?)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Header and payload exactly as given, under a true signature of the issuer.
pub(crate) fn token(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", base64(header), base64(payload));
    let signature = base64(sign(algorithm, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A token by ES256 with these changes to its claims.
pub(crate) fn changed(changes: &[(&str, Option<&str>)]) -> String {
    token(Algorithm::Es256, r#"{"alg":"ES256","kid":"p256"}"#, &claims(changes))
}

/// A token by ES256 with this header.
pub(crate) fn headed(header: &str) -> String {
    token(Algorithm::Es256, header, &claims(&[]))
}

pub(crate) fn try_verify(source: Source, token: &[u8], at: Time) -> Result<Finding, Box<Refused>> {
    let sources = Sources::new([source]).unwrap();
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token))) };
    verify(&sources, &presented, at).map(|proofs| proofs.message().unwrap().finding().clone())
}

pub(crate) fn proved(source: Source, token: &str) -> Finding {
    try_verify(source, token.as_bytes(), at(NOW)).unwrap()
}

pub(crate) fn refused(source: Source, token: &str) -> Cause {
    try_verify(source, token.as_bytes(), at(NOW)).unwrap_err().cause
}
