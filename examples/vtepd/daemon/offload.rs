//! What a sender on this machine leaves to its network card, and no card did.
//!
//! Between namespaces and virtual machines a packet may never see a wire. The kernel then hands a tunnel packet over with
//! an inner TCP or UDP checksum that is not finished, or with a TCP segment of up to 64 KiB, in the belief that hardware
//! does the rest. Pods behind a TAP device must not see that.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use vtep::wire::checksum::{Sum, checksum};
use vtep::wire::{Inner, IpKind};

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_HEADER: usize = 20;
const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Finishes the checksum of a frame's TCP or UDP if it was not: if it is the sum over the pseudo-header only.
///
/// A finished one looks like that once in 65,536 times; it comes out as it was.
#[inline]
pub fn complete(frame: &mut [u8]) {
    let Some(found) = Transport::of(frame) else { return };
    let at = found.l4 + if found.protocol == TCP { 16 } else { 6 };
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

/// The segments of a frame whose TCP segment is too long for `mtu`: for each its headers, and the part of the frame that
/// follows them. `None` for any other frame.
pub fn segments(frame: &[u8], mtu: u16) -> Option<impl Iterator<Item = (Vec<u8>, Range<usize>)>> {
    let found = Transport::of(frame).filter(|found| found.protocol == TCP)?;
    let body = found.l4 + usize::from(frame.get(found.l4 + 12)? >> 4) * 4;
    let room = usize::from(mtu).checked_sub(body - found.l3).filter(|room| *room != 0)?;
    if found.end <= body + room || body < found.l4 + TCP_HEADER {
        return None;
    }
    let starts = (body..found.end).step_by(room).enumerate();
    Some(starts.map(move |(number, start)| {
        let part = start..found.end.min(start + room);
        (found.headers(&frame[..body], number, start - body, &frame[part.clone()], part.end == found.end), part)
    }))
}

/// Where TCP or UDP stands in a frame.
#[derive(Clone, Copy)]
struct Transport {
    l3: usize,
    l4: usize,
    /// The end of the IP packet.
    end: usize,
    protocol: u8,
    /// Of the addresses, the protocol and a length of 0.
    addresses: Sum,
}

impl Transport {
    fn of(frame: &[u8]) -> Option<Self> {
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

    /// The pseudo-header's sum for so many bytes.
    fn pseudo(&self, len: usize) -> Sum {
        self.addresses.add_u32(len as u32)
    }

    /// The headers of one segment of many.
    fn headers(&self, headers: &[u8], number: usize, offset: usize, body: &[u8], last: bool) -> Vec<u8> {
        let mut headers = headers.to_vec();
        let len = headers.len() - self.l3 + body.len();
        let ip = &mut headers[self.l3..];
        if ip[0] >> 4 == 4 {
            let ident = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(number as u16);
            ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            ip[4..6].copy_from_slice(&ident.to_be_bytes());
            ip[10..12].fill(0);
            let sum = checksum(&ip[..usize::from(ip[0] & 15) * 4]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            ip[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        }
        let tcp = &mut headers[self.l4..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(offset as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if !last {
            tcp[13] &= !FIN_AND_PSH;
        }
        if number != 0 {
            tcp[13] &= !CWR;
        }
        tcp[16..18].fill(0);
        let sum = self.pseudo(tcp.len() + body.len()).add_bytes(tcp).add_bytes(body).finish();
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vtep::wire::{EtherType, ipv4, ipv6};

    /// A frame with `body` bytes behind a TCP or UDP header of `l4` bytes.
    fn frame(v6: bool, protocol: u8, l4: usize, body: usize) -> Vec<u8> {
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
