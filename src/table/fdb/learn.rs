//! Learning from frames.

use super::entry::{Entry, Epochs, Removal, Removed, Word, key_bridge};
use super::record::Books;
use super::{Fdb, Probe, State, WhenFull};
use crate::table::cuckoo::{Fate, Full};
use crate::table::{BridgeId, Destination, Instant, Meta, Owner};
use crate::wire::{Label, MacAddr};

/// What learning did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Learned {
    /// The entry says so already (a dynamic one is young again).
    Refreshed,
    /// The entry's metadata changed.
    Updated {
        /// What it was.
        meta: Meta,
    },
    /// There is a new entry.
    New {
        /// The entry that had its slot: one that has expired, or been evicted. It may be of the same MAC.
        removed: Option<Removed>,
    },
    /// The MAC has moved.
    Moved {
        /// Where it was.
        from: Destination,
    },
    /// Nothing has changed.
    Refused(Refusal),
}

/// Why nothing was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Refusal {
    /// The MAC is zero or multicast.
    BadMac = 0,
    /// There is no such bridge.
    BadBridge = 1,
    /// There is no such port, endpoint or group, or frames cannot come from there (host, drop).
    BadDestination = 2,
    /// The bridge does not learn.
    NoLearn = 3,
    /// The MAC stands elsewhere as a static entry.
    Static = 4,
    /// The MAC stands elsewhere as a sticky entry.
    Sticky = 5,
    /// The MAC stands elsewhere by order of a control plane.
    Owned = 6,
    /// The MAC is this system's own.
    Local = 7,
    /// The bridge has as many dynamic entries as it may have.
    BridgeLimit = 8,
    /// The destination has as many dynamic entries as it may have.
    DestinationLimit = 9,
    /// No slot was free, and none might be freed.
    TableFull = 10,
    /// The entry would move, and [`LearnPolicy::hold`] asks first.
    Held = 11,
}

/// What a frame from elsewhere does to an entry that is not dynamic, nor sticky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Yield {
    /// Nothing.
    #[default]
    Never,
    /// The entry moves and keeps its owner and its label (Linux VXLAN: `extern_learn`; Linux bridge: `static`).
    Move,
    /// The entry moves and is dynamic from now on (Linux bridge: `extern_learn`).
    TakeOver,
}

/// Which entries that are not dynamic may be moved by frames. By default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct LearnPolicy {
    /// Entries of [`Owner::Static`].
    pub statics: Yield,
    /// Entries of [`Owner::Evpn`] and [`Owner::Controller`].
    pub controlled: Yield,
    /// Whether no entry moves at all: one that would is refused as [`Refusal::Held`], for the caller to decide.
    pub hold: bool,
}

