//! What a sender on this machine leaves to its network card, and no card did; and what a TAP device may be left with.
//!
//! Between namespaces and virtual machines a packet may never see a wire. The kernel then hands a packet over with a TCP or
//! UDP checksum that is not finished, or as one of up to 64 KiB that is to be cut into many, in the belief that hardware
//! does the rest. Other hosts must not see that; a TAP device takes such packets, and says which ones it hands over are.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use vtep::wire::checksum::{Sum, checksum};
use vtep::wire::{Inner, IpKind};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// What stands in front of a frame on its way from and to a TAP device: `struct virtio_net_hdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The checksum is the pseudo-header's sum only.
    pub unfinished: bool,
    /// The payload of each packet that this one is to be cut into, and how; 0 for one packet as it is.
    pub size: u16,
    pub cut: u8,
    /// Bytes of all headers.
    pub headers: u16,
    /// Where TCP or UDP starts, and where in it the checksum stands.
    pub start: u16,
    pub offset: u16,
}

impl Offload {
    /// Its length.
    pub const LEN: usize = 10;
    const NEEDS_CHECKSUM: u8 = 1;
    pub const CUT_TCP_V4: u8 = 1;
    pub const CUT_TCP_V6: u8 = 4;
    pub const CUT_UDP: u8 = 5;

