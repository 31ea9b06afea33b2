//! What broke other people's tunnels, as packets: parsers that looped, read too far, took the wrong port
//! or mixed up bytes. Each test names one kind of packet that a codec has to survive.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod common;

use common::packet::{arp, ethernet, frame, geneve, ipv4, ipv6, tag, udp, vxlan, with_checksum};
use vtep::wire::geneve::{Definition, Duplicates, OptionView, Options, Rules, Writer};
use vtep::wire::inner::{Inner, IpKind};
use vtep::wire::outer::{self, Checks, Checksums, Outer, Reserved, TunnelPorts, UdpChecksum};
use vtep::wire::{Encapsulation, EtherType, Layer, Reason, TunnelFlags, WireError};

fn parse(frame: &[u8]) -> Result<Option<Outer>, WireError> {
    outer::parse(frame, &TunnelPorts::default(), &Checks::default())
}

#[track_caller]
fn tunnel(frame: &[u8]) -> Outer {
    parse(frame).expect("sound").expect("a tunnel")
}

#[track_caller]
fn fault(frame: &[u8]) -> (Layer, Reason, u32) {
    let error = parse(frame).expect_err("must be refused");
    (error.layer, error.reason, error.offset)
}

/// The options of a frame, walked to the end or to the first error.
fn options(frame: &[u8]) -> Result<Vec<OptionView<'_>>, WireError> {
    Options::new(tunnel(frame).tunnel.options.of(frame).unwrap()).collect()
}

/// Bytes in front of the tunnel header of [`frame`].
const HEADER: usize = 14 + 20 + 8;

mod geneve_options {
    use super::*;

    const KNOWN: Definition = Definition { class: 0xff00, kind: 0x80, len: Some(4), duplicates: Duplicates::Reject };
    const CRITICAL: [u8; 8] = [0xff, 0x00, 0x80, 0x01, 1, 2, 3, 4];

    #[test]
    fn an_option_longer_than_the_area_ends_the_walk_at_its_offset() {
        // The second option claims 31 words where one is left; 200 bytes of inner frame follow.
        let area = [0x01, 0x02, 0x03, 0, 0x01, 0x02, 0x04, 0x1f, 0, 0, 0, 0];
        let frame = frame(6081, &geneve(0, 0x6558, 1, &area, &[0; 200]));
        let error = options(&frame).unwrap_err();
        assert_eq!((error.layer, error.reason), (Layer::GeneveOption, Reason::OptionTooLong));
        assert_eq!((error.offset, error.needed), (4, 128));
        assert_eq!(Rules::NONE.validate(&area, false), Err(error));
    }

    #[test]
    fn an_area_longer_than_the_datagram_is_refused_even_where_the_frame_has_the_bytes() {
        let short = geneve(0, 0x6558, 1, &[0; 4], &[]);
        let mut packet = frame(6081, &short);
        packet[HEADER] = 2;
        packet.extend([0; 100]);
        assert_eq!(fault(&packet), (Layer::Geneve, Reason::OptionAreaTooLong, 42));
    }

    #[test]
    fn lengths_are_words_of_four_bytes_and_five_bits() {
        let mut area = vec![0xff, 0, 0x01, 31];
        area.extend([7; 124]);
        area.extend([0xff, 0, 0x02, 30]);
        area.extend([8; 120]);
        assert_eq!(area.len(), 252);
        let frame = frame(6081, &geneve(0, 0x6558, 1, &area, &arp()));
        assert_eq!(frame[HEADER], 63);
        let outer = tunnel(&frame);
        assert_eq!((outer.tunnel.header.len, outer.tunnel.inner.len), (260, 42));
        let lens: Vec<_> = options(&frame).unwrap().iter().map(|option| option.data.len()).collect();
        assert_eq!(lens, [124, 120]);
    }

    #[test]
    fn a_length_of_zero_is_an_option_without_data_and_63_of_them_fit() {
        let area = [0xff, 0x00, 0x01, 0x00].repeat(63);
        let frame = frame(6081, &geneve(0, 0x6558, 1, &area, &arp()));
        let options = options(&frame).unwrap();
        assert_eq!(options.len(), 63);
        assert!(options.iter().all(|option| option.data.is_empty()));
    }

