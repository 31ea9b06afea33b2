//! Faults that were found and mended, one test each.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod common;

use common::{A, B, Frame, GROUP, Packet, R, REMOTE, THIRD, VNI, Vtep, mac, vxlan};
use core::net::{IpAddr, Ipv4Addr};
use vtep::engine::{Command, Cursor, DropReason, Flood, Flush, Profile, Remote, RewriteError, Verdict};
use vtep::table::fdb::Owners;
use vtep::table::{Admission, BridgeId, PortConfig, PortId};
use vtep::wire::{Encapsulation, MacAddr, Vni};

fn with_vni(address: IpAddr, vni: u32) -> Remote {
    Remote { vni: Vni::new(vni), ..Remote::at(address) }
}

fn flood_add(vtep: &mut Vtep, bridge: u16, remote: Remote) {
    vtep.command(Command::FloodAdd { bridge: BridgeId(bridge), remote });
}

fn in_vni(vni: u32, src: IpAddr, frame: &Frame) -> Vec<u8> {
    Packet { src, ..Packet::new(4789, vxlan(vni), &frame.bytes()) }.bytes()
}

/// A MAC learned from an address at which another bridge had an endpoint with a VNI of its own was sent that VNI: one
/// tenant's frames ended in the other's network.
#[test]
fn a_sender_is_not_taken_for_another_bridges_endpoint() {
    for profile in common::PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        flood_add(&mut vtep, 1, with_vni(REMOTE, 777));
        vtep.on_underlay(&in_vni(VNI, REMOTE, &Frame::new(A, R)));
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).vni(), VNI, "{profile:?}");

        let geneve = Remote { encapsulation: Some(Encapsulation::Geneve), port: Some(6081), ..Remote::at(THIRD) };
        flood_add(&mut vtep, 1, geneve);
        vtep.on_underlay(&in_vni(VNI, THIRD, &Frame::new(A, B)));
        assert_eq!(vtep.sent_one(&Frame::new(B, A).bytes()).dst_port, 4789, "{profile:?}");
    }
}

/// Where two bridges flooded to one address with a VNI each, only one of them admitted its packets.
#[test]
fn each_bridge_admits_by_its_own_list() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |s| s.bridge.admission = Admission::FloodList);
    flood_add(&mut vtep, 0, with_vni(REMOTE, 701));
    flood_add(&mut vtep, 1, with_vni(REMOTE, 702));
    for (bridge, vni, theirs) in [(0, VNI, 701), (1, common::OTHER_VNI, 702)] {
        let port = bridge * 2;
        let verdict = vtep.on_underlay(&in_vni(vni, REMOTE, &Frame::new(A, R)));
        assert!(matches!(verdict, Verdict::Flood(_)), "{verdict:?}");
        let sent = vtep.sent(port, &Frame::new(R, A).bytes());
        assert_eq!(sent.iter().map(common::Read::vni).collect::<Vec<_>>(), [theirs]);
        let stranger = vtep.on_underlay(&in_vni(vni, THIRD, &Frame::new(A, B)));
        assert_eq!(stranger, Verdict::Drop(DropReason::UnknownEndpoint));
    }
    // The list has the address twice: what tells them apart is not in the packet, so our own port and VNI count.
    flood_add(&mut vtep, 0, Remote::at(REMOTE));
    vtep.on_underlay(&in_vni(VNI, REMOTE, &Frame::new(A, R)));
    assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).vni(), VNI);
}

/// A packet from the very address that a static entry names was dropped as spoofed if the entry had a port or VNI.
#[test]
fn a_static_entry_with_another_port_is_no_move() {
    for profile in common::PROFILES {
        for known in [false, true] {
            let mut vtep = Vtep::vxlan(profile);
            vtep.station_at(R, Remote { port: Some(9999), ..with_vni(REMOTE, 701) });
            if known {
                flood_add(&mut vtep, 0, Remote::at(REMOTE));
            }
            let frame = Frame::new(A, R);
            for _ in 0..2 {
                let verdict = vtep.on_underlay(&in_vni(VNI, REMOTE, &frame));
                assert!(matches!(verdict, Verdict::Flood(_)), "{profile:?} {known}: {verdict:?}");
            }
            assert_eq!(vtep.events(), []);
            let sent = vtep.sent_one(&Frame::new(R, A).bytes());
            assert_eq!((sent.vni(), sent.dst_port), (701, 9999));
            let spoofed = in_vni(VNI, THIRD, &frame);
            assert_eq!(vtep.on_underlay(&spoofed), Verdict::Drop(DropReason::SourceMacStatic));
        }
    }
}

