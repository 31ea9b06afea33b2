//! Faults that were found and mended, one test each.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod common;

use common::world::{self, A, B, Frame, GROUP, LOCAL, Packet, R, REMOTE, THIRD, VNI, Vtep, mac, vxlan};
use core::net::{IpAddr, Ipv4Addr};
use vtep::engine::{
    Command, CommandError, Config, Cursor, Done, DropReason, Egress, Engine, Event, Flood, Flush, Input, Place,
    Profile, Remote, RewriteError, Storage, Verdict,
};
use vtep::table::fdb::Owners;
use vtep::table::{
    Action, Admission, Ageing, BridgeConfig, BridgeId, EndpointConfig, Enforce, Enforcement, FloodSwitches, GroupMatch,
    Instant, Owner, PortConfig, PortId, Rule, UnderlayConfig, UnderlayId, VlanEncap, WhenFull,
};
use vtep::wire::{Depth, Encapsulation, Label, MacAddr, SecurityGroup, Ttl, Vni};

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
    for profile in world::PROFILES {
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
    for (bridge, vni, theirs) in [(0, VNI, 701), (1, world::OTHER_VNI, 702)] {
        let port = bridge * 2;
        let verdict = vtep.on_underlay(&in_vni(vni, REMOTE, &Frame::new(A, R)));
        assert!(matches!(verdict, Verdict::Flood(_)), "{verdict:?}");
        let sent = vtep.sent(port, &Frame::new(R, A).bytes());
        assert_eq!(sent.iter().map(world::Read::vni).collect::<Vec<_>>(), [theirs]);
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
    for profile in world::PROFILES {
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
    match vtep.on_port(0, &Frame::new(world::BROADCAST, A).bytes()) {
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
    let group = mac(world::MULTICAST);
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
        let verdict = vtep.on_port(0, &Frame::new(world::MULTICAST, A).bytes());
        let Verdict::Flood(flood) = verdict else { panic!("{verdict:?}") };
        vtep.command(removal);
        // It takes the list that was given back.
        vtep.command(Command::FdbAppend { bridge: other, mac: group, remote: with_vni(THIRD, 777) });
        let mut cursor = Cursor::new();
        assert_eq!(vtep.engine.next_copy(&flood, &mut cursor), Some(Err(RewriteError::StaleHandle)), "{removal:?}");
    }
}

fn refused(vtep: &mut Vtep, command: Command, error: CommandError) {
    let before = vtep.engine.digest();
    assert_eq!(vtep.try_command(command), Err(error), "{command:?}");
    assert_eq!(vtep.engine.digest(), before, "{command:?} was refused and changed something");
}

/// Configured endpoints were those that commands had ever named: a refused one was enough, and so was one whose entry or
/// flood list had long been removed.
#[test]
fn an_endpoint_is_configured_as_long_as_something_names_it() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |s| s.bridge.admission = Admission::Configured);
    let bridge = BridgeId(0);
    let stranger = in_vni(VNI, THIRD, &Frame::new(A, R));
    let place = Place::Remote(Remote::at(THIRD));
    let add = Command::FdbAdd { bridge, mac: mac(B), place, owner: Owner::Static, sticky: false, label: Label::NONE };
    let host = Command::FdbAdd {
        bridge,
        mac: mac(B),
        place: Place::Host,
        owner: Owner::Static,
        sticky: false,
        label: Label::NONE,
    };
    let delete = Command::FdbDelete { bridge, mac: mac(B), remote: None };
    let move_away = Command::FdbReplace {
        bridge,
        mac: mac(B),
        place: Place::Host,
        owner: Owner::Static,
        sticky: false,
        label: Label::NONE,
    };
    let statics = Flush { bridge: None, place: None, owners: Owners::STATIC };
    let flood = [
        Command::FloodAdd { bridge, remote: Remote::at(THIRD) },
        Command::FloodRemove { bridge, remote: Remote::at(THIRD) },
    ];
    let config = EndpointConfig { split_horizon: 7, ..EndpointConfig::default() };
    let address = Remote::at(THIRD).resolve(vtep.engine.bridge_config(bridge).unwrap());
    let endpoint = [Command::SetEndpoint { address, config }, Command::RemoveEndpoint { address }];

    vtep.command(host);
    refused(&mut vtep, add, CommandError::Exists);
    vtep.refuses(&stranger, DropReason::UnknownEndpoint);
    vtep.command(delete);
    for [name, forget] in [[add, delete], [add, move_away], [add, Command::Flush(statics)], flood, endpoint] {
        vtep.command(name);
        assert!(matches!(vtep.on_underlay(&stranger), Verdict::Flood(_)), "{name:?}");
        vtep.command(forget);
        vtep.refuses(&stranger, DropReason::UnknownEndpoint);
        // One way to forget leaves an entry for the host.
        let _ = vtep.try_command(delete);
    }
}