    #[test]
    fn every_area_of_two_words_is_walked_to_its_end_or_refused() {
        for first in 0..=255 {
            for second in 0..=255 {
                let area = [0, 0, 0, first, 0, 0, 0, second];
                let (first, second) = (first & 0x1f, second & 0x1f);
                let expected = match (first, second) {
                    (0, 0) => Ok(2),
                    (0, _) | (2.., _) => Err(Reason::OptionTooLong),
                    (1, _) => Ok(1),
                };
                let walked = Options::new(&area).collect::<Result<Vec<_>, _>>();
                assert_eq!(walked.map(|options| options.len()).map_err(|error| error.reason), expected);
            }
        }
    }

    #[test]
    fn an_unknown_critical_option_drops_whether_or_not_the_header_announces_it() {
        for header_critical in [false, true] {
            let error = Rules::NONE.validate(&CRITICAL, header_critical).unwrap_err();
            assert_eq!(error.reason, Reason::UnknownCriticalOption);
            assert!(Rules::knowing(&[KNOWN]).validate(&CRITICAL, header_critical).is_ok());
        }
    }

    #[test]
    fn c_and_option_bits_that_disagree_are_told_apart_on_request() {
        let frame = frame(6081, &geneve(0, 0x6558, 1, &CRITICAL, &arp()));
        assert!(!tunnel(&frame).tunnel.flags.contains(TunnelFlags::C));
        let strict = Rules { check_critical_bit: true, ..Rules::knowing(&[KNOWN]) };
        assert_eq!(strict.validate(&CRITICAL, false).unwrap_err().reason, Reason::CriticalBitMismatch);
        // C without a critical option costs the sender speed and nobody safety.
        let harmless = [0xff, 0x00, 0x00, 0x00];
        assert!(strict.validate(&harmless, true).is_ok());
    }

    #[test]
    fn a_known_class_does_not_make_a_type_known() {
        let other = [0xff, 0x00, 0x81, 0x00];
        let error = Rules::knowing(&[KNOWN]).validate(&other, true).unwrap_err();
        assert_eq!(error.reason, Reason::UnknownCriticalOption);
    }

    #[test]
    fn duplicates_follow_the_definition() {
        let twice = CRITICAL.repeat(2);
        let error = Rules::knowing(&[KNOWN]).validate(&twice, true).unwrap_err();
        assert_eq!((error.reason, error.offset), (Reason::DuplicateOption, 8));
        let last = [Definition { duplicates: Duplicates::Last, ..KNOWN }];
        assert!(Rules::knowing(&last).validate(&twice, true).is_ok());
    }

    #[test]
    fn unknown_options_pass_in_order_and_bit_for_bit() {
        let area = [&[0x01, 0x67, 0x03, 0xe1, 9, 9, 9, 9][..], &CRITICAL, &[0x01, 0x67, 0x01, 0x00]].concat();
        let mut buffer = [0xa5; 64];
        let mut writer = Writer::new(&mut buffer);
        writer.copy(&area).unwrap();
        assert!(writer.critical());
        assert_eq!(writer.finish(), area);
    }
}

mod lengths {
    use super::*;

    const UDP_LENGTH: usize = 14 + 20 + 4;

    fn with_udp_length(len: u16) -> Vec<u8> {
        let mut packet = frame(4789, &vxlan(5000, &arp()));
        packet[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&len.to_be_bytes());
        packet
    }

    #[test]
    fn a_udp_length_shorter_than_its_header() {
        for len in 1..8 {
            assert_eq!(fault(&with_udp_length(len)), (Layer::Udp, Reason::LengthTooShort, 38));
        }
        assert_eq!(fault(&with_udp_length(0)), (Layer::Udp, Reason::ZeroLength, 38));
    }

    #[test]
    fn a_udp_length_longer_than_the_ip_payload() {
        let len = 8 + 8 + 42;
        assert!(parse(&with_udp_length(len)).is_ok());
        assert_eq!(fault(&with_udp_length(len + 1)), (Layer::Udp, Reason::LengthTooLong, 38));
        assert_eq!(fault(&with_udp_length(0xffff)), (Layer::Udp, Reason::LengthTooLong, 38));
    }

