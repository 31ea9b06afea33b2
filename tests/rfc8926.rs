//! RFC 8926 (Geneve), a test for each clause that is the codec's or the step's; `docs/conformance.md` lists them all.
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
use vtep::engine::{Command, DropReason, Egress, Event, Input, Place, Profile, Punt, PuntReason, Remote, Verdict};
use vtep::table::{BridgeId, PortId, UnderlayConfig, UnderlayId, VlanDecap, VlanEncap};
use vtep::wire::geneve::{
    Definition, Duplicates, Header, MAX_OPTIONS_LEN, OptionView, Options, Rules, Writer, check_reserved,
};
use vtep::wire::outer::Checksums;
use vtep::wire::template::{
    Df, Payload, PerPacket, Template, TemplateConfig, Ttl, max_inner_mtu, max_payload, overhead,
};
use vtep::wire::{Depth, Encapsulation, EtherType, Label, PortRange, Reason, Span, TunnelFlags, Vni};

const GENEVE: Encapsulation = Encapsulation::Geneve;

/// A VTEP that knows remote station R behind [`REMOTE`] and S behind [`REMOTE6`].
fn with_stations(profile: Profile) -> Vtep {
    let mut vtep = Vtep::geneve(profile);
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.station_at(S, Remote::at(REMOTE6));
    vtep
}

/// An option that nobody knows and everybody may ignore.
fn optional(words: usize) -> Vec<u8> {
    geneve_option(0xff00, 0x01, &vec![0x5a; words * 4])
}

/// An option that nobody knows and nobody may ignore.
fn critical(words: usize) -> Vec<u8> {
    geneve_option(0xff00, 0x81, &vec![0x5a; words * 4])
}

/// What ports 0 and 1 get of a packet from [`Packet::with_options`].
fn both_ports(packet: &Packet) -> [(u16, Vec<u8>); 2] {
    [(0, packet.inner.clone()), (1, packet.inner.clone())]
}

#[test]
fn g02_options_end_at_the_endpoint() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        for words in [0, 1, 31] {
            let packet = Packet::with_options(false, &[optional(words), optional(3)].concat());
            assert_eq!(vtep.delivered(&packet.bytes())[0].1, packet.inner);
        }
        // And none that came in goes out again.
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).options, []);
    }
}

/// UDP from port `port`, with fields set that are not the flow's.
fn flow(to: [u8; 6], port: u16, rest: u8) -> Vec<u8> {
    let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let payload = udp(src, dst, port, 80, Checksum::Right, &vec![rest; usize::from(rest) + 1]);
    Frame::ip(to, A, &Ip { tos: rest, ttl: rest, ident: rest.into(), ..Ip::new(src, dst, 17, payload) }).bytes()
}

#[test]
fn g03_packets_of_a_flow_share_their_source_port() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        for port in [1, 80, 4000] {
            let ports: BTreeSet<u16> = (0..=255).map(|rest| vtep.sent_one(&flow(R, port, rest)).src_port).collect();
            assert_eq!(ports.len(), 1);
            assert!(ports.contains(&vtep.sent_one(&flow(S, port, 0)).src_port), "over either family");
        }
    }
}

#[test]
fn g04_the_source_port_is_a_hash_of_inner_headers() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        let ports: BTreeSet<u16> = (0..200).map(|port| vtep.sent_one(&flow(R, port, 0)).src_port).collect();
        assert!(ports.len() > 190, "{} ports for 200 flows", ports.len());
    }
}

#[test]
fn g05_the_whole_16_bit_range_can_be_used() {
    let all = PortRange::new(0, 65_535).unwrap();
    let mut vtep = Vtep::with(Profile::Rfc, GENEVE, |setup| setup.config.source_ports = all);
    vtep.station_at(R, Remote::at(REMOTE));
    let ports: Vec<u16> = (0..2000).map(|port| vtep.sent_one(&flow(R, port, 0)).src_port).collect();
    for sixteenth in 0..16 {
        assert!(ports.iter().any(|port| port >> 12 == sixteenth));
    }
}

#[test]
fn g07_the_port_is_6081_and_can_be_configured() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).dst_port, 6081);
        assert_eq!(vtep.delivered(&Packet::geneve(&Frame::new(A, R).bytes()).bytes()).len(), 1);

        let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.bridge.udp_port = 6082);
        vtep.station_at(R, Remote::at(REMOTE));
        vtep.station_at(S, Remote { port: Some(9999), ..Remote::at(REMOTE6) });
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).dst_port, 6082);
        assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).dst_port, 9999);
        let packet = Packet { dst_port: 6082, ..Packet::with_options(false, &[]) };
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 1);
        let packet = Packet { src_port: 6082, ..Packet::with_options(false, &[]) };
        assert_eq!(vtep.on_underlay(&packet.bytes()).punt(), Some(PuntReason::NotTunnel));
    }
}

