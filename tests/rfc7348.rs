//! RFC 7348 (VXLAN), a test for each clause that is the codec's or the step's; `docs/conformance.md` lists them all.
//!
//! A clause without a `for profile` loop behaves the same in both profiles; where Linux deviates, the deviation is
//! asserted as well.
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

use std::collections::BTreeSet;

use common::world::*;
use vtep::engine::{Command, DropReason, Egress, Event, Input, Place, Profile, PuntReason, Remote, Verdict};
use vtep::table::{Admission, BridgeId, PortId, UnderlayId, VlanDecap, VlanEncap};
use vtep::wire::outer::Checksums;
use vtep::wire::template::{Df, max_inner_mtu};
use vtep::wire::{Depth, Encapsulation, Label, PortRange, TunnelFlags, Vni, vxlan as codec};

const VXLAN: Encapsulation = Encapsulation::Vxlan;

/// A VTEP that knows remote station R behind [`REMOTE`] and S behind [`REMOTE6`].
fn with_stations(profile: Profile) -> Vtep {
    let mut vtep = Vtep::vxlan(profile);
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.station_at(S, Remote::at(REMOTE6));
    vtep
}

#[test]
fn x01_packets_that_pass_the_mtu_are_never_fragmented() {
    // 1500 bytes of underlay MTU, less IP, UDP and VXLAN.
    for (station, largest) in [(R, 1500 - 36), (S, 1500 - 56)] {
        let mut vtep = with_stations(Profile::Rfc);
        let sent = vtep.sent_one(&Frame::of_len(station, A, largest).bytes());
        assert_eq!((sent.len, sent.inner.len(), sent.ip.df), (1500, largest, true));
        vtep.refuses_from_port(0, &Frame::of_len(station, B, largest + 1).bytes(), DropReason::TooBig);
    }
}

#[test]
fn x01_linux_leaves_fragmenting_to_the_ip_layer_where_df_is_not_set() {
    let mut vtep = with_stations(Profile::Linux);
    let sent = vtep.sent_one(&Frame::of_len(R, A, 1465).bytes());
    assert_eq!((sent.len, sent.ip.df), (1501, false));
    // IPv6 has no fragmentation on the way, and with DF there is none over IPv4.
    vtep.drops(&Input::from_port(PortId(0), &Frame::of_len(S, A, 1445).bytes()), DropReason::TooBig);
    let mut vtep = Vtep::with(Profile::Linux, VXLAN, |setup| setup.underlay.df = Df::Set);
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.drops(&Input::from_port(PortId(0), &Frame::of_len(R, A, 1465).bytes()), DropReason::TooBig);
}

#[test]
fn x01_copies_of_a_flood_are_judged_one_by_one() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    vtep.flood_to(REMOTE);
    vtep.flood_to(REMOTE6);
    let sent = vtep.sent(0, &Frame::of_len(BROADCAST, A, 1460).bytes());
    assert_eq!(sent.iter().map(|s| s.ip.dst).collect::<Vec<_>>(), [REMOTE]);
    assert_eq!(vtep.engine.counters().copies_too_big(), 1);
}

#[test]
fn x02_fragments_are_discarded() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for whole in [Packet::from_r_to_a().ip(), Packet::from_r_to_a().over_v6().ip()] {
            let (first, rest) = whole.payload.split_at(64);
            let (middle, last) = rest.split_at(16);
            for (payload, offset, more) in [(first, 0, true), (middle, 8, true), (last, 10, false)] {
                let part = Ip { payload: payload.to_vec(), offset, more, df: false, ident: 7, ..whole.clone() };
                vtep.refuses(&build::in_ethernet(&part), DropReason::OuterFragment);
            }
        }
        // What the IP layer has put together again is a packet like any other.
        assert_eq!(vtep.delivered(&Packet::from_r_to_a().bytes()).len(), 2);
    }
}

#[test]
fn x03_the_mtu_that_the_underlay_leaves_can_be_computed() {
    assert_eq!(max_inner_mtu(1500, VXLAN, false, 0, 0), 1450);
    assert_eq!(max_inner_mtu(1500, VXLAN, true, 0, 0), 1430);
    assert_eq!(max_inner_mtu(1550, VXLAN, false, 0, 0), 1500);
}

#[test]
fn x04_df_lets_routers_report_the_path_mtu() {
    let inner_df = |df| Frame::ip(R, A, &Ip { df, ..build::inner_ip(false) }).bytes();
    for (df, clear, set) in [(Df::Set, true, true), (Df::Unset, false, false), (Df::Inherit, false, true)] {
        for profile in PROFILES {
            let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.underlay.df = df);
            vtep.station_at(R, Remote::at(REMOTE));
            assert_eq!(vtep.sent_one(&inner_df(false)).ip.df, clear, "{df:?}");
            assert_eq!(vtep.sent_one(&inner_df(true)).ip.df, set, "{df:?}");
        }
    }
    assert!(with_stations(Profile::Rfc).sent_one(&inner_df(false)).ip.df);
    assert!(!with_stations(Profile::Linux).sent_one(&inner_df(true)).ip.df);
}

