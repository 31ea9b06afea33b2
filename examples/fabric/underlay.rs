//! The underlay: a router between the VTEPs that knows their addresses and the members of the multicast group.

use core::net::IpAddr;

use vtep::wire::outer::{self, Checks, Outer, TunnelPorts};
use vtep::wire::{EtherType, MacAddr, WireError, checksum, ethernet, ipv4, ipv6};

use crate::args::{Arguments, ROUTER, VNI};
use crate::frames::text;

/// Reads an underlay frame as it leaves a VTEP, and says whom it is for.
///
/// # Errors
/// What is wrong with it, or that nobody has its destination address.
pub fn receivers(args: &Arguments, sender: usize, frame: &[u8]) -> Result<(Outer, Vec<usize>), String> {
    let outer = parse(frame)?;
    if outer.src != args.vtep_address(sender) {
        return Err(format!("vtep{} sent as {}", sender + 1, outer.src));
    }
    if outer.tunnel.vni != VNI || outer.tunnel.encap != args.encapsulation() {
        return Err(format!("vtep{} sent {:?} with VNI {}", sender + 1, outer.tunnel.encap, outer.tunnel.vni));
    }
    let (link, _) = ethernet::Header::parse(frame).map_err(text)?;
    if link.src() != args.vtep_mac(sender) || link.dst() != next_hop(outer.dst) {
        return Err(format!("a packet to {} was sent from {} to {}", outer.dst, link.src(), link.dst()));
    }
    let receivers: Vec<usize> = match outer.dst == args.group() {
        true => (0..args.vteps()).filter(|vtep| *vtep != sender).collect(),
        false => (0..args.vteps()).filter(|vtep| args.vtep_address(*vtep) == outer.dst).collect(),
    };
    match receivers.is_empty() {
        true => Err(format!("vtep{} sent to {}, which nobody has", sender + 1, outer.dst)),
        false => Ok((outer, receivers)),
    }
}

/// Reads the outer headers, all checksums checked.
pub fn parse(frame: &[u8]) -> Result<Outer, String> {
    let outer = outer::parse(frame, &TunnelPorts::default(), &Checks::default()).map_err(text)?;
    outer.ok_or_else(|| "an underlay frame without a tunnel".into())
}

/// The frame as the router sends it on: its own link addresses, one hop less to live.
pub fn route(frame: &[u8], to: MacAddr) -> Result<Vec<u8>, WireError> {
    let (link, packet) = ethernet::Header::parse(frame)?;
    let (dst, ethertype) = (if link.dst().is_multicast() { link.dst() } else { to }, link.ethertype());
    let mut routed = frame.to_vec();
    ethernet::Header::new(dst, ROUTER, ethertype).emit(&mut routed)?;
    let ip = &mut routed[ethernet::HEADER_LEN..];
    if ethertype == EtherType::IPV4 {
        let header = ipv4::Packet::parse(packet, false)?.header;
        let word = |ttl| u16::from_be_bytes([ttl, header.protocol()]);
        let ttl = header.ttl() - 1;
        ip[8] = ttl;
        ip[10..12].copy_from_slice(&checksum::update(header.checksum(), word(header.ttl()), word(ttl)).to_be_bytes());
    } else {
        ip[7] = ipv6::Packet::parse(packet, false)?.header.hop_limit() - 1;
    }
    Ok(routed)
}

/// Where a packet to `address` goes on the link (RFC 1112 section 6.4, RFC 2464 section 7 for groups).
fn next_hop(address: IpAddr) -> MacAddr {
    match address {
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let [.., a, b, c, d] = group.octets();
            MacAddr([0x33, 0x33, a, b, c, d])
        }
        _ => ROUTER,
    }
}
