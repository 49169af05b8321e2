//! JSON writes a character beyond U+FFFF as a pair of escapes, YAML as one: the pairs are joined, and places stay those of
//! the file.

use std::collections::HashMap;

use crate::problem::At;

/// Length of `\ud83d\ude00`.
const PAIR: usize = 12;
/// Length of `\U0001f600`, which means the same.
const JOINED: usize = 10;

/// JSON with its pairs of surrogate escapes joined.
#[derive(Default)]
pub struct Joined {
    pub text: String,
    /// Columns of what was joined, by line.
    pairs: HashMap<usize, Vec<usize>>,
}

impl Joined {
    pub fn new(json: &str) -> Self {
        let mut joined = Self::default();
        let (mut line, mut column) = (1, 1);
        let mut rest = json;
        while let Some(c) = rest.chars().next() {
            let taken = match surrogates(rest) {
                Some(c) => {
                    joined.pairs.entry(line).or_default().push(column);
                    joined.text.push_str(&format!("\\U{:08x}", u32::from(c)));
                    column += JOINED;
                    PAIR
                }
                None => {
                    // an escaped backslash begins no escape
                    let length = c.len_utf8() + usize::from(rest.starts_with(r"\\"));
                    let taken = rest.get(..length).unwrap_or_default();
                    joined.text.push_str(taken);
                    column += taken.chars().count();
                    length
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
            if c == '\n' || (c == '\r' && !rest.starts_with('\n')) {
                (line, column) = (line + 1, 1);
            }
        }
        joined
    }

    /// Where in the file stands what stands at `at` in the text.
    pub fn place(&self, at: At) -> At {
        let before = self.pairs.get(&at.line).map_or(0, |columns| columns.partition_point(|pair| *pair < at.column));
        At { column: at.column + before * (PAIR - JOINED), ..at }
    }
}

/// The character that a pair of surrogate escapes at the start of `text` stands for.
fn surrogates(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + PAIR / 2)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    // two escapes that are no pair decode to the first alone, or to an error
    char::decode_utf16([unit(0)?, unit(PAIR / 2)?]).next()?.ok().filter(|c| u32::from(*c) > 0xffff)
}
