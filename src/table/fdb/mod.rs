//! The forwarding database: which MAC of which bridge is where.
//!
//! Memory is lent, capacity is fixed. An entry takes 16 bytes; a look-up touches two cache lines. Dynamic
//! entries age, move, are counted per bridge and per destination, and are flushed in constant time;
//! entries of any other [`Owner`](super::Owner) do none of that by themselves.
//!
//! # Time
//!
//! `now` going backwards counts as standing still. Ages are kept in 256 ms units: an entry lives at
//! least [`Ageing::After`]'s duration after its last refresh and at most 512 ms longer. Expired and
//! flushed entries are absent from every answer at once, but occupy their slot until [`Fdb::sweep`]
//! comes by, or a newcomer takes it.
//!
//! The sweep should get through the table well within 4.6 hours less the longest ageing time in use
//! (39 minutes at [`Ageing::MAX`]). If it does not, or if the clock jumps that far, the next change of
//! the table walks all of it once, so that no age is ever misread.
//!
//! # Costs
//!
//! Look-up, learning, adding and deleting are bounded: two buckets, and for an insertion into full ones
//! at most [`MAX_VISITS`](super::cuckoo::MAX_VISITS). Epoch flushes are constant, but for the 64th of one
//! object within two sweep passes, which walks the table. [`Fdb::flush`], [`Fdb::iter`] and a change of
//! ageing walk it always.

mod clock;
mod control;
mod entry;
mod learn;
mod record;
mod sweep;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;

use super::cuckoo::{Bucket, Cuckoo, Hash};
use super::label::LabelsFull;
use super::{Ageing, BridgeId, Destination, Instant, Labels, Meta};
use crate::wire::{Label, MacAddr};
use clock::Clock;
use entry::{Word, key_of_bits};
pub(super) use entry::{key, key_bridge, key_mac};
use record::Books;

pub use control::{Add, FdbError, Filter, Owners};
pub use entry::{Entry, Removal, Removed};
pub use learn::{LearnPolicy, Learned, Refusal, Yield};
pub use record::{BridgeRecord, Counts, DestinationRecord};
pub use sweep::Swept;

/// The memory a table works in. Any slice may be empty.
#[derive(Debug)]
pub struct FdbMemory<'a> {
    /// Four entries each; 64 bytes.
    pub buckets: &'a mut [Bucket],
    /// One for each [`BridgeId`].
    pub bridges: &'a mut [BridgeRecord],
    /// One for each [`PortId`](super::PortId).
    pub ports: &'a mut [DestinationRecord],
    /// One for each [`EndpointId`](super::EndpointId).
    pub endpoints: &'a mut [DestinationRecord],
    /// One for each [`GroupId`](super::GroupId).
    pub groups: &'a mut [DestinationRecord],
}

/// What a table starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbConfig {
    /// Secret and random where strangers choose their MACs: it decides which MACs share a bucket.
    pub seed: [u64; 2],
    /// What happens to a newcomer that finds no place.
    pub when_full: WhenFull,
    /// The ageing of every bridge, until [`Fdb::set_ageing`] says otherwise.
    pub ageing: Ageing,
}

/// What happens to a newcomer that finds no place among the slots that an insertion looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum WhenFull {
    /// It is not learned (or added).
    #[default]
    Refuse,
    /// A dynamic entry of the bridge and the destination with most entries makes room, the oldest first.
    ///
    /// Someone else's entry goes only if its owner has more than the newcomer will have: an entry of another bridge, if
    /// that bridge has more entries than the newcomer's; one of another destination, if that destination has more. So
    /// whoever floods the table with MACs replaces its own entries: not those of other tenants, even of some behind the
    /// same endpoint, and not those that its own tenant has elsewhere, as long as they hold no more than it does.
    /// Static, sticky and all other entries that are not dynamic never go. Adding an entry that is not dynamic may take
    /// any dynamic entry's place.
    Evict,
}

