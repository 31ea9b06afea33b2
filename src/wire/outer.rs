//! The outer stack of a tunnelled packet, read in one pass: Ethernet, tags, IP, UDP, tunnel header.
//!
//! [`parse`] starts at Ethernet, [`parse_ip`] at IP and [`parse_udp_payload`] behind UDP, for users of a
//! socket. All three give the same small summary, [`Outer`], whose [spans](crate::wire::Span) say where the
//! tunnel header and the inner frame are.
//!
//! # What is checked
//!
//! | layer | always | by choice ([`Checks`]) |
//! |---|---|---|
//! | VLAN | at most 3 tags | |
//! | IPv4 | version, IHL, total length against header and frame | header checksum |
//! | IPv6 | version, payload length against frame, at most 8 extension headers | |
//! | both | no fragment | lengths of 0 (super-frames) |
//! | UDP | length against header and IP payload | checksum; 0 over IPv6; lengths of 0 |
//! | tunnel | version, I flag, room for Geneve's options | reserved bits of VXLAN and GPE |
//!
//! Bytes behind the IP length (link-layer padding) and behind the UDP length are legal and left out.
//!
//! A packet that is sound but carries no tunnel gives `Ok(None)`: another EtherType, another IP protocol,
//! another UDP destination port. What lies behind that point is not looked at: neither the payload of TCP
//! nor the UDP length towards another port.
//!
//! # Fragments
//!
//! A tunnel endpoint gets its packets reassembled or not at all; here a fragment is [`Reason::Fragment`]
//! where it may belong to a tunnel. That is each part of a UDP datagram, but for first parts whose
//! destination port says otherwise.
//!
//! # Super-frames
//!
//! On a host that leaves segmentation to its network device, packets are seen before the device has cut
//! them up. Larger than any MTU, they are ordinary packets here as long as their lengths can say so. Above
//! 64 KiB the lengths of IP and UDP are 0, and their UDP checksum covers the pseudo-header only. Neither
//! may come from a wire, so both are errors unless [`Checks::superframes`] is set; then a length of 0 means
//! the rest of the slice (in UDP only below an IP length of 0), and such a checksum is
//! [`UdpChecksum::Unverified`].

use core::net::IpAddr;

use super::vlan::{Tag, Tags};
use super::{Encapsulation, EtherType, Layer, Reason, WireError, ethernet, ipv4, ipv6, udp};

mod checks;
pub(crate) mod common;
mod headers;
mod ports;
#[cfg(test)]
mod tests;
mod tunnel;

use common::Common;
use headers::{Headers, Ip, Source};

pub use checks::{Checks, Checksums, Reserved};
pub use ports::TunnelPorts;
pub use tunnel::Tunnel;

/// The outer headers of a tunnelled packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Outer {
    /// Source address: the sending endpoint, if it is to be believed.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// UDP source port: the sender's hash of the inner flow.
    pub src_port: u16,
    /// UDP destination port, which selected the tunnel.
    pub dst_port: u16,
    /// IPv4 TOS or IPv6 traffic class: DSCP in the upper six bits, ECN in the lower two.
    pub tos: u8,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// VLAN tags of the outer frame, 0 to 3.
    pub tags: u8,
    /// The outermost of them.
    pub vlan: Option<Tag>,
    /// What is known of the UDP checksum.
    pub checksum: UdpChecksum,
    /// The tunnel header.
    pub tunnel: Tunnel,
}

/// What is known of a UDP checksum that was let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum UdpChecksum {
    /// It is 0: the sender computed none.
    Zero = 0,
    /// It is right.
    Good = 1,
    /// It was not looked at ([`Checksums::Trust`]), or was left to the network device to complete
    /// ([`Checks::superframes`]).
    Unverified = 2,
}

