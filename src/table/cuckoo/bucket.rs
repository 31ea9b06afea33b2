//! One cache line of a [`Cuckoo`](super::Cuckoo): its layout, and how keys are found in it.
//!
//! Key 0 marks a free slot. Keys stand together, since that is how they are compared; in halves, unless the processor that
//! is compiled for compares 64 bits (AVX2):
//!
//! ```text
//!  0       4       8       12      16                              32                      64 bytes
//! +-------+-------+-------+-------+-------+-------+-------+-------+-----------+-- ... ----+
//! | low 0 | low 1 | low 2 | low 3 | high 0| high 1| high 2| high 3|  value 0  |           |
//! +-------+-------+-------+-------+-------+-------+-------+-------+-----------+-- ... ----+
//! +---------------+---------------+---------------+---------------+-----------+-- ... ----+
//! |     key 0     |     key 1     |     key 2     |     key 3     |  value 0  |           |
//! +---------------+---------------+---------------+---------------+-----------+-- ... ----+
//! ```

/// Slots in a bucket.
pub const SLOTS: usize = 4;
pub(super) const LANES: [u8; SLOTS] = [0, 1, 2, 3];

/// One cache line: four slots of key and value.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Bucket {
    keys: Keys,
    values: [u64; SLOTS],
}

impl Bucket {
    /// Four free slots; all bits zero.
    pub const EMPTY: Self = Self { keys: Keys::NONE, values: [0; SLOTS] };

    /// The key and value of a slot; `(0, _)` where it is free.
    pub(super) fn slot(&self, lane: u8) -> (u64, u64) {
        (self.keys.get(lane), self.value(usize::from(lane)).unwrap_or(0))
    }

    pub(super) fn set(&mut self, lane: u8, key: u64, value: u64) {
        self.keys.set(lane, key);
        if let Some(place) = self.value_mut(usize::from(lane)) {
            *place = value;
        }
    }

    #[inline(always)]
    pub(super) fn value(&self, lane: usize) -> Option<u64> {
        self.values.get(lane).copied()
    }

    #[inline(always)]
    pub(super) fn value_mut(&mut self, lane: usize) -> Option<&mut u64> {
        self.values.get_mut(lane)
    }

    /// Some of the line, so that the memory brings it.
    #[inline(always)]
    pub(super) fn touch(&self) -> u64 {
        let [first, ..] = self.values;
        first
    }

    /// The value of a key in this bucket or the other one; 0 where neither has it.
    ///
    /// Compares all eight slots at once, and masks all eight values. Which slot it is is neither a branch, since at half
    /// load that would be mispredicted every second time, nor part of an address, which would have to be waited for.
    /// Both buckets may be the same one. Free slots have key 0, but value 0 too.
    #[inline(always)]
    pub(super) fn value_in_either(&self, other: &Self, key: u64) -> u64 {
        self.pick(other, key, self.values, other.values)
    }

    /// Of eight numbers, the one for the slot that holds a key; 0 where none does.
    #[inline(always)]
    fn pick(&self, other: &Self, key: u64, here: [u64; SLOTS], there: [u64; SLOTS]) -> u64 {
        let ([a, b, c, d], [e, f, g, h]) = (self.keys.masks(key), other.keys.masks(key));
        let ([k, l, m, n], [w, x, y, z]) = (here, there);
        // At most one lane has it. A sum, since of eight values joined by the same operator the compiler makes one vector
        // of eight lanes, to cut it up again.
        let sum = (a & k | e & w).wrapping_add(b & l | f & x);
        sum.wrapping_add(c & m | g & y).wrapping_add(d & n | h & z)
    }

    pub(super) fn free_lane(&self) -> Option<u8> {
        LANES.into_iter().find(|lane| self.keys.get(*lane) == 0)
    }

    pub(super) fn free_lanes(&self) -> usize {
        LANES.into_iter().filter(|lane| self.keys.get(*lane) == 0).count()
    }

    /// Shows each entry to `keep`, which may change the value, and takes out those for which it returns false; how many.
    pub(super) fn retain(&mut self, keep: &mut impl FnMut(u64, &mut u64) -> bool) -> usize {
        let Self { keys, values } = self;
        let mut gone = 0usize;
        for (lane, value) in LANES.into_iter().zip(values) {
            let key = keys.get(lane);
            if key != 0 && !keep(key, value) {
                keys.set(lane, 0);
                *value = 0;
                gone = gone.wrapping_add(1);
            }
        }
        gone
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Four keys, as the processor compares them best.
#[cfg(not(target_feature = "avx2"))]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Keys {
    low: [u32; SLOTS],
    high: [u32; SLOTS],
}

/// In halves: one 128-bit compare covers four of them, which is all that the baseline of x86-64 (SSE2) offers.
#[cfg(not(target_feature = "avx2"))]
impl Keys {
    const NONE: Self = Self { low: [0; SLOTS], high: [0; SLOTS] };

    fn get(&self, lane: u8) -> u64 {
        let part = |half: &[u32; SLOTS]| half.get(usize::from(lane)).copied().map_or(0, u64::from);
        part(&self.high) << 32 | part(&self.low)
    }

    fn set(&mut self, lane: u8, key: u64) {
        let (low, high) = super::halves(key);
        let lane = usize::from(lane);
        if let (Some(l), Some(h)) = (self.low.get_mut(lane), self.high.get_mut(lane)) {
            (*l, *h) = (low, high);
        }
    }

    /// For each lane all bits set where it has this key, else none.
    #[inline(always)]
    fn masks(&self, key: u64) -> [u64; SLOTS] {
        let (low, high) = super::halves(key);
        let ([a, b, c, d], [e, f, g, h]) = (self.low, self.high);
        let lane = |l: u32, h: u32| mask((l == low) & (h == high));
        [lane(a, e), lane(b, f), lane(c, g), lane(d, h)]
    }
}

/// Four keys, as the processor compares them best.
#[cfg(target_feature = "avx2")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Keys([u64; SLOTS]);

/// As they are: one 256-bit compare covers all four.
#[cfg(target_feature = "avx2")]
impl Keys {
    const NONE: Self = Self([0; SLOTS]);

    fn get(&self, lane: u8) -> u64 {
        self.0.get(usize::from(lane)).copied().unwrap_or(0)
    }

    fn set(&mut self, lane: u8, key: u64) {
        if let Some(place) = self.0.get_mut(usize::from(lane)) {
            *place = key;
        }
    }

    /// For each lane all bits set where it has this key, else none.
    #[inline(always)]
    fn masks(&self, key: u64) -> [u64; SLOTS] {
        self.0.map(|here| mask(here == key))
    }
}

/// Which slot of two buckets holds a key: bits 0 and 1 the lane, bit 4 or 5 the bucket.
#[derive(Clone, Copy)]
pub(super) struct Found(u64);

impl Found {
    /// As [`Bucket::value_in_either`] does it.
    #[inline(always)]
    pub(super) fn new(first: &Bucket, second: &Bucket, key: u64) -> Option<Self> {
        let all = first.pick(second, key, [0x10, 0x11, 0x12, 0x13], [0x20, 0x21, 0x22, 0x23]);
        // Key 0 would match free slots.
        if all == 0 || key == 0 { None } else { Some(Self(all)) }
    }

    #[inline(always)]
    pub(super) const fn in_second(self) -> bool {
        self.0 >= 0x20
    }

    #[inline(always)]
    pub(super) const fn lane(self) -> u8 {
        (self.0 & 3) as u8
    }
}

/// All bits set, or none.
#[inline(always)]
const fn mask(whether: bool) -> u64 {
    (whether as u64).wrapping_neg()
}
