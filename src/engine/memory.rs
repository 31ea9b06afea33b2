//! The memory an engine works in: lent by the caller, or a [`Storage`] of fixed size.

use super::{BridgeCounters, Counters, Event};
use crate::table::fdb::{BridgeRecord, DestinationRecord};
use crate::table::{Bridge, Bucket, EndpointSlot, FdbMemory, Group, Guard, Member, Port, UnderlaySlot};

/// Every table an engine uses. Any slice may be empty: the engine then has no room for such objects.
///
/// Indices are 16 bits: records beyond 65,535 of a kind are not used.
#[derive(Debug)]
pub struct Memory<'a> {
    /// The forwarding database; four MACs a bucket.
    pub macs: &'a mut [Bucket],
    /// Bridges.
    pub bridges: &'a mut [Bridge],
    /// The FDB's record of each bridge; as long as `bridges`.
    pub bridge_records: &'a mut [BridgeRecord],
    /// Counters of each bridge; as long as `bridges`, or shorter where not all are to be counted.
    pub bridge_counters: &'a mut [BridgeCounters],
    /// VNI to bridge; a bucket for every two bridges is plenty.
    pub vnis: &'a mut [Bucket],
    /// Ports.
    pub ports: &'a mut [Port],
    /// The FDB's record of each port; as long as `ports`.
    pub port_records: &'a mut [DestinationRecord],
    /// Endpoints, with their header templates.
    pub endpoints: &'a mut [EndpointSlot],
    /// The FDB's record of each endpoint; as long as `endpoints`.
    pub endpoint_records: &'a mut [DestinationRecord],
    /// Address to endpoint; a bucket for every endpoint is plenty.
    pub addresses: &'a mut [Bucket],
    /// Flood lists: one for each bridge that floods to endpoints, one for each group address with its own list.
    pub groups: &'a mut [Group],
    /// The FDB's record of each flood list; as long as `groups`.
    pub group_records: &'a mut [DestinationRecord],
    /// Members of all flood lists.
    pub members: &'a mut [Member],
    /// Membership, so that it is found without walking; a bucket for every member is plenty.
    pub memberships: &'a mut [Bucket],
    /// Underlays.
    pub underlays: &'a mut [UnderlaySlot],
    /// Events that wait to be read.
    pub events: &'a mut [Option<Event>],
    /// The engine's counters.
    pub counters: &'a mut Counters,
    /// Storm control and duplicate detection of each bridge; as long as `bridges`, or shorter where not all have any.
    pub guards: &'a mut [Guard],
    /// MACs that have moved of late, four a bucket, for duplicate detection; empty where there is none.
    pub moves: &'a mut [Bucket],
}

impl<'a> Memory<'a> {
    /// The part that is the forwarding database's.
    pub(super) fn split(self) -> (FdbMemory<'a>, Rest<'a>) {
        let fdb = FdbMemory {
            buckets: self.macs,
            bridges: self.bridge_records,
            ports: self.port_records,
            endpoints: self.endpoint_records,
            groups: self.group_records,
        };
        let rest = Rest {
            bridges: self.bridges,
            bridge_counters: self.bridge_counters,
            vnis: self.vnis,
            ports: self.ports,
            endpoints: self.endpoints,
            addresses: self.addresses,
            groups: self.groups,
            members: self.members,
            memberships: self.memberships,
            underlays: self.underlays,
            events: self.events,
            counters: self.counters,
            guards: self.guards,
            moves: self.moves,
        };
        (fdb, rest)
    }
}

/// [`Memory`] without the forwarding database.
pub(super) struct Rest<'a> {
    pub(super) bridges: &'a mut [Bridge],
    pub(super) bridge_counters: &'a mut [BridgeCounters],
    pub(super) vnis: &'a mut [Bucket],
    pub(super) ports: &'a mut [Port],
    pub(super) endpoints: &'a mut [EndpointSlot],
    pub(super) addresses: &'a mut [Bucket],
    pub(super) groups: &'a mut [Group],
    pub(super) members: &'a mut [Member],
    pub(super) memberships: &'a mut [Bucket],
    pub(super) underlays: &'a mut [UnderlaySlot],
    pub(super) events: &'a mut [Option<Event>],
    pub(super) counters: &'a mut Counters,
    pub(super) guards: &'a mut [Guard],
    pub(super) moves: &'a mut [Bucket],
}

