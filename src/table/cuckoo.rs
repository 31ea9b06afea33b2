//! A fixed-capacity map from 64-bit keys to 64-bit values over a lent slice.
//!
//! A bucket is one 64-byte cache line of four 16-byte slots. A key lives in one of two buckets, so a
//! look-up touches two lines, whatever the load; an insertion into full buckets moves other keys to
//! their second bucket and visits at most [`MAX_VISITS`] buckets. Slices of any length work, zero
//! included; capacity is not rounded to a power of two. The table fills to 95 % and more before the
//! first insertion finds no place.
//!
//! ```text
//!  0       4       8       12      16                              32                      64 bytes
//! +-------+-------+-------+-------+-------+-------+-------+-------+-----------+-- ... ----+
//! | low 0 | low 1 | low 2 | low 3 | high 0| high 1| high 2| high 3|  value 0  |           |
//! +-------+-------+-------+-------+-------+-------+-------+-------+-----------+-- ... ----+
//! ```
//!
//! Key halves stand apart so that one 128-bit compare covers four of them, which is all that the
//! baseline of x86-64 (SSE2) and of AArch64 offers. Key 0 marks an empty slot.

use crate::wire::fold;

/// The most buckets that one insertion looks into: both candidates, and two displacements deep.
pub const MAX_VISITS: usize = 2 + 8 + 32;

/// Slots in a bucket.
pub const SLOTS: usize = 4;
const LANES: core::ops::Range<u8> = 0..4;

/// One cache line: four slots of key and value.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Bucket {
    low: [u32; SLOTS],
    high: [u32; SLOTS],
    values: [u64; SLOTS],
}

impl Bucket {
    /// Four free slots; all bits zero.
    pub const EMPTY: Self = Self { low: [0; SLOTS], high: [0; SLOTS], values: [0; SLOTS] };

    /// The key and value of a slot; `(0, _)` where it is free.
    fn slot(&self, lane: u8) -> (u64, u64) {
        let lane = usize::from(lane);
        let part = |half: &[u32; SLOTS]| half.get(lane).copied().map_or(0, u64::from);
        (part(&self.high) << 32 | part(&self.low), self.values.get(lane).copied().unwrap_or(0))
    }

    fn set(&mut self, lane: u8, key: u64, value: u64) {
        let lane = usize::from(lane);
        let (low, high) = halves(key);
        if let (Some(l), Some(h), Some(v)) =
            (self.low.get_mut(lane), self.high.get_mut(lane), self.values.get_mut(lane))
        {
            (*l, *h, *v) = (low, high, value);
        }
    }

    fn free_lane(&self) -> Option<u8> {
        LANES.zip(self.low.iter().zip(&self.high)).find(|(_, (low, high))| **low | **high == 0).map(|(lane, _)| lane)
    }

    fn free_lanes(&self) -> usize {
        self.low.iter().zip(&self.high).filter(|&(&low, &high)| low | high == 0).count()
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The two buckets in which a key may live, valid for the table that computed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    first: u32,
    second: u32,
}

/// What an insertion may do with an entry that stands where it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, though it may move to its other bucket.
    Keep,
    /// It is dead: its slot counts as free.
    Free,
    /// It may be taken if nothing is free; of several, the one with the highest rank goes.
    Evict(u64),
}

/// No free slot among those that an insertion may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

/// The map; see the [module](self).
#[derive(Debug)]
pub struct Cuckoo<'a> {
    buckets: &'a mut [Bucket],
    seed: Seed,
    used: usize,
}

impl<'a> Cuckoo<'a> {
    /// An empty map over `buckets`, whatever they held before (cost: one write to each).
    ///
    /// `seed` should be secret and random where strangers choose the keys: it decides which keys meet
    /// in a bucket. At most 2^32 - 1 buckets are used.
    #[must_use]
    pub fn new(buckets: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        let len = buckets.len().min(u32::MAX as usize);
        let buckets = buckets.split_at_mut_checked(len).map_or(&mut [][..], |(used, _)| used);
        buckets.fill(Bucket::EMPTY);
        Self { buckets, seed: Seed::new(seed), used: 0 }
    }

