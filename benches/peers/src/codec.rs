//! Codecs of others, on the same packets.
//!
//! Each is used as its documentation shows, with every check it makes by itself, down to the first byte of the inner
//! frame. What a crate has no code for (VXLAN, mostly) is read by the same few lines for all.

use vtep::wire::Encapsulation;

use crate::cases::codec::{self, SHAPES, Shape, parsing, writing};
use crate::cases::{Case, floor};

/// VNI, and where the inner frame starts.
pub type Found = Option<(u32, usize)>;

/// A parser, what it looks at by itself, and what it leaves out.
pub struct Parser {
    pub name: &'static str,
    pub parse: fn(&[u8]) -> Found,
    /// Whether it reads Geneve too.
    pub geneve: bool,
    /// Whether it reads IPv6 too.
    pub ipv6: bool,
    pub unchecked: &'static str,
}

pub const PARSERS: [Parser; 8] = [
    Parser {
        name: "vtep",
        parse: codec::parse,
        geneve: true,
        ipv6: true,
        unchecked: "nothing that the matrix below asks for",
    },
    Parser {
        name: "smoltcp, same checks",
        parse: smoltcp_checked,
        geneve: false,
        ipv6: false,
        unchecked: "nothing of it; as called here it reads no outer tags and no IPv6",
    },
    Parser {
        name: "smoltcp",
        parse: smoltcp_lengths,
        geneve: false,
        ipv6: false,
        unchecked: "IP version, checksums, fragments",
    },
    Parser { name: "etherparse", parse: etherparse_slices, geneve: false, ipv6: true, unchecked: "checksums" },
    Parser {
        name: "packet-strata",
        parse: strata,
        geneve: true,
        ipv6: false,
        unchecked: "IP and UDP lengths against the packet, checksums, fragments, Geneve's options",
    },
    Parser {
        name: "pnet_packet",
        parse: pnet,
        geneve: false,
        ipv6: false,
        unchecked: "version, all lengths (it cuts to the buffer), checksums, fragments",
    },
    Parser {
        name: "ingot",
        parse: ingot_layers,
        geneve: true,
        ipv6: false,
        unchecked: "all lengths against the packet, checksums, fragments, Geneve's version",
    },
    Parser {
        name: "network-types",
        parse: structs,
        geneve: false,
        ipv6: false,
        unchecked: "everything but the buffer's end, which its user checks",
    },
];

/// All parsers on the shapes they can read, and what it takes to read the same bytes once.
pub fn parses() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in &SHAPES {
        for parser in &PARSERS {
            if (parser.geneve || shape.encapsulation == Encapsulation::Vxlan)
                && (parser.ipv6 || !shape.ipv6)
                && (parser.name == "vtep" || !shape.checksum || parser.name.starts_with("smoltcp, "))
            {
                cases.push(parsing(format!("parse/{}/{}", shape.name, parser.name), shape.packets(), parser.parse));
            }
        }
        cases.push(touch(shape));
    }
    cases
}

/// The packet's lines touched: the header's, or all of them where a checksum covers all.
fn touch(shape: &Shape) -> Case {
    let packets = shape.packets();
    let upto = if shape.checksum { packets[0].len() } else { shape.header_len() };
    Case::new(format!("parse/{}/floor-touch", shape.name), packets.len(), move || {
        packets.iter().fold(0, |sum, packet| {
            let packet = core::hint::black_box(packet);
            sum + packet[..upto].iter().step_by(64).map(|byte| u64::from(*byte)).sum::<u64>()
                + u64::from(packet[upto - 1])
        })
    })
}

/// Everything but the VXLAN header, which few know.
fn vxlan(port: u16, payload: &[u8], whole: &[u8]) -> Found {
    let [flags, _, _, _, a, b, c, _] = *payload.first_chunk::<8>()?;
    if port != 4789 || flags & 0x08 == 0 {
        return None;
    }
    let inner = payload.as_ptr() as usize + 8 - whole.as_ptr() as usize;
    Some((u32::from_be_bytes([0, a, b, c]), inner))
}

fn smoltcp_lengths(packet: &[u8]) -> Found {
    use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};
    let frame = EthernetFrame::new_checked(packet).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    vxlan(udp.dst_port(), udp.payload(), packet)
}

/// With the checks that `smoltcp`'s `Repr::parse` makes on top, and fragments refused.
fn smoltcp_checked(packet: &[u8]) -> Found {
    use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};
    let frame = EthernetFrame::new_checked(packet).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if ip.version() != 4 || !ip.verify_checksum() || ip.more_frags() || ip.frag_offset() != 0 {
        return None;
    }
    if ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    if udp.checksum() != 0 && !udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()) {
        return None;
    }
    vxlan(udp.dst_port(), udp.payload(), packet)
}