#[test]
fn x05_the_i_flag_is_set_on_what_is_sent() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        vtep.flood_to(REMOTE);
        vtep.flood_to(THIRD6);
        for destination in [R, S, BROADCAST, MULTICAST, NOBODY] {
            for sent in vtep.sent(0, &Frame::new(destination, A).bytes()) {
                assert_eq!(sent.tunnel[0] & 0x08, 0x08);
            }
        }
    }
}

#[test]
fn x05_a_packet_without_the_i_flag_is_dropped() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for flags in (0..=255_u8).filter(|flags| flags & 0x08 == 0) {
            let mut packet = Packet::from_r_to_a();
            packet.tunnel[0] = flags;
            vtep.refuses(&packet.bytes(), DropReason::NoVni);
            // Before anything else in the header: the VNI is not one without I.
            packet.tunnel[4] = 0xff;
            vtep.refuses(&packet.bytes(), DropReason::NoVni);
        }
    }
}

/// Every packet that a VTEP of this profile sends by default: known and unknown, unicast and not, over both families.
fn all_kinds_of_packets(profile: Profile, vni: u32) -> Vec<Read> {
    let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.bridge.vni = Vni::truncating(vni));
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.station_at(S, Remote::at(REMOTE6));
    for remote in [REMOTE, THIRD, REMOTE6, GROUP, GROUP6] {
        vtep.flood_to(remote);
    }
    let frames = [R, S, BROADCAST, MULTICAST, NOBODY].into_iter().flat_map(|to| {
        let arp = Frame::arp(to, A);
        [Frame::new(to, A), ip_frame(to, A, true, 0xff), Frame::new(to, A).vlan(7), arp]
    });
    let sent: Vec<Read> = frames.flat_map(|frame| vtep.sent(0, &frame.bytes())).collect();
    assert_eq!(sent.len(), 4 * (1 + 1 + 3 * 5));
    sent
}

#[test]
fn x06_the_other_seven_flags_are_sent_as_zero() {
    for sent in PROFILES.into_iter().flat_map(|profile| all_kinds_of_packets(profile, VNI)) {
        assert_eq!(sent.tunnel[0], 0x08);
    }
}

#[test]
fn x07_the_other_seven_flags_are_ignored_on_receipt() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    for flags in (0..=255_u8).filter(|flags| flags & 0x08 != 0) {
        let mut packet = Packet::vxlan(&Frame::new(A, [2, 0, 0, 0, 7, flags]).bytes());
        packet.tunnel[0] = flags;
        let both = [(0, packet.inner.clone()), (1, packet.inner.clone())];
        assert_eq!(vtep.delivered(&packet.bytes()), both, "flags {flags:02x}");
        assert_eq!(vtep.remote_of([2, 0, 0, 0, 7, flags]), Some(REMOTE), "flags {flags:02x}");
    }
    assert_eq!(vtep.engine.counters().drops(DropReason::ReservedBits), 0);
}

#[test]
fn x07_linux_drops_packets_with_another_flag() {
    let mut vtep = Vtep::vxlan(Profile::Linux);
    for flags in (0..=255_u8).filter(|flags| flags & 0x08 != 0 && *flags != 0x08) {
        let mut packet = Packet::from_r_to_a();
        packet.tunnel[0] = flags;
        vtep.refuses(&packet.bytes(), DropReason::ReservedBits);
    }
    assert_eq!(vtep.delivered(&Packet::from_r_to_a().bytes()).len(), 2);
}

#[test]
fn x08_both_reserved_fields_are_sent_as_zero() {
    for vni in [0, 1, 0xff, 0x1_0000, 0xa5_5aa5, 0xff_ffff] {
        for sent in PROFILES.into_iter().flat_map(|profile| all_kinds_of_packets(profile, vni)) {
            assert_eq!((&sent.tunnel[1..4], sent.tunnel[7]), (&[0; 3][..], 0));
            assert_eq!(sent.vni(), vni);
        }
    }
    for flags in 0..=255_u8 {
        let flags = TunnelFlags::from_bits_retain(flags).difference(policy_flags());
        let header = codec::Header { vni: Vni::MAX, flags, policy: 0xffff };
        assert_eq!(header.to_bytes(), [0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0]);
    }
}

/// The flags of the Group Policy extension: they are the caller's to set.
fn policy_flags() -> TunnelFlags {
    TunnelFlags::G | TunnelFlags::D | TunnelFlags::A
}

/// The header with each of the 39 reserved bits set alone, as (byte, bit).
fn reserved_bits() -> impl Iterator<Item = (usize, u8)> {
    let all = [(0, 0xf7_u8), (1, 0xff), (2, 0xff), (3, 0xff), (7, 0xff)];
    all.into_iter().flat_map(|(byte, mask)| (0..8).map(move |n| (byte, 1 << n)).filter(move |(_, bit)| mask & bit != 0))
}

