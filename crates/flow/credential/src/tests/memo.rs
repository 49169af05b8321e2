//! What is remembered answers like what is verified, is bounded, and goes with its source's keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Binding, Code, Time};
use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};
use testkit::TestCa;

use crate::memo::{CAPACITY, Held, Memo};
use crate::tests::issuer::{ISSUER, NOW, at, base64, changed, every_key, headed, key_set, public_members, source};
use crate::{
    Algorithm, Authorities, Bundle, Cause, Channel, CredentialCache, CredentialKind, Finding, MemoCounts, Message,
    PeerCertificates, Presented, Revocable, Revocations, SVIDS, Source, SourceKeys, Sources, Standing, Token,
    digest_of, verify,
};

const OTHER: &str = "https://other-ci.test";

/// Two sources whose keys are fetched, `ci` and `other`.
fn fetched() -> Sources {
    let ci = Source { keys: SourceKeys::Fetched(Some(every_key())), ..source() };
    let other = Source { name: "other".parse().unwrap(), issuer: OTHER.to_owned(), ..ci.clone() };
    Sources::new([ci, other]).unwrap()
}

fn of_other(jti: &str) -> String {
    changed(&[("iss", Some(&format!("{OTHER:?}"))), ("jti", Some(&format!("{jti:?}")))])
}

fn proved(sources: &Sources, token: &str, at: Time) -> Result<Finding, Cause> {
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
    let proofs = verify(sources, &presented, at).map_err(|refused| refused.cause)?;
    Ok(proofs.message().unwrap().finding().clone())
}

/// Hits and misses of a source.
fn counts(sources: &Sources, name: &str) -> (u64, u64) {
    let found = sources.memo_counts().into_iter().find(|counts| counts.source.as_str() == name);
    let MemoCounts { hits, misses, .. } = found.unwrap();
    (hits, misses)
}

fn held(name: &str) -> Held {
    let finding = Finding {
        source: "ci".parse().unwrap(),
        kind: CredentialKind::Jwt,
        binding: Binding::Bearer,
        key: Vec::new(),
        display: Vec::new(),
        facts: BTreeSet::new(),
        credential_id: name.to_owned(),
        digest: digest_of(name.as_bytes()),
        issued: None,
        expires: None,
        until: Time::MAX,
        key_id: None,
        key_thumbprint: None,
    };
    Held { finding: Arc::new(finding), from: Time::MIN, certificate: None }
}

#[test]
fn a_token_that_held_is_verified_once() {
    let (sources, token) = (fetched(), changed(&[]));
    let first = proved(&sources, &token, at(NOW)).unwrap();
    assert_eq!(proved(&sources, &token, at(NOW + 1)).unwrap(), first);
    assert_eq!((counts(&sources, "ci"), counts(&sources, "other")), ((1, 1), (0, 0)));
}

#[test]
fn a_flood_of_bad_tokens_finds_no_room() {
    let (sources, token) = (fetched(), changed(&[]));
    proved(&sources, &token, at(NOW)).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for number in 0..2_000 {
        let bad = format!("{signed}.{}", base64([number.to_string().as_bytes(), &[7; 60]].concat()));
        assert_eq!(proved(&sources, &bad, at(NOW)), Err(Cause::SignatureInvalid));
        assert_eq!(proved(&sources, &bad, at(NOW)), Err(Cause::SignatureInvalid));
    }
    proved(&sources, &token, at(NOW)).unwrap();
    assert_eq!(counts(&sources, "ci"), (1, 4_001));
}

#[test]
fn a_source_that_remembers_nothing_verifies_each_time() {
    let sources = Sources::new([Source { cache: CredentialCache::Off, ..source() }]).unwrap();
    for _ in 0..3 {
        proved(&sources, &changed(&[]), at(NOW)).unwrap();
    }
    assert_eq!(counts(&sources, "ci").0, 0);
}