fn etherparse_slices(packet: &[u8]) -> Found {
    let sliced = etherparse::SlicedPacket::from_ethernet(packet).ok()?;
    match sliced.transport? {
        etherparse::TransportSlice::Udp(udp) => vxlan(udp.destination_port(), udp.payload(), packet),
        _ => None,
    }
}

fn strata(packet: &[u8]) -> Found {
    use packet_strata::packet::HeaderParser;
    use packet_strata::packet::ether::EtherHeader;
    use packet_strata::packet::ipv4::Ipv4Header;
    use packet_strata::packet::protocol::{EtherProto, IpProto};
    use packet_strata::packet::tunnel::geneve::GeneveHeader;
    use packet_strata::packet::tunnel::vxlan::VxlanHeader;
    use packet_strata::packet::udp::UdpHeader;
    let (ethernet, rest) = EtherHeader::from_bytes(packet).ok()?;
    if ethernet.inner_type() != EtherProto::IPV4 {
        return None;
    }
    let (ip, rest) = Ipv4Header::from_bytes(rest).ok()?;
    if ip.protocol() != IpProto::UDP {
        return None;
    }
    let (udp, rest) = UdpHeader::from_bytes(rest).ok()?;
    match udp.dst_port() {
        4789 => {
            let (vxlan, inner) = VxlanHeader::from_bytes(rest).ok()?;
            Some((vxlan.vni(), packet.len() - inner.len()))
        }
        6081 => {
            let (geneve, inner) = GeneveHeader::from_bytes(rest).ok()?;
            core::hint::black_box(geneve.options_iter().count());
            Some((geneve.vni(), packet.len() - inner.len()))
        }
        _ => None,
    }
}

fn pnet(packet: &[u8]) -> Found {
    use pnet_packet::Packet;
    use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
    use pnet_packet::ip::IpNextHeaderProtocols;
    use pnet_packet::ipv4::Ipv4Packet;
    use pnet_packet::udp::UdpPacket;
    use pnet_packet::vxlan::VxlanPacket;
    let frame = EthernetPacket::new(packet)?;
    if frame.get_ethertype() != EtherTypes::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new(frame.payload())?;
    if ip.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return None;
    }
    let udp = UdpPacket::new(ip.payload())?;
    if udp.get_destination() != 4789 {
        return None;
    }
    let vxlan = VxlanPacket::new(udp.payload())?;
    if vxlan.get_flags() & 0x08 == 0 {
        return None;
    }
    Some((vxlan.get_vni(), vxlan.payload().as_ptr() as usize - packet.as_ptr() as usize))
}

fn ingot_layers(packet: &[u8]) -> Found {
    use ingot::ethernet::{EthernetRef, Ethertype, ValidEthernet};
    use ingot::geneve::{GeneveRef, ValidGeneve};
    use ingot::ip::{IpProtocol, Ipv4Ref, ValidIpv4};
    use ingot::types::HeaderParse;
    use ingot::udp::{UdpRef, ValidUdp};
    let (ethernet, _, rest) = ValidEthernet::parse(packet).ok()?;
    if ethernet.ethertype() != Ethertype::IPV4 {
        return None;
    }
    let (ip, _, rest) = ValidIpv4::parse(rest).ok()?;
    if ip.version() != 4 || ip.protocol() != IpProtocol::UDP {
        return None;
    }
    let (udp, _, rest) = ValidUdp::parse(rest).ok()?;
    if udp.destination() != 6081 {
        return vxlan(udp.destination(), rest, packet);
    }
    let (geneve, _, inner) = ValidGeneve::parse(rest).ok()?;
    let [_, vni @ ..] = u32::from(geneve.vni()).to_be_bytes();
    Some((u32::from_be_bytes([0, vni[0], vni[1], vni[2]]), packet.len() - inner.len()))
}

