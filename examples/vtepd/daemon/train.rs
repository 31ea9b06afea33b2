//! Frames of one flow that follow each other: a TAP device takes them as one, which its pod's stack cuts up again, or does
//! not have to.
//!
//! One system call, and one way through the stack, for up to 64 of them. Only what comes out as it went in is joined: whole
//! packets whose checksums are right, of the same headers, in order, and of the same size but for the last.

use std::io::IoSlice;
use std::ops::Range;

use vtep::wire::checksum::verify;

use super::buffers::Buffers;
use super::offload::{Offload, TCP, Transport, UDP};

/// Of an Ethernet header without tags.
const ETHERNET: usize = 14;
const DONT_FRAGMENT: u8 = 0x40;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
/// The longest IP packet.
const LONGEST: usize = 65_535;

/// A frame in a buffer, and those that followed it.
pub struct Train {
    slot: usize,
    frame: Range<usize>,
    /// Where in the frame everything stands.
    found: Transport,
    body: usize,
    /// The payloads of those that followed.
    rest: Vec<(usize, Range<usize>)>,
    /// Bytes of all payloads, and of those of each packet that leaves the device.
    payload: usize,
    size: usize,
    /// Whether another one may follow.
    open: bool,
    pushed: bool,
}

impl Train {
    /// A train of one frame, if others could follow it. `udp` says whether the device knows how to cut up UDP.
    pub fn new(buffers: &Buffers, slot: usize, frame: Range<usize>, mtu: u16, udp: bool) -> Option<Self> {
        let bytes = buffers.get(slot, frame.clone());
        let (found, body) = shape(bytes)?;
        let (tcp, payload) = (found.protocol == TCP, found.end - body);
        let room = usize::from(mtu).checked_sub(body - found.l3).filter(|room| *room != 0)?;
        if !tcp && (!udp || payload > room) {
            return None;
        }
        let pushed = tcp && bytes[found.l4 + 13] & PSH != 0;
        // A sender on this machine may hand over many packets as one.
        let size = payload.min(room);
        let open = !pushed && payload % size == 0;
        Some(Self { slot, frame, found, body, rest: Vec::new(), payload, size, open, pushed })
    }

    /// Frames, and their bytes.
    pub fn count(&self) -> (usize, usize) {
        (
            1 + self.rest.len(),
            self.frame.len() + self.rest.iter().map(|(_, part)| self.body + part.len()).sum::<usize>(),
        )
    }

    /// Takes a frame on, if it follows.
    pub fn takes(&mut self, buffers: &Buffers, slot: usize, frame: Range<usize>) -> bool {
        let Self { found, body, .. } = *self;
        let first = buffers.get(self.slot, self.frame.clone());
        let bytes = buffers.get(slot, frame.clone());
        if !self.open || bytes.get(..found.l3) != Some(&first[..found.l3]) {
            return false;
        }
        let Some((other, _)) = shape(bytes).filter(|(other, at)| (other.l4, *at) == (found.l4, body)) else {
            return false;
        };
        let more = other.end - body;
        let follows = other.protocol == found.protocol
            && (found.protocol == TCP || more <= self.size)
            && body - found.l3 + self.payload + more <= LONGEST
            && same_headers(&found, body, first, bytes)
            && (found.protocol == UDP
                || sequence(bytes, &found) == sequence(first, &found).wrapping_add(self.payload as u32))
            && (!self.rest.is_empty() || found.is_valid(first))
            && other.is_valid(bytes);
        if follows {
            self.pushed = found.protocol == TCP && bytes[found.l4 + 13] & PSH != 0;
            self.open = more % self.size == 0 && !self.pushed;
            self.payload += more;
            self.rest.push((slot, frame.start + body..frame.start + other.end));
        }
        follows
    }

    /// The pieces of what the device is given, its header first.
    pub fn pieces<'b>(&self, buffers: &'b mut Buffers) -> Vec<IoSlice<'b>> {
        let Self { found, body, .. } = *self;
        let start = self.frame.start - Offload::LEN;
        let mut offload = Offload::default();
        let mut end = self.frame.end;
        let bytes = &mut buffers.slot(self.slot)[start..end];
        let (header, frame) = bytes.split_at_mut(Offload::LEN);
        if self.payload > self.size {
            // What is cut up again has no padding.
            end = self.frame.start + found.end;
            offload = Offload {
                unfinished: true,
                size: self.size as u16,
                cut: match (found.protocol, frame[found.l3] >> 4) {
                    (UDP, _) => Offload::CUT_UDP,
                    (_, 4) => Offload::CUT_TCP_V4,
                    _ => Offload::CUT_TCP_V6,
                },
                headers: body as u16,
                start: found.l4 as u16,
                offset: (found.checksum() - found.l4) as u16,
            };
            found.set_len(frame, body - found.l3 + self.payload);
            if self.pushed {
                frame[found.l4 + 13] |= PSH;
            }
            let sum = found.pseudo(body - found.l4 + self.payload).fold();
            frame[found.checksum()..found.checksum() + 2].copy_from_slice(&sum.to_be_bytes());
        }
        header.copy_from_slice(&offload.bytes());
        let rest = self.rest.iter().map(|(slot, part)| IoSlice::new(buffers.get(*slot, part.clone())));
        std::iter::once(IoSlice::new(buffers.get(self.slot, start..end))).chain(rest).collect()
    }
}

