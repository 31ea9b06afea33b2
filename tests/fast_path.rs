//! The fast path: common packets between known stations, and what tells them from others that look alike.
//!
//! `Engine::explain` decides by the whole step, so it says what the fast path has to say; the plain bridge of
//! `tests/engine_model` and `tests/batch` do the same for traffic of all kinds.
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

use core::net::{IpAddr, Ipv4Addr};

use common::world::build::inner_ip;
use common::world::{A, B, Frame, Ip, PROFILES, Packet, R, REMOTE, S, THIRD, Vtep, mac};
use proptest::prelude::*;
use vtep::engine::{Command, DropReason, Event, Input, Place, Profile, Remote, Verdict};
use vtep::table::{
    Ageing, BridgeConfig, BridgeId, DuplicateAction, DuplicateDetection, Duration, FloodSwitches, Owner, PortConfig,
    PortId, Rate, StormControl, UnderlayId, VlanDecap, VlanEncap,
};
use vtep::wire::edit::{Edit, VlanEdit};
use vtep::wire::{Encapsulation, Label};

/// Endpoints that a [`Vtep`] has room for.
const ENDPOINTS: u8 = 32;

/// A VTEP that has heard A at port 0, B at port 1, and R at the first remote.
fn acquainted(profile: Profile) -> Vtep {
    let mut vtep = Vtep::vxlan(profile);
    vtep.on_port(0, &Frame::arp([0xff; 6], A).bytes());
    vtep.on_port(1, &Frame::arp([0xff; 6], B).bytes());
    vtep.on_underlay(&Packet::from_r_to_a().bytes());
    vtep.events();
    vtep
}

fn from(src: IpAddr, dst: [u8; 6], station: [u8; 6]) -> Vec<u8> {
    Packet { src, ..Packet::vxlan(&Frame::new(dst, station).bytes()) }.bytes()
}

#[test]
fn a_port_in_a_vlan_gets_the_tag() {
    for profile in PROFILES {
        let mut vtep = acquainted(profile);
        vtep.port_0_in_vlan(7);
        let tagged = Frame::arp([0xff; 6], A).vlan(7).bytes();
        vtep.on_port(0, &tagged);
        let Verdict::Deliver(deliver) = vtep.on_underlay(&Packet::from_r_to_a().bytes()) else { panic!() };
        assert_eq!(deliver.edit, Edit::NONE.with_vlan(VlanEdit::PushVlan(7)), "{profile:?}");
    }
}

#[test]
fn a_port_that_does_not_learn_keeps_nobody_young() {
    for profile in PROFILES {
        let mut vtep = acquainted(profile);
        let config = PortConfig { learning: false, ..PortConfig::new(BridgeId(0)) };
        vtep.command(Command::SetPort { id: PortId(0), config });
        vtep.later();
        assert!(matches!(vtep.on_port(0, &Frame::new(R, A).bytes()), Verdict::Encapsulate(_)));
        vtep.on_port(1, &Frame::new(R, B).bytes());
        let age = |station| vtep.engine.lookup(BridgeId(0), mac(station)).unwrap().age();
        assert!(age(A) >= Duration::from_secs(9), "{profile:?}: {:?}", age(A));
        assert_eq!(age(B), Duration::ZERO);
    }
}