impl Fdb<'_> {
    /// Notes that `mac` of `bridge` has been heard from `destination`.
    ///
    /// An entry that says so already is written only when the coarse time (256 ms) has changed. Entries
    /// with another owner than [`Owner::Dynamic`] stay as they are unless `policy` lets them go; local
    /// and sticky ones always stay. What is refused, unless for want of room, leaves the table's time alone, too.
    #[inline(always)]
    pub fn learn(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        destination: Destination,
        meta: Meta,
        policy: LearnPolicy,
    ) -> Learned {
        self.learn_probe(now, self.probe(bridge, mac), destination, meta, policy)
    }

    /// [`Fdb::learn`] with the first step done. The probe must be of this table.
    #[inline(always)]
    pub fn learn_probe(
        &mut self,
        now: Instant,
        probe: Probe,
        destination: Destination,
        meta: Meta,
        policy: LearnPolicy,
    ) -> Learned {
        if self.refresh(now, probe, destination, meta) {
            return Learned::Refreshed;
        }
        let epochs = self.books.epochs(key_bridge(probe.key), destination);
        let expected = Word::dynamic(destination, meta, epochs);
        if !self.is_current(now) {
            if let Err(refusal) = self.go_on(now, probe, expected, policy) {
                return Learned::Refused(refusal);
            }
        }
        self.learn_slowly(probe, expected.stamped(self.clock.stamp()), policy)
    }

    /// Makes a living dynamic entry that says just this young again; whether there is one. Nothing else changes.
    #[must_use]
    #[inline(always)]
    pub fn refresh(&mut self, now: Instant, probe: Probe, destination: Destination, meta: Meta) -> bool {
        if !self.is_current(now) {
            // Only what is changed lets the time go on.
            if !self.word(probe).agrees(Word::dynamic(destination, meta, Epochs::NONE)) {
                return false;
            }
            self.advance(now);
        }
        self.refresh_latest(probe, destination, meta)
    }

    /// [`Fdb::refresh`] at the time of the latest change.
    #[inline(always)]
    pub(crate) fn refresh_latest(&mut self, probe: Probe, destination: Destination, meta: Meta) -> bool {
        self.refresh_word(probe, self.word(probe), Word::dynamic(destination, meta, Epochs::NONE))
    }

    /// [`Fdb::refresh_latest`] of an entry with this label, whose number need not be looked for.
    #[inline(always)]
    pub(crate) fn refresh_labelled(&mut self, probe: Probe, destination: Destination, label: Label) -> bool {
        let word = self.word(probe);
        let meta = word.meta();
        if self.books.labels.get(meta) != label || label.is_none() != (meta == Meta::NONE) {
            return false;
        }
        self.refresh_word(probe, word, Word::dynamic(destination, meta, Epochs::NONE))
    }

    /// What stands there, dead or alive.
    #[inline(always)]
    fn word(&self, probe: Probe) -> Word {
        Word(self.map.get_or_zero(probe.key, probe.hash))
    }

    #[inline(always)]
    fn refresh_word(&mut self, probe: Probe, word: Word, expected: Word) -> bool {
        if !word.agrees(expected) {
            return false;
        }
        let age = self.clock.age(word, 0);
        let sure = age < self.clock.young && self.clock.quiet == 0;
        if !sure && !self.books.may_refresh(probe.key, word, age) {
            return false;
        }
        if age != 0 {
            self.write(probe, word.stamped(self.clock.stamp()));
        }
        true
    }

    /// Puts a word in the place of the one that is there.
    #[inline(never)]
    fn write(&mut self, probe: Probe, word: Word) {
        if let Some(slot) = self.map.get_mut(probe.key, probe.hash) {
            *slot = word.0;
        }
    }

    #[cold]
    #[inline(never)]
    fn learn_slowly(&mut self, probe: Probe, expected: Word, policy: LearnPolicy) -> Learned {
        match self.try_learn(probe, expected, policy) {
            Ok(learned) => learned,
            Err(refusal) => Learned::Refused(refusal),
        }
    }

    fn try_learn(&mut self, probe: Probe, expected: Word, policy: LearnPolicy) -> Result<Learned, Refusal> {
        self.books.may_learn(probe.key, expected.destination())?;
        let Some(slot) = self.map.get_mut(probe.key, probe.hash) else {
            self.books.check_limits(probe.key, expected)?;
            let removed = self.place(probe, expected).map_err(|Full| Refusal::TableFull)?;
            return Ok(Learned::New { removed });
        };
        let word = Word(*slot);
        let age = self.clock.age(word, 0);
        let state = self.books.state(probe.key, word, age);
        if state == State::Alive {
            let (word, learned) = self.books.relearn(probe.key, word, expected, policy)?;
            *slot = word.0;
            return Ok(learned);
        }
        // A dead entry of the same MAC: count it out, and back in as a new one.
        self.books.leave(probe.key, word);
        if let Err(refusal) = self.books.check_limits(probe.key, expected) {
            self.books.enter_again(probe.key, word);
            return Err(refusal);
        }
        self.books.enter(probe.key, expected);
        *slot = expected.0;
        let removed = Removed::new(probe.key, Entry::new(word, age), Removal::Expired);
        Ok(Learned::New { removed: (state == State::Expired).then_some(removed) })
    }

    /// Lets the table's time follow `now`, unless what is to be learned is refused already. Whoever is refused a move may be
    /// dropped for it, and a dropped packet changes no table.
    #[cold]
    #[inline(never)]
    fn go_on(&mut self, now: Instant, probe: Probe, expected: Word, policy: LearnPolicy) -> Result<(), Refusal> {
        let to = expected.destination();
        self.books.may_learn(probe.key, to)?;
        if let Some(entry) = self.lookup_probe(now, probe).filter(|entry| entry.destination() != to) {
            policy.permits(entry)?;
            if policy.hold {
                // It is held, or there is no room for it where it goes.
                self.books.relearn(probe.key, self.word(probe), expected, policy)?;
            }
        }
        self.advance(now);
        Ok(())
    }

    /// Puts a new entry into the table and the books.
    pub(super) fn place(&mut self, probe: Probe, word: Word) -> Result<Option<Removed>, Full> {
        let Self { map, books, clock, when_full } = self;
        let evict = *when_full == WhenFull::Evict;
        let bridge = key_bridge(probe.key);
        let counts = |bridge, destination| {
            let of_bridge = books.bridge(bridge).map_or(0, |record| record.tally.counts().dynamic);
            (of_bridge, books.destination(destination).map_or(0, |record| record.tally.counts().dynamic))
        };
        let own = counts(bridge, word.destination());
        let gone = map.place(probe.key, word.0, probe.hash, |key, other| {
            let other = Word(other);
            let age = clock.age(other, 0);
            if books.state(key, other, age) != State::Alive {
                return Fate::Free;
            }
            if !evict || !other.is_dynamic() || other.is_sticky() {
                return Fate::Keep;
            }
            let others = counts(key_bridge(key), other.destination());
            let bridge_pays = key_bridge(key) == bridge || others.0 > own.0.saturating_add(1);
            let destination_pays = other.destination() == word.destination() || others.1 > own.1.saturating_add(1);
            if bridge_pays & destination_pays || !word.is_dynamic() {
                Fate::Evict(eviction_rank(others, age))
            } else {
                Fate::Keep
            }
        })?;
        books.enter(probe.key, word);
        Ok(gone.and_then(|(key, word)| {
            let word = Word(word);
            let age = clock.age(word, 0);
            // As it was before the newcomer was counted; counts do not matter to the state.
            let why = match books.state(key, word, age) {
                State::Alive => Some(Removal::Evicted),
                State::Expired => Some(Removal::Expired),
                State::Void => None,
            };
            books.leave(key, word);
            why.map(|why| Removed::new(key, Entry::new(word, age), why))
        }))
    }
}

