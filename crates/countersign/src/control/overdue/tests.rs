//! What is overdue is tried again, less and less often.

use std::time::{Duration, Instant};

use issuer::lifecycle::KeyKind;
use serde_json::json;

use super::{Due, Overdue};

#[test]
fn what_fails_again_rests_for_longer_and_holds_up_nothing_else() {
    let (overdue, mut from) = (Overdue::default(), Instant::now());
    let second = Duration::from_secs(1);
    for rest in [10, 20, 40, 80, 160, 300, 300] {
        overdue.failed(KeyKind::X509, "away".to_owned(), net::now(), from);
        from += second * (rest - 1);
        assert!(overdue.rests(KeyKind::X509, from) && !overdue.rests(KeyKind::Jwt, from));
        from += second;
        assert!(!overdue.rests(KeyKind::X509, from));
    }
    assert_eq!((&overdue.shown()[0]["kind"], &overdue.shown()[0]["why"]), (&json!("x509"), &json!("away")));
    overdue.done(KeyKind::X509);
    assert_eq!(overdue.shown(), json!([]));
}

#[test]
fn a_withdrawal_rests_too_and_is_shown() {
    let (overdue, from) = (Overdue::default(), Instant::now());
    overdue.failed(Due::Withdrawal, "away".to_owned(), net::now(), from);
    assert!(overdue.rests(Due::Withdrawal, from + Duration::from_secs(9)) && !overdue.rests(KeyKind::X509, from));
    assert_eq!(overdue.shown()[0]["kind"], "withdrawal");
}
