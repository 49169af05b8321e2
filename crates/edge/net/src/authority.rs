//! What gRPC clients call a local socket. Those in C, Python and Java send its path as `:authority`, some of them
//! percent-encoded; that is none (RFC 9113 §8.3.1), and the HTTP library would reset the stream. Here what no name of a host has
//! becomes `-`, as it comes in: octet for octet, so that the compression tables of both sides, which count lengths (RFC 7541
//! §4.1), stay alike.
//!
//! For connections of local processes alone, where nothing is decided by it. What is not understood is not touched: the HTTP
//! library judges it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 client says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;
const NAME: &[u8] = b":authority";
/// Where the table that everybody has says [`NAME`] (RFC 7541, appendix A).
const NAME_INDEX: u8 = 1;

/// A connection whose requests name an authority that can be read.
pub(super) struct Named<S> {
    inner: S,
    frames: Frames,
}

impl<S> Named<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, frames: Frames::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Named<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        into.filled_mut().iter_mut().skip(before).for_each(|byte| self.frames.take(byte));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Named<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Where in a connection the next octet stands.
enum Frames {
    Preface {
        seen: usize,
    },
    Head {
        seen: usize,
        length: usize,
        kind: u8,
        flags: u8,
    },
    /// The length of the padding.
    Padding {
        left: usize,
        flags: u8,
    },
    Payload {
        skipped: usize,
        block: usize,
        after: usize,
        field: Field,
    },
    /// This is no HTTP/2, or not understood.
    Opaque,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Preface { seen: 0 }
    }
}

impl Frames {
    fn take(&mut self, byte: &mut u8) {
        let now = std::mem::replace(self, Self::Opaque);
        *self = match now {
            Self::Preface { seen } if PREFACE.get(seen) != Some(byte) => Self::Opaque,
            Self::Preface { seen } if seen + 1 < PREFACE.len() => Self::Preface { seen: seen + 1 },
            Self::Preface { .. } => Self::head(),
            Self::Head { seen, length, kind, flags } => Self::in_head(seen, length, kind, flags, *byte),
            Self::Padding { left, flags } => Self::block(left, flags, usize::from(*byte)),
            Self::Payload { skipped, block, after, field } => Self::in_payload(skipped, block, after, field, byte),
            Self::Opaque => Self::Opaque,
        };
    }

    const fn head() -> Self {
        Self::Head { seen: 0, length: 0, kind: 0, flags: 0 }
    }

    fn in_head(seen: usize, length: usize, kind: u8, flags: u8, byte: u8) -> Self {
        let (length, kind, flags) = match seen {
            0..3 => (length << 8 | usize::from(byte), kind, flags),
            3 => (length, byte, flags),
            4 => (length, kind, byte),
            _ => (length, kind, flags),
        };
        if seen + 1 < FRAME_HEAD {
            return Self::Head { seen: seen + 1, length, kind, flags };
        }
        match kind {
            HEADERS if flags & PADDED != 0 && length > 0 => Self::Padding { left: length - 1, flags },
            HEADERS => Self::block(length, flags, 0),
            // such a block begins within a field: whoever splits one there is understood no further
            CONTINUATION => Self::Opaque,
            _ => Self::payload(length, 0, 0),
        }
    }

    /// The fields of a request, in a payload of this length.
    fn block(length: usize, flags: u8, padding: usize) -> Self {
        let skipped = if flags & PRIORITY == 0 { 0 } else { PRIORITY_BYTES };
        match length.checked_sub(skipped).and_then(|rest| rest.checked_sub(padding)) {
            Some(block) => Self::payload(skipped, block, padding),
            None => Self::Opaque,
        }
    }

    fn payload(skipped: usize, block: usize, after: usize) -> Self {
        if skipped + block + after == 0 {
            return Self::head();
        }
        Self::Payload { skipped, block, after, field: Field::Start }
    }

