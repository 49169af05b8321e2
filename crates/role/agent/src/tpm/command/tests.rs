//! Answers of TPMs that are none, or say what no TPM says.

use testkit::mutate;

use super::{
    BadAnswer, HEAD, Handle, MAX, activated, comes_again, create_primary, created, flush, length, nv_size, quoted,
    started,
};

/// An answer of these parameters.
fn answer(tag: u16, code: u32, parameters: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEAD + parameters.len()).unwrap();
    [&tag.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), parameters].concat()
}

#[test]
fn a_command_says_how_long_it_is() {
    assert_eq!(flush(Handle(0x8000_0001)), [0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65, 0x80, 0, 0, 1]);
    let create = create_primary(&[1, 2, 3]);
    assert_eq!(usize::try_from(u32::from_be_bytes(create[2..6].try_into().unwrap())).unwrap(), create.len());
    assert_eq!(create[..2], [0x80, 2]);
}

#[test]
fn an_answer_that_refuses_or_does_not_fit_is_none() {
    let made = answer(0x8002, 0, &[0x80, 0, 0, 1, 0, 0, 0, 5, 0, 3, 7, 8, 9]);
    assert_eq!(created(&made).unwrap(), (Handle(0x8000_0001), vec![7, 8, 9]));
    assert_eq!(created(&answer(0x8001, 0x902, &[])).unwrap_err(), BadAnswer::Refused { code: 0x902 });
    assert_eq!(BadAnswer::Refused { code: 0x902 }.to_string(), "it refuses with code 0x902");
    assert!(
        comes_again(&answer(0x8001, 0x922, &[])) && !comes_again(&answer(0x8001, 0x902, &[])) && !comes_again(&made)
    );
    for cut in 0..made.len() {
        assert_eq!(created(&made[..cut]).unwrap_err(), BadAnswer::Unreadable, "{cut}");
    }
    let mut long = made.clone();
    long.push(0);
    assert_eq!(created(&long).unwrap_err(), BadAnswer::Unreadable, "more than it says");
    assert_eq!(created(&answer(0x00c4, 0, &made[HEAD..])).unwrap_err(), BadAnswer::Unreadable);
    assert_eq!(quoted(&answer(0x8002, 0, &[0, 0, 0, 9, 0, 1, 7, 8])).unwrap_err(), BadAnswer::Unreadable);
}

#[test]
fn no_length_is_taken_that_no_tpm_has() {
    let head = |size: u32| {
        let [a, b, c, d] = size.to_be_bytes();
        [0x80, 1, a, b, c, d, 0, 0, 0, 0]
    };
    assert_eq!(length(head(10)), Some(10));
    for size in [0, 9, u32::try_from(MAX).unwrap() + 1, u32::MAX] {
        assert_eq!(length(head(size)), None);
    }
}

#[test]
fn answers_that_were_changed_stop_nothing() {
    let made = answer(0x8002, 0, &[0x80, 0, 0, 1, 0, 0, 0, 5, 0, 3, 7, 8, 9, 0, 24, 0, 11, 0, 2, 1, 1, 0, 2, 1, 1]);
    mutate(&made, 5_000, |changed| {
        let _ = (created(changed), started(changed), activated(changed), quoted(changed).is_ok(), nv_size(changed));
    });
}
