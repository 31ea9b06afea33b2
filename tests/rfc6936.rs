//! RFC 6935 and RFC 6936 (zero UDP checksums over IPv6), a test for each clause; `docs/conformance.md` lists them all.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod common;

use core::net::{IpAddr, Ipv6Addr};

use common::world::*;
use vtep::engine::{Command, DropReason, Event, Input, Profile, PuntReason, Remote, Verdict};
use vtep::table::{BridgeId, UnderlayConfig, UnderlayId};
use vtep::wire::Encapsulation;
use vtep::wire::outer::{Datagram, UdpChecksum};

const ENCAPSULATIONS: [Encapsulation; 2] = [Encapsulation::Vxlan, Encapsulation::Geneve];

/// A VTEP that knows S behind [`REMOTE6`], with zero checksums on or off in each direction.
fn vtep(profile: Profile, encapsulation: Encapsulation, send: bool, receive: bool) -> Vtep {
    let mut vtep = Vtep::with(profile, encapsulation, |setup| {
        setup.underlay.checksum_v6 = !send;
        setup.underlay.zero_checksum_v6 = receive;
    });
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.station_at(S, Remote::at(REMOTE6));
    vtep
}

/// From [`REMOTE6`], for stations A and S.
fn packet(encapsulation: Encapsulation, checksum: Checksum) -> Packet {
    let inner = Frame::new(A, S).bytes();
    let packet = match encapsulation {
        Encapsulation::Vxlan => Packet::vxlan(&inner),
        _ => Packet::geneve(&inner),
    };
    Packet { checksum, ..packet.over_v6() }
}

#[test]
fn z01_a_checksum_is_computed_by_default() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = Vtep::new(profile, encapsulation);
            vtep.station_at(S, Remote::at(REMOTE6));
            for len in (42..=90).chain([1300, 1301]) {
                // The reader refuses a checksum that is neither zero nor right.
                assert_ne!(vtep.sent_one(&Frame::of_len(S, A, len).bytes()).checksum, 0);
            }
        }
    }
}

#[test]
fn z01_a_checksum_that_comes_out_as_zero_is_sent_as_ffff() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            for station in [R, S] {
                let mut vtep = Vtep::with(profile, encapsulation, |setup| setup.underlay.checksum_v4 = Some(true));
                vtep.station_at(R, Remote::at(REMOTE));
                vtep.station_at(S, Remote::at(REMOTE6));
                // Two bytes of data that complete the sum: adding the checksum itself makes it all ones.
                let mut frame = Frame::of_len(station, A, 100).bytes();
                frame[90..92].copy_from_slice(&[0, 0]);
                let missing = vtep.sent_one(&frame).checksum;
                frame[90..92].copy_from_slice(&missing.to_be_bytes());
                assert_eq!(vtep.sent_one(&frame).checksum, 0xffff);
            }
        }
    }
}

#[test]
fn z02_z07_a_zero_checksum_is_discarded_by_default() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = Vtep::new(profile, encapsulation);
            vtep.station_at(S, Remote::at(REMOTE6));
            let bare = packet(encapsulation, Checksum::Zero);
            vtep.refuses(&bare.bytes(), DropReason::OuterZeroChecksum);
            assert_eq!(vtep.delivered(&packet(encapsulation, Checksum::Right).bytes()).len(), 2);

            // A socket that lets them through changes nothing.
            let datagram = Datagram {
                src: REMOTE6,
                dst: LOCAL6,
                src_port: 50_000,
                dst_port: encapsulation.default_port(),
                tos: 0,
                ttl: 64,
                checksum: UdpChecksum::Zero,
            };
            let payload = [bare.tunnel, bare.inner].concat();
            vtep.refuses_input(&Input::from_socket(UnderlayId(0), datagram, &payload), DropReason::OuterZeroChecksum);
        }
    }
}

#[test]
fn z03_with_the_mode_on_packets_without_a_checksum_come_and_go() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = vtep(profile, encapsulation, true, true);
            assert_eq!(vtep.delivered(&packet(encapsulation, Checksum::Zero).bytes()).len(), 2);
            assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).checksum, 0);
        }
    }
}

#[test]
fn z04_receiving_without_does_not_mean_sending_without() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = vtep(profile, encapsulation, false, true);
            assert_eq!(vtep.delivered(&packet(encapsulation, Checksum::Zero).bytes()).len(), 2);
            assert_ne!(vtep.sent_one(&Frame::new(S, A).bytes()).checksum, 0);
        }
    }
}

#[test]
fn z05_z08_z12_only_the_ports_of_bridges_are_concerned() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, Encapsulation::Vxlan, false, true);
        let bare = packet(Encapsulation::Vxlan, Checksum::Zero);
        assert_eq!(vtep.delivered(&bare.bytes()).len(), 2);
        // Any other port is not ours to judge: the host gets the packet with the checksum it came with.
        for dst_port in [53, 4790, 6081, 8472] {
            let other = Packet { dst_port, ..bare.clone() }.bytes();
            let verdict = vtep.on_underlay(&other);
            assert_eq!(verdict.punt(), Some(PuntReason::NotTunnel));
            assert!(vtep.copies(&verdict, &other).is_empty());
        }
        // A port is listed by its bridge, and gone with it.
        for id in [0, 1] {
            vtep.command(Command::RemoveBridge { id: BridgeId(id) });
        }
        assert_eq!(vtep.on_underlay(&bare.bytes()).punt(), Some(PuntReason::NotTunnel));
    }
}