#[test]
fn x09_all_39_reserved_bits_are_ignored_on_receipt() {
    assert_eq!(reserved_bits().count(), 39);
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let mut judge = |packet: &Packet| {
        let both = [(0, packet.inner.clone()), (1, packet.inner.clone())];
        assert_eq!(vtep.delivered(&packet.bytes()), both, "{:02x?}", packet.tunnel);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));
        vtep.command(Command::FdbDelete { bridge: BridgeId(0), mac: mac(R), remote: None });
    };
    for (byte, bit) in reserved_bits() {
        let mut packet = Packet::from_r_to_a();
        packet.tunnel[byte] |= bit;
        judge(&packet);
        judge(&Packet { checksum: Checksum::Zero, ..packet });
    }
    let mut packet = Packet::from_r_to_a();
    packet.tunnel = [0xff, 0xff, 0xff, 0xff, 0, 0x13, 0x88, 0xff].to_vec();
    judge(&packet);
}

#[test]
fn x09_linux_drops_packets_with_a_reserved_bit() {
    let mut vtep = Vtep::vxlan(Profile::Linux);
    for (byte, bit) in reserved_bits() {
        let mut packet = Packet::from_r_to_a();
        packet.tunnel[byte] |= bit;
        vtep.refuses(&packet.bytes(), DropReason::ReservedBits);
        // The VNI is looked up first.
        packet.tunnel[4] = 0xff;
        vtep.refuses(&packet.bytes(), DropReason::UnknownVni);
    }
    assert_eq!(vtep.engine.bridge_counters(BridgeId(0)).unwrap().packets(), 0);
}

#[test]
fn x09_bits_of_an_extension_in_use_are_not_reserved() {
    let policy = [(0, 0x80_u8), (1, 0x40), (1, 0x08), (2, 0xff), (3, 0xff)];
    for profile in PROFILES {
        let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.bridge.gbp = true);
        let mut packet = Packet::from_r_to_a();
        policy.iter().for_each(|(byte, bits)| packet.tunnel[*byte] |= bits);
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 2);
        for (byte, bit) in reserved_bits().filter(|(byte, bit)| !policy.iter().any(|(b, m)| b == byte && m & bit != 0))
        {
            let mut packet = Packet::from_r_to_a();
            packet.tunnel[byte] |= bit;
            match profile {
                Profile::Rfc => assert_eq!(vtep.delivered(&packet.bytes()).len(), 2),
                // With the extension on, Linux passes over the unused bits of its flag byte.
                Profile::Linux if byte == 1 => assert_eq!(vtep.delivered(&packet.bytes()).len(), 2),
                Profile::Linux => vtep.refuses(&packet.bytes(), DropReason::ReservedBits),
            }
        }
    }
}

#[test]
fn x10_the_port_is_4789_by_default() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).dst_port, 4789);
        assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).dst_port, 4789);
        assert_eq!(vtep.delivered(&Packet::from_r_to_a().bytes()).len(), 1);
        // The legacy port of Linux, and VXLAN's as a source, are somebody else's.
        for (src_port, dst_port) in [(4789, 8472), (4789, 4790), (4789, 6081), (50_000, 4788)] {
            let packet = Packet { src_port, dst_port, ..Packet::from_r_to_a() }.bytes();
            let verdict = vtep.on_underlay(&packet);
            assert_eq!(verdict.punt(), Some(PuntReason::NotTunnel), "{dst_port}");
            assert!(vtep.copies(&verdict, &packet).is_empty());
        }
    }
}

#[test]
fn x11_the_port_can_be_configured_for_a_bridge_and_for_a_remote() {
    for profile in PROFILES {
        let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.bridge.udp_port = 8472);
        vtep.station_at(R, Remote::at(REMOTE));
        vtep.station_at(S, Remote { port: Some(9999), ..Remote::at(REMOTE6) });
        vtep.command(Command::FloodAdd {
            bridge: BridgeId(0),
            remote: Remote { port: Some(4789), ..Remote::at(THIRD) },
        });
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).dst_port, 8472);
        assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).dst_port, 9999);
        assert_eq!(vtep.sent_one(&Frame::new(BROADCAST, A).bytes()).dst_port, 4789);

        let packet = Packet { dst_port: 8472, ..Packet::from_r_to_a() };
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 1);
        let verdict = vtep.on_underlay(&Packet::from_r_to_a().bytes());
        assert_eq!(verdict.punt(), Some(PuntReason::NotTunnel));
    }
}

/// UDP from 10.0.0.`host`:`port`, with fields set that are not the flow's.
fn flow(to: [u8; 6], host: u8, port: u16, rest: u8) -> Vec<u8> {
    let src = format!("10.0.0.{host}").parse().unwrap();
    let dst = "10.0.0.2".parse().unwrap();
    let payload = udp(src, dst, port, 80, Checksum::Right, &vec![rest; usize::from(rest) + 1]);
    let packet = Ip { tos: rest, ttl: rest, df: rest & 1 == 0, ident: rest.into(), ..Ip::new(src, dst, 17, payload) };
    Frame::ip(to, A, &packet).bytes()
}