    /// Reads it; in the machine's byte order.
    pub fn read([flags, cut, h0, h1, s0, s1, c0, c1, o0, o1]: [u8; Self::LEN]) -> Self {
        Self {
            unfinished: flags & Self::NEEDS_CHECKSUM != 0,
            size: if cut == 0 { 0 } else { u16::from_ne_bytes([s0, s1]) },
            cut,
            headers: u16::from_ne_bytes([h0, h1]),
            start: u16::from_ne_bytes([c0, c1]),
            offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// Writes it.
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let [h0, h1] = self.headers.to_ne_bytes();
        let [s0, s1] = self.size.to_ne_bytes();
        let [c0, c1] = self.start.to_ne_bytes();
        let [o0, o1] = self.offset.to_ne_bytes();
        [u8::from(self.unfinished), self.cut, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    /// Finishes the checksum of a packet that is not cut.
    pub fn finish(&self, frame: &mut [u8]) {
        let start = usize::from(self.start);
        let at = start + usize::from(self.offset);
        if !self.unfinished || at + 2 > frame.len() {
            return;
        }
        let sum = match checksum(&frame[start..]) {
            // UDP's zero says that there is none.
            0 if self.offset == 6 => 0xffff,
            sum => sum,
        };
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Finishes the checksum of a frame's TCP or UDP if it was not: if it is the sum over the pseudo-header only.
///
/// A finished one looks like that once in 65,536 times; it comes out as it was.
#[inline]
pub fn complete(frame: &mut [u8]) {
    let Some(found) = Transport::of(frame) else { return };
    let at = found.checksum();
    let Some(&[high, low]) = frame.get(at..at + 2) else { return };
    if u16::from_be_bytes([high, low]) != found.pseudo(found.end - found.l4).fold() || at + 2 > found.end {
        return;
    }
    let sum = match (found.protocol, checksum(&frame[found.l4..found.end])) {
        (UDP, 0) => 0xffff,
        (_, sum) => sum,
    };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The packets of a frame whose TCP segment is too long for `mtu`: for each its headers, and the part of the frame that
/// follows them. `None` for any other frame.
pub fn segments(frame: &[u8], mtu: u16) -> Option<impl Iterator<Item = (Vec<u8>, Range<usize>)>> {
    let found = Transport::of(frame).filter(|found| found.protocol == TCP)?;
    let body = found.body(frame)?;
    let room = usize::from(mtu).checked_sub(body - found.l3).filter(|room| *room != 0)?;
    if found.end <= body + room { None } else { packets(frame, room) }
}

/// The packets that a frame of TCP or UDP is to be cut into, with `size` bytes of payload each.
pub fn packets(frame: &[u8], size: usize) -> Option<impl Iterator<Item = (Vec<u8>, Range<usize>)>> {
    let found = Transport::of(frame).filter(|_| size != 0)?;
    let body = found.body(frame).filter(|body| *body < found.end)?;
    let starts = (body..found.end).step_by(size).enumerate();
    Some(starts.map(move |(number, start)| {
        let part = start..found.end.min(start + size);
        (found.headers(&frame[..body], number, start - body, &frame[part.clone()], part.end == found.end), part)
    }))
}

/// Where TCP or UDP stands in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    pub l3: usize,
    pub l4: usize,
    /// The end of the IP packet.
    pub end: usize,
    pub protocol: u8,
    /// Of the addresses, the protocol and a length of 0.
    addresses: Sum,
}

impl Transport {
    pub fn of(frame: &[u8]) -> Option<Self> {
        let inner = Inner::parse_ethernet(frame).ok()?;
        let protocol = inner.protocol();
        if inner.is_fragment() || !matches!(protocol, TCP | UDP) {
            return None;
        }
        let (l3, l4) = (usize::from(inner.l3()), usize::from(inner.l4()));
        let ip = frame.get(l3..)?;
        let (len, addresses) = match inner.ip() {
            IpKind::V4 => {
                let header = ip.first_chunk::<20>()?;
                let [.., a, b, c, d, e, f, g, h] = *header;
                let (src, dst) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
                (u16::from_be_bytes([header[2], header[3]]).into(), Sum::pseudo_v4(src, dst, protocol, 0))
            }
            IpKind::V6 => {
                let header = ip.first_chunk::<40>()?;
                let (src, dst) = (header[8..].first_chunk::<16>()?, header.last_chunk::<16>()?);
                let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst));
                let len = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
                (len, Sum::pseudo_v6(src, dst, protocol, 0))
            }
            _ => return None,
        };
        let end = l3 + len;
        (l4 < end && end <= frame.len()).then_some(Self { l3, l4, end, protocol, addresses })
    }

    /// Where the payload starts: behind a whole header.
    pub fn body(&self, frame: &[u8]) -> Option<usize> {
        let header = match self.protocol {
            TCP => usize::from(frame.get(self.l4 + 12)? >> 4) * 4,
            _ => UDP_HEADER,
        };
        let least = if self.protocol == TCP { TCP_HEADER } else { UDP_HEADER };
        let body = self.l4 + header;
        (header >= least && body <= self.end).then_some(body)
    }

    /// Where the checksum stands.
    pub fn checksum(&self) -> usize {
        self.l4 + if self.protocol == TCP { 16 } else { 6 }
    }

    /// The pseudo-header's sum for so many bytes.
    pub fn pseudo(&self, len: usize) -> Sum {
        self.addresses.add_u32(len as u32)
    }

    /// Whether the checksum is there, and right.
    pub fn is_valid(&self, frame: &[u8]) -> bool {
        let at = self.checksum();
        (self.protocol == TCP || frame[at..at + 2] != [0, 0])
            && self.pseudo(self.end - self.l4).add_bytes(&frame[self.l4..self.end]).is_valid()
    }

    /// Writes the length of the IP packet, and of UDP, for `len` bytes from the IP header on.
    pub fn set_len(&self, headers: &mut [u8], len: usize) {
        let (ip, l4) = headers[self.l3..].split_at_mut(self.l4 - self.l3);
        if ip[0] >> 4 == 4 {
            ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            ip[10..12].fill(0);
            let sum = checksum(&ip[..usize::from(ip[0] & 15) * 4]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            ip[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        }
        if self.protocol == UDP {
            l4[4..6].copy_from_slice(&((len - (self.l4 - self.l3)) as u16).to_be_bytes());
        }
    }

    /// The headers of one packet of many.
    fn headers(&self, headers: &[u8], number: usize, offset: usize, body: &[u8], last: bool) -> Vec<u8> {
        let mut headers = headers.to_vec();
        let len = headers.len() - self.l3 + body.len();
        let ip = &mut headers[self.l3..];
        if ip[0] >> 4 == 4 {
            let ident = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(number as u16);
            ip[4..6].copy_from_slice(&ident.to_be_bytes());
        }
        self.set_len(&mut headers, len);
        if self.protocol == TCP {
            let tcp = &mut headers[self.l4..];
            let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(offset as u32);
            tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
            if !last {
                tcp[13] &= !FIN_AND_PSH;
            }
            if number != 0 {
                tcp[13] &= !CWR;
            }
        }
        let at = self.checksum();
        headers[at..at + 2].fill(0);
        let l4 = &headers[self.l4..];
        let sum = self.pseudo(l4.len() + body.len()).add_bytes(l4).add_bytes(body);
        let sum = if self.protocol == UDP { sum.finish_udp() } else { sum.finish() };
        headers[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        headers
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use vtep::wire::{EtherType, ipv4, ipv6};

    /// A frame with `body` bytes behind a TCP or UDP header of `l4` bytes.
    pub fn frame(v6: bool, protocol: u8, l4: usize, body: usize) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let mut header = [0; 40];
        let len = if v6 {
            frame.extend_from_slice(&EtherType::IPV6.0.to_be_bytes());
            let [src, dst] = [1, 2].map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n));
            let fields =
                ipv6::Fields { src, dst, next_header: protocol, hop_limit: 64, traffic_class: 0, flow_label: 0 };
            fields.emit(l4 + body, &mut header).unwrap()
        } else {
            frame.extend_from_slice(&EtherType::IPV4.0.to_be_bytes());
            let [src, dst] = [1, 2].map(|n| Ipv4Addr::new(172, 16, 0, n));
            let fields = ipv4::Fields { src, dst, protocol, ttl: 64, tos: 0, ident: 0xffff, dont_fragment: true };
            fields.emit(l4 + body, &mut header).unwrap()
        };
        frame.extend_from_slice(&header[..len]);
        let start = frame.len();
        frame.extend((0..l4 + body).map(|n| n as u8));
        if protocol == TCP {
            frame[start + 12] = (l4 as u8 / 4) << 4;
            frame[start + 13] = FIN_AND_PSH | CWR | 0x10;
        } else {
            frame[start + 4..start + 6].copy_from_slice(&((l4 + body) as u16).to_be_bytes());
        }
        frame
    }

    fn checksum_at(frame: &[u8]) -> usize {
        let found = Transport::of(frame).unwrap();
        found.l4 + if found.protocol == TCP { 16 } else { 6 }
    }

    fn is_valid(frame: &[u8]) -> bool {
        let found = Transport::of(frame).unwrap();
        found.pseudo(found.end - found.l4).add_bytes(&frame[found.l4..found.end]).is_valid()
    }

    #[test]
    fn an_unfinished_checksum_is_finished() {
        for v6 in [false, true] {
            for (protocol, l4) in [(TCP, 20), (TCP, 32), (UDP, 8)] {
                for body in [0, 1, 2, 99, 1400] {
                    let mut frame = frame(v6, protocol, l4, body);
                    let (at, found) = (checksum_at(&frame), Transport::of(&frame).unwrap());
                    let partial = found.pseudo(found.end - found.l4).fold().to_be_bytes();
                    frame[at..at + 2].copy_from_slice(&partial);
                    assert!(!is_valid(&frame));
                    complete(&mut frame);
                    assert!(is_valid(&frame), "{v6} {protocol} {l4} {body}");
                    // What is finished stays, right or wrong, and so does padding.
                    frame.extend_from_slice(&[0xa5; 7]);
                    let finished = frame.clone();
                    complete(&mut frame);
                    assert_eq!(frame, finished);
                    frame[at] ^= 1;
                    let wrong = frame.clone();
                    complete(&mut frame);
                    assert_eq!(frame, wrong);
                }
            }
        }
    }

    #[test]
    fn a_long_segment_becomes_many() {
        for v6 in [false, true] {
            for (l4, body, mtu) in [(20, 1411, 1450), (32, 60_000, 1450), (60, 3000, 576)] {
                let frame = frame(v6, TCP, l4, body);
                let found = Transport::of(&frame).unwrap();
                let (mut payload, mut count) = (Vec::new(), 0_usize);
                for (headers, rest) in segments(&frame, mtu).unwrap() {
                    let segment = [&headers, &frame[rest.clone()]].concat();
                    assert!(segment.len() <= 14 + usize::from(mtu) && is_valid(&segment));
                    let tcp = &segment[found.l4..];
                    let sequence = u32::from_be_bytes([4, 5, 6, 7]) + payload.len() as u32;
                    assert_eq!(tcp[4..8], sequence.to_be_bytes());
                    payload.extend_from_slice(&tcp[l4..]);
                    let last = payload.len() == body;
                    assert_eq!(tcp[13] & FIN_AND_PSH != 0, last);
                    assert_eq!(tcp[13] & CWR != 0, count == 0);
                    if !v6 {
                        let ip = ipv4::Packet::parse(&segment[14..], false).unwrap();
                        assert!(ip.checksum_ok());
                        assert_eq!(ip.header.ident(), 0xffff_u16.wrapping_add(count as u16));
                    }
                    count += 1;
                }
                assert_eq!(payload, frame[found.l4 + l4..]);
            }
        }
    }

    #[test]
    fn what_stands_in_front_is_read_as_written() {
        let offload =
            Offload { unfinished: true, size: 1400, cut: Offload::CUT_UDP, headers: 42, start: 34, offset: 6 };
        assert_eq!(Offload::read(offload.bytes()), offload);
        assert_eq!(Offload::default().bytes(), [0; Offload::LEN]);
        // Whatever a header says, nothing outside of the frame is touched.
        for (start, offset) in [(0, 0), (58, 6), (59, 6), (60, 0), (65_535, 65_535)] {
            let mut frame = [0xa5; 60];
            Offload { unfinished: true, start, offset, ..Offload::default() }.finish(&mut frame);
        }
    }

    #[test]
    fn datagrams_are_cut_too() {
        for v6 in [false, true] {
            let frame = frame(v6, UDP, 8, 3000);
            let mut payload = Vec::new();
            for (headers, part) in packets(&frame, 1000).unwrap() {
                let datagram = [&headers, &frame[part]].concat();
                assert!(is_valid(&datagram));
                let found = Transport::of(&datagram).unwrap();
                assert_eq!(datagram[found.l4 + 4..found.l4 + 6], 1008_u16.to_be_bytes());
                payload.extend_from_slice(&datagram[found.l4 + 8..]);
            }
            assert_eq!(payload, frame[frame.len() - 3000..]);
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        assert!(segments(&frame(false, TCP, 20, 1410), 1450).is_none());
        assert!(segments(&frame(false, UDP, 8, 3000), 1450).is_none());
        assert!(segments(&frame(false, TCP, 16, 3000), 1450).is_none());
        assert!(segments(&frame(false, TCP, 60, 3000), 60).is_none());
        let whole = frame(true, TCP, 20, 10);
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            complete(&mut cut);
            assert_eq!(cut, whole[..len]);
            assert!(segments(&cut, 61).is_none());
        }
    }
}
