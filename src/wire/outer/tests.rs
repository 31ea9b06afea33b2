#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::panic_in_result_fn)]

use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::wire::{MacAddr, Span, TunnelFlags, Vni, geneve, gpe, vxlan};

extern crate std;
use std::vec;
use std::vec::Vec;

const PORTS: TunnelPorts = TunnelPorts::DEFAULT;
const CHECKS: Checks = Checks::DEFAULT;
const SUPER: Checks = Checks { superframes: true, ..CHECKS };
const OPTIONS: [u8; 12] = [0x01, 0x02, 0x80, 0x01, 0xde, 0xad, 0xbe, 0xef, 0xff, 0xff, 0x01, 0x00];

/// A packet to be put together; every field may then be made wrong in the bytes.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    tags: usize,
    v6: bool,
    encap: Encapsulation,
    src_port: u16,
    dst_port: u16,
    vni: u32,
    checksum: bool,
    inner_len: usize,
}

const VXLAN: Recipe = Recipe {
    tags: 0,
    v6: false,
    encap: Encapsulation::Vxlan,
    src_port: 50_000,
    dst_port: 4789,
    vni: 5000,
    checksum: true,
    inner_len: 30,
};

impl Recipe {
    fn of(encap: Encapsulation) -> Self {
        Self { encap, dst_port: encap.default_port(), ..VXLAN }
    }

    /// Every stack that there is.
    fn all() -> impl Iterator<Item = Self> {
        [Encapsulation::Vxlan, Encapsulation::Geneve, Encapsulation::Gpe].into_iter().flat_map(|encap| {
            [false, true].into_iter().flat_map(move |v6| (0..=3).map(move |tags| Self { v6, tags, ..Self::of(encap) }))
        })
    }

    fn addresses(self) -> (IpAddr, IpAddr) {
        if self.v6 {
            let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into();
            (address(1), address(2))
        } else {
            (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(198, 51, 100, 7).into())
        }
    }

    fn tunnel(self) -> Vec<u8> {
        let vni = Vni::new(self.vni).unwrap();
        let mut out = vec![0xa5; 8 + OPTIONS.len()];
        let len = match self.encap {
            Encapsulation::Vxlan => vxlan::Header { vni, ..vxlan::Header::default() }.emit(&mut out),
            Encapsulation::Gpe => gpe::Header::new(vni, EtherType::ETHERNET).unwrap().emit(&mut out),
            Encapsulation::Geneve => {
                let header = geneve::Header { vni, protocol: EtherType::ETHERNET, ..geneve::Header::default() };
                header.emit(&OPTIONS, &mut out)
            }
        };
        out.truncate(len.unwrap());
        out.extend((0..self.inner_len).map(|n| n as u8));
        out
    }

    fn udp(self, payload: &[u8]) -> Vec<u8> {
        let fields = udp::Fields { src_port: self.src_port, dst_port: self.dst_port };
        let mut out = vec![0xa5; 8];
        fields.emit(payload, self.checksum.then_some(self.addresses()), &mut out).unwrap();
        out.extend(payload);
        out
    }

    /// An IP packet around `payload`.
    fn ip(self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0xa5; self.ip_len()];
        match self.addresses() {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let fields = ipv4::Fields { src, dst, protocol, ttl: 63, tos: 3, ident: 9, dont_fragment: true };
                fields.emit(payload.len(), &mut out).unwrap();
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (next_header, hop_limit) = (protocol, 63);
                let fields = ipv6::Fields { src, dst, next_header, hop_limit, traffic_class: 3, flow_label: 7 };
                fields.emit(payload.len(), &mut out).unwrap();
            }
            _ => panic!("two families"),
        }
        out.extend(payload);
        out
    }

    /// `packet` behind Ethernet and the tags.
    fn link(self, packet: &[u8]) -> Vec<u8> {
        let ethertype = if self.v6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for n in 0..self.tags {
            out.extend(tag(n).to_bytes());
        }
        out.extend(ethertype.0.to_be_bytes());
        out.extend(packet);
        out
    }

    fn packet(self) -> Vec<u8> {
        self.ip(17, &self.udp(&self.tunnel()))
    }

    fn frame(self) -> Vec<u8> {
        self.link(&self.packet())
    }

    fn l3(self) -> usize {
        14 + 4 * self.tags
    }

    fn ip_len(self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    fn l4(self) -> usize {
        self.l3() + self.ip_len()
    }

    /// What is to be read from [`Recipe::frame`].
    fn expected(self) -> Outer {
        let (src, dst) = self.addresses();
        let options = if self.encap == Encapsulation::Geneve { OPTIONS.len() as u32 } else { 0 };
        let at = self.l4() as u32 + 8;
        Outer {
            src,
            dst,
            src_port: self.src_port,
            dst_port: self.dst_port,
            tos: 3,
            ttl: 63,
            tags: self.tags as u8,
            vlan: (self.tags != 0).then(|| tag(0)),
            checksum: if self.checksum { UdpChecksum::Good } else { UdpChecksum::Zero },
            tunnel: Tunnel {
                encap: self.encap,
                flags: match self.encap {
                    Encapsulation::Vxlan => TunnelFlags::I,
                    Encapsulation::Gpe => TunnelFlags::I | TunnelFlags::P,
                    Encapsulation::Geneve => TunnelFlags::C,
                },
                next_protocol: if self.encap == Encapsulation::Gpe { 3 } else { 0 },
                policy: 0,
                protocol: EtherType::ETHERNET,
                vni: Vni::truncating(self.vni),
                header: Span::new(at, 8 + options),
                options: Span::new(at + 8, options),
                inner: Span::new(at + 8 + options, self.inner_len as u32),
            },
        }
    }
}

