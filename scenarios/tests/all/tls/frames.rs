//! Reads the table of hostile frames.

use crate::harness::{END_HEADERS, END_STREAM, Frame, HOST, fields};
use crate::requests::table::{repeat, unescape};

const TABLE: &str = include_str!("../../../data/hostile-http2.txt");
/// Longest payload of a frame, as long as nobody allows more (RFC 9113 §6.5.2).
const LONGEST: usize = 16 * 1024;

/// What has to come of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    Refused {
        status: u16,
        code: &'static str,
    },
    Bare {
        status: u16,
    },
    Reset(u64),
    Cut(u64),
    /// The request line that the upstream reads.
    Passes(&'static str),
}

pub struct Hostile {
    pub name: &'static str,
    pub want: Want,
    pub frames: Vec<Frame>,
}

/// Every row, with this token for the good credential.
pub fn table(token: &str) -> Vec<Hostile> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| row(line, token)).collect()
}

fn row(line: &'static str, token: &str) -> Hostile {
    let mut columns = line.splitn(4, " | ");
    let mut column = || columns.next().unwrap_or_else(|| panic!("four columns: {line}"));
    let (name, _reference, want, frames) = (column(), column(), column(), column());
    let (first, rest) = want.split_once(' ').unwrap_or_else(|| panic!("two words: {line}"));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("a number: {line}"));
    let status = |text: &str| text.parse().unwrap_or_else(|_| panic!("a status: {line}"));
    let want = match (first, rest) {
        ("pass", request_line) => Want::Passes(request_line),
        ("reset", code) => Want::Reset(number(code)),
        ("cut", code) => Want::Cut(number(code)),
        (found, "bare") => Want::Bare { status: status(found) },
        (found, code) => Want::Refused { status: status(found), code },
    };
    let auth = format!("authorization: Bearer {token}");
    let pseudo = |method: &str, path: &str| {
        format!(":method: {method} ~ :scheme: https ~ :authority: {HOST} ~ :path: {path} ~ {auth}")
    };
    let text = frames.replace("{get}", &pseudo("GET", "/invoices/1")).replace("{post}", &pseudo("POST", "/invoices"));
    let text = repeat(&text.replace("{auth}", &auth).replace("{empty}", ""));
    Hostile { name, want, frames: text.split(" ;; ").flat_map(frame).collect() }
}

/// `NAME` with its flags, and its payload.
fn frame(text: &str) -> Vec<Frame> {
    let (head, payload) = text.split_once(' ').unwrap_or((text, ""));
    let (head, stream) = head.split_once('@').unwrap_or((head, "1"));
    let stream = stream.parse().expect("a stream");
    let name = head.trim_end_matches(['!', '-']);
    let has_fields = matches!(name, "HEADERS" | "CONTINUATION");
    let mut flags = if head.contains('!') { END_STREAM } else { 0 };
    let ends = has_fields || name == "PUSH_PROMISE";
    let last = if ends && !head.contains('-') { END_HEADERS } else { 0 };
    let payload = match payload.strip_prefix('#') {
        Some(digits) => hex(digits),
        None if has_fields => fields(&payload.split(" ~ ").map(field).collect::<Vec<_>>()),
        None => unescape(payload),
    };
    if !has_fields || payload.len() <= LONGEST {
        return vec![Frame::named(name, flags | last, stream, payload)];
    }
    let mut frames = Vec::new();
    let parts = payload.chunks(LONGEST);
    let count = parts.len();
    for (place, part) in parts.enumerate() {
        let name = if place == 0 { name } else { "CONTINUATION" };
        let last = if place + 1 == count { last } else { 0 };
        frames.push(Frame::named(name, flags | last, stream, part));
        flags = 0;
    }
    frames
}

fn field(text: &str) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = text.split_once(": ").unwrap_or_else(|| panic!("`{text}` is no field"));
    (unescape(name), unescape(value))
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two hex digits")).collect()
}

#[test]
fn frames_are_written_out() {
    let rows = table("t");
    assert!(rows.len() > 100, "{}", rows.len());
    let [plain] = frame("HEADERS! :method: GET ~ x-a: \\x00").try_into().expect("one frame");
    assert_eq!(plain.bytes(), b"\0\0\x14\x01\x05\0\0\0\x01\0\x07:method\x03GET\0\x03x-a\x01\0");
    let long = frame(&repeat("HEADERS!@3 x-a: {40000*a}"));
    let flags: Vec<u8> = long.iter().map(|frame| frame.bytes()[4]).collect();
    assert_eq!(flags, [END_STREAM, 0, END_HEADERS]);
}
