//! Packets, byte by byte.

use core::net::IpAddr;

use super::read::internet_checksum;
use super::{A, LOCAL, LOCAL6, R, REMOTE, REMOTE6, VNI};

/// An IP packet.
#[derive(Clone, Debug)]
pub(crate) struct Ip {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) df: bool,
    pub(crate) more: bool,
    /// Fragment offset in units of 8 bytes. With `more` or an offset, IPv6 gets a fragment header.
    pub(crate) offset: u16,
    pub(crate) ident: u16,
    pub(crate) protocol: u8,
    pub(crate) payload: Vec<u8>,
}

impl Ip {
    pub(crate) fn new(src: IpAddr, dst: IpAddr, protocol: u8, payload: Vec<u8>) -> Self {
        Self { src, dst, tos: 0, ttl: 64, df: true, more: false, offset: 0, ident: 0, protocol, payload }
    }

    pub(crate) fn ethertype(&self) -> u16 {
        if self.src.is_ipv4() { 0x0800 } else { 0x86dd }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                out.extend([0x45, self.tos]);
                out.extend(u16::try_from(20 + self.payload.len()).unwrap().to_be_bytes());
                out.extend(self.ident.to_be_bytes());
                let bits = u16::from(self.df) << 14 | u16::from(self.more) << 13 | self.offset;
                out.extend(bits.to_be_bytes());
                out.extend([self.ttl, self.protocol, 0, 0]);
                out.extend(src.octets());
                out.extend(dst.octets());
                let sum = internet_checksum(&[&out]);
                out[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let fragment = self.more || self.offset != 0;
                out.extend([0x60 | self.tos >> 4, self.tos << 4, 0, 0]);
                let len = self.payload.len() + if fragment { 8 } else { 0 };
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
                out.extend([if fragment { 44 } else { self.protocol }, self.ttl]);
                out.extend(src.octets());
                out.extend(dst.octets());
                if fragment {
                    out.extend([self.protocol, 0]);
                    out.extend((self.offset << 3 | u16::from(self.more)).to_be_bytes());
                    out.extend(u32::from(self.ident).to_be_bytes());
                }
            }
            _ => panic!("two families"),
        }
        out.extend(&self.payload);
        out
    }
}

/// What stands in the UDP checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Zero,
    Right,
    /// The right one with a bit flipped.
    Wrong,
}

pub(crate) fn udp(
    src: IpAddr,
    dst: IpAddr,
    src_port: u16,
    dst_port: u16,
    checksum: Checksum,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    let len = u16::try_from(8 + payload.len()).unwrap();
    for word in [src_port, dst_port, len, 0] {
        out.extend(word.to_be_bytes());
    }
    out.extend(payload);
    let sum = match internet_checksum(&[&pseudo_header(src, dst, len), &out]) {
        0 => 0xffff,
        sum => sum,
    };
    let sum = match checksum {
        Checksum::Zero => 0,
        Checksum::Right => sum,
        // Zero would be none at all.
        Checksum::Wrong if sum == 1 => 3,
        Checksum::Wrong => sum ^ 1,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    out
}

/// The pseudo-header of UDP (RFC 768, RFC 8200 section 8.1).
pub(crate) fn pseudo_header(src: IpAddr, dst: IpAddr, len: u16) -> Vec<u8> {
    let mut out = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            out.extend(src.octets());
            out.extend(dst.octets());
            out.extend([0, 17]);
            out.extend(len.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            out.extend(src.octets());
            out.extend(dst.octets());
            out.extend(u32::from(len).to_be_bytes());
            out.extend([0, 0, 0, 17]);
        }
        _ => panic!("two families"),
    }
    out
}

/// An Ethernet frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) dst: [u8; 6],
    pub(crate) src: [u8; 6],
    /// TPID and TCI, outermost first.
    pub(crate) tags: Vec<(u16, u16)>,
    pub(crate) ethertype: u16,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// UDP over IPv4 between two stations, 60 bytes of data.
    pub(crate) fn new(dst: [u8; 6], src: [u8; 6]) -> Self {
        Self::ip(dst, src, &inner_ip(false))
    }

    pub(crate) fn ip(dst: [u8; 6], src: [u8; 6], packet: &Ip) -> Self {
        Self { dst, src, tags: Vec::new(), ethertype: packet.ethertype(), body: packet.bytes() }
    }

    /// An ARP request for 10.0.0.2 by 10.0.0.1.
    pub(crate) fn arp(dst: [u8; 6], src: [u8; 6]) -> Self {
        let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
        body.extend(src);
        body.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        Self { dst, src, tags: Vec::new(), ethertype: 0x0806, body }
    }

    /// Of exactly `len` bytes, IPv4.
    pub(crate) fn of_len(dst: [u8; 6], src: [u8; 6], len: usize) -> Self {
        let mut packet = inner_ip(false);
        packet.payload.resize(len - 34, 0x5a);
        Self::ip(dst, src, &packet)
    }

    /// With one more tag in front.
    pub(crate) fn tagged(mut self, tpid: u16, tci: u16) -> Self {
        self.tags.insert(0, (tpid, tci));
        self
    }

    pub(crate) fn vlan(self, vid: u16) -> Self {
        self.tagged(0x8100, vid)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.dst);
        out.extend(self.src);
        for (tpid, tci) in &self.tags {
            out.extend(tpid.to_be_bytes());
            out.extend(tci.to_be_bytes());
        }
        out.extend(self.ethertype.to_be_bytes());
        out.extend(&self.body);
        out
    }
}

