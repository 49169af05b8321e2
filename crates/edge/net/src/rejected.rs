//! What the HTTP/2 library rejects by itself: read off the frames that it sends, for it tells nobody else.

/// Of a frame's header: the length of what follows, its kind, flags and stream (RFC 9113 §4.1).
const HEADER: usize = 9;
/// What is looked at of a frame: its header, and as much as `GOAWAY` needs for its code (§6.8).
const LOOKED_AT: usize = HEADER + 8;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 0x1;
/// A whole answer shorter than this, in bytes, is the library's own 431: each of ours names its record, which takes more.
const SHORTEST: usize = 16;

/// Codes that blame the peer for what it sent (§7): `PROTOCOL_ERROR`, `FLOW_CONTROL_ERROR`, `STREAM_CLOSED`,
/// `FRAME_SIZE_ERROR`, `COMPRESSION_ERROR`, `ENHANCE_YOUR_CALM`.
const BLAMES: &[u32] = &[1, 3, 5, 6, 9, 11];

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// The beginning of the frame that is under way.
    seen: [u8; LOOKED_AT],
    /// How much of it is there.
    have: usize,
    /// Bytes of it that are still to come and are not looked at.
    skip: usize,
}

impl Rejections {
    /// Looks at bytes that were sent; gives how many frames in them reject a stream, or the connection.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) -> u32 {
        let mut rejected = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.seen.get_mut(self.have) {
                *place = *first;
            }
            self.have += 1;
            bytes = rest;
            if self.have >= HEADER {
                rejected += self.whole();
            }
        }
        rejected
    }

    /// Whether enough of the frame is there, and rejects.
    fn whole(&mut self) -> u32 {
        let [l0, l1, l2, kind, flags, .., c0, c1, c2, c3] = self.seen;
        let [.., r0, r1, r2, r3, _, _, _, _] = self.seen;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let wanted = match kind {
            RST_STREAM | GOAWAY => LOOKED_AT.min(HEADER + length),
            _ => HEADER,
        };
        if self.have < wanted {
            return 0;
        }
        self.skip = HEADER + length - self.have;
        let code = match (kind, self.have) {
            (RST_STREAM, 13..) => Some(u32::from_be_bytes([r0, r1, r2, r3])),
            (GOAWAY, LOOKED_AT..) => Some(u32::from_be_bytes([c0, c1, c2, c3])),
            _ => None,
        };
        self.have = 0;
        let is_431 = kind == HEADERS && flags & END_STREAM != 0 && length < SHORTEST;
        u32::from(is_431 || code.is_some_and(|code| BLAMES.contains(&code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        flagged(kind, 0, stream, payload)
    }

    fn flagged(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
        bytes.extend(payload);
        bytes
    }

    fn check(bytes: &[u8], expected: u32) {
        let mut whole = Rejections::default();
        assert_eq!(whole.sent(bytes), expected);
        // however it is cut into pieces
        for size in 1..20 {
            let mut cut = Rejections::default();
            assert_eq!(bytes.chunks(size).map(|piece| cut.sent(piece)).sum::<u32>(), expected, "{size}");
        }
    }

    #[test]
    fn what_blames_the_peer_is_counted_and_nothing_else() {
        let reset = |code: u8| frame(RST_STREAM, 1, &[0, 0, 0, code]);
        let goaway = |code: u8, more: &[u8]| frame(GOAWAY, 0, &[&[0, 0, 0, 9, 0, 0, 0, code], more].concat());
        check(&[frame(4, 0, &[]), frame(0, 1, &[3; 200]), frame(1, 1, &[7; 30]), frame(6, 0, &[0; 8])].concat(), 0);
        check(&[reset(0), reset(2), reset(7), reset(8), goaway(0, b""), goaway(2, b"a reason")].concat(), 0);
        for code in [1, 3, 5, 6, 9, 11] {
            let mixed = [frame(0, 1, &[1; 255]), reset(code), frame(4, 0, b""), goaway(code, b"why"), frame(0, 3, b"")];
            check(&mixed.concat(), 2);
        }
        // the library's own 431, by its index or as text; not the head of one that a body follows, nor one of ours
        check(&flagged(HEADERS, 0x5, 1, b"\x48\x03431"), 1);
        check(&flagged(HEADERS, 0x5, 1, b"\xbe"), 1);
        check(&flagged(HEADERS, 0x4, 1, b"\x88\xbe"), 0);
        check(&flagged(HEADERS, 0x5, 1, &[0x88; 40]), 0);
        // a payload that looks like a frame is none
        check(&frame(0, 1, &reset(1)), 0);
    }
}
