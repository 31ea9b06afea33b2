//! What routers and hosts on the way say about our tunnel packets: too big, or unreachable.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;
use vtep::wire::{ipv4, udp};

use super::Daemon;

/// A raw ICMP socket.
pub struct Icmp {
    socket: Socket,
    ipv6: bool,
}

/// What has been complained of on the way to a peer so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path {
    /// Its MTU.
    pub mtu: Option<u32>,
    /// Whether nobody took a packet at its end.
    pub unreachable: bool,
}

/// What was said about a packet to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub peer: IpAddr,
    /// The path's MTU, where that was the problem.
    pub mtu: Option<u32>,
}

impl Icmp {
    pub fn open(ipv6: bool, registry: &Registry, token: Token) -> io::Result<Self> {
        let (domain, protocol) = if ipv6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(protocol))?;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { socket, ipv6 })
    }
}

impl Daemon<'_> {
    /// Counts complaints, and says so once for each peer.
    pub fn read_icmp(&mut self, index: usize) {
        let port = self.setup.bridge.udp_port;
        let mut message = [0; 2048];
        loop {
            let Some(icmp) = self.icmp.get_mut(index) else { return };
            let Ok(len) = icmp.socket.read(&mut message) else { return };
            let read = if icmp.ipv6 { about_v6 } else { about_v4 };
            let Some(complaint) = read(&message[..len], port) else { continue };
            let Complaint { peer, mtu } = complaint;
            let path = self.paths.entry(peer).or_default();
            match mtu {
                Some(mtu) => {
                    self.counters.incident("path-mtu");
                    if path.mtu.replace(mtu) != Some(mtu) {
                        let fits = self.setup.fitting_mtu(u16::try_from(mtu).unwrap_or(u16::MAX));
                        warn!(%peer, mtu, "the path carries less than the underlay: --mtu {fits} avoids losses there");
                    }
                }
                None => {
                    self.counters.incident("unreachable");
                    if !std::mem::replace(&mut path.unreachable, true) {
                        warn!(%peer, "nobody takes tunnel packets there");
                    }
                }
            }
        }
    }
}

/// A whole IPv4 packet: type 3, and in code 4 the MTU (RFC 792, RFC 1191 section 4).
fn about_v4(packet: &[u8], port: u16) -> Option<Complaint> {
    let icmp = ipv4::Packet::parse(packet, false).ok()?.payload;
    let ([kind, code, _, _, _, _, high, low], quoted) = icmp.split_first_chunk::<8>()?;
    if *kind != 3 {
        return None;
    }
    // A quotation ends where the router liked: only its header can be relied on.
    let header = quoted.first_chunk::<20>()?;
    let [.., a, b, c, d] = *header;
    let options = usize::from(header[0] & 15) * 4;
    about(quoted.get(options..)?, header[9], port)?;
    let mtu = u32::from(u16::from_be_bytes([*high, *low]));
    Some(Complaint { peer: Ipv4Addr::new(a, b, c, d).into(), mtu: (*code == 4).then_some(mtu) })
}

/// An ICMPv6 message: type 1, or type 2 with the MTU (RFC 4443 sections 3.1 and 3.2).
fn about_v6(icmp: &[u8], port: u16) -> Option<Complaint> {
    let ([kind, _, _, _, mtu @ ..], quoted) = icmp.split_first_chunk::<8>()?;
    if !matches!(kind, 1 | 2) {
        return None;
    }
    let (header, rest) = quoted.split_first_chunk::<40>()?;
    about(rest, header[6], port)?;
    let to = header.last_chunk::<16>()?;
    Some(Complaint { peer: Ipv6Addr::from(*to).into(), mtu: (*kind == 2).then_some(u32::from_be_bytes(*mtu)) })
}

/// Whether a quoted packet is a tunnel packet.
fn about(quoted: &[u8], protocol: u8, port: u16) -> Option<()> {
    let (header, _) = udp::Header::parse(quoted).ok()?;
    (protocol == 17 && header.dst_port() == port).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vtep::wire::ipv6;

    #[test]
    fn too_big_names_peer_and_mtu() {
        let quoted = ipv4::Fields {
            src: Ipv4Addr::new(10, 0, 0, 1),
            dst: Ipv4Addr::new(10, 0, 0, 2),
            protocol: 17,
            ttl: 9,
            tos: 0,
            ident: 0,
            dont_fragment: true,
        };
        let around = ipv4::Fields { src: Ipv4Addr::new(10, 9, 9, 9), dst: quoted.src, protocol: 1, ..quoted };
        let mut packet = [0; 56];
        around.emit(36, &mut packet).unwrap();
        packet[20..28].copy_from_slice(&[3, 4, 0, 0, 0, 0, 0x05, 0x78]);
        quoted.emit(1400, &mut packet[28..]).unwrap();
        packet[48..56].copy_from_slice(&[0xc0, 0, 0x12, 0xb5, 0, 100, 0, 0]);
        let peer = Ipv4Addr::new(10, 0, 0, 2).into();
        assert_eq!(about_v4(&packet, 4789), Some(Complaint { peer, mtu: Some(1400) }));
        assert_eq!(about_v4(&packet, 8472), None);
        packet[21] = 3;
        assert_eq!(about_v4(&packet, 4789), Some(Complaint { peer, mtu: None }));
        for len in 0..packet.len() {
            assert_eq!(about_v4(&packet[..len], 4789), None);
        }
    }

    #[test]
    fn so_over_ipv6() {
        let to = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
        let quoted = ipv6::Fields {
            src: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            dst: to,
            next_header: 17,
            hop_limit: 9,
            traffic_class: 0,
            flow_label: 0,
        };
        let mut icmp = [0; 56];
        icmp[..8].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0x05, 0]);
        quoted.emit(1400, &mut icmp[8..]).unwrap();
        icmp[48..].copy_from_slice(&[0xc0, 0, 0x17, 0xc1, 0, 100, 0, 0]);
        assert_eq!(about_v6(&icmp, 6081), Some(Complaint { peer: to.into(), mtu: Some(1280) }));
        for len in 0..icmp.len() {
            assert_eq!(about_v6(&icmp[..len], 6081), None);
        }
    }
}