#[test]
fn g08_ports_are_not_reversed_for_the_other_direction() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for src_port in [1234, 6081, 50_001] {
            let request = Packet { src_port, ..Packet::with_options(false, &[]) };
            vtep.delivered(&request.bytes());
            let answer = vtep.sent_one(&Frame::new(R, A).bytes());
            assert_eq!((answer.ip.dst, answer.dst_port), (REMOTE, 6081));
            assert_ne!(answer.src_port, 6081);
        }
        // A packet whose ports are reversed is nobody's.
        let reversed = Packet { src_port: 6081, dst_port: 50_000, ..Packet::with_options(false, &[]) };
        assert_eq!(vtep.on_underlay(&reversed.bytes()).punt(), Some(PuntReason::NotTunnel));
    }
}

#[test]
fn g09_g10_a_checksum_is_sent_over_either_family_by_default() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        vtep.flood_to(REMOTE);
        vtep.flood_to(REMOTE6);
        for len in (42..=80).chain([1400, 1401]) {
            for station in [R, S, BROADCAST] {
                let sent = vtep.sent(0, &Frame::of_len(station, A, len).bytes());
                // The reader refuses a checksum that is neither zero nor right.
                assert!(!sent.is_empty() && sent.iter().all(|sent| sent.checksum != 0));
            }
        }
    }
    for (src, dst) in [(LOCAL, REMOTE), (LOCAL6, REMOTE6)] {
        assert!(TemplateConfig::new(GENEVE, src, dst).udp_checksum);
    }
}

#[test]
fn g09_g10_the_checksum_covers_the_options() {
    let options = [critical(2), optional(1)].concat();
    let frame = Frame::new(A, R).bytes();
    for (src, dst) in [(LOCAL, REMOTE), (LOCAL6, REMOTE6)] {
        let template = Template::new(&TemplateConfig::new(GENEVE, src, dst)).unwrap();
        let packet = PerPacket { options: &options, ..PerPacket::new(Vni::truncating(VNI), 50_000) };
        let mut headroom = [0xa5; 200];
        let len = template.write(Depth::Ip, &packet, &mut headroom, Payload::whole(&frame)).unwrap();
        let read = Read::ip(&[&headroom[200 - len..], &frame[..]].concat());
        assert_ne!(read.checksum, 0);
        assert_eq!((read.options, read.inner), (options.clone(), frame.clone()));
    }
}

#[test]
fn g11_g12_a_checksum_is_validated_and_a_bad_one_drops_the_packet() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        let packet = Packet::with_options(false, &optional(2));
        for (packet, udp_at) in [(packet.clone(), 34), (packet.over_v6(), 54)] {
            vtep.refuses(&Packet { checksum: Checksum::Wrong, ..packet.clone() }.bytes(), DropReason::OuterBadChecksum);
            let good = packet.bytes();
            for at in (udp_at..udp_at + 2).chain(udp_at + 6..good.len()) {
                for bit in 0..8 {
                    let mut bytes = good.clone();
                    bytes[at] ^= 1 << bit;
                    vtep.refuses(&bytes, DropReason::OuterBadChecksum);
                }
            }
            assert_eq!(vtep.delivered(&good), both_ports(&packet));
            let none = Packet { checksum: Checksum::Zero, ..packet };
            if none.src.is_ipv4() {
                assert_eq!(vtep.delivered(&none.bytes()).len(), 2);
            }
        }
    }
}

#[test]
fn g11_verification_is_the_default_and_can_be_left_to_the_nic() {
    for profile in PROFILES {
        assert_eq!(profile.underlay(LOCAL).verify, Checksums::Verify);
        let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.underlay.verify = Checksums::Trust);
        let packet = Packet { checksum: Checksum::Wrong, ..Packet::with_options(false, &[]) };
        assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
    }
}

#[test]
fn g13_an_unknown_version_is_dropped() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for first in 0x40..=0xff {
            let mut packet = Packet::with_options(false, &[]);
            packet.tunnel[0] = first;
            packet.inner.resize(400, 0);
            vtep.refuses(&packet.bytes(), DropReason::OuterUnknownVersion);
        }
    }
}

/// A packet with the O bit set.
fn control(options: &[u8]) -> Packet {
    let mut packet = Packet::with_options(false, options);
    packet.tunnel[1] |= 0x80;
    packet
}

#[test]
fn g16_the_payload_of_a_control_packet_is_not_forwarded() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    for packet in [control(&[]), control(&optional(4)), control(&[]).over_v6()] {
        let bytes = packet.bytes();
        vtep.later();
        let before = vtep.state();
        let verdict = vtep.on_underlay(&bytes);
        assert!(matches!(verdict, Verdict::Punt(_)), "{verdict:?}");
        assert!(vtep.copies(&verdict, &bytes).is_empty());
        assert_eq!((vtep.state(), vtep.events()), (before, vec![]), "nothing is learned from it");
    }
}

#[test]
fn g16_linux_forwards_it() {
    let mut vtep = Vtep::geneve(Profile::Linux);
    let packet = control(&optional(4));
    assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
    assert_eq!(vtep.remote_of(R), Some(REMOTE));
}