/// Of several entries that may be evicted: whose bridge has most entries; of these, whose destination has most; of
/// these, the oldest. What is beyond 16 million counts as that many.
fn eviction_rank((of_bridge, of_destination): (u32, u32), age: u64) -> u64 {
    let most = |count: u32| u64::from(count.min(0xff_ffff));
    most(of_bridge) << 40 | most(of_destination) << 16 | age.min(0xffff)
}

impl Books<'_> {
    /// Whether a MAC may be learned there at all.
    #[inline(always)]
    fn may_learn(&self, key: u64, destination: Destination) -> Result<(), Refusal> {
        let bridge = self.bridge(key_bridge(key)).ok_or(Refusal::BadBridge)?;
        if !super::key_mac(key).is_station() {
            return Err(Refusal::BadMac);
        }
        if self.destination(destination).is_none() {
            return Err(Refusal::BadDestination);
        }
        if bridge.learns { Ok(()) } else { Err(Refusal::NoLearn) }
    }

    /// Whether a dynamic entry is alive, and its bridge learns.
    #[inline(never)]
    fn may_refresh(&self, key: u64, word: Word, age: u64) -> bool {
        let learns = self.bridge(key_bridge(key)).is_some_and(|record| record.learns);
        learns && self.state(key, word, age) == State::Alive
    }

    /// What becomes of a living entry that says something else than `expected`.
    fn relearn(
        &mut self,
        key: u64,
        word: Word,
        expected: Word,
        policy: LearnPolicy,
    ) -> Result<(Word, Learned), Refusal> {
        let from = word.destination();
        let stays = from == expected.destination();
        if !word.is_dynamic() && stays {
            return Ok((word, Learned::Refreshed));
        }
        if stays {
            let learned = match word.meta() {
                meta if meta == expected.meta() => Learned::Refreshed,
                meta => {
                    self.labels.retain(expected.meta());
                    self.labels.release(meta);
                    Learned::Updated { meta }
                }
            };
            return Ok((expected.with_sticky(word.is_sticky()), learned));
        }
        let owner = policy.next_owner(word.owner(), word.is_sticky())?;
        // What a control plane has said of a MAC, frames do not unsay: they only move it.
        let meta = if owner == Owner::Dynamic { expected.meta() } else { word.meta() };
        let moved = expected.with_owner(owner).with_meta(meta);
        self.leave(key, word);
        if moved.is_dynamic() {
            if let Err(refusal) = self.check_limits(key, moved) {
                self.enter_again(key, word);
                return Err(refusal);
            }
        }
        if policy.hold {
            self.enter_again(key, word);
            return Err(Refusal::Held);
        }
        self.enter(key, moved);
        Ok((moved, Learned::Moved { from }))
    }

    /// Whether the limits allow one more dynamic entry.
    pub(super) fn check_limits(&self, key: u64, word: Word) -> Result<(), Refusal> {
        if self.bridge(key_bridge(key)).is_some_and(|record| record.tally.is_full()) {
            return Err(Refusal::BridgeLimit);
        }
        if self.destination(word.destination()).is_some_and(|record| record.tally.is_full()) {
            return Err(Refusal::DestinationLimit);
        }
        Ok(())
    }
}

impl LearnPolicy {
    /// Whether a frame from elsewhere may move `entry`. Limits are another matter.
    ///
    /// # Errors
    ///
    /// What [`Fdb::learn`] would refuse it with.
    pub const fn permits(self, entry: Entry) -> Result<(), Refusal> {
        match self.next_owner(entry.owner(), entry.sticky()) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Who owns an entry after a frame has moved it.
    const fn next_owner(self, owner: Owner, sticky: bool) -> Result<Owner, Refusal> {
        let (yields, refusal) = match owner {
            Owner::Local => return Err(Refusal::Local),
            _ if sticky => return Err(Refusal::Sticky),
            Owner::Dynamic => return Ok(owner),
            Owner::Static => (self.statics, Refusal::Static),
            Owner::Evpn | Owner::Controller => (self.controlled, Refusal::Owned),
        };
        match yields {
            Yield::Never => Err(refusal),
            Yield::Move => Ok(owner),
            Yield::TakeOver => Ok(Owner::Dynamic),
        }
    }
}
