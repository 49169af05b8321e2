//! Times: every one is an argument, every boundary to the microsecond.

use std::time::Duration;

use model::{Code, Time};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

use crate::tests::issuer::{NOW, at, changed, proved, refused, source, try_verify};
use crate::{Cause, Finding, Source};

const MICRO: Duration = Duration::from_micros(1);

fn verified(source: &Source, token: &str, at: Time) -> Result<Finding, Cause> {
    try_verify(source.clone(), token.as_bytes(), at).map_err(|refused| refused.cause)
}

/// Without `iat` in the list of required claims.
fn relaxed() -> Source {
    Source { required_claims: Vec::new(), ..source() }
}

#[test]
fn a_token_lives_until_sixty_seconds_after_its_expiry() {
    let token = changed(&[]);
    let dead = at(NOW + 300 + 60);
    assert_eq!(verified(&source(), &token, dead.minus(MICRO)).unwrap().until, dead);
    let cause = verified(&source(), &token, dead).unwrap_err();
    assert_eq!(cause, Cause::Expired { at: at(NOW + 300) });
    assert_eq!(cause.to_string(), "expired at 2030-03-17T17:51:40.000000Z");
    assert_eq!(cause.code(), Code::Expired);
}

#[test]
fn a_token_begins_sixty_seconds_before_its_time() {
    for (name, claim) in [("nbf", "nbf"), ("iat", "iat")] {
        let token = changed(&[(name, Some("1900000100"))]);
        let first = at(NOW + 100 - 60);
        assert!(verified(&source(), &token, first).is_ok());
        let cause = verified(&source(), &token, first.minus(MICRO)).unwrap_err();
        assert_eq!(cause, Cause::NotYetValid { claim, at: at(NOW + 100) });
        assert_eq!(cause.to_string(), format!("`{name}` lies ahead, at 2030-03-17T17:48:20.000000Z"));
        assert_eq!(cause.code(), Code::NotYetValid);
    }
}

#[test]
fn a_token_is_never_older_than_the_source_allows() {
    let token = changed(&[("exp", Some("1999999999"))]);
    let dead = at(NOW + 600 + 60);
    assert_eq!(verified(&source(), &token, dead.minus(MICRO)).unwrap().until, dead);
    let cause = verified(&source(), &token, dead).unwrap_err();
    assert_eq!(cause, Cause::TooOld);
    assert_eq!(cause.to_string(), "older than the source's `maxAge`, or valid for longer");
    assert_eq!(cause.code(), Code::TooOld);
}

#[test]
fn without_an_issuing_time_a_token_is_never_valid_for_longer_than_the_source_allows() {
    let token = |exp: &str| changed(&[("iat", None), ("exp", Some(exp))]);
    assert!(verified(&relaxed(), &token("1900000660"), at(NOW)).is_ok());
    assert_eq!(verified(&relaxed(), &token("1900000660"), at(NOW).minus(MICRO)), Err(Cause::TooOld));
    assert_eq!(verified(&relaxed(), &token("1900000661"), at(NOW)), Err(Cause::TooOld));
    let finding = verified(&relaxed(), &token("1900000660"), at(NOW)).unwrap();
    assert_eq!((finding.issued, finding.expires, finding.until), (None, Some(at(NOW + 660)), at(NOW + 720)));
}

#[test]
fn expiry_answers_first_then_what_lies_ahead_then_age() {
    let all = [("exp", Some("1000000000")), ("nbf", Some("1950000000")), ("iat", Some("1960000000"))];
    assert!(matches!(refused(source(), &changed(&all)), Cause::Expired { .. }));
    assert!(matches!(refused(source(), &changed(&all[1..])), Cause::NotYetValid { claim: "nbf", .. }));
    assert!(matches!(refused(source(), &changed(&all[2..])), Cause::NotYetValid { claim: "iat", .. }));
    let old = changed(&[("iat", Some("1800000000")), ("nbf", Some("1950000000"))]);
    assert!(matches!(refused(source(), &old), Cause::NotYetValid { claim: "nbf", .. }));
}

#[test]
fn times_at_the_ends_of_the_world_are_only_times() {
    for long_ago in ["0", "-1", "-9223372036854775808", "1", "-62167219201"] {
        assert!(matches!(refused(source(), &changed(&[("exp", Some(long_ago))])), Cause::Expired { .. }), "{long_ago}");
        assert_eq!(refused(source(), &changed(&[("iat", Some(long_ago))])), Cause::TooOld, "{long_ago}");
        proved(source(), &changed(&[("nbf", Some(long_ago))]));
    }
    for far in ["4294967296", "253402300799", "253402300800", "9223372036854775807"] {
        assert_eq!(refused(relaxed(), &changed(&[("exp", Some(far)), ("iat", None)])), Cause::TooOld, "{far}");
        assert!(matches!(refused(source(), &changed(&[("nbf", Some(far))])), Cause::NotYetValid { .. }), "{far}");
        assert!(matches!(refused(source(), &changed(&[("iat", Some(far))])), Cause::NotYetValid { .. }), "{far}");
        assert_eq!(proved(source(), &changed(&[("exp", Some(far))])).until, at(NOW + 660), "{far}");
    }
    for (instant, cause) in [(Time::MAX, "expired"), (Time::MIN, "`iat` lies ahead")] {
        let refused = verified(&source(), &changed(&[]), instant).unwrap_err();
        assert!(refused.to_string().starts_with(cause), "{refused}");
    }
    let forever = Source { max_age: Duration::MAX, ..relaxed() };
    let token = changed(&[("exp", Some("9223372036854775807"))]);
    assert_eq!(proved(forever, &token).until, Time::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_is_proved_is_proved_from_begin_to_until_and_at_no_other_time(
        exp in -1000_i64..2000,
        iat in prop::option::of(-1000_i64..1000),
        nbf in prop::option::of(-1000_i64..1000),
        max_age in 1_u64..1500,
        offset in any::<i32>(),
    ) {
        let text = |offset: Option<i64>| offset.map(|offset| (NOW + offset).to_string());
        let (exp_text, iat_text, nbf_text) = (text(Some(exp)), text(iat), text(nbf));
        let token =
            changed(&[("exp", exp_text.as_deref()), ("iat", iat_text.as_deref()), ("nbf", nbf_text.as_deref())]);
        let source = Source { max_age: Duration::from_secs(max_age), ..relaxed() };
        let instant = Time::from_micros(at(NOW).as_micros() + i64::from(offset));
        let Ok(finding) = verified(&source, &token, instant) else { return Ok(()) };
        prop_assert!(instant < finding.until);
        prop_assert!(verified(&source, &token, finding.until.minus(MICRO)).is_ok());
        prop_assert!(verified(&source, &token, finding.until).is_err());
        prop_assert_eq!(finding.expires, Some(at(NOW + exp)));
        prop_assert_eq!(finding.issued, iat.map(|iat| at(NOW + iat)));
    }
}
