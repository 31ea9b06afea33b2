//! What an engine's memory will take, known when the program is built.

use super::{BridgeCounters, Counters, Engine, Event};
use crate::table::fdb::{BridgeRecord, DestinationRecord};
use crate::table::{Bridge, Bucket, EndpointSlot, Group, Guard, Member, Port, UnderlaySlot, cuckoo};

/// How many of each an engine has room for; bytes are those of this target.
///
/// ```
/// use vtep::engine::Budget;
///
/// const BUDGET: Budget = Budget { macs: 1000, bridges: 16, ports: 16, endpoints: 64, members: 64, events: 64, moves: 0 };
/// const _: () = assert!(BUDGET.bytes() < 64 << 10);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// MACs that are sure to find a place: the forwarding database is counted on to 95 %.
    pub macs: usize,
    /// Bridges, one VNI each, with a flood list each.
    pub bridges: usize,
    /// Ports.
    pub ports: usize,
    /// Endpoints.
    pub endpoints: usize,
    /// Places on flood lists.
    pub members: usize,
    /// Events that wait.
    pub events: usize,
    /// MACs whose moves duplicate detection remembers.
    pub moves: usize,
}

impl Budget {
    /// What every engine takes: itself, its counters, two underlays.
    pub const ENGINE: usize = size_of::<Engine<'_>>()
        .saturating_add(size_of::<Counters>())
        .saturating_add(size_of::<UnderlaySlot>().saturating_mul(2));
    /// A bucket of four MACs.
    pub const BUCKET: usize = size_of::<Bucket>();
    /// A bridge: VNI, records, counters, flood list, limits.
    pub const BRIDGE: usize = sum(&[
        size_of::<Bridge>(),
        size_of::<BridgeRecord>(),
        size_of::<BridgeCounters>(),
        size_of::<Bucket>(),
        size_of::<Group>(),
        size_of::<DestinationRecord>(),
        size_of::<Guard>(),
    ]);
    /// A port.
    pub const PORT: usize = sum(&[size_of::<Port>(), size_of::<DestinationRecord>()]);
    /// An endpoint: ready-made outer header, record, address look-up.
    pub const ENDPOINT: usize = sum(&[size_of::<EndpointSlot>(), size_of::<DestinationRecord>(), size_of::<Bucket>()]);
    /// A place on a flood list.
    pub const MEMBER: usize = sum(&[size_of::<Member>(), size_of::<Bucket>()]);
    /// A waiting event.
    pub const EVENT: usize = size_of::<Option<Event>>();

    /// The buckets that so many MACs need: `BUCKETS` of a [`Storage`](super::Storage).
    #[must_use]
    pub const fn buckets(macs: usize) -> usize {
        macs.saturating_mul(100).div_ceil(95).div_ceil(cuckoo::SLOTS)
    }

    /// Bytes of all tables and of the engine, without what alignment adds between them: less than 64 bytes a table.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        sum(&[
            Self::ENGINE,
            Self::BUCKET.saturating_mul(Self::buckets(self.macs)),
            Self::BRIDGE.saturating_mul(self.bridges),
            Self::PORT.saturating_mul(self.ports),
            Self::ENDPOINT.saturating_mul(self.endpoints),
            Self::MEMBER.saturating_mul(self.members),
            Self::EVENT.saturating_mul(self.events),
            Self::BUCKET.saturating_mul(self.moves.div_ceil(cuckoo::SLOTS)),
        ])
    }
}

const fn sum(mut parts: &[usize]) -> usize {
    let mut total: usize = 0;
    while let [part, rest @ ..] = parts {
        total = total.saturating_add(*part);
        parts = rest;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Storage;

    #[test]
    fn a_storage_takes_what_the_budget_says() {
        let with = |storage: usize, budget: Budget| {
            let bytes = budget.bytes() - size_of::<Engine<'_>>();
            // 19 tables, each at the next cache line at the worst.
            assert!((bytes..bytes + 19 * 64).contains(&storage), "{storage} bytes, budget {bytes}");
        };
        with(Storage::<0, 0, 0, 0, 0, 0>::BYTES, Budget::default());
        let budget = Budget { macs: 243, bridges: 5, ports: 70, endpoints: 64, members: 96, events: 33, moves: 8 };
        assert_eq!(Budget::buckets(budget.macs), 64);
        with(Storage::<64, 5, 70, 64, 96, 33, 2>::BYTES, budget);
        with(
            Storage::<64, 500, 7, 6, 9, 3, 0>::BYTES,
            Budget { bridges: 500, ports: 7, endpoints: 6, members: 9, events: 3, moves: 0, ..budget },
        );
    }

    #[test]
    fn buckets_fill_to_95_percent() {
        let expected = [(0, 0), (1, 1), (3, 1), (4, 2), (243, 64), (244, 65)];
        assert_eq!(expected.map(|(macs, _)| (macs, Budget::buckets(macs))), expected);
        assert_eq!(Budget { macs: usize::MAX, ports: usize::MAX, ..Budget::default() }.bytes(), usize::MAX);
    }
}