fn tag(n: usize) -> Tag {
    let tpid = if n == 0 { EtherType::QINQ } else { EtherType::VLAN };
    Tag::new(tpid, 100 + n as u16, 5, false).unwrap()
}

fn read(frame: &[u8], checks: &Checks) -> Result<Option<Outer>, WireError> {
    let parsed = parse(frame, &PORTS, checks);
    assert_eq!(parsed, parse_any(frame, &PORTS, checks), "the common shape is read as all others are");
    if let Ok(Some(outer)) = &parsed {
        let Tunnel { header, options, inner, .. } = outer.tunnel;
        assert!(header.of(frame).is_some() && inner.of(frame).is_some(), "{outer:?} of {} bytes", frame.len());
        assert_eq!((options.start, options.end()), (header.start + 8, header.end()));
        assert_eq!(inner.start, header.end());
    }
    parsed
}

fn refused(frame: &[u8], checks: &Checks) -> (Layer, Reason, usize) {
    let error = read(frame, checks).unwrap_err();
    (error.layer, error.reason, error.offset as usize)
}

fn found(frame: &[u8], checks: &Checks) -> Outer {
    read(frame, checks).unwrap().unwrap()
}

/// Puts the IPv4 header checksum right after an edit.
fn fix(frame: &mut [u8], l3: usize) {
    let len = usize::from(frame[l3] & 15) * 4;
    frame[l3 + 10..l3 + 12].fill(0);
    let sum = crate::wire::checksum::checksum(&frame[l3..l3 + len]);
    frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
}

fn put(frame: &mut [u8], at: usize, word: usize) {
    frame[at..at + 2].copy_from_slice(&(word as u16).to_be_bytes());
}

#[test]
fn a_frame_byte_by_byte() {
    let frame = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x81, 0x00, 0x60, 0x64, 0x08, 0x00,
        0x45, 0x00, 0x00, 0x32, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x5a, 0x81, 0x0a, 0x00, 0x00, 0x01, 0xc0, 0xa8,
        0x01, 0x14, 0xc1, 0x23, 0x12, 0xb5, 0x00, 0x1e, 0x00, 0x00, 0x88, 0x48, 0x01, 0x02, 0x2d, 0xc6, 0xc1, 0x00,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06,
    ];
    let mut frame = frame;
    fix(&mut frame, 18);
    let expected = Outer {
        src: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        dst: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20)),
        src_port: 0xc123,
        dst_port: 4789,
        tos: 0,
        ttl: 64,
        tags: 1,
        vlan: Tag::new(EtherType::VLAN, 100, 3, false),
        checksum: UdpChecksum::Zero,
        tunnel: Tunnel {
            encap: Encapsulation::Vxlan,
            flags: TunnelFlags::I | TunnelFlags::G | TunnelFlags::D | TunnelFlags::A,
            next_protocol: 0,
            policy: 0x102,
            protocol: EtherType::ETHERNET,
            vni: Vni::truncating(3_000_001),
            header: Span::new(46, 8),
            options: Span::new(54, 0),
            inner: Span::new(54, 14),
        },
    };
    assert_eq!(read(&frame, &CHECKS), Ok(Some(expected)));
    let plain = Checks { gbp: false, ..CHECKS };
    let tunnel = Tunnel { flags: TunnelFlags::I, policy: 0, ..expected.tunnel };
    assert_eq!(read(&frame, &plain), Ok(Some(Outer { tunnel, ..expected })));
}

#[test]
fn every_stack_is_read() {
    for recipe in Recipe::all() {
        for checksum in [true, recipe.v6] {
            let recipe = Recipe { checksum, ..recipe };
            assert_eq!(read(&recipe.frame(), &CHECKS), Ok(Some(recipe.expected())), "{recipe:?}");
        }
    }
}

