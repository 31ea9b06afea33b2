//! The engine: its state, its clock, and what looks at it without changing it.

use super::decision::Network;
use super::memory::Rest;
use super::senders::Senders;
use super::train::Train;
use super::{BridgeCounters, Counters, Event, Events, LabelMemory, Memory, Place, PortHandle, Profile, Switches};
use crate::table::fdb::{Probe, Removal, Removed};
use crate::table::{
    Ageing, Bridge, BridgeConfig, BridgeId, Destination, Duration, Endpoint, EndpointId, Endpoints, Entry, Fdb,
    FdbConfig, FloodLists, GroupId, Guard, Instant, Labels, Moves, Owner, Policy, Port, PortConfig, PortId, TrafficMap,
    TrafficMapId, UnderlayConfig, UnderlayId, UnderlaySlot, VniMap, WhenFull,
};
use crate::wire::geneve::{Definition, Quick, Schema};
use crate::wire::{Label, MacAddr, PortRange, TunnelPorts};

/// How an engine behaves, whatever its bridges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Config {
    /// Deviations from the RFCs, by name.
    pub switches: Switches,
    /// Key of every hash. Senders choose their MACs: take it from a random source, and keep it to yourself.
    pub seed: [u64; 2],
    /// UDP source ports of encapsulated packets.
    pub source_ports: PortRange,
    /// What becomes of a new MAC when the FDB has no place for it.
    pub when_full: WhenFull,
    /// FDB slots that one [`Engine::tick`] looks at.
    pub sweep: u16,
    /// Most dynamic FDB entries of an endpoint that comes by itself, from a packet, a flood list or an FDB entry, until
    /// [`Command::SetEndpoint`](super::Command::SetEndpoint) says otherwise; `None` for as many as fit.
    pub endpoint_macs: Option<u32>,
    /// Which Geneve options carry a security group and a traffic class, for bridges with
    /// [`BridgeConfig::options`], and how much of an option area is looked at, for all.
    pub schema: Schema,
}

impl Config {
    /// The configuration of a profile.
    #[must_use]
    pub const fn new(profile: Profile, seed: [u64; 2]) -> Self {
        Self {
            switches: profile.switches(),
            seed,
            source_ports: profile.source_ports(),
            when_full: match profile {
                Profile::Rfc => WhenFull::Evict,
                Profile::Linux => WhenFull::Refuse,
            },
            sweep: 64,
            endpoint_macs: None,
            schema: Schema::DEFAULT,
        }
    }
}

/// A tunnel endpoint: tables, clock, counters and events.
///
/// One engine serves one core; it is `Send`, not `Sync`.
#[derive(Debug)]
pub struct Engine<'a> {
    pub(super) switches: Switches,
    pub(super) source_ports: PortRange,
    pub(super) seed: u64,
    /// The IPv4 identification of the next packet.
    /// The lower half of it, that is: what is written in one width and read in another is waited for.
    pub(super) ident: u32,
    pub(super) fdb: Fdb<'a>,
    pub(super) vnis: VniMap<'a>,
    pub(super) udp_ports: TunnelPorts,
    pub(super) bridges: &'a mut [Bridge],
    pub(super) bridge_counters: &'a mut [BridgeCounters],
    pub(super) ports: &'a mut [Port],
    pub(super) endpoints: Endpoints<'a>,
    pub(super) flood_lists: FloodLists<'a>,
    pub(super) underlays: &'a mut [UnderlaySlot],
    pub(super) events: Events<'a>,
    pub(super) counters: &'a mut Counters,
    /// Storm control and duplicate detection of each bridge.
    pub(super) guards: &'a mut [Guard],
    pub(super) moves: Moves<'a>,
    /// What endpoints may have in the FDB that no command has configured.
    pub(super) endpoint_macs: Option<u32>,
    pub(super) schema: Schema,
    /// The same without the options that it names.
    pub(super) no_schema: Schema,
    pub(super) known_options: &'a [Definition],
    /// Both schemas, as far as nearly all options go.
    pub(super) quick_schema: Quick,
    pub(super) policy: Policy<'a>,
    pub(super) traffic: &'a mut [TrafficMap],
    seeds: [u64; 2],
    pub(super) senders: Senders,
    pub(super) train: Train,
    now: Instant,
    last_tick: Instant,
    /// How long a sweep over the whole FDB may take, if anything ages.
    pass: Option<Duration>,
    sweep: usize,
    /// Where the search for endpoints that nothing needs goes on.
    pub(super) recycle_from: u16,
}