/// An endpoint that was added by itself lost its configuration when a flood list let go of it.
#[test]
fn a_flood_list_does_not_take_a_configured_endpoint_away() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let address = Remote::at(THIRD).resolve(vtep.engine.bridge_config(BridgeId(0)).unwrap());
    let config = EndpointConfig { split_horizon: 7, ..EndpointConfig::default() };
    vtep.command(Command::SetEndpoint { address, config });
    vtep.flood_to(THIRD);
    vtep.command(Command::FloodRemove { bridge: BridgeId(0), remote: Remote::at(THIRD) });
    for _ in 0..100 {
        vtep.engine.tick(vtep.now);
    }
    let id = vtep.engine.endpoints().find(&address).expect("still there");
    assert_eq!(*vtep.engine.endpoints().get(id).unwrap().config(), config);
}

/// Entries that came and went left their endpoints behind until there was no place for another.
#[test]
fn endpoints_of_removed_entries_make_room() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let bridge = BridgeId(0);
    for last in 1..=200 {
        let place = Place::Remote(Remote::at(IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))));
        vtep.command(Command::FdbAdd {
            bridge,
            mac: mac(R),
            place,
            owner: Owner::Controller,
            sticky: false,
            label: Label::NONE,
        });
        vtep.command(Command::FdbDelete { bridge, mac: mac(R), remote: None });
    }
}

/// A command that failed halfway left an endpoint behind.
#[test]
fn refused_commands_change_nothing() {
    let config = Config { when_full: WhenFull::Refuse, ..Config::new(Profile::Rfc, [1, 2]) };
    let mut memory = Storage::<1, 2, 2, 8, 8, 8>::new();
    let mut engine = Engine::new(memory.memory(), &config);
    let (bridge, now) = (BridgeId(0), Instant::ZERO);
    let bridge_config = Profile::Rfc.bridge(Encapsulation::Vxlan, Vni::truncating(VNI));
    engine.command(now, &Command::SetUnderlay { id: UnderlayId(0), config: UnderlayConfig::new(LOCAL) }).unwrap();
    engine.command(now, &Command::AddBridge { id: bridge, config: bridge_config }).unwrap();
    for last in 0..4 {
        let mac = mac([2, 0, 0, 0, 0, last]);
        let add = Command::FdbAdd {
            bridge,
            mac,
            place: Place::Host,
            owner: Owner::Static,
            sticky: false,
            label: Label::NONE,
        };
        engine.command(now, &add).unwrap();
    }
    let (station, remote) = (mac(R), Remote::at(REMOTE));
    let place = Place::Remote(remote);
    for command in [
        Command::FdbAppend { bridge, mac: mac(world::MULTICAST), remote },
        Command::FdbAdd { bridge, mac: station, place, owner: Owner::Static, sticky: false, label: Label::NONE },
        Command::FdbReplace { bridge, mac: station, place, owner: Owner::Static, sticky: false, label: Label::NONE },
        Command::Learn { bridge, mac: station, place, label: Label::NONE },
    ] {
        let before = engine.digest();
        assert_eq!(engine.command(now, &command), Err(CommandError::FdbFull), "{command:?}");
        assert_eq!((engine.digest(), engine.endpoints().len()), (before, 0), "{command:?}");
    }
}