#[test]
fn the_common_shape_is_vxlan_or_geneve_over_plain_ipv4() {
    for recipe in Recipe::all() {
        for checksum in [true, recipe.v6] {
            let recipe = Recipe { checksum, ..recipe };
            let frame = recipe.frame();
            let common = Common::parse(&frame, &PORTS, &CHECKS);
            let expected = !recipe.v6 && recipe.tags == 0 && recipe.encap != Encapsulation::Gpe;
            assert_eq!(common.is_some(), expected, "{recipe:?}");
            let Some(common) = common else { continue };
            assert_eq!(common.outer(), recipe.expected());
            assert_eq!(common.inner_span().of(&frame), Some(common.inner));
            assert_eq!(common.outer().tunnel.options.of(&frame), Some(common.options));
        }
    }
}

#[test]
fn every_truncation_is_an_error_that_says_what_is_missing() {
    for recipe in Recipe::all() {
        let frame = recipe.frame();
        for len in 0..frame.len() {
            let error = read(&frame[..len], &CHECKS).unwrap_err();
            let expected = match len {
                0..14 => (Layer::Ethernet, Reason::Truncated, 0),
                _ if len < recipe.l3() => (Layer::Vlan, Reason::Truncated, 14 + (len - 14) / 4 * 4),
                _ => {
                    let (layer, length_at) = if recipe.v6 { (Layer::Ipv6, 4) } else { (Layer::Ipv4, 2) };
                    if len < recipe.l4() {
                        (layer, Reason::Truncated, recipe.l3())
                    } else {
                        (layer, Reason::LengthTooLong, recipe.l3() + length_at)
                    }
                }
            };
            assert_eq!((error.layer, error.reason, error.offset as usize), expected, "{recipe:?} {len}");
            let needed = (error.offset + error.needed) as usize;
            assert!(len < needed && needed <= frame.len(), "{recipe:?} {len} {error:?}");
        }
    }
}

#[test]
fn every_shorter_packet_is_an_error_or_has_a_shorter_inner() {
    for recipe in Recipe::all() {
        let udp = recipe.udp(&recipe.tunnel());
        // IP says how much of the datagram there is; UDP claims all of it.
        for len in 0..udp.len() {
            let frame = recipe.link(&recipe.ip(17, &udp[..len]));
            let expected = match len {
                0 if recipe.v6 => (Layer::Ipv6, Reason::ZeroLength, recipe.l3() + 4),
                0..8 => (Layer::Udp, Reason::Truncated, recipe.l4()),
                _ => (Layer::Udp, Reason::LengthTooLong, recipe.l4() + 4),
            };
            assert_eq!(refused(&frame, &CHECKS), expected, "{recipe:?} {len}");
        }
        // UDP agrees.
        let tunnel = recipe.tunnel();
        let header_len = tunnel.len() - recipe.inner_len;
        for len in 0..tunnel.len() {
            let frame = recipe.link(&recipe.ip(17, &recipe.udp(&tunnel[..len])));
            let layer = match recipe.encap {
                Encapsulation::Vxlan => Layer::Vxlan,
                Encapsulation::Gpe => Layer::Gpe,
                Encapsulation::Geneve => Layer::Geneve,
            };
            if len >= header_len {
                let inner_len = len - header_len;
                assert_eq!(found(&frame, &CHECKS), Recipe { inner_len, ..recipe }.expected());
            } else {
                let reason = if len < 8 { Reason::Truncated } else { Reason::OptionAreaTooLong };
                assert_eq!(refused(&frame, &CHECKS), (layer, reason, recipe.l4() + 8), "{recipe:?} {len}");
            }
        }
    }
}

#[test]
fn a_fourth_tag_is_refused() {
    for v6 in [false, true] {
        let frame = Recipe { tags: 4, v6, ..VXLAN }.frame();
        assert_eq!(refused(&frame, &CHECKS), (Layer::Vlan, Reason::TooManyTags, 24));
    }
}

#[test]
fn padding_and_bytes_behind_the_datagram_are_left_out() {
    for recipe in Recipe::all() {
        let mut frame = recipe.frame();
        frame.extend([0xee; 46]);
        assert_eq!(found(&frame, &CHECKS), recipe.expected());

        let mut datagram = recipe.udp(&recipe.tunnel());
        datagram.extend([0xee; 5]);
        let mut frame = recipe.link(&recipe.ip(17, &datagram));
        frame.extend([0xdd; 3]);
        assert_eq!(found(&frame, &CHECKS), recipe.expected());
    }
}

