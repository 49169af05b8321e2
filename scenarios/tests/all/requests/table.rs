//! Reads the table of hostile requests.

use std::fmt::Write as _;

use crate::harness::HOST;

const TABLE: &str = include_str!("../../../data/hostile-http1.txt");

/// What has to come of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    Refused {
        status: u16,
        code: &'static str,
    },
    /// The HTTP library's own answer.
    Bare {
        status: u16,
    },
    /// The request line that the upstream reads.
    Passes(String),
}

pub struct Hostile {
    pub name: &'static str,
    pub want: Want,
    pub bytes: Vec<u8>,
}

/// Every row, with this token for the good credential.
pub fn table(token: &str) -> Vec<Hostile> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| row(line, token)).collect()
}

fn row(line: &'static str, token: &str) -> Hostile {
    let mut columns = line.splitn(4, " | ");
    let mut column = || columns.next().unwrap_or_else(|| panic!("four columns: {line}"));
    let (name, _reference, want, bytes) = (column(), column(), column(), column());
    let (first, rest) = want.split_once(' ').unwrap_or_else(|| panic!("two words: {line}"));
    let want = match (first, rest) {
        ("pass", request_line) => Want::Passes(String::from_utf8(expand(request_line, token)).expect("plain text")),
        (status, "bare") => Want::Bare { status: status.parse().expect("a status") },
        (status, code) => Want::Refused { status: status.parse().expect("a status"), code },
    };
    Hostile { name, want, bytes: expand(bytes, token) }
}

/// Writes placeholders and escapes out.
fn expand(text: &str, token: &str) -> Vec<u8> {
    let host = format!("Host: {HOST}\\r\\n");
    let auth = format!("Authorization: Bearer {token}\\r\\n");
    let text = text.replace("{ok}", &format!("{host}{auth}")).replace("{host}", &host).replace("{auth}", &auth);
    unescape(&repeat(&text))
}

/// `{N*text}` is N times the text.
pub fn repeat(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let _ = write!(out, "{before}");
        let inside = after.split_once('}').and_then(|(inside, behind)| {
            let (count, what) = inside.split_once('*')?;
            Some((count.parse::<usize>().ok()?, what, behind))
        });
        match inside {
            Some((count, what, behind)) => {
                out.push_str(&what.repeat(count));
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

/// Writes escapes out.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend(c.to_string().as_bytes());
            continue;
        }
        bytes.push(match chars.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).expect("two hex digits")
            }
            other => panic!("no such escape: {other:?}"),
        });
    }
    bytes
}

#[test]
fn escapes_and_repetitions_are_written_out() {
    assert_eq!(expand(r"{3*ab\r\n}\x00\\ {}", ""), b"ab\r\nab\r\nab\r\n\0\\ {}");
    let rows = table("t");
    assert!(rows.len() > 150, "{}", rows.len());
    assert!(rows[0].bytes.ends_with(b"Authorization: Bearer t\r\n\r\n"));
}