    #[test]
    fn a_udp_length_shorter_than_the_ip_payload_cuts_the_inner_frame() {
        let outer = tunnel(&with_udp_length(8 + 8 + 20));
        assert_eq!(outer.tunnel.inner.len, 20);
        // The tunnel header itself has to be inside.
        assert_eq!(fault(&with_udp_length(8 + 7)), (Layer::Vxlan, Reason::Truncated, 42));
    }

    #[test]
    fn an_ip_length_that_does_not_fit_the_frame() {
        let whole = frame(4789, &vxlan(5000, &arp()));
        for (len, reason) in [(19, Reason::LengthTooShort), (0xffff, Reason::LengthTooLong), (0, Reason::ZeroLength)] {
            let mut packet = ipv4(17, 0, &whole[34..]);
            packet[2..4].copy_from_slice(&u16::to_be_bytes(len));
            assert_eq!(fault(&ethernet(0x0800, &packet)), (Layer::Ipv4, reason, 16));
        }
        let mut packet = ipv6(17, &udp(1, 4789, &vxlan(5000, &arp())));
        packet[4..6].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(fault(&ethernet(0x86dd, &packet)), (Layer::Ipv6, Reason::LengthTooLong, 18));
    }

    #[test]
    fn padding_behind_the_ip_packet_is_legal_and_not_inner() {
        let mut packet = frame(4789, &vxlan(5000, &arp()));
        packet.extend([0xa5; 18]);
        let outer = tunnel(&packet);
        assert_eq!((outer.tunnel.inner.start, outer.tunnel.inner.len), (50, 42));
    }

    #[test]
    fn super_frames_without_lengths_are_a_case_of_their_own() {
        let mut datagram = udp(50_000, 6081, &geneve(0, 0x6558, 5001, &[], &arp()));
        datagram[4..6].fill(0);
        let mut packet = ipv6(17, &datagram);
        packet[4..6].fill(0);
        let frame = ethernet(0x86dd, &packet);
        assert_eq!(fault(&frame), (Layer::Ipv6, Reason::ZeroLength, 18));
        let checks = Checks { superframes: true, zero_udp6: true, ..Checks::default() };
        let outer = outer::parse(&frame, &TunnelPorts::default(), &checks).unwrap().unwrap();
        assert_eq!((outer.tunnel.vni.get(), outer.tunnel.inner.len), (5001, 42));
    }

    #[test]
    fn every_prefix_of_every_stack_is_refused_with_a_reason() {
        let area = [0xff, 0, 0, 1, 1, 2, 3, 4];
        let payloads = [
            (4789, vxlan(5000, &[])),
            (4790, [0x0c, 0, 0, 3, 0, 0, 1, 0].to_vec()),
            (6081, geneve(0, 0x6558, 1, &area, &[])),
        ];
        for (port, payload) in payloads {
            let v4 = ipv4(17, 0, &udp(50_000, port, &payload));
            let v6 = ipv6(17, &with_checksum(udp(50_000, port, &payload), true));
            let tagged = ethernet(0x88a8, &tag(100, 0x8100, &tag(200, 0x0800, &v4)));
            for frame in [ethernet(0x0800, &v4), ethernet(0x86dd, &v6), tagged] {
                assert_eq!(tunnel(&frame).tunnel.encap.default_port(), port);
                for len in 0..frame.len() {
                    let error = parse(&frame[..len]).expect_err("a part is not the whole");
                    let lengths = [Reason::Truncated, Reason::LengthTooLong];
                    assert!(lengths.contains(&error.reason), "{len} bytes: {error}");
                    assert!(error.offset as usize <= len, "{len} bytes: {error}");
                }
            }
        }
    }

    #[test]
    fn every_prefix_of_a_tunnel_header_in_a_sound_datagram_is_refused() {
        let area = [0xff, 0, 0, 1, 1, 2, 3, 4];
        for (port, payload) in [(4789, vxlan(5000, &[])), (6081, geneve(0, 0x6558, 1, &area, &[]))] {
            for len in 0..payload.len() {
                let (_, reason, offset) = fault(&frame(port, &payload[..len]));
                let expected = if len < 8 { Reason::Truncated } else { Reason::OptionAreaTooLong };
                assert_eq!((reason, offset), (expected, 42));
            }
        }
    }
}

