//! Which of many refusals are recorded in full.

use std::time::{Duration, Instant};

use crate::budget::{Afford, Budget};

/// How many of `calls`, evenly spread over `span`, are recorded.
fn recorded(budget: &mut Budget, source: Option<&str>, from: Instant, span: Duration, calls: u32) -> u32 {
    let each = span / calls;
    let spent = (0..calls).map(|n| budget.spend(source, from + n * each));
    spent.filter(|afford| *afford == Afford::Record).count() as u32
}

#[test]
fn a_burst_is_recorded_and_then_a_hundred_a_second() {
    let (mut budget, from) = (Budget::default(), Instant::now());
    assert_eq!(recorded(&mut budget, None, from, Duration::ZERO, 10_000), 500);
    let second = |n| from + Duration::from_secs(n);
    for n in 0..10 {
        let recorded = recorded(&mut budget, None, second(n), Duration::from_secs(1), 20_000);
        assert!((99..=101).contains(&recorded), "second {n}: {recorded}");
    }
}

#[test]
fn whoever_stays_below_the_rate_is_always_recorded() {
    let mut budget = Budget::default();
    assert_eq!(recorded(&mut budget, Some("github"), Instant::now(), Duration::from_secs(100), 10_000), 10_000);
}

#[test]
fn a_flood_of_one_source_takes_nothing_of_another() {
    let (mut budget, now) = (Budget::default(), Instant::now());
    assert_eq!(recorded(&mut budget, Some("github"), now, Duration::ZERO, 1000), 500);
    assert_eq!(recorded(&mut budget, None, now, Duration::ZERO, 1000), 500);
    assert_eq!(budget.spend(Some("people"), now), Afford::Record);
}

#[test]
fn after_five_quiet_seconds_the_whole_burst_is_there_again_and_no_more() {
    let (mut budget, from) = (Budget::default(), Instant::now());
    for quiet in [0, 5, 5000] {
        let now = from + Duration::from_secs(quiet);
        assert_eq!(recorded(&mut budget, None, now, Duration::ZERO, 1000), 500);
    }
}

#[test]
fn callers_whose_clocks_are_read_in_another_order_gain_nothing() {
    let (mut budget, from) = (Budget::default(), Instant::now());
    let jitter = |n: u32| from + Duration::from_micros(if n.is_multiple_of(2) { 900 } else { 0 });
    let recorded = (0..10_000).filter(|n| budget.spend(None, jitter(*n)) == Afford::Record).count();
    assert_eq!(recorded, 500);
}

#[test]
fn sources_that_went_with_their_estate_are_forgotten() {
    let (mut budget, from) = (Budget::default(), Instant::now());
    for n in 0..1000_u64 {
        let now = from + Duration::from_secs(n);
        assert_eq!(budget.spend(Some(&format!("source-{n}")), now), Afford::Record);
    }
    assert_eq!(format!("{budget:?}").matches("source-").count(), 1);
}
