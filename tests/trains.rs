//! Trains: packets that begin as the one before them are read by comparing, in batches and one by one. Each byte that makes a
//! difference is changed here in some packet of a train; a batch must still say what single steps say, which is what the whole
//! step says.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

mod common;

use common::world::build::{geneve, geneve_option, inner_ip};
use common::world::read::internet_checksum;
use common::world::{A, B, Checksum, Frame, Ip, PROFILES, Packet, R, REMOTE, S, THIRD, VNI, Vtep, mac};
use proptest::prelude::*;
use vtep::engine::{Command, Input, Place, Profile, Remote, Verdict};
use vtep::table::{BridgeConfig, BridgeId, Duration, Owner, PortConfig, PortId, UnderlayId};
use vtep::wire::outer::Checksums;
use vtep::wire::{Encapsulation, Label, SecurityGroup, Vni};

/// Bytes of an outer Ethernet, IPv4, UDP and tunnel header.
const STACK: usize = 50;

#[derive(Clone, Debug)]
struct World {
    profile: Profile,
    encapsulation: Encapsulation,
    trust: bool,
    /// Security groups: in VXLAN's Group Policy extension, or in options.
    labels: bool,
}

/// A packet: one of the train with a change, or the first of another train. Or something that may change what becomes of it.
#[derive(Clone, Debug)]
enum Car {
    Event(Event),
    First {
        /// Port 0 or 1, or one of two remotes.
        from: u8,
        unknown: bool,
        ipv6: bool,
        tos: u8,
        len: usize,
        options: usize,
        policy: u16,
        /// It has an outer VLAN tag.
        tagged: bool,
    },
    Next {
        /// One bit of the headers is another one.
        flip: Option<(usize, u8)>,
        /// Bytes more or less at the end.
        grow: i8,
        /// IPv4 checksums are right again.
        mend: bool,
        ident: u16,
        src_port: u16,
        udp_checksum: bool,
        /// It comes from elsewhere.
        moved: bool,
    },
}

fn world() -> impl Strategy<Value = World> {
    let encapsulation = prop::sample::select(&[Encapsulation::Vxlan, Encapsulation::Geneve][..]);
    let rarely = prop::bool::weighted(0.3);
    (prop::sample::select(&PROFILES[..]), encapsulation, rarely, rarely)
        .prop_map(|(profile, encapsulation, trust, labels)| World { profile, encapsulation, trust, labels })
}

fn car() -> impl Strategy<Value = Car> {
    let rarely = |odds| prop::bool::weighted(odds);
    let tos = prop_oneof![3 => Just(0_u8), 1 => 0..4_u8];
    let policy = prop_oneof![Just(0_u16), 1..3_u16];
    // Some are nearly, or just, too long for the underlay.
    let len = prop_oneof![4 => 40..90_usize, 1 => 1420..1440_usize];
    let first = (0..4_u8, rarely(0.1), rarely(0.1), tos, len, 0..3_usize, policy, rarely(0.1)).prop_map(
        |(from, unknown, ipv6, tos, len, options, policy, tagged)| Car::First {
            from,
            unknown,
            ipv6,
            tos,
            len,
            options,
            policy,
            tagged,
        },
    );
    let flip = prop::option::weighted(0.4, (0..STACK + 54, 0..8_u8));
    let grow = prop_oneof![6 => Just(0_i8), 1 => -60..0_i8, 1 => 1..40_i8];
    let next = (flip, grow, rarely(0.8), any::<u16>(), any::<u16>(), rarely(0.05), rarely(0.05)).prop_map(
        |(flip, grow, mend, ident, src_port, udp_checksum, moved)| Car::Next {
            flip,
            grow,
            mend,
            ident,
            src_port,
            udp_checksum,
            moved,
        },
    );
    let event = prop::sample::select(&EVENTS[..]).prop_map(Car::Event);
    prop_oneof![3 => first, 16 => next, 1 => event]
}