/// An underlay took a TTL of 0, or the address of an endpoint as its own, and its endpoints kept their old headers.
#[test]
fn an_underlay_that_its_endpoints_cannot_follow_is_refused() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    vtep.flood_to(REMOTE);
    let id = UnderlayId(0);
    let old = *vtep.engine.underlay_config(id).unwrap();
    let config = UnderlayConfig { ttl: Ttl::Fixed(0), ..old };
    refused(&mut vtep, Command::SetUnderlay { id, config }, CommandError::BadValue);
    let config = UnderlayConfig { ipv4: Some(Ipv4Addr::new(192, 0, 2, 2)), ..old };
    refused(&mut vtep, Command::SetUnderlay { id, config }, CommandError::BadAddress);
}

/// Entries that a command evicted or found expired went without an event.
#[test]
fn commands_tell_what_they_push_out() {
    let config = Config::new(Profile::Rfc, [1, 2]);
    let mut memory = Storage::<1, 2, 2, 8, 8, 32>::new();
    let mut engine = Engine::new(memory.memory(), &config);
    let (bridge, now) = (BridgeId(0), Instant::ZERO);
    let bridge_config = Profile::Rfc.bridge(Encapsulation::Vxlan, Vni::truncating(VNI));
    engine.command(now, &Command::SetUnderlay { id: UnderlayId(0), config: UnderlayConfig::new(LOCAL) }).unwrap();
    engine.command(now, &Command::AddBridge { id: bridge, config: bridge_config }).unwrap();
    let place = Place::Remote(Remote::at(REMOTE));
    for last in 0..4 {
        let mac = mac([2, 0, 0, 0, 0, last]);
        engine.command(now, &Command::Learn { bridge, mac, place, label: Label::NONE }).unwrap();
    }
    let other = mac(R);
    for command in [
        Command::Learn { bridge, mac: mac(A), place, label: Label::NONE },
        Command::FdbAdd {
            bridge,
            mac: other,
            place: Place::Host,
            owner: Owner::Static,
            sticky: false,
            label: Label::NONE,
        },
        Command::FdbAppend { bridge, mac: mac(world::MULTICAST), remote: Remote::at(REMOTE) },
    ] {
        engine.command(now, &command).unwrap();
        assert!(matches!(engine.poll_event(), Some(Event::Evicted { .. })), "{command:?}");
        assert_eq!(engine.poll_event(), None);
    }
    // Two learned entries are left.
    let later = Instant::from_millis(400_000);
    let flush = Flush { owners: Owners::DYNAMIC | Owners::EVPN, ..Flush::dynamic() };
    engine.command(later, &Command::Flush(flush)).unwrap();
    for _ in 0..2 {
        assert!(matches!(engine.poll_event(), Some(Event::Aged { .. })));
    }
    assert_eq!(engine.poll_event(), None);
}

/// A flush of a remote address without a bridge took one of the endpoints there, whatever port or VNI it named.
#[test]
fn a_flush_of_an_address_is_of_all_its_endpoints() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let bridge = BridgeId(0);
    let stations = [mac(R), mac(world::S), mac(B)];
    for (mac, vni) in stations.into_iter().zip([701, 702, VNI]) {
        vtep.command(Command::Learn { bridge, mac, place: Place::Remote(with_vni(REMOTE, vni)), label: Label::NONE });
    }
    let flush = |remote| Flush { place: Some(Place::Remote(remote)), ..Flush::dynamic() };
    assert_eq!(vtep.command(Command::Flush(flush(with_vni(REMOTE, 702)))), Done::Removed(1));
    assert_eq!(vtep.engine.lookup(bridge, stations[1]), None);
    assert_eq!(vtep.command(Command::Flush(flush(Remote::at(REMOTE)))), Done::Removed(2));
    assert_eq!(vtep.engine.fdb().count(), 0);
    refused(&mut vtep, Command::Flush(flush(Remote::at(THIRD))), CommandError::NoSuchEndpoint);
}

/// Deleting an entry for a remote address took one for a port.
#[test]
fn a_delete_that_names_a_remote_spares_a_port() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let bridge = BridgeId(0);
    let place = Place::Port(PortId(0));
    vtep.command(Command::FdbAdd {
        bridge,
        mac: mac(A),
        place,
        owner: Owner::Static,
        sticky: false,
        label: Label::NONE,
    });
    let delete = |remote| Command::FdbDelete { bridge, mac: mac(A), remote };
    refused(&mut vtep, delete(Some(Remote::at(REMOTE))), CommandError::NotFound);
    vtep.command(delete(None));
}

