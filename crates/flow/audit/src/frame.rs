//! One frame: length, checksum, JSON. Reading is total: any bytes give a frame or say why not.

/// Longest JSON of a frame, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes before the JSON: its length and its CRC32C, both u32 little-endian.
pub const HEADER: usize = 8;

/// How the JSON of every frame begins.
const OPENING: &[u8] = br#"{"kind":""#;

/// What stands before the JSON of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the JSON; between what a record needs and [`MAX_FRAME`].
    pub length: usize,
    crc: u32,
}

/// A frame that was read; its checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub json: &'a [u8],
}

/// Why bytes do not begin with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unframed {
    #[error("the frame is cut short")]
    Short,
    #[error("no frame is {length} bytes long")]
    Length { length: usize },
    #[error("the checksum of the frame does not hold")]
    Crc,
}

/// JSON that no frame can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {length} bytes is longer than {MAX_FRAME}")]
pub struct Oversized {
    pub length: usize,
}

impl Frame<'_> {
    /// Bytes of the frame, header included.
    pub const fn size(&self) -> usize {
        HEADER + self.json.len()
    }
}

/// Appends one frame to `into`.
///
/// # Errors
/// [`Oversized`]; then nothing was appended.
pub fn encode(json: &[u8], into: &mut Vec<u8>) -> Result<(), Oversized> {
    let start = begin(into);
    into.extend_from_slice(json);
    end(start, into).map(drop)
}

/// Leaves room in `into` for the header of a frame whose JSON is appended next. Gives where the frame starts.
pub(crate) fn begin(into: &mut Vec<u8>) -> usize {
    let start = into.len();
    into.extend_from_slice(&[0; HEADER]);
    start
}

/// Fills in the header of the frame that starts at `start`, and gives its JSON.
///
/// # Errors
/// [`Oversized`]; then the frame is gone.
pub(crate) fn end(start: usize, into: &mut Vec<u8>) -> Result<&[u8], Oversized> {
    let length = into.len().saturating_sub(start).saturating_sub(HEADER);
    let fitting = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let Some(bytes) = fitting.map(u32::to_le_bytes) else {
        into.truncate(start);
        return Err(Oversized { length });
    };
    let frame = into.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<HEADER>);
    let Some((header, json)) = frame else { return Err(Oversized { length }) };
    let crc = crc32c::crc32c(json).to_le_bytes();
    for (to, from) in header.iter_mut().zip(bytes.into_iter().chain(crc)) {
        *to = from;
    }
    Ok(json)
}

/// Reads the frame at the beginning of `bytes`.
///
/// # Errors
/// [`Unframed`].
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, Unframed> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Unframed::Short)?;
    let header = Header::parse(*header)?;
    header.check(rest.get(..header.length).unwrap_or(rest))
}

impl Header {
    /// Reads a header, whatever follows it.
    ///
    /// # Errors
    /// [`Unframed::Length`].
    pub fn parse(header: [u8; HEADER]) -> Result<Self, Unframed> {
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < OPENING.len() || length > MAX_FRAME {
            return Err(Unframed::Length { length });
        }
        Ok(Self { length, crc: u32::from_le_bytes([c0, c1, c2, c3]) })
    }

    /// Checks the JSON that follows.
    ///
    /// # Errors
    /// [`Unframed::Short`] or [`Unframed::Crc`].
    pub fn check(self, json: &[u8]) -> Result<Frame<'_>, Unframed> {
        if json.len() != self.length {
            return Err(Unframed::Short);
        }
        if crc32c::crc32c(json) != self.crc {
            return Err(Unframed::Crc);
        }
        Ok(Frame { json })
    }
}

/// Whether a whole frame begins anywhere in `bytes`: what tells damage in the middle from a torn tail.
pub fn holds_frame(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|start| bytes.get(start..).is_some_and(begins_frame))
}

/// Looks at the opening first, so that no choice of bytes makes the search cost a checksum at every offset.
fn begins_frame(bytes: &[u8]) -> bool {
    bytes.get(HEADER..).is_some_and(|json| json.starts_with(OPENING)) && decode(bytes).is_ok()
}