/// Memory of a size fixed at compile time.
///
/// `BUCKETS` holds four MACs each; at most 95 % of the places should be counted on. `MEMBERS` is the number of places
/// on all flood lists together. `MOVES` buckets of four keep the moves of MACs for duplicate detection, which needs some. There are two underlays and a flood list for each bridge.
///
/// It is large: keep it in a `static`, or build it where it is to stay.
#[derive(Debug)]
pub struct Storage<
    const BUCKETS: usize,
    const BRIDGES: usize,
    const PORTS: usize,
    const ENDPOINTS: usize,
    const MEMBERS: usize,
    const EVENTS: usize,
    const MOVES: usize = 0,
> {
    macs: [Bucket; BUCKETS],
    bridges: [Bridge; BRIDGES],
    bridge_records: [BridgeRecord; BRIDGES],
    bridge_counters: [BridgeCounters; BRIDGES],
    vnis: [Bucket; BRIDGES],
    ports: [Port; PORTS],
    port_records: [DestinationRecord; PORTS],
    endpoints: [EndpointSlot; ENDPOINTS],
    endpoint_records: [DestinationRecord; ENDPOINTS],
    addresses: [Bucket; ENDPOINTS],
    groups: [Group; BRIDGES],
    group_records: [DestinationRecord; BRIDGES],
    members: [Member; MEMBERS],
    memberships: [Bucket; MEMBERS],
    underlays: [UnderlaySlot; 2],
    events: [Option<Event>; EVENTS],
    counters: Counters,
    guards: [Guard; BRIDGES],
    moves: [Bucket; MOVES],
}

impl<
    const BUCKETS: usize,
    const BRIDGES: usize,
    const PORTS: usize,
    const ENDPOINTS: usize,
    const MEMBERS: usize,
    const EVENTS: usize,
    const MOVES: usize,
> Default for Storage<BUCKETS, BRIDGES, PORTS, ENDPOINTS, MEMBERS, EVENTS, MOVES>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const BUCKETS: usize,
    const BRIDGES: usize,
    const PORTS: usize,
    const ENDPOINTS: usize,
    const MEMBERS: usize,
    const EVENTS: usize,
    const MOVES: usize,
> Storage<BUCKETS, BRIDGES, PORTS, ENDPOINTS, MEMBERS, EVENTS, MOVES>
{
    /// Bytes of it, for a check at build time; see [`Budget`](super::Budget) for what they are made of.
    pub const BYTES: usize = size_of::<Self>();

    /// Empty tables; all bits zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            macs: [Bucket::EMPTY; BUCKETS],
            bridges: [Bridge::EMPTY; BRIDGES],
            bridge_records: [BridgeRecord::EMPTY; BRIDGES],
            bridge_counters: [BridgeCounters::EMPTY; BRIDGES],
            vnis: [Bucket::EMPTY; BRIDGES],
            ports: [Port::EMPTY; PORTS],
            port_records: [DestinationRecord::EMPTY; PORTS],
            endpoints: [EndpointSlot::EMPTY; ENDPOINTS],
            endpoint_records: [DestinationRecord::EMPTY; ENDPOINTS],
            addresses: [Bucket::EMPTY; ENDPOINTS],
            groups: [Group::EMPTY; BRIDGES],
            group_records: [DestinationRecord::EMPTY; BRIDGES],
            members: [Member::EMPTY; MEMBERS],
            memberships: [Bucket::EMPTY; MEMBERS],
            underlays: [UnderlaySlot::EMPTY; 2],
            events: [None; EVENTS],
            counters: Counters::new(),
            guards: [Guard::OFF; BRIDGES],
            moves: [Bucket::EMPTY; MOVES],
        }
    }

    /// The tables, to be lent to an engine.
    pub fn memory(&mut self) -> Memory<'_> {
        Memory {
            macs: &mut self.macs,
            bridges: &mut self.bridges,
            bridge_records: &mut self.bridge_records,
            bridge_counters: &mut self.bridge_counters,
            vnis: &mut self.vnis,
            ports: &mut self.ports,
            port_records: &mut self.port_records,
            endpoints: &mut self.endpoints,
            endpoint_records: &mut self.endpoint_records,
            addresses: &mut self.addresses,
            groups: &mut self.groups,
            group_records: &mut self.group_records,
            members: &mut self.members,
            memberships: &mut self.memberships,
            underlays: &mut self.underlays,
            events: &mut self.events,
            counters: &mut self.counters,
            guards: &mut self.guards,
            moves: &mut self.moves,
        }
    }
}