#[test]
fn g18_control_packets_go_to_the_host_by_name() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    let packet = control(&optional(4));
    let bytes = packet.bytes();
    let Verdict::Punt(Punt { reason, bridge, sender, frame, .. }) = vtep.on_underlay(&bytes) else { panic!() };
    assert_eq!((reason, bridge, sender), (PuntReason::ControlPacket, Some(BridgeId(0)), Some(REMOTE)));
    assert_eq!(frame.of(&bytes), Some(&packet.inner[..]));
    assert_eq!(frame, Span::new(14 + 20 + 8 + 8 + 20, packet.inner.len() as u32));
}

#[test]
fn g16_a_control_packet_with_a_bad_header_is_dropped_like_any_other() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    vtep.refuses(&control(&critical(1)).bytes(), DropReason::UnknownCriticalOption);
    let mut packet = control(&[]);
    packet.tunnel[4] = 0xff;
    vtep.refuses(&packet.bytes(), DropReason::UnknownVni);
}

#[test]
fn g20_with_the_c_bit_the_options_are_parsed() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    // C alone is no reason: there may be critical options, and it turns out there are none.
    for options in [vec![], optional(0), [optional(31), optional(3)].concat()] {
        let packet = Packet::with_options(true, &options);
        assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
    }
    for options in [critical(0), [optional(31), critical(3)].concat()] {
        vtep.refuses(&Packet::with_options(true, &options).bytes(), DropReason::UnknownCriticalOption);
    }
}

#[test]
fn g21_linux_does_not_parse_options_and_drops_on_the_c_bit() {
    let mut vtep = Vtep::geneve(Profile::Linux);
    for options in [vec![], optional(0), critical(3), [optional(31), optional(3)].concat()] {
        vtep.refuses(&Packet::with_options(true, &options).bytes(), DropReason::UnknownCriticalOption);
    }
}

#[test]
fn g22_without_the_c_bit_unknown_options_are_skipped_by_opt_len() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for words in 0..=31 {
            for second in [0, 1, 30] {
                let packet = Packet::with_options(false, &[optional(words), optional(second)].concat());
                assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
            }
        }
    }
}

#[test]
fn g24_g25_reserved_fields_are_sent_as_zero() {
    for profile in PROFILES {
        for vni in [0, 1, 0xa5_5aa5, 0xff_ffff] {
            let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.bridge.vni = Vni::truncating(vni));
            vtep.station_at(R, Remote::at(REMOTE));
            vtep.flood_to(REMOTE6);
            vtep.flood_to(GROUP);
            for station in [R, BROADCAST, NOBODY] {
                for sent in vtep.sent(0, &ip_frame(station, A, true, 0xff).bytes()) {
                    assert_eq!((sent.tunnel[0], sent.tunnel[1], sent.tunnel[7]), (0, 0, 0));
                    assert_eq!((&sent.tunnel[2..4], sent.vni()), (&[0x65, 0x58][..], vni));
                }
            }
        }
    }
    for flags in 0..=255 {
        let flags = TunnelFlags::from_bits_retain(flags);
        let header = Header { vni: Vni::MAX, flags, protocol: EtherType(0xffff), options_len: 0xff };
        let mut out = [0xa5; 8];
        header.emit(&[], &mut out).unwrap();
        let control = if flags.contains(TunnelFlags::O) { 0x80 } else { 0 };
        assert_eq!(out, [0, control, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    }
}

#[test]
fn g24_g25_reserved_fields_are_ignored_on_receipt() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for (byte, bits) in [(1, 0..=0x3f_u8), (7, 0..=0xff)] {
            for bits in bits {
                let mut packet = Packet::with_options(false, &optional(1));
                packet.tunnel[byte] |= bits;
                assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet), "byte {byte} {bits:02x}");
                assert_eq!(vtep.remote_of(R), Some(REMOTE));
                vtep.command(Command::FdbDelete { bridge: BridgeId(0), mac: mac(R), remote: None });
                // A stricter receiver can tell.
                assert_eq!(check_reserved(&packet.tunnel).is_ok(), bits == 0);
            }
        }
    }
}

#[test]
fn g26_g33_an_unknown_critical_option_drops_the_packet() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    for kind in 0..=255_u8 {
        for class in [0, 0x0100, 0x0102, 0xffff] {
            let option = geneve_option(class, kind, &[1, 2, 3, 4]);
            for (before, after) in [(0, 0), (2, 0), (0, 2), (2, 2)] {
                let options = [optional(1).repeat(before), option.clone(), optional(1).repeat(after)].concat();
                let packet = Packet::with_options(kind & 0x80 != 0, &options);
                match kind & 0x80 {
                    0 => assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet)),
                    _ => vtep.refuses(&packet.bytes(), DropReason::UnknownCriticalOption),
                }
            }
        }
    }
}

