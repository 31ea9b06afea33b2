//! Changes by command: add, replace, delete, flush, limits and ageing.

use super::entry::{Entry, Removal, Removed, Word, key_bridge};
use super::learn::Refusal;
use super::{Fdb, Probe, State};
use crate::table::cuckoo::Full;
use crate::table::{Ageing, AgeingTooLong, BridgeId, Destination, Instant, Meta, Owner};
use crate::wire::MacAddr;

/// An entry to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Add {
    /// Where frames for the MAC go.
    pub destination: Destination,
    /// Metadata.
    pub meta: Meta,
    /// Who says so.
    pub owner: Owner,
    /// Whether learning may never move it.
    pub sticky: bool,
}

/// Why a command has not been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum FdbError {
    /// There is such an entry already.
    Exists = 0,
    /// The MAC is zero, or it is multicast and the entry dynamic.
    BadMac = 1,
    /// There is no such bridge.
    BadBridge = 2,
    /// There is no such port, endpoint or group, or the entry is dynamic and frames cannot come from
    /// there (host, drop).
    BadDestination = 3,
    /// The bridge has as many dynamic entries as it may have.
    BridgeLimit = 4,
    /// The destination has as many dynamic entries as it may have.
    DestinationLimit = 5,
    /// No slot was free, and none might be freed.
    TableFull = 6,
    /// The ageing time is beyond [`Ageing::MAX`].
    AgeingTooLong = 7,
}

impl FdbError {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::BadMac => "bad-mac",
            Self::BadBridge => "bad-bridge",
            Self::BadDestination => "bad-destination",
            Self::BridgeLimit => "bridge-limit",
            Self::DestinationLimit => "destination-limit",
            Self::TableFull => "table-full",
            Self::AgeingTooLong => "ageing-too-long",
        }
    }
}

impl core::fmt::Display for FdbError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for FdbError {}

impl From<AgeingTooLong> for FdbError {
    fn from(_: AgeingTooLong) -> Self {
        Self::AgeingTooLong
    }
}

bitflags::bitflags! {
    /// A set of [`Owner`]s.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Owners: u8 {
        /// [`Owner::Dynamic`].
        const DYNAMIC = 1 << 0;
        /// [`Owner::Static`].
        const STATIC = 1 << 1;
        /// [`Owner::Evpn`].
        const EVPN = 1 << 2;
        /// [`Owner::Controller`].
        const CONTROLLER = 1 << 3;
        /// [`Owner::Local`].
        const LOCAL = 1 << 4;
    }
}

crate::macros::flag_traits!(Owners, u8);

impl From<Owner> for Owners {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Dynamic => Self::DYNAMIC,
            Owner::Static => Self::STATIC,
            Owner::Evpn => Self::EVPN,
            Owner::Controller => Self::CONTROLLER,
            Owner::Local => Self::LOCAL,
        }
    }
}

/// Which entries a flush removes: those that every field that is set agrees with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Of one bridge only.
    pub bridge: Option<BridgeId>,
    /// To one destination only.
    pub destination: Option<Destination>,
    /// With this metadata only.
    pub meta: Option<Meta>,
    /// Of these owners only. By default the dynamic ones.
    pub owners: Owners,
    /// Only those that are sticky, or only those that are not.
    pub sticky: Option<bool>,
}

impl Filter {
    /// Every dynamic entry.
    pub const DYNAMIC: Self =
        Self { bridge: None, destination: None, meta: None, owners: Owners::DYNAMIC, sticky: None };
    /// Every entry.
    pub const ALL: Self = Self { owners: Owners::all(), ..Self::DYNAMIC };

    fn covers(&self, key: u64, word: Word) -> bool {
        self.owners.contains(Owners::from(word.owner()))
            && self.bridge.is_none_or(|bridge| bridge == key_bridge(key))
            && self.destination.is_none_or(|destination| destination == word.destination())
            && self.meta.is_none_or(|meta| meta == word.meta())
            && self.sticky.is_none_or(|sticky| sticky == word.is_sticky())
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::DYNAMIC
    }
}