#[test]
fn udp_lengths() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let trust = Checks { udp_checksum: Checksums::Trust, ..CHECKS };
        let (whole, at) = (8 + 8 + recipe.inner_len, recipe.l4() + 4);
        for (len, reason) in [
            (0, Reason::ZeroLength),
            (1, Reason::LengthTooShort),
            (7, Reason::LengthTooShort),
            (whole + 1, Reason::LengthTooLong),
            (0xffff, Reason::LengthTooLong),
        ] {
            let mut frame = recipe.frame();
            put(&mut frame, at, len);
            // A length of 0 under an IP length that is none is wrong for super-frames too.
            for checks in [trust, Checks { superframes: true, ..trust }] {
                assert_eq!(refused(&frame, &checks), (Layer::Udp, reason, at));
            }
        }
        let mut frame = recipe.frame();
        put(&mut frame, at, 8);
        assert_eq!(refused(&frame, &trust), (Layer::Vxlan, Reason::Truncated, recipe.l4() + 8));
        put(&mut frame, at, whole - 10);
        assert_eq!(found(&frame, &trust).tunnel.inner.len as usize, recipe.inner_len - 10);
    }
}

#[test]
fn ip_lengths() {
    let v4 = VXLAN.frame();
    for (total, reason) in
        [(0, Reason::ZeroLength), (19, Reason::LengthTooShort), (v4.len() - 13, Reason::LengthTooLong)]
    {
        let mut frame = v4.clone();
        put(&mut frame, 16, total);
        fix(&mut frame, 14);
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, reason, 16));
    }
    for (first, reason) in [(0x65, Reason::UnknownVersion), (0x44, Reason::HeaderLengthTooShort)] {
        let mut frame = v4.clone();
        frame[14] = first;
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, reason, 14));
    }

    let v6 = Recipe { v6: true, ..VXLAN }.frame();
    for (len, reason) in [(0, Reason::ZeroLength), (v6.len() - 53, Reason::LengthTooLong)] {
        let mut frame = v6.clone();
        put(&mut frame, 18, len);
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, reason, 18));
    }
    let mut frame = v6;
    frame[14] = 0x45;
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::UnknownVersion, 14));
}

#[test]
fn ipv4_options_and_ipv6_extension_headers_move_what_follows() {
    for recipe in Recipe::all() {
        let udp = recipe.udp(&recipe.tunnel());
        let (packet, extra) = if recipe.v6 {
            // Destination options, then a fragment header of a datagram that is whole.
            let extensions = [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1];
            (recipe.ip(60, &[&extensions[..], &udp].concat()), 16)
        } else {
            let mut packet = recipe.ip(17, &[&[1_u8; 40][..], &udp].concat());
            packet[0] = 0x4f;
            fix(&mut packet, 0);
            (packet, 40)
        };
        let mut expected = recipe.expected();
        let Tunnel { header, options, inner, .. } = &mut expected.tunnel;
        for span in [header, options, inner] {
            span.start += extra;
        }
        let mut frame = recipe.link(&packet);
        assert_eq!(found(&frame, &CHECKS), expected, "{recipe:?}");

        if !recipe.v6 {
            frame[recipe.l3() + 59] ^= 1;
            assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, Reason::BadIpChecksum, recipe.l3() + 10));
        }
    }
    let recipe = Recipe { v6: true, ..VXLAN };
    let chain = [60, 0, 1, 4, 0, 0, 0, 0].repeat(9);
    let frame = recipe.link(&recipe.ip(60, &chain));
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::TooManyExtensions, 54 + 64));
    let frame = recipe.link(&recipe.ip(60, &[17, 1, 1, 4, 0, 0, 0, 0]));
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::Truncated, 54));
}

#[test]
fn fragments_of_udp_are_refused_where_they_may_be_a_tunnels() {
    let dns = Recipe { dst_port: 53, ..VXLAN };
    // (flags and offset, first part)
    for (word, first) in [(0x2000, true), (0x2001, false), (0x0001, false), (0x1fff, false)] {
        for tags in 0..=3 {
            let recipe = Recipe { tags, ..VXLAN };
            let with = |mut frame: Vec<u8>| {
                put(&mut frame, recipe.l3() + 6, word);
                fix(&mut frame, recipe.l3());
                frame
            };
            let error = (Layer::Ipv4, Reason::Fragment, recipe.l3() + 6);
            assert_eq!(refused(&with(recipe.frame()), &CHECKS), error);
            let other = with(Recipe { tags, ..dns }.frame());
            if first {
                assert_eq!(read(&other, &CHECKS), Ok(None));
            } else {
                assert_eq!(refused(&other, &CHECKS), error);
            }
            // A part too short for a port, and one of another protocol.
            assert_eq!(refused(&with(recipe.link(&recipe.ip(17, &[0xc3, 0x50, 0, 53]))), &CHECKS), error);
            assert_eq!(read(&with(recipe.link(&recipe.ip(6, &[0; 20]))), &CHECKS), Ok(None));

            let part = |recipe: Recipe, next| {
                let header = [&[next, 0][..], &((word << 3 | word >> 13) as u16).to_be_bytes(), &[0; 4]].concat();
                let recipe = Recipe { v6: true, tags, ..recipe };
                recipe.link(&recipe.ip(44, &[&header[..], &recipe.udp(&recipe.tunnel())].concat()))
            };
            let error = (Layer::Ipv6, Reason::Fragment, recipe.l3() + 40);
            assert_eq!(refused(&part(VXLAN, 17), &CHECKS), error);
            if first {
                assert_eq!(read(&part(dns, 17), &CHECKS), Ok(None));
            } else {
                assert_eq!(refused(&part(dns, 17), &CHECKS), error);
            }
            assert_eq!(read(&part(VXLAN, 6), &CHECKS), Ok(None));
        }
    }
}