/// A key with its two buckets worked out, so that the memory of many can be touched ahead of their use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    key: u64,
    hash: Hash,
}

impl Probe {
    /// Finds nothing.
    pub(crate) const NOWHERE: Self = Self { key: 0, hash: Hash::NOWHERE };

    /// Whether it is for the address that [`MacAddr::to_u64`] gives so, in whatever bridge.
    #[inline(always)]
    pub(crate) const fn is_for(self, mac: u64) -> bool {
        (self.key ^ mac) << 16 == 0
    }

    /// Whether both are for the same address in the same bridge.
    #[inline(always)]
    pub(crate) const fn is_for_same(self, other: Self) -> bool {
        self.key == other.key
    }

    /// The address that it is for.
    #[inline]
    pub(crate) const fn mac(self) -> MacAddr {
        key_mac(self.key)
    }
}

/// The table; see the [module](self).
#[derive(Debug)]
pub struct Fdb<'a> {
    map: Cuckoo<'a>,
    books: Books<'a>,
    clock: Clock,
    when_full: WhenFull,
}

impl<'a> Fdb<'a> {
    /// An empty table in `memory`, whatever that held before (cost: one write to all of it).
    ///
    /// At most 65,536 records of each kind are used. An ageing time beyond [`Ageing::MAX`] counts as that.
    #[must_use]
    pub fn new(memory: FdbMemory<'a>, config: &FdbConfig) -> Self {
        let limit = config.ageing.limit().unwrap_or(Some(Ageing::MAX_UNITS));
        let FdbMemory { buckets, bridges, ports, endpoints, groups } = memory;
        let fresh = BridgeRecord {
            limit: limit.map_or(u64::MAX, u64::from),
            learns: config.ageing != Ageing::NoLearn,
            ..BridgeRecord::EMPTY
        };
        bridges.fill(fresh);
        let quiet = if fresh.learns { 0 } else { u32::try_from(bridges.len().min(1 << 16)).unwrap_or(0) };
        let mut destinations = [ports, endpoints, groups];
        for records in &mut destinations {
            records.fill(DestinationRecord::EMPTY);
        }
        Self {
            map: Cuckoo::new(buckets, config.seed),
            books: Books { bridges, destinations, labels: Labels::new(&mut [], &mut [], config.seed) },
            clock: Clock::new(limit, quiet),
            when_full: config.when_full,
        }
    }

