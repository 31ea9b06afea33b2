//! An engine's memory, as large as a scenario says.

use vtep::engine::{BridgeCounters, Counters, Event, LabelMemory, Memory};
use vtep::table::fdb::{BridgeRecord, DestinationRecord};
use vtep::table::{Bridge, Bucket, EndpointSlot, Group, Guard, LabelSlot, Member, Port, RuleSlot, UnderlaySlot};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub buckets: usize,
    pub bridges: usize,
    pub ports: usize,
    pub endpoints: usize,
    pub members: usize,
    pub events: usize,
    pub labels: usize,
    pub rules: usize,
    /// Buckets for MACs that move.
    pub moves: usize,
}

impl Sizes {
    /// Bytes of all tables together.
    pub fn bytes(&self) -> usize {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes by what they are for.
    pub const fn parts(&self) -> [(&'static str, usize); 8] {
        let Self { buckets, bridges, ports, endpoints, members, events, labels, rules, moves } = *self;
        let each_bridge = size_of::<Bridge>()
            + size_of::<BridgeRecord>()
            + size_of::<BridgeCounters>()
            + size_of::<Bucket>()
            + size_of::<Guard>()
            + size_of::<Group>()
            + size_of::<DestinationRecord>();
        let each_endpoint = size_of::<EndpointSlot>() + size_of::<DestinationRecord>() + size_of::<Bucket>();
        let each_port = size_of::<Port>() + size_of::<DestinationRecord>();
        let rest = 2 * size_of::<UnderlaySlot>() + size_of::<Counters>();
        [
            ("MACs", buckets * size_of::<Bucket>()),
            ("bridges", bridges * each_bridge),
            ("ports", ports * each_port),
            ("endpoints", endpoints * each_endpoint),
            ("flood lists", members * (size_of::<Member>() + size_of::<Bucket>())),
            (
                "labels and rules",
                (labels + rules) * size_of::<Bucket>()
                    + labels * size_of::<LabelSlot>()
                    + rules * size_of::<RuleSlot>(),
            ),
            ("MACs that move", moves * size_of::<Bucket>()),
            ("events, underlays and counters", events * size_of::<Option<Event>>() + rest),
        ]
    }
}

/// The memory of one engine; none until [`Tables::lend`] is told how much.
#[derive(Default)]
pub struct Tables {
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
}

impl Tables {
    pub fn lend(&mut self, sizes: &Sizes) -> (Memory<'_>, LabelMemory<'_>) {
        let Sizes { buckets, bridges, ports, endpoints, members, events, labels, rules, moves } = *sizes;
        *self = Self {
            macs: vec![Bucket::EMPTY; buckets],
            bridges: vec![Bridge::EMPTY; bridges],
            bridge_records: vec![BridgeRecord::EMPTY; bridges],
            bridge_counters: vec![BridgeCounters::EMPTY; bridges],
            vnis: vec![Bucket::EMPTY; bridges],
            ports: vec![Port::EMPTY; ports],
            port_records: vec![DestinationRecord::EMPTY; ports],
            endpoints: vec![EndpointSlot::EMPTY; endpoints],
            endpoint_records: vec![DestinationRecord::EMPTY; endpoints],
            addresses: vec![Bucket::EMPTY; endpoints],
            groups: vec![Group::EMPTY; bridges],
            group_records: vec![DestinationRecord::EMPTY; bridges],
            members: vec![Member::EMPTY; members],
            memberships: vec![Bucket::EMPTY; members],
            underlays: vec![UnderlaySlot::EMPTY; 2],
            events: vec![None; events],
            counters: Counters::new(),
            guards: vec![Guard::OFF; bridges],
            moves: vec![Bucket::EMPTY; moves],
            labels: vec![LabelSlot::EMPTY; labels],
            label_map: vec![Bucket::EMPTY; labels],
            rules: vec![RuleSlot::new(); rules],
            rule_map: vec![Bucket::EMPTY; rules],
        };
        let labels = LabelMemory {
            labels: &mut self.labels,
            label_map: &mut self.label_map,
            rules: &mut self.rules,
            rule_map: &mut self.rule_map,
            ..LabelMemory::default()
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
