//! What the FDB keeps for each bridge, port, endpoint and group: an epoch, counts and limits.

use super::entry::{Epochs, Word, key_bridge};
use crate::table::{BridgeId, Destination, Labels};

/// One bridge's row: ageing, epoch, counts and limit. 32 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub struct BridgeRecord {
    /// The largest age of a living dynamic entry in coarse units; `u64::MAX` where none ever dies.
    pub(super) limit: u64,
    pub(super) learns: bool,
    pub(super) tally: Tally,
}

impl BridgeRecord {
    /// A row of a fresh table; all bits zero.
    pub const EMPTY: Self = Self { limit: 0, learns: false, tally: Tally::EMPTY };

    pub(super) fn words(&self) -> [(u64, u64); 3] {
        let [a, b] = self.tally.words();
        [(self.limit, u64::from(self.learns)), a, b]
    }
}

impl Default for BridgeRecord {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// One port's, endpoint's or group's row: epoch, counts and limit. 20 bytes.
#[derive(Clone, Copy, Debug)]
pub struct DestinationRecord {
    pub(super) tally: Tally,
}

impl DestinationRecord {
    /// A row of a fresh table; all bits zero.
    pub const EMPTY: Self = Self { tally: Tally::EMPTY };
}

impl Default for DestinationRecord {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// How many entries belong to a bridge or a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Dynamic entries since the last epoch flush of this very object. Entries that have expired, or
    /// that a flush of the other object has made void, count until a sweep comes by.
    pub dynamic: u32,
    /// All other entries.
    pub pinned: u32,
    /// The most dynamic entries allowed; `None` is no limit.
    pub limit: Option<u32>,
}

/// An epoch and the counts that go with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// Six bits. A dynamic entry of another epoch is void.
    epoch: u8,
    /// Flushes in the sweep pass before `pass`, and in `pass`.
    flushes: [u8; 2],
    pass: u32,
    dynamic: u32,
    pinned: u32,
    /// One more than the limit; 0 is none.
    limit: u32,
}

impl Tally {
    const EMPTY: Self = Self { epoch: 0, flushes: [0; 2], pass: 0, dynamic: 0, pinned: 0, limit: 0 };
    /// Void entries may still carry this many earlier epochs; one more would be the present one again.
    const MAX_FLUSHES: u8 = 63;

    pub(super) fn words(&self) -> [(u64, u64); 2] {
        let [before, now] = self.flushes;
        let epoch = u64::from(u32::from_be_bytes([0, self.epoch, before, now]));
        [(epoch << 32 | u64::from(self.pass), u64::from(self.limit)), (u64::from(self.dynamic), u64::from(self.pinned))]
    }

    pub(super) const fn counts(&self) -> Counts {
        Counts { dynamic: self.dynamic, pinned: self.pinned, limit: self.limit.checked_sub(1) }
    }

    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit.map_or(0, |limit| limit.saturating_add(1));
    }

    pub(super) const fn is_full(&self) -> bool {
        self.limit != 0 && self.dynamic >= self.limit.saturating_sub(1)
    }

    /// Whether one more flush in sweep pass `pass` would bring back an epoch that a void entry may carry.
    ///
    /// What was void before a pass began is gone when the pass ends, so the flushes of the present
    /// pass and of the one before count.
    pub(super) fn would_wrap(&mut self, pass: u32) -> bool {
        let [before, now] = self.flushes;
        self.flushes = match pass.wrapping_sub(self.pass) {
            0 => [before, now],
            1 => [now, 0],
            _ => [0, 0],
        };
        self.pass = pass;
        let [before, now] = self.flushes;
        before.saturating_add(now) >= Self::MAX_FLUSHES
    }

    /// Makes every dynamic entry of this object void and returns how many there were.
    pub(super) fn flush(&mut self, pass: u32) -> u32 {
        self.would_wrap(pass);
        self.epoch = self.epoch.wrapping_add(1) & 0x3f;
        let [before, now] = self.flushes;
        self.flushes = [before, now.saturating_add(1)];
        core::mem::take(&mut self.dynamic)
    }
}