impl<'a> Engine<'a> {
    /// An engine without bridges, ports and endpoints. Whatever `memory` held before is gone.
    ///
    /// Cost: linear in the memory lent.
    #[must_use]
    pub fn new(memory: Memory<'a>, config: &Config) -> Self {
        let (fdb, rest) = memory.split();
        let Rest {
            bridges,
            bridge_counters,
            vnis,
            ports,
            endpoints,
            addresses,
            groups,
            members,
            memberships,
            underlays,
            events,
            counters,
            guards,
            moves,
        } = rest;
        bridges.fill(Bridge::EMPTY);
        bridge_counters.fill(BridgeCounters::EMPTY);
        ports.fill(Port::EMPTY);
        underlays.fill(UnderlaySlot::EMPTY);
        *counters = Counters::new();
        guards.fill(Guard::OFF);
        let [seed, _] = config.seed;
        Self {
            switches: config.switches,
            source_ports: config.source_ports,
            seed,
            ident: 0,
            fdb: Fdb::new(fdb, &FdbConfig { seed: config.seed, when_full: config.when_full, ..FdbConfig::default() }),
            vnis: VniMap::new(vnis, config.seed),
            udp_ports: TunnelPorts::NONE,
            bridges,
            bridge_counters,
            ports,
            endpoints: Endpoints::new(endpoints, addresses, config.seed),
            flood_lists: FloodLists::new(groups, members, memberships, config.seed),
            underlays,
            events: Events::new(events),
            counters,
            guards,
            moves: Moves::new(moves, config.seed),
            endpoint_macs: config.endpoint_macs,
            schema: config.schema,
            no_schema: Schema { group: None, class: None, ..config.schema },
            known_options: &[],
            quick_schema: Quick::new(&config.schema, &[]),
            policy: Policy::new(&mut [], &mut [], config.seed),
            traffic: &mut [],
            seeds: config.seed,
            senders: Senders::new(),
            train: Train::NONE,
            now: Instant::ZERO,
            last_tick: Instant::ZERO,
            pass: None,
            sweep: usize::from(config.sweep),
            recycle_from: 0,
        }
    }

    /// This engine with memory for security groups and traffic classes. Whatever `memory` held before is gone.
    ///
    /// To be called before anything is in the tables.
    #[must_use]
    pub fn with_labels(mut self, memory: LabelMemory<'a>) -> Self {
        let LabelMemory { labels, label_map, rules, rule_map, traffic, known } = memory;
        traffic.fill(TrafficMap::CLASS_SELECTORS);
        self.fdb = self.fdb.with_labels(Labels::new(labels, label_map, self.seeds));
        self.policy = Policy::new(rules, rule_map, self.seeds);
        self.traffic = traffic;
        self.known_options = known;
        self.quick_schema = Quick::new(&self.schema, known);
        self
    }

    /// Endpoints looked at for recycling when a packet's finds no place.
    pub(super) const RECYCLE_AT_ONCE: u16 = 64;
    /// Endpoints looked at for recycling in one tick.
    const RECYCLE_PER_TICK: u16 = 8;

    /// Forgets what has aged: a bounded part of the FDB and of the learned endpoints.
    ///
    /// Calling it late or seldom only means that memory comes back late: look-ups treat an expired entry as absent
    /// whether it was swept or not. Spurious calls are safe.
    pub fn tick(&mut self, now: Instant) {
        let now = self.advance(now);
        self.train.stop();
        let Self { fdb, endpoints, events, sweep, .. } = self;
        fdb.sweep(now, *sweep, |removed| raise_removed(endpoints, events, &removed));
        self.last_tick = now;
        self.sweep_moves(now);
        self.recycle_endpoints(Self::RECYCLE_PER_TICK);
    }

