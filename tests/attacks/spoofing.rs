//! Outer sources that lie.

use core::net::IpAddr;

use crate::common::world::*;
use vtep::engine::{Command, DropReason, Profile, Remote, Verdict};
use vtep::table::{Admission, EndpointAddress, EndpointConfig, UnderlayId};
use vtep::wire::Encapsulation;

fn vtep(profile: Profile, admission: Admission) -> Vtep {
    let mut vtep = Vtep::with(profile, Encapsulation::Vxlan, |setup| {
        setup.bridge.admission = admission;
        setup.underlay.zero_checksum_v6 = true;
    });
    vtep.flood_to(REMOTE);
    let address = EndpointAddress {
        underlay: UnderlayId(0),
        address: THIRD,
        encapsulation: Encapsulation::Vxlan,
        port: 4789,
        vni: None,
    };
    vtep.command(Command::SetEndpoint { address, config: EndpointConfig::default() });
    vtep
}

fn from(src: IpAddr) -> Vec<u8> {
    Packet { src, ..Packet::vxlan(&Frame::new(BROADCAST, R).bytes()) }.bytes()
}

#[test]
fn each_admission_admits_its_own() {
    let stranger: IpAddr = "192.0.2.77".parse().unwrap();
    for profile in PROFILES {
        for (admission, admitted) in [
            (Admission::Anyone, [true, true, true]),
            (Admission::Configured, [true, true, false]),
            (Admission::FloodList, [true, false, false]),
        ] {
            for (sender, admitted) in [REMOTE, THIRD, stranger].into_iter().zip(admitted) {
                let mut vtep = vtep(profile, admission);
                if admitted {
                    assert!(matches!(vtep.on_underlay(&from(sender)), Verdict::Flood(_)));
                    assert_eq!(vtep.remote_of(R), Some(sender));
                } else {
                    vtep.refuses(&from(sender), DropReason::UnknownEndpoint);
                }
            }
        }
    }
}

#[test]
fn addresses_that_cannot_send_are_refused_whoever_is_admitted() {
    for profile in PROFILES {
        for (source, reason) in [
            ("0.0.0.0", DropReason::OuterSourceInvalid),
            ("127.0.0.1", DropReason::OuterSourceInvalid),
            ("224.0.0.1", DropReason::OuterSourceInvalid),
            ("255.255.255.255", DropReason::OuterSourceInvalid),
            ("192.0.2.1", DropReason::OuterSourceOwn),
        ] {
            let mut vtep = vtep(profile, Admission::Anyone);
            vtep.refuses(&from(source.parse().unwrap()), reason);
        }
    }
}

#[test]
fn a_flood_of_forged_hosts_costs_memory_for_as_many_as_fit_and_no_more() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, Admission::Anyone);
        vtep.on_underlay(&Packet::vxlan(&Frame::new(BROADCAST, S).bytes()).bytes());
        for n in 0..2_000_u32 {
            let [_, _, a, b] = n.to_be_bytes();
            let inner = Frame::new(BROADCAST, [2, 0, 0, 1, a, b]).bytes();
            let forged = Packet { src: IpAddr::V4((0xcb00_7100 + n).into()), ..Packet::vxlan(&inner) };
            vtep.on_underlay(&forged.bytes());
        }
        assert!(vtep.engine.endpoints().len() <= vtep.engine.endpoints().capacity());
        // Those that commands made are still there, and so is what was learned behind one of them.
        assert!(vtep.engine.endpoints().iter().any(|(_, e)| e.address().address == THIRD));
        assert_eq!(vtep.remote_of(S), Some(REMOTE));
    }
}

#[test]
fn a_flipped_source_without_a_checksum_is_believed_of_configured_senders_only_rfc6936() {
    let mut vtep = vtep(Profile::Rfc, Admission::Anyone);
    vtep.station_at(S, Remote::at(REMOTE6));
    let IpAddr::V6(known) = REMOTE6 else { unreachable!() };
    let bare = |src: IpAddr| {
        let packet = Packet { checksum: Checksum::Zero, ..Packet::vxlan(&Frame::new(A, R).bytes()).over_v6() };
        Packet { src, ..packet }.bytes()
    };
    assert!(matches!(vtep.on_underlay(&bare(REMOTE6)), Verdict::Flood(_)));
    vtep.command(Command::Flush(vtep::engine::Flush::dynamic()));
    for bit in 0..128 {
        let flipped = IpAddr::V6((known.to_bits() ^ 1 << bit).into());
        let verdict = vtep.on_underlay(&bare(flipped));
        assert!(matches!(verdict, Verdict::Drop(_)), "bit {bit}: {verdict:?}");
        assert_eq!(vtep.place_of(R), None, "bit {bit}");
    }
}

#[test]
fn tenants_do_not_meet_whoever_lies_about_the_vni() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, Admission::Anyone);
        vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
        for vni in (0..24).map(|bit| VNI ^ 1 << bit).filter(|vni| *vni != OTHER_VNI) {
            let forged = Packet::new(4789, vxlan(vni), &Frame::new(A, R).bytes());
            vtep.refuses(&forged.bytes(), DropReason::UnknownVni);
        }
    }
}
