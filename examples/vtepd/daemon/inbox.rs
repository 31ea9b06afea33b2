//! Tunnel packets coming in: UDP sockets, a batch at a time, with what the IP header said.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::Registry;
use mio::unix::SourceFd;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use vtep::wire::{Datagram, UdpChecksum};

use super::buffers::{BATCH, Buffers};
use super::counters::Traffic;
use super::forward::is_idle;

/// Bytes the kernel may queue for us while we are busy.
const QUEUE: usize = 8 << 20;

/// A UDP socket of one address family.
pub struct Inbox {
    socket: Socket,
    port: u16,
    ipv6: bool,
    /// What can be said of a checksum: the kernel has verified it, but for IPv6 with zero checksums let pass does not say
    /// whether there was one.
    checksum: UdpChecksum,
    headers: MultiHeaders<SockaddrStorage>,
    received: Vec<Received>,
    /// Whether there may be something to read.
    pub ready: bool,
}

/// A tunnel packet in the buffer of its number.
pub struct Received {
    pub datagram: Datagram,
    pub len: usize,
}

impl Inbox {
    /// Opens the socket of a tunnel port on all addresses: a packet to the wrong one is counted rather than lost.
    pub fn open(ipv6: bool, port: u16, zero_checksums: bool) -> io::Result<Self> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let space = if ipv6 {
            socket.set_only_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvTClass, &true)?;
            if zero_checksums {
                setsockopt(&socket, NoCheck6Rx, &true)?;
            }
            nix::cmsg_space!(libc::in6_pktinfo, i32, i32)
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
            setsockopt(&socket, sockopt::IpRecvTos, &true)?;
            socket.set_multicast_all_v4(false)?;
            nix::cmsg_space!(libc::in_pktinfo, i32, u8)
        };
        // Without the privilege to go beyond the system's limit, up to the limit.
        let _ =
            setsockopt(&socket, sockopt::RcvBufForce, &QUEUE).or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &QUEUE));
        socket.bind(&SocketAddr::new(any, port).into())?;
        Ok(Self {
            socket,
            port,
            ipv6,
            checksum: if ipv6 && zero_checksums { UdpChecksum::Zero } else { UdpChecksum::Good },
            headers: MultiHeaders::preallocate(BATCH, Some(space)),
            received: Vec::with_capacity(BATCH),
            ready: true,
        })
    }

    pub fn register(&self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, mio::Interest::READABLE)
    }

    /// Joins a multicast group on an interface, or leaves it.
    pub fn join(&self, group: IpAddr, index: u32) -> io::Result<()> {
        match group {
            IpAddr::V4(a) if !self.ipv6 => self.socket.join_multicast_v4_n(&a, &InterfaceIndexOrAddress::Index(index)),
            IpAddr::V6(a) if self.ipv6 => self.socket.join_multicast_v6(&a, index),
            _ => Ok(()),
        }
    }

    pub fn leave(&self, group: IpAddr, index: u32) -> io::Result<()> {
        match group {
            IpAddr::V4(a) if !self.ipv6 => self.socket.leave_multicast_v4_n(&a, &InterfaceIndexOrAddress::Index(index)),
            IpAddr::V6(a) if self.ipv6 => self.socket.leave_multicast_v6(&a, index),
            _ => Ok(()),
        }
    }

    /// Reads packets into the buffers, the first into the first.
    pub fn receive(&mut self, buffers: &mut Buffers, traffic: &mut Traffic) -> &[Received] {
        let Self { socket, port, checksum, headers, received, ready, .. } = self;
        received.clear();
        let mut rooms: Vec<_> = buffers.rooms().collect();
        match recvmmsg(socket.as_raw_fd(), headers, rooms.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                for message in messages {
                    traffic.count(message.bytes);
                    received.push(Received { datagram: datagram(&message, *port, *checksum), len: message.bytes });
                }
            }
            Err(error) => {
                if !is_idle(&error.into()) {
                    traffic.errors += 1;
                }
            }
        }
        *ready = received.len() == BATCH;
        received
    }
}

/// What the socket knows of a packet. An address it does not tell is unspecified, which the engine refuses by name.
fn datagram(message: &RecvMsg<'_, '_, SockaddrStorage>, port: u16, checksum: UdpChecksum) -> Datagram {
    let from: Option<(IpAddr, u16)> = message.address.as_ref().and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|a| (IpAddr::V4(a.ip()), a.port()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| (IpAddr::V6(a.ip()), a.port())))
    });
    let (src, src_port) = from.unwrap_or((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    let unknown = if src.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let mut datagram = Datagram { src, dst: unknown, src_port, dst_port: port, tos: 0, ttl: 0, checksum };
    for part in message.cmsgs().into_iter().flatten() {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                datagram.dst = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into();
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => datagram.dst = Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
            ControlMessageOwned::Ipv4Tos(tos) => datagram.tos = tos,
            ControlMessageOwned::Ipv6TClass(class) => datagram.tos = class as u8,
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => datagram.ttl = ttl as u8,
            _ => {}
        }
    }
    datagram
}

/// Lets UDP packets without a checksum pass over IPv6 (RFC 6935).
#[derive(Clone)]
struct NoCheck6Rx;

nix::setsockopt_impl!(NoCheck6Rx, libc::IPPROTO_UDP, libc::UDP_NO_CHECK6_RX, bool, sockopt::SetBool);
