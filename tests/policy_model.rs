//! No sequence of frames lets a denied pair exchange one: a fabric of engines against a plain model, over random rules,
//! moves, spoofed sources, floods, pinned entries and packets without a group, in VXLAN with Group Policy and in Geneve.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use vtep::engine::{
    Command, Config, Cursor, Egress, Engine, Input, LabelStorage, Place, Profile, Remote, Storage, Verdict,
};
use vtep::table::{
    Action, BridgeConfig, BridgeId, Enforce, Enforcement, GroupMatch, Instant, Owner, PortConfig, PortId, Rule,
    UnderlayConfig, UnderlayId,
};
use vtep::wire::{Depth, Encapsulation, Label, MacAddr, SecurityGroup, TunnelFlags, Vni, geneve, vxlan};

#[path = "common/world/replication.rs"]
mod replication;

const VTEPS: usize = 3;
const STATIONS: usize = 6;
const BRIDGE: BridgeId = BridgeId(0);

/// What the fabric is asked to do.
#[derive(Clone, Debug)]
enum Op {
    /// A station sends a frame; `as_source` is whose MAC it uses.
    Send {
        from: usize,
        as_source: usize,
        to: To,
    },
    /// An endpoint that is none of ours sends a frame with this group, or with none.
    Outsider {
        to_vtep: usize,
        as_source: usize,
        group: Option<u32>,
        to: To,
    },
    Rule {
        from: Option<u32>,
        to: Option<u32>,
        allow: bool,
    },
    Unrule {
        from: Option<u32>,
        to: Option<u32>,
    },
    /// A station goes to another VTEP, with its port and its group.
    Move {
        station: usize,
        to: usize,
    },
    /// A control plane tells everybody where a station is, and of which group.
    Pin {
        station: usize,
    },
    Wait,
}

#[derive(Clone, Copy, Debug)]
enum To {
    Station(usize),
    Everybody,
    Unknown,
}

#[derive(Clone, Debug)]
struct Rules {
    /// `None` is any.
    rules: BTreeMap<(Option<u32>, Option<u32>), bool>,
    default: bool,
    /// The group of those that have none; 0: they are denied.
    unlabelled: u32,
}

impl Rules {
    /// The words of the documentation, one after the other.
    fn allow(&self, from: u32, to: u32) -> bool {
        let or = |group| if group == 0 { self.unlabelled } else { group };
        let (from, to) = (or(from), or(to));
        if from == 0 || to == 0 {
            return false;
        }
        let rule = |from, to| self.rules.get(&(from, to)).copied();
        if let Some(allow) = rule(Some(from), Some(to)) {
            return allow;
        }
        let halves = [rule(Some(from), None), rule(None, Some(to))];
        if halves.contains(&Some(false)) {
            return false;
        }
        if halves.contains(&Some(true)) {
            return true;
        }
        rule(None, None).unwrap_or(self.default)
    }
}

struct Fabric {
    engines: Vec<Engine<'static>>,
    now: Instant,
    encapsulation: Encapsulation,
    /// Where each station is; its port has its number.
    at: [usize; STATIONS],
    groups: [u32; STATIONS],
    pinned: BTreeSet<usize>,
    rules: Rules,
}

fn address(vtep: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, vtep as u8 + 1).into()
}

/// An endpoint that everybody listens to and nobody of ours is.
const OUTSIDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));

fn mac(station: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, station as u8 + 1])
}

fn group(group: u32) -> SecurityGroup {
    SecurityGroup::new(group).unwrap()
}

fn matches(group_or_any: Option<u32>) -> GroupMatch {
    group_or_any.map_or(GroupMatch::Any, |g| GroupMatch::Is(group(g)))
}

fn frame(to: To, source: usize) -> Vec<u8> {
    let to = match to {
        To::Station(station) => mac(station),
        To::Everybody => MacAddr::BROADCAST,
        To::Unknown => MacAddr([2, 0, 0, 0, 9, 9]),
    };
    let mut bytes = [to.0, mac(source).0].concat();
    bytes.extend([0x88, 0xb5]);
    bytes.resize(60, 0);
    bytes
}

impl Fabric {
    fn new(encapsulation: Encapsulation, at: Enforce, groups: [u32; STATIONS], default: bool, unlabelled: u32) -> Self {
        let policy = Enforcement {
            at,
            default: if default { Action::Allow } else { Action::Deny },
            unlabelled: group(unlabelled),
            host: SecurityGroup::NONE,
        };
        let engines = (0..VTEPS).map(|vtep| {
            let memory: &'static mut Storage<32, 1, 6, 8, 8, 64, 16> = Box::leak(Box::new(Storage::new()));
            let labels: &'static mut LabelStorage<8, 32, 1> = Box::leak(Box::new(LabelStorage::new()));
            let config = Config::new(Profile::Rfc, [vtep as u64, 77]);
            let mut engine = Engine::new(memory.memory(), &config).with_labels(labels.memory());
            let bridge = BridgeConfig {
                gbp: true,
                options: true,
                policy: Some(policy),
                ..BridgeConfig::new(encapsulation, Vni::truncating(5000))
            };
            let mut command = |command| engine.command(Instant::ZERO, &command).unwrap();
            command(Command::SetUnderlay { id: UnderlayId(0), config: UnderlayConfig::new(address(vtep)) });
            command(Command::AddBridge { id: BRIDGE, config: bridge });
            for peer in (0..VTEPS).filter(|peer| *peer != vtep) {
                command(Command::FloodAdd { bridge: BRIDGE, remote: Remote::at(address(peer)) });
            }
            engine
        });
        let mut fabric = Self {
            engines: engines.collect(),
            now: Instant::ZERO,
            encapsulation,
            at: [0; STATIONS],
            groups,
            pinned: BTreeSet::new(),
            rules: Rules { rules: BTreeMap::new(), default, unlabelled },
        };
        for station in 0..STATIONS {
            fabric.at[station] = station % VTEPS;
            fabric.plug(station);
        }
        fabric
    }

