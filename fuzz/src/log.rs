//! Any commands, packets and times in any order, in any memory.

use std::borrow::Cow;

use arbitrary::Arbitrary;
use vtep::engine::{Command, Config, Engine, Input, LabelMemory, Profile};
use vtep::table::{
    BridgeConfig, BridgeId, Bucket, Enforcement, LabelSlot, PortConfig, PortId, Rate, RuleSlot, StormControl,
    TrafficMap, TrafficMapId, UnderlayId,
};
use vtep::table::{DuplicateAction, DuplicateDetection, Duration, Instant};
use vtep::wire::{Datagram, Depth, Encapsulation, Payload, PerPacket, Template, TemplateConfig, TunnelFlags, Vni};

use super::reference::tables::{Sizes, Tables};

#[derive(Arbitrary, Debug)]
pub(super) enum Action<'a> {
    Command(Command),
    Port(u8, &'a [u8]),
    Frame(&'a [u8]),
    Packet(&'a [u8]),
    Datagram(Datagram, &'a [u8]),
    /// A packet with sound outer headers.
    Tunnel(TemplateConfig, PerPacket<'a>, &'a [u8]),
    Wait(u16),
    Clock(u64),
    Tick,
    Events,
}

#[derive(Arbitrary, Debug)]
pub(super) struct Log<'a> {
    pub(super) profile: Profile,
    /// Of each kind of memory so much, modulo its most; nothing where there are none.
    sizes: Option<[u8; 18]>,
    /// Whether there is a network to begin with.
    network: bool,
    pub(super) actions: Vec<Action<'a>>,
}

impl Action<'_> {
    /// The bytes of a packet, where it is one.
    pub(super) fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Action::Port(_, bytes) | Action::Frame(bytes) | Action::Packet(bytes) | Action::Datagram(_, bytes) => {
                Some(Cow::Borrowed(bytes))
            }
            Action::Tunnel(config, packet, inner) => encapsulate(config, packet, inner).map(Cow::Owned),
            _ => None,
        }
    }

    /// A packet of these bytes.
    pub(super) fn input<'b>(&self, bytes: &'b [u8]) -> Input<'b> {
        match self {
            Action::Port(port, _) => Input::from_port(PortId(u16::from(*port % 8)), bytes),
            Action::Frame(_) => Input::from_underlay(UnderlayId(0), bytes),
            Action::Datagram(datagram, _) => Input::from_socket(UnderlayId(0), *datagram, bytes),
            _ => Input::from_underlay_ip(UnderlayId(0), bytes),
        }
    }
}

/// An engine's memory.
pub(super) struct Lent {
    tables: Tables,
    labels: Vec<LabelSlot>,
    label_map: Vec<Bucket>,
    rules: Vec<RuleSlot>,
    rule_map: Vec<Bucket>,
    traffic: Vec<TrafficMap>,
}

impl Log<'_> {
    pub(super) fn sizes(&self) -> Sizes {
        let mut sizes = Sizes { macs: 4, endpoints: 6, endpoint_records: 6, events: 4, ..Sizes::AMPLE };
        if let Some(given) = self.sizes {
            sizes.each().into_iter().zip(given).for_each(|(size, given)| *size = usize::from(given % 9));
        }
        sizes
    }

    pub(super) fn memory(&self) -> Lent {
        let [labels, label_map, rules, rule_map, traffic, ..] =
            self.sizes.map_or([3, 2, 4, 2, 2], |given| core::array::from_fn(|at| usize::from(given[at] / 9 % 5)));
        Lent {
            tables: Tables::new(&self.sizes()),
            labels: vec![LabelSlot::EMPTY; labels],
            label_map: vec![Bucket::EMPTY; label_map],
            rules: vec![RuleSlot::new(); rules],
            rule_map: vec![Bucket::EMPTY; rule_map],
            traffic: vec![TrafficMap::CLASS_SELECTORS; traffic],
        }
    }

    pub(super) fn engine<'m>(&self, lent: &'m mut Lent) -> Engine<'m> {
        let Lent { tables, labels, label_map, rules, rule_map, traffic } = lent;
        let labels = LabelMemory { labels, label_map, rules, rule_map, traffic, known: &[] };
        let mut engine = Engine::new(tables.memory(), &Config::new(self.profile, [1, 2])).with_labels(labels);
        if self.network {
            network(&mut engine, self.profile);
        }
        engine
    }
}

/// Bridges with a port each, so that commands at random are not the only way to one. What does not fit is left out.
fn network(engine: &mut Engine<'_>, profile: Profile) {
    let local = core::net::IpAddr::from([192, 0, 2, 1]);
    let mut told = |command| {
        let _ = engine.command(Instant::ZERO, &command);
    };
    told(Command::SetUnderlay { id: UnderlayId(0), config: profile.underlay(local) });
    for (id, encapsulation) in [(0, Encapsulation::Vxlan), (1, Encapsulation::Geneve), (2, Encapsulation::Vxlan)] {
        let (bridge, config) = (BridgeId(id), BridgeConfig::new(encapsulation, Vni::truncating(u32::from(id))));
        let config = match id {
            // All there is to protect and to tell apart.
            2 => {
                BridgeConfig { gbp: true, policy: Some(Enforcement::DEFAULT), traffic: Some(TrafficMapId(0)), ..config }
            }
            _ => config,
        };
        told(Command::AddBridge { id: bridge, config });
        told(Command::AddPort { id: PortId(id), config: PortConfig::new(bridge) });
    }
    let few = Some(Rate { per_second: 2, burst: 3 });
    let config = StormControl { broadcast: few, unknown_unicast: few, multicast: few };
    told(Command::SetStormControl { bridge: BridgeId(2), config });
    let config = DuplicateDetection {
        max_moves: 2,
        window: Duration::from_secs(8),
        action: DuplicateAction::Drop,
        ..Default::default()
    };
    told(Command::SetDuplicateDetection { bridge: BridgeId(2), config: Some(config) });
}

fn encapsulate(config: &TemplateConfig, packet: &PerPacket<'_>, inner: &[u8]) -> Option<Vec<u8>> {
    let template = Template::new(config).ok()?;
    let mut bytes = vec![0xa5; 1024 + inner.len()];
    let (headroom, body) = bytes.split_at_mut(1024);
    body.copy_from_slice(inner);
    let packet = PerPacket { flags: packet.flags | TunnelFlags::I, ..*packet };
    let written = template.write(Depth::Ip, &packet, headroom, Payload::whole(inner)).ok()?;
    Some(bytes.split_off(1024 - written))
}