/// What a UDP socket knows about a datagram besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Datagram {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination port: the one the socket is bound to.
    pub dst_port: u16,
    /// IPv4 TOS or IPv6 traffic class (`IP_RECVTOS`, `IPV6_RECVTCLASS`): the outer ECN field is part of it.
    pub tos: u8,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// What the socket says of the checksum: [`UdpChecksum::Good`] unless zero checksums are enabled on it.
    pub checksum: UdpChecksum,
}

/// Reads the outer stack of an Ethernet frame (without its FCS).
///
/// `Ok(None)` for a sound frame that carries no tunnel; see the [module](self) for what is checked.
/// [`WireError::offset`] and all spans count from the start of `frame`.
///
/// ```
/// # use vtep::wire::outer::{self, Checks, TunnelPorts};
/// let arp = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1, 8, 0, 6, 4];
/// assert_eq!(outer::parse(&arp, &TunnelPorts::default(), &Checks::default()), Ok(None));
/// ```
///
/// # Errors
///
/// The first header that is unsound, from the outside in, in [`WireError::layer`].
#[inline]
pub fn parse(frame: &[u8], ports: &TunnelPorts, checks: &Checks) -> Result<Option<Outer>, WireError> {
    match Common::parse(frame, ports, checks) {
        Some(common) => Ok(Some(common.outer())),
        None => parse_any(frame, ports, checks),
    }
}

/// [`parse`] for frames of all shapes.
#[inline]
pub(crate) fn parse_any(frame: &[u8], ports: &TunnelPorts, checks: &Checks) -> Result<Option<Outer>, WireError> {
    let (header, rest) = ethernet::Header::parse(frame)?;
    match header.ethertype() {
        EtherType::IPV4 => parse_v4(rest, &Link::ETHERNET, ports, checks),
        EtherType::IPV6 => parse_v6(rest, &Link::ETHERNET, ports, checks),
        tpid if tpid.is_tag() => parse_tagged(tpid, rest, ports, checks),
        _ => Ok(None),
    }
}

/// Reads the outer stack of an IP packet: a raw capture or socket, a frame whose link header is not Ethernet.
///
/// The first four bits choose the version. Offsets and spans count from the start of `packet`.
///
/// # Errors
///
/// As [`parse`]; [`Reason::UnknownVersion`] ([`Layer::Ipv4`]) for versions other than 4 and 6.
pub fn parse_ip(packet: &[u8], ports: &TunnelPorts, checks: &Checks) -> Result<Option<Outer>, WireError> {
    match packet.first().map(|first| first >> 4) {
        Some(6) => parse_v6(packet, &Link::NONE, ports, checks),
        _ => parse_v4(packet, &Link::NONE, ports, checks),
    }
}

/// Reads the tunnel header of a UDP payload that came out of a socket.
///
/// Addresses of IPv4 in IPv6 form (`::ffff:192.0.2.1`, from sockets that serve both families) are reported
/// as IPv4. Offsets and spans count from the start of `payload`; `Ok(None)` if the destination port carries
/// no tunnel.
///
/// # Errors
///
/// [`Reason::FamilyMismatch`] for addresses of two families; [`Reason::ZeroChecksum`] for
/// [`UdpChecksum::Zero`] over IPv6 unless [`Checks::zero_udp6`]; what is wrong with the tunnel header.
pub fn parse_udp_payload(
    payload: &[u8],
    datagram: &Datagram,
    ports: &TunnelPorts,
    checks: &Checks,
) -> Result<Option<Outer>, WireError> {
    let Some(encap) = ports.get(datagram.dst_port) else {
        return Ok(None);
    };
    let datagram = Datagram { src: datagram.src.to_canonical(), dst: datagram.dst.to_canonical(), ..*datagram };
    if datagram.src.is_ipv4() != datagram.dst.is_ipv4() {
        return Err(WireError::new(Layer::Udp, Reason::FamilyMismatch, 0));
    }
    if datagram.checksum == UdpChecksum::Zero && datagram.dst.is_ipv6() && !checks.zero_udp6 {
        return Err(WireError::new(Layer::Udp, Reason::ZeroChecksum, 0));
    }
    parse_tunnel(encap, payload, 0, datagram, &Link::NONE, checks)
}