mod headers {
    use super::*;

    fn strict() -> Checks {
        Checks { reserved: Reserved::Strict, ..Checks::default() }
    }

    #[test]
    fn reserved_bits_are_ignored_unless_the_check_is_strict() {
        for (port, bytes) in [(4789, [0x0c, 0, 0, 0, 0, 0, 1, 0]), (4790, [0xcc, 0xff, 0xff, 3, 0, 0, 1, 0xff])] {
            let packet = frame(port, &[&bytes[..], &arp()].concat());
            assert_eq!(tunnel(&packet).tunnel.vni.get(), 1);
            let error = outer::parse(&packet, &TunnelPorts::default(), &strict()).unwrap_err();
            assert_eq!((error.reason, error.offset), (Reason::ReservedBits, 42));
        }
    }

    #[test]
    fn a_clear_i_flag_is_no_vni() {
        assert_eq!(fault(&frame(4789, &[0; 50])), (Layer::Vxlan, Reason::NoVni, 42));
        assert_eq!(fault(&frame(4790, &[4, 0, 0, 3, 0, 0, 1, 0])), (Layer::Gpe, Reason::NoVni, 42));
    }

    #[test]
    fn group_policy_bits_are_where_the_draft_has_them() {
        let packet = frame(4789, &[&[0x88, 0x48, 0, 100, 0x2d, 0xc6, 0xc1, 0][..], &arp()].concat());
        let tunnel = tunnel(&packet).tunnel;
        let flags = TunnelFlags::I | TunnelFlags::G | TunnelFlags::D | TunnelFlags::A;
        assert_eq!((tunnel.flags, tunnel.policy, tunnel.vni.get()), (flags, 100, 3_000_001));
        // Next to D and A, and reserved.
        let packet = frame(4789, &[&[0x08, 0x80, 0, 0, 0, 0, 1, 0][..], &arp()].concat());
        assert_eq!(super::tunnel(&packet).tunnel.flags, TunnelFlags::I);
    }

    #[test]
    fn p_on_the_vxlan_port_is_a_reserved_bit() {
        let packet = frame(4789, &[&[0x0c, 0, 0, 1, 0, 0, 1, 0][..], &arp()].concat());
        let tunnel = tunnel(&packet).tunnel;
        assert_eq!((tunnel.encap, tunnel.flags), (Encapsulation::Vxlan, TunnelFlags::I));
        assert_eq!((tunnel.protocol, tunnel.next_protocol), (EtherType::ETHERNET, 0));
    }

    #[test]
    fn gpe_next_protocols_known_unknown_and_unannounced() {
        let cases = [
            (0x0c, 1, EtherType::IPV4),
            (0x0c, 3, EtherType::ETHERNET),
            (0x0c, 4, EtherType::NSH),
            (0x0d, 99, EtherType(0)),
            (0x08, 0, EtherType::ETHERNET),
            (0x08, 1, EtherType(0)),
        ];
        for (flags, next, protocol) in cases {
            let packet = frame(4790, &[&[flags, 0, 0, next, 0, 0, 1, 0][..], &arp()].concat());
            let tunnel = tunnel(&packet).tunnel;
            assert_eq!((tunnel.protocol, tunnel.next_protocol), (protocol, next));
            assert_eq!(tunnel.flags.contains(TunnelFlags::O), flags & 1 != 0);
        }
    }

    #[test]
    fn versions_other_than_zero() {
        for version in 1..4_u8 {
            let packet = frame(6081, &[version << 6, 0, 0x65, 0x58, 0, 0, 1, 0]);
            assert_eq!(fault(&packet), (Layer::Geneve, Reason::UnknownVersion, 42));
            let packet = frame(4790, &[0x0c | version << 4, 0, 0, 3, 0, 0, 1, 0]);
            assert_eq!(fault(&packet), (Layer::Gpe, Reason::UnknownVersion, 42));
        }
    }

    #[test]
    fn vnis_keep_their_byte_order() {
        for vni in [0, 1, 0xff, 0x1234, 0x1_0000, 0x12_3456, 0xff_ffff] {
            assert_eq!(tunnel(&frame(4789, &vxlan(vni, &arp()))).tunnel.vni.get(), vni);
            assert_eq!(tunnel(&frame(6081, &geneve(0, 0x6558, vni, &[], &arp()))).tunnel.vni.get(), vni);
        }
    }
}

