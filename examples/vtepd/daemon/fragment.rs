//! IPv4 fragmentation: the kernel does not do it for raw sockets.
//!
//! Only profile `linux` needs it, and only without the don't-fragment bit: RFC 7348 section 4.3 forbids VTEPs to fragment.

use std::ops::Range;

use vtep::wire::checksum::checksum;

/// Bytes of an IPv4 header, which never has options here.
pub const HEADER: usize = 20;
/// Fragments start at multiples of this.
const UNIT: usize = 8;
const DONT_FRAGMENT: u8 = 0x40;
const MORE_FRAGMENTS: u8 = 0x20;

/// The header of a packet of `len` bytes that is too long for `mtu` and may be fragmented.
pub fn too_long(packet: &[u8], len: usize, mtu: u16) -> Option<[u8; HEADER]> {
    if len <= usize::from(mtu) {
        return None;
    }
    let header = *packet.first_chunk::<HEADER>()?;
    (header[0] == 0x45 && header[6] & DONT_FRAGMENT == 0 && usize::from(mtu) >= HEADER + UNIT).then_some(header)
}

/// The headers of a packet's fragments, and which part of its `payload` bytes each carries.
pub fn fragments(
    mut header: [u8; HEADER],
    payload: usize,
    mtu: u16,
) -> impl Iterator<Item = ([u8; HEADER], Range<usize>)> {
    let most = (usize::from(mtu) - HEADER) / UNIT * UNIT;
    if header[4..6] == [0, 0] {
        // The kernel would give each fragment an identification of its own.
        header[4..6].copy_from_slice(&[0xff, 0xff]);
    }
    (0..payload).step_by(most).map(move |start| {
        let end = payload.min(start + most);
        let offset = ((start / UNIT) as u16).to_be_bytes();
        header[2..4].copy_from_slice(&((HEADER + end - start) as u16).to_be_bytes());
        header[6] = offset[0] | if end < payload { MORE_FRAGMENTS } else { 0 };
        header[7] = offset[1];
        header[10..12].fill(0);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        (header, start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use vtep::wire::ipv4;

    fn packet(len: usize, dont_fragment: bool) -> Vec<u8> {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let fields = ipv4::Fields { src, dst, protocol: 17, ttl: 64, tos: 4, ident: 0, dont_fragment };
        let mut packet = vec![0; len];
        fields.emit(len - HEADER, &mut packet).unwrap();
        packet
    }

    #[test]
    fn only_what_is_too_long_and_may_be_is_fragmented() {
        assert!(too_long(&packet(1500, false), 1500, 1500).is_none());
        assert!(too_long(&packet(1501, true), 1501, 1500).is_none());
        assert!(too_long(&packet(1501, false), 1501, 1500).is_some());
        assert!(too_long(&[0x60; 40], 2000, 1500).is_none());
        assert!(too_long(&packet(100, false), 100, 20).is_none());
    }

    #[test]
    fn fragments_make_the_packet() {
        for (len, mtu) in [(1501, 1500), (4000, 1500), (9000, 68), (65_535, 1499)] {
            let header = too_long(&packet(len, false), len, mtu).unwrap();
            let mut at = 0;
            let mut last = false;
            for (header, part) in fragments(header, len - HEADER, mtu) {
                assert!(!last && part.start == at && HEADER + part.len() <= usize::from(mtu));
                at = part.end;
                let mut bytes = header.to_vec();
                bytes.resize(HEADER + part.len(), 0);
                let parsed = ipv4::Packet::parse(&bytes, false).unwrap();
                assert!(parsed.checksum_ok());
                assert_eq!(usize::from(parsed.header.fragment_offset()), part.start);
                assert_ne!(parsed.header.ident(), 0);
                last = !parsed.header.more_fragments();
            }
            assert!(last && at == len - HEADER);
        }
    }
}