    /// Slots in use.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether no slot is in use.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Slots in all.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.buckets.len().saturating_mul(SLOTS)
    }

    /// Where `key` may live.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: u64) -> Hash {
        self.seed.hash(key, self.buckets.len())
    }

    /// Loads both lines of `hash`. The answer means nothing, but must be used for the loads to happen.
    ///
    /// Touching the lines of many keys before looking any of them up lets the memory work on all of
    /// them at once.
    #[must_use]
    #[inline]
    pub fn touch(&self, hash: Hash) -> u64 {
        let line = |index: u32| self.buckets.get(index as usize).map_or(0, |bucket| u64::from(bucket.low[0]));
        line(hash.first) ^ line(hash.second)
    }

    /// The value of `key`.
    #[must_use]
    #[inline]
    pub fn get(&self, key: u64) -> Option<u64> {
        self.get_hashed(key, self.hash(key))
    }

    /// The value of `key`, whose hash is `hash`.
    #[must_use]
    #[inline]
    pub fn get_hashed(&self, key: u64, hash: Hash) -> Option<u64> {
        let (first, second) = (self.buckets.get(hash.first as usize)?, self.buckets.get(hash.second as usize)?);
        let found = Found::new(first, second, key)?;
        let bucket = if found.in_second() { second } else { first };
        bucket.values.get(found.lane()).copied()
    }

    /// The value of `key` for change in place; the key's hash is `hash`.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, key: u64, hash: Hash) -> Option<&mut u64> {
        let (first, second) = (self.buckets.get(hash.first as usize)?, self.buckets.get(hash.second as usize)?);
        let found = Found::new(first, second, key)?;
        let index = if found.in_second() { hash.second } else { hash.first };
        self.buckets.get_mut(index as usize)?.values.get_mut(found.lane())
    }

    /// Sets `key` to `value` and returns what it replaces.
    ///
    /// # Errors
    ///
    /// [`Full`] if the key is new and finds no place, or is 0.
    pub fn insert(&mut self, key: u64, value: u64) -> Result<Option<u64>, Full> {
        let hash = self.hash(key);
        if key == 0 {
            return Err(Full);
        }
        if let Some(slot) = self.get_mut(key, hash) {
            return Ok(Some(core::mem::replace(slot, value)));
        }
        self.place(key, value, hash, |_, _| Fate::Keep).map(|_| None)
    }

    /// Takes `key` out and returns its value.
    pub fn remove(&mut self, key: u64) -> Option<u64> {
        self.remove_hashed(key, self.hash(key))
    }

    /// Takes `key` out and returns its value; the key's hash is `hash`.
    pub fn remove_hashed(&mut self, key: u64, hash: Hash) -> Option<u64> {
        let (first, second) = (self.buckets.get(hash.first as usize)?, self.buckets.get(hash.second as usize)?);
        let found = Found::new(first, second, key)?;
        let index = if found.in_second() { hash.second } else { hash.first };
        let bucket = self.buckets.get_mut(index as usize)?;
        let lane = (found.0 & 3) as u8;
        let (_, value) = bucket.slot(lane);
        bucket.set(lane, 0, 0);
        self.used = self.used.saturating_sub(1);
        Some(value)
    }

    /// Puts a key that is not in the map and not 0 into a slot, moving others out of the way.
    ///
    /// Looks into at most [`MAX_VISITS`] buckets. `judge` is asked about the entries that stand in the
    /// way and says which may go; the one that went is returned as key and value.
    ///
    /// # Errors
    ///
    /// [`Full`]: no slot was free and none might be freed. Nothing has changed.
    pub fn place(
        &mut self,
        key: u64,
        value: u64,
        hash: Hash,
        judge: impl FnMut(u64, u64) -> Fate,
    ) -> Result<Option<(u64, u64)>, Full> {
        if let Some(bucket) = self.roomier(hash) {
            if let Some(lane) = bucket.free_lane() {
                bucket.set(lane, key, value);
                self.used = self.used.saturating_add(1);
                return Ok(None);
            }
        }
        let mut search = Search::new(hash);
        let mut lane = search.run(self, judge).ok_or(Full)?;
        let gone = self.slot(search.visit().bucket, lane);
        // Walk back to the candidate bucket, each key stepping into the slot freed before it.
        while let Some(parent) = search.step_back() {
            let (moved, its_value) = self.slot(search.visit().bucket, parent.lane);
            self.set(parent.child, lane, moved, its_value);
            lane = parent.lane;
        }
        self.set(search.visit().bucket, lane, key, value);
        if gone.0 == 0 {
            self.used = self.used.saturating_add(1);
            return Ok(None);
        }
        Ok(Some(gone))
    }

    /// Every key and value, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().flat_map(|bucket| LANES.map(|lane| bucket.slot(lane))).filter(|&(key, _)| key != 0)
    }

    /// Shows the entries of `count` buckets from bucket `start` on to `keep`, which may change the value;
    /// those for which it returns false are taken out. Returns the number of buckets visited.
    pub(crate) fn retain(&mut self, start: usize, count: usize, mut keep: impl FnMut(u64, &mut u64) -> bool) -> usize {
        let mut removed = 0usize;
        let mut visited = 0usize;
        for bucket in self.buckets.iter_mut().skip(start).take(count) {
            visited = visited.saturating_add(1);
            for ((low, high), value) in bucket.low.iter_mut().zip(&mut bucket.high).zip(&mut bucket.values) {
                let key = u64::from(*high) << 32 | u64::from(*low);
                if key != 0 && !keep(key, value) {
                    (*low, *high, *value) = (0, 0, 0);
                    removed = removed.saturating_add(1);
                }
            }
        }
        self.used = self.used.saturating_sub(removed);
        visited
    }

    /// The candidate bucket with more free slots.
    fn roomier(&mut self, hash: Hash) -> Option<&mut Bucket> {
        let free = |index: u32| self.buckets.get(index as usize).map_or(0, Bucket::free_lanes);
        let index = if free(hash.second) > free(hash.first) { hash.second } else { hash.first };
        self.buckets.get_mut(index as usize)
    }

    fn slot(&self, bucket: u32, lane: u8) -> (u64, u64) {
        self.buckets.get(bucket as usize).map_or((0, 0), |bucket| bucket.slot(lane))
    }

    fn set(&mut self, bucket: u32, lane: u8, key: u64, value: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket as usize) {
            bucket.set(lane, key, value);
        }
    }
}