#[test]
fn x12_the_source_port_is_a_hash_of_the_inner_flow() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        let mut port_of = |frame: &[u8]| vtep.sent_one(frame).src_port;
        let port = port_of(&flow(R, 1, 4000, 0));
        for rest in [1, 2, 0x7f, 0xff] {
            assert_eq!(port_of(&flow(R, 1, 4000, rest)), port, "one flow, one path");
        }
        // One flow over both families: it is the inner packet that counts.
        assert_eq!(port_of(&flow(S, 1, 4000, 9)), port);
        let others: BTreeSet<u16> = (0..200_u8).map(|n| port_of(&flow(R, n, 4000, 0))).collect();
        assert!(others.len() > 190, "{} ports for 200 hosts", others.len());
        let others: BTreeSet<u16> = (0..200).map(|n| port_of(&flow(R, 1, n, 0))).collect();
        assert!(others.len() > 190, "{} ports for 200 ports", others.len());
    }
}

#[test]
fn x12_all_fragments_of_an_inner_datagram_share_a_port() {
    let mut vtep = with_stations(Profile::Rfc);
    for ipv6 in [false, true] {
        let whole = build::inner_ip(ipv6);
        let ports: BTreeSet<u16> = [(0, true), (2, true), (4, false)]
            .into_iter()
            .map(|(offset, more)| {
                let at = usize::from(offset) * 8;
                let part =
                    Ip { offset, more, df: false, payload: whole.payload[at..at + 16].to_vec(), ..whole.clone() };
                vtep.sent_one(&Frame::ip(R, A, &part).bytes()).src_port
            })
            .collect();
        assert_eq!(ports.len(), 1);
    }
}

#[test]
fn x12_frames_without_ip_are_hashed_by_their_addresses() {
    let mut vtep = with_stations(Profile::Rfc);
    let mut other = |ethertype, last| {
        let frame = Frame { ethertype, body: vec![last; 50], ..Frame::new(R, [2, 0, 0, 0, 5, last & 0x0f]) };
        vtep.sent_one(&frame.bytes()).src_port
    };
    assert_eq!(other(0x88b5, 0x03), other(0x88b5, 0x53));
    let ports: BTreeSet<u16> = (0..16).map(|last| other(0x88b5, last)).collect();
    assert!(ports.len() > 12);
}

#[test]
fn x13_the_source_port_is_a_dynamic_one() {
    for (profile, min, max) in [(Profile::Rfc, 49_152, 65_535), (Profile::Linux, 32_768, 60_999)] {
        let mut vtep = with_stations(profile);
        let ports: Vec<u16> = (0..2000).map(|n| vtep.sent_one(&flow(R, n as u8, n, 0)).src_port).collect();
        assert!(ports.iter().all(|port| (min..=max).contains(port)));
        // All of the range is in use.
        for sixteenth in 0..16 {
            let step = (max - min) / 16;
            let from = min + step * sixteenth;
            assert!(ports.iter().any(|port| (from..from + step).contains(port)), "{from}");
        }
    }
    let mut vtep = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.config.source_ports = PortRange::new(7, 8).unwrap());
    vtep.station_at(R, Remote::at(REMOTE));
    let ports: BTreeSet<u16> = (0..50).map(|n| vtep.sent_one(&flow(R, 1, n, 0)).src_port).collect();
    assert_eq!(ports, BTreeSet::from([7, 8]));
}

#[test]
fn x14_the_checksum_is_sent_as_zero_over_ipv4() {
    for sent in all_kinds_of_packets(Profile::Rfc, VNI) {
        // Over IPv6, RFC 6935 section 5 has the last word: see z01.
        assert_eq!(sent.checksum == 0, sent.ip.src.is_ipv4());
    }
    let mut vtep = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.underlay.checksum_v4 = Some(true));
    vtep.station_at(R, Remote::at(REMOTE));
    assert_ne!(vtep.sent_one(&Frame::new(R, A).bytes()).checksum, 0);
}

#[test]
fn x14_linux_sends_a_checksum() {
    assert!(all_kinds_of_packets(Profile::Linux, VNI).iter().all(|sent| sent.checksum != 0));
    let mut vtep = Vtep::with(Profile::Linux, VXLAN, |setup| setup.underlay.checksum_v4 = Some(false));
    vtep.station_at(R, Remote::at(REMOTE));
    assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).checksum, 0);
}

#[test]
fn x15_a_zero_checksum_is_accepted() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        let packet = Packet { checksum: Checksum::Zero, ..Packet::from_r_to_a() };
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 2);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));

        // Over IPv6 where it was agreed on: RFC 6935 and 6936 took back what RFC 7348 says of it.
        let packet = packet.over_v6();
        vtep.refuses(&packet.bytes(), DropReason::OuterZeroChecksum);
        let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.underlay.zero_checksum_v6 = true);
        vtep.flood_to(REMOTE6);
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 2);
    }
}