#[test]
fn g26_g27_an_options_own_critical_bit_counts_when_the_header_denies_it() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    for options in [critical(0), [optional(2), critical(1)].concat(), [critical(1), optional(2)].concat()] {
        vtep.refuses(&Packet::with_options(false, &options).bytes(), DropReason::UnknownCriticalOption);
        // Linux looks at nothing but the header.
        let packet = Packet::with_options(false, &options);
        assert_eq!(Vtep::geneve(Profile::Linux).delivered(&packet.bytes()), both_ports(&packet));
    }
}

#[test]
fn g27_the_header_s_c_bit_is_computed_from_the_options() {
    let cases = [
        (vec![], false),
        (optional(1), false),
        (critical(0), true),
        ([optional(1), optional(30)].concat(), false),
        ([optional(1), critical(30)].concat(), true),
        ([critical(1), optional(30)].concat(), true),
    ];
    for (options, expected) in cases {
        for flags in [TunnelFlags::empty(), TunnelFlags::C, TunnelFlags::O, TunnelFlags::all()] {
            let mut out = [0xa5; 8 + MAX_OPTIONS_LEN];
            let header = Header { flags, protocol: EtherType::ETHERNET, ..Header::default() };
            header.emit(&options, &mut out).unwrap();
            assert_eq!(out[1] & 0x40 != 0, expected);

            let template = Template::new(&TemplateConfig::new(GENEVE, LOCAL, REMOTE)).unwrap();
            let packet = PerPacket { options: &options, flags: flags & TunnelFlags::O, ..PerPacket::new(Vni::MAX, 1) };
            let mut headroom = [0xa5; 36 + MAX_OPTIONS_LEN];
            let len = template.write(Depth::Tunnel, &packet, &mut headroom, Payload::whole(&[])).unwrap();
            assert_eq!(headroom[36 + MAX_OPTIONS_LEN - len + 1] & 0x40 != 0, expected);
        }
        // A receiver can refuse a sender that got it wrong, even if it knows the option.
        let known = Definition { class: 0xff00, kind: 0x81, len: None, duplicates: Duplicates::First };
        let rules = Rules { check_critical_bit: true, ..Rules::knowing(core::slice::from_ref(&known)) };
        assert_eq!(rules.validate(&options, true).map(|s| s.critical), Ok(expected));
        let refused = rules.validate(&options, false).map_err(|error| error.reason);
        assert_eq!(refused.is_err(), expected);
        assert!(refused.is_ok() || refused == Err(Reason::CriticalBitMismatch));
    }
}

#[test]
fn g29_an_option_s_reserved_bits_are_sent_as_zero_and_ignored_on_receipt() {
    for words in 0..=31_usize {
        let mut buffer = [0xa5; 128];
        let mut writer = Writer::new(&mut buffer);
        writer.push(&OptionView { class: 0xffff, kind: 0xff, data: &vec![0xff; words * 4] }).unwrap();
        assert_eq!(usize::from(writer.finish()[3]), words);
    }
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for reserved in (0x20..=0xe0_u8).step_by(0x20) {
            let mut options = [optional(2), optional(5)].concat();
            options[3] |= reserved;
            let packet = Packet::with_options(false, &options);
            assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
        }
    }
    // They hide no critical option behind them.
    let mut options = [optional(2), critical(1)].concat();
    options[3] |= 0xe0;
    Vtep::geneve(Profile::Rfc)
        .refuses(&Packet::with_options(true, &options).bytes(), DropReason::UnknownCriticalOption);
}

#[test]
fn g30_an_option_has_4_to_128_bytes_and_its_length_counts_words_of_data() {
    for words in 0..=31_usize {
        let data: Vec<u8> = (0..words * 4).map(|n| n as u8).collect();
        let area = geneve_option(0x0102, 0x80, &data);
        assert_eq!(area.len(), 4 + words * 4);
        let view = OptionView { class: 0x0102, kind: 0x80, data: &data };
        assert_eq!(Options::new(&area).collect::<Vec<_>>(), [Ok(view)]);
        let mut buffer = [0xa5; 129];
        let mut writer = Writer::new(&mut buffer);
        writer.push(&view).unwrap();
        assert_eq!(writer.finish(), area);
        assert_eq!(buffer[area.len()], 0xa5);
    }
    for len in [1, 2, 3, 5, 126, 128] {
        let mut buffer = [0xa5; 252];
        let mut writer = Writer::new(&mut buffer);
        let error = writer.push(&OptionView { class: 1, kind: 1, data: &vec![0; len] }).unwrap_err();
        assert_eq!((error.reason, writer.len()), (Reason::Unrepresentable, 0));
    }
}

#[test]
fn g31_option_lengths_that_do_not_add_up_to_opt_len_drop_the_packet() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        // One option of every length under every Opt Len, with something behind it that looks like options.
        for opt_len in 1..=63_usize {
            for words in 0..=31_usize {
                let mut area = [optional(words), optional(0).repeat(63)].concat();
                area.truncate(opt_len * 4);
                let packet = Packet::with_options(false, &area);
                let fits = words < opt_len;
                match profile {
                    Profile::Rfc if !fits => vtep.refuses(&packet.bytes(), DropReason::OptionTooLong),
                    // Linux does not look at options.
                    _ => assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet)),
                }
            }
        }
    }
}