/// All records.
#[derive(Debug)]
pub(super) struct Books<'a> {
    pub(super) bridges: &'a mut [BridgeRecord],
    /// By the tag of a destination: ports, endpoints, groups. Host and drop have no record.
    pub(super) destinations: [&'a mut [DestinationRecord]; 3],
    /// What entries' metadata stand for, and how many entries there are of each.
    pub(super) labels: Labels<'a>,
}

impl Books<'_> {
    #[inline]
    pub(super) fn bridge(&self, bridge: BridgeId) -> Option<&BridgeRecord> {
        self.bridges.get(bridge.index())
    }

    #[inline]
    pub(super) fn destination(&self, destination: Destination) -> Option<&DestinationRecord> {
        self.destination_by_bits(destination.to_bits())
    }

    #[inline]
    fn destination_by_bits(&self, bits: u32) -> Option<&DestinationRecord> {
        self.destinations.get((bits >> 16) as usize)?.get((bits & 0xffff) as usize)
    }

    pub(super) fn bridge_tally(&mut self, bridge: BridgeId) -> Option<&mut Tally> {
        self.bridges.get_mut(bridge.index()).map(|record| &mut record.tally)
    }

    pub(super) fn destination_tally(&mut self, destination: Destination) -> Option<&mut Tally> {
        let bits = destination.to_bits();
        let record = self.destinations.get_mut((bits >> 16) as usize)?.get_mut((bits & 0xffff) as usize)?;
        Some(&mut record.tally)
    }

    /// The epochs that a living dynamic entry of this bridge and destination carries.
    #[inline]
    pub(super) fn epochs(&self, bridge: BridgeId, destination: Destination) -> Epochs {
        self.epochs_by_bits(bridge, destination.to_bits())
    }

    #[inline]
    fn epochs_by_bits(&self, bridge: BridgeId, bits: u32) -> Epochs {
        Epochs::new(
            self.bridge(bridge).map_or(0, |record| record.tally.epoch),
            self.destination_by_bits(bits).map_or(0, |record| record.tally.epoch),
        )
    }

    /// Whether an epoch flush has made the entry void.
    #[inline]
    pub(super) fn is_void(&self, key: u64, word: Word) -> bool {
        word.is_dynamic() && word.epochs() != self.epochs_by_bits(key_bridge(key), word.destination_bits())
    }

    /// The largest age of a living dynamic entry; nothing lives in a bridge that does not exist.
    #[inline]
    pub(super) fn limit(&self, bridge: BridgeId) -> u64 {
        self.bridge(bridge).map_or(0, |record| record.limit)
    }

    /// Counts a new entry, which carries the present epochs.
    pub(super) fn enter(&mut self, key: u64, word: Word) {
        let up = |tally: &mut Tally| {
            let count = if word.is_dynamic() { &mut tally.dynamic } else { &mut tally.pinned };
            *count = count.saturating_add(1);
        };
        self.bridge_tally(key_bridge(key)).map(up);
        self.destination_tally(word.destination()).map(up);
        self.labels.retain(word.meta());
    }

    /// Counts an entry again that has just been left.
    pub(super) fn enter_again(&mut self, key: u64, word: Word) {
        let up = |tally: &mut Tally, epoch: u8| {
            if !word.is_dynamic() {
                tally.pinned = tally.pinned.saturating_add(1);
            } else if tally.epoch == epoch {
                tally.dynamic = tally.dynamic.saturating_add(1);
            }
        };
        if let Some(tally) = self.bridge_tally(key_bridge(key)) {
            up(tally, word.epochs().bridge());
        }
        if let Some(tally) = self.destination_tally(word.destination()) {
            up(tally, word.epochs().destination());
        }
        self.labels.retain(word.meta());
    }

    /// Stops counting an entry. A flush has already done so for those of an earlier epoch.
    pub(super) fn leave(&mut self, key: u64, word: Word) {
        let down = |tally: &mut Tally, epoch: u8| {
            if !word.is_dynamic() {
                tally.pinned = tally.pinned.saturating_sub(1);
            } else if tally.epoch == epoch {
                tally.dynamic = tally.dynamic.saturating_sub(1);
            }
        };
        if let Some(tally) = self.bridge_tally(key_bridge(key)) {
            down(tally, word.epochs().bridge());
        }
        if let Some(tally) = self.destination_tally(word.destination()) {
            down(tally, word.epochs().destination());
        }
        self.labels.release(word.meta());
    }
}
