//! Who sent a tunnel packet: what the engine remembers of tunnels and hosts must be what its tables say.
//!
//! `Engine::explain` asks the tables every time, so it says what a step has to find.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

mod common;

use core::net::IpAddr;

use common::world::build::{Checksum, vxlan};
use common::world::{
    A, B, Frame, GROUP, LOCAL, OTHER_VNI, PROFILES, Packet, R, REMOTE, REMOTE6, S, THIRD, VNI, Vtep, mac,
};
use common::world::{LOCAL6, THIRD6};
use proptest::prelude::*;
use vtep::engine::{Command, DropReason, Input, Place, Profile, Remote, Verdict};
use vtep::table::{
    Admission, BridgeConfig, BridgeId, EndpointAddress, EndpointConfig, Owner, PortConfig, PortId, UnderlayConfig,
    UnderlayId,
};
use vtep::wire::{Encapsulation, Label, Vni};

/// The VNIs of four bridges, and one of nobody's.
const VNIS: [u32; 5] = [VNI, OTHER_VNI, 7000, 7001, 9999];
const OURS_LATER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 77));
const SENDERS: [IpAddr; 5] = [REMOTE, THIRD, REMOTE6, THIRD6, OURS_LATER];
const RECEIVERS: [[IpAddr; 3]; 2] = [[LOCAL, GROUP, OURS_LATER], [LOCAL6, common::world::GROUP6, THIRD6]];

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Packet { vni: usize, src: usize, dst: usize, station: usize, checksum: bool },
    Frame { port: u16, station: usize },
    Admit { bridge: usize, admission: Admission },
    Flood { bridge: usize, remote: Remote, add: bool },
    Endpoint { address: usize, add: bool },
    Readdress { other: bool },
}

fn event() -> impl Strategy<Value = Event> {
    // Mostly the same station behind each sender, or it would move all the time, which takes the whole step.
    let station = prop::option::weighted(0.03, 0..4_usize);
    let dst = prop_oneof![6 => Just(0_usize), 3 => Just(1), 1 => Just(2)];
    let vni = prop_oneof![20 => 0..4_usize, 1 => Just(4)];
    let packet =
        (vni, 0..5_usize, dst, station, prop::bool::weighted(0.8)).prop_map(|(vni, src, dst, station, checksum)| {
            Event::Packet { vni, src, dst, station: station.unwrap_or(src), checksum }
        });
    let admission = prop::sample::select(&[Admission::Anyone, Admission::Configured, Admission::FloodList][..]);
    let remote = (prop::sample::select(&[REMOTE, THIRD, REMOTE6, GROUP][..]), 0..3_u8).prop_map(|(address, kind)| {
        let plain = Remote::at(address);
        match kind {
            1 => Remote { vni: Vni::new(77), ..plain },
            2 => Remote { encapsulation: Some(Encapsulation::Geneve), port: Some(6081), ..plain },
            _ => plain,
        }
    });
    prop_oneof![
        90 => packet,
        1 => (0..4_u16, 0..5_usize).prop_map(|(port, station)| Event::Frame { port, station }),
        1 => (0..4_usize, admission).prop_map(|(bridge, admission)| Event::Admit { bridge, admission }),
        1 => (0..2_usize, remote, prop::bool::weighted(0.7)).prop_map(|(bridge, remote, add)| Event::Flood { bridge, remote, add }),
        1 => (0..4_usize, any::<bool>()).prop_map(|(address, add)| Event::Endpoint { address, add }),
        1 => any::<bool>().prop_map(|other| Event::Readdress { other }),
    ]
}

/// Four bridges with a port each, at which A is.
fn build(profile: Profile) -> Vtep {
    let mut vtep = Vtep::vxlan(profile);
    let config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
    for (id, vni) in [(2, VNIS[2]), (3, VNIS[3])] {
        vtep.command(Command::AddBridge {
            id: BridgeId(id),
            config: BridgeConfig { vni: Vni::new(vni).unwrap(), ..config },
        });
    }
    vtep.command(Command::RemovePort { id: PortId(2) });
    vtep.command(Command::RemovePort { id: PortId(1) });
    for id in 1..4 {
        vtep.command(Command::AddPort { id: PortId(id), config: PortConfig::new(BridgeId(id)) });
    }
    for id in 0..4 {
        let (bridge, place, owner) = (BridgeId(id), Place::Port(PortId(id)), Owner::Static);
        vtep.command(Command::FdbAdd { bridge, mac: mac(A), place, owner, sticky: false, label: Label::NONE });
    }
    vtep
}