#[test]
fn g31_the_walk_ends_where_the_area_does() {
    let area = [optional(1), optional(2)].concat();
    for len in 0..=area.len() {
        let result = Rules::NONE.validate(&area[..len], false).map_err(|error| error.reason);
        match len {
            0 | 8 | 20 => assert_eq!(result.map(|s| usize::from(s.count)), Ok(len.div_ceil(10))),
            1..4 | 9..12 => assert_eq!(result, Err(Reason::OptionHeaderTruncated)),
            _ => assert_eq!(result, Err(Reason::OptionTooLong)),
        }
    }
}

#[test]
fn g36_options_beyond_the_capability_drop_the_packet() {
    // The area ends beyond the packet, whatever the profile.
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        for words in 1..=63_u8 {
            let mut packet = Packet::with_options(false, &[]);
            packet.tunnel[0] = words;
            packet.inner = vec![0; usize::from(words) * 4 - 1];
            vtep.refuses(&packet.bytes(), DropReason::OptionAreaTooLong);
        }
        // The largest there is passes.
        let packet = Packet::with_options(false, &[optional(31), optional(30)].concat());
        assert_eq!(packet.tunnel.len(), 8 + 252);
        assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
    }
    // A receiver with less of it says so.
    let area = optional(1).repeat(5);
    for (rules, limit) in [
        (Rules { max_len: 39, ..Rules::NONE }, Some(0)),
        (Rules { max_len: 40, ..Rules::NONE }, None),
        (Rules { max_options: 4, ..Rules::NONE }, Some(32)),
        (Rules { max_options: 5, ..Rules::NONE }, None),
    ] {
        match (rules.validate(&area, false), limit) {
            (Ok(summary), None) => assert_eq!(summary.count, 5),
            (Err(error), Some(offset)) => assert_eq!((error.reason, error.offset), (Reason::TooManyOptions, offset)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn g37_another_length_than_a_fixed_one_is_an_error() {
    let known = [Definition { class: 0x0102, kind: 0x80, len: Some(4), duplicates: Duplicates::Reject }];
    let rules = Rules::knowing(&known);
    for words in 0..=31_usize {
        let area = [optional(1), geneve_option(0x0102, 0x80, &vec![0; words * 4])].concat();
        match rules.validate(&area, true) {
            Ok(summary) => assert_eq!((words, summary.count, summary.present), (1, 2, 1)),
            Err(error) => assert_eq!((error.reason, error.offset, words != 1), (Reason::OptionLengthMismatch, 8, true)),
        }
    }
    let open = [Definition { len: None, ..known[0] }];
    for words in 0..=31_usize {
        assert!(Rules::knowing(&open).validate(&geneve_option(0x0102, 0x80, &vec![0; words * 4]), true).is_ok());
    }
}

#[test]
fn g38_options_stand_in_any_order_and_duplicates_follow_the_definition() {
    let known = [0x80_u8, 0x01, 0x02].map(|kind| Definition {
        class: 0x0102,
        kind,
        len: Some(4),
        duplicates: Duplicates::Reject,
    });
    let [a, b, c] = [0x80_u8, 0x01, 0x02].map(|kind| geneve_option(0x0102, kind, &[kind, 2, 3, 4]));
    for order in [[&a, &b, &c], [&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
        let area = order.map(Vec::as_slice).concat();
        let summary = Rules::knowing(&known).validate(&area, true).unwrap();
        assert_eq!((summary.count, summary.critical, summary.present), (3, true, 0b111));
        for definition in &known {
            assert_eq!(definition.find(&area).unwrap().data, [definition.kind, 2, 3, 4]);
        }
    }
    let twice = [geneve_option(0x0102, 1, &[1; 4]), optional(1), geneve_option(0x0102, 1, &[2; 4])].concat();
    for (duplicates, expected) in
        [(Duplicates::First, Some(1)), (Duplicates::Last, Some(2)), (Duplicates::Reject, None)]
    {
        let definition = Definition { class: 0x0102, kind: 1, len: Some(4), duplicates };
        match (Rules::knowing(&[definition]).validate(&twice, false), expected) {
            (Ok(_), Some(data)) => assert_eq!(definition.find(&twice).unwrap().data, [data; 4]),
            (Err(error), None) => assert_eq!((error.reason, error.offset), (Reason::DuplicateOption, 16)),
            other => panic!("{other:?}"),
        }
    }
    // Unknown options say nothing about duplicates or order.
    let mut vtep = Vtep::geneve(Profile::Rfc);
    let packet = Packet::with_options(false, &optional(3).repeat(15));
    assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
}

#[test]
fn g41_a_zero_checksum_over_ipv6_is_never_the_default() {
    for profile in PROFILES {
        let underlay = profile.underlay(LOCAL6);
        assert!(underlay.checksum_v6 && !underlay.zero_checksum_v6);
        assert_ne!(with_stations(profile).sent_one(&Frame::new(S, A).bytes()).checksum, 0);
        let packet = Packet { checksum: Checksum::Zero, ..Packet::with_options(false, &[]).over_v6() };
        let mut vtep = Vtep::geneve(profile);
        vtep.flood_to(REMOTE6);
        vtep.refuses(&packet.bytes(), DropReason::OuterZeroChecksum);
    }
}

/// Zero checksums are on in both directions, and [`REMOTE6`] is a known endpoint.
fn zero_mode(profile: Profile) -> Vtep {
    let mut vtep = Vtep::with(profile, GENEVE, |setup| {
        setup.underlay.checksum_v6 = false;
        setup.underlay.zero_checksum_v6 = true;
    });
    vtep.station_at(S, Remote::at(REMOTE6));
    vtep
}

#[test]
fn g42_zero_checksums_are_sent_and_accepted_where_configured_and_others_still_verified() {
    for profile in PROFILES {
        let mut vtep = zero_mode(profile);
        assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).checksum, 0);
        let packet = Packet::geneve(&Frame::new(A, R).bytes()).over_v6();
        let with = |checksum| Packet { checksum, ..packet.clone() }.bytes();
        assert_eq!(vtep.delivered(&with(Checksum::Zero)).len(), 1);
        assert_eq!(vtep.delivered(&with(Checksum::Right)).len(), 1);
        vtep.refuses(&with(Checksum::Wrong), DropReason::OuterBadChecksum);
    }
}

#[test]
fn g43_the_addresses_of_a_packet_without_checksum_are_checked() {
    for profile in PROFILES {
        let mut vtep = zero_mode(profile);
        let packet = Packet { checksum: Checksum::Zero, ..Packet::with_options(false, &[]).over_v6() };
        assert_eq!(vtep.delivered(&packet.bytes()).len(), 2);
        let stranger = Packet { src: THIRD6, ..packet.clone() }.bytes();
        let astray = Packet { dst: "2001:db8::ffff".parse().unwrap(), ..packet.clone() }.bytes();
        match profile {
            Profile::Rfc => {
                vtep.refuses(&stranger, DropReason::ZeroChecksumUnknownEndpoint);
                vtep.refuses(&astray, DropReason::OuterDestinationForeign);
            }
            Profile::Linux => {
                assert_eq!(vtep.delivered(&stranger).len(), 2);
                assert_eq!(vtep.delivered(&astray).len(), 2);
            }
        }
    }
}

#[test]
fn g44_tunnels_with_zero_checksums_can_have_a_source_address_of_their_own() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        let own = "2001:db8::77".parse().unwrap();
        let config = UnderlayConfig { checksum_v6: false, zero_checksum_v6: true, ..profile.underlay(own) };
        vtep.command(Command::SetUnderlay { id: UnderlayId(1), config });
        vtep.station_at(NOBODY, Remote { underlay: UnderlayId(1), ..Remote::at(THIRD6) });
        let sent = vtep.sent_one(&Frame::new(NOBODY, A).bytes());
        assert_eq!((sent.ip.src, sent.ip.dst, sent.checksum), (own, THIRD6, 0));
        let sent = vtep.sent_one(&Frame::new(S, A).bytes());
        assert_eq!((sent.ip.src, sent.ip.dst, sent.checksum != 0), (LOCAL6, REMOTE6, true));
        // What is allowed on one underlay is not on the other.
        let packet = Packet::geneve(&Frame::new(A, NOBODY).bytes());
        let bytes = Packet { src: THIRD6, dst: own, checksum: Checksum::Zero, ..packet }.bytes();
        let verdict = vtep.step(&Input::from_underlay(UnderlayId(1), &bytes));
        assert!(matches!(verdict, Verdict::Deliver(_)), "{verdict:?}");
        vtep.refuses(&bytes, DropReason::OuterZeroChecksum);
    }
}

