//! Entropy for the underlay: a hash of the inner flow, and the UDP source port made from it.
//!
//! Routers of the underlay spread tunnelled traffic by the outer source port alone (RFC 7348 section 5,
//! RFC 8926 section 3.3). Packets of one inner flow must share it, or they are reordered; different flows
//! should not.

use super::{Inner, IpKind};

/// A hash of the inner flow: its upper bits are as good as its lower ones.
///
/// `inner` is the summary of `frame` (a packet without Ethernet likewise). What identifies the flow:
///
/// | inner packet | hashed |
/// |---|---|
/// | TCP, UDP, DCCP, SCTP, UDP-Lite, not fragmented | addresses, protocol, ports |
/// | other protocols; extension headers not followed to the end | addresses, protocol |
/// | IPv4 fragments, the first included | addresses, protocol |
/// | IPv6 fragments, the first included | addresses |
/// | anything else, ARP and bad IP headers included | MAC addresses, EtherType, outermost VID |
///
/// IPv6 fragments leave the protocol out since it may differ between the parts of one datagram (RFC 8200
/// section 4.5). The IPv6 flow label is not looked at. The same on every target for one `seed`. Cost: two
/// folded multiplications, four for IPv6.
#[inline]
#[must_use]
pub fn flow_hash(seed: u64, inner: &Inner, frame: &[u8]) -> u32 {
    // The commonest packet: untagged IPv4 without options, where both reads stand at a fixed place.
    if inner.l4() == 34 && matches!(inner.ip(), IpKind::V4) && matches!(inner.protocol(), TCP | UDP) {
        if let Some(start) = frame.first_chunk::<38>() {
            let [.., a, b, c, d, e, f, g, h, i, j, k, l] = *start;
            let addresses = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            return v4_flow_hash(seed, addresses, inner.protocol(), [i, j, k, l]);
        }
    }
    // By value, so that a summary held in registers stays there for the case above.
    other_flow_hash(seed, *inner, frame)
}

/// The UDP source ports that entropy may use, both ends included.
///
/// ```
/// # use vtep::wire::flow::PortRange;
/// let ports = PortRange::default();
/// assert_eq!((ports.min(), ports.max()), (49152, 65535));
/// assert_eq!((ports.map(0), ports.map(u32::MAX)), (49152, 65535));
/// assert_eq!(PortRange::new(2, 1), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortRange {
    min: u16,
    max: u16,
}

impl PortRange {
    /// The dynamic ports, 49152 to 65535, as RFC 7348 section 5 recommends; RFC 8926 section 3.3 also allows
    /// all 65536.
    pub const DYNAMIC: Self = Self { min: 49152, max: 65535 };
    /// 32768 to 60999: what Linux uses unless told otherwise.
    pub const LINUX: Self = Self { min: 32768, max: 60999 };

    /// The ports from `min` to `max`, or `None` if `min` is the greater.
    #[must_use]
    pub const fn new(min: u16, max: u16) -> Option<Self> {
        if min <= max { Some(Self { min, max }) } else { None }
    }

    /// The lowest port.
    #[inline]
    #[must_use]
    pub const fn min(self) -> u16 {
        self.min
    }

    /// The highest port.
    #[inline]
    #[must_use]
    pub const fn max(self) -> u16 {
        self.max
    }

    /// The port for a flow: each gets an equal share of all hashes, up to one part in 65536.
    #[inline]
    #[must_use]
    pub const fn map(self, hash: u32) -> u16 {
        let ports = (self.max as u64).wrapping_sub(self.min as u64).wrapping_add(1);
        // At most 65536 * (2^32 - 1): the share is in bits 32 to 47.
        self.min.wrapping_add((ports.wrapping_mul(hash as u64) >> 32 & 0xffff) as u16)
    }
}

impl Default for PortRange {
    fn default() -> Self {
        Self::DYNAMIC
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for PortRange {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (a, b): (u16, u16) = u.arbitrary()?;
        Ok(Self { min: a.min(b), max: a.max(b) })
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const FRAGMENT: u8 = 44;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// The fraction of pi: constants that nobody chose.
const PI: [u64; 4] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];

/// The hash of an IPv4 packet from its addresses, its protocol and the four bytes after its header; what these are does
/// not matter where they are no ports, and they are to be 0 in fragments.
#[inline(always)]
pub(super) fn v4_flow_hash(seed: u64, addresses: u64, protocol: u8, ports: [u8; 4]) -> u32 {
    let ports = if has_ports(protocol) { ports } else { [0; 4] };
    finish(seed, addresses, transport(protocol, ports))
}

#[inline(always)]
const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE)
}