#[test]
fn x16_a_checksum_that_is_sent_covers_the_whole_packet() {
    for profile in PROFILES {
        let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.underlay.checksum_v4 = Some(true));
        vtep.station_at(R, Remote::at(REMOTE));
        vtep.station_at(S, Remote::at(REMOTE6));
        vtep.flood_to(REMOTE);
        vtep.flood_to(REMOTE6);
        for len in (42..=120).chain([1437, 1438, 1439, 1440]) {
            for station in [R, S, BROADCAST] {
                // The reader refuses a checksum that is wrong.
                let sent = vtep.sent(0, &Frame::of_len(station, A, len).bytes());
                assert!(!sent.is_empty() && sent.iter().all(|sent| sent.checksum != 0));
                // Edited on the way: the checksum is of the frame as it leaves.
                let sent = vtep.sent(0, &Frame::of_len(station, A, len).vlan(5).bytes());
                assert!(!sent.is_empty() && sent.iter().all(|sent| sent.checksum != 0));
            }
        }
    }
}

#[test]
fn x17_whether_a_checksum_is_verified_can_be_chosen() {
    for (verify, good) in [(Checksums::Verify, false), (Checksums::Trust, true)] {
        for profile in PROFILES {
            let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.underlay.verify = verify);
            for packet in [Packet::from_r_to_a(), Packet::from_r_to_a().over_v6()] {
                let packet = Packet { checksum: Checksum::Wrong, ..packet }.bytes();
                match good {
                    true => assert_eq!(vtep.delivered(&packet).len(), 2),
                    false => vtep.refuses(&packet, DropReason::OuterBadChecksum),
                }
            }
        }
    }
}

#[test]
fn x18_a_packet_whose_checksum_is_wrong_is_dropped() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for (packet, udp_at) in [(Packet::from_r_to_a(), 34), (Packet::from_r_to_a().over_v6(), 54)] {
            let wrong = Packet { checksum: Checksum::Wrong, ..packet.clone() };
            vtep.refuses(&wrong.bytes(), DropReason::OuterBadChecksum);
            // Any bit of the source port, the checksum, the tunnel header or the inner frame.
            let good = packet.bytes();
            for at in (udp_at..udp_at + 2).chain(udp_at + 6..good.len()) {
                for bit in 0..8 {
                    let mut bytes = good.clone();
                    bytes[at] ^= 1 << bit;
                    vtep.refuses(&bytes, DropReason::OuterBadChecksum);
                }
            }
        }
    }
}

#[test]
fn x19_a_packet_is_accepted_if_its_checksum_is_right_or_not_looked_at() {
    for profile in PROFILES {
        for verify in [Checksums::Verify, Checksums::Trust] {
            let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.underlay.verify = verify);
            for packet in [Packet::from_r_to_a(), Packet::from_r_to_a().over_v6()] {
                // Odd and even lengths, which the sum pads.
                for len in [70, 71] {
                    let inner = Frame::of_len(A, R, len).bytes();
                    let packet = Packet { inner: inner.clone(), ..packet.clone() };
                    assert_eq!(vtep.delivered(&packet.bytes()), [(0, inner.clone()), (1, inner)]);
                    assert_eq!(vtep.remote_of(R), Some(packet.src));
                }
            }
        }
    }
}

#[test]
fn x20_a_gateway_discards_inner_vlan_ids_unless_configured() {
    for vid in [1, 100, 101, 4094] {
        let inner = Frame::new(A, R).vlan(vid);
        let packet = Packet::vxlan(&inner.bytes()).bytes();
        let mut gateway = Vtep::vxlan(Profile::Rfc);
        gateway.port_0_in_vlan(100);
        gateway.refuses(&packet, DropReason::VlanTagged);

        // Configured: VLAN 100 passes, and loses the tag for what the port it leaves by has.
        let mut gateway = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_decap = VlanDecap::Map(100));
        gateway.port_0_in_vlan(7);
        if vid == 100 {
            let untagged = Frame::new(A, R);
            let to_ports = [(1, untagged.bytes()), (0, untagged.vlan(7).bytes())];
            assert_eq!(gateway.delivered(&packet), to_ports);
        } else {
            gateway.refuses(&packet, DropReason::VlanMismatch);
        }
    }
    let mut gateway = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_decap = VlanDecap::Map(100));
    gateway.refuses(&Packet::from_r_to_a().bytes(), DropReason::VlanMismatch);
}

