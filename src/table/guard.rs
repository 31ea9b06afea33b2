//! What protects a bridge from its own stations: storm control and duplicate detection.

use super::moves::DuplicateDetection;
use super::rate::{Rate, TokenBucket};
use super::{Instant, Slot};
use crate::wire::MacAddr;

/// How much a bridge floods, by kind of destination; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct StormControl {
    /// Frames to ff:ff:ff:ff:ff:ff.
    pub broadcast: Option<Rate>,
    /// Unicast frames whose destination is not in the FDB.
    pub unknown_unicast: Option<Rate>,
    /// Frames to any other group address, whether or not it has a flood list of its own.
    pub multicast: Option<Rate>,
}

impl StormControl {
    /// No limits.
    pub const OFF: Self = Self { broadcast: None, unknown_unicast: None, multicast: None };

    /// The same limit for each kind, in a bucket of its own.
    #[must_use]
    pub const fn each(rate: Rate) -> Self {
        Self { broadcast: Some(rate), unknown_unicast: Some(rate), multicast: Some(rate) }
    }
}

/// One bridge's protection; all-zero memory has none.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    storm: Slot<StormControl>,
    /// Of broadcast, unknown unicast and multicast.
    buckets: [TokenBucket; 3],
    duplicates: Slot<DuplicateDetection>,
}

impl Guard {
    /// No limits; all bits zero.
    pub const OFF: Self = Self { storm: Slot::Empty, buckets: [TokenBucket::FULL; 3], duplicates: Slot::Empty };

    /// Sets the limits of floods. Buckets that had one before keep what they have.
    pub(crate) fn set_storm(&mut self, storm: StormControl) {
        if storm == StormControl::OFF {
            (self.storm, self.buckets) = (Slot::Empty, [TokenBucket::FULL; 3]);
        } else {
            self.storm = Slot::Taken(storm);
        }
    }

    pub(crate) fn set_duplicates(&mut self, config: Option<DuplicateDetection>) {
        self.duplicates = config.map_or(Slot::Empty, Slot::Taken);
    }

    /// The limits of floods.
    #[must_use]
    pub fn storm(&self) -> StormControl {
        self.storm.as_ref().copied().unwrap_or_default()
    }

    /// When MACs that move are duplicates, if that is looked for.
    #[must_use]
    pub fn duplicates(&self) -> Option<&DuplicateDetection> {
        self.duplicates.as_ref()
    }

    /// Whether one more frame to `mac` may be flooded; if so, it is counted.
    pub(crate) fn may_flood(&mut self, now: Instant, mac: MacAddr) -> bool {
        let Some(storm) = self.storm.as_ref() else { return true };
        let [broadcast, unknown_unicast, multicast] = &mut self.buckets;
        let (rate, bucket) = if mac.is_broadcast() {
            (storm.broadcast, broadcast)
        } else if mac.is_multicast() {
            (storm.multicast, multicast)
        } else {
            (storm.unknown_unicast, unknown_unicast)
        };
        rate.is_none_or(|rate| bucket.take(now, rate))
    }

    /// Whether it may be that a frame is not flooded.
    pub(crate) const fn limits_floods(&self) -> bool {
        !self.storm.is_empty()
    }

    /// What the buckets hold, for a digest.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.buckets.iter().flat_map(TokenBucket::words)
    }

    /// Whether there is nothing to it.
    pub(crate) const fn is_off(&self) -> bool {
        self.storm.is_empty() && self.duplicates.is_empty()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::OFF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const GROUP: MacAddr = MacAddr([1, 0, 0x5e, 0, 0, 1]);

    #[test]
    fn each_kind_has_a_bucket_of_its_own() {
        let rate = |burst| Some(Rate { per_second: 0, burst });
        let mut guard = Guard::OFF;
        assert!((0..99).all(|_| guard.may_flood(Instant::ZERO, GROUP)));
        guard.set_storm(StormControl { broadcast: rate(1), unknown_unicast: rate(2), multicast: None });
        let passed = |guard: &mut Guard, mac| (0..9).filter(|_| guard.may_flood(Instant::ZERO, mac)).count();
        let counts = [MacAddr::BROADCAST, STATION, GROUP].map(|mac| passed(&mut guard, mac));
        assert_eq!(counts, [1, 2, 9]);
        // A change of limits is no refill; switching off is.
        guard.set_storm(StormControl { broadcast: rate(3), unknown_unicast: rate(2), multicast: rate(0) });
        let counts = [MacAddr::BROADCAST, STATION, GROUP].map(|mac| passed(&mut guard, mac));
        assert_eq!(counts, [2, 0, 0]);
        guard.set_storm(StormControl::OFF);
        assert!(guard.is_off());
        guard.set_storm(StormControl::each(Rate { per_second: 0, burst: 1 }));
        let counts = [MacAddr::BROADCAST, STATION, GROUP].map(|mac| passed(&mut guard, mac));
        assert_eq!((counts, guard.is_off()), ([1, 1, 1], false));
    }
}