/// Where things stand in a frame that may be in a train: untagged, without IP options or extension headers, not a
/// fragment nor to become one, of UDP or of TCP with nothing but data.
fn shape(frame: &[u8]) -> Option<(Transport, usize)> {
    let found = Transport::of(frame)?;
    let body = found.body(frame)?;
    let ip = &frame[found.l3..];
    let plain = match (ip[0], found.l4 - found.l3) {
        (0x45, 20) => ip[6] & DONT_FRAGMENT != 0 && verify(&ip[..20]),
        (version, 40) => version >> 4 == 6,
        _ => false,
    };
    let data = match found.protocol {
        TCP => frame[found.l4 + 13] & !PSH == ACK,
        _ => usize::from(u16::from_be_bytes([frame[found.l4 + 4], frame[found.l4 + 5]])) == found.end - found.l4,
    };
    (found.l3 == ETHERNET && plain && data && body < found.end).then_some((found, body))
}

/// Whether all headers are the same but for lengths, identification, sequence numbers, checksums and PSH.
fn same_headers(found: &Transport, body: usize, a: &[u8], b: &[u8]) -> bool {
    let Transport { l3, l4, .. } = *found;
    let same = |ranges: &[Range<usize>]| ranges.iter().all(|range| a[range.clone()] == b[range.clone()]);
    let ip =
        if l4 - l3 == 20 { same(&[l3..l3 + 2, l3 + 6..l3 + 10, l3 + 12..l4]) } else { same(&[l3..l3 + 4, l3 + 6..l4]) };
    ip && if found.protocol == TCP {
        same(&[l4..l4 + 4, l4 + 8..l4 + 13, l4 + 14..l4 + 16, l4 + 18..body])
    } else {
        a[l4..l4 + 4] == b[l4..l4 + 4]
    }
}