    fn in_payload(skipped: usize, block: usize, after: usize, field: Field, byte: &mut u8) -> Self {
        let (skipped, block, after, field) = match (skipped, block) {
            (1.., _) => (skipped - 1, block, after, field),
            (0, 1..) => match field.take(byte) {
                Some(field) => (skipped, block - 1, after, field),
                None => return Self::Opaque,
            },
            (0, 0) => (skipped, block, after.saturating_sub(1), field),
        };
        if skipped + block + after == 0 { Self::head() } else { Self::Payload { skipped, block, after, field } }
    }
}

/// Where in a block of fields the next octet stands (RFC 7541 §6).
enum Field {
    Start,
    /// Within a number after which a field begins.
    Index,
    /// Within the number of a name.
    NameIndex,
    Length {
        of: Text,
    },
    /// Within a length that is longer than its first octet.
    MoreLength {
        of: Text,
        length: usize,
        shift: u32,
        coded: bool,
    },
    Text {
        of: Text,
        left: usize,
        coded: bool,
    },
}

/// What a text is.
#[derive(Clone, Copy)]
enum Text {
    /// A name; how much of [`NAME`] it is so far.
    Name(Option<usize>),
    /// The value of an authority.
    Authority,
    Other,
}

impl Field {
    /// None where the octet is not understood.
    fn take(self, byte: &mut u8) -> Option<Self> {
        let more = *byte & 0x80 != 0;
        Some(match self {
            Self::Start => Self::begun(*byte),
            Self::Index if more => Self::Index,
            Self::Index => Self::Start,
            Self::NameIndex if more => Self::NameIndex,
            Self::NameIndex => Self::Length { of: Text::Other },
            Self::Length { of } => {
                let length = usize::from(*byte & 0x7f);
                if length == 0x7f {
                    Self::MoreLength { of, length, shift: 0, coded: more }
                } else {
                    Self::text(of, length, more)
                }
            }
            Self::MoreLength { of, length, shift, coded } => {
                let length = length.checked_add(usize::from(*byte & 0x7f).checked_shl(shift)?)?;
                match shift {
                    _ if !more => Self::text(of, length, coded),
                    0..14 => Self::MoreLength { of, length, shift: shift + 7, coded },
                    _ => return None,
                }
            }
            Self::Text { of, left, coded } => Self::text(of.with(byte, coded), left - 1, coded),
        })
    }

    /// A field, by its first octet.
    const fn begun(byte: u8) -> Self {
        let (name, most) = match byte {
            0x80.. => return if byte == 0xff { Self::Index } else { Self::Start },
            0x40.. => (byte & 0x3f, 0x3f),
            0x20.. => return if byte == 0x3f { Self::Index } else { Self::Start },
            _ => (byte & 0xf, 0xf),
        };
        match name {
            0 => Self::Length { of: Text::Name(Some(0)) },
            NAME_INDEX => Self::Length { of: Text::Authority },
            _ if name == most => Self::NameIndex,
            _ => Self::Length { of: Text::Other },
        }
    }

    /// What is left of a text, or what follows it.
    const fn text(of: Text, left: usize, coded: bool) -> Self {
        match of {
            _ if left > 0 => Self::Text { of, left, coded },
            Text::Name(Some(seen)) if seen == NAME.len() && !coded => Self::Length { of: Text::Authority },
            Text::Name(_) => Self::Length { of: Text::Other },
            Text::Authority | Text::Other => Self::Start,
        }
    }
}

impl Text {
    /// The text with one more octet, which is changed where it has to be. What is Huffman-coded is left: clients that code are
    /// not those that name sockets.
    fn with(self, byte: &mut u8, coded: bool) -> Self {
        match self {
            Self::Name(Some(seen)) if NAME.get(seen) == Some(byte) => Self::Name(Some(seen + 1)),
            Self::Name(_) => Self::Name(None),
            Self::Authority => {
                if !coded && !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-' | b'_' | b':') {
                    *byte = b'-';
                }
                self
            }
            Self::Other => self,
        }
    }
}

#[cfg(test)]
mod tests;