#[test]
fn ip_checksums() {
    let mut frame = VXLAN.frame();
    frame[24] ^= 1;
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, Reason::BadIpChecksum, 24));
    let trust = Checks { ip_checksum: Checksums::Trust, ..CHECKS };
    assert_eq!(found(&frame, &trust), VXLAN.expected());
}

#[test]
fn udp_checksums() {
    let trust = Checks { udp_checksum: Checksums::Trust, ..CHECKS };
    let zero = Checks { zero_udp6: true, ..CHECKS };
    for v6 in [false, true] {
        for inner_len in [0, 1, 30, 31, 1486] {
            let recipe = Recipe { v6, inner_len, ..VXLAN };
            let at = recipe.l4() + 6;
            let good = recipe.frame();
            assert_eq!(found(&good, &CHECKS).checksum, UdpChecksum::Good);
            assert_eq!(found(&good, &trust).checksum, UdpChecksum::Unverified);

            let mut bad = good.clone();
            let last = bad.len() - 1;
            bad[last] ^= 1;
            assert_eq!(refused(&bad, &CHECKS), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(refused(&bad, &zero), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(refused(&bad, &SUPER), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(found(&bad, &trust).checksum, UdpChecksum::Unverified);

            let none = Recipe { checksum: false, ..recipe }.frame();
            if v6 {
                for checks in [CHECKS, trust] {
                    assert_eq!(refused(&none, &checks), (Layer::Udp, Reason::ZeroChecksum, at));
                }
            } else {
                assert_eq!(found(&none, &CHECKS).checksum, UdpChecksum::Zero);
            }
            assert_eq!(found(&none, &zero).checksum, UdpChecksum::Zero);
        }
    }
}

#[test]
fn only_the_destination_port_selects() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let frame = |src_port, dst_port| Recipe { src_port, dst_port, ..recipe }.frame();
        for src_port in [4789, 4790, 6081] {
            assert_eq!(read(&frame(src_port, 53), &CHECKS), Ok(None));
            let outer = found(&frame(src_port, 4789), &CHECKS);
            assert_eq!((outer.src_port, outer.tunnel.encap), (src_port, Encapsulation::Vxlan));
        }
        assert_eq!(read(&frame(50_000, 8472), &CHECKS), Ok(None));
        assert_eq!(read(&frame(50_000, 0), &CHECKS), Ok(None));
        let ports = TunnelPorts::NONE.with(8472, Encapsulation::Vxlan).unwrap();
        assert!(parse(&frame(50_000, 8472), &ports, &CHECKS).unwrap().is_some());
        assert_eq!(parse(&frame(50_000, 4789), &ports, &CHECKS), Ok(None));
    }
    // Lengths and checksum of what is not ours are not our business.
    let mut frame = Recipe { dst_port: 53, ..VXLAN }.frame();
    put(&mut frame, 38, 0xffff);
    assert_eq!(read(&frame, &CHECKS), Ok(None));
}

#[test]
fn what_is_sound_and_no_tunnel_is_none() {
    for tags in 0..=3 {
        for v6 in [false, true] {
            let recipe = Recipe { tags, v6, ..VXLAN };
            for protocol in [1, 6, 47, 58, 132] {
                assert_eq!(read(&recipe.link(&recipe.ip(protocol, &[0xff; 24])), &CHECKS), Ok(None));
            }
            // ARP, MPLS, an 802.3 length, and with nothing behind it.
            for ethertype in [0x0806, 0x8847, 0x0040, 0x0000, 0xffff] {
                let mut frame = recipe.frame();
                put(&mut frame, recipe.l3() - 2, ethertype);
                assert_eq!(read(&frame, &CHECKS), Ok(None));
                assert_eq!(read(&frame[..recipe.l3()], &CHECKS), Ok(None));
            }
        }
    }
    let recipe = Recipe { v6: true, ..VXLAN };
    assert_eq!(read(&recipe.link(&recipe.ip(59, &[])), &CHECKS), Ok(None));
}

#[test]
fn vnis_from_end_to_end() {
    for encap in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
        for vni in [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff] {
            let recipe = Recipe { vni, ..Recipe::of(encap) };
            assert_eq!(found(&recipe.frame(), &CHECKS).tunnel.vni.get(), vni);
        }
    }
}