fn sequence(frame: &[u8], found: &Transport) -> u32 {
    let at = found.l4 + 4;
    u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::super::offload::{packets, tests::frame};
    use super::*;
    use vtep::wire::checksum::checksum;

    const MTU: u16 = 1450;

    /// Buffers that hold the packets of one long frame, each in its own.
    fn cut(long: &[u8], size: usize) -> (Buffers, Vec<Range<usize>>) {
        let mut buffers = Buffers::new();
        let mut ranges = Vec::new();
        for (slot, (head, part)) in packets(long, size).unwrap().enumerate() {
            let bytes = [&head, &long[part]].concat();
            let range = Buffers::filled(bytes.len());
            buffers.slot(slot)[range.clone()].copy_from_slice(&bytes);
            ranges.push(range);
        }
        (buffers, ranges)
    }

    fn joined(buffers: &mut Buffers, ranges: &[Range<usize>]) -> Option<(Train, Offload, Vec<u8>)> {
        let mut train = Train::new(buffers, 0, ranges[0].clone(), MTU, true)?;
        for (slot, range) in ranges.iter().enumerate().skip(1) {
            if !train.takes(buffers, slot, range.clone()) {
                return None;
            }
        }
        let bytes: Vec<u8> = train.pieces(buffers).iter().flat_map(|piece| piece.to_vec()).collect();
        let (header, frame) = bytes.split_first_chunk().unwrap();
        Some((train, Offload::read(*header), frame.to_vec()))
    }

    /// A frame of TCP data or UDP with right checksums.
    fn right(v6: bool, protocol: u8, l4: usize, body: usize) -> Vec<u8> {
        let mut frame = frame(v6, protocol, l4, body);
        let found = Transport::of(&frame).unwrap();
        if protocol == TCP {
            frame[found.l4 + 13] = ACK;
        }
        let at = found.checksum();
        frame[at..at + 2].fill(0);
        let sum = found.pseudo(found.end - found.l4).add_bytes(&frame[found.l4..found.end]).finish();
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn what_was_cut_is_joined() {
        for v6 in [false, true] {
            for (protocol, l4) in [(TCP, 20), (TCP, 32), (UDP, 8)] {
                for (body, size) in [(2000, 1000), (2001, 1000), (64_000, 1300), (300, 18)] {
                    let long = right(v6, protocol, l4, body);
                    let (mut buffers, ranges) = cut(&long, size);
                    let (train, offload, frame) = joined(&mut buffers, &ranges).unwrap();
                    let found = Transport::of(&frame).unwrap();
                    assert_eq!(train.count().0, body.div_ceil(size));
                    assert!(offload.unfinished);
                    assert_eq!((usize::from(offload.size), usize::from(offload.headers)), (size, found.l4 + l4));
                    // But for the checksum, which is left to whoever cuts it up again.
                    let mut frame = frame;
                    offload.finish(&mut frame);
                    assert_eq!(frame, long, "{v6} {protocol} {l4} {body} {size}");
                }
            }
        }
    }

    #[test]
    fn what_differs_is_not_joined() {
        for v6 in [false, true] {
            for (protocol, l4) in [(TCP, 32), (UDP, 8)] {
                let long = right(v6, protocol, l4, 2000);
                let (mut buffers, ranges) = cut(&long, 1000);
                let found = Transport::of(buffers.get(1, ranges[1].clone())).unwrap();
                let body = found.l4 + l4;
                // Identification and PSH are free; what makes checksums wrong is not.
                let free = |at: usize| !v6 && (18..20).contains(&at) || protocol == TCP && at == found.l4 + 13;
                for at in (0..body + 3).filter(|at| !free(*at)) {
                    for bit in 0..8 {
                        buffers.slot(1)[ranges[1].start + at] ^= 1 << bit;
                        assert!(joined(&mut buffers, &ranges).is_none(), "{v6} {protocol} byte {at} bit {bit}");
                        // The same, with checksums that are right again.
                        let frame = &mut buffers.slot(1)[ranges[1].clone()];
                        let before = frame.to_vec();
                        repair(frame, &found, v6);
                        // A shorter one may be the last; the checksums are as they were.
                        let len = if v6 { 18..20 } else { 16..18 };
                        let repaired = len.contains(&at) || !v6 && (24..26).contains(&at);
                        if at < found.l4 + 4 && !repaired {
                            assert!(joined(&mut buffers, &ranges).is_none(), "{v6} {protocol} byte {at} bit {bit}");
                        }
                        buffers.slot(1)[ranges[1].clone()].copy_from_slice(&before);
                        buffers.slot(1)[ranges[1].start + at] ^= 1 << bit;
                    }
                }
                assert!(joined(&mut buffers, &ranges).is_some());
                // One that does not come next, and one that is longer than the first.
                let (buffers, ranges) = cut(&long, 1000);
                let mut train = Train::new(&buffers, 1, ranges[1].clone(), MTU, true).unwrap();
                assert_eq!(train.takes(&buffers, 0, ranges[0].clone()), protocol == UDP);
                if protocol == UDP {
                    let (buffers, ranges) = cut(&long, 800);
                    let mut train = Train::new(&buffers, 2, ranges[2].clone(), MTU, true).unwrap();
                    assert!(!train.takes(&buffers, 0, ranges[0].clone()));
                }
            }
        }
    }

    /// Writes both checksums anew.
    fn repair(frame: &mut [u8], found: &Transport, v6: bool) {
        if !v6 {
            frame[24..26].fill(0);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        let at = found.checksum();
        frame[at..at + 2].fill(0);
        if let Some(now) = Transport::of(frame).filter(|now| now.l4 == found.l4) {
            let sum = now.pseudo(now.end - now.l4).add_bytes(&frame[now.l4..now.end]).finish();
            frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
    }

    #[test]
    fn the_last_one_ends_it() {
        let long = right(false, TCP, 20, 2500);
        let (mut buffers, ranges) = cut(&long, 1000);
        // Shorter than the others, or pushed.
        let mut train = Train::new(&buffers, 0, ranges[0].clone(), MTU, true).unwrap();
        assert!((1..3).all(|slot| train.takes(&buffers, slot, ranges[slot].clone())) && !train.open);
        buffers.slot(0)[ranges[0].start + 47] |= PSH;
        repair(&mut buffers.slot(0)[ranges[0].clone()], &Transport::of(&long).unwrap(), false);
        assert!(joined(&mut buffers, &ranges).is_none());
    }

    #[test]
    fn a_long_segment_of_this_machine_is_cut_to_the_mtu() {
        let long = right(true, TCP, 32, 20_000);
        let mut buffers = Buffers::new();
        let range = Buffers::filled(long.len());
        buffers.slot(0)[range.clone()].copy_from_slice(&long);
        let (_, offload, frame) = joined(&mut buffers, &[range]).unwrap();
        assert_eq!((usize::from(offload.size), offload.cut), (1450 - 40 - 32, Offload::CUT_TCP_V6));
        assert_eq!(frame.len(), long.len());
    }

    #[test]
    fn others_have_no_train() {
        let whole = right(false, UDP, 8, 100);
        let mut buffers = Buffers::new();
        for len in 0..whole.len() {
            let range = Buffers::filled(len);
            buffers.slot(0)[range.clone()].copy_from_slice(&whole[..len]);
            assert!(Train::new(&buffers, 0, range, MTU, true).is_none(), "{len}");
        }
        let range = Buffers::filled(whole.len());
        buffers.slot(0)[range.clone()].copy_from_slice(&whole);
        assert!(Train::new(&buffers, 0, range.clone(), MTU, false).is_none());
        assert!(Train::new(&buffers, 0, range.clone(), MTU, true).is_some());
        // May be fragmented.
        buffers.slot(0)[range.start + 20] = 0;
        assert!(Train::new(&buffers, 0, range, MTU, true).is_none());
    }
}
