//! What a controller wants to know, in a bounded queue.

use super::Place;
use crate::table::BridgeId;
use crate::wire::{Label, MacAddr};

/// Something happened that no caller asked for.
///
/// The numbers start at 1, so that `None` in a queue is all zero bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
#[repr(u8)]
pub enum Event {
    /// A MAC was learned from a packet.
    Learned {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// Its security group and traffic class, as its packet said.
        label: Label,
    } = 1,
    /// A known MAC was learned elsewhere.
    Moved {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it was.
        from: Place,
        /// Where it is.
        to: Place,
        /// Its security group and traffic class, as its packet said.
        label: Label,
    } = 2,
    /// A packet would have moved an entry that data packets do not move.
    MoveRefused {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where the packet came from.
        place: Place,
    } = 3,
    /// A learned MAC was forgotten for lack of packets from it.
    Aged {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it was.
        place: Place,
    } = 4,
    /// A learned MAC had to make room for another.
    Evicted {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it was.
        place: Place,
    } = 5,
    /// A unicast destination was not in the FDB of a bridge with `l2miss`.
    Miss {
        /// The bridge.
        bridge: BridgeId,
        /// The destination.
        mac: MacAddr,
    } = 6,
    /// A MAC could not be learned: a table or a quota is full.
    TableFull {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
    } = 7,
    /// A MAC has moved so often that it must be in two places (RFC 7432 section 15.1).
    Duplicate {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is. Unless duplicates are only reported, it stays there.
        place: Place,
        /// Where it was heard last.
        other: Place,
    } = 8,
    /// The time of a duplicate is over: the MAC may move again. Raised by a tick, or by its next move.
    DuplicateCleared {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
    } = 9,
    /// A known MAC has another security group or traffic class.
    Relabelled {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// What it has now.
        label: Label,
    } = 16,
    /// A MAC could not be learned: there is no room for its security group and traffic class.
    LabelsFull {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// What it has.
        label: Label,
    } = 17,
}

/// A ring of events in memory lent by the caller; what does not fit is counted.
#[derive(Debug)]
pub struct Events<'a> {
    ring: &'a mut [Option<Event>],
    head: usize,
    len: usize,
    lost: u64,
}

impl<'a> Events<'a> {
    /// An empty queue for as many events as `ring` has places; 0 is legal.
    pub fn new(ring: &'a mut [Option<Event>]) -> Self {
        ring.fill(None);
        Self { ring, head: 0, len: 0, lost: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many were lost because the queue was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn push(&mut self, event: Event) {
        let capacity = self.ring.len();
        if self.len >= capacity {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let at = wrap(self.head.saturating_add(self.len), capacity);
        if let Some(place) = self.ring.get_mut(at) {
            *place = Some(event);
            self.len = self.len.saturating_add(1);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        if self.len == 0 {
            return None;
        }
        let event = self.ring.get_mut(self.head)?.take();
        self.head = wrap(self.head.saturating_add(1), self.ring.len());
        self.len = self.len.saturating_sub(1);
        event
    }
}

/// `at`, which is below twice `capacity`, as an index.
const fn wrap(at: usize, capacity: usize) -> usize {
    if at >= capacity { at.saturating_sub(capacity) } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_losses_are_counted() {
        let miss = |n| Event::Miss { bridge: BridgeId(n), mac: MacAddr::BROADCAST };
        let mut ring = [None; 2];
        let mut events = Events::new(&mut ring);
        for round in 0..5 {
            events.push(miss(round));
            events.push(miss(round + 100));
            events.push(miss(999));
            assert_eq!(events.pop(), Some(miss(round)));
            assert_eq!(events.pop(), Some(miss(round + 100)));
            assert_eq!(events.pop(), None);
        }
        assert_eq!(events.lost(), 5);
        let mut none = Events::new(&mut []);
        none.push(miss(1));
        assert_eq!((none.pop(), none.lost()), (None, 1));
    }
}
