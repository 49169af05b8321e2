//! Octets of clients, whole, in pieces, and almost right.

use super::{FRAME_HEAD, Frames, PREFACE};

/// A HEADERS frame around a block.
fn headers(flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[1, flags, 0, 0, 0, 1], payload].concat()
}

/// A text that is not coded.
fn text(text: &str) -> Vec<u8> {
    let length = text.len();
    let mut bytes = if length < 0x7f {
        vec![u8::try_from(length).unwrap()]
    } else {
        let rest = length - 0x7f;
        vec![0x7f, u8::try_from(rest % 128 + 128).unwrap(), u8::try_from(rest / 128).unwrap()]
    };
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A connection: SETTINGS, and then these frames.
fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
    let settings = vec![0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0];
    [&[PREFACE.to_vec(), settings], frames].concat().concat()
}

fn read(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut frames = Frames::default();
    bytes.iter_mut().for_each(|byte| frames.take(byte));
    bytes
}

/// What was said, and what is read of it: the same but for one text.
#[track_caller]
fn check(said: impl Fn(&str) -> Vec<u8>, from: &str, to: &str) {
    let read = read(said(from));
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&said(to)));
}

const PATH: &str = "/run/countersign/agent.sock";
const READ: &str = "-run-countersign-agent.sock";

#[test]
fn a_socket_by_the_index_of_its_name_is_read_as_java_sends_it() {
    // `:method: POST`, `:scheme: http` and a path stand before it, as they may
    let block = |it: &str| {
        [&[0x83, 0x86, 0x44], &*text("/a/b"), &[0x41], &*text(it), &[0x40], &*text("te"), &*text("/")].concat()
    };
    check(|it| connection(&[headers(4, &block(it)), headers(5, &block(it))]), PATH, READ);
}

#[test]
fn a_socket_by_its_name_is_read_as_c_and_python_send_it() {
    let block = |kind: u8, it: &str| [&[0x83, kind], &*text(":authority"), &*text(it), &[0xff, 0x01]].concat();
    for kind in [0x40, 0x00, 0x10] {
        check(|it| connection(&[headers(4, &block(kind, it))]), "%2Frun%2Fagent.sock", "-2Frun-2Fagent.sock");
    }
    let long = format!("/tmp/{}", "a/".repeat(100));
    check(|it| connection(&[headers(4, &block(0x40, it))]), &long, &long.replace('/', "-"));
}

#[test]
fn padding_and_priority_are_none_of_it() {
    let padded = |it: &str| [&[3, 0, 0, 0, 0, 9, 0x41], &*text(it), b"///"].concat();
    check(|it| connection(&[headers(0x2c, &padded(it)), headers(4, &[&[0x41], &*text(it)].concat())]), PATH, READ);
}

#[test]
fn what_can_be_read_and_what_is_no_authority_stays_as_it_is() {
    for it in ["localhost", "127.0.0.1:8080", "a_b-c.test"] {
        check(|it| connection(&[headers(4, &[&[0x41], &*text(it)].concat())]), it, it);
    }
    let others = |it: &str| {
        [&[0x44], &*text(it), &[0x40], &*text(":authorit"), &*text(it), &[0x40], &*text(":authority/"), &*text(it)]
            .concat()
    };
    check(|it| connection(&[headers(4, &others(it))]), PATH, PATH);
    // data, another protocol, a field that goes on in a frame of its own
    let data = |it: &str| connection(&[[&[0, 0, 0x1d, 0, 0, 0, 0, 0, 1, 0x41], &*text(it)].concat()]);
    check(data, PATH, PATH);
    check(|it| [b"GET / HTTP/1.1\r\n\x41".to_vec(), text(it)].concat(), PATH, PATH);
    let split = [&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x41, 0, 0, 0x1c, 9, 4, 0, 0, 0, 1][..], &text(PATH)].concat();
    assert_eq!(read(connection(std::slice::from_ref(&split))), connection(&[split]));
}

#[test]
fn whatever_comes_keeps_its_length_and_only_becomes_hyphens() {
    let seed = connection(&[headers(0x2c, &[&[3, 0, 0, 0, 0, 9, 0x41], &*text(PATH), b"///"].concat())]);
    assert!(seed.len() > PREFACE.len() + FRAME_HEAD);
    testkit::mutate(&seed, 20_000, |bytes| {
        let read = read(bytes.to_vec());
        assert_eq!(read.len(), bytes.len());
        assert!(read.iter().zip(bytes).all(|(read, came)| read == came || *read == b'-'));
    });
}