/// The rest of [`parse`] behind the Ethernet header of a tagged frame.
#[inline(never)]
fn parse_tagged(
    tpid: EtherType,
    rest: &[u8],
    ports: &TunnelPorts,
    checks: &Checks,
) -> Result<Option<Outer>, WireError> {
    let (tags, rest) = Tags::parse(tpid, rest).map_err(|error| error.shifted(14))?;
    let len = match tags.count() {
        1 => 18,
        2 => 22,
        _ => 26,
    };
    let link = Link { len, tags: tags.count(), vlan: tags.outermost() };
    match tags.ethertype() {
        EtherType::IPV4 => parse_v4(rest, &link, ports, checks),
        EtherType::IPV6 => parse_v6(rest, &link, ports, checks),
        _ => Ok(None),
    }
}

/// What stands in front of the IP header.
struct Link {
    /// Bytes.
    len: u32,
    tags: u8,
    vlan: Option<Tag>,
}

impl Link {
    const NONE: Self = Self { len: 0, tags: 0, vlan: None };
    const ETHERNET: Self = Self { len: 14, ..Self::NONE };
}

/// The rest of the way from an IPv4 header, which stands at the start of `bytes`.
#[inline(never)]
fn parse_v4(bytes: &[u8], link: &Link, ports: &TunnelPorts, checks: &Checks) -> Result<Option<Outer>, WireError> {
    let packet = match ipv4::Packet::parse(bytes, checks.superframes) {
        Ok(packet) => packet,
        Err(error) => return Err(error.shifted(link.len)),
    };
    if checks.ip_checksum == Checksums::Verify && !packet.checksum_ok() {
        return Err(WireError::new(Layer::Ipv4, Reason::BadIpChecksum, link.len.wrapping_add(10)));
    }
    let header = packet.header;
    if header.protocol() != udp::PROTOCOL {
        return Ok(None);
    }
    if header.is_fragment() {
        let error = WireError::new(Layer::Ipv4, Reason::Fragment, link.len.wrapping_add(6));
        return fragment(header.fragment_offset() == 0, packet.payload, ports, error);
    }
    let at = link.len.wrapping_add(u32::from(header.header_len()));
    let payload = Payload { bytes: packet.payload, at, superframe: packet.superframe };
    parse_udp(payload, Ip::V4(header), link, ports, checks)
}

/// The same from an IPv6 header.
#[inline(never)]
fn parse_v6(bytes: &[u8], link: &Link, ports: &TunnelPorts, checks: &Checks) -> Result<Option<Outer>, WireError> {
    let packet = match ipv6::Packet::parse(bytes, checks.superframes) {
        Ok(packet) => packet,
        Err(error) => return Err(error.shifted(link.len)),
    };
    if packet.protocol != udp::PROTOCOL {
        return Ok(None);
    }
    if let Some(part) = packet.fragment {
        let error = WireError::new(Layer::Ipv6, Reason::Fragment, link.len.wrapping_add(part.at));
        return fragment(part.offset == 0, packet.payload, ports, error);
    }
    let header_len = u32::try_from(packet.extensions.len()).unwrap_or(0).wrapping_add(40);
    let at = link.len.wrapping_add(header_len);
    let payload = Payload { bytes: packet.payload, at, superframe: packet.superframe };
    parse_udp(payload, Ip::V6(packet.header), link, ports, checks)
}

/// `error`, unless this is the first part of a datagram to a port that carries no tunnel.
#[cold]
fn fragment(first: bool, payload: &[u8], ports: &TunnelPorts, error: WireError) -> Result<Option<Outer>, WireError> {
    match udp::Header::parse(payload) {
        Ok((header, _)) if first && ports.get(header.dst_port()).is_none() => Ok(None),
        _ => Err(error),
    }
}

