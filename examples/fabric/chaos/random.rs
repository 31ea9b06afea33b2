//! Chance that a seed decides: SplitMix64, enough to make one seed differ from another.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for part of something: what happens in one does not disturb the other.
    pub fn of(seed: u64, part: u64) -> Self {
        Self(mix(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// An index below `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True in `parts` of 10,000 cases.
    pub fn chance(&mut self, parts: u16) -> bool {
        parts > 0 && self.below(10_000) < u64::from(parts)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}

/// Scrambles 64 bits.
pub const fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A running number of everything that happened: two runs that did the same have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(u64);

impl Trace {
    pub const START: Self = Self(0xcbf2_9ce4_8422_2325);

    pub fn add(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ mixed >> 29;
    }

    pub fn add_bytes(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let number = word.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            self.add(number);
        }
        self.add(bytes.len() as u64);
    }

    pub const fn hash(self) -> u64 {
        self.0
    }
}