impl Fdb<'_> {
    /// Adds an entry. Returns the one that had its slot, if that had expired or was evicted.
    ///
    /// Limits hold for dynamic entries only. A multicast MAC is legal unless the entry is dynamic.
    ///
    /// # Errors
    ///
    /// [`FdbError::Exists`] if there is an entry of any owner; the others as named. Nothing has changed.
    pub fn add(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        add: &Add,
    ) -> Result<Option<Removed>, FdbError> {
        self.advance(now);
        if self.lookup(now, bridge, mac).is_some() {
            return Err(FdbError::Exists);
        }
        self.put(bridge, mac, add)
    }

    /// Adds an entry, or changes the one that is there, whoever owns it. Returns the entry that had its
    /// slot, if that had expired or was evicted.
    ///
    /// # Errors
    ///
    /// As [`Fdb::add`], but never [`FdbError::Exists`]. Nothing has changed.
    pub fn replace(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        add: &Add,
    ) -> Result<Option<Removed>, FdbError> {
        self.advance(now);
        self.put(bridge, mac, add)
    }

    /// Takes an entry out, whoever owns it. `None` if there is none, or it has expired.
    pub fn delete(&mut self, now: Instant, bridge: BridgeId, mac: MacAddr) -> Option<Entry> {
        self.advance(now);
        let probe = self.probe(bridge, mac);
        let entry = self.lookup_probe(now, probe)?;
        let word = Word(self.map.remove_hashed(probe.key, probe.hash)?);
        self.books.leave(probe.key, word);
        Some(entry)
    }

    /// Takes out every entry that `filter` covers, shows it to `on_removed` and returns how many there
    /// were. Walks the table.
    ///
    /// Expired ones that no sweep has met yet are among them, with [`Removal::Expired`].
    pub fn flush(&mut self, now: Instant, filter: &Filter, mut on_removed: impl FnMut(Removed)) -> usize {
        self.advance(now);
        let Self { map, books, clock, .. } = self;
        let mut removed = 0usize;
        map.retain(0, usize::MAX, |key, word| {
            let word = Word(*word);
            if !filter.covers(key, word) {
                return true;
            }
            let age = clock.age(word, 0);
            let why = match books.state(key, word, age) {
                State::Alive => Removal::Flushed,
                State::Expired => Removal::Expired,
                State::Void => return true,
            };
            books.leave(key, word);
            removed = removed.saturating_add(1);
            on_removed(Removed::new(key, Entry::new(word, age), why));
            false
        });
        removed
    }

    /// Forgets every dynamic entry of a bridge at once and returns how many slots they held.
    ///
    /// Constant time, but for the 64th flush of one bridge within two sweep passes, which walks the table.
    /// The entries are not reported one by one, here or later.
    pub fn flush_bridge(&mut self, bridge: BridgeId) -> u32 {
        let pass = self.clock.pass;
        let Some(tally) = self.books.bridge_tally(bridge) else { return 0 };
        if tally.would_wrap(pass) {
            self.tidy();
        }
        self.clock.note_flush();
        let pass = self.clock.pass;
        self.books.bridge_tally(bridge).map_or(0, |tally| tally.flush(pass))
    }

    /// Forgets every dynamic entry of a port, endpoint or group at once and returns how many slots they
    /// held. Costs what [`Fdb::flush_bridge`] does.
    pub fn flush_destination(&mut self, destination: Destination) -> u32 {
        let pass = self.clock.pass;
        let Some(tally) = self.books.destination_tally(destination) else { return 0 };
        if tally.would_wrap(pass) {
            self.tidy();
        }
        self.clock.note_flush();
        let pass = self.clock.pass;
        self.books.destination_tally(destination).map_or(0, |tally| tally.flush(pass))
    }

    /// Sets the most dynamic entries that a bridge may have; what it has beyond that stays.
    ///
    /// # Errors
    ///
    /// [`FdbError::BadBridge`].
    pub fn set_bridge_limit(&mut self, bridge: BridgeId, limit: Option<u32>) -> Result<(), FdbError> {
        self.books.bridge_tally(bridge).map(|tally| tally.set_limit(limit)).ok_or(FdbError::BadBridge)
    }

    /// Sets the most dynamic entries that a port, endpoint or group may have; what it has beyond that stays.
    ///
    /// # Errors
    ///
    /// [`FdbError::BadDestination`].
    pub fn set_destination_limit(&mut self, destination: Destination, limit: Option<u32>) -> Result<(), FdbError> {
        let tally = self.books.destination_tally(destination).ok_or(FdbError::BadDestination)?;
        tally.set_limit(limit);
        Ok(())
    }

    /// Sets the ageing of a bridge. Shows those entries to `on_removed` that have expired by the old
    /// time and no sweep has met yet: they stay dead.
    ///
    /// With [`Ageing::NoLearn`] the bridge's dynamic entries are flushed. An entry that did not age so
    /// far begins to at `now`. Walks the table if the bridge has dynamic entries and the new time is
    /// longer.
    ///
    /// # Errors
    ///
    /// [`FdbError::BadBridge`] and [`FdbError::AgeingTooLong`].
    pub fn set_ageing(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        ageing: Ageing,
        mut on_removed: impl FnMut(Removed),
    ) -> Result<(), FdbError> {
        let limit = ageing.limit()?;
        let old = self.books.bridge(bridge).ok_or(FdbError::BadBridge)?.limit;
        self.advance(now);
        if ageing == Ageing::NoLearn {
            self.flush_bridge(bridge);
        }
        let Self { map, books, clock, .. } = self;
        let new = limit.map_or(u64::MAX, u64::from);
        let dynamic = books.bridge(bridge).map_or(0, |record| record.tally.counts().dynamic);
        let rejuvenate = old == u64::MAX && new != old;
        if dynamic != 0 && (rejuvenate || new > old) {
            map.retain(0, usize::MAX, |key, slot| {
                let word = Word(*slot);
                if key_bridge(key) != bridge || !word.is_dynamic() {
                    return true;
                }
                let age = clock.age(word, 0);
                if books.state(key, word, age) == State::Expired {
                    books.leave(key, word);
                    on_removed(Removed::new(key, Entry::new(word, age), Removal::Expired));
                    return false;
                }
                if rejuvenate {
                    *slot = word.stamped(clock.stamp()).0;
                }
                true
            });
        }
        clock.note_limit(limit);
        if let Some(record) = books.bridges.get_mut(bridge.index()) {
            let learned = core::mem::replace(&mut record.learns, ageing != Ageing::NoLearn);
            record.limit = new;
            clock.note_learning(learned, record.learns);
        }
        Ok(())
    }

    /// Writes an entry over the one of the same MAC, or into a slot of its own.
    fn put(&mut self, bridge: BridgeId, mac: MacAddr, add: &Add) -> Result<Option<Removed>, FdbError> {
        let probe = self.probe(bridge, mac);
        let word = self.word_for(probe, add)?;
        let Some(slot) = self.map.get_mut(probe.key, probe.hash) else {
            if word.is_dynamic() {
                self.books.check_limits(probe.key, word)?;
            }
            return self.place(probe, word).map_err(|Full| FdbError::TableFull);
        };
        let old = Word(*slot);
        let age = self.clock.age(old, 0);
        let state = self.books.state(probe.key, old, age);
        self.books.leave(probe.key, old);
        if word.is_dynamic() {
            if let Err(refusal) = self.books.check_limits(probe.key, word) {
                self.books.enter_again(probe.key, old);
                return Err(refusal.into());
            }
        }
        self.books.enter(probe.key, word);
        *slot = word.0;
        let removed = Removed::new(probe.key, Entry::new(old, age), Removal::Expired);
        Ok((state == State::Expired).then_some(removed))
    }

    fn word_for(&self, probe: Probe, add: &Add) -> Result<Word, FdbError> {
        let bridge = key_bridge(probe.key);
        let mac = super::key_mac(probe.key);
        let dynamic = add.owner == Owner::Dynamic;
        if mac == MacAddr::ZERO || (dynamic && mac.is_multicast()) {
            return Err(FdbError::BadMac);
        }
        if self.books.bridge(bridge).is_none() {
            return Err(FdbError::BadBridge);
        }
        let uncounted = matches!(add.destination, Destination::Host | Destination::Drop);
        if self.books.destination(add.destination).is_none() && (dynamic || !uncounted) {
            return Err(FdbError::BadDestination);
        }
        let word = Word::dynamic(add.destination, add.meta, self.books.epochs(bridge, add.destination));
        Ok(word.with_owner(add.owner).with_sticky(add.sticky).stamped(self.clock.stamp()))
    }
}

impl From<Refusal> for FdbError {
    /// Of the limits; nothing else is asked of them.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BridgeLimit => Self::BridgeLimit,
            Refusal::DestinationLimit => Self::DestinationLimit,
            Refusal::BadMac => Self::BadMac,
            Refusal::BadBridge => Self::BadBridge,
            Refusal::BadDestination => Self::BadDestination,
            _ => Self::TableFull,
        }
    }
}