#[inline(never)]
fn other_flow_hash(seed: u64, inner: Inner, frame: &[u8]) -> u32 {
    let l3 = usize::from(inner.l3());
    let ports = match inner.l4() {
        l4 if l4 != 0 && has_ports(inner.protocol()) => read(frame, usize::from(l4)).unwrap_or_default(),
        _ => [0; 4],
    };
    match inner.ip() {
        IpKind::V4 => {
            if let Some(addresses) = read(frame, l3.saturating_add(12)) {
                return finish(seed, u64::from_be_bytes(addresses), transport(inner.protocol(), ports));
            }
        }
        IpKind::V6 => {
            let addresses = (read(frame, l3.saturating_add(8)), read(frame, l3.saturating_add(24)));
            if let (Some(src), Some(dst)) = addresses {
                let protocol = if inner.is_fragment() { FRAGMENT } else { inner.protocol() };
                return finish(seed, fold_addresses(seed, src, dst), transport(protocol, ports));
            }
        }
        IpKind::None | IpKind::Short | IpKind::Malformed => {}
    }
    // Set apart from the VID 0 of a priority tag.
    let tag = inner.vid().map_or(0, |vid| vid | 0x1000);
    finish(seed, inner.dst_key() | u64::from(tag) << 48, inner.src_key() | u64::from(inner.ethertype().0) << 48)
}

/// The transport's share of a flow: 40 bits.
#[inline]
fn transport(protocol: u8, ports: [u8; 4]) -> u64 {
    u64::from(u32::from_be_bytes(ports)) << 8 | u64::from(protocol)
}

#[inline]
fn fold_addresses(seed: u64, src: [u8; 16], dst: [u8; 16]) -> u64 {
    let [src_high, src_low] = halves(src);
    let [dst_high, dst_low] = halves(dst);
    let src = fold(src_high ^ seed ^ PI[2], src_low ^ PI[3]);
    let dst = fold(dst_high ^ seed ^ PI[3], dst_low ^ PI[0]);
    // Two hosts talking to each other must not cancel out.
    src ^ dst.rotate_left(29)
}

#[inline]
fn halves(address: [u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address;
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes([i, j, k, l, m, n, o, p])]
}

#[inline]
fn finish(seed: u64, a: u64, b: u64) -> u32 {
    let first = fold(a ^ seed ^ PI[0], b ^ seed.rotate_left(32) ^ PI[1]);
    let [a, b, c, d, _, _, _, _] = fold(first ^ PI[2], PI[3]).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Both halves of the 128-bit product, one over the other: every bit of both factors counts.
#[inline]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product >> 64) as u64 ^ a.wrapping_mul(b)
}