/// Does what an event says; a packet is returned.
fn happen(vtep: &mut Vtep, event: &Event) -> Option<(usize, [u8; 6], Vec<u8>)> {
    const STATIONS: [[u8; 6]; 5] = [R, S, [2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2], B];
    let command = match *event {
        Event::Packet { vni, src, dst, station, checksum } => {
            let (src, station) = (SENDERS[src], STATIONS[station]);
            let packet = Packet {
                src,
                dst: RECEIVERS[usize::from(src.is_ipv6())][dst],
                checksum: if checksum { Checksum::Right } else { Checksum::Zero },
                ..Packet::new(4789, vxlan(VNIS[vni]), &Frame::new(A, station).bytes())
            };
            return Some((vni, station, packet.bytes()));
        }
        Event::Frame { port, station } => {
            vtep.on_port(port, &Frame::new([0xff; 6], STATIONS[station]).bytes());
            return None;
        }
        Event::Admit { bridge, admission } => {
            let id = BridgeId(u16::try_from(bridge).unwrap());
            let config = *vtep.engine.bridge_config(id).unwrap();
            Command::SetBridge { id, config: BridgeConfig { admission, ..config } }
        }
        Event::Flood { bridge, remote, add } => {
            let bridge = BridgeId(u16::try_from(bridge).unwrap());
            if add { Command::FloodAdd { bridge, remote } } else { Command::FloodRemove { bridge, remote } }
        }
        Event::Endpoint { address, add } => {
            let encapsulation = Encapsulation::Vxlan;
            let address = EndpointAddress {
                underlay: UnderlayId(0),
                address: SENDERS[address],
                encapsulation,
                port: 4789,
                vni: None,
            };
            if add {
                Command::SetEndpoint { address, config: EndpointConfig::default() }
            } else {
                Command::RemoveEndpoint { address }
            }
        }
        Event::Readdress { other } => {
            let config = *vtep.engine.underlay_config(UnderlayId(0)).unwrap();
            let IpAddr::V4(address) = (if other { OURS_LATER } else { LOCAL }) else { panic!() };
            Command::SetUnderlay { id: UnderlayId(0), config: UnderlayConfig { ipv4: Some(address), ..config } }
        }
    };
    // Some are refused: what is there already, what is in use.
    let _ = vtep.try_command(command);
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_step_finds_the_sender_that_the_tables_name(
        profile in prop::sample::select(&PROFILES[..]),
        events in prop::collection::vec(event(), 80..200),
    ) {
        let mut vtep = build(profile);
        for event in &events {
            let Some((vni, station, bytes)) = happen(&mut vtep, event) else { continue };
            let input = Input::from_underlay(UnderlayId(0), &bytes);
            let told = vtep.engine.explain(vtep.now, &input);
            let verdict = vtep.step(&input);
            prop_assert_eq!(verdict, told.verdict, "{:?}", event);
            if let (false, Some((place, _)), true) = (matches!(verdict, Verdict::Drop(_)), told.learns, vni < 4) {
                let bridge = u16::try_from(vni).unwrap();
                prop_assert_eq!(vtep.place_in(bridge, station), Some(place), "{:?}", event);
            }
            vtep.events();
        }
    }
}

/// Of two endpoints at one IP address, each bridge has its own: the one that it floods to.
#[test]
fn two_endpoints_at_one_address_are_told_apart_by_bridge() {
    for (profile, has_plain_one) in PROFILES.into_iter().flat_map(|profile| [(profile, false), (profile, true)]) {
        let mut vtep = build(profile);
        let with_vni = Remote { vni: Vni::new(77), ..Remote::at(REMOTE) };
        let endpoint = |vtep: &Vtep, bridge| match vtep.place_in(bridge, R) {
            Some(Place::Remote(remote)) => remote.vni,
            other => panic!("{other:?}"),
        };
        let packet = |vni| Packet::new(4789, vxlan(vni), &Frame::new(A, R).bytes()).bytes();
        for bridge in [0, 1] {
            vtep.command(Command::FloodAdd { bridge: BridgeId(bridge), remote: with_vni });
        }
        vtep.on_underlay(&packet(OTHER_VNI));
        assert_eq!(endpoint(&vtep, 1), if profile == Profile::Rfc { Vni::new(77) } else { None });
        vtep.command(Command::FloodRemove { bridge: BridgeId(1), remote: with_vni });
        if has_plain_one {
            let (place, owner) = (Place::Remote(Remote::at(REMOTE)), Owner::Static);
            let (bridge, label) = (BridgeId(2), Label::NONE);
            vtep.command(Command::FdbAdd { bridge, mac: mac(S), place, owner, sticky: false, label });
        }
        for _ in 0..2 {
            vtep.on_underlay(&packet(VNI));
        }
        vtep.on_underlay(&packet(OTHER_VNI));
        assert_eq!(endpoint(&vtep, 1), None, "{profile:?}: bridge 1 does not flood there");
    }
}

/// What one bridge takes by multicast is not the others'.
#[test]
fn a_group_is_that_of_the_bridges_that_flood_to_it() {
    let mut vtep = build(Profile::Rfc);
    let packet = |vni| Packet { dst: GROUP, ..Packet::new(4789, vxlan(vni), &Frame::new(A, R).bytes()) }.bytes();
    for bridge in [0, 1] {
        vtep.command(Command::FloodAdd { bridge: BridgeId(bridge), remote: Remote::at(GROUP) });
        vtep.on_underlay(&packet(VNIS[usize::from(bridge)]));
    }
    vtep.command(Command::FloodRemove { bridge: BridgeId(1), remote: Remote::at(GROUP) });
    for _ in 0..2 {
        assert!(matches!(vtep.on_underlay(&packet(VNI)), Verdict::Deliver(_)));
    }
    assert_eq!(vtep.on_underlay(&packet(OTHER_VNI)), Verdict::Drop(DropReason::OuterDestinationForeign));
}

/// What was remembered under another address of ours is not.
#[test]
fn a_change_of_address_is_noticed() {
    let mut vtep = build(Profile::Rfc);
    let packet = |vni| Packet::new(4789, vxlan(vni), &Frame::new(A, R).bytes()).bytes();
    for vni in [VNI, OTHER_VNI, VNI, OTHER_VNI] {
        assert!(matches!(vtep.on_underlay(&packet(vni)), Verdict::Deliver(_)));
    }
    happen(&mut vtep, &Event::Readdress { other: true });
    assert_eq!(vtep.on_underlay(&packet(VNIS[2])), Verdict::Drop(DropReason::OuterDestinationForeign));
    assert_eq!(vtep.on_underlay(&packet(OTHER_VNI)), Verdict::Drop(DropReason::OuterDestinationForeign));
}