/// What happens between packets.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Nobody is heard for a moment, or for longer than entries live.
    Later(u64),
    Tick,
    /// A tick when the coarse time has gone on.
    LateTick,
    /// A station is somewhere else, or forgotten.
    Move([u8; 6], Place),
    Forget([u8; 6]),
    /// A port has a VLAN or learns nothing; it goes and comes.
    Port(PortConfig),
    Replace(u16),
    /// The bridge has another VNI for a moment, or another option.
    Bridge(fn(&mut BridgeConfig)),
    /// A packet that is not of a train comes in between.
    Stranger,
}

const PORT: PortConfig = PortConfig::new(BridgeId(0));
const EVENTS: [Event; 17] = [
    Event::Later(100),
    Event::Later(300),
    Event::Later(400_000),
    Event::Tick,
    Event::LateTick,
    Event::Move(A, Place::Port(PortId(1))),
    Event::Move(R, Place::Port(PortId(1))),
    Event::Move(R, Place::Remote(Remote::at(THIRD))),
    Event::Forget(A),
    Event::Forget(R),
    Event::Port(PortConfig { vlan: Some(7), ..PORT }),
    Event::Port(PortConfig { learning: false, ..PORT }),
    Event::Port(PORT),
    Event::Replace(0),
    Event::Bridge(|config| config.vni = Vni::truncating(config.vni.get() ^ 1)),
    Event::Bridge(|config| config.gbp ^= true),
    Event::Stranger,
];

impl Event {
    fn happen(self, vtep: &mut Vtep) {
        let bridge = BridgeId(0);
        match self {
            Self::Later(ms) => vtep.now = vtep.now.saturating_add(Duration::from_millis(ms)),
            Self::Tick => vtep.engine.tick(vtep.now),
            Self::LateTick => {
                vtep.now = vtep.now.saturating_add(Duration::from_millis(300));
                vtep.engine.tick(vtep.now);
            }
            Self::Move(station, place) => {
                let (mac, owner, label) = (mac(station), Owner::Dynamic, Label::NONE);
                _ = vtep.try_command(Command::FdbReplace { bridge, mac, place, owner, sticky: false, label });
            }
            Self::Forget(station) => {
                _ = vtep.try_command(Command::FdbDelete { bridge, mac: mac(station), remote: None })
            }
            Self::Port(config) => _ = vtep.try_command(Command::SetPort { id: PortId(0), config }),
            Self::Replace(port) => {
                vtep.command(Command::RemovePort { id: PortId(port) });
                vtep.command(Command::AddPort { id: PortId(port), config: PORT });
            }
            Self::Bridge(change) => {
                let mut config = *vtep.engine.bridge_config(bridge).unwrap();
                change(&mut config);
                vtep.command(Command::SetBridge { id: bridge, config });
            }
            // It moves a station of a train.
            Self::Stranger => _ = vtep.on_port(1, &Frame::arp([0xff; 6], R).bytes()),
        }
    }
}

/// A packet's bytes, and the port or remote that it is from.
#[derive(Clone, Debug)]
struct Sent {
    from: u8,
    bytes: Vec<u8>,
}

