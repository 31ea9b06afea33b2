//! The memory an engine works in, sized at start.

use vtep::engine::{BridgeCounters, Counters, Event, LabelMemory, Memory};
use vtep::table::fdb::{BridgeRecord, DestinationRecord};
use vtep::table::{
    Bridge, Bucket, EndpointSlot, Group, Guard, LabelSlot, Member, Port, RuleSlot, TrafficMap, UnderlaySlot,
};

/// How many of each there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Buckets of four MACs.
    pub buckets: u32,
    pub bridges: u16,
    pub ports: u16,
    pub endpoints: u16,
    /// Flood lists: one for each bridge, and some for group addresses.
    pub groups: u16,
    /// Members of all flood lists.
    pub members: u16,
    pub events: u16,
    /// Pairs of security group and traffic class.
    pub labels: u16,
    pub rules: u16,
    /// Traffic maps.
    pub maps: u16,
}

impl Sizes {
    /// Room for 65,536 MACs and 4,096 endpoints, which are 2 MiB.
    pub const fn new(bridges: u16, ports: u16) -> Self {
        Self {
            buckets: 16_384,
            bridges,
            ports,
            endpoints: 4_096,
            groups: bridges.saturating_add(256),
            members: 8_192,
            events: 4_096,
            labels: 0,
            rules: 0,
            maps: 0,
        }
    }
}

/// Buckets of four MACs that have moved of late: duplicate detection looks at those.
const MOVES: usize = 256;

/// Every table of an engine.
pub struct Tables {
    sizes: Sizes,
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
    labels: Vec<LabelSlot>,
    label_map: Vec<Bucket>,
    rules: Vec<RuleSlot>,
    rule_map: Vec<Bucket>,
    traffic: Vec<TrafficMap>,
}

impl Tables {
    pub fn new(sizes: Sizes) -> Self {
        let [bridges, ports] = [sizes.bridges, sizes.ports].map(usize::from);
        let [endpoints, groups, members] = [sizes.endpoints, sizes.groups, sizes.members].map(usize::from);
        Self {
            sizes,
            macs: vec![Bucket::EMPTY; sizes.buckets as usize],
            bridges: vec![Bridge::EMPTY; bridges],
            bridge_records: vec![BridgeRecord::EMPTY; bridges],
            bridge_counters: vec![BridgeCounters::EMPTY; bridges],
            vnis: vec![Bucket::EMPTY; bridges],
            ports: vec![Port::EMPTY; ports],
            port_records: vec![DestinationRecord::EMPTY; ports],
            endpoints: vec![EndpointSlot::EMPTY; endpoints],
            endpoint_records: vec![DestinationRecord::EMPTY; endpoints],
            addresses: vec![Bucket::EMPTY; endpoints],
            groups: vec![Group::EMPTY; groups],
            group_records: vec![DestinationRecord::EMPTY; groups],
            members: vec![Member::EMPTY; members],
            memberships: vec![Bucket::EMPTY; members],
            underlays: vec![UnderlaySlot::EMPTY; 1],
            events: vec![None; usize::from(sizes.events)],
            counters: Counters::new(),
            guards: vec![Guard::OFF; bridges],
            moves: vec![Bucket::EMPTY; MOVES],
            labels: vec![LabelSlot::EMPTY; usize::from(sizes.labels)],
            label_map: vec![Bucket::EMPTY; usize::from(sizes.labels)],
            rules: vec![RuleSlot::new(); usize::from(sizes.rules)],
            rule_map: vec![Bucket::EMPTY; usize::from(sizes.rules)],
            traffic: vec![TrafficMap::ZERO; usize::from(sizes.maps)],
        }
    }

    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub fn memory(&mut self) -> (Memory<'_>, LabelMemory<'_>) {
        let labels = LabelMemory {
            labels: &mut self.labels,
            label_map: &mut self.label_map,
            rules: &mut self.rules,
            rule_map: &mut self.rule_map,
            traffic: &mut self.traffic,
            known: &[],
        };
        let memory = Memory {
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
        };
        (memory, labels)
    }
}