#[test]
fn what_is_revoked_proves_nothing_although_it_is_remembered() {
    let token = changed(&[("jti", Some("\"one\""))]);
    let remembered = fetched();
    let finding = proved(&remembered, &token, at(NOW)).unwrap();
    let issued = finding.issued.unwrap();
    let refused = |what: Revocable, when: Time, standing: Standing| {
        let revocations = Arc::new(Revocations::new(1, [(what, when, standing)]));
        proved(&remembered.clone().with_revocations(revocations), &token, at(NOW)).err().map(|cause| cause.to_string())
    };
    let source = || Revocable::Source("ci".parse().unwrap());
    let key = || Revocable::Key("ci".parse().unwrap(), finding.key_id.clone().unwrap());
    let credential = || Revocable::Credential("one".to_owned());
    let told = |what: &str| Some(format!("{what} is revoked"));
    assert_eq!(refused(credential(), at(NOW), Standing::Revoked), told("credential `one`"));
    assert_eq!(
        refused(key(), at(NOW), Standing::Revoked),
        told(&format!("key `ci/{}`", finding.key_id.clone().unwrap()))
    );
    assert_eq!(refused(source(), at(NOW), Standing::Revoked), told("source `ci`"));
    assert_eq!(refused(Revocable::Source("other".parse().unwrap()), at(NOW), Standing::Revoked), None);
    // after it is restored, what was issued up to the revocation stays refused
    assert_eq!(refused(source(), issued, Standing::Restored), told("source `ci`"));
    assert_eq!(refused(source(), issued.minus(Duration::from_secs(1)), Standing::Restored), None);
}

