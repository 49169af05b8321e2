//! HTTP/2 frames as a test writes them (RFC 9113 §4.1), sound or not. Fields are written as literals that no table
//! remembers, and never squeezed (RFC 7541 §6.2.2): what is on the wire can be read.

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// By its name in RFC 9113 §6.
    pub fn named(name: &str, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        const KINDS: &[&str] = &[
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        let kind = KINDS.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no frame is a `{name}`"));
        Self::new(u8::try_from(kind).expect("there are ten"), flags, stream, payload)
    }

    /// A request, whole.
    pub fn request(stream: u32, fields: &[(&str, &str)]) -> Self {
        Self::named("HEADERS", END_HEADERS | END_STREAM, stream, self::fields(fields))
    }

    /// A request whose body is to come.
    pub fn open(stream: u32, fields: &[(&str, &str)]) -> Self {
        Self::named("HEADERS", END_HEADERS, stream, self::fields(fields))
    }

    pub fn data(stream: u32, flags: u8, bytes: &[u8]) -> Self {
        Self::named("DATA", flags, stream, bytes)
    }

    /// The caller gives a stream up.
    pub fn reset(stream: u32) -> Self {
        const CANCEL: u32 = 8;
        Self::named("RST_STREAM", 0, stream, CANCEL.to_be_bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a payload that has a length").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A field block.
pub fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// An integer after a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    const PREFIX: usize = 0x7f;
    if length < PREFIX {
        block.push(length as u8);
        return;
    }
    block.push(PREFIX as u8);
    let mut rest = length - PREFIX;
    while rest >= 0x80 {
        block.push((rest % 0x80) as u8 | 0x80);
        rest /= 0x80;
    }
    block.push(rest as u8);
}