impl Sent {
    fn input(&self) -> Input<'_> {
        match self.from {
            port @ (0 | 1) => Input::from_port(PortId(port.into()), &self.bytes),
            _ => Input::from_underlay(UnderlayId(0), &self.bytes),
        }
    }

    fn first(world: &World, car: &Car) -> Self {
        let Car::First { from, unknown, ipv6, tos, len, options, policy, tagged } = *car else { panic!() };
        let (src, dst) = [(A, R), (B, S), (R, A), (S, B)][usize::from(from)];
        let dst = if unknown { [2, 0, 0, 0, 0, 0x77] } else { dst };
        let mut packet = Ip { tos, ..inner_ip(ipv6) };
        packet.payload.resize(len, 0x5a);
        let inner = Frame::ip(dst, src, &packet).bytes();
        let bytes = match from {
            0 | 1 => inner,
            _ => {
                let src = if from == 2 { REMOTE } else { THIRD };
                let outer = match world.encapsulation {
                    Encapsulation::Geneve => {
                        let options: Vec<u8> = (0..options)
                            .flat_map(|n| geneve_option(0x0100, n as u8, &policy.to_be_bytes().repeat(2)))
                            .collect();
                        Packet { tunnel: geneve(VNI, false, &options), ..Packet::geneve(&inner) }
                    }
                    _ => {
                        let mut outer = Packet::vxlan(&inner);
                        if policy != 0 {
                            outer.tunnel[0] |= 0x80;
                            outer.tunnel[2..4].copy_from_slice(&policy.to_be_bytes());
                        }
                        outer
                    }
                };
                let mut bytes = Packet { src, tos, checksum: Checksum::Zero, ..outer }.bytes();
                if tagged {
                    bytes.splice(12..12, [0x81, 0, 0, 7]);
                }
                bytes
            }
        };
        Self { from, bytes }
    }

    fn next(&self, car: &Car) -> Self {
        let Car::Next { flip, grow, mend, ident, src_port, udp_checksum, moved } = *car else { panic!() };
        let mut next = self.clone();
        let bytes = &mut next.bytes;
        bytes.resize(bytes.len().saturating_add_signed(grow.into()), 0x5a);
        let tag = if self.from > 1 && bytes.get(12..14) == Some(&[0x81, 0]) { 4 } else { 0 };
        if self.from > 1 && bytes.len() >= tag + STACK {
            let outer = &mut bytes[tag..];
            let len = outer.len() as u16;
            outer[16..18].copy_from_slice(&(len - 14).to_be_bytes());
            outer[18..20].copy_from_slice(&ident.to_be_bytes());
            outer[34..36].copy_from_slice(&src_port.to_be_bytes());
            outer[38..40].copy_from_slice(&(len - 34).to_be_bytes());
            if udp_checksum {
                outer[40..42].copy_from_slice(&[0x12, 0x34]);
            }
        }
        if let Some((at, bit)) = flip.filter(|(at, _)| *at < bytes.len()) {
            bytes[at] ^= 1 << bit;
        }
        if let Some(ip) = bytes.get_mut(tag + 14..tag + 34).filter(|_| mend) {
            ip[10..12].fill(0);
            let checksum = internet_checksum(&[ip]);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        if moved {
            next.from ^= 1;
        }
        next
    }
}