#[test]
fn g46_df_lets_routers_report_the_path_mtu() {
    for (profile, expected) in [(Profile::Rfc, true), (Profile::Linux, false)] {
        assert_eq!(with_stations(profile).sent_one(&Frame::new(R, A).bytes()).ip.df, expected);
        for (df, expected) in [(Df::Set, true), (Df::Unset, false)] {
            let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.underlay.df = df);
            vtep.station_at(R, Remote::at(REMOTE));
            assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).ip.df, expected);
        }
    }
}

#[test]
fn g47_the_mtu_is_computed_with_the_longest_options() {
    const OVERHEAD: usize = overhead(GENEVE, false, false, false, MAX_OPTIONS_LEN);
    assert_eq!(OVERHEAD, 20 + 8 + 8 + 252);
    assert_eq!(max_payload(1500, GENEVE, false, MAX_OPTIONS_LEN), 1500 - OVERHEAD);
    assert_eq!(max_inner_mtu(1500, GENEVE, true, MAX_OPTIONS_LEN, 1), 1500 - 40 - 16 - 252 - 14 - 4);
    // A packet of that size passes with whatever options it has.
    let frame = vec![0; max_payload(1500, GENEVE, false, MAX_OPTIONS_LEN)];
    let template = Template::new(&TemplateConfig::new(GENEVE, LOCAL, REMOTE)).unwrap();
    for words in 0..=63 {
        let options = geneve_area(words);
        let packet = PerPacket { options: &options, ..PerPacket::new(Vni::MAX, 50_000) };
        let mut headroom = [0; 512];
        let len = template.write(Depth::Ip, &packet, &mut headroom, Payload::whole(&frame)).unwrap();
        assert_eq!(len + frame.len(), 1500 - 252 + words * 4);
        assert_eq!(Read::ip(&[&headroom[512 - len..], &frame[..]].concat()).options, options);
    }
}