/// Of two underlay groups on a flood list, packets to the first were foreign.
#[test]
fn every_group_of_a_list_is_ours() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let other = IpAddr::V4(Ipv4Addr::new(239, 9, 9, 9));
    let to = |dst| Packet { dst, ..Packet::from_r_to_a() }.bytes();
    for group in [GROUP, other] {
        vtep.refuses(&to(group), DropReason::OuterDestinationForeign);
        vtep.flood_to(group);
    }
    for group in [GROUP, other] {
        assert!(matches!(vtep.on_underlay(&to(group)), Verdict::Flood(_)));
    }
    vtep.command(Command::FloodRemove { bridge: BridgeId(0), remote: Remote::at(other) });
    vtep.refuses(&to(other), DropReason::OuterDestinationForeign);
    assert!(matches!(vtep.on_underlay(&to(GROUP)), Verdict::Flood(_)));
}

fn flood_from_port_0(vtep: &mut Vtep) -> Flood {
    match vtep.on_port(0, &Frame::new(common::BROADCAST, A).bytes()) {
        Verdict::Flood(flood) => flood,
        other => panic!("{other:?}"),
    }
}

/// A flood went on at a port that had become another bridge's meanwhile, and at its neighbours there.
#[test]
fn a_flood_does_not_follow_a_port_into_another_bridge() {
    for before in [0, 1] {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        let config = PortConfig::new(BridgeId(0));
        vtep.command(Command::AddPort { id: PortId(3), config });
        let flood = flood_from_port_0(&mut vtep);
        let mut cursor = Cursor::new();
        for _ in 0..before {
            assert!(matches!(vtep.engine.next_copy(&flood, &mut cursor), Some(Ok(Verdict::Deliver(_)))));
        }
        for port in [1, 3] {
            vtep.command(Command::RemovePort { id: PortId(port) });
            vtep.command(Command::AddPort { id: PortId(port), config: PortConfig::new(BridgeId(1)) });
        }
        assert_eq!(vtep.engine.next_copy(&flood, &mut cursor), Some(Err(RewriteError::StaleHandle)));
        assert_eq!(vtep.engine.next_copy(&flood, &mut cursor), None);
    }
}

/// The same with flood lists, whose members share one pool.
#[test]
fn a_flood_does_not_follow_a_member_into_another_list() {
    let (bridge, other) = (BridgeId(0), BridgeId(1));
    let group = mac(common::MULTICAST);
    let removals = [
        Command::FloodRemove { bridge, remote: Remote::at(THIRD) },
        Command::FdbDelete { bridge, mac: MacAddr::ZERO, remote: None },
    ];
    for removal in removals {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        vtep.flood_to(REMOTE);
        vtep.flood_to(THIRD);
        let flood = flood_from_port_0(&mut vtep);
        let mut cursor = Cursor::new();
        for _ in 0..2 {
            assert!(matches!(vtep.engine.next_copy(&flood, &mut cursor), Some(Ok(_))));
        }
        vtep.command(removal);
        flood_add(&mut vtep, 1, with_vni(GROUP, 777));
        assert_eq!(vtep.engine.next_copy(&flood, &mut cursor), Some(Err(RewriteError::StaleHandle)));
    }

    let flush = Flush { bridge: Some(bridge), owners: Owners::STATIC, place: None };
    let removals = [
        Command::FdbDelete { bridge, mac: group, remote: None },
        Command::FdbDelete { bridge, mac: group, remote: Some(Remote::at(REMOTE)) },
        Command::Flush(flush),
        Command::Flush(Flush { bridge: None, ..flush }),
    ];
    for removal in removals {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        vtep.command(Command::FdbAppend { bridge, mac: group, remote: Remote::at(REMOTE) });
        let verdict = vtep.on_port(0, &Frame::new(common::MULTICAST, A).bytes());
        let Verdict::Flood(flood) = verdict else { panic!("{verdict:?}") };
        vtep.command(removal);
        // It takes the list that was given back.
        vtep.command(Command::FdbAppend { bridge: other, mac: group, remote: with_vni(THIRD, 777) });
        let mut cursor = Cursor::new();
        assert_eq!(vtep.engine.next_copy(&flood, &mut cursor), Some(Err(RewriteError::StaleHandle)), "{removal:?}");
    }
}
