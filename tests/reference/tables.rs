//! An engine's memory, of any size.

use vtep::engine::{BridgeCounters, Counters, Event, Memory};
use vtep::table::fdb::{BridgeRecord, DestinationRecord};
use vtep::table::{Bridge, Bucket, EndpointSlot, Group, Guard, Member, Port, UnderlaySlot};

/// How much of everything; see [`Memory`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) macs: usize,
    pub(crate) bridges: usize,
    pub(crate) bridge_records: usize,
    pub(crate) bridge_counters: usize,
    pub(crate) vnis: usize,
    pub(crate) ports: usize,
    pub(crate) port_records: usize,
    pub(crate) endpoints: usize,
    pub(crate) endpoint_records: usize,
    pub(crate) addresses: usize,
    pub(crate) groups: usize,
    pub(crate) group_records: usize,
    pub(crate) members: usize,
    pub(crate) memberships: usize,
    pub(crate) underlays: usize,
    pub(crate) events: usize,
    pub(crate) guards: usize,
    pub(crate) moves: usize,
}

impl Sizes {
    /// More than any test here needs.
    pub(crate) const AMPLE: Self = Self {
        macs: 64,
        bridges: 3,
        bridge_records: 3,
        bridge_counters: 3,
        vnis: 8,
        ports: 6,
        port_records: 6,
        endpoints: 128,
        endpoint_records: 128,
        addresses: 128,
        groups: 16,
        group_records: 16,
        members: 64,
        memberships: 64,
        underlays: 2,
        events: 256,
        guards: 3,
        moves: 64,
    };

    pub(crate) const NOTHING: Self = Self {
        macs: 0,
        bridges: 0,
        bridge_records: 0,
        bridge_counters: 0,
        vnis: 0,
        ports: 0,
        port_records: 0,
        endpoints: 0,
        endpoint_records: 0,
        addresses: 0,
        groups: 0,
        group_records: 0,
        members: 0,
        memberships: 0,
        underlays: 0,
        events: 0,
        guards: 0,
        moves: 0,
    };

    /// Each size on its own, to be made larger or smaller.
    pub(crate) fn each(&mut self) -> [&mut usize; 18] {
        [
            &mut self.macs,
            &mut self.bridges,
            &mut self.bridge_records,
            &mut self.bridge_counters,
            &mut self.vnis,
            &mut self.ports,
            &mut self.port_records,
            &mut self.endpoints,
            &mut self.endpoint_records,
            &mut self.addresses,
            &mut self.groups,
            &mut self.group_records,
            &mut self.members,
            &mut self.memberships,
            &mut self.underlays,
            &mut self.events,
            &mut self.guards,
            &mut self.moves,
        ]
    }
}

/// The memory itself.
pub(crate) struct Tables {
    macs: Vec<Bucket>,
    bridges: Vec<Bridge>,
    bridge_records: Vec<BridgeRecord>,
    bridge_counters: Vec<BridgeCounters>,
    vnis: Vec<Bucket>,
    ports: Vec<Port>,
    port_records: Vec<DestinationRecord>,
    endpoints: Vec<EndpointSlot>,
    endpoint_records: Vec<DestinationRecord>,
    addresses: Vec<Bucket>,
    groups: Vec<Group>,
    group_records: Vec<DestinationRecord>,
    members: Vec<Member>,
    memberships: Vec<Bucket>,
    underlays: Vec<UnderlaySlot>,
    events: Vec<Option<Event>>,
    counters: Counters,
    guards: Vec<Guard>,
    moves: Vec<Bucket>,
}

impl Tables {
    pub(crate) fn new(sizes: &Sizes) -> Self {
        Self {
            macs: vec![Bucket::EMPTY; sizes.macs],
            bridges: vec![Bridge::EMPTY; sizes.bridges],
            bridge_records: vec![BridgeRecord::EMPTY; sizes.bridge_records],
            bridge_counters: vec![BridgeCounters::EMPTY; sizes.bridge_counters],
            vnis: vec![Bucket::EMPTY; sizes.vnis],
            ports: vec![Port::EMPTY; sizes.ports],
            port_records: vec![DestinationRecord::EMPTY; sizes.port_records],
            endpoints: vec![EndpointSlot::EMPTY; sizes.endpoints],
            endpoint_records: vec![DestinationRecord::EMPTY; sizes.endpoint_records],
            addresses: vec![Bucket::EMPTY; sizes.addresses],
            groups: vec![Group::EMPTY; sizes.groups],
            group_records: vec![DestinationRecord::EMPTY; sizes.group_records],
            members: vec![Member::EMPTY; sizes.members],
            memberships: vec![Bucket::EMPTY; sizes.memberships],
            underlays: vec![UnderlaySlot::EMPTY; sizes.underlays],
            events: vec![None; sizes.events],
            counters: Counters::new(),
            guards: vec![Guard::OFF; sizes.guards],
            moves: vec![Bucket::EMPTY; sizes.moves],
        }
    }

    pub(crate) fn memory(&mut self) -> Memory<'_> {
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