    fn plug(&mut self, station: usize) {
        let config = PortConfig { group: group(self.groups[station]), ..PortConfig::new(BRIDGE) };
        let add = Command::AddPort { id: PortId(station as u16), config };
        self.engines[self.at[station]].command(self.now, &add).unwrap();
    }

    fn all(&mut self, command: &Command) {
        for engine in &mut self.engines {
            let _ = engine.command(self.now, command);
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Send { from, as_source, to } => {
                let bytes = frame(to, as_source);
                let received = self.carry(self.at[from], Some(from), bytes);
                let honest = as_source == from;
                self.check(&received, self.groups[from], Some(from), to, honest);
            }
            Op::Outsider { to_vtep, as_source, group, to } => {
                let packet = self.foreign(to_vtep, group, &frame(to, as_source));
                let received = self.carry(to_vtep, None, packet);
                let group = group.unwrap_or(0);
                for station in received {
                    assert!(self.rules.allow(group, self.groups[station]), "{group} -> {station}");
                }
            }
            Op::Rule { from, to, allow } => {
                let action = if allow { Action::Allow } else { Action::Deny };
                let rule = Rule { bridge: BRIDGE, from: matches(from), to: matches(to), action };
                self.all(&Command::SetRule { rule });
                self.rules.rules.insert((from, to), allow);
            }
            Op::Unrule { from, to } => {
                self.all(&Command::RemoveRule { bridge: BRIDGE, from: matches(from), to: matches(to) });
                self.rules.rules.remove(&(from, to));
            }
            Op::Move { station, to } => {
                if self.pinned.remove(&station) {
                    self.all(&Command::FdbDelete { bridge: BRIDGE, mac: mac(station), remote: None });
                }
                let remove = Command::RemovePort { id: PortId(station as u16) };
                self.engines[self.at[station]].command(self.now, &remove).unwrap();
                self.at[station] = to;
                self.plug(station);
            }
            Op::Pin { station } => {
                self.pinned.insert(station);
                for vtep in 0..VTEPS {
                    let here = self.at[station] == vtep;
                    let place = if here {
                        Place::Port(PortId(station as u16))
                    } else {
                        Place::Remote(Remote::at(address(self.at[station])))
                    };
                    let label = Label::of_group(group(self.groups[station]));
                    let (mac, owner) = (mac(station), Owner::Controller);
                    let entry = Command::FdbReplace { bridge: BRIDGE, mac, place, owner, sticky: true, label };
                    self.engines[vtep].command(self.now, &entry).unwrap();
                }
            }
            Op::Wait => {
                self.now = Instant::from_millis(self.now.as_millis() + 60_000);
                for engine in &mut self.engines {
                    engine.tick(self.now);
                }
            }
        }
    }

    /// A frame's way through the fabric: the stations that get it.
    fn carry(&mut self, vtep: usize, from: Option<usize>, bytes: Vec<u8>) -> Vec<usize> {
        let mut received = Vec::new();
        let mut underway = VecDeque::from([(vtep, from, bytes)]);
        while let Some((vtep, port, bytes)) = underway.pop_front() {
            let input = match port {
                Some(port) => Input::from_port(PortId(port as u16), &bytes),
                None => Input::from_underlay_ip(UnderlayId(0), &bytes),
            };
            let engine = &mut self.engines[vtep];
            let explained = engine.explain(self.now, &input);
            let verdict = engine.step(self.now, &input);
            if let (Some(policy), Verdict::Drop(reason)) = (explained.policy, verdict) {
                assert!(policy.denied.is_none_or(|denied| denied == reason));
            }
            let copies = match verdict {
                Verdict::Flood(flood) => {
                    replication::agrees(engine, &flood, &bytes);
                    let mut cursor = Cursor::new();
                    std::iter::from_fn(|| engine.next_copy(&flood, &mut cursor)).map(Result::unwrap).collect()
                }
                Verdict::Deliver(_) | Verdict::Encapsulate(_) => vec![verdict],
                _ => vec![],
            };
            for copy in copies {
                let mut out = [0; 256];
                let output = engine.rewrite_into(&copy, Depth::Ip, &bytes, &mut out).unwrap();
                let sent = &out[output.bytes];
                match output.to {
                    Egress::Port(port) => received.push(usize::from(port.0)),
                    Egress::Underlay(_) => {
                        let to =
                            (0..VTEPS).find(|v| address(*v) == IpAddr::from([sent[16], sent[17], sent[18], sent[19]]));
                        underway.extend(to.map(|to| (to, None, sent.to_vec())));
                    }
                }
            }
        }
        received
    }