#[test]
fn z06_an_endpoint_can_demand_checksums_while_another_goes_without() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, Encapsulation::Geneve, true, true);
        let with = UnderlayConfig { checksum_v6: true, ..profile.underlay("2001:db8::77".parse().unwrap()) };
        vtep.command(Command::SetUnderlay { id: UnderlayId(1), config: with });
        vtep.station_at(NOBODY, Remote { underlay: UnderlayId(1), ..Remote::at(THIRD6) });
        assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).checksum, 0);
        assert_ne!(vtep.sent_one(&Frame::new(NOBODY, A).bytes()).checksum, 0);
    }
}

#[test]
fn z09_packets_with_a_checksum_are_still_verified_on_such_a_port() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = vtep(profile, encapsulation, true, true);
            assert_eq!(vtep.delivered(&packet(encapsulation, Checksum::Right).bytes()).len(), 2);
            vtep.refuses(&packet(encapsulation, Checksum::Wrong).bytes(), DropReason::OuterBadChecksum);
            let good = packet(encapsulation, Checksum::Right).bytes();
            for at in 62..good.len() {
                let mut bytes = good.clone();
                bytes[at] ^= 0x10;
                vtep.refuses(&bytes, DropReason::OuterBadChecksum);
            }
        }
    }
}

#[test]
fn z10_a_zero_checksum_on_an_enabled_port_raises_nothing() {
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let mut vtep = vtep(profile, encapsulation, true, true);
            vtep.events();
            vtep.delivered(&packet(encapsulation, Checksum::Zero).bytes());
            assert_eq!(vtep.events(), []);
            assert_eq!(vtep.engine.counters().drops(DropReason::OuterZeroChecksum), 0);
        }
    }
}

#[test]
fn z11_icmpv6_errors_are_the_host_s_to_validate_and_change_nothing() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, Encapsulation::Vxlan, true, true);
        // Packet too big, destination unreachable and parameter problem, about a packet of ours.
        let ours = packet(Encapsulation::Vxlan, Checksum::Zero);
        let ours = Packet { src: LOCAL6, dst: REMOTE6, ..ours }.ip().bytes();
        for (kind, code) in [(2, 0), (1, 4), (4, 0)] {
            let payload = [&[kind, code, 0, 0, 0, 0, 5, 0][..], &ours[..]].concat();
            let frame = build::in_ethernet(&Ip::new(REMOTE6, LOCAL6, 58, payload));
            vtep.later();
            let before = vtep.state();
            assert_eq!(vtep.on_underlay(&frame).punt(), Some(PuntReason::NotTunnel));
            assert_eq!(vtep.state(), before);
        }
    }
}

#[test]
fn z14_a_corrupted_source_address_teaches_nothing() {
    for encapsulation in ENCAPSULATIONS {
        for bit in 0..128 {
            let IpAddr::V6(remote) = REMOTE6 else { panic!() };
            let src = Ipv6Addr::from_bits(remote.to_bits() ^ 1 << bit).into();
            let mut vtep = vtep(Profile::Rfc, encapsulation, true, true);
            let inner = Frame::new(A, NOBODY).bytes();
            let damaged = Packet { src, inner, ..packet(encapsulation, Checksum::Zero) }.bytes();
            let before = vtep.state();
            let verdict = vtep.on_underlay(&damaged);
            assert!(matches!(verdict, Verdict::Drop(_)), "{src}: {verdict:?}");
            assert_eq!(vtep.state(), before);
        }
        let mut vtep = vtep(Profile::Rfc, encapsulation, true, true);
        let stranger = Packet { src: THIRD6, ..packet(encapsulation, Checksum::Zero) };
        vtep.refuses(&stranger.bytes(), DropReason::ZeroChecksumUnknownEndpoint);
        // Learned from a packet with a checksum is not the same as configured.
        let inner = Frame::new(A, NOBODY).bytes();
        let checked = Packet { src: THIRD6, inner, ..packet(encapsulation, Checksum::Right) };
        assert_eq!(vtep.delivered(&checked.bytes()).len(), 2);
        assert_eq!(vtep.remote_of(NOBODY), Some(THIRD6));
        vtep.refuses(&stranger.bytes(), DropReason::ZeroChecksumUnknownEndpoint);
    }
}

#[test]
fn z14_linux_learns_from_it() {
    for encapsulation in ENCAPSULATIONS {
        let mut vtep = vtep(Profile::Linux, encapsulation, true, true);
        vtep.events();
        let inner = Frame::new(A, NOBODY).bytes();
        let stranger = Packet { src: THIRD6, inner, ..packet(encapsulation, Checksum::Zero) };
        assert_eq!(vtep.delivered(&stranger.bytes()).len(), 2);
        assert_eq!(vtep.remote_of(NOBODY), Some(THIRD6));
        assert!(matches!(vtep.events()[..], [Event::Learned { .. }]));
    }
}
