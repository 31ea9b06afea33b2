#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

extern crate std;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::untagged::Fields;
use super::*;
use crate::wire::checksum::verify;
use crate::wire::ecn::EcnMode;
use crate::wire::geneve::{Schema, Written};
use crate::wire::outer::{self, Checks, Datagram, Reserved, TunnelPorts, UdpChecksum};
use crate::wire::{Label, SecurityGroup, TrafficClass, TunnelFlags, Vni};

const SRC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
const DST: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 2]);
const TAG: Tag = Tag { tpid: EtherType::VLAN, tci: 0x6064 };
const DEPTHS: [Depth; 3] = [Depth::Ethernet, Depth::Ip, Depth::Tunnel];
const ENCAPS: [Encapsulation; 3] = [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve];
const LINKS: [Option<Link>; 3] =
    [None, Some(Link { dst: DST, src: SRC, vlan: None }), Some(Link { dst: DST, src: SRC, vlan: Some(TAG) })];

fn config(encap: Encapsulation, ipv6: bool, link: Option<Link>) -> TemplateConfig {
    let addresses = if ipv6 { ["2001:db8::1", "2001:db8:1::ff02"] } else { ["192.0.2.1", "198.51.100.2"] };
    let [src, dst] = addresses.map(|address| address.parse().unwrap());
    TemplateConfig { link, ..TemplateConfig::new(encap, src, dst) }
}

/// What `write` leaves in a buffer with `spare` bytes too many; proves that nothing else was touched, and
/// that every byte was set, by writing over two different fillings.
fn written(template: &Template, depth: Depth, packet: &PerPacket<'_>, payload: Payload<'_>) -> Vec<u8> {
    let needed = template.header_len(depth, packet.options.len());
    let [one, other] = [0xa5, 0x5a].map(|filling| {
        let mut buffer = vec![filling; needed + 9];
        assert_eq!(template.write(depth, packet, &mut buffer, payload), Ok(needed));
        assert!(buffer[..9].iter().all(|byte| *byte == filling), "bytes before the header changed");
        buffer.split_off(9)
    });
    assert_eq!(one, other, "bytes were left as they were");
    one
}