    /// This table with memory for labels, so that entries' metadata are [labels](Labels) by number. Without it, they are
    /// the caller's numbers.
    ///
    /// To be called before any entry is there: entries learned earlier are not counted.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels<'a>) -> Self {
        self.books.labels = labels;
        self
    }

    /// The labels that entries have.
    #[must_use]
    #[inline]
    pub fn labels(&self) -> &Labels<'a> {
        &self.books.labels
    }

    /// The number of a label, for an entry that is learned or added next; see [`Labels::intern`].
    ///
    /// # Errors
    ///
    /// [`LabelsFull`]; nothing changes.
    #[inline]
    pub fn intern(&mut self, label: Label) -> Result<Meta, LabelsFull> {
        self.books.labels.intern(label)
    }

    /// What the table knows of `mac` in `bridge`. Writes nothing.
    #[must_use]
    #[inline(always)]
    pub fn lookup(&self, now: Instant, bridge: BridgeId, mac: MacAddr) -> Option<Entry> {
        self.lookup_probe(now, self.probe(bridge, mac))
    }

    /// The first step of a look-up, for [`Fdb::touch`] and [`Fdb::lookup_probe`].
    #[must_use]
    #[inline(always)]
    pub fn probe(&self, bridge: BridgeId, mac: MacAddr) -> Probe {
        self.probe_bits(bridge, mac.to_u64())
    }

    /// [`Fdb::probe`] of a MAC as [`MacAddr::to_u64`] gives it.
    #[inline(always)]
    pub(crate) fn probe_bits(&self, bridge: BridgeId, mac: u64) -> Probe {
        let key = key_of_bits(bridge, mac);
        Probe { key, hash: self.map.hash(key) }
    }

    /// Loads the probe's cache lines. The answer means nothing, but must be used for the loads to happen.
    ///
    /// To look up many keys, make their probes, touch them all, then look them up: the memory then works
    /// on all of them at once.
    #[must_use]
    #[inline]
    pub fn touch(&self, probe: Probe) -> u64 {
        self.map.touch(probe.hash)
    }

    /// [`Fdb::lookup`] with the first step done. The probe must be of this table.
    #[must_use]
    #[inline(always)]
    pub fn lookup_probe(&self, now: Instant, probe: Probe) -> Option<Entry> {
        self.lookup_after(self.clock.since_change(now), probe)
    }

    /// [`Fdb::lookup_probe`] at the time of the latest change.
    #[inline(always)]
    pub(crate) fn lookup_latest(&self, probe: Probe) -> Option<Entry> {
        self.lookup_after(0, probe)
    }

    #[inline(always)]
    fn lookup_after(&self, since_change: u64, probe: Probe) -> Option<Entry> {
        let word = Word(self.map.get_or_zero(probe.key, probe.hash));
        if word == Word::NONE {
            return None;
        }
        let age = self.clock.age(word, since_change);
        // Few bridges' limits differ, and fewer entries are near the least of them.
        let alive = age < self.clock.young || self.is_alive(probe.key, word, age);
        alive.then_some(Entry::new(word, age))
    }

    /// Every living entry, in the order of their slots.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = (BridgeId, MacAddr, Entry)> + '_ {
        let since_change = self.clock.since_change(now);
        self.map.iter().filter_map(move |(key, word)| {
            let word = Word(word);
            let age = self.clock.age(word, since_change);
            let state = self.state(key, word, age);
            (state == State::Alive).then(|| (key_bridge(key), key_mac(key), Entry::new(word, age)))
        })
    }

    /// All of the table's state, in an order of its own: for a digest that two tables share if the same calls
    /// made them what they are.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bridges = self.books.bridges.iter().flat_map(BridgeRecord::words);
        let destinations = self.books.destinations.iter().flat_map(|records| records.iter());
        let destinations = destinations.flat_map(|record| record.tally.words());
        self.map.words().chain(bridges).chain(destinations).chain(self.clock.words()).chain(self.books.labels.words())
    }

    /// Slots in use, expired and flushed entries that no sweep has met yet included.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether no slot is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Slots in all.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.map.capacity()
    }

    /// The counts and limit of a bridge; `None` where there is no such bridge.
    #[must_use]
    pub fn bridge_counts(&self, bridge: BridgeId) -> Option<Counts> {
        self.books.bridge(bridge).map(|record| record.tally.counts())
    }

    /// The counts and limit of a destination; `None` where there is no such destination, and for
    /// [`Destination::Host`] and [`Destination::Drop`], which are not counted.
    #[must_use]
    pub fn destination_counts(&self, destination: Destination) -> Option<Counts> {
        self.books.destination(destination).map(|record| record.tally.counts())
    }

    fn state(&self, key: u64, word: Word, age: u64) -> State {
        self.books.state(key, word, age)
    }

    #[inline(never)]
    fn is_alive(&self, key: u64, word: Word, age: u64) -> bool {
        self.state(key, word, age) == State::Alive
    }
}

impl Books<'_> {
    /// What has become of an entry.
    fn state(&self, key: u64, word: Word, age: u64) -> State {
        if !word.is_dynamic() {
            State::Alive
        } else if self.is_void(key, word) {
            State::Void
        } else if age > self.limit(key_bridge(key)) {
            State::Expired
        } else {
            State::Alive
        }
    }
}

/// What has become of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    /// Too old. Whoever takes it out of the table tells the caller.
    Expired,
    /// Flushed by epoch. The caller knows.
    Void,
}