/// The packet in [`Frame::new`], over either family.
pub(crate) fn inner_ip(ipv6: bool) -> Ip {
    let (src, dst): (IpAddr, IpAddr) = match ipv6 {
        false => ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()),
        true => ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()),
    };
    let data: Vec<u8> = (0..60).collect();
    Ip::new(src, dst, 17, udp(src, dst, 4000, 5000, Checksum::Right, &data))
}

/// A frame whose IP header has this TOS, over either family.
pub(crate) fn ip_frame(dst: [u8; 6], src: [u8; 6], ipv6: bool, tos: u8) -> Frame {
    Frame::ip(dst, src, &Ip { tos, ..inner_ip(ipv6) })
}

/// A plain VXLAN header.
pub(crate) fn vxlan(vni: u32) -> Vec<u8> {
    let [_, a, b, c] = vni.to_be_bytes();
    vec![0x08, 0, 0, 0, a, b, c, 0]
}

/// A Geneve header over an option area, Ethernet inside; C is set if `critical`.
pub(crate) fn geneve(vni: u32, critical: bool, options: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = vni.to_be_bytes();
    let words = u8::try_from(options.len() / 4).unwrap();
    let mut out = vec![words, u8::from(critical) << 6, 0x65, 0x58, a, b, c, 0];
    out.extend(options);
    out
}

/// One Geneve option.
pub(crate) fn geneve_option(class: u16, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = class.to_be_bytes().to_vec();
    out.extend([kind, u8::try_from(data.len() / 4).unwrap()]);
    out.extend(data);
    out
}

/// A tunnel packet on the underlay, in an Ethernet frame.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) checksum: Checksum,
    /// The tunnel header with its options.
    pub(crate) tunnel: Vec<u8>,
    pub(crate) inner: Vec<u8>,
}

impl Packet {
    /// From [`REMOTE`] to us over IPv4, VNI [`VNI`].
    pub(crate) fn vxlan(inner: &[u8]) -> Self {
        Self::new(4789, vxlan(VNI), inner)
    }

    /// The same with Geneve and no options.
    pub(crate) fn geneve(inner: &[u8]) -> Self {
        Self::new(6081, geneve(VNI, false, &[]), inner)
    }

    pub(crate) fn new(dst_port: u16, tunnel: Vec<u8>, inner: &[u8]) -> Self {
        Self {
            src: REMOTE,
            dst: LOCAL,
            src_port: 50_000,
            dst_port,
            tos: 0,
            ttl: 64,
            checksum: Checksum::Right,
            tunnel,
            inner: inner.to_vec(),
        }
    }

    /// An ordinary frame from remote station R to our station A, in VXLAN.
    pub(crate) fn from_r_to_a() -> Self {
        Self::vxlan(&Frame::new(A, R).bytes())
    }

    /// The same in Geneve with these options, C set if `critical`.
    pub(crate) fn with_options(critical: bool, options: &[u8]) -> Self {
        Self::new(6081, geneve(VNI, critical, options), &Frame::new(A, R).bytes())
    }

    /// Between our IPv6 addresses.
    pub(crate) fn over_v6(self) -> Self {
        Self { src: REMOTE6, dst: LOCAL6, ..self }
    }

    /// UDP header and payload.
    pub(crate) fn datagram(&self) -> Vec<u8> {
        let payload = [&self.tunnel[..], &self.inner[..]].concat();
        udp(self.src, self.dst, self.src_port, self.dst_port, self.checksum, &payload)
    }

    pub(crate) fn ip(&self) -> Ip {
        Ip { tos: self.tos, ttl: self.ttl, ..Ip::new(self.src, self.dst, 17, self.datagram()) }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        in_ethernet(&self.ip())
    }
}

/// An IP packet in a frame to our underlay interface.
pub(crate) fn in_ethernet(packet: &Ip) -> Vec<u8> {
    Frame::ip([2, 0xff, 0, 0, 0, 1], [2, 0xff, 0, 0, 0, 2], packet).bytes()
}