fn plain_sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// The header, put together byte by byte.
fn reference(config: &TemplateConfig, depth: Depth, packet: &PerPacket<'_>, payload: &[u8]) -> Vec<u8> {
    let vni = packet.vni.get().to_be_bytes();
    let flag = |flag, bit: u8| if packet.flags.contains(flag) { bit } else { 0 };
    let mut tunnel = match config.encap {
        Encapsulation::Vxlan => {
            let policy = if packet.flags.contains(TunnelFlags::G) { packet.policy } else { 0 };
            let [a, b] = policy.to_be_bytes();
            let first = 0x08 | flag(TunnelFlags::G, 0x80);
            vec![first, flag(TunnelFlags::D, 0x40) | flag(TunnelFlags::A, 0x08), a, b]
        }
        Encapsulation::Gpe => {
            let next = match packet.protocol.0 {
                0x0800 => 1,
                0x86dd => 2,
                0x6558 => 3,
                0x894f => 4,
                other => panic!("{other:04x} has no number"),
            };
            vec![0x0c | flag(TunnelFlags::B, 2) | flag(TunnelFlags::O, 1), 0, 0, next]
        }
        Encapsulation::Geneve => {
            let mut critical = 0;
            let mut at = 0;
            while at < packet.options.len() {
                critical |= packet.options[at + 2] & 0x80;
                at += 4 + 4 * usize::from(packet.options[at + 3] & 0x1f);
            }
            let [a, b] = packet.protocol.0.to_be_bytes();
            vec![(packet.options.len() / 4) as u8, flag(TunnelFlags::O, 0x80) | critical >> 1, a, b]
        }
    };
    tunnel.extend([vni[1], vni[2], vni[3], 0]);
    tunnel.extend(packet.options);
    if depth == Depth::Tunnel {
        return tunnel;
    }

    let udp_len = (8 + tunnel.len() + payload.len()) as u16;
    let mut udp = Vec::new();
    udp.extend(packet.src_port.to_be_bytes());
    udp.extend(config.dst_port.to_be_bytes());
    udp.extend(udp_len.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(&tunnel);
    let (src, dst) = match (config.src, config.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        _ => panic!("families"),
    };
    if config.udp_checksum {
        let pseudo = [&src[..], &dst, &[0, 17], &udp_len.to_be_bytes()].concat();
        let checksum = match !plain_sum(&[&pseudo[..], &udp, payload].concat()) as u16 {
            0 => 0xffff,
            checksum => checksum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    }

    let mut ip = Vec::new();
    if config.src.is_ipv4() {
        ip.extend([0x45, packet.tos]);
        ip.extend((20 + udp_len).to_be_bytes());
        ip.extend(packet.ident.to_be_bytes());
        ip.extend([if packet.df { 0x40 } else { 0 }, 0, packet.ttl, 17, 0, 0]);
        ip.extend(src.iter().chain(&dst));
        let checksum = !plain_sum(&ip) as u16;
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        let label = if config.flow_label { packet.src_port } else { 0 };
        ip.extend([0x60 | packet.tos >> 4, packet.tos << 4]);
        ip.extend(label.to_be_bytes());
        ip.extend(udp_len.to_be_bytes());
        ip.extend([17, packet.ttl]);
        ip.extend(src.iter().chain(&dst));
    }

    let mut all = Vec::new();
    if depth == Depth::Ethernet {
        let link = config.link.unwrap();
        all.extend(link.dst.0);
        all.extend(link.src.0);
        if let Some(tag) = link.vlan {
            all.extend(tag.tpid.0.to_be_bytes());
            all.extend(tag.tci.to_be_bytes());
        }
        all.extend(if config.src.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
    }
    [all, ip, udp].concat()
}

#[test]
fn a_template_is_one_cache_line() {
    assert_eq!(size_of::<Template>(), 64);
    assert_eq!(align_of::<Template>(), 64);
    assert_eq!(MAX_HEADER_LEN, 326);
}

#[test]
fn vxlan_over_ipv4() {
    let template = Template::new(&config(Encapsulation::Vxlan, false, LINKS[1])).unwrap();
    let packet = PerPacket { ident: 0x1234, tos: 0x02, ..PerPacket::new(Vni::truncating(5000), 0xc123) };
    #[rustfmt::skip]
    let expected = [
        0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
        0x45, 0x02, 0x00, 0x64, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x3c, 0x1c,
        192, 0, 2, 1, 198, 51, 100, 2,
        0xc1, 0x23, 0x12, 0xb5, 0x00, 0x50, 0x00, 0x00,
        0x08, 0, 0, 0, 0x00, 0x13, 0x88, 0,
    ];
    let payload = Payload::whole(&[0; 64]);
    assert_eq!(written(&template, Depth::Ethernet, &packet, payload), expected);
    assert_eq!(written(&template, Depth::Ip, &packet, payload), expected[14..]);
    assert_eq!(written(&template, Depth::Tunnel, &packet, payload), expected[42..]);
    assert!(verify(&expected[14..34]));
}

#[test]
fn geneve_over_ipv6_with_a_tag_an_option_and_a_checksum() {
    let template = Template::new(&config(Encapsulation::Geneve, true, LINKS[2])).unwrap();
    let options = [0x01, 0x02, 0x83, 0x01, 0xde, 0xad, 0xbe, 0xef];
    let packet = PerPacket {
        tos: 0xb8,
        ttl: 3,
        flags: TunnelFlags::O,
        protocol: EtherType::IPV4,
        options: &options,
        ..PerPacket::new(Vni::MAX, 50_000)
    };
    #[rustfmt::skip]
    let expected = [
        0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x81, 0x00, 0x60, 0x64, 0x86, 0xdd,
        0x6b, 0x80, 0x00, 0x00, 0x00, 0x1b, 17, 3,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x02,
        0xc3, 0x50, 0x17, 0xc1, 0x00, 0x1b, 0x57, 0xcc,
        0x02, 0xc0, 0x08, 0x00, 0xff, 0xff, 0xff, 0,
        0x01, 0x02, 0x83, 0x01, 0xde, 0xad, 0xbe, 0xef,
    ];
    let payload = Payload { head: &[0x45], rest: &[1, 2] };
    let header = written(&template, Depth::Ethernet, &packet, payload);
    assert_eq!(header, expected);
    let pseudo = [&expected[26..58], &[0, 0, 0, 0x1b, 0, 0, 0, 17]].concat();
    assert!(verify(&[&pseudo, &header[58..], &[0x45, 1, 2]].concat()));
}

#[test]
fn tunnel_headers() {
    let all = TunnelFlags::all();
    let critical = [0, 1, 0x80, 0];
    #[rustfmt::skip]
    let cases = [
        (Encapsulation::Vxlan, TunnelFlags::empty(), EtherType::ETHERNET, &[][..], [0x08, 0, 0, 0]),
        (Encapsulation::Vxlan, TunnelFlags::G, EtherType::ETHERNET, &[], [0x88, 0, 0x12, 0x34]),
        (Encapsulation::Vxlan, TunnelFlags::D, EtherType::ETHERNET, &[], [0x08, 0x40, 0, 0]),
        (Encapsulation::Vxlan, all, EtherType::ETHERNET, &[], [0x88, 0x48, 0x12, 0x34]),
        (Encapsulation::Gpe, TunnelFlags::empty(), EtherType::ETHERNET, &[], [0x0c, 0, 0, 3]),
        (Encapsulation::Gpe, TunnelFlags::empty(), EtherType::IPV4, &[], [0x0c, 0, 0, 1]),
        (Encapsulation::Gpe, TunnelFlags::B, EtherType::IPV6, &[], [0x0e, 0, 0, 2]),
        (Encapsulation::Gpe, TunnelFlags::O, EtherType::NSH, &[], [0x0d, 0, 0, 4]),
        (Encapsulation::Gpe, all, EtherType::ETHERNET, &[], [0x0f, 0, 0, 3]),
        (Encapsulation::Geneve, TunnelFlags::empty(), EtherType::ETHERNET, &[], [0, 0, 0x65, 0x58]),
        (Encapsulation::Geneve, TunnelFlags::empty(), EtherType(0xfffe), &[], [0, 0, 0xff, 0xfe]),
        (Encapsulation::Geneve, TunnelFlags::C, EtherType::IPV6, &[], [0, 0, 0x86, 0xdd]),
        (Encapsulation::Geneve, TunnelFlags::empty(), EtherType::ETHERNET, &critical, [1, 0x40, 0x65, 0x58]),
        (Encapsulation::Geneve, all, EtherType::ETHERNET, &[0, 1, 0x7f, 0], [1, 0x80, 0x65, 0x58]),
    ];
    for (encap, flags, protocol, options, expected) in cases {
        for link in LINKS {
            let template = Template::new(&config(encap, link.is_some(), link)).unwrap();
            let packet =
                PerPacket { flags, policy: 0x1234, protocol, options, ..PerPacket::new(Vni::truncating(0xab_cdef), 1) };
            let header = written(&template, Depth::Tunnel, &packet, Payload::default());
            let fixed = [&expected[..], &[0xab, 0xcd, 0xef, 0]].concat();
            assert_eq!(header, [&fixed, options].concat(), "{encap:?} {flags:?} {protocol:?}");
        }
    }
}

#[test]
fn what_a_tunnel_header_has_no_place_for() {
    let long = [0; 256];
    let option = &long[..4];
    let cases = [
        (Encapsulation::Vxlan, EtherType::IPV4, &[][..], Layer::Vxlan),
        (Encapsulation::Vxlan, EtherType::ETHERNET, option, Layer::Vxlan),
        (Encapsulation::Gpe, EtherType::ARP, &[], Layer::Gpe),
        (Encapsulation::Gpe, EtherType::ETHERNET, option, Layer::Gpe),
        (Encapsulation::Geneve, EtherType::ETHERNET, &long, Layer::Geneve),
    ];
    for (encap, protocol, options, layer) in cases {
        for link in LINKS {
            let template = Template::new(&config(encap, false, link)).unwrap();
            let packet = PerPacket { protocol, options, ..PerPacket::new(Vni::MAX, 1) };
            for depth in DEPTHS {
                let mut buffer = [0xa5; 400];
                let result = template.write(depth, &packet, &mut buffer, Payload::default());
                assert_eq!(result, Err(WireError::new(layer, Reason::Unrepresentable, 0)));
                assert_eq!(buffer, [0xa5; 400]);
            }
        }
    }
}

#[test]
fn an_area_that_is_no_sequence_of_options_is_not_written() {
    let truncated = [0, 1, 2, 1, 0, 0, 0, 0, 9, 9, 9];
    let too_long = [0, 1, 2, 1, 0, 0, 0, 0, 0, 1, 2, 30, 0, 0, 0, 0];
    for udp_checksum in [false, true] {
        let config = TemplateConfig { udp_checksum, ..config(Encapsulation::Geneve, false, LINKS[1]) };
        let template = Template::new(&config).unwrap();
        for (options, reason) in
            [(&truncated[..], Reason::OptionHeaderTruncated), (&too_long[..], Reason::OptionTooLong)]
        {
            let packet = PerPacket { options, ..PerPacket::new(Vni::MAX, 1) };
            let mut buffer = [0xa5; 100];
            let error = template.write(Depth::Ethernet, &packet, &mut buffer, Payload::default()).unwrap_err();
            assert_eq!((error.layer, error.reason, error.offset), (Layer::GeneveOption, reason, 8));
            assert_eq!(buffer, [0xa5; 100]);
        }
    }
}

#[test]
fn option_areas_of_every_length() {
    let mut options = [0x5c; 252];
    for start in (0..252).step_by(4) {
        options[start + 3] = 0;
    }
    for udp_checksum in [false, true] {
        let config = TemplateConfig { udp_checksum, ..config(Encapsulation::Geneve, false, LINKS[1]) };
        let template = Template::new(&config).unwrap();
        for len in (0..=252).step_by(4) {
            let packet = PerPacket { options: &options[..len], ..PerPacket::new(Vni::MAX, 1) };
            let header = written(&template, Depth::Ethernet, &packet, Payload::whole(&[1, 2, 3]));
            assert_eq!(header, reference(&config, Depth::Ethernet, &packet, &[1, 2, 3]));
        }
    }
}

#[test]
fn every_headroom_that_is_too_small() {
    let options = [0; 252];
    for (encap, ipv6, link) in ENCAPS.iter().flat_map(|encap| {
        [false, true].into_iter().flat_map(move |ipv6| LINKS.into_iter().map(move |link| (*encap, ipv6, link)))
    }) {
        let lens: &[usize] = if encap == Encapsulation::Geneve { &[0, 4, 8, 12, 32, 36, 252] } else { &[0] };
        for (depth, options_len) in DEPTHS.into_iter().flat_map(|depth| lens.iter().map(move |len| (depth, *len))) {
            let template = Template::new(&config(encap, ipv6, link)).unwrap();
            let packet = PerPacket { options: &options[..options_len], ..PerPacket::new(Vni::MAX, 1) };
            let needed = template.header_len(depth, options_len);
            let mut buffer = [0xa5; MAX_HEADER_LEN];
            let layer = match depth {
                Depth::Ethernet if link.is_none() => {
                    let result = template.write(depth, &packet, &mut buffer, Payload::default());
                    assert_eq!(result, Err(WireError::new(Layer::Ethernet, Reason::Unrepresentable, 0)));
                    assert_eq!(buffer, [0xa5; MAX_HEADER_LEN]);
                    continue;
                }
                Depth::Ethernet => Layer::Ethernet,
                Depth::Ip => [Layer::Ipv4, Layer::Ipv6][usize::from(ipv6)],
                Depth::Tunnel => [Layer::Vxlan, Layer::Gpe, Layer::Geneve][encap as usize],
            };
            for len in 0..needed {
                let result = template.write(depth, &packet, &mut buffer[..len], Payload::default());
                let needed = needed as u32;
                assert_eq!(result, Err(WireError { layer, reason: Reason::BufferTooSmall, offset: 0, needed }));
            }
            assert_eq!(buffer, [0xa5; MAX_HEADER_LEN]);
            assert_eq!(template.write(depth, &packet, &mut buffer[..needed], Payload::default()), Ok(needed));
            if depth != Depth::Tunnel {
                let vlan = link.is_some_and(|link| link.vlan.is_some());
                let link = depth == Depth::Ethernet;
                assert_eq!(needed, overhead(encap, ipv6, link, vlan, options_len));
            }
        }
    }
}

#[test]
fn lengths_up_to_16_bits() {
    let payload = vec![0; 70_000];
    let option = [0, 0, 0, 1, 1, 2, 3, 4];
    for (ipv6, udp_checksum, options) in [false, true]
        .into_iter()
        .flat_map(|v6| [false, true].map(|sum| (v6, sum)))
        .flat_map(|(v6, sum)| [(v6, sum, &[][..]), (v6, sum, &option)])
    {
        let config = TemplateConfig { udp_checksum, ..config(Encapsulation::Geneve, ipv6, LINKS[1]) };
        let template = Template::new(&config).unwrap();
        let packet = PerPacket { options, ..PerPacket::new(Vni::MAX, 1) };
        let longest = if ipv6 { 65_535 } else { 65_515 } - 16 - options.len();
        for depth in DEPTHS {
            for len in [0, 1, 255, 256, longest - 1, longest] {
                let header = written(&template, depth, &packet, Payload::whole(&payload[..len]));
                assert_eq!(header, reference(&config, depth, &packet, &payload[..len]));
            }
            for (head, rest) in [(0, longest + 1), (longest, 1), (1, longest), (65_535, 65_535), (70_000, 70_000)] {
                let mut buffer = [0xa5; 100];
                let payload = Payload { head: &payload[..head], rest: &payload[..rest] };
                let error = template.write(depth, &packet, &mut buffer, payload).unwrap_err();
                let layer = if ipv6 { Layer::Ipv6 } else { Layer::Ipv4 };
                assert_eq!(error, WireError::new(layer, Reason::Unrepresentable, 0));
                assert_eq!(buffer, [0xa5; 100]);
            }
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    for ipv6 in [false, true] {
        let config = TemplateConfig { udp_checksum: true, ..config(Encapsulation::Vxlan, ipv6, LINKS[1]) };
        let template = Template::new(&config).unwrap();
        let packet = PerPacket::new(Vni::truncating(7), 50_000);
        let at = if ipv6 { 60 } else { 40 };
        // Setting the payload to the checksum that its zeros gave makes the sum complete.
        let header = written(&template, Depth::Ethernet, &packet, Payload::whole(&[0, 0]));
        let header = written(&template, Depth::Ethernet, &packet, Payload::whole(&header[at..at + 2]));
        assert_eq!(header[at..at + 2], [0xff, 0xff]);
    }
}

#[test]
fn resolve_inherits_and_applies_ecn() {
    let base = config(Encapsulation::Vxlan, false, None);
    let resolve = |config: TemplateConfig, tos, ttl, df| Template::new(&config).unwrap().resolve(tos, ttl, df);
    for tos in 0..=255_u8 {
        let legacy = if tos & 3 == 3 { 2 } else { tos & 3 };
        for (ecn, bits) in [(EcnMode::Normal, tos & 3), (EcnMode::Compat, 0), (EcnMode::Legacy3168, legacy)] {
            let fixed = TemplateConfig { tos: Tos::Fixed(0x5b), ecn, ..base };
            assert_eq!(resolve(fixed, tos, 9, false).0, 0x58 | bits);
            let inherited = TemplateConfig { tos: Tos::Inherit, ecn, ..base };
            assert_eq!(resolve(inherited, tos, 9, false).0, (tos & 0xfc) | bits);
        }
        let inherited = TemplateConfig { ttl: Ttl::Inherit, ..base };
        assert_eq!(resolve(inherited, 0, tos, false).1, if tos == 0 { 64 } else { tos });
        assert_eq!(resolve(TemplateConfig { ttl: Ttl::Fixed(17), ..base }, 0, tos, false).1, 17);
    }
    for (df, expected) in [(Df::Set, [true; 2]), (Df::Unset, [false; 2]), (Df::Inherit, [false, true])] {
        let got = [false, true].map(|inner| resolve(TemplateConfig { df, ..base }, 0, 9, inner).2);
        assert_eq!(got, expected);
    }
}

#[test]
fn configurations_that_contradict_themselves() {
    let v4 = config(Encapsulation::Vxlan, false, None);
    let v6 = config(Encapsulation::Vxlan, true, None);
    let mixed = [TemplateConfig { dst: v6.dst, ..v4 }, TemplateConfig { dst: v4.dst, ..v6 }];
    for (config, layer) in mixed.into_iter().zip([Layer::Ipv4, Layer::Ipv6]) {
        assert_eq!(Template::new(&config), Err(WireError::new(layer, Reason::FamilyMismatch, 0)));
    }
    for (config, layer) in [v4, v6].into_iter().zip([Layer::Ipv4, Layer::Ipv6]) {
        let config = TemplateConfig { ttl: Ttl::Fixed(0), ..config };
        assert_eq!(Template::new(&config), Err(WireError::new(layer, Reason::Unrepresentable, 0)));
    }
}

#[test]
fn defaults_are_the_rfcs() {
    for (encap, port, over_ipv4) in
        [(Encapsulation::Vxlan, 4789, false), (Encapsulation::Gpe, 4790, false), (Encapsulation::Geneve, 6081, true)]
    {
        for ipv6 in [false, true] {
            let config = config(encap, ipv6, None);
            assert_eq!((config.dst_port, config.udp_checksum), (port, over_ipv4 || ipv6));
            assert_eq!((config.df, config.ecn, config.ttl), (Df::Set, EcnMode::Normal, Ttl::Fixed(64)));
        }
    }
}

#[test]
fn a_next_hop_can_be_replaced() {
    for ipv6 in [false, true] {
        for before in LINKS {
            let mut template = Template::new(&config(Encapsulation::Vxlan, ipv6, before)).unwrap();
            for link in LINKS {
                template.set_link(link);
                assert_eq!(template, Template::new(&config(Encapsulation::Vxlan, ipv6, link)).unwrap());
                assert_eq!(template.link(), link);
            }
        }
    }
}

#[test]
fn a_socket_owner_is_told_the_rest() {
    let config = TemplateConfig { dst_port: 8472, ..config(Encapsulation::Vxlan, true, None) };
    let packet = PerPacket { tos: 1, ttl: 2, df: false, ..PerPacket::new(Vni::MAX, 50_000) };
    let sent = Template::new(&config).unwrap().sent(&packet);
    let expected =
        Sent { src: config.src, dst: config.dst, src_port: 50_000, dst_port: 8472, ttl: 2, tos: 1, df: false };
    assert_eq!(sent, expected);
}

fn any_config() -> impl Strategy<Value = TemplateConfig> {
    let address = prop_oneof![
        any::<[u32; 2]>().prop_map(|[a, b]| (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into())),
        any::<[u128; 2]>().prop_map(|[a, b]| (Ipv6Addr::from(a).into(), Ipv6Addr::from(b).into())),
    ];
    let link = any::<Option<([u8; 6], [u8; 6], Option<(bool, u16)>)>>().prop_map(|link| {
        link.map(|(dst, src, vlan)| Link {
            dst: MacAddr(dst),
            src: MacAddr(src),
            vlan: vlan.map(|(q, tci)| Tag { tpid: if q { EtherType::VLAN } else { EtherType::QINQ }, tci }),
        })
    });
    let how = (0..3_u8, 0..4_u8, 0..3_usize, 0..3_usize, any::<[bool; 2]>());
    (address, link, 1..=u16::MAX, 0..3_usize, how).prop_map(
        |((src, dst), link, dst_port, encap, (ttl, tos, df, ecn, [udp_checksum, flow_label]))| TemplateConfig {
            encap: ENCAPS[encap],
            link,
            src,
            dst,
            dst_port,
            ttl: if ttl == 0 { Ttl::Inherit } else { Ttl::Fixed(ttl) },
            tos: if tos == 0 { Tos::Inherit } else { Tos::Fixed(tos) },
            df: [Df::Set, Df::Unset, Df::Inherit][df],
            udp_checksum,
            ecn: [EcnMode::Normal, EcnMode::Compat, EcnMode::Legacy3168][ecn],
            flow_label,
        },
    )
}

fn any_options() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<[u8; 3]>(), prop::collection::vec(any::<[u8; 4]>(), 0..6)), 0..8).prop_map(|options| {
        let mut area = Vec::new();
        for ([a, b, c], data) in options {
            area.extend([a, b, c, data.len() as u8]);
            area.extend(data.concat());
        }
        area
    })
}

/// What a receiver reads from a frame: written and parsed headers agree.
fn assert_parsed(config: &TemplateConfig, depth: Depth, packet: &PerPacket<'_>, frame: &[u8], inner_len: usize) {
    let ports = TunnelPorts::NONE.with(config.dst_port, config.encap).unwrap();
    let checks = Checks { zero_udp6: true, reserved: Reserved::Strict, ..Checks::default() };
    let outer = match depth {
        Depth::Ethernet => outer::parse(frame, &ports, &checks),
        Depth::Ip => outer::parse_ip(frame, &ports, &checks),
        Depth::Tunnel => {
            let (tos, ttl, checksum) = (packet.tos, packet.ttl, UdpChecksum::Good);
            let (src_port, dst_port) = (packet.src_port, config.dst_port);
            let datagram = Datagram { src: config.src, dst: config.dst, src_port, dst_port, tos, ttl, checksum };
            outer::parse_udp_payload(frame, &datagram, &ports, &checks)
        }
    };
    let outer = outer.unwrap().unwrap();
    assert_eq!((outer.src, outer.dst), (config.src, config.dst));
    assert_eq!((outer.src_port, outer.dst_port), (packet.src_port, config.dst_port));
    assert_eq!((outer.tos, outer.ttl), (packet.tos, packet.ttl));
    assert_eq!(outer.vlan, config.link.and_then(|link| link.vlan).filter(|_| depth == Depth::Ethernet));
    let zero = depth != Depth::Tunnel && !config.udp_checksum;
    assert_eq!(outer.checksum, if zero { UdpChecksum::Zero } else { UdpChecksum::Good });
    assert_eq!((outer.tunnel.encap, outer.tunnel.vni), (config.encap, packet.vni));
    assert_eq!(outer.tunnel.protocol, packet.protocol);
    assert_eq!(outer.tunnel.options.of(frame), Some(packet.options));
    assert_eq!(outer.tunnel.inner.len as usize, inner_len);
    assert_eq!(outer.tunnel.inner.end() as usize, frame.len());
}

proptest! {
    #[test]
    fn every_header_is_the_reference(
        config in any_config(),
        depth in 0..3_usize,
        numbers: (u32, [u16; 3], [u8; 2], bool),
        (flags, protocol) in (prop_oneof![Just(0), any::<u8>()], 0..4_usize),
        options in any_options(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        cut: prop::sample::Index,
    ) {
        let (vni, [src_port, ident, policy], [tos, ttl], df) = numbers;
        let protocols = [EtherType::ETHERNET, EtherType::IPV4, EtherType::IPV6, EtherType::NSH];
        let packet = PerPacket {
            vni: Vni::truncating(vni),
            src_port,
            ident,
            tos,
            ttl,
            df,
            flags: TunnelFlags::from_bits_retain(flags),
            policy,
            protocol: if config.encap == Encapsulation::Vxlan { EtherType::ETHERNET } else { protocols[protocol] },
            options: if config.encap == Encapsulation::Geneve { &options } else { &[] },
        };
        let depth = if config.link.is_none() && depth == 0 { Depth::Ip } else { DEPTHS[depth] };
        let template = Template::new(&config).unwrap();
        let (head, rest) = payload.split_at(cut.index(payload.len() + 1));
        let header = written(&template, depth, &packet, Payload { head, rest });
        prop_assert_eq!(&header, &reference(&config, depth, &packet, &payload));
        assert_parsed(&config, depth, &packet, &[&header[..], &payload].concat(), payload.len());
    }

    #[test]
    fn an_untagged_header_is_the_same_as_any(
        config in any_config(),
        numbers: (u32, u16, u16),
        inner: (u8, u8, bool),
        (group, class) in (0..3_u32, 0..3_u8),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        room in 0..100_usize,
    ) {
        let template = Template::new(&config).unwrap();
        let label = Label::new(SecurityGroup::new(group << 20).unwrap(), TrafficClass::new(class).unwrap());
        let options = if config.encap == Encapsulation::Geneve { Schema::DEFAULT.written(label) } else { Written::NONE };
        let ((vni, src_port, ident), (tos, ttl, df)) = (numbers, template.resolve(inner.0, inner.1, inner.2));
        let fields = Fields { vni: Vni::truncating(vni), src_port, ident, tos, ttl, df, options };
        let mut written = vec![0xa5; room];
        let len = template.write_untagged(&fields, &mut written, &payload);
        let options = &options.bytes()[16 - usize::from(options.len)..];
        let packet = PerPacket { ident, tos, ttl, df, options, ..PerPacket::new(fields.vni, src_port) };
        let mut expected = vec![0xa5; room];
        let any = template.write(Depth::Ethernet, &packet, &mut expected, Payload::whole(&payload));
        match config.link {
            Some(Link { vlan: None, .. }) => prop_assert_eq!(len, any.ok()),
            _ => prop_assert_eq!(len, None),
        }
        if len.is_some() {
            prop_assert_eq!(written, expected);
        } else {
            prop_assert!(written.iter().all(|byte| *byte == 0xa5));
        }
    }

    #[test]
    fn a_template_gives_its_configuration_back(config in any_config()) {
        let template = Template::new(&config).unwrap();
        prop_assert_eq!(template.config(), config);
        prop_assert_eq!((template.src(), template.dst(), template.dst_port()), (config.src, config.dst, config.dst_port));
        prop_assert_eq!(template.encapsulation(), config.encap);
        prop_assert_eq!(template.is_ipv6(), config.src.is_ipv6());
    }
}
