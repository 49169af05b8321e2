//! Fixed-size identifiers that are shown as lower-case hex, and the two numbers that order snapshots.

use std::fmt;
use std::str::FromStr;

/// Text that is not exactly the expected number of lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} lower-case hex digits")]
pub struct BadHex {
    pub digits: usize,
}

macro_rules! hex_id {
    ($(#[$meta:meta])* $name:ident, $bytes:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $bytes];
                f.write_str(hex(&self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                let mut bytes = [0; $bytes];
                read_hex(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }
    };
}

hex_id!(
    /// SHA-256 of the bytes that it names.
    Digest, 32
);
hex_id!(
    /// Name of one judgement: 128 random bits that encode nothing.
    RecordId, 16
);
hex_id!(
    /// Trace of a request across services (W3C Trace Context, §3.2.2.3).
    TraceId, 16
);

/// Number of a snapshot within its generation; grows with every change, roll-backs too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Raised by an operator only, when a control plane comes back from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes each byte as two digits; a record has hundreds of them, so not each through a formatter of its own.
fn hex<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(digit));
    }
    // digits are ASCII, so this always reads
    str::from_utf8(into).unwrap_or_default()
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn read_hex(text: &str, into: &mut [u8]) -> Result<(), BadHex> {
    let bad = BadHex { digits: into.len() * 2 };
    if text.len() != bad.digits {
        return Err(bad);
    }
    for (byte, pair) in into.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16
                + match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(bad),
                };
        }
        *byte = value;
    }
    Ok(())
}
