//! What pods say to each other: frames made, and read with everything about them checked.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use vtep::wire::arp::{self, Operation};
use vtep::wire::{EtherType, MacAddr, WireError, checksum, ethernet, ipv4, udp};

const ICMP: u8 = 1;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
/// What is sent to the discard port is not answered (RFC 863).
const DISCARD: u16 = 9;
/// Bytes of data in an echo request.
const ECHO_DATA: u8 = 56;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    ArpRequest {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    ArpReply {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    /// A gratuitous ARP request: the sender asks for itself.
    Announcement {
        sender: Ipv4Addr,
    },
    EchoRequest {
        from: Ipv4Addr,
        to: Ipv4Addr,
        sequence: u16,
    },
    EchoReply {
        from: Ipv4Addr,
        to: Ipv4Addr,
        sequence: u16,
    },
    Datagram {
        from: Ipv4Addr,
        to: Ipv4Addr,
    },
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArpRequest { sender, target } => write!(f, "ARP request of {sender} for {target}"),
            Self::ArpReply { sender, target } => write!(f, "ARP reply of {sender} to {target}"),
            Self::Announcement { sender } => write!(f, "gratuitous ARP of {sender}"),
            Self::EchoRequest { from, to, sequence } => write!(f, "echo request {sequence} of {from} to {to}"),
            Self::EchoReply { from, to, sequence } => write!(f, "echo reply {sequence} of {from} to {to}"),
            Self::Datagram { from, to } => write!(f, "datagram of {from} to {to}"),
        }
    }
}

/// A frame, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub dst: MacAddr,
    pub src: MacAddr,
    pub content: Content,
    /// The ARP packet, where it is one.
    pub arp: Option<arp::Packet>,
    /// The ICMP identifier, where there is one.
    pub identifier: u16,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// What is wrong with it: nothing but sound ARP, ICMP echo and UDP is sent here.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (header, payload) = ethernet::Header::parse(bytes).map_err(text)?;
        let (content, arp, identifier) = match header.ethertype() {
            EtherType::ARP => {
                let packet = arp::Packet::parse(payload).map_err(text)?;
                (arp_content(&packet), Some(packet), 0)
            }
            EtherType::IPV4 => {
                let (content, identifier) = ip_content(payload)?;
                (content, None, identifier)
            }
            other => return Err(format!("EtherType {:#06x}", other.0)),
        };
        Ok(Self { dst: header.dst(), src: header.src(), content, arp, identifier })
    }
}

fn arp_content(packet: &arp::Packet) -> Content {
    let (sender, target) = (packet.sender_ip, packet.target_ip);
    match packet.operation {
        _ if packet.is_gratuitous() => Content::Announcement { sender },
        Operation::Request => Content::ArpRequest { sender, target },
        Operation::Reply => Content::ArpReply { sender, target },
    }
}

fn ip_content(bytes: &[u8]) -> Result<(Content, u16), String> {
    let packet = ipv4::Packet::parse(bytes, false).map_err(text)?;
    if !packet.checksum_ok() {
        return Err("wrong IPv4 header checksum".into());
    }
    let (from, to) = (packet.header.src(), packet.header.dst());
    match (packet.header.protocol(), packet.payload) {
        (ICMP, [kind @ (ECHO_REQUEST | ECHO_REPLY), 0, _, _, i, d, s, q, ..]) => {
            if !checksum::verify(packet.payload) {
                return Err("wrong ICMP checksum".into());
            }
            let sequence = u16::from_be_bytes([*s, *q]);
            let content = match *kind {
                ECHO_REQUEST => Content::EchoRequest { from, to, sequence },
                _ => Content::EchoReply { from, to, sequence },
            };
            Ok((content, u16::from_be_bytes([*i, *d])))
        }
        (udp::PROTOCOL, payload) => {
            let datagram = udp::Packet::parse(payload, false).map_err(text)?;
            let pseudo = udp::pseudo(IpAddr::V4(from), IpAddr::V4(to), datagram.len());
            if !pseudo.is_some_and(|pseudo| datagram.checksum_ok(pseudo)) {
                return Err("wrong UDP checksum".into());
            }
            Ok((Content::Datagram { from, to }, 0))
        }
        (protocol, _) => Err(format!("IP protocol {protocol}")),
    }
}

/// Where a pod sends to, and as whom.
#[derive(Clone, Copy)]
pub struct Route {
    pub src: (MacAddr, Ipv4Addr),
    pub dst: (MacAddr, Ipv4Addr),
}

pub fn arp(dst: MacAddr, packet: &arp::Packet) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![0; ethernet::HEADER_LEN + arp::PACKET_LEN];
    ethernet::Header::new(dst, packet.sender_mac, EtherType::ARP).emit(&mut frame)?;
    packet.emit(&mut frame[ethernet::HEADER_LEN..])?;
    Ok(frame)
}

pub fn echo_request(route: Route, identifier: u16, sequence: u16) -> Result<Vec<u8>, WireError> {
    echo(route, ECHO_REQUEST, identifier, sequence)
}

pub fn echo_reply(route: Route, identifier: u16, sequence: u16) -> Result<Vec<u8>, WireError> {
    echo(route, ECHO_REPLY, identifier, sequence)
}

fn echo(route: Route, kind: u8, identifier: u16, sequence: u16) -> Result<Vec<u8>, WireError> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(0..ECHO_DATA);
    let sum = checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ip(route, ICMP, &message)
}

/// A UDP datagram that nobody answers.
pub fn datagram(route: Route, text: &[u8]) -> Result<Vec<u8>, WireError> {
    let addresses = Some((IpAddr::V4(route.src.1), IpAddr::V4(route.dst.1)));
    let mut datagram = vec![0; udp::HEADER_LEN];
    udp::Fields { src_port: 50_000, dst_port: DISCARD }.emit(text, addresses, &mut datagram)?;
    datagram.extend(text);
    ip(route, udp::PROTOCOL, &datagram)
}

fn ip(route: Route, protocol: u8, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let fields =
        ipv4::Fields { src: route.src.1, dst: route.dst.1, protocol, ttl: 64, tos: 0, ident: 0, dont_fragment: true };
    let mut frame = vec![0; ethernet::HEADER_LEN + ipv4::HEADER_LEN];
    ethernet::Header::new(route.dst.0, route.src.0, EtherType::IPV4).emit(&mut frame)?;
    fields.emit(payload.len(), &mut frame[ethernet::HEADER_LEN..])?;
    frame.extend(payload);
    Ok(frame)
}

/// An error, in words.
pub fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