/// A frame too long for an outer header was edited in place all the same.
#[test]
fn a_rewrite_that_fails_leaves_the_frame() {
    let mut vtep = Vtep::with(Profile::Linux, Encapsulation::Vxlan, |s| s.bridge.vlan_encap = VlanEncap::Strip);
    vtep.station_at(R, Remote::at(REMOTE));
    let frame = Frame { body: vec![0x5a; 65_530], ..Frame::arp(R, A) }.vlan(7).bytes();
    let verdict = vtep.on_port(0, &frame);
    assert!(matches!(verdict, Verdict::Encapsulate(_)), "{verdict:?}");
    let buffer = [vec![0xa5; 128], frame].concat();
    let mut written = buffer.clone();
    let range = 128..buffer.len();
    assert_eq!(vtep.engine.rewrite(&verdict, Depth::Ip, &mut written, range), Err(RewriteError::TooLong));
    assert!(written == buffer, "changed");
}

/// A group address with a flood list of its own was dropped where unknown groups are not flooded.
#[test]
fn a_group_address_with_a_list_is_known() {
    let bridge = BridgeId(0);
    let without = |setup: &mut world::Setup| setup.bridge.flood = FloodSwitches::empty();
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, without);
    let frame = Frame::new(world::MULTICAST, A).bytes();
    vtep.refuses_from_port(0, &frame, DropReason::MulticastOff);
    vtep.command(Command::FdbAppend { bridge, mac: mac(world::MULTICAST), remote: Remote::at(REMOTE) });
    assert_eq!(vtep.sent_one(&frame).ip.dst, REMOTE);
}

/// By Linux's rule a MAC that came from another underlay kept the underlay of its old endpoint, where the new address
/// means somebody else or nobody.
#[test]
fn a_move_takes_the_underlay_along() {
    let mut vtep = Vtep::vxlan(Profile::Linux);
    let elsewhere = UnderlayId(1);
    let config = UnderlayConfig::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
    vtep.command(Command::SetUnderlay { id: elsewhere, config });
    vtep.on_underlay(&in_vni(VNI, REMOTE, &Frame::new(A, R)));
    let moved = in_vni(VNI, THIRD, &Frame::new(A, R));
    vtep.step(&Input::from_underlay(elsewhere, &moved));
    let Some(Place::Remote(remote)) = vtep.place_of(R) else { panic!("{:?}", vtep.place_of(R)) };
    assert_eq!((remote.underlay, remote.address), (elsewhere, THIRD));
}

/// A frame that had met congestion in one tunnel entered the next as one that had not.
#[test]
fn congestion_is_carried_from_tunnel_to_tunnel() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    for (split_horizon, remote) in [(2, REMOTE), (3, THIRD)] {
        vtep.flood_to(remote);
        let address = Remote::at(remote).resolve(vtep.engine.bridge_config(BridgeId(0)).unwrap());
        let config = EndpointConfig { split_horizon, ..EndpointConfig::default() };
        vtep.command(Command::SetEndpoint { address, config });
    }
    let inner = world::ip_frame(world::S, R, false, 2).bytes();
    let input = Packet { tos: 3, ..Packet::vxlan(&inner) }.bytes();
    let verdict = vtep.on_underlay(&input);
    let copies = vtep.copies(&verdict, &input);
    let sent = copies.iter().find(|(to, _)| matches!(to, Egress::Underlay(_)));
    let sent = world::Read::ip(&sent.expect("a copy for the other tunnel").1);
    assert_eq!((sent.ip.dst, sent.ip.tos, sent.inner[15]), (THIRD, 3, 3));
}

/// A MAC of our own could be placed behind a remote endpoint, whose frames were then ours or not, as learning was on or
/// off.
#[test]
fn our_own_addresses_are_not_remote() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let (bridge, mac) = (BridgeId(0), mac(R));
    let (place, owner, sticky) = (Place::Remote(Remote::at(REMOTE)), Owner::Local, false);
    refused(
        &mut vtep,
        Command::FdbAdd { bridge, mac, place, owner, sticky, label: Label::NONE },
        CommandError::BadValue,
    );
    refused(
        &mut vtep,
        Command::FdbReplace { bridge, mac, place, owner, sticky, label: Label::NONE },
        CommandError::BadValue,
    );
}