/// The endpoint that a packet came from when it was read may be another one when its turn comes.
#[test]
fn in_a_batch_a_sender_is_who_it_is_when_its_packet_has_its_turn() {
    let remote = |n: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + n));
    let station = |n: u8| [2, 0, 0, 0, 2, n];
    let mut vteps = [(); 2].map(|()| {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        vtep.on_port(0, &Frame::arp([0xff; 6], A).bytes());
        for n in 0..ENDPOINTS {
            vtep.on_underlay(&from(remote(n), A, station(n)));
        }
        assert_eq!(vtep.engine.endpoints().len(), usize::from(ENDPOINTS));
        vtep.events();
        vtep
    });
    let first = Frame::new([0xff; 6], station(0)).bytes();
    let (newcomer, old) = (from(remote(99), A, S), from(remote(0), A, S));
    let inputs = [
        // The first remote's only station comes to us, so that a newcomer may take the remote's place.
        Input::from_port(PortId(1), &first),
        Input::from_underlay(UnderlayId(0), &newcomer),
        // Once it was known there; now it is nobody we have room for, whose station is somewhere else.
        Input::from_underlay(UnderlayId(0), &old),
        Input::from_underlay(UnderlayId(0), &old),
    ];
    let [single, batch] = &mut vteps;
    let now = single.now;
    let expected: Vec<Verdict> = inputs.iter().map(|input| single.engine.step(now, input)).collect();
    let mut verdicts = [Verdict::NOTHING; 4];
    assert_eq!(batch.engine.step_batch(now, &inputs, &mut verdicts), 4);
    assert_eq!(verdicts[..], expected[..]);
    let events = single.events();
    assert_eq!(batch.events(), events);
    let crowded =
        |event: &Event| matches!(event, Event::TableFull { place: Place::Remote(r), .. } if r.address == remote(0));
    assert!(events.iter().any(crowded), "{events:?}");
    assert_eq!(batch.state(), single.state());
}

/// A world in which most packets are common ones, and one thing about it.
#[derive(Clone, Debug)]
struct World {
    profile: Profile,
    encap: VlanEncap,
    decap: VlanDecap,
    /// Port 1 is in a VLAN.
    tagged_port: bool,
    learning: bool,
}

#[derive(Clone, Debug)]
struct Sent {
    /// Port 0 or 1, or one of two remotes.
    from: u8,
    src: usize,
    dst: usize,
    ipv6: bool,
    arp: bool,
    tos: u8,
    outer_tos: u8,
    tag: Option<u16>,
    len: usize,
    cut: bool,
}

