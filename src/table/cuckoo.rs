//! A fixed-capacity map from 64-bit keys to 64-bit values over a lent slice.
//!
//! A bucket is one 64-byte cache line of four 16-byte slots. A key lives in one of two buckets, so a
//! look-up touches two lines, whatever the load; an insertion into full buckets moves other keys to
//! their second bucket and visits at most [`MAX_VISITS`] buckets. Slices of any length work, zero
//! included; capacity is not rounded to a power of two. The table fills to 95 % and more before the
//! first insertion finds no place.

mod bucket;

pub use bucket::{Bucket, SLOTS};
use bucket::{Found, LANES};

use crate::wire::fold;

/// The most buckets that one insertion looks into while the table is less than 95 % full: both
/// candidates, and three to four displacements deep.
pub const MAX_VISITS: usize = 320;

/// The most buckets that one insertion looks into from 95 % on: both candidates, and two displacements
/// deep. A longer search would rarely find a free slot, and cost the most when the load is worst.
pub const MAX_VISITS_FULL: usize = 2 + 8 + 32;

/// Buckets of a map whose look-ups do not wait for memory: 512 KiB, which is in the second-level cache of most processors
/// that have one.
const NEARBY: usize = 8192;

/// The two buckets in which a key may live, valid for the table that computed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    first: u32,
    second: u32,
}

impl Hash {
    /// The first bucket twice.
    pub(super) const NOWHERE: Self = Self { first: 0, second: 0 };

    /// The other one of a key's buckets.
    const fn other_than(self, here: u32) -> u32 {
        if self.first == here { self.second } else { self.first }
    }
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
    #[inline(always)]
    pub fn hash(&self, key: u64) -> Hash {
        self.seed.hash(key, self.buckets.len())
    }

    /// Loads both lines of `hash`. The answer means nothing, but must be used for the loads to happen.
    ///
    /// Touching the lines of many keys before looking any of them up lets the memory work on all of
    /// them at once. A map of at most 512 KiB is not touched: where there is a cache to speak of, it stays there.
    #[must_use]
    #[inline]
    pub fn touch(&self, hash: Hash) -> u64 {
        if self.buckets.len() <= NEARBY {
            return 0;
        }
        let line = |index: u32| self.buckets.get(index as usize).map_or(0, Bucket::touch);
        line(hash.first) ^ line(hash.second)
    }

