//! The bound of what is kept.

use std::collections::HashMap;

use model::Time;

use super::{Held, Key, MOST, keep};

fn key(nth: usize) -> Key {
    let id = "spiffe://prod.acme.test/web".parse().unwrap();
    Key { registration: "web".to_owned(), id, audience: vec![format!("audience-{nth}")] }
}

fn held(due: i64) -> Held {
    let due = Time::from_unix_seconds(due);
    Held { token: String::new(), due, expires: due, digest: Vec::new() }
}

#[test]
fn a_workload_that_asks_for_ever_more_audiences_has_no_more_kept_than_the_bound() {
    let mut all = HashMap::new();
    let at = Time::from_unix_seconds(0);
    for nth in 0..3 * MOST {
        keep(&mut all, key(nth), held(1_000 + i64::try_from(nth).unwrap()), at);
        assert!(all.len() <= MOST);
    }
    // the ones that hold longest are there
    assert!(!all.contains_key(&key(0)) && all.contains_key(&key(3 * MOST - 1)));
}

#[test]
fn what_is_due_goes_first() {
    let mut all = HashMap::new();
    for nth in 0..MOST {
        keep(&mut all, key(nth), held(if nth < MOST / 2 { 10 } else { 1_000 }), Time::from_unix_seconds(0));
    }
    keep(&mut all, key(MOST), held(1_000), Time::from_unix_seconds(11));
    assert_eq!(all.len(), MOST / 2 + 1);
}
