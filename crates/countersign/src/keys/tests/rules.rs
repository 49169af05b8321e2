//! When keys are asked for, and until when they are used.

use std::time::{Duration, Instant};

use super::super::kept::{BURST, Kept};
use super::{remote, set};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Refreshed each 300 s, dead after an hour.
fn kept(now: Instant) -> Kept {
    Kept::new(&remote("http://127.0.0.1:1/", seconds(300), seconds(3600)), now)
}

#[test]
fn the_last_good_set_is_used_until_it_is_too_old() {
    let start = Instant::now();
    let mut kept = kept(start);
    assert!(kept.in_force(start).is_none() && kept.dies(start).is_none() && kept.age(start).is_none());
    kept.came(set("a"), start, None);
    for _ in 0..100 {
        kept.failed();
    }
    let last = start + seconds(3600) - Duration::from_nanos(1);
    assert_eq!(kept.in_force(last).map(|set| set.digest()), Some(set("a").digest()));
    assert_eq!((kept.dies(last), kept.age(start + seconds(7))), (Some(start + seconds(3600)), Some(seconds(7))));
    assert!(kept.in_force(start + seconds(3600)).is_none(), "and not an instant longer");
    kept.came(set("b"), start + seconds(4000), None);
    assert!(kept.in_force(start + seconds(4001)).is_some());
}

#[test]
fn what_an_estate_says_holds_for_the_set_that_is_known() {
    let start = Instant::now();
    let mut kept = kept(start);
    kept.came(set("a"), start, None);
    kept.keep_as(&remote("http://127.0.0.1:1/", seconds(10), seconds(60)));
    assert!(kept.in_force(start + seconds(60)).is_none());
    kept.keep_as(&remote("http://127.0.0.1:1/", seconds(10), seconds(7200)));
    assert!(kept.in_force(start + seconds(7199)).is_some(), "a bound that is raised while an issuer is down");
}

#[test]
fn an_issuer_says_within_bounds_how_long_its_keys_are_fresh() {
    let start = Instant::now();
    for (max_age, pause) in [(None, 300), (Some(400), 400), (Some(0), 75), (Some(5), 75), (Some(1_000_000), 1200)] {
        assert_eq!(kept(start).came(set("a"), start, max_age.map(seconds)), seconds(pause), "{max_age:?}");
    }
    let mut tight = Kept::new(&remote("http://127.0.0.1:1/", seconds(60), seconds(60)), start);
    assert_eq!(tight.came(set("a"), start, None), seconds(30), "ahead of the end");
}

#[test]
fn an_issuer_that_is_down_is_asked_less_and_less() {
    let start = Instant::now();
    let mut kept = kept(start);
    let pauses: Vec<u64> = (0..9).map(|_| kept.failed().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    kept.came(set("a"), start, None);
    assert_eq!(kept.failed(), seconds(1));
    let mut quick = Kept::new(&remote("http://127.0.0.1:1/", seconds(3), seconds(60)), start);
    assert_eq!((0..4).map(|_| quick.failed().as_secs()).collect::<Vec<_>>(), [1, 2, 3, 3]);
}

#[test]
fn unknown_keys_are_asked_for_within_a_budget() {
    let start = Instant::now();
    let mut kept = kept(start);
    let asked = (0..10_000).filter(|number| kept.asks_for(Some(&number.to_string()), start)).count();
    assert_eq!(asked, BURST as usize);
    assert!(!kept.asks_for(Some("late"), start + seconds(10) - Duration::from_nanos(1)));
    assert!(kept.asks_for(Some("late"), start + seconds(10)));
    assert!(!kept.asks_for(Some("later"), start + seconds(10)));
    // an hour of nothing saves up no more than the burst
    let later = start + seconds(3600);
    assert_eq!((0..10_000).filter(|n| kept.asks_for(Some(&format!("x{n}")), later)).count(), BURST as usize);
    assert!(!kept.asks_for(Some("y"), later + seconds(9)) && kept.asks_for(Some("y"), later + seconds(10)));
}

#[test]
fn a_key_that_was_asked_for_is_left_alone_for_a_while() {
    let start = Instant::now();
    let mut kept = kept(start);
    assert!(kept.asks_for(Some("gone"), start));
    for second in 0..30 {
        assert!(!kept.asks_for(Some("gone"), start + seconds(second)), "after {second} s");
    }
    assert!(kept.asks_for(Some("new"), start + seconds(1)), "it uses up nothing");
    assert!(kept.asks_for(Some("gone"), start + seconds(30)));
    assert!(kept.asks_for(None, start + seconds(30)) && !kept.asks_for(None, start + seconds(31)));
}