fn halves(key: u64) -> (u32, u32) {
    ((key & 0xffff_ffff) as u32, (key >> 32) as u32)
}

/// Which slot of two buckets holds a key: bits 0 and 1 the lane, bit 4 or 5 the bucket.
#[derive(Clone, Copy)]
struct Found(u32);

impl Found {
    const FIRST: u32 = 0x10;
    const SECOND: u32 = 0x20;

    /// Compares all eight slots at once: which of them holds the key is never a branch, since at half
    /// load it would be mispredicted every second time. Both buckets may be the same one.
    #[inline(always)]
    fn new(first: &Bucket, second: &Bucket, key: u64) -> Option<Self> {
        let (low, high) = halves(key);
        let mut lanes = [0u32; SLOTS];
        let keys = first.low.iter().zip(&first.high).zip(second.low.iter().zip(&second.high));
        for ((lane, number), ((l, h), (m, i))) in lanes.iter_mut().zip(0u32..).zip(keys) {
            let a = if (*l == low) & (*h == high) { Self::FIRST | number } else { 0 };
            let b = if (*m == low) & (*i == high) { Self::SECOND | number } else { 0 };
            *lane = a | b;
        }
        let [a, b, c, d] = lanes;
        let all = a | b | c | d;
        if all == 0 { None } else { Some(Self(all)) }
    }

    #[inline(always)]
    const fn in_second(self) -> bool {
        self.0 >= Self::SECOND
    }

    #[inline(always)]
    const fn lane(self) -> usize {
        (self.0 & 3) as usize
    }
}