/// RFC 8705 §3: proved anew on each channel, and never by what was proved on another.
#[test]
fn a_bound_token_that_is_remembered_proves_nothing_without_its_certificate() {
    let ca = TestCa::new("a.test", at(NOW), |_| {});
    let [own, other] = ["spiffe://a.test/own", "spiffe://a.test/other"]
        .map(|id| PeerCertificates::new(vec![ca.leaf(id, at(NOW), |_| {}).0]));
    let bundle = Bundle::new(SVIDS.parse().unwrap(), "a.test".parse().unwrap(), &[ca.certificate()], Duration::ZERO);
    let sources = fetched().with_authorities(Authorities::new([bundle.unwrap()]));
    let thumbprint = base64(own.digest().as_bytes());
    let token = changed(&[("cnf", Some(&format!(r#"{{"x5t#S256":"{thumbprint}"}}"#)))]);
    let over = |peer: Option<&PeerCertificates>| {
        let message = Some(Message::Bearer(Token::new(token.as_bytes())));
        let presented = Presented { channel: peer.map(Channel::Tls), message };
        let proofs = verify(&sources, &presented, at(NOW)).map_err(|refused| refused.cause.code())?;
        Ok(proofs.message().unwrap().finding().binding)
    };
    for _ in 0..2 {
        assert_eq!(over(Some(&own)), Ok(Binding::Mtls));
        assert_eq!(over(Some(&other)), Err(Code::BindingMismatch));
        assert_eq!(over(None), Err(Code::BindingMismatch));
    }
    assert_eq!(counts(&sources, "ci"), (1, 5));
}

#[test]
fn what_was_proved_by_a_key_goes_with_it() {
    let (sources, token, theirs) = (fetched(), changed(&[]), of_other("a"));
    let name = "ci".parse().unwrap();
    proved(&sources, &token, at(NOW)).unwrap();
    proved(&sources, &theirs, at(NOW)).unwrap();
    assert!(sources.with_keys(&name, Some(every_key())).is_none(), "the same keys change nothing");
    let without = sources.with_keys(&name, None).unwrap();
    assert_eq!(proved(&without, &token, at(NOW)), Err(Cause::KeysUnavailable));
    let rotated = key_set(&[format!(r#""kid":"new",{}"#, public_members(Algorithm::Es256))]);
    let rotated = without.with_keys(&name, Some(rotated)).unwrap();
    assert_eq!(proved(&rotated, &token, at(NOW)), Err(Cause::KeyUnknown));
    proved(&rotated, &headed(r#"{"alg":"ES256","kid":"new"}"#), at(NOW)).unwrap();
    // what was in force before is not touched, and neither is the other source
    proved(&sources, &token, at(NOW)).unwrap();
    proved(&rotated, &theirs, at(NOW)).unwrap();
    assert_eq!(counts(&rotated, "other"), (1, 1));
    let digests = [&sources, &without, &rotated].map(Sources::keys_digest);
    assert_eq!(BTreeSet::from(digests).len(), 3);
}

#[test]
fn keys_of_the_estate_are_not_exchanged() {
    let sources = Sources::new([source()]).unwrap();
    assert!(sources.with_keys(&"ci".parse().unwrap(), None).is_none());
    assert!(fetched().with_keys(&"nobody".parse().unwrap(), None).is_none());
}

/// Where one hint stands for two tokens, the other one is still found.
#[test]
fn a_wrong_hint_costs_a_reading_and_no_more() {
    let slot = |token: &String| {
        let [first, second, ..] = *digest_of(token.as_bytes()).as_bytes();
        usize::from(u16::from_be_bytes([first, second])) % (1 << 14)
    };
    let ours: Vec<String> = (0..400).map(|n| changed(&[("jti", Some(&format!("\"{n}\"")))])).collect();
    let theirs: Vec<String> = (0..400).map(|n| of_other(&n.to_string())).collect();
    let pair = ours.iter().find_map(|a| Some((a, theirs.iter().find(|b| slot(a) == slot(b))?)));
    let (ours, theirs) = pair.unwrap();
    let sources = fetched();
    for _ in 0..3 {
        assert_eq!(proved(&sources, ours, at(NOW)).unwrap().source.as_str(), "ci");
        assert_eq!(proved(&sources, theirs, at(NOW)).unwrap().source.as_str(), "other");
    }
    assert_eq!((counts(&sources, "ci"), counts(&sources, "other")), ((2, 1), (2, 1)));
}

#[test]
fn a_memo_is_bounded_and_keeps_what_is_asked_for() {
    let memo = Memo::new();
    let digest = |name: &str| digest_of(name.as_bytes());
    let names: Vec<String> = (0..5 * CAPACITY).map(|number| number.to_string()).collect();
    memo.remember(digest("asked for"), held("asked for"));
    for (number, name) in names.iter().enumerate() {
        memo.remember(digest(name), held(name));
        if number % 50 == 0 {
            assert!(memo.recall(digest("asked for")).is_some(), "after {number}");
        }
    }
    let kept = names.iter().filter(|name| memo.recall(digest(name)).is_some()).count();
    assert!((CAPACITY / 3..=CAPACITY).contains(&kept), "{kept}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// The one that matters: at every instant, in every order, and with the clock going back, too.
    #[test]
    fn what_is_remembered_answers_like_what_is_verified(
        tokens in prop::collection::vec(
            (-900_i64..900, prop::option::of(-900_i64..300), prop::option::of(-900_i64..300), 0..4_u8), 1..5,
        ),
        asked in prop::collection::vec((0..5_usize, -1_000_000_000_i64..1_000_000_000), 1..60),
        max_age in 1_u64..900,
    ) {
        let tokens: Vec<String> = tokens.into_iter().map(|(exp, iat, nbf, kind)| {
            let text = |offset: Option<i64>| offset.map(|offset| (NOW + offset).to_string());
            let (exp, iat, nbf) = (text(Some(exp)), text(iat), text(nbf));
            let issuer = format!("{:?}", if kind == 0 { OTHER } else { ISSUER });
            let audience = (kind == 1).then_some(r#""https://elsewhere.test""#).or(Some(r#""https://api.test""#));
            changed(&[
                ("exp", exp.as_deref()), ("iat", iat.as_deref()), ("nbf", nbf.as_deref()), ("iss", Some(&issuer)), ("aud", audience),
            ])
        }).collect();
        let relaxed = Source { max_age: Duration::from_secs(max_age), required_claims: Vec::new(), ..source() };
        let other = |source: &Source| Source { name: "other".parse().unwrap(), issuer: OTHER.to_owned(), ..source.clone() };
        let forgetful = Source { cache: CredentialCache::Off, ..relaxed.clone() };
        let remembering = Sources::new([relaxed.clone(), other(&relaxed)]).unwrap();
        let verifying = Sources::new([forgetful.clone(), other(&forgetful)]).unwrap();
        for (token, micros) in asked {
            let Some(token) = tokens.get(token) else { continue };
            let instant = Time::from_micros(at(NOW).as_micros() + micros);
            prop_assert_eq!(proved(&remembering, token, instant), proved(&verifying, token, instant));
        }
    }
}