mod ports {
    use super::*;

    #[test]
    fn only_the_destination_port_selects() {
        let payload = vxlan(5000, &arp());
        for (source, destination, expected) in
            [(4789, 4789, true), (6081, 4789, true), (4789, 53, false), (4789, 50_000, false), (4789, 8472, false)]
        {
            let packet = ethernet(0x0800, &ipv4(17, 0, &udp(source, destination, &payload)));
            let found = parse(&packet).unwrap().map(|outer| outer.tunnel.encap);
            assert_eq!(found, expected.then_some(Encapsulation::Vxlan));
        }
    }

    #[test]
    fn both_ports_well_known_and_different() {
        let packet = ethernet(0x0800, &ipv4(17, 0, &udp(4789, 6081, &geneve(0, 0x6558, 7, &[], &arp()))));
        assert_eq!(tunnel(&packet).tunnel.encap, Encapsulation::Geneve);
    }

    #[test]
    fn another_protocol_on_our_port_is_refused_by_its_first_bytes() {
        // OTV has a clear I flag here, DNS most often too.
        assert_eq!(fault(&frame(4789, &[0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00])).1, Reason::NoVni);
    }

    #[test]
    fn other_transports_with_our_port_numbers() {
        for protocol in [6, 132, 136] {
            let packet = ethernet(0x0800, &ipv4(protocol, 0, &udp(4789, 4789, &vxlan(5000, &arp()))));
            assert_eq!(parse(&packet), Ok(None));
        }
    }
}

mod inside {
    use super::*;

    #[test]
    fn geneve_carries_any_ethertype() {
        for protocol in [0x0800, 0x0806, 0x86dd, 0x8847, 0x894f, 0xffff] {
            let outer = tunnel(&frame(6081, &geneve(0, protocol, 7, &[], &[0x45, 0, 0])));
            assert_eq!((outer.tunnel.protocol.0, outer.tunnel.inner.len), (protocol, 3));
        }
    }

    #[test]
    fn an_outer_success_says_nothing_of_the_inner_frame() {
        for len in 0..14 {
            let packet = frame(4789, &vxlan(5000, &arp()[..len]));
            let span = tunnel(&packet).tunnel.inner;
            let error = Inner::parse_ethernet(span.of(&packet).unwrap()).unwrap_err();
            assert_eq!((error.layer, error.reason), (Layer::Inner, Reason::Truncated));
        }
    }

    #[test]
    fn tags_none_to_three_and_one_more() {
        let mut payload = ipv4(6, 0, &[0; 20]);
        let mut ethertype = 0x0800;
        for tags in 0..=4_u8 {
            let inner = ethernet(ethertype, &payload);
            let summary = Inner::parse_ethernet(&inner).unwrap();
            assert_eq!(summary.tags(), tags.min(3));
            let (kind, protocol) = if tags < 4 { (IpKind::V4, 0x0800) } else { (IpKind::None, 0x8100) };
            assert_eq!((summary.ip(), summary.ethertype().0), (kind, protocol));
            payload = tag(100 + u16::from(tags), ethertype, &payload);
            ethertype = 0x8100;
        }
    }

    #[test]
    fn a_bad_inner_checksum_is_the_tenants_affair() {
        let mut inner = ipv4(6, 0, &[0; 20]);
        inner[10] ^= 0xff;
        let packet = frame(4789, &vxlan(5000, &ethernet(0x0800, &inner)));
        let span = tunnel(&packet).tunnel.inner;
        assert_eq!(Inner::parse_ethernet(span.of(&packet).unwrap()).unwrap().ip(), IpKind::V4);
    }

    #[test]
    fn inner_ip_headers_that_are_cut_off_are_flagged() {
        for (ethertype, packet, header) in [(0x0800, ipv4(6, 0, &[]), 20), (0x86dd, ipv6(59, &[]), 40)] {
            for len in 0..header {
                let inner = Inner::parse_ethernet(&ethernet(ethertype, &packet[..len])).unwrap();
                assert_eq!(inner.ip(), IpKind::Short, "{len} bytes of {ethertype:x}");
            }
        }
    }