#[inline]
fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const SEED: u64 = 0x0123_4567_89ab_cdef;

    fn hash(frame: &[u8]) -> u32 {
        flow_hash(SEED, &Inner::parse_ethernet(frame).unwrap(), frame)
    }

    fn port(frame: &[u8]) -> u16 {
        PortRange::DYNAMIC.map(hash(frame))
    }

    /// A frame with `tags` VLAN tags of VID 5 and `packet` in it.
    fn frame(tags: usize, ethertype: u16, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for _ in 0..tags {
            frame.extend([0x81, 0, 0, 5]);
        }
        frame.extend(ethertype.to_be_bytes());
        frame.extend(packet);
        frame
    }

    /// An IPv4 packet from 10.0.x.x to 10.1.0.1; `flags` is the word with the fragment offset.
    fn ipv4(src: u16, flags: u16, protocol: u8, ports: u32) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0x77, 0x77];
        packet.extend(flags.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0]);
        packet.extend(src.to_be_bytes());
        packet.extend([10, 1, 0, 1]);
        packet.extend(ports.to_be_bytes());
        packet.extend([0; 4]);
        packet
    }

    /// An IPv6 packet from 2001:db8::x to 2001:db8:1::1.
    fn ipv6(src: u16, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(src.to_be_bytes());
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend(payload);
        packet
    }

    /// Numbers that any change of the hash changes; a change reorders traffic on an upgrade.
    #[test]
    fn golden_values_hold_on_every_target() {
        let udp = ipv4(1, 0, 17, 0x3039_0035);
        assert_eq!(hash(&frame(0, 0x0800, &udp)), 0x015a_e4bc);
        assert_eq!(flow_hash(0, &Inner::parse_ip(&udp).unwrap(), &udp), 0x0c6b_d081);
        assert_eq!(hash(&frame(0, 0x86dd, &ipv6(1, 6, &[0, 1, 0, 2]))), 0x6df1_d13a);
        assert_eq!(hash(&frame(0, 0x0806, &[0; 28])), 0xa91b_304b);
        assert_eq!(hash(&frame(1, 0x0806, &[0; 28])), 0xd1ef_c05d);
    }

    #[test]
    fn only_what_identifies_a_flow_counts() {
        let plain = ipv4(1, 0, 6, 0x0102_0304);
        let expected = hash(&frame(0, 0x0800, &plain));
        // Length, identification, DF, TTL, checksum, payload, tags and IP options do not.
        let mut other = ipv4(1, 0x4000, 6, 0x0102_0304);
        for at in [1, 2, 3, 4, 5, 8, 10, 11, 24, 25, 26, 27] {
            other[at] ^= 0x55;
        }
        assert_eq!(hash(&frame(0, 0x0800, &other)), expected);
        assert_eq!(hash(&frame(2, 0x0800, &other)), expected);
        assert_eq!(flow_hash(SEED, &Inner::parse_ip(&other).unwrap(), &other), expected);
        other[0] = 0x46;
        other.splice(20..20, [1; 4]);
        assert_eq!(hash(&frame(0, 0x0800, &other)), expected);
        // Every bit of protocol, addresses and ports does.
        for bit in (9 * 8..10 * 8).chain(12 * 8..24 * 8) {
            let mut other = plain.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&frame(0, 0x0800, &other)), expected, "{bit}");
        }

        let plain = ipv6(1, 17, &[1, 2, 3, 4]);
        let expected = hash(&frame(0, 0x86dd, &plain));
        let mut other = plain.clone();
        for at in [1, 2, 3, 4, 5, 7] {
            other[at] ^= 0xf;
        }
        assert_eq!(hash(&frame(1, 0x86dd, &other)), expected);
        let options = ipv6(1, 60, &[17, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(hash(&frame(0, 0x86dd, &options)), expected);
        for bit in 8 * 8..44 * 8 {
            let mut other = plain.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&frame(0, 0x86dd, &other)), expected, "{bit}");
        }

        let plain = frame(1, 0x0806, &[0; 28]);
        let expected = hash(&plain);
        for bit in 0..18 * 8 {
            let mut other = plain.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            // PCP and DEI are no part of a flow; another TPID makes it another frame.
            assert_eq!(hash(&other) == expected, (14 * 8 + 4..15 * 8).contains(&bit), "{bit}");
        }
        assert_eq!(hash(&frame(1, 0x0806, &[7; 28])), expected);
        assert_ne!(flow_hash(SEED ^ 1, &Inner::parse_ethernet(&plain).unwrap(), &plain), expected);
    }

    #[test]
    fn all_fragments_of_a_datagram_hash_alike() {
        let first = hash(&frame(0, 0x0800, &ipv4(1, 0x2000, 17, 0x0102_0304)));
        for (flags, ports) in [(0x2000, 0x0505_0505), (0x2001, 0), (0x1fff, 0xffff_ffff), (0x0001, 0x0102_0304)] {
            assert_eq!(hash(&frame(0, 0x0800, &ipv4(1, flags, 17, ports))), first);
        }
        assert_ne!(hash(&frame(0, 0x0800, &ipv4(1, 0x2000, 6, 0x0102_0304))), first);

        let first = hash(&frame(0, 0x86dd, &ipv6(1, 44, &[17, 0, 0, 1, 1, 2, 3, 4, 1, 2, 3, 4])));
        for (next, offset) in [(17, 8), (6, 0xfff8), (60, 9)] {
            let [a, b] = u16::to_be_bytes(offset);
            let part = [next, 0, a, b, 9, 9, 9, 9, 7, 7, 7, 7];
            assert_eq!(hash(&frame(0, 0x86dd, &ipv6(1, 44, &part))), first);
        }
    }

    #[test]
    fn no_ports_are_read_where_there_are_none() {
        for protocol in [1, 2, 47, 50, 58, 89] {
            let of = |ports| hash(&frame(0, 0x0800, &ipv4(1, 0, protocol, ports)));
            assert_eq!(of(0x0102_0304), of(0x0506_0708));
        }
        for protocol in [6, 17, 33, 132, 136] {
            let of = |ports| hash(&frame(0, 0x0800, &ipv4(1, 0, protocol, ports)));
            assert_ne!(of(0x0102_0304), of(0x0506_0708));
        }
    }

    #[test]
    fn every_prefix_has_a_hash() {
        for whole in [frame(2, 0x0800, &ipv4(1, 0, 6, 7)), frame(0, 0x86dd, &ipv6(1, 0, &[6; 40]))] {
            for len in 14..=whole.len() {
                if let Ok(inner) = Inner::parse_ethernet(&whole[..len]) {
                    let _ = flow_hash(SEED, &inner, &whole[..len]);
                }
            }
            // A summary of another frame misleads the hash, and nothing else.
            let inner = Inner::parse_ethernet(&whole).unwrap();
            for len in 0..whole.len() {
                let _ = flow_hash(SEED, &inner, &whole[..len]);
            }
        }
    }

    /// Chi-square over `buckets` for `flows` ports; the mean is `buckets - 1`, the deviation
    /// `sqrt(2 * buckets)`.
    fn chi_square(buckets: u16, flows: u32, port_of: impl Fn(u32) -> u16) -> f64 {
        let mut counts = vec![0_u32; usize::from(buckets)];
        for flow in 0..flows {
            counts[usize::from(port_of(flow) - 49152) * usize::from(buckets) / 16384] += 1;
        }
        let mean = f64::from(flows) / f64::from(buckets);
        counts.iter().map(|count| (f64::from(*count) - mean).powi(2) / mean).sum()
    }

    fn low(number: u32) -> u16 {
        let [.., a, b] = number.to_be_bytes();
        u16::from_be_bytes([a, b])
    }

    #[test]
    fn flows_that_differ_little_spread_well() {
        type Make = fn(u32) -> Vec<u8>;
        let makes: [(&str, Make); 9] = [
            ("source ports", |i| frame(0, 0x0800, &ipv4(1, 0, 6, 0x8000_01bb + (i << 16)))),
            ("destination ports", |i| frame(0, 0x0800, &ipv4(1, 0, 17, 0x1234_0000 + i))),
            ("both ports", |i| frame(0, 0x0800, &ipv4(1, 0, 17, (i & 0xff) << 16 | i >> 8))),
            ("IPv4 sources", |i| frame(0, 0x0800, &ipv4(low(i), 0, 1, 0))),
            ("IPv6 sources", |i| frame(0, 0x86dd, &ipv6(low(i), 58, &[]))),
            ("IPv6 ports", |i| frame(0, 0x86dd, &ipv6(9, 6, &(0x8000_01bb + (i << 16)).to_be_bytes()))),
            ("IPv4 fragments", |i| frame(0, 0x0800, &ipv4(low(i), 1, 17, 0))),
            ("MACs", |i| {
                let mut frame = frame(0, 0x0806, &[0; 28]);
                frame[10..12].copy_from_slice(&low(i).to_be_bytes());
                frame
            }),
            ("VIDs and MACs", |i| {
                let mut frame = frame(1, 0x0806, &[0; 28]);
                frame[14..16].copy_from_slice(&(low(i) & 0xfff).to_be_bytes());
                frame[4..6].copy_from_slice(&low(i >> 12).to_be_bytes());
                frame
            }),
        ];
        for (what, make) in makes {
            for buckets in [2, 16, 256, 1024] {
                let chi = chi_square(buckets, 32768, |i| port(&make(i)));
                let mean = f64::from(buckets) - 1.0;
                // Six deviations: by chance about one test in a hundred million.
                assert!(chi < mean + 6.0 * (2.0 * mean).sqrt() + 6.0, "{what}, {buckets} buckets: {chi}");
            }
        }
    }

    #[test]
    fn ports_stay_in_their_range_and_reach_both_ends() {
        for (min, max) in [(0, 65535), (49152, 65535), (7, 7), (1, 2), (32768, 60999), (65535, 65535), (0, 0)] {
            let ports = PortRange::new(min, max).unwrap();
            assert_eq!((ports.min(), ports.max()), (min, max));
            assert_eq!((ports.map(0), ports.map(u32::MAX)), (min, max));
            let mut last = min;
            for step in 0..=65535_u32 {
                let port = ports.map(step << 16 | 0xffff);
                assert!((last..=max).contains(&port));
                last = port;
            }
        }
        assert_eq!(PortRange::new(9, 8), None);
        assert_eq!(PortRange::default(), PortRange::DYNAMIC);
    }
}