#[test]
fn a_tunnel_header_at_fault_is_named_with_its_place() {
    for v6 in [false, true] {
        for tags in 0..=3 {
            for (encap, byte, value, layer, reason) in [
                (Encapsulation::Vxlan, 0, 0xf7, Layer::Vxlan, Reason::NoVni),
                (Encapsulation::Gpe, 0, 0x04, Layer::Gpe, Reason::NoVni),
                (Encapsulation::Gpe, 0, 0x1c, Layer::Gpe, Reason::UnknownVersion),
                (Encapsulation::Geneve, 0, 0x43, Layer::Geneve, Reason::UnknownVersion),
                (Encapsulation::Geneve, 0, 0x3f, Layer::Geneve, Reason::OptionAreaTooLong),
            ] {
                let recipe = Recipe { v6, tags, ..Recipe::of(encap) };
                let mut tunnel = recipe.tunnel();
                tunnel[byte] = value;
                let frame = recipe.link(&recipe.ip(17, &recipe.udp(&tunnel)));
                assert_eq!(refused(&frame, &CHECKS), (layer, reason, recipe.l4() + 8));
            }
        }
    }
}

#[test]
fn gpe_carries_what_it_says() {
    let recipe = Recipe::of(Encapsulation::Gpe);
    for (next, protocol) in [(1, 0x0800), (2, 0x86dd), (3, 0x6558), (4, 0x894f), (5, 0x8847), (6, 0), (0xff, 0)] {
        let mut tunnel = recipe.tunnel();
        tunnel[0] = 0x0f;
        tunnel[3] = next;
        let outer = found(&recipe.link(&recipe.ip(17, &recipe.udp(&tunnel))), &CHECKS);
        assert_eq!((outer.tunnel.next_protocol, outer.tunnel.protocol), (next, EtherType(protocol)));
        let flags = TunnelFlags::I | TunnelFlags::P | TunnelFlags::B | TunnelFlags::O;
        assert_eq!(outer.tunnel.flags, flags);
    }
}

#[test]
fn reserved_bits_are_ignored_or_refused() {
    let strict = Checks { reserved: Reserved::Strict, gbp: false, ..CHECKS };
    let strict_gbp = Checks { gbp: true, ..strict };
    for encap in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
        let recipe = Recipe::of(encap);
        assert!(read(&recipe.frame(), &strict).is_ok());
        for bit in 0..64 {
            let mut tunnel = recipe.tunnel();
            tunnel[bit / 8] ^= 0x80 >> (bit % 8);
            let frame = recipe.link(&recipe.ip(17, &recipe.udp(&tunnel)));
            let reserved = match encap {
                Encapsulation::Vxlan => bit != 4 && !(32..56).contains(&bit),
                Encapsulation::Gpe => matches!(bit, 0 | 1 | 8..24 | 56..64),
                Encapsulation::Geneve => false,
            };
            let of_gbp = encap == Encapsulation::Vxlan && matches!(bit, 0 | 9 | 12);
            let lenient = read(&frame, &CHECKS);
            if reserved {
                assert!(lenient.is_ok());
                assert_eq!(refused(&frame, &strict).1, Reason::ReservedBits, "{encap:?} bit {bit}");
                assert_eq!(refused(&frame, &strict).2, 42 + bit / 8);
            } else if !(encap == Encapsulation::Gpe && bit == 5) {
                // Without P, GPE's next protocol is a reserved field.
                assert_eq!(read(&frame, &strict), lenient, "{encap:?} bit {bit}");
            }
            assert_eq!(read(&frame, &strict_gbp).is_ok(), read(&frame, &strict).is_ok() || of_gbp);
        }
    }
}

/// A packet of segmentation offload with lengths of 0 and a checksum over the pseudo-header.
fn superframe(recipe: Recipe) -> Vec<u8> {
    let mut frame = Recipe { inner_len: 10, checksum: false, ..recipe }.frame();
    let header = frame.len() - 10;
    frame.resize(header + recipe.inner_len, 0x5a);
    let (l3, l4) = (recipe.l3(), recipe.l4());
    put(&mut frame, if recipe.v6 { l3 + 4 } else { l3 + 2 }, 0);
    if !recipe.v6 {
        fix(&mut frame, l3);
    }
    put(&mut frame, l4 + 4, 0);
    let (src, dst) = recipe.addresses();
    let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap();
    put(&mut frame, l4 + 6, sum.fold().into());
    frame
}

