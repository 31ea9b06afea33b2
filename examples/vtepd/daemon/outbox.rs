//! Tunnel packets going out: whole IP packets on raw sockets, a batch at a time, so that every outer field is the engine's.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, sendmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};
use vtep::engine::HEADROOM;
use vtep::wire::Edit;

use super::buffers::{BATCH, Buffers};
use super::capture::Capture;
use super::counters::Traffic;
use super::fragment::{HEADER, fragments, too_long};

/// Most bytes in front of what a flood's copies share.
pub const HEAD: usize = HEADROOM + Edit::MAX_PREFIX;
/// Packets after which a flood is sent, however many copies are to come.
const FULL: usize = 4 * BATCH;
/// Bytes the kernel may queue for us.
const QUEUE: usize = 8 << 20;

/// Packets to be sent, and where to.
pub struct Outbox {
    v4: Option<Raw<SockaddrIn>>,
    v6: Option<Raw<SockaddrIn6>>,
    /// The beginnings of flood copies.
    heads: Vec<u8>,
    /// The underlay's interface: the scope of link-local addresses.
    scope: u32,
    /// The underlay's MTU.
    pub mtu: u16,
    pub traffic: Traffic,
    /// Packets the kernel refused, by its reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Packets refused in a row, and why.
    failing: Option<(Errno, u64)>,
}

/// A raw socket, and what is to be sent on it.
struct Raw<S> {
    socket: Socket,
    headers: MultiHeaders<S>,
    packets: Vec<Packet>,
    addresses: Vec<Option<S>>,
}

/// A packet: a range of [`Outbox::heads`], then a range of a buffer.
struct Packet {
    head: Range<usize>,
    slot: usize,
    rest: Range<usize>,
}

impl Outbox {
    /// Opens the raw sockets of the address families that are used.
    pub fn open(ipv4: bool, ipv6: bool, mtu: u16) -> io::Result<Self> {
        Ok(Self {
            v4: ipv4.then(|| Raw::open(Domain::IPV4)).transpose()?,
            v6: ipv6.then(|| Raw::open(Domain::IPV6)).transpose()?,
            heads: Vec::new(),
            scope: 0,
            mtu,
            traffic: Traffic::default(),
            refused: BTreeMap::new(),
            failing: None,
        })
    }

    /// Sends multicast through an interface, and none of it back to this host.
    pub fn set_interface(&mut self, index: u32) -> io::Result<()> {
        self.scope = index;
        if let Some(Raw { socket, .. }) = &self.v4 {
            let any = libc::in_addr { s_addr: 0 };
            let device = libc::ip_mreqn { imr_multiaddr: any, imr_address: any, imr_ifindex: index as i32 };
            setsockopt(socket, MulticastInterface, &device)?;
            socket.set_multicast_loop_v4(false)?;
        }
        if let Some(Raw { socket, .. }) = &self.v6 {
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_loop_v6(false)?;
        }
        Ok(())
    }

    /// A packet that stands whole in a buffer.
    #[inline]
    pub fn push(&mut self, buffers: &Buffers, slot: usize, bytes: Range<usize>) {
        let packet = buffers.get(slot, bytes.clone());
        let to = destination(packet);
        match too_long(packet, packet.len(), self.mtu) {
            None => self.queue(to, Packet { head: 0..0, slot, rest: bytes }),
            Some(header) => self.push_fragments(to, header, &[], slot, bytes.start + HEADER..bytes.end),
        }
    }

    /// A copy of a flood: a head of its own, and the frame it shares.
    pub fn push_copy(&mut self, head: &[u8], slot: usize, rest: Range<usize>) {
        let to = destination(head);
        match too_long(head, head.len() + rest.len(), self.mtu) {
            None => self.push_with_head(to, &[head], slot, rest),
            Some(header) => self.push_fragments(to, header, &head[HEADER..], slot, rest),
        }
    }

    /// A packet whose payload is `middle` and then `rest`, in pieces.
    #[cold]
    fn push_fragments(
        &mut self,
        to: Option<IpAddr>,
        header: [u8; HEADER],
        middle: &[u8],
        slot: usize,
        rest: Range<usize>,
    ) {
        let split = middle.len();
        for (header, part) in fragments(header, split + rest.len(), self.mtu) {
            let front = &middle[part.start.min(split)..part.end.min(split)];
            let back = rest.start + part.start.max(split) - split..rest.start + part.end.max(split) - split;
            self.push_with_head(to, &[&header, front], slot, back);
        }
    }

    fn push_with_head(&mut self, to: Option<IpAddr>, head: &[&[u8]], slot: usize, rest: Range<usize>) {
        let start = self.heads.len();
        head.iter().for_each(|piece| self.heads.extend_from_slice(piece));
        self.queue(to, Packet { head: start..self.heads.len(), slot, rest });
    }

    /// Whether it is time to [`flush`](Self::flush).
    pub fn is_full(&self) -> bool {
        self.v4.as_ref().map_or(0, |raw| raw.packets.len()) + self.v6.as_ref().map_or(0, |raw| raw.packets.len())
            >= FULL
    }

