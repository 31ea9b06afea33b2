#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::panic_in_result_fn)]

use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::wire::{MacAddr, Span, TunnelFlags, Vni, geneve, gpe, vxlan};

extern crate std;
use std::vec;
use std::vec::Vec;

mod datagrams;
mod entries;
mod lengths;
mod properties;
mod superframes;
mod tunnels;

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