#[test]
fn superframes_reach_to_the_end_where_they_may() {
    for recipe in Recipe::all() {
        for inner_len in [0, 10, 65_535, 80_000] {
            let recipe = Recipe { inner_len, ..recipe };
            let frame = superframe(recipe);
            let expected = Outer { checksum: UdpChecksum::Unverified, ..recipe.expected() };
            assert_eq!(found(&frame, &SUPER), expected, "{recipe:?}");
            let (layer, at) = if recipe.v6 { (Layer::Ipv6, 4) } else { (Layer::Ipv4, 2) };
            assert_eq!(refused(&frame, &CHECKS), (layer, Reason::ZeroLength, recipe.l3() + at));
            let trust = Checks { udp_checksum: Checksums::Trust, ..SUPER };
            assert_eq!(found(&frame, &trust), expected);

            // Completed by whoever captured it, left out, or wrong.
            let mut frame = frame;
            let (l4, (src, dst)) = (recipe.l4(), recipe.addresses());
            put(&mut frame, l4 + 6, 0);
            let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap().add_bytes(&frame[l4..]);
            put(&mut frame, l4 + 6, sum.finish_udp().into());
            assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Good);
            frame[l4] ^= 1;
            assert_eq!(refused(&frame, &SUPER), (Layer::Udp, Reason::BadChecksum, l4 + 6));
            put(&mut frame, l4 + 6, 0);
            if recipe.v6 {
                assert_eq!(refused(&frame, &SUPER), (Layer::Udp, Reason::ZeroChecksum, l4 + 6));
            } else {
                assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Zero);
            }
        }
    }
}

#[test]
fn every_truncation_of_a_superframe_is_an_error_or_a_shorter_one() {
    for recipe in Recipe::all() {
        let frame = superframe(recipe);
        let trust = Checks { udp_checksum: Checksums::Trust, ..SUPER };
        let header = frame.len() - recipe.inner_len;
        for len in 0..frame.len() {
            match read(&frame[..len], &trust) {
                Ok(outer) => assert_eq!(outer.unwrap().tunnel.inner.len as usize, len - header),
                Err(error) => {
                    assert!(len < header);
                    assert!(matches!(error.reason, Reason::Truncated | Reason::OptionAreaTooLong));
                    assert!(len < (error.offset + error.needed) as usize, "{error:?}");
                }
            }
        }
    }
}

#[test]
fn a_superframe_may_have_a_udp_length() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let mut frame = recipe.frame();
        put(&mut frame, if v6 { 18 } else { 16 }, 0);
        if !v6 {
            fix(&mut frame, 14);
        }
        frame.extend([0xee; 8]);
        assert_eq!(found(&frame, &SUPER), recipe.expected());
    }
}

#[test]
fn a_large_packet_with_lengths_is_an_ordinary_one() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, inner_len: 60_000, ..VXLAN };
        let mut frame = recipe.frame();
        assert_eq!(found(&frame, &CHECKS), recipe.expected());
        let (l4, (src, dst)) = (recipe.l4(), recipe.addresses());
        let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap();
        put(&mut frame, l4 + 6, sum.fold().into());
        assert_eq!(refused(&frame, &CHECKS), (Layer::Udp, Reason::BadChecksum, l4 + 6));
        assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Unverified);
    }
}

#[test]
fn an_ip_packet_is_read_from_its_first_byte() {
    for recipe in Recipe::all() {
        let packet = recipe.packet();
        let mut expected = recipe.expected();
        let Tunnel { header, options, inner, .. } = &mut expected.tunnel;
        for span in [header, options, inner] {
            span.start -= recipe.l3() as u32;
        }
        let expected = Outer { tags: 0, vlan: None, ..expected };
        assert_eq!(parse_ip(&packet, &PORTS, &CHECKS), Ok(Some(expected)));
        for len in 0..packet.len() {
            assert!(parse_ip(&packet[..len], &PORTS, &CHECKS).is_err());
        }
    }
    for first in (0..16).filter(|version| ![4, 6].contains(version)) {
        let error = parse_ip(&[first << 4; 60], &PORTS, &CHECKS).unwrap_err();
        assert_eq!(error, WireError::new(Layer::Ipv4, Reason::UnknownVersion, 0));
    }
}

#[test]
fn a_sockets_payload_is_read_with_what_the_socket_knows() {
    for recipe in Recipe::all() {
        let payload = recipe.tunnel();
        let Outer { src, dst, src_port, dst_port, tos, ttl, mut tunnel, .. } = recipe.expected();
        for span in [&mut tunnel.header, &mut tunnel.options, &mut tunnel.inner] {
            span.start -= recipe.l4() as u32 + 8;
        }
        let datagram = Datagram { src, dst, src_port, dst_port, tos, ttl, checksum: UdpChecksum::Good };
        let expected = Outer { tags: 0, vlan: None, tunnel, ..recipe.expected() };
        let read = |datagram: &Datagram, checks| parse_udp_payload(&payload, datagram, &PORTS, checks);
        assert_eq!(read(&datagram, &CHECKS), Ok(Some(expected)));
        for len in 0..tunnel.header.len as usize {
            assert!(parse_udp_payload(&payload[..len], &datagram, &PORTS, &CHECKS).is_err());
        }

        assert_eq!(read(&Datagram { dst_port: 53, ..datagram }, &CHECKS), Ok(None));
        let zero = Datagram { checksum: UdpChecksum::Zero, ..datagram };
        let allowed = read(&zero, &Checks { zero_udp6: true, ..CHECKS });
        assert_eq!(allowed, Ok(Some(Outer { checksum: UdpChecksum::Zero, ..expected })));
        if let (IpAddr::V4(a), IpAddr::V4(b)) = (src, dst) {
            assert_eq!(read(&zero, &CHECKS), allowed);
            let mapped = Datagram { src: a.to_ipv6_mapped().into(), dst: b.to_ipv6_mapped().into(), ..zero };
            assert_eq!(read(&mapped, &CHECKS), allowed);
            let mixed = Datagram { src: Ipv6Addr::LOCALHOST.into(), ..datagram };
            assert_eq!(read(&mixed, &CHECKS).unwrap_err().reason, Reason::FamilyMismatch);
        } else {
            assert_eq!(read(&zero, &CHECKS), Err(WireError::new(Layer::Udp, Reason::ZeroChecksum, 0)));
        }
    }
}