/// Profile `Linux` refused Group Policy headers with a bit set between the flags, which Linux passes over.
#[test]
fn linux_looks_at_the_first_and_last_byte_of_a_group_policy_header() {
    let mut vtep = Vtep::with(Profile::Linux, Encapsulation::Vxlan, |setup| setup.bridge.gbp = true);
    for bit in 0..64 {
        for first in [0x08, 0x88] {
            let mut packet = Packet::from_r_to_a();
            packet.tunnel[0] = first;
            packet.tunnel[bit / 8] ^= 0x80 >> (bit % 8);
            let drop = match vtep.on_underlay(&packet.bytes()) {
                Verdict::Drop(reason) => Some(reason),
                _ => None,
            };
            let expected = match bit {
                0 | 8..32 => None,
                4 => Some(DropReason::NoVni),
                32..56 => Some(DropReason::UnknownVni),
                _ => Some(DropReason::ReservedBits),
            };
            assert_eq!(drop, expected, "bit {bit} of {first:#04x}");
        }
    }
}

/// Profile `Linux` sent packets to groups with a TTL of 64; Linux sends them with 1, unless told otherwise.
#[test]
fn packets_to_groups_have_a_ttl_of_their_own() {
    for (profile, expected) in [(Profile::Rfc, 64), (Profile::Linux, 1)] {
        let mut vtep = Vtep::vxlan(profile);
        flood_add(&mut vtep, 0, Remote::at(GROUP));
        flood_add(&mut vtep, 0, Remote::at(world::GROUP6));
        flood_add(&mut vtep, 0, Remote::at(REMOTE));
        let mut ttls: Vec<u8> = vtep.sent(0, &Frame::new(R, A).bytes()).iter().map(|sent| sent.ip.ttl).collect();
        ttls.sort_unstable();
        assert_eq!(ttls, [expected.min(64), expected, 64], "{profile:?}");
        let config = *vtep.engine.underlay_config(UnderlayId(0)).unwrap();
        let config = UnderlayConfig { group_ttl: Some(0), ..config };
        refused(&mut vtep, Command::SetUnderlay { id: UnderlayId(0), config }, CommandError::BadValue);
    }
}

/// Copies of one flood to several endpoints at one address had the same IPv4 identification, and so had fragments of both.
#[test]
fn no_two_packets_to_one_address_share_an_identification() {
    for profile in world::PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        let remotes = [Remote::at(REMOTE), with_vni(REMOTE, 777), Remote { port: Some(8472), ..Remote::at(REMOTE) }];
        for remote in remotes {
            flood_add(&mut vtep, 0, remote);
        }
        let mut idents = Vec::new();
        for _ in 0..5 {
            for dst in [world::BROADCAST, world::NOBODY] {
                let frame = Frame::new(dst, A).bytes();
                let verdict = vtep.on_port(0, &frame);
                let copies = vtep.copies(&verdict, &frame).into_iter();
                let sent = copies.filter(|(to, _)| matches!(to, Egress::Underlay(_)));
                idents.extend(sent.map(|(_, packet)| u16::from_be_bytes([packet[4], packet[5]])));
            }
        }
        let count = idents.len();
        idents.sort_unstable();
        idents.dedup();
        assert_eq!((count, idents.len()), (30, 30), "{profile:?}");
    }
}

/// A bridge that the VNI map had no room for left its ageing time and its limit in the forwarding database.
#[test]
fn a_bridge_that_is_refused_leaves_nothing_behind() {
    let mut storage = Box::new(Storage::<16, 8, 1, 1, 1, 1>::new());
    let mut memory = storage.memory();
    memory.vnis = core::mem::take(&mut memory.vnis).get_mut(..1).unwrap();
    let mut engine = Engine::new(memory, &Config::new(Profile::Rfc, [1, 2]));
    let mut add = |id: u16, ageing| {
        let config = BridgeConfig {
            ageing,
            max_macs: Some(u32::from(id)),
            ..BridgeConfig::new(Encapsulation::Vxlan, Vni::new(u32::from(id)).unwrap())
        };
        let done = engine.command(Instant::ZERO, &Command::AddBridge { id: BridgeId(id), config });
        (done, engine.digest())
    };
    let digest = (0..4).map(|id| add(id, Ageing::DEFAULT)).map(|(done, digest)| done.map(|_| digest)).last().unwrap();
    assert_eq!(add(4, Ageing::After(Ageing::MAX)), (Err(CommandError::VnisFull), digest.unwrap()));
    assert_eq!(engine.table().bridge_counts(BridgeId(4)).unwrap().limit, None);
}