    fn check(&self, received: &[usize], group: u32, from: Option<usize>, to: To, honest: bool) {
        for station in received {
            assert!(self.rules.allow(group, self.groups[*station]), "{from:?} ({group}) -> {station}");
        }
        // Not by denying everything: a broadcast reaches just those that may have it.
        if honest && matches!(to, To::Everybody) {
            let wanted: BTreeSet<usize> = (0..STATIONS)
                .filter(|station| Some(*station) != from && self.rules.allow(group, self.groups[*station]))
                .collect();
            assert!(wanted.iter().eq(received.iter().collect::<BTreeSet<_>>()), "{wanted:?} {received:?}");
            assert_eq!(received.len(), wanted.len(), "twice");
        }
    }

    /// A packet of somebody else's, as bytes.
    fn foreign(&self, to: usize, group: Option<u32>, inner: &[u8]) -> Vec<u8> {
        let mut tunnel = vec![0; 24];
        let vni = Vni::truncating(5000);
        let len = match self.encapsulation {
            Encapsulation::Geneve => {
                let mut options = [0xff, 0x00, 0x80, 0x01, 0, 0, 0, 0];
                options[4..].copy_from_slice(&group.unwrap_or(0).to_be_bytes());
                let protocol = vtep::wire::EtherType::ETHERNET;
                let header = geneve::Header { vni, protocol, ..geneve::Header::default() };
                header.emit(if group.is_some() { &options } else { &[] }, &mut tunnel).unwrap()
            }
            _ => {
                let flags = if group.is_some() { TunnelFlags::G } else { TunnelFlags::empty() };
                vxlan::Header { vni, flags, policy: group.unwrap_or(0) as u16 }.emit(&mut tunnel).unwrap()
            }
        };
        let payload = [&tunnel[..len], inner].concat();
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (OUTSIDER, address(to)) else { panic!() };
        let mut packet = vec![0; 28];
        let fields =
            vtep::wire::ipv4::Fields { src, dst, protocol: 17, ttl: 64, tos: 0, ident: 1, dont_fragment: true };
        fields.emit(8 + payload.len(), &mut packet).unwrap();
        let ports = vtep::wire::udp::Fields { src_port: 50_000, dst_port: self.encapsulation.default_port() };
        ports.emit(&payload, None, &mut packet[20..]).unwrap();
        packet.extend(payload);
        packet
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let station = || 0..STATIONS;
    let to = || {
        prop_oneof![
            6 => station().prop_map(To::Station),
            3 => Just(To::Everybody),
            1 => Just(To::Unknown),
        ]
    };
    let any_group = || prop_oneof![1 => Just(None), 4 => (1..4_u32).prop_map(Some)];
    let op = prop_oneof![
        12 => (station(), to()).prop_map(|(from, to)| Op::Send { from, as_source: from, to }),
        3 => (station(), station(), to()).prop_map(|(from, as_source, to)| Op::Send { from, as_source, to }),
        3 => (0..VTEPS, station(), proptest::option::of(1..4_u32), to())
            .prop_map(|(to_vtep, as_source, group, to)| Op::Outsider { to_vtep, as_source, group, to }),
        4 => (any_group(), any_group(), any::<bool>()).prop_map(|(from, to, allow)| Op::Rule { from, to, allow }),
        1 => (any_group(), any_group()).prop_map(|(from, to)| Op::Unrule { from, to }),
        2 => (station(), 0..VTEPS).prop_map(|(station, to)| Op::Move { station, to }),
        1 => station().prop_map(|station| Op::Pin { station }),
        1 => Just(Op::Wait),
    ];
    proptest::collection::vec(op, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_denied_pair_never_exchanges_a_frame(
        encapsulation in prop_oneof![Just(Encapsulation::Vxlan), Just(Encapsulation::Geneve)],
        both in any::<bool>(),
        groups in proptest::array::uniform6(0..4_u32),
        default in any::<bool>(),
        unlabelled in prop_oneof![2 => Just(0), 1 => 1..4_u32],
        ops in ops(),
    ) {
        let at = if both { Enforce::INGRESS | Enforce::EGRESS } else { Enforce::EGRESS };
        let mut fabric = Fabric::new(encapsulation, at, groups, default, unlabelled);
        for op in &ops {
            fabric.run(op);
        }
    }
}

/// The model has teeth: without a policy, denied pairs do exchange frames.
#[test]
fn without_enforcement_the_model_objects() {
    let result = std::panic::catch_unwind(|| {
        let mut fabric = Fabric::new(Encapsulation::Geneve, Enforce::empty(), [1, 2, 3, 1, 2, 3], false, 0);
        fabric.run(&Op::Send { from: 0, as_source: 0, to: To::Everybody });
    });
    assert!(result.is_err());
}
