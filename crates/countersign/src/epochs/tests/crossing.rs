//! What proves a caller in one environment proves nobody in another: refused by trust domain, by key and by audience.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use credential::{Authorities, Channel, KeySet, Message, PeerCertificates, Presented, Token};
use guard::{Asked, Freshness, Operation, Snapshot, Verdict, judge};
use identity::Access;
use model::{BaseAction, Code, Time};
use policy::Question;
use serde_json::{Value, json};
use testkit::TestCa;

use super::super::compile_alone;
use crate::estate::{Bundle, Vars, load};
use crate::keys::FetchedKeys;

const AUDIENCE: &str = "https://billing.acme.test";

fn at() -> Time {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

/// Who issues tokens and SVIDs in one environment.
struct World {
    issuer: &'static str,
    kid: &'static str,
    key: EcdsaKeyPair,
    ca: TestCa,
}

impl World {
    fn new(domain: &str, issuer: &'static str, kid: &'static str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        Self { issuer, kid, key, ca: TestCa::new(domain, at(), |_| ()) }
    }

    fn production() -> Self {
        Self::new("prod.acme.test", "https://identity.prod.acme.test", "production-1")
    }

    fn staging() -> Self {
        Self::new("staging.acme.test", "https://identity.staging.acme.test", "staging-1")
    }

    fn key_set(&self) -> KeySet {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": base64url(x), "y": base64url(y)});
        KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap()
    }

    /// What this world's issuer says when it is asked to say `issuer` and `audience`.
    fn token(&self, kid: &str, issuer: &str, audience: &str) -> String {
        let seconds = at().as_micros() / 1_000_000;
        let header = json!({"alg": "ES256", "kid": kid, "typ": "JWT"});
        let claims: Value =
            json!({"iss": issuer, "sub": "dunning-agent", "aud": audience, "iat": seconds, "exp": seconds + 60});
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature))
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Production of the example, under the keys of its own world.
fn production(world: &World) -> Snapshot {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/two-environments"));
    let bundle = Bundle::read(folder).unwrap();
    let estate = load(&bundle, &Vars::Refused, &[], Some("production"), at());
    let estate = estate.map_err(|problems| problems[0].to_string()).unwrap();
    let domain = estate.environment.trust_domain.clone();
    let fetched = FetchedKeys::from([("platform".parse().unwrap(), Arc::new(world.key_set()))]);
    let (snapshot, _) = compile_alone(estate, &fetched, bundle.digest(&Vars::Refused));
    let source = credential::SVIDS.parse().unwrap();
    let trusted =
        credential::Bundle::new(source, domain, &[world.ca.certificate()], std::time::Duration::ZERO).unwrap();
    Snapshot { sources: snapshot.sources.clone().with_authorities(Authorities::new([trusted])), ..snapshot }
}

/// How production answers whoever wants to read an invoice: none if it lets them.
fn refused(snapshot: &Snapshot, presented: &Presented<'_>) -> Option<(Code, String)> {
    let question = Question {
        action: BaseAction::Read.into(),
        resource: "billing/invoices".parse().unwrap(),
        protocol: "http".to_owned(),
        service: "billing-api".to_owned(),
        params: Vec::new(),
    };
    let asked = Asked::Operation(Operation { question, access: Access::Proved, errand: () });
    let verdict = judge(snapshot, presented, &asked, Freshness::NOW, at()).verdict;
    if let Verdict::Unproved(refused) = verdict {
        return Some((refused.cause.code(), refused.cause.to_string()));
    }
    assert!(matches!(verdict, Verdict::Granted(..)), "neither let in nor unproved: {verdict:?}");
    None
}

#[track_caller]
fn check_svid(world: &World, ca: &TestCa, id: &str, expected: Option<(Code, &str)>) {
    let peer = PeerCertificates::new(vec![ca.leaf(id, at(), |_| ()).0]);
    let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
    let found = refused(&production(world), &presented);
    assert_eq!(found.as_ref().map(|(code, why)| (*code, why.as_str())), expected);
}

#[track_caller]
fn check_token(world: &World, token: &str, expected: Option<(Code, &str)>) {
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
    let found = refused(&production(world), &presented);
    assert_eq!(found.as_ref().map(|(code, why)| (*code, why.as_str())), expected);
}

#[test]
fn an_svid_of_another_environment_is_refused_by_its_trust_domain() {
    let (production, staging) = (World::production(), World::staging());
    let (own, foreign) = ("spiffe://prod.acme.test/billing/reporter", "spiffe://staging.acme.test/billing/reporter");
    check_svid(&production, &production.ca, own, None);
    let unknown = (Code::IssuerUnknown, "trust domain `staging.acme.test` is not trusted here");
    check_svid(&production, &staging.ca, foreign, Some(unknown));
    // whoever signs for staging cannot sign for production, and production's authority cannot bring staging in
    let unsigned = (Code::ChainInvalid, "the certificate chain does not verify: UnknownIssuer");
    check_svid(&production, &staging.ca, own, Some(unsigned));
    check_svid(&production, &production.ca, foreign, Some(unknown));
}

#[test]
fn a_token_of_another_environments_issuer_is_refused_by_its_key() {
    let (production, staging) = (World::production(), World::staging());
    check_token(&production, &production.token(production.kid, production.issuer, AUDIENCE), None);
    let as_production = |kid: &str| staging.token(kid, production.issuer, AUDIENCE);
    let unknown = (Code::KeyUnknown, "the source has no such key");
    check_token(&production, &as_production(staging.kid), Some(unknown));
    let forged = (Code::SignatureInvalid, "the signature does not verify");
    check_token(&production, &as_production(production.kid), Some(forged));
    let honest = staging.token(staging.kid, staging.issuer, AUDIENCE);
    check_token(&production, &honest, Some((Code::IssuerUnknown, "no trust source has this issuer")));
}

#[test]
fn a_token_for_another_environment_is_refused_by_its_audience() {
    let production = World::production();
    let token = production.token(production.kid, production.issuer, "https://billing.staging.acme.test");
    let wrong = (Code::AudienceWrong, "issued for another audience, or for more than one");
    check_token(&production, &token, Some(wrong));
}