#[test]
fn x21_decapsulated_frames_with_a_tag_are_discarded_unless_configured() {
    let tagged = [
        Frame::new(A, R).vlan(1),
        Frame::new(A, R).vlan(0),
        Frame::new(A, R).tagged(0x88a8, 0x2005),
        Frame::new(A, R).vlan(3).tagged(0x88a8, 4),
        Frame::new(A, R).vlan(3).vlan(4).vlan(5),
        Frame::arp(BROADCAST, R).vlan(1),
    ];
    for frame in &tagged {
        let packet = Packet::vxlan(&frame.bytes()).bytes();
        Vtep::vxlan(Profile::Rfc).refuses(&packet, DropReason::VlanTagged);

        let mut keeps = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_decap = VlanDecap::Keep);
        assert_eq!(keeps.delivered(&packet)[0].1, frame.bytes());
        let mut strips = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_decap = VlanDecap::Strip);
        assert_eq!(strips.delivered(&packet)[0].1, Frame { tags: vec![], ..frame.clone() }.bytes());
        assert_eq!(strips.remote_of(R), Some(REMOTE));
    }
}

#[test]
fn x20_x21_linux_delivers_tagged_frames_as_they_are() {
    let mut vtep = Vtep::vxlan(Profile::Linux);
    for frame in [Frame::new(A, R).vlan(100), Frame::new(A, R).vlan(3).tagged(0x88a8, 4)] {
        let inner = frame.bytes();
        let packet = Packet::vxlan(&inner).bytes();
        assert_eq!(vtep.delivered(&packet), [(0, inner.clone()), (1, inner)]);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));
    }
}

#[test]
fn x22_no_tag_goes_into_a_tunnel_unless_configured() {
    let tagged = Frame::new(R, A).vlan(0x6064);
    let mut vtep = with_stations(Profile::Rfc);
    assert_eq!(vtep.sent_one(&tagged.bytes()).inner, Frame::new(R, A).bytes());

    let cases = [
        (VlanEncap::Keep, tagged.clone()),
        (VlanEncap::Map(7), Frame::new(R, A).vlan(0x6007)),
        (VlanEncap::Strip, Frame::new(R, A)),
    ];
    for (policy, expected) in cases {
        let mut vtep = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_encap = policy);
        vtep.station_at(R, Remote::at(REMOTE));
        assert_eq!(vtep.sent_one(&tagged.bytes()).inner, expected.bytes(), "{policy:?}");
    }
    let mut vtep = Vtep::with(Profile::Rfc, VXLAN, |setup| setup.bridge.vlan_encap = VlanEncap::Drop);
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.refuses_from_port(0, &tagged.bytes(), DropReason::VlanTagged);
}

#[test]
fn x22_linux_keeps_the_tag() {
    let tagged = Frame::new(R, A).vlan(3).tagged(0x88a8, 0x6064).bytes();
    assert_eq!(with_stations(Profile::Linux).sent_one(&tagged).inner, tagged);
}

#[test]
fn x23_the_tag_of_a_frame_to_be_tunnelled_is_stripped() {
    let bare = Frame::new(R, A).bytes();
    let tagged = [
        Frame::new(R, A).vlan(1),
        Frame::new(R, A).vlan(0),
        Frame::new(R, A).tagged(0x88a8, 5),
        Frame::new(R, A).vlan(3).tagged(0x88a8, 4),
        Frame::new(R, A).vlan(3).vlan(4).vlan(5),
    ];
    let mut vtep = with_stations(Profile::Rfc);
    vtep.flood_to(THIRD);
    for frame in &tagged {
        assert_eq!(vtep.sent_one(&frame.bytes()).inner, bare);
        // In a flood the copy for the tunnel loses it, and those for ports keep it.
        let input = Frame { dst: BROADCAST, ..frame.clone() }.bytes();
        let verdict = vtep.on_port(0, &input);
        let copies = vtep.copies(&verdict, &input);
        assert_eq!(copies[0], (Egress::Port(PortId(1)), input));
        assert_eq!(Read::ip(&copies[1].1).inner, Frame { tags: vec![], dst: BROADCAST, ..frame.clone() }.bytes());
    }
    // A port's own tag is never the tunnel's, in either profile.
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        vtep.port_0_in_vlan(100);
        assert_eq!(vtep.sent_one(&Frame::new(R, A).vlan(100).bytes()).inner, bare);
    }
}

#[test]
fn x24_the_vni_is_validated_and_separates_stations() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for vni in [0, 1, VNI - 1, VNI + 1, VNI << 8 & 0xff_ffff, 0xff_ffff] {
            let packet = Packet { tunnel: vxlan(vni), ..Packet::from_r_to_a() };
            vtep.refuses(&packet.bytes(), DropReason::UnknownVni);
        }
        // Ports 0 and 1 see VNI 5000, port 2 sees 6000; the same MAC is two stations.
        let ports = |got: Vec<(u16, Vec<u8>)>| got.iter().map(|(port, _)| *port).collect::<Vec<_>>();
        let inner = Frame::arp(BROADCAST, R).bytes();
        assert_eq!(ports(vtep.delivered(&Packet::vxlan(&inner).bytes())), [0, 1]);
        let other = Packet { src: THIRD, tunnel: vxlan(OTHER_VNI), ..Packet::vxlan(&inner) };
        assert_eq!(ports(vtep.delivered(&other.bytes())), [2]);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));
        assert!(matches!(vtep.place_in(1, R), Some(Place::Remote(remote)) if remote.address == THIRD));
        assert_eq!(vtep.sent(0, &Frame::new(R, A).bytes())[0].vni(), VNI);
        assert_eq!(vtep.sent(2, &Frame::new(R, A).bytes())[0].vni(), OTHER_VNI);
    }
}