fn world() -> impl Strategy<Value = World> {
    let encap = prop_oneof![
        3 => Just(VlanEncap::Strip), 1 => Just(VlanEncap::Keep), 1 => Just(VlanEncap::Drop), 1 => Just(VlanEncap::Map(9))
    ];
    let decap = prop_oneof![
        3 => Just(VlanDecap::Drop), 1 => Just(VlanDecap::Keep), 1 => Just(VlanDecap::Strip), 1 => Just(VlanDecap::Map(9))
    ];
    (prop::sample::select(&PROFILES[..]), encap, decap, prop::bool::weighted(0.3), prop::bool::weighted(0.8)).prop_map(
        |(profile, encap, decap, tagged_port, learning)| World { profile, encap, decap, tagged_port, learning },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    let rarely = |odds| prop::bool::weighted(odds);
    let tag = prop::option::weighted(0.2, prop::sample::select(&[7_u16, 9, 0x2007][..]));
    let tos = prop_oneof![3 => Just(0_u8), 2 => 0..4_u8, 1 => any::<u8>()];
    let what = (0..4_u8, 0..4_usize, 0..5_usize, rarely(0.3), rarely(0.1), tos.clone());
    (what, tos, tag, prop_oneof![4 => 64..200_usize, 1 => 1400..1520_usize], rarely(0.05)).prop_map(
        |((from, src, dst, ipv6, arp, tos), outer_tos, tag, len, cut)| Sent {
            from,
            src,
            dst,
            ipv6,
            arp,
            tos,
            outer_tos,
            tag,
            len,
            cut,
        },
    )
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        const STATIONS: [[u8; 6]; 5] = [A, B, R, S, [0xff; 6]];
        let (src, dst) = (STATIONS[self.src], STATIONS[self.dst]);
        let frame = if self.arp {
            Frame::arp(dst, src)
        } else {
            let mut packet = Ip { tos: self.tos, ..inner_ip(self.ipv6) };
            packet.payload.resize(self.len, 0x5a);
            Frame::ip(dst, src, &packet)
        };
        let mut inner = self.tag.map_or_else(|| frame.clone(), |tci| frame.clone().vlan(tci)).bytes();
        if self.cut {
            inner.truncate(20);
        }
        match self.from {
            0 | 1 => inner,
            from => {
                let src = if from == 2 { REMOTE } else { THIRD };
                Packet { src, tos: self.outer_tos, ..Packet::vxlan(&inner) }.bytes()
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn it_decides_as_the_whole_step(world in world(), packets in prop::collection::vec(sent(), 30..80)) {
        let World { profile, encap, decap, tagged_port, learning } = world;
        let mut vtep = Vtep::with(profile, Encapsulation::Vxlan, |setup| {
            setup.bridge = BridgeConfig { vlan_encap: encap, vlan_decap: decap, ..setup.bridge };
        });
        let vlan = tagged_port.then_some(7);
        vtep.command(Command::RemovePort { id: PortId(1) });
        vtep.command(Command::AddPort { id: PortId(1), config: PortConfig { vlan, learning, ..PortConfig::new(BridgeId(0)) } });
        for sent in &packets {
            let bytes = sent.bytes();
            let input = match sent.from {
                port @ (0 | 1) => Input::from_port(PortId(port.into()), &bytes),
                _ => Input::from_underlay(UnderlayId(0), &bytes),
            };
            let told = vtep.engine.explain(vtep.now, &input).verdict;
            prop_assert_eq!(vtep.step(&input), told, "{:?}", sent);
        }
    }
}

/// A bridge that floods, and what there is about it.
#[derive(Clone, Debug)]
struct Floods {
    profile: Profile,
    flood: FloodSwitches,
    l2miss: bool,
    host: bool,
    second_port: bool,
    /// On the flood list, and on the list that one group address has of its own.
    members: (u8, u8),
    /// A limit comes and goes.
    storm: bool,
}

/// Stations, one that nobody has heard, and group addresses: one with a list of its own, one that bridges keep.
const HEARD_OF: [[u8; 6]; 8] =
    [A, B, R, [2, 0, 0, 0, 0, 0x77], [0xff; 6], [1, 0, 0x5e, 0, 0, 1], [1, 0, 0x5e, 0, 0, 2], [1, 0x80, 0xc2, 0, 0, 3]];

fn floods() -> impl Strategy<Value = Floods> {
    let switches =
        prop_oneof![3 => Just(FloodSwitches::all()), 1 => (0..8_u8).prop_map(FloodSwitches::from_bits_truncate)];
    let rarely = |odds| prop::bool::weighted(odds);
    let profile = prop::sample::select(&PROFILES[..]);
    (profile, switches, rarely(0.3), rarely(0.3), rarely(0.5), (0..6_u8, 0..4_u8), rarely(0.3)).prop_map(
        |(profile, flood, l2miss, host, second_port, members, storm)| Floods {
            profile,
            flood,
            l2miss,
            host,
            second_port,
            members,
            storm,
        },
    )
}

impl Floods {
    fn build(&self) -> Vtep {
        let mut vtep = Vtep::with(self.profile, Encapsulation::Vxlan, |setup| {
            setup.bridge = BridgeConfig { flood: self.flood, l2miss: self.l2miss, host: self.host, ..setup.bridge };
        });
        if !self.second_port {
            vtep.command(Command::RemovePort { id: PortId(1) });
        }
        let remote = |n: u8| Remote::at(Ipv4Addr::new(192, 0, 2, 100 + n).into());
        for n in 0..self.members.0 {
            vtep.command(Command::FloodAdd { bridge: BridgeId(0), remote: remote(n) });
        }
        for n in 0..self.members.1 {
            vtep.command(Command::FdbAppend { bridge: BridgeId(0), mac: mac(HEARD_OF[5]), remote: remote(9 + n) });
        }
        vtep
    }

    fn limit(vtep: &mut Vtep, config: StormControl) {
        vtep.command(Command::SetStormControl { bridge: BridgeId(0), config });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Where storms are looked for, the whole step decides about floods: a limit that nobody comes near changes nothing else.
    #[test]
    fn it_floods_as_the_whole_step(
        floods in floods(),
        packets in prop::collection::vec((sent(), 0..8_usize, 0..9_u8), 20..60),
    ) {
        let endless = StormControl::each(Rate { per_second: u32::MAX, burst: u32::MAX });
        let (mut fast, mut whole) = (floods.build(), floods.build());
        Floods::limit(&mut whole, endless);
        let (mut few, mut singly) = (floods.build(), 0);
        for (n, (sent, dst, pause)) in packets.iter().enumerate() {
            if floods.storm && n % 16 == 8 {
                let config = if n % 32 == 8 { StormControl::each(Rate { per_second: 1, burst: 2 }) } else { StormControl::OFF };
                Floods::limit(&mut fast, config);
                Floods::limit(&mut few, config);
                // Off first: what it has flooded by now is not held against it.
                Floods::limit(&mut whole, StormControl::OFF);
                Floods::limit(&mut whole, if config == StormControl::OFF { endless } else { config });
            }
            if *pause == 0 {
                [&mut fast, &mut whole, &mut few].into_iter().for_each(Vtep::later);
            }
            let mut bytes = sent.bytes();
            if sent.from < 2 {
                bytes[..6].copy_from_slice(&HEARD_OF[*dst]);
            }
            let input = match sent.from {
                port @ (0 | 1) => Input::from_port(PortId(port.into()), &bytes),
                _ => Input::from_underlay(UnderlayId(0), &bytes),
            };
            let verdict = fast.step(&input);
            prop_assert_eq!(verdict, whole.step(&input), "{:?}", sent);
            let mut batch = [Verdict::NOTHING];
            singly += few.engine.step_batch(few.now, &[input], &mut batch);
            prop_assert_eq!(verdict, batch[0]);
            if let Verdict::Flood(flood) = verdict {
                prop_assert!(flood.group.is_none_or(|group| fast.engine.group(group).count() > 0));
                common::world::replication::agrees(&fast.engine, &flood, &bytes);
            }
            let events = fast.events();
            prop_assert_eq!(&events, &whole.events());
            prop_assert_eq!(&events, &few.events());
        }
        prop_assert_eq!(singly, packets.len());
        let counted = |vtep: &Vtep| -> Vec<_> {
            let of_bridge = vtep.engine.bridge_counters(BridgeId(0)).unwrap();
            let bytes = [("from ports", of_bridge.bytes_from_ports()), ("from tunnels", of_bridge.bytes_from_tunnels())];
            vtep.engine.counters().iter().chain(of_bridge.iter()).chain(bytes).collect()
        };
        prop_assert_eq!(counted(&fast), counted(&whole));
        prop_assert_eq!(counted(&fast), counted(&few));
        [&mut fast, &mut whole, &mut few].into_iter().for_each(|vtep| Floods::limit(vtep, StormControl::OFF));
        prop_assert_eq!(fast.state(), whole.state());
        prop_assert_eq!(fast.engine.digest(), few.engine.digest());
    }
}

#[test]
fn a_storm_limit_holds_from_the_frame_behind_it() {
    for (profile, set_again) in PROFILES.into_iter().flat_map(|profile| [(profile, false), (profile, true)]) {
        let mut vtep = acquainted(profile);
        vtep.flood_to(REMOTE);
        let frame = Frame::arp([0xff; 6], A).bytes();
        assert!(matches!(vtep.on_port(0, &frame), Verdict::Flood(_)));
        Floods::limit(&mut vtep, StormControl::each(Rate { per_second: 0, burst: 1 }));
        if set_again {
            let config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
            vtep.command(Command::SetBridge { id: BridgeId(0), config });
        }
        assert!(matches!(vtep.on_port(0, &frame), Verdict::Flood(_)));
        assert_eq!(vtep.on_port(0, &frame), Verdict::Drop(DropReason::StormControl), "{profile:?}");
        Floods::limit(&mut vtep, StormControl::OFF);
        assert!(matches!(vtep.on_port(0, &frame), Verdict::Flood(_)));
    }
}

/// A list may have lost its members: a flood then names none.
#[test]
fn an_empty_flood_list_is_no_list() {
    for profile in PROFILES {
        let mut vtep = acquainted(profile);
        vtep.flood_to(THIRD);
        vtep.command(Command::FloodRemove { bridge: BridgeId(0), remote: Remote::at(THIRD) });
        for dst in [[0xff; 6], [2, 0, 0, 0, 0, 0x77], [1, 0, 0x5e, 0, 0, 1]] {
            let frame = Frame::arp(dst, A).bytes();
            let told = vtep.engine.explain(vtep.now, &Input::from_port(PortId(0), &frame)).verdict;
            let verdict = vtep.on_port(0, &frame);
            let Verdict::Flood(flood) = verdict else { panic!("{verdict:?}") };
            assert_eq!((flood.group, verdict), (None, told), "{profile:?}");
        }
    }
}

/// A late clock tidies the FDB, so only a packet that teaches it something may tell it the time.
#[test]
fn a_dropped_packet_does_not_let_the_fdbs_time_go_on() {
    const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
    let too_long = {
        let mut packet = inner_ip(false);
        packet.payload.resize(1500, 0x5a);
        Frame::ip(R, A, &packet).bytes()
    };
    let foreign = Packet { dst: THIRD, ..Packet::from_r_to_a() }.bytes();
    let congested = Packet { tos: 3, ..Packet::from_r_to_a() }.bytes();
    let from_port: [(Vec<u8>, DropReason); 9] = [
        (too_long, DropReason::TooBig),
        (Frame::new(A, A).bytes(), DropReason::Reflected),
        (Frame::new([0xff; 6], A).bytes(), DropReason::BroadcastOff),
        (Frame::new([2, 0, 0, 0, 0, 0x77], A).bytes(), DropReason::UnknownUnicastOff),
        (Frame::new([1, 0x80, 0xc2, 0, 0, 0], A).bytes(), DropReason::ReservedMulticast),
        (Frame::new(R, [1, 0, 0, 0, 0, 1]).bytes(), DropReason::SourceMacInvalid),
        // These find out when they are learned from.
        (Frame::new(R, S).bytes(), DropReason::SourceMacStatic),
        (Frame::new(R, HOST).bytes(), DropReason::SourceMacOwn),
        (Frame::new(R, B).bytes(), DropReason::SourceMacDuplicate),
    ];
    let from_port = from_port.iter().map(|(frame, reason)| (Input::from_port(PortId(0), frame), *reason));
    let from_tunnel = [
        (Input::from_underlay(UnderlayId(0), &foreign), DropReason::OuterDestinationForeign),
        (Input::from_underlay(UnderlayId(0), &congested), DropReason::EcnConflict),
    ];
    for (input, reason) in from_port.chain(from_tunnel) {
        for in_batch in [false, true] {
            let mut vtep = acquainted(Profile::Rfc);
            let mut config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
            (config.flood, config.ageing) = (FloodSwitches::empty(), Ageing::Never);
            vtep.command(Command::SetBridge { id: BridgeId(0), config });
            vtep.station_at(S, Remote::at(THIRD));
            let (bridge, place, owner) = (BridgeId(0), Place::Host, Owner::Local);
            vtep.command(Command::FdbAdd { bridge, mac: mac(HOST), place, owner, sticky: false, label: Label::NONE });
            let detection =
                DuplicateDetection { max_moves: 1, action: DuplicateAction::Drop, ..DuplicateDetection::default() };
            vtep.command(Command::SetDuplicateDetection { bridge, config: Some(detection) });
            vtep.on_port(0, &Frame::new(R, B).bytes());
            vtep.events();
            let table = |vtep: &Vtep| -> Vec<_> { vtep.engine.table().words().collect() };
            let before = table(&vtep);
            // Longer than the table can do without a walk.
            vtep.now = vtep.now.saturating_add(Duration::from_secs(6 * 3600));
            let mut verdicts = [Verdict::NOTHING; 3];
            match in_batch {
                true => assert_eq!(vtep.engine.step_batch(vtep.now, &[input; 3], &mut verdicts), 3),
                false => verdicts.fill_with(|| vtep.step(&input)),
            }
            assert_eq!(verdicts, [Verdict::Drop(reason); 3]);
            assert_eq!(table(&vtep), before, "{reason:?}");
        }
    }
}
