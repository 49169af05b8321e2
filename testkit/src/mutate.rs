//! Bytes that are almost right: what a parser meets when something went wrong, or somebody tries.

/// Most changes to one copy of the seed.
const CHANGES: u64 = 4;

/// Shows `look` the seed, changed, `rounds` times: bits flipped, bytes replaced, cut, repeated, moved and spliced.
/// The same seed and rounds give the same bytes every time.
pub fn mutate(seed: &[u8], rounds: u32, mut look: impl FnMut(&[u8])) {
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15 ^ seed.len() as u64);
    for _ in 0..rounds {
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(CHANGES) {
            change(&mut bytes, seed, &mut random);
        }
        look(&bytes);
    }
}

fn change(bytes: &mut Vec<u8>, seed: &[u8], random: &mut XorShift) {
    let range = random.range(bytes.len());
    match random.below(8) {
        0 | 1 => {
            let bit = 1 << random.below(8);
            if let Some(byte) = bytes.get_mut(range.start) {
                *byte ^= bit;
            }
        }
        2 => {
            let byte = random.byte();
            if let Some(at) = bytes.get_mut(range.start) {
                *at = byte;
            }
        }
        3 => bytes.truncate(range.start),
        4 => drop(bytes.drain(range)),
        5 => {
            let copy = bytes.get(range.clone()).unwrap_or_default().to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        6 => {
            let piece = seed.get(random.range(seed.len())).unwrap_or_default().to_vec();
            bytes.splice(range, piece);
        }
        _ => bytes.insert(range.start, random.byte()),
    }
}

/// Marsaglia's xorshift64: never zero, so it never stops.
struct XorShift(u64);

impl XorShift {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Often one of the bytes that mean something to a parser.
    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"\0\"\\{}[]:,./%; \r\n\t=-_+0\x7f\x80\xff";
        let [any, pick, ..] = self.next().to_le_bytes();
        TELLING.get(usize::from(pick)).copied().unwrap_or(any)
    }

    /// A range within `length`, seldom a long one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(self.below(length as u64 + 1)).unwrap_or(0);
        let span = usize::try_from(self.next() % 17).unwrap_or(0);
        let span = if self.below(8) == 0 { length } else { span };
        start..length.min(start + span)
    }
}

#[cfg(test)]
mod tests {
    use super::mutate;

    #[test]
    fn the_same_seed_gives_the_same_bytes_again() {
        let all = || {
            let mut all = Vec::new();
            mutate(br#"{"kind":"judgement"}"#, 500, |bytes| all.push(bytes.to_vec()));
            all
        };
        assert_eq!(all(), all());
    }

    #[test]
    fn bytes_are_changed_in_many_ways() {
        let seed = b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
        let (mut longer, mut shorter, mut as_long, mut unchanged) = (0, 0, 0, 0);
        mutate(seed, 1000, |bytes| match bytes.len().cmp(&seed.len()) {
            std::cmp::Ordering::Less => shorter += 1,
            std::cmp::Ordering::Greater => longer += 1,
            std::cmp::Ordering::Equal if bytes == seed => unchanged += 1,
            std::cmp::Ordering::Equal => as_long += 1,
        });
        assert!(longer > 100 && shorter > 100 && as_long > 100 && unchanged < 100);
    }

    #[test]
    fn nothing_can_be_changed_too() {
        let mut rounds = 0;
        mutate(b"", 100, |_| rounds += 1);
        assert_eq!(rounds, 100);
    }
}
