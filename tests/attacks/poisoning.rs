//! Frames with somebody else's source address.

use crate::common::world::*;
use vtep::engine::{Command, DropReason, Event, Place, Profile, Remote, Verdict};
use vtep::table::{BridgeId, Owner, PortId};
use vtep::wire::{Encapsulation, Label};

const BRIDGE: BridgeId = BridgeId(0);
/// The gateway: this host's own address in the network.
const GATEWAY: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// From an attacker behind [`THIRD`].
fn from_third(src: [u8; 6]) -> Vec<u8> {
    Packet { src: THIRD, ..Packet::vxlan(&Frame::new(B, src).bytes()) }.bytes()
}

/// A VTEP with stations behind ports and remotes, and an entry of each owner.
fn vtep(profile: Profile) -> Vtep {
    let mut vtep = Vtep::with(profile, Encapsulation::Vxlan, |setup| setup.bridge.host = true);
    vtep.flood_to(REMOTE);
    vtep.flood_to(THIRD);
    for (port, station) in [(0, A), (1, B)] {
        vtep.on_port(port, &Frame::new(BROADCAST, station).bytes());
    }
    let own = |mac, place, owner, sticky| Command::FdbReplace {
        bridge: BRIDGE,
        mac,
        place,
        owner,
        sticky,
        label: Label::NONE,
    };
    vtep.command(own(mac(GATEWAY), Place::Host, Owner::Local, false));
    vtep.station_at(R, Remote::at(REMOTE));
    let dynamic = Command::FdbReplace {
        bridge: BRIDGE,
        mac: mac(S),
        place: Place::Remote(Remote::at(REMOTE)),
        owner: Owner::Dynamic,
        sticky: true,
        label: Label::NONE,
    };
    vtep.command(dynamic);
    vtep
}

#[test]
fn the_gateways_address_is_nobody_elses() {
    for profile in PROFILES {
        let mut vtep = vtep(profile);
        vtep.refuses(&from_third(GATEWAY), DropReason::SourceMacOwn);
        vtep.refuses_from_port(0, &Frame::new(B, GATEWAY).bytes(), DropReason::SourceMacOwn);
        assert!(matches!(vtep.on_port(0, &Frame::new(GATEWAY, A).bytes()), Verdict::Punt(_)));
    }
}

#[test]
fn the_gateways_address_is_protected_where_nothing_is_learned() {
    for profile in PROFILES {
        let mut vtep = vtep(profile);
        let mut config = *vtep.engine.bridge_config(BRIDGE).unwrap();
        config.ageing = vtep::table::Ageing::NoLearn;
        vtep.command(Command::SetBridge { id: BRIDGE, config });
        vtep.refuses(&from_third(GATEWAY), DropReason::SourceMacOwn);
        vtep.refuses_from_port(0, &Frame::new(B, GATEWAY).bytes(), DropReason::SourceMacOwn);
    }
}

#[test]
fn static_and_sticky_entries_stay_and_the_operator_is_told() {
    for profile in PROFILES {
        for station in [R, S] {
            let mut vtep = vtep(profile);
            vtep.events();
            for attempt in 1..=100 {
                assert_eq!(vtep.on_underlay(&from_third(station)), Verdict::Drop(DropReason::SourceMacStatic));
                let spoofed = Frame::new(B, station).bytes();
                assert_eq!(vtep.on_port(0, &spoofed), Verdict::Drop(DropReason::SourceMacStatic));
                assert_eq!(vtep.remote_of(station), Some(REMOTE), "attempt {attempt}");
                let events = vtep.events();
                assert!(matches!(events[..], [Event::MoveRefused { .. }, Event::MoveRefused { .. }]), "{events:?}");
            }
            assert!(matches!(vtep.on_port(0, &Frame::new(station, A).bytes()), Verdict::Encapsulate(_)));
        }
    }
}

#[test]
fn a_control_planes_entry_stays_against_tunnels() {
    let mut vtep = vtep(Profile::Rfc);
    for owner in [Owner::Evpn, Owner::Controller] {
        let place = Place::Remote(Remote::at(REMOTE));
        vtep.command(Command::FdbReplace {
            bridge: BRIDGE,
            mac: mac(NOBODY),
            place,
            owner,
            sticky: false,
            label: Label::NONE,
        });
        vtep.on_underlay(&from_third(NOBODY));
        assert_eq!(vtep.remote_of(NOBODY), Some(REMOTE));
    }
}

#[test]
fn a_blackholed_station_stays_blackholed() {
    for profile in PROFILES {
        let mut vtep = vtep(profile);
        let (place, owner) = (Place::Blackhole, Owner::Static);
        vtep.command(Command::FdbAdd {
            bridge: BRIDGE,
            mac: mac(NOBODY),
            place,
            owner,
            sticky: false,
            label: Label::NONE,
        });
        vtep.drops(
            &vtep::engine::Input::from_underlay(vtep::table::UnderlayId(0), &from_third(NOBODY)),
            DropReason::SourceMacStatic,
        );
        assert_eq!(vtep.place_of(NOBODY), Some(Place::Blackhole));
    }
}

#[test]
fn addresses_that_are_no_stations_are_not_learned() {
    for profile in PROFILES {
        for source in [[0; 6], BROADCAST, MULTICAST, [0x33, 0x33, 0, 0, 0, 1]] {
            let mut vtep = vtep(profile);
            vtep.refuses(&from_third(source), DropReason::SourceMacInvalid);
            assert_eq!(vtep.place_of(source), None);
        }
    }
}

#[test]
fn one_tenants_lies_are_about_itself() {
    for profile in PROFILES {
        let mut vtep = vtep(profile);
        for station in [GATEWAY, R, S, A] {
            let lie = Packet { src: THIRD, ..Packet::new(4789, vxlan(OTHER_VNI), &Frame::new(B, station).bytes()) };
            assert!(matches!(vtep.on_underlay(&lie.bytes()), Verdict::Flood(_)));
            assert!(matches!(vtep.place_in(1, station), Some(Place::Remote(_))));
        }
        let before = [A, R, S, GATEWAY].map(|station| vtep.place_of(station).unwrap());
        assert_eq!(before[0], Place::Port(PortId(0)));
        assert!(matches!(before[3], Place::Host));
        assert_eq!([R, S].map(|station| vtep.remote_of(station)), [Some(REMOTE); 2]);
    }
}