/// A VTEP that has heard all four stations.
fn acquainted(world: &World) -> Vtep {
    let mut vtep = Vtep::with(world.profile, world.encapsulation, |setup| {
        if world.trust {
            setup.underlay.verify = Checksums::Trust;
        }
        setup.bridge.gbp = world.labels;
        setup.bridge.options = world.labels;
    });
    if world.labels {
        let group = SecurityGroup::new(10).unwrap();
        vtep.command(Command::SetPort { id: PortId(0), config: PortConfig { group, ..PORT } });
    }
    vtep.on_port(0, &Frame::arp([0xff; 6], A).bytes());
    vtep.on_port(1, &Frame::arp([0xff; 6], B).bytes());
    for from in 2..4 {
        let car =
            Car::First { from, unknown: false, ipv6: false, tos: 0, len: 40, options: 0, policy: 0, tagged: false };
        vtep.step(&Sent::first(world, &car).input());
    }
    vtep.events();
    vtep
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn a_train_is_so_many_packets(world in world(), cars in prop::collection::vec(car(), 20..100)) {
        let start = Car::First { from: 2, unknown: false, ipv6: false, tos: 0, len: 60, options: 1, policy: 0, tagged: false };
        let mut model = Sent::first(&world, &start);
        let mut sent = vec![model.clone()];
        for car in &cars {
            let next = match car {
                Car::First { .. } => Sent::first(&world, car),
                Car::Event(_) => model.clone(),
                Car::Next { .. } => model.next(car),
            };
            // Few changes last.
            if matches!(car, Car::First { .. } | Car::Next { ident: 0..0x1000, .. }) {
                model = next.clone();
            }
            sent.push(next);
        }
        let [mut single, mut batch] = [acquainted(&world), acquainted(&world)];
        let mut from = 0;
        for to in 1..=sent.len() {
            // Cars stand one place before their packets.
            let event = match cars.get(to - 1) {
                Some(Car::Event(event)) => Some(event),
                Some(_) => None,
                None => Some(&Event::Tick),
            };
            let Some(event) = event else { continue };
            let inputs: Vec<Input<'_>> = sent[from..to].iter().map(Sent::input).collect();
            let mut expected = Vec::new();
            for input in &inputs {
                let told = single.engine.explain(single.now, input).verdict;
                expected.push(single.step(input));
                prop_assert_eq!(*expected.last().unwrap(), told, "{:?}", input);
            }
            let mut verdicts = vec![Verdict::NOTHING; inputs.len()];
            let now = batch.now;
            prop_assert_eq!(batch.engine.step_batch(now, &inputs, &mut verdicts), inputs.len());
            for ((verdict, expected), input) in verdicts.iter().zip(&expected).zip(&inputs) {
                prop_assert_eq!(verdict, expected, "{:?}", input);
            }
            from = to;
            event.happen(&mut single);
            event.happen(&mut batch);
            prop_assert_eq!(batch.events(), single.events());
            prop_assert_eq!(batch.state(), single.state());
            prop_assert_eq!(batch.engine.digest(), single.engine.digest());
        }
    }
}

/// The one that leads a train may be too long for its endpoint, the next one not: the third is judged by itself.
#[test]
fn in_a_train_each_frame_has_to_fit() {
    let frame = |len| {
        let mut packet = inner_ip(false);
        packet.payload.resize(len, 0x5a);
        Frame::ip(R, A, &packet).bytes()
    };
    let frames = [60, 1500, 60, 1500, 1430, 1431, 1432, 60].map(frame);
    for (profile, labels) in PROFILES.into_iter().flat_map(|profile| [(profile, false), (profile, true)]) {
        let world = World { profile, encapsulation: Encapsulation::Vxlan, trust: false, labels };
        let [mut single, mut batch] = [acquainted(&world), acquainted(&world)];
        let inputs: Vec<Input<'_>> = frames.iter().map(|frame| Input::from_port(PortId(0), frame)).collect();
        let mut verdicts = vec![Verdict::NOTHING; inputs.len()];
        assert_eq!(batch.engine.step_batch(batch.now, &inputs, &mut verdicts), inputs.len());
        for ((input, verdict), frame) in inputs.iter().zip(verdicts).zip(&frames) {
            assert_eq!(single.engine.explain(single.now, input).verdict, verdict, "{} bytes", frame.len());
            assert_eq!(single.step(input), verdict, "{} bytes", frame.len());
        }
        assert_eq!(batch.engine.digest(), single.engine.digest());
    }
}

/// A train of single steps ends where a batch comes in between: its packets may have moved a station.
#[test]
fn a_batch_ends_a_train_of_single_steps() {
    let world = World { profile: Profile::Rfc, encapsulation: Encapsulation::Vxlan, trust: false, labels: false };
    let mut vtep = acquainted(&world);
    let frame = Frame::ip(R, A, &inner_ip(false)).bytes();
    for _ in 0..3 {
        vtep.on_port(0, &frame);
    }
    let mut verdicts = [Verdict::NOTHING];
    vtep.engine.step_batch(vtep.now, &[Input::from_port(PortId(1), &frame)], &mut verdicts);
    assert_eq!(vtep.place_of(A), Some(Place::Port(PortId(1))));
    vtep.on_port(0, &frame);
    assert_eq!(vtep.place_of(A), Some(Place::Port(PortId(0))));
}