/// An area of so many words.
fn geneve_area(words: usize) -> Vec<u8> {
    match words {
        0 => Vec::new(),
        1..=32 => optional(words - 1),
        _ => [optional(31), optional(words - 33)].concat(),
    }
}

#[test]
fn g47_where_no_options_are_sent_the_size_is_checked_without() {
    for (station, largest) in [(R, 1500 - 36), (S, 1500 - 56)] {
        let mut vtep = with_stations(Profile::Rfc);
        assert_eq!(vtep.sent_one(&Frame::of_len(station, A, largest).bytes()).len, 1500);
        vtep.refuses_from_port(0, &Frame::of_len(station, A, largest + 1).bytes(), DropReason::TooBig);
    }
}

/// Figure 4 of RFC 6040: rows are the inner field, columns the outer one; both in the order of their numbers
/// (Not-ECT, ECT(1), ECT(0), CE). `None` is drop.
const FIGURE_4: [[Option<u8>; 4]; 4] = [
    [Some(0), Some(0), Some(0), None],
    [Some(1), Some(1), Some(1), Some(3)],
    [Some(2), Some(1), Some(2), Some(3)],
    [Some(3), Some(3), Some(3), Some(3)],
];

#[test]
fn g49_ecn_crosses_the_tunnel_as_rfc_6040_says() {
    for profile in PROFILES {
        for (inner, row) in FIGURE_4.iter().enumerate() {
            let mut vtep = with_stations(profile);
            // Out: copied, but for CE in Linux.
            let outer = vtep.sent_one(&ip_frame(R, A, false, 0xb8 | inner as u8).bytes()).ip.tos;
            let expected = if profile == Profile::Linux && inner == 3 { 2 } else { inner as u8 };
            assert_eq!(outer & 3, expected);
            // In: as the figure says.
            for (outer, expected) in row.iter().enumerate() {
                let frame = |ecn: u8| ip_frame(A, NOBODY, false, 0xb8 | ecn).bytes();
                let packet = Packet { tos: outer as u8, ..Packet::geneve(&frame(inner as u8)) }.bytes();
                match expected {
                    Some(ecn) => assert_eq!(vtep.delivered(&packet), [(0, frame(*ecn))]),
                    None => vtep.drops(&Input::from_underlay(UnderlayId(0), &packet), DropReason::EcnConflict),
                }
            }
        }
    }
}

#[test]
fn g50_the_ttl_follows_the_pipe_model() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        for inner_ttl in [1, 2, 64, 255] {
            for ipv6 in [false, true] {
                let packet = Ip { ttl: inner_ttl, ..build::inner_ip(ipv6) };
                let out = Frame::ip(R, A, &packet).bytes();
                let sent = vtep.sent_one(&out);
                assert_eq!((sent.ip.ttl, sent.inner), (64, out), "one hop, whatever the inner packet has left");
                let inner = Frame::ip(A, NOBODY, &packet).bytes();
                for ttl in [1, 64, 255] {
                    let packet = Packet { ttl, ..Packet::geneve(&inner) };
                    assert_eq!(vtep.delivered(&packet.bytes()), [(0, inner.clone())]);
                }
            }
        }
        let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.underlay.ttl = Ttl::Fixed(7));
        vtep.station_at(R, Remote::at(REMOTE));
        assert_eq!(vtep.sent_one(&Frame::new(R, A).bytes()).ip.ttl, 7);
    }
}

#[test]
fn g51_bum_traffic_goes_by_multicast_or_is_replicated() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        vtep.flood_to(GROUP);
        for station in [BROADCAST, MULTICAST, NOBODY] {
            let sent = vtep.sent_one(&Frame::new(station, A).bytes());
            assert_eq!((sent.ip.dst, sent.vni()), (GROUP, VNI));
        }
        let mut vtep = Vtep::geneve(profile);
        for remote in [REMOTE, THIRD, REMOTE6] {
            vtep.flood_to(remote);
        }
        for station in [BROADCAST, MULTICAST, NOBODY] {
            let sent = vtep.sent(0, &Frame::new(station, A).bytes());
            let to: BTreeSet<_> = sent.iter().map(|sent| sent.ip.dst).collect();
            assert_eq!((sent.len(), to), (3, BTreeSet::from([REMOTE, THIRD, REMOTE6])));
            assert!(sent.iter().all(|sent| sent.inner == Frame::new(station, A).bytes()));
        }
    }
}