#[test]
fn x24_the_inner_source_is_learned_behind_the_outer_one() {
    for profile in PROFILES {
        for (packet, remote) in [(Packet::from_r_to_a(), REMOTE), (Packet::from_r_to_a().over_v6(), REMOTE6)] {
            let mut vtep = Vtep::vxlan(profile);
            assert_eq!(vtep.place_of(R), None);
            vtep.delivered(&packet.bytes());
            assert_eq!(vtep.remote_of(R), Some(remote));
            let place = vtep.place_of(R).unwrap();
            assert_eq!(vtep.events(), [Event::Learned { bridge: BridgeId(0), mac: mac(R), place, label: Label::NONE }]);
            // Elsewhere from now on.
            vtep.delivered(&Packet { src: if remote.is_ipv4() { THIRD } else { THIRD6 }, ..packet }.bytes());
            assert_ne!(vtep.remote_of(R), Some(remote));
            assert!(matches!(vtep.events()[..], [Event::Moved { from, .. }] if from == place));
        }
    }
}

#[test]
fn x25_the_answer_goes_to_the_learned_vtep_alone() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        vtep.flood_to(THIRD);
        vtep.flood_to(REMOTE);
        let request = Packet::vxlan(&Frame::arp(BROADCAST, R).bytes());
        assert_eq!(vtep.delivered(&request.bytes()).len(), 2);
        let answer = Frame::arp(R, A).bytes();
        let sent = vtep.sent_one(&answer);
        assert_eq!((sent.ip.src, sent.ip.dst, sent.vni(), sent.inner), (LOCAL, REMOTE, VNI, answer));
        // And port 0 alone gets what R says next.
        let next = Frame::new(A, R).bytes();
        assert_eq!(vtep.delivered(&Packet::vxlan(&next).bytes()), [(0, next)]);
    }
}

#[test]
fn x26_bum_traffic_goes_to_the_group_of_its_vni() {
    for (group, multicast_mac) in [(GROUP, [1, 0, 0x5e, 0x01, 1, 1]), (GROUP6, [0x33, 0x33, 0x12, 0x34, 0x56, 0x78])] {
        for profile in PROFILES {
            let mut vtep = Vtep::vxlan(profile);
            vtep.flood_to(group);
            for destination in [BROADCAST, MULTICAST, NOBODY] {
                let input = Frame::new(destination, A).bytes();
                let verdict = vtep.on_port(0, &input);
                let copies = vtep.copies_from(Depth::Ethernet, &verdict, &input);
                assert_eq!(copies[0], (Egress::Port(PortId(1)), input.clone()));
                let (_, frame) = &copies[1];
                assert_eq!((copies.len(), &frame[..6]), (2, &multicast_mac[..]));
                let sent = Read::ip(&frame[14..]);
                assert_eq!((sent.ip.dst, sent.vni(), &sent.inner), (group, VNI, &input));
            }
            // The other VNI has no group.
            assert_eq!(vtep.on_port(2, &Frame::new(BROADCAST, A).bytes()), Verdict::Drop(DropReason::NoFloodTarget));
        }
    }
}

#[test]
fn x26_the_group_of_a_vni_is_received_on() {
    let others = [(GROUP, "239.1.1.2"), (GROUP6, "ff05::1")];
    for profile in PROFILES {
        for (group, other) in others {
            let mut vtep = Vtep::vxlan(profile);
            vtep.flood_to(group);
            let packet = match group.is_ipv4() {
                true => Packet::from_r_to_a(),
                false => Packet::from_r_to_a().over_v6(),
            };
            let to_group = Packet { dst: group, ..packet.clone() };
            let source = to_group.src;
            assert_eq!(vtep.delivered(&to_group.bytes()).len(), 2);
            assert_eq!(vtep.remote_of(R), Some(source));
            // Another VNI's group is not ours, though its packets arrive; Linux does not look.
            let stray = Packet { dst: other.parse().unwrap(), ..packet.clone() }.bytes();
            let wrong_vni = Packet { tunnel: vxlan(OTHER_VNI), ..to_group.clone() }.bytes();
            match profile {
                Profile::Rfc => {
                    vtep.refuses(&stray, DropReason::OuterDestinationForeign);
                    vtep.refuses(&wrong_vni, DropReason::OuterDestinationForeign);
                }
                Profile::Linux => {
                    assert_eq!(vtep.delivered(&stray).len(), 2);
                    assert_eq!(vtep.delivered(&wrong_vni).len(), 1);
                }
            }
        }
    }
}