    /// When [`Engine::tick`] wants to be called next, so that the whole FDB is swept several times per ageing time;
    /// `None` while nothing can age. It changes with ticks and commands.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let pass = self.pass?.as_millis();
        let share = u64::try_from(self.sweep).ok()?.saturating_mul(pass).checked_div(self.fdb.capacity() as u64)?;
        Some(self.last_tick.saturating_add(Duration::from_millis(share.clamp(1, pass.max(1)))))
    }

    /// Works out how long a sweep over the whole FDB may take: a quarter of the shortest ageing time, 10 s at most.
    pub(super) fn refresh_pass(&mut self) {
        let ageing = |bridge: &Bridge| match bridge.config.as_ref()?.ageing {
            Ageing::After(time) => Some(time.as_millis() >> 2),
            Ageing::Never | Ageing::NoLearn => None,
        };
        let shortest = self.bridges.iter().filter_map(ageing).min();
        self.pass = shortest.map(|quarter| Duration::from_millis(quarter.clamp(1, 10_000)));
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// How many events were lost because the queue was full.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        self.events.lost()
    }

    /// The latest time this engine was told.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The whole engine's counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.counters
    }

    /// A bridge's counters, or `None` where there is no such bridge or no memory was lent for them.
    #[must_use]
    pub fn bridge_counters(&self, id: BridgeId) -> Option<&BridgeCounters> {
        self.bridge(id)?;
        self.bridge_counters.get(usize::from(id.0))
    }

    /// A bridge's configuration.
    #[must_use]
    pub fn bridge_config(&self, id: BridgeId) -> Option<&BridgeConfig> {
        self.bridge(id)?.config.as_ref()
    }

    /// A port's configuration.
    #[must_use]
    pub fn port_config(&self, id: PortId) -> Option<&PortConfig> {
        self.port(id)
    }

    /// An underlay's configuration.
    #[must_use]
    pub fn underlay_config(&self, id: UnderlayId) -> Option<&UnderlayConfig> {
        self.underlay(id)
    }

    /// The endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints<'a> {
        &self.endpoints
    }

    /// The endpoints a bridge floods to, in order.
    pub fn flood_list(&self, id: BridgeId) -> impl Iterator<Item = EndpointId> + '_ {
        self.bridge(id).and_then(|b| b.flood_list).into_iter().flat_map(|list| self.flood_lists.iter(list))
    }

    /// The endpoints behind a group address with a flood list of its own ([`Destination::Group`]), in order.
    pub fn group(&self, id: GroupId) -> impl Iterator<Item = EndpointId> + '_ {
        self.flood_lists.iter(id)
    }

    /// The FDB's live entries, in the order of their slots.
    pub fn fdb(&self) -> impl Iterator<Item = (BridgeId, MacAddr, Entry)> + '_ {
        self.fdb.iter(self.now)
    }

    /// A live FDB entry.
    #[must_use]
    pub fn lookup(&self, bridge: BridgeId, mac: MacAddr) -> Option<Entry> {
        self.fdb.lookup(self.now, bridge, mac)
    }

    /// The security group and the traffic class of an FDB entry, as learned or configured.
    ///
    /// The group of a station behind a port that has one is the port's, whatever its entry says.
    #[must_use]
    pub fn label(&self, entry: Entry) -> Label {
        self.fdb.labels().get(entry.meta())
    }

    /// The rules, with what each has counted.
    #[must_use]
    pub fn policy(&self) -> &Policy<'a> {
        &self.policy
    }

    /// A traffic map.
    #[must_use]
    pub fn traffic_map(&self, id: TrafficMapId) -> Option<&TrafficMap> {
        self.traffic.get(usize::from(id.0))
    }

    /// Which options carry what.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The forwarding database itself.
    #[must_use]
    pub fn table(&self) -> &Fdb<'a> {
        &self.fdb
    }

    /// What a destination is called outside; `None` for a group's list.
    #[must_use]
    pub fn place(&self, destination: Destination) -> Option<Place> {
        place(&self.endpoints, destination)
    }

    /// The endpoint behind a destination, if it is one.
    pub(super) fn endpoint_of(&self, destination: Destination) -> Option<&Endpoint> {
        match destination {
            Destination::Endpoint(id) => self.endpoints.get(id),
            _ => None,
        }
    }

    /// The IPv4 identification of the next packet.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is all that counts")]
    pub(super) const fn ident(&self) -> u16 {
        self.ident as u16
    }

    /// The one place where time that goes backwards is clamped.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    #[inline]
    pub(super) fn bridge(&self, id: BridgeId) -> Option<&Bridge> {
        self.bridges.get(usize::from(id.0)).filter(|b| !b.config.is_empty())
    }

    /// A bridge with its configuration, for one packet.
    #[inline]
    pub(super) fn network(&self, id: BridgeId) -> Option<Network<'_>> {
        let bridge = self.bridges.get(usize::from(id.0))?;
        Some(Network { id, bridge, config: bridge.config.as_ref()? })
    }

    #[inline]
    pub(super) fn port(&self, id: PortId) -> Option<&PortConfig> {
        self.ports.get(usize::from(id.0))?.config.as_ref()
    }

    #[inline]
    pub(super) fn port_handle(&self, id: PortId) -> Option<(&PortConfig, PortHandle)> {
        let port = self.ports.get(usize::from(id.0))?;
        Some((port.config.as_ref()?, PortHandle { id, generation: port.generation }))
    }

    /// Whether a MAC is our own, and not behind the port it came from. Learning finds out by itself; this is for frames
    /// that are not learned from.
    #[inline(never)]
    pub(super) fn is_own(&self, now: Instant, mac: Probe, from: Option<PortId>) -> bool {
        let elsewhere = |destination| from.is_none_or(|port| destination != Destination::Port(port));
        let entry = self.fdb.lookup_probe(now, mac);
        entry.is_some_and(|entry| entry.owner() == Owner::Local && elsewhere(entry.destination()))
    }

    #[inline]
    pub(super) fn underlay(&self, id: UnderlayId) -> Option<&UnderlayConfig> {
        self.underlays.get(usize::from(id.0))?.config.as_ref()
    }

    /// Whether no FDB entry points to a destination.
    pub(super) fn is_unused(&self, destination: Destination) -> bool {
        self.fdb.destination_counts(destination).is_none_or(|counts| counts.dynamic == 0 && counts.pinned == 0)
    }

    /// FDB entries that point to a destination and are not dynamic.
    pub(super) fn pinned(&self, destination: Destination) -> u32 {
        self.fdb.destination_counts(destination).map_or(0, |counts| counts.pinned)
    }
}

/// Raises the event of an entry that went without being asked to.
pub(super) fn raise_removed(endpoints: &Endpoints<'_>, events: &mut Events<'_>, removed: &Removed) {
    let Removed { bridge, mac, entry, why } = *removed;
    let Some(place) = place(endpoints, entry.destination()) else { return };
    match why {
        Removal::Expired => events.push(Event::Aged { bridge, mac, place }),
        Removal::Evicted => events.push(Event::Evicted { bridge, mac, place }),
        Removal::Flushed => {}
    }
}

fn place(endpoints: &Endpoints<'_>, destination: Destination) -> Option<Place> {
    match destination {
        Destination::Port(port) => Some(Place::Port(port)),
        Destination::Endpoint(id) => Some(Place::Remote(endpoints.get(id)?.address.into())),
        Destination::Host => Some(Place::Host),
        Destination::Drop => Some(Place::Blackhole),
        Destination::Group(_) => None,
    }
}