    /// The value of `key`.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, key: u64) -> Option<u64> {
        self.get_hashed(key, self.hash(key))
    }

    /// The value of `key`, whose hash is `hash`.
    #[must_use]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn get_hashed(&self, key: u64, hash: Hash) -> Option<u64> {
        let (first, second) = (self.buckets.get(hash.first as usize)?, self.buckets.get(hash.second as usize)?);
        let found = Found::new(first, second, key)?;
        let bucket = if found.in_second() { second } else { first };
        bucket.value(usize::from(found.lane()))
    }

    /// The value of `key`, whose hash is `hash`; 0 where it has none, and where its value is 0.
    ///
    /// Cheaper than [`Cuckoo::get_hashed`], for users that store no 0: it never needs to know which slot it is.
    ///
    /// A call where registers have 32 bits: there, flash is scarcer than time, and an engine has many look-ups.
    #[must_use]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn get_or_zero(&self, key: u64, hash: Hash) -> u64 {
        let buckets = (self.buckets.get(hash.first as usize), self.buckets.get(hash.second as usize));
        let (Some(first), Some(second)) = buckets else { return 0 };
        first.value_in_either(second, key)
    }

    /// The value of `key` for change in place; the key's hash is `hash`.
    #[must_use]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn get_mut(&mut self, key: u64, hash: Hash) -> Option<&mut u64> {
        let (first, second) = (self.buckets.get(hash.first as usize)?, self.buckets.get(hash.second as usize)?);
        let found = Found::new(first, second, key)?;
        let index = if found.in_second() { hash.second } else { hash.first };
        self.buckets.get_mut(index as usize)?.value_mut(usize::from(found.lane()))
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
        let (_, value) = bucket.slot(found.lane());
        bucket.set(found.lane(), 0, 0);
        self.used = self.used.saturating_sub(1);
        Some(value)
    }

    /// Puts a key that is not in the map and not 0 into a slot, moving others out of the way.
    ///
    /// Looks into ten buckets for a free slot, then into at most [`MAX_VISITS`], or [`MAX_VISITS_FULL`]. `judge` is asked about the entries that stand in the
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
        mut judge: impl FnMut(u64, u64) -> Fate,
    ) -> Result<Option<(u64, u64)>, Full> {
        if let Some(bucket) = self.roomier(hash) {
            if let Some(lane) = bucket.free_lane() {
                bucket.set(lane, key, value);
                self.used = self.used.saturating_add(1);
                return Ok(None);
            }
        }
        if self.step_aside(key, value, hash) {
            return Ok(None);
        }
        let mut notes = [Visit::NOWHERE; MAX_VISITS_FULL];
        let mut near = Search::new(hash, &mut notes);
        match near.run(self, &mut judge) {
            Some(find @ Find { dead: true, .. }) => Ok(self.take(&near, find, key, value)),
            None if self.is_crowded() => Err(Full),
            Some(find) if self.is_crowded() => Ok(self.take(&near, find, key, value)),
            _ => self.place_far(key, value, hash, judge),
        }
    }

    /// [`Cuckoo::place`] where both candidates are full and one of their eight entries has a free slot in its other
    /// bucket: up to 80 % load that is all an insertion ever needs, and it costs no search and no question.
    fn step_aside(&mut self, key: u64, value: u64, hash: Hash) -> bool {
        for here in [hash.first, hash.second] {
            for lane in LANES {
                let (moved, its_value) = self.slot(here, lane);
                let other = self.hash(moved).other_than(here);
                if let Some(free) = self.buckets.get(other as usize).and_then(Bucket::free_lane) {
                    self.set(other, free, moved, its_value);
                    self.set(here, lane, key, value);
                    self.used = self.used.saturating_add(1);
                    return true;
                }
            }
        }
        false
    }

    /// [`Cuckoo::place`] where the short search has found nothing free: in a function of its own, for
    /// the stack that the long search takes.
    #[cold]
    #[inline(never)]
    fn place_far(
        &mut self,
        key: u64,
        value: u64,
        hash: Hash,
        mut judge: impl FnMut(u64, u64) -> Fate,
    ) -> Result<Option<(u64, u64)>, Full> {
        let mut notes = [Visit::NOWHERE; MAX_VISITS];
        let mut far = Search::new(hash, &mut notes);
        let find = far.run(self, &mut judge).ok_or(Full)?;
        Ok(self.take(&far, find, key, value))
    }

    /// Puts a key into a candidate bucket by moving others along the way to the slot found. Returns what
    /// that slot held.
    fn take(&mut self, search: &Search<'_>, find: Find, key: u64, value: u64) -> Option<(u64, u64)> {
        let mut lane = find.lane;
        let mut visit = search.visit(find.at);
        let gone = self.slot(visit.bucket, lane);
        // Each key on the way steps into the slot freed before it.
        while visit.parent != Visit::NONE {
            let parent = search.visit(visit.parent);
            let (moved, its_value) = self.slot(parent.bucket, visit.lane);
            self.set(visit.bucket, lane, moved, its_value);
            (lane, visit) = (visit.lane, parent);
        }
        self.set(visit.bucket, lane, key, value);
        if gone.0 == 0 {
            self.used = self.used.saturating_add(1);
            return None;
        }
        Some(gone)
    }

    /// Whether a long search is not worth its while.
    fn is_crowded(&self) -> bool {
        self.used.saturating_mul(20) >= self.capacity().saturating_mul(19)
    }

    /// Every key and value, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.words().filter(|&(key, _)| key != 0)
    }

    /// Every slot, free ones as `(0, 0)`: the map's whole state, for a digest.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().flat_map(|bucket| LANES.map(|lane| bucket.slot(lane)))
    }

    /// Shows the entries of `count` buckets from bucket `start` on to `keep`, which may change the value;
    /// those for which it returns false are taken out. Returns the number of buckets visited.
    pub(crate) fn retain(&mut self, start: usize, count: usize, mut keep: impl FnMut(u64, &mut u64) -> bool) -> usize {
        let mut removed = 0usize;
        let mut visited = 0usize;
        for bucket in self.buckets.iter_mut().skip(start).take(count) {
            visited = visited.saturating_add(1);
            removed = removed.saturating_add(bucket.retain(&mut keep));
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

#[inline(always)]
fn halves(key: u64) -> (u32, u32) {
    ((key & 0xffff_ffff) as u32, (key >> 32) as u32)
}

/// The secret of the hash.
#[derive(Clone, Copy, Debug)]
struct Seed([u64; 2]);

impl Seed {
    /// An odd constant without structure (2^64 over the golden ratio).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Without structure even where the caller's seed has some.
    fn new([first, second]: [u64; 2]) -> Self {
        let mix = |seed: u64| fold(seed ^ Self::SPREAD, 0xbf58_476d_1ce4_e5b9 ^ seed.rotate_left(32));
        Self([mix(first), mix(second ^ first.rotate_left(23))])
    }

    /// One 128-bit product, folded; each 32-bit half of it, scaled to `buckets`, is a bucket.
    ///
    /// Both factors depend on the key. With a constant factor, keys in sequence make regular patterns
    /// that leave a table stuck at 60 % load for one seed and at 99 % for another.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn hash(self, key: u64, buckets: usize) -> Hash {
        let [a, b] = self.0;
        let folded = fold(key ^ a, key.wrapping_mul(Self::SPREAD) ^ b);
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
    parent: u16,
    lane: u8,
}

impl Visit {
    const NONE: u16 = u16::MAX;
    const NOWHERE: Self = Self::candidate(u32::MAX);

    const fn candidate(bucket: u32) -> Self {
        Self { bucket, parent: Self::NONE, lane: 0 }
    }
}

/// The slot that a search would take.
#[derive(Clone, Copy)]
struct Find {
    at: u16,
    lane: u8,
    /// It is free, or its entry is dead.
    dead: bool,
}

/// A breadth-first search for a slot, from the two candidates outwards. No recursion, no heap.
struct Search<'n> {
    start: Hash,
    /// Space for notes, which stands with the caller: returned by value, it would be needed twice.
    visits: &'n mut [Visit],
    len: u16,
}

impl<'n> Search<'n> {
    fn new(hash: Hash, visits: &'n mut [Visit]) -> Self {
        let candidates = [hash.first, hash.second].map(Visit::candidate);
        for (visit, candidate) in visits.iter_mut().zip(candidates) {
            *visit = candidate;
        }
        Self { start: hash, visits, len: if hash.first == hash.second { 1 } else { 2 } }
    }

    fn run(&mut self, map: &Cuckoo<'_>, judge: &mut impl FnMut(u64, u64) -> Fate) -> Option<Find> {
        let mut best = None;
        let mut highest = 0;
        let mut at = 0;
        while at < self.len {
            let here = self.visit(at).bucket;
            let bucket = map.buckets.get(here as usize)?;
            for lane in LANES {
                let (key, value) = bucket.slot(lane);
                let fate = if key == 0 { Fate::Free } else { judge(key, value) };
                match fate {
                    Fate::Free => return Some(Find { at, lane, dead: true }),
                    Fate::Evict(rank) if best.is_none() || rank > highest => {
                        highest = rank;
                        best = Some(Find { at, lane, dead: false });
                    }
                    Fate::Keep | Fate::Evict(_) => {}
                }
                self.push(map, key, here, at, lane);
            }
            at = at.saturating_add(1);
        }
        best
    }

    /// Notes the other bucket of a key for a later visit, as long as there is space for notes.
    fn push(&mut self, map: &Cuckoo<'_>, key: u64, here: u32, parent: u16, lane: u8) {
        let Some(visit) = self.visits.get_mut(usize::from(self.len)) else { return };
        let bucket = map.hash(key).other_than(here);
        // What leads back to the start has been looked into: keys that were chosen to share two buckets lead nowhere.
        if bucket != here && bucket != self.start.first && bucket != self.start.second {
            *visit = Visit { bucket, parent, lane };
            self.len = self.len.saturating_add(1);
        }
    }

    fn visit(&self, at: u16) -> Visit {
        self.visits.get(usize::from(at)).copied().unwrap_or(Visit::NOWHERE)
    }
}

#[cfg(test)]
mod tests;