/// Structures over memory, as an eBPF program uses them: its verifier asks for nothing but bounds.
fn structs(packet: &[u8]) -> Found {
    use network_types::eth::{EthHdr, EtherType};
    use network_types::ip::{IpProto, Ipv4Hdr};
    use network_types::udp::UdpHdr;
    use network_types::vxlan::VxlanHdr;
    fn at<T: Copy>(packet: &[u8], offset: usize) -> Option<T> {
        let bytes = packet.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: the bytes are there, and every value of them is one of these plain structures'.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
    let ethernet: EthHdr = at(packet, 0)?;
    if ethernet.ether_type().ok()? != EtherType::Ipv4 {
        return None;
    }
    let ip: Ipv4Hdr = at(packet, EthHdr::LEN)?;
    if ip.proto().ok()? != IpProto::Udp {
        return None;
    }
    let offset = EthHdr::LEN + usize::from(ip.ihl());
    let udp: UdpHdr = at(packet, offset)?;
    if udp.dst_port() != 4789 {
        return None;
    }
    let vxlan: VxlanHdr = at(packet, offset + UdpHdr::LEN)?;
    if !vxlan.vni_present() {
        return None;
    }
    Some((vxlan.vni(), offset + UdpHdr::LEN + VxlanHdr::LEN))
}

/// Writers of an outer header of 50 bytes: VXLAN over IPv4, or Geneve where a crate knows only that.
pub fn writes() -> Vec<Case> {
    let mut cases = codec::writes();
    cases.push(floor::copy_fixed::<50>("copy/50-fixed"));
    cases.push(floor::copy("copy/58", 58));
    cases.push(floor::copy("copy/74", 74));
    cases.push(writing("write/vxlan/v4/smoltcp", write_smoltcp));
    cases.push(writing("write/vxlan/v4/etherparse", write_etherparse));
    cases.push(writing("write/vxlan/v4/pnet_packet", write_pnet));
    cases.push(writing("write/geneve/v4/ingot", write_ingot));
    cases.push(writing("write/vxlan/v4/network-types", write_structs));
    cases
}

/// Whom a packet is from and to: known at run time only, as an endpoint's is.
#[derive(Clone, Copy)]
struct Ends {
    our_mac: [u8; 6],
    their_mac: [u8; 6],
    us: [u8; 4],
    them: [u8; 4],
}

static ENDS: Ends =
    Ends { our_mac: [2, 0, 0, 0, 0, 1], their_mac: [2, 0, 0, 0, 0, 2], us: [192, 0, 2, 1], them: [192, 0, 2, 2] };

const INNER: u16 = 64;
const ROOM: usize = 192;
const AT: usize = ROOM - 50;

fn put_vxlan(out: &mut [u8], vni: u32) {
    out[..4].copy_from_slice(&[8, 0, 0, 0]);
    out[4..8].copy_from_slice(&(vni << 8).to_be_bytes());
}

fn write_smoltcp(vni: u32, port: u16, room: &mut [u8; ROOM]) -> usize {
    let ends = core::hint::black_box(&ENDS);
    use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};
    let mut frame = EthernetFrame::new_unchecked(&mut room[AT..]);
    frame.set_dst_addr(EthernetAddress(ends.their_mac));
    frame.set_src_addr(EthernetAddress(ends.our_mac));
    frame.set_ethertype(EthernetProtocol::Ipv4);
    let mut ip = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.set_version(4);
    ip.set_header_len(20);
    ip.set_dscp((vni as u8) >> 2);
    ip.set_ecn(vni as u8 & 3);
    ip.set_total_len(36 + INNER);
    ip.set_ident(port);
    ip.clear_flags();
    ip.set_dont_frag(true);
    ip.set_frag_offset(0);
    ip.set_hop_limit(64);
    ip.set_next_header(IpProtocol::Udp);
    ip.set_src_addr(ends.us.into());
    ip.set_dst_addr(ends.them.into());
    ip.fill_checksum();
    let buffer = &mut room[AT + 34..];
    let mut udp = UdpPacket::new_unchecked(&mut *buffer);
    udp.set_src_port(port);
    udp.set_dst_port(4789);
    udp.set_len(16 + INNER);
    udp.set_checksum(0);
    put_vxlan(&mut buffer[8..], vni);
    50
}

fn write_etherparse(vni: u32, port: u16, room: &mut [u8; ROOM]) -> usize {
    let ends = core::hint::black_box(&ENDS);
    use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, UdpHeader};
    let ethernet = Ethernet2Header { source: ends.our_mac, destination: ends.their_mac, ether_type: EtherType::IPV4 };
    let Ok(mut ip) = Ipv4Header::new(16 + INNER, 64, IpNumber::UDP, ends.us, ends.them) else { return 0 };
    ip.identification = port;
    ip.dont_fragment = true;
    if let Ok(dscp) = ((vni as u8) >> 2).try_into() {
        ip.dscp = dscp;
    }
    ip.header_checksum = ip.calc_header_checksum();
    let udp = UdpHeader { source_port: port, destination_port: 4789, length: 16 + INNER, checksum: 0 };
    let out = &mut room[AT..];
    out[..14].copy_from_slice(&ethernet.to_bytes());
    out[14..34].copy_from_slice(&ip.to_bytes());
    out[34..42].copy_from_slice(&udp.to_bytes());
    put_vxlan(&mut out[42..], vni);
    50
}