#[test]
fn an_ethernet_header_of_its_own_codec_is_what_is_read() {
    let mut frame = vec![0xa5; 14];
    let header = ethernet::Header::new(MacAddr::BROADCAST, MacAddr::ZERO, EtherType::IPV4);
    header.emit(&mut frame).unwrap();
    frame.extend(VXLAN.packet());
    assert_eq!(found(&frame, &CHECKS), VXLAN.expected());
}

fn any_checks() -> impl Strategy<Value = Checks> {
    any::<[bool; 6]>().prop_map(|[ip, udp, zero_udp6, strict, gbp, superframes]| Checks {
        ip_checksum: if ip { Checksums::Verify } else { Checksums::Trust },
        udp_checksum: if udp { Checksums::Verify } else { Checksums::Trust },
        zero_udp6,
        reserved: if strict { Reserved::Strict } else { Reserved::Ignore },
        gbp,
        superframes,
    })
}

/// Frames of the common shape, and frames that miss it in a field or two, their IPv4 checksum right or wrong.
fn nearly_common() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![any::<u16>(), 0..80_u16, Just(0x4500), Just(0x0800), Just(0x4011), Just(4789), Just(6081)];
    let edits = prop::collection::vec((6..29_usize, word), 0..3);
    let inner_len = prop_oneof![0..3_usize, 0..100_usize];
    let padding = prop_oneof![Just(0), 0..20_usize];
    (any::<[bool; 3]>(), edits, inner_len, padding).prop_map(
        |([geneve, checksum, right], edits, inner_len, padding)| {
            let encap = if geneve { Encapsulation::Geneve } else { Encapsulation::Vxlan };
            let mut frame = Recipe { checksum, inner_len, ..Recipe::of(encap) }.frame();
            frame.resize(frame.len() + padding, 0xa5);
            for (at, word) in edits {
                if 2 * at + 2 <= frame.len() {
                    put(&mut frame, 2 * at, usize::from(word));
                }
            }
            if right && (5..=9).contains(&(frame[14] & 15)) {
                fix(&mut frame, 14);
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
    /// [`read`] compares.
    #[test]
    fn the_common_shape_is_read_as_all_others_are(
        frame in nearly_common(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        checks in any_checks(),
    ) {
        let len = cut.map_or(frame.len(), |cut| cut.index(frame.len()));
        let _ = read(&frame[..len], &checks);
    }
}

proptest! {
    /// Whatever is accepted has its spans in the frame (see [`read`]); an error's place is in it, too.
    #[test]
    fn damaged_frames_are_read_or_refused(
        which in 0..24_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        checks in any_checks(),
    ) {
        let recipe = Recipe::all().nth(which).unwrap();
        let mut frame = recipe.frame();
        for (at, value) in edits {
            // Most bytes of a frame are headers anyway; the rest says nothing.
            let at = at.index(recipe.l4() + 28);
            frame[at] = value;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        if let Err(error) = read(&frame, &checks) {
            prop_assert!(error.offset as usize <= frame.len());
            // Further in, it is the layer around that is too short, and the frame may be longer.
            if error.needed != 0 && error.layer <= Layer::Ipv4 {
                prop_assert!((error.offset + error.needed) as usize > frame.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), checks in any_checks()) {
        let _ = read(&bytes, &checks);
        let _ = parse_ip(&bytes, &PORTS, &checks);
    }

    #[test]
    fn an_inner_frame_of_any_length_is_found(which in 0..24_usize, inner_len in 0..3000_usize, checksum: bool) {
        let recipe = Recipe { inner_len, checksum, ..Recipe::all().nth(which).unwrap() };
        let checks = Checks { zero_udp6: true, ..CHECKS };
        prop_assert_eq!(read(&recipe.frame(), &checks), Ok(Some(recipe.expected())));
    }
}