    /// Sends what is queued. Must be called before the buffers are used anew.
    pub fn flush(&mut self, buffers: &Buffers, capture: Option<&mut Capture>) {
        let Self { v4, v6, heads, traffic, refused, failing, .. } = self;
        let mut report = Report { traffic, refused, failing };
        if let Some(capture) = capture {
            let v4 = v4.iter().flat_map(|raw| &raw.packets);
            let v6 = v6.iter().flat_map(|raw| &raw.packets);
            v4.chain(v6).for_each(|p| capture.sent(&heads[p.head.clone()], buffers.get(p.slot, p.rest.clone())));
        }
        if let Some(raw) = v4 {
            raw.flush(heads, buffers, &mut report);
        }
        if let Some(raw) = v6 {
            raw.flush(heads, buffers, &mut report);
        }
        heads.clear();
    }

    #[inline]
    fn queue(&mut self, to: Option<IpAddr>, packet: Packet) {
        match (to, &mut self.v4, &mut self.v6) {
            (Some(IpAddr::V4(to)), Some(raw), _) => raw.queue(SocketAddrV4::new(to, 0).into(), packet),
            (Some(IpAddr::V6(to)), _, Some(raw)) => {
                let scope = if to.is_unicast_link_local() || to.is_multicast() { self.scope } else { 0 };
                raw.queue(SocketAddrV6::new(to, 0, 0, scope).into(), packet);
            }
            // The engine has no address of a family that has no socket here.
            _ => self.traffic.errors += 1,
        }
    }
}

/// The destination in an IP header.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => packet.get(16..)?.first_chunk::<4>().map(|a| Ipv4Addr::from(*a).into()),
        _ => packet.get(24..)?.first_chunk::<16>().map(|a| Ipv6Addr::from(*a).into()),
    }
}

impl<S: SockaddrLike + Copy> Raw<S> {
    fn open(domain: Domain) -> io::Result<Self> {
        let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(libc::IPPROTO_RAW)))?;
        if domain == Domain::IPV4 {
            socket.set_header_included_v4(true)?;
        } else {
            socket.set_header_included_v6(true)?;
        }
        // Without the privilege to go beyond the system's limit, up to the limit.
        let _ =
            setsockopt(&socket, sockopt::SndBufForce, &QUEUE).or_else(|_| setsockopt(&socket, sockopt::SndBuf, &QUEUE));
        let (packets, addresses) = (Vec::with_capacity(FULL), Vec::with_capacity(FULL));
        Ok(Self { socket, headers: MultiHeaders::preallocate(BATCH, None), packets, addresses })
    }

    fn queue(&mut self, to: S, packet: Packet) {
        self.packets.push(packet);
        self.addresses.push(Some(to));
    }

    fn flush(&mut self, heads: &[u8], buffers: &Buffers, report: &mut Report<'_>) {
        let pieces: Vec<[IoSlice<'_>; 2]> = self
            .packets
            .iter()
            .map(|p| [&heads[p.head.clone()], buffers.get(p.slot, p.rest.clone())].map(IoSlice::new))
            .collect();
        let mut at = 0;
        while at < pieces.len() {
            let end = pieces.len().min(at + BATCH);
            let (batch, to) = (&pieces[at..end], &self.addresses[at..end]);
            let none: [ControlMessage<'_>; 0] = [];
            let sent = sendmmsg(self.socket.as_raw_fd(), &mut self.headers, batch, to, none, MsgFlags::MSG_DONTWAIT);
            at += match sent.map(Iterator::count) {
                Ok(sent) => {
                    let bytes = batch[..sent].iter().flatten().map(|piece| piece.len()).sum();
                    report.sent(sent, bytes);
                    sent
                }
                Err(Errno::EINTR) => 0,
                // The first one was refused; the others may fare better.
                Err(error) => {
                    report.refused(error);
                    1
                }
            };
        }
        self.packets.clear();
        self.addresses.clear();
    }
}

/// Where sending is counted.
struct Report<'r> {
    traffic: &'r mut Traffic,
    refused: &'r mut BTreeMap<&'static str, u64>,
    failing: &'r mut Option<(Errno, u64)>,
}

impl Report<'_> {
    fn sent(&mut self, packets: usize, bytes: usize) {
        self.traffic.packets += packets as u64;
        self.traffic.bytes += bytes as u64;
        if packets != 0
            && let Some((error, lost)) = self.failing.take()
            && error != Errno::EAGAIN
        {
            info!(lost, "the underlay takes packets again");
        }
    }

    /// Says so once for each reason, until a packet gets through.
    fn refused(&mut self, error: Errno) {
        self.traffic.errors += 1;
        *self.refused.entry(reason(error)).or_default() += 1;
        let (before, lost) = self.failing.map_or((None, 0), |(error, lost)| (Some(error), lost));
        *self.failing = Some((error, lost + 1));
        if before != Some(error) && error != Errno::EAGAIN {
            warn!(%error, "the underlay refuses packets");
        }
    }
}

fn reason(error: Errno) -> &'static str {
    match error {
        Errno::EAGAIN | Errno::ENOBUFS => "queue-full",
        Errno::EMSGSIZE => "too-big",
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => "no-route",
        Errno::ENETDOWN | Errno::ENODEV | Errno::ENXIO => "link-down",
        Errno::EPERM | Errno::EACCES => "forbidden",
        _ => "other",
    }
}

/// The interface multicast leaves through, by index.
#[derive(Clone)]
struct MulticastInterface;

nix::setsockopt_impl!(
    MulticastInterface,
    libc::IPPROTO_IP,
    libc::IP_MULTICAST_IF,
    libc::ip_mreqn,
    sockopt::SetStruct<'_, libc::ip_mreqn>
);