/// In profile `Linux`, a frame that moved a control plane's entry gave it the group it claimed; what that group was
/// allowed was then marked as judged (the A bit), so that the far side let it through whoever was there.
#[test]
fn a_frame_that_moves_an_entry_does_not_change_the_group_a_control_plane_gave() {
    let group = |number| SecurityGroup::new(number).unwrap();
    for given in [0, 6] {
        let mut vtep = Vtep::with(Profile::Linux, Encapsulation::Vxlan, |s| {
            s.bridge.gbp = true;
            s.bridge.policy = Some(Enforcement { at: Enforce::all(), ..Enforcement::DEFAULT });
        });
        let config = *vtep.engine.port_config(PortId(0)).unwrap();
        vtep.command(Command::SetPort { id: PortId(0), config: PortConfig { group: group(5), ..config } });
        let (from, to) = (GroupMatch::Is(group(5)), GroupMatch::Is(group(7)));
        vtep.command(Command::SetRule { rule: Rule { bridge: BridgeId(0), from, to, action: Action::Allow } });
        let place = Place::Remote(Remote::at(REMOTE));
        let (mac, owner, label) = (MacAddr(R), Owner::Controller, Label::of_group(group(given)));
        vtep.command(Command::FdbAdd { bridge: BridgeId(0), mac, place, owner, sticky: false, label });

        let [_, v0, v1, v2] = VNI.to_be_bytes();
        let header = vec![0x88, 0, 0, 7, v0, v1, v2, 0];
        vtep.on_underlay(&Packet { src: THIRD, ..Packet::new(4789, header, &Frame::new(A, R).bytes()) }.bytes());
        let entry = vtep.engine.lookup(BridgeId(0), mac).unwrap();
        assert_eq!((entry.owner(), vtep.engine.label(entry)), (Owner::Controller, label));
        let moved = core::iter::from_fn(|| vtep.engine.poll_event()).find(|event| matches!(event, Event::Moved { .. }));
        assert!(matches!(moved, Some(Event::Moved { label: told, .. }) if told == label), "{moved:?}");

        let frame = Frame::new(R, A).bytes();
        if given == 0 {
            let sent = vtep.sent_one(&frame);
            assert_eq!((sent.ip.dst, sent.tunnel[0], sent.tunnel[1] & 0x08), (THIRD, 0x88, 0), "to be judged there");
        } else {
            assert_eq!(vtep.on_port(0, &frame), Verdict::Drop(DropReason::PolicyDenied));
        }
    }
}

/// A sender that only a control plane's entry had named was still listened to after that entry had moved away: what
/// was known of late senders was not asked again.
#[test]
fn who_is_named_by_an_entry_is_listened_to_as_long_as_it_is() {
    for profile in world::PROFILES {
        let mut vtep = Vtep::with(profile, Encapsulation::Vxlan, |s| s.bridge.admission = Admission::Configured);
        let place = Place::Remote(Remote::at(REMOTE));
        let (mac, owner, label) = (MacAddr(B), Owner::Evpn, Label::NONE);
        vtep.command(Command::FdbAdd { bridge: BridgeId(0), mac, place, owner, sticky: false, label });
        vtep.on_port(0, &Frame::new(B, A).bytes());
        let packet = in_vni(VNI, REMOTE, &Frame::new(A, R));
        for _ in 0..3 {
            assert!(matches!(vtep.on_underlay(&packet), Verdict::Deliver(_)), "{profile:?}");
        }
        // The station comes here, and takes its MAC along.
        vtep.on_port(0, &Frame::new(world::BROADCAST, B).bytes());
        assert_eq!(vtep.engine.lookup(BridgeId(0), mac).unwrap().owner(), Owner::Dynamic);
        assert_eq!(vtep.on_underlay(&packet), Verdict::Drop(DropReason::UnknownEndpoint), "{profile:?}");
    }
}