#[test]
fn g53_options_are_copied_in_their_order_known_or_not() {
    let area = [critical(1), optional(0), geneve_option(0x0102, 0x80, &[7; 8]), critical(1), optional(9)].concat();
    let mut marked = area.clone();
    marked[3] |= 0xe0;
    for area in [area, marked] {
        let mut buffer = [0xa5; 252];
        let mut writer = Writer::new(&mut buffer);
        writer.copy(&area).unwrap();
        assert!(writer.critical());
        assert_eq!(writer.finish(), area);
        let mut out = [0xa5; 260];
        let len = Header::default().emit(&area, &mut out).unwrap();
        assert_eq!(out[8..len], area);
    }
}

#[test]
fn g55_the_handling_of_inner_tags_can_be_configured() {
    let tagged = |to, from| Frame::new(to, from).vlan(0x6064);
    let bare = Frame::new(A, R).bytes();
    let into = [
        (VlanDecap::Drop, None),
        (VlanDecap::Keep, Some(tagged(A, R).bytes())),
        (VlanDecap::Strip, Some(bare.clone())),
        (VlanDecap::Map(100), Some(bare)),
        (VlanDecap::Map(101), None),
    ];
    for profile in PROFILES {
        for (policy, expected) in &into {
            let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.bridge.vlan_decap = *policy);
            let packet = Packet::geneve(&tagged(A, R).bytes()).bytes();
            match expected {
                Some(frame) => assert_eq!(vtep.delivered(&packet)[0].1, *frame),
                None => assert!(matches!(
                    vtep.on_underlay(&packet),
                    Verdict::Drop(DropReason::VlanTagged | DropReason::VlanMismatch)
                )),
            }
        }
        let out = [
            (VlanEncap::Keep, tagged(R, A)),
            (VlanEncap::Strip, Frame::new(R, A)),
            (VlanEncap::Map(7), Frame::new(R, A).vlan(0x6007)),
        ];
        for (policy, expected) in out {
            let mut vtep = Vtep::with(profile, GENEVE, |setup| setup.bridge.vlan_encap = policy);
            vtep.station_at(R, Remote::at(REMOTE));
            assert_eq!(vtep.sent_one(&tagged(R, A).bytes()).inner, expected.bytes());
        }
    }
}

#[test]
fn g58_no_tunnel_packet_reaches_a_station() {
    for profile in PROFILES {
        let mut vtep = Vtep::geneve(profile);
        // Ours: what comes out is the inner frame and nothing in front of it.
        let packet = Packet::with_options(false, &optional(3));
        assert_eq!(vtep.delivered(&packet.bytes()), both_ports(&packet));
        // Not ours in one way or another: nothing comes out.
        let mut strangers = vec![
            Packet { tunnel: geneve(1, false, &[]), ..packet.clone() },
            Packet { dst_port: 6082, ..packet.clone() },
            Packet { checksum: Checksum::Wrong, ..packet.clone() },
            Packet { inner: vec![0; 13], ..packet.clone() },
        ];
        if profile == Profile::Rfc {
            strangers.push(Packet { dst: THIRD, ..packet.clone() });
            strangers.push(control(&[]));
        }
        for stranger in strangers {
            let bytes = stranger.bytes();
            let verdict = vtep.on_underlay(&bytes);
            assert!(matches!(verdict, Verdict::Drop(_) | Verdict::Punt(_)), "{verdict:?}");
            assert!(vtep.copies(&verdict, &bytes).is_empty());
        }
    }
}

#[test]
fn g60_a_tenant_s_own_geneve_packet_is_a_frame_like_any_other() {
    for profile in PROFILES {
        let mut vtep = with_stations(profile);
        // From a station, to all appearances from one VTEP to another, with an option nobody may ignore.
        let forged = Packet { src: THIRD, dst: LOCAL, ..Packet::with_options(true, &critical(2)) };
        let mut frame = forged.bytes();
        frame[..6].copy_from_slice(&R);
        frame[6..12].copy_from_slice(&A);
        let sent = vtep.sent_one(&frame);
        assert_eq!((sent.ip.dst, sent.vni(), &sent.options[..]), (REMOTE, VNI, &[][..]));
        assert_eq!(sent.inner, frame);
        // Of all the addresses in it, only the frame's source is learned.
        let learned = Place::Port(PortId(0));
        assert_eq!(
            vtep.events(),
            [Event::Learned { bridge: BridgeId(0), mac: mac(A), place: learned, label: Label::NONE }]
        );
        assert_eq!(vtep.remote_of(R), Some(REMOTE));

        // And the other way: one in a tunnel is delivered as it is.
        let mut inner = forged.bytes();
        inner[..6].copy_from_slice(&A);
        inner[6..12].copy_from_slice(&NOBODY);
        let packet = Packet::geneve(&inner).bytes();
        let verdict = vtep.on_underlay(&packet);
        assert_eq!(vtep.copies(&verdict, &packet), [(Egress::Port(PortId(0)), inner)]);
    }
}
