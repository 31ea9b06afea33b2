//! A second opinion on underlay packets: read here in the plainest way, so that what an engine says of a packet can be
//! held against something.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an Ethernet header without tags.
pub const LINK: usize = 14;
pub const VXLAN_PORT: u16 = 4789;
pub const GENEVE_PORT: u16 = 6081;

/// A tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub geneve: bool,
    pub vni: u32,
    pub sums: Sums,
    /// Whether the underlay may not fragment it.
    pub df: bool,
    /// Bytes from the IP header to the end of the inner frame, as its lengths say.
    pub len: usize,
    /// Where the inner frame begins.
    pub inner: usize,
    /// The sender's security group; 0 if it says none.
    pub group: u32,
    /// Whether it says that policy was applied.
    pub applied: bool,
}

/// What the checksums say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// They are right and cover everything but, over IPv6, the hop limit and its neighbours.
    Good,
    /// There is none of UDP.
    None,
    Bad,
}

/// Reads an IP packet; `None` if it is no tunnel packet, or not a whole one.
pub fn read(ip: &[u8]) -> Option<Packet> {
    let (src, dst, df, header_ok, header, udp) = match ip.first()? >> 4 {
        4 => {
            let header = usize::from(ip[0] & 15) * 4;
            let total = usize::from(word(ip, 2)?);
            let fragment = word(ip, 6)? & 0x3fff != 0;
            if header < 20 || total < header + 8 || total > ip.len() || fragment || ip[9] != 17 {
                return None;
            }
            let at = |i: usize| IpAddr::V4(Ipv4Addr::new(ip[i], ip[i + 1], ip[i + 2], ip[i + 3]));
            let ok = internet_checksum(0, &ip[..header]) == 0;
            (at(12), at(16), ip[6] & 0x40 != 0, ok, header, &ip[header..total])
        }
        6 => {
            let total = 40 + usize::from(word(ip, 4)?);
            if total < 48 || total > ip.len() || ip[6] != 17 {
                return None;
            }
            let at = |i: usize| {
                let octets: [u8; 16] = ip[i..i + 16].try_into().unwrap_or([0; 16]);
                IpAddr::V6(Ipv6Addr::from(octets))
            };
            (at(8), at(24), true, true, 40, &ip[40..total])
        }
        _ => return None,
    };
    let len = usize::from(word(udp, 4)?);
    if len < 16 || len > udp.len() {
        return None;
    }
    let datagram = &udp[..len];
    let sums = match word(udp, 6)? {
        _ if !header_ok => Sums::Bad,
        0 => Sums::None,
        _ if internet_checksum(pseudo_header(src, dst, len), datagram) == 0 => Sums::Good,
        _ => Sums::Bad,
    };
    let tunnel = &datagram[8..];
    let geneve = match word(udp, 2)? {
        VXLAN_PORT => false,
        GENEVE_PORT => true,
        _ => return None,
    };
    let vni = u32::from_be_bytes([0, tunnel[4], tunnel[5], tunnel[6]]);
    let options = if geneve { usize::from(tunnel[0] & 0x3f) * 4 } else { 0 };
    let sound = if geneve { tunnel[0] >> 6 == 0 && tunnel.len() >= 8 + options } else { tunnel[0] & 8 != 0 };
    let inner = header + 16 + options;
    let group = match geneve {
        false if tunnel[0] & 0x80 != 0 => u32::from(word(tunnel, 2)?),
        false => 0,
        true => group_option(tunnel.get(8..8 + options)?).unwrap_or(0),
    };
    let applied = !geneve && tunnel[0] & 0x80 != 0 && tunnel[1] & 8 != 0;
    sound.then_some(Packet { src, dst, geneve, vni, sums, df, len: header + len, inner, group, applied })
}

/// The first group option of an area.
fn group_option(mut options: &[u8]) -> Option<u32> {
    loop {
        let len = 4 + usize::from(options.get(3)? & 0x1f) * 4;
        if options[..3] == [0xff, 0x00, 0x80] && len == 8 {
            return Some(u32::from(word(options, 4)?) << 16 | u32::from(word(options, 6)?));
        }
        options = options.get(len..)?;
    }
}

/// The pseudo-header's part of a UDP checksum (RFC 768, RFC 8200 section 8.1).
fn pseudo_header(src: IpAddr, dst: IpAddr, len: usize) -> u32 {
    let sum = |address: IpAddr| match address {
        IpAddr::V4(a) => words(&a.octets()),
        IpAddr::V6(a) => words(&a.octets()),
    };
    sum(src) + sum(dst) + 17 + len as u32
}

/// The Internet checksum (RFC 1071) of bytes and of what was summed before.
pub fn internet_checksum(before: u32, bytes: &[u8]) -> u16 {
    let mut sum = before + words(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn words(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks(2);
    pairs.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))).sum()
}

/// Makes the checksums of a packet right, for those who forge one. A UDP checksum of zero stays.
pub fn mend(ip: &mut [u8]) {
    if ip[0] >> 4 == 4 {
        ip[10..12].copy_from_slice(&[0, 0]);
        let sum = internet_checksum(0, &ip[..20]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let Some(Packet { src, dst, sums: Sums::Bad, .. }) = read(ip) else { return };
    let at = if src.is_ipv4() { 20 } else { 40 };
    let len = usize::from(u16::from_be_bytes([ip[at + 4], ip[at + 5]]));
    ip[at + 6..at + 8].copy_from_slice(&[0, 0]);
    let sum = match internet_checksum(pseudo_header(src, dst, len), &ip[at..at + len]) {
        0 => 0xffff,
        sum => sum,
    };
    ip[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