/// The secret of the hash.
#[derive(Clone, Copy, Debug)]
struct Seed {
    mask: u64,
    /// Odd, and without structure even where the caller's seed has some.
    multiplier: u64,
}

impl Seed {
    fn new([first, second]: [u64; 2]) -> Self {
        let mask = fold(first ^ 0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9);
        let multiplier = fold(second ^ 0xd6e8_feb8_6659_fd93, 0x94d0_49bb_1331_11eb) | 1;
        Self { mask, multiplier }
    }

    /// One 128-bit product, folded; each 32-bit half of it, scaled to `buckets`, is a bucket.
    #[inline(always)]
    fn hash(self, key: u64, buckets: usize) -> Hash {
        let folded = fold(key ^ self.mask, self.multiplier);
        let (low, high) = halves(folded);
        let scale = |half: u32| (u64::from(half).wrapping_mul(buckets as u64) >> 32) as u32;
        Hash { first: scale(low), second: scale(high) }
    }
}

/// The two halves of the 128-bit product, one over the other.
/// One bucket on the way of a search, and the slot whose key leads there.
#[derive(Clone, Copy)]
struct Visit {
    bucket: u32,
    parent: u8,
    lane: u8,
}

/// What [`Search::step_back`] undoes: `lane` of the parent leads to bucket `child`.
struct Step {
    child: u32,
    lane: u8,
}

/// A breadth-first search for a slot, from the two candidates outwards. No recursion, no heap.
struct Search {
    visits: [Visit; MAX_VISITS],
    len: u8,
    at: u8,
}

impl Search {
    const NO_PARENT: u8 = u8::MAX;

    fn new(hash: Hash) -> Self {
        let root = |bucket| Visit { bucket, parent: Self::NO_PARENT, lane: 0 };
        let mut visits = [root(hash.first); MAX_VISITS];
        visits[1] = root(hash.second);
        Self { visits, len: if hash.first == hash.second { 1 } else { 2 }, at: 0 }
    }

    /// Stops at the bucket that has a slot to give and returns the slot's lane.
    fn run(&mut self, map: &Cuckoo<'_>, mut judge: impl FnMut(u64, u64) -> Fate) -> Option<u8> {
        let mut best: Option<(u64, u8, u8)> = None;
        while self.at < self.len {
            let here = self.visit().bucket;
            let bucket = map.buckets.get(here as usize)?;
            for lane in LANES {
                let (key, value) = bucket.slot(lane);
                let fate = if key == 0 { Fate::Free } else { judge(key, value) };
                match fate {
                    Fate::Free => return Some(lane),
                    Fate::Evict(rank) if best.is_none_or(|(highest, ..)| rank > highest) => {
                        best = Some((rank, self.at, lane));
                    }
                    Fate::Keep | Fate::Evict(_) => {}
                }
                self.push(map, key, here, lane);
            }
            self.at = self.at.saturating_add(1);
        }
        let (_, at, lane) = best?;
        self.at = at;
        Some(lane)
    }

    /// Notes the other bucket of a key for a later visit, as long as there is space for notes.
    fn push(&mut self, map: &Cuckoo<'_>, key: u64, here: u32, lane: u8) {
        let Some(visit) = self.visits.get_mut(usize::from(self.len)) else { return };
        let hash = map.hash(key);
        let other = if hash.first == here { hash.second } else { hash.first };
        if other == here {
            return;
        }
        *visit = Visit { bucket: other, parent: self.at, lane };
        self.len = self.len.saturating_add(1);
    }

    fn visit(&self) -> Visit {
        let nowhere = Visit { bucket: u32::MAX, parent: Self::NO_PARENT, lane: 0 };
        self.visits.get(usize::from(self.at)).copied().unwrap_or(nowhere)
    }

    /// Moves to the bucket that led here; `None` at a candidate bucket.
    fn step_back(&mut self) -> Option<Step> {
        let here = self.visit();
        if here.parent == Self::NO_PARENT {
            return None;
        }
        self.at = here.parent;
        Some(Step { child: here.bucket, lane: here.lane })
    }
}
