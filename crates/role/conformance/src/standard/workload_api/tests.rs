//! What counts as the whole state of a stream.

use std::collections::BTreeSet;

use super::told;
use crate::seen::{Answer, Watched};

/// Of a stream with these messages, and a second one that begins with `fresh`.
fn check(first: &[&[&str]], fresh: &[&str], expected: Result<(), &str>) {
    let state = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let first = first.iter().map(|names| state(names)).collect();
    let watched = Watched { first: Answer::Said(first), again: Answer::Said(vec![state(fresh)]) };
    assert_eq!(told(&watched, Clone::clone), Some(expected.map_err(str::to_owned)));
}

#[test]
fn what_is_added_or_withdrawn_meanwhile_is_no_part() {
    check(&[&["a"]], &["a"], Ok(()));
    check(&[&["a"], &["a", "b"]], &["a", "b"], Ok(()));
    check(&[&["a", "b"], &["a"]], &["a"], Ok(()));
}

#[test]
fn what_one_message_drops_and_another_has_again_was_a_part() {
    check(&[&["a"], &["b"]], &["a"], Err("a is in one message, and missing in the next"));
    check(&[&["a", "b"]], &["a"], Err("b is missing in a second stream"));
}