fn write_pnet(vni: u32, port: u16, room: &mut [u8; ROOM]) -> usize {
    let ends = core::hint::black_box(&ENDS);
    use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};
    use pnet_packet::ip::IpNextHeaderProtocols;
    use pnet_packet::ipv4::{MutableIpv4Packet, checksum};
    use pnet_packet::udp::MutableUdpPacket;
    use pnet_packet::vxlan::MutableVxlanPacket;
    let out = &mut room[AT..];
    let Some(mut ethernet) = MutableEthernetPacket::new(&mut out[..14]) else { return 0 };
    ethernet.set_destination(ends.their_mac.into());
    ethernet.set_source(ends.our_mac.into());
    ethernet.set_ethertype(EtherTypes::Ipv4);
    let Some(mut ip) = MutableIpv4Packet::new(&mut out[14..34]) else { return 0 };
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_dscp((vni as u8) >> 2);
    ip.set_ecn(vni as u8 & 3);
    ip.set_total_length(36 + INNER);
    ip.set_identification(port);
    ip.set_flags(2);
    ip.set_fragment_offset(0);
    ip.set_ttl(64);
    ip.set_next_level_protocol(IpNextHeaderProtocols::Udp);
    ip.set_source(ends.us.into());
    ip.set_destination(ends.them.into());
    ip.set_checksum(0);
    let sum = checksum(&ip.to_immutable());
    ip.set_checksum(sum);
    let Some(mut udp) = MutableUdpPacket::new(&mut out[34..42]) else { return 0 };
    udp.set_source(port);
    udp.set_destination(4789);
    udp.set_length(16 + INNER);
    udp.set_checksum(0);
    let Some(mut vxlan) = MutableVxlanPacket::new(&mut out[42..50]) else { return 0 };
    vxlan.set_flags(8);
    vxlan.set_reserved1(0);
    vxlan.set_vni(vni);
    vxlan.set_reserved2(0);
    50
}

fn write_ingot(vni: u32, port: u16, room: &mut [u8; ROOM]) -> usize {
    let ends = core::hint::black_box(&ENDS);
    use ingot::ethernet::{Ethernet, Ethertype};
    use ingot::geneve::{Geneve, Vni};
    use ingot::ip::{IpProtocol, Ipv4, Ipv4Flags};
    use ingot::types::Emit;
    use ingot::udp::Udp;
    let Ok(vni) = Vni::new(vni) else { return 0 };
    let ethernet =
        Ethernet { destination: ends.their_mac.into(), source: ends.our_mac.into(), ethertype: Ethertype::IPV4 };
    let mut ip = Ipv4 {
        total_len: 36 + INNER,
        identification: port,
        flags: Ipv4Flags::DONT_FRAGMENT,
        hop_limit: 64,
        protocol: IpProtocol::UDP,
        source: ends.us.into(),
        destination: ends.them.into(),
        ..Ipv4::default()
    };
    // It has no checksums: with vtep's.
    let mut words = [0_u8; 20];
    if ip.emit_raw(&mut words[..]) != 20 {
        return 0;
    }
    ip.checksum = vtep::wire::checksum::checksum(&words);
    let udp = Udp { source: port, destination: 6081, length: 16 + INNER, checksum: 0 };
    let geneve = Geneve { vni, ..Geneve::default() };
    (ethernet, ip, udp, geneve).emit_raw(&mut room[AT..])
}

fn write_structs(vni: u32, port: u16, room: &mut [u8; ROOM]) -> usize {
    let ends = core::hint::black_box(&ENDS);
    use network_types::eth::{EthHdr, EtherType};
    use network_types::ip::{IpProto, Ipv4Hdr};
    use network_types::udp::UdpHdr;
    use network_types::vxlan::VxlanHdr;
    fn put<T: Copy>(out: &mut [u8], value: T) {
        assert!(out.len() >= size_of::<T>());
        // SAFETY: there is room, and a plain structure without padding is bytes.
        unsafe { out.as_mut_ptr().cast::<T>().write_unaligned(value) }
    }
    let out = &mut room[AT..];
    put(out, EthHdr::new(ends.their_mac, ends.our_mac, EtherType::Ipv4));
    // SAFETY: all bytes zero is a value of it.
    let mut ip: Ipv4Hdr = unsafe { core::mem::zeroed() };
    ip.set_vihl(4, 20);
    ip.set_tos((vni as u8) >> 2, vni as u8 & 3);
    ip.set_tot_len(36 + INNER);
    ip.set_id(port);
    ip.set_frags(2, 0);
    ip.ttl = 64;
    ip.set_proto(IpProto::Udp);
    ip.set_src_addr(ends.us.into());
    ip.set_dst_addr(ends.them.into());
    // It has no checksums: with vtep's, over the structure before it is stored.
    let words: [u8; 20] = unsafe { core::mem::transmute(ip) };
    ip.set_checksum(vtep::wire::checksum::checksum(&words));
    put(&mut out[14..], ip);
    // SAFETY: as above.
    let mut udp: UdpHdr = unsafe { core::mem::zeroed() };
    udp.set_src_port(port);
    udp.set_dst_port(4789);
    udp.set_len(16 + INNER);
    put(&mut out[34..], udp);
    put(&mut out[42..], VxlanHdr::new(vni));
    50
}