#[test]
fn x26_without_multicast_every_endpoint_gets_a_copy() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for remote in [REMOTE, REMOTE6, THIRD] {
            vtep.flood_to(remote);
        }
        let sent = vtep.sent(0, &Frame::new(BROADCAST, A).bytes());
        let order = match profile {
            Profile::Rfc => [REMOTE, REMOTE6, THIRD],
            Profile::Linux => [REMOTE6, THIRD, REMOTE],
        };
        assert_eq!(sent.iter().map(|s| s.ip.dst).collect::<Vec<_>>(), order);
        // What came from a tunnel goes to ports only.
        assert_eq!(vtep.delivered(&Packet::vxlan(&Frame::new(BROADCAST, R).bytes()).bytes()).len(), 2);
    }
}

#[test]
fn x27_only_known_endpoints_are_listened_to_where_so_configured() {
    for profile in PROFILES {
        for admission in [Admission::Configured, Admission::FloodList] {
            let mut vtep = Vtep::with(profile, VXLAN, |setup| setup.bridge.admission = admission);
            vtep.flood_to(REMOTE);
            let rogue = Packet { src: THIRD, ..Packet::from_r_to_a() };
            vtep.refuses(&rogue.bytes(), DropReason::UnknownEndpoint);
            vtep.refuses(&Packet::from_r_to_a().over_v6().bytes(), DropReason::UnknownEndpoint);
            assert_eq!(vtep.delivered(&Packet::from_r_to_a().bytes()).len(), 2);
            // Known, but not to this VNI's flood list.
            vtep.station_at(S, Remote::at(THIRD));
            match admission {
                Admission::FloodList => vtep.refuses(&rogue.bytes(), DropReason::UnknownEndpoint),
                _ => assert_eq!(vtep.delivered(&rogue.bytes()).len(), 2),
            }
        }
        let mut open = Vtep::vxlan(profile);
        assert_eq!(open.delivered(&Packet { src: THIRD, ..Packet::from_r_to_a() }.bytes()).len(), 2);
    }
}

#[test]
fn x27_data_packets_do_not_take_a_configured_station_away() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        let rogue = Packet { src: THIRD, ..Packet::from_r_to_a() }.bytes();
        vtep.later();
        let input = Input::from_underlay(UnderlayId(0), &rogue);
        vtep.drops(&input, DropReason::SourceMacStatic);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));
        assert!(matches!(vtep.events()[..], [Event::MoveRefused { mac: m, .. }] if m == mac(R)));
    }
}

#[test]
fn x27_impossible_senders_are_refused() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        for source in ["0.0.0.0", "127.0.0.1", "239.1.1.1", "255.255.255.255"] {
            let packet = Packet { src: source.parse().unwrap(), ..Packet::from_r_to_a() };
            vtep.refuses(&packet.bytes(), DropReason::OuterSourceInvalid);
        }
        for source in ["::", "::1", "ff02::1"] {
            let packet = Packet { src: source.parse().unwrap(), ..Packet::from_r_to_a().over_v6() };
            vtep.refuses(&packet.bytes(), DropReason::OuterSourceInvalid);
        }
        vtep.refuses(&Packet { src: LOCAL, ..Packet::from_r_to_a() }.bytes(), DropReason::OuterSourceOwn);
        for source in [[0; 6], BROADCAST, MULTICAST] {
            let packet = Packet::vxlan(&Frame::new(A, source).bytes());
            vtep.refuses(&packet.bytes(), DropReason::SourceMacInvalid);
        }
    }
}

#[test]
fn x27_nothing_is_learned_from_a_packet_that_is_dropped() {
    // Linux learns before it looks at the length and at ECN.
    let short = Packet::vxlan(&Frame { body: vec![0x45; 19], ..Frame::new(A, R) }.bytes()).bytes();
    let marked = Packet { tos: 3, ..Packet::from_r_to_a() }.bytes();
    for (packet, reason) in [(short, DropReason::InnerShortIp), (marked, DropReason::EcnConflict)] {
        Vtep::vxlan(Profile::Rfc).refuses(&packet, reason);
        let mut vtep = Vtep::vxlan(Profile::Linux);
        vtep.drops(&Input::from_underlay(UnderlayId(0), &packet), reason);
        assert_eq!(vtep.remote_of(R), Some(REMOTE));
    }
}

#[test]
fn a_packet_cut_anywhere_is_dropped_by_name_and_changes_nothing() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        let whole = Packet::from_r_to_a().bytes();
        for len in 0..whole.len() {
            vtep.later();
            let before = vtep.state();
            let verdict = vtep.on_underlay(&whole[..len]);
            assert!(matches!(verdict, Verdict::Drop(_)), "{len}: {verdict:?}");
            assert_eq!(vtep.state(), before);
        }
    }
}