/// An IP payload.
struct Payload<'a> {
    bytes: &'a [u8],
    /// Where it starts in the caller's slice: far from overflow, as everything in front of it is small.
    at: u32,
    superframe: bool,
}

/// The rest of the way from UDP.
///
/// Always inlined: in each of its two callers the address family is a constant, and nothing goes through
/// memory on the way to the result.
#[inline(always)]
fn parse_udp(
    payload: Payload<'_>,
    ip: Ip<'_>,
    link: &Link,
    ports: &TunnelPorts,
    checks: &Checks,
) -> Result<Option<Outer>, WireError> {
    let Payload { bytes, at, superframe } = payload;
    let (header, _) = match udp::Header::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return Err(error.shifted(at)),
    };
    let Some(encap) = ports.get(header.dst_port()) else {
        return Ok(None);
    };
    let packet = match udp::Packet::parse(bytes, superframe) {
        Ok(packet) => packet,
        Err(error) => return Err(error.shifted(at)),
    };
    let checksum = if header.checksum() == 0 {
        if matches!(ip, Ip::V6(_)) && !checks.zero_udp6 {
            return Err(WireError::new(Layer::Udp, Reason::ZeroChecksum, at.wrapping_add(6)));
        }
        UdpChecksum::Zero
    } else if checks.udp_checksum == Checksums::Trust {
        UdpChecksum::Unverified
    } else {
        match verify(header, packet.payload, ip, checks.superframes) {
            Some(checksum) => checksum,
            None => return Err(WireError::new(Layer::Udp, Reason::BadChecksum, at.wrapping_add(6))),
        }
    };
    parse_tunnel(encap, packet.payload, at.wrapping_add(8), Headers { ip, udp: header, checksum }, link, checks)
}

/// The rest of the way from the tunnel header.
#[inline(always)]
fn parse_tunnel(
    encap: Encapsulation,
    payload: &[u8],
    at: u32,
    source: impl Source,
    link: &Link,
    checks: &Checks,
) -> Result<Option<Outer>, WireError> {
    // One way to the result for each header: a common one would have to carry all the fields past the
    // point where the three meet.
    let error = match encap {
        Encapsulation::Vxlan => match Tunnel::vxlan(payload, at, checks) {
            Ok(tunnel) => return Ok(Some(outer(source.datagram(), link, tunnel))),
            Err(error) => error,
        },
        Encapsulation::Geneve => match Tunnel::geneve(payload, at) {
            Ok(tunnel) => return Ok(Some(outer(source.datagram(), link, tunnel))),
            Err(error) => error,
        },
        Encapsulation::Gpe => match Tunnel::gpe(payload, at, checks) {
            Ok(tunnel) => return Ok(Some(outer(source.datagram(), link, tunnel))),
            Err(error) => error,
        },
    };
    Err(error.shifted(at))
}

#[inline(always)]
fn outer(datagram: Datagram, link: &Link, tunnel: Tunnel) -> Outer {
    let Datagram { src, dst, src_port, dst_port, tos, ttl, checksum } = datagram;
    Outer { src, dst, src_port, dst_port, tos, ttl, tags: link.tags, vlan: link.vlan, checksum, tunnel }
}

/// What is to be thought of a UDP checksum that is not 0; `None` if it is wrong.
#[inline(never)]
fn verify(header: &udp::Header, payload: &[u8], ip: Ip<'_>, superframes: bool) -> Option<UdpChecksum> {
    let packet = udp::Packet { header, payload };
    let pseudo = udp::pseudo(ip.src(), ip.dst(), packet.len())?;
    if packet.checksum_ok(pseudo) {
        Some(UdpChecksum::Good)
    } else if superframes && packet.checksum_partial(pseudo) {
        Some(UdpChecksum::Unverified)
    } else {
        None
    }
}