    #[test]
    fn tunnels_in_tunnels_in_tunnels() {
        let mut packet = arp();
        for vni in [1, 2, 3] {
            packet = frame(4789, &vxlan(vni, &packet));
        }
        packet = frame(6081, &geneve(0, 0x6558, 4, &[], &packet));
        let mut rest = &packet[..];
        let mut found = Vec::new();
        while let Some(outer) = parse(rest).unwrap() {
            found.push(outer.tunnel.vni.get());
            rest = outer.tunnel.inner.of(rest).unwrap();
        }
        assert_eq!((found, rest), (vec![4, 3, 2, 1], &arp()[..]));
    }
}

mod outside {
    use super::*;

    #[test]
    fn checksums_over_ipv6_zero_right_and_wrong() {
        let datagram = udp(50_000, 4789, &vxlan(5000, &arp()));
        let zero = ethernet(0x86dd, &ipv6(17, &datagram));
        assert_eq!(fault(&zero), (Layer::Udp, Reason::ZeroChecksum, 60));
        let allowed = Checks { zero_udp6: true, ..Checks::default() };
        let outer = outer::parse(&zero, &TunnelPorts::default(), &allowed).unwrap().unwrap();
        assert_eq!(outer.checksum, UdpChecksum::Zero);

        let mut right = ethernet(0x86dd, &ipv6(17, &with_checksum(datagram, true)));
        assert_eq!(tunnel(&right).checksum, UdpChecksum::Good);
        *right.last_mut().unwrap() ^= 1;
        assert_eq!(fault(&right), (Layer::Udp, Reason::BadChecksum, 60));
        let trusting = Checks { udp_checksum: Checksums::Trust, ..Checks::default() };
        let outer = outer::parse(&right, &TunnelPorts::default(), &trusting).unwrap().unwrap();
        assert_eq!(outer.checksum, UdpChecksum::Unverified);
    }

    #[test]
    fn checksums_over_ipv4_zero_right_and_wrong() {
        let datagram = udp(50_000, 4789, &vxlan(5000, &arp()));
        assert_eq!(tunnel(&ethernet(0x0800, &ipv4(17, 0, &datagram))).checksum, UdpChecksum::Zero);
        let mut right = ethernet(0x0800, &ipv4(17, 0, &with_checksum(datagram, false)));
        assert_eq!(tunnel(&right).checksum, UdpChecksum::Good);
        *right.last_mut().unwrap() ^= 1;
        assert_eq!(fault(&right), (Layer::Udp, Reason::BadChecksum, 40));
        right[24] ^= 1;
        assert_eq!(fault(&right), (Layer::Ipv4, Reason::BadIpChecksum, 24));
    }

    #[test]
    fn fragments_are_named() {
        let datagram = udp(50_000, 4789, &vxlan(5000, &arp()));
        for fragment in [0x2000, 0x0001, 0x2001] {
            let packet = ethernet(0x0800, &ipv4(17, fragment, &datagram));
            assert_eq!(fault(&packet), (Layer::Ipv4, Reason::Fragment, 20));
        }
        assert!(parse(&ethernet(0x0800, &ipv4(17, 0x4000, &datagram))).unwrap().is_some());
        let mut extension = vec![17, 0, 0, 1, 0, 0, 0, 7];
        extension.extend(&datagram);
        assert_eq!(fault(&ethernet(0x86dd, &ipv6(44, &extension))).1, Reason::Fragment);
    }

    #[test]
    fn extension_headers_are_followed_to_a_bound() {
        let datagram = with_checksum(udp(50_000, 4789, &vxlan(5000, &arp())), true);
        let mut payload = datagram;
        let mut next = 17;
        for count in 1..=9 {
            payload = [&[next, 0, 1, 4, 0, 0, 0, 0][..], &payload].concat();
            next = 60;
            let parsed = parse(&ethernet(0x86dd, &ipv6(next, &payload)));
            if count <= 8 {
                assert_eq!(parsed.unwrap().unwrap().tunnel.vni.get(), 5000);
            } else {
                assert_eq!(parsed.unwrap_err().reason, Reason::TooManyExtensions);
            }
        }
    }
}
