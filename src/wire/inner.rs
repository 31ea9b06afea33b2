//! The frame a tunnel carries, looked at once.
//!
//! Forwarding, ECN, TTL and DF inheritance, the MTU check and the flow hash all need a few fields of the
//! inner frame. [`Inner`] holds exactly those, so that no later stage walks tags or headers again.

use super::inner_walk::{
    DF, ETHERTYPE, FRAGMENT, KIND, L4, PROTOCOL, TAGS, TCI, TOS, TPID, TTL, Walked, be64, ipv4_packet, ipv4_word,
    ipv6_packet, octet, pair, walk,
};
use super::{EtherType, Layer, MacAddr, Reason, WireError, ethernet, ipv4};

/// What a decision needs to know about an inner frame or packet; 32 bytes.
///
/// Made by [`Inner::parse_ethernet`] or [`Inner::parse_ip`]. What comes from the IP header is 0 or false
/// where [`Inner::ip`] is neither [`IpKind::V4`] nor [`IpKind::V6`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inner {
    // Four whole words, since a summary of small fields would be stored byte by byte and stall whoever
    // then loads a wider piece of it.
    dst: u64,
    src: u64,
    /// From the top: TPID, TCI, EtherType, L3 offset; 16 bits each.
    link: u64,
    /// From the top: IpKind 8, TOS 8, L4 offset 16, TTL 8, protocol 8, flags 8, tags 8.
    ip: u64,
}

/// The state of the IP header in an inner frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum IpKind {
    /// The type is neither IPv4 nor IPv6.
    None = 0,
    /// A sound IPv4 header: version 4, at least 20 bytes, all of them present.
    V4 = 1,
    /// A sound IPv6 header: version 6 and 40 bytes. Its extension headers may still be cut off.
    V6 = 2,
    /// Announced by the type, but fewer than 20 (IPv4) or 40 (IPv6) bytes follow.
    Short = 3,
    /// Long enough, but of another version, or its header length is below 20 or passes the end.
    Malformed = 4,
}

/// What the bytes a tunnel carries start with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum FrameKind {
    /// An Ethernet header.
    #[default]
    Ethernet = 0,
    /// An IPv4 or IPv6 header.
    Ip = 1,
}

impl Inner {
    /// The summary of nothing at all.
    pub(crate) const NOTHING: Self = Self { dst: 0, src: 0, link: 0, ip: 0 };

    /// [`Inner::parse_ethernet`] or [`Inner::parse_ip`].
    ///
    /// # Errors
    ///
    /// Theirs.
    #[inline]
    pub fn parse(kind: FrameKind, bytes: &[u8]) -> Result<Self, WireError> {
        match kind {
            FrameKind::Ethernet => Self::parse_ethernet(bytes),
            FrameKind::Ip => Self::parse_ip(bytes),
        }
    }

    /// Looks at an Ethernet frame without its FCS.
    ///
    /// A bad IP header is told by [`Inner::ip`] and is no error: whether such a frame is forwarded is for
    /// the caller to decide. One bounds check for an untagged IPv4 frame without IP options.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 14 bytes ([`Layer::Inner`]) or inside an announced tag ([`Layer::Vlan`]).
    #[inline(always)]
    pub fn parse_ethernet(frame: &[u8]) -> Result<Self, WireError> {
        if let Some(start) = frame.first_chunk::<{ ethernet::HEADER_LEN + ipv4::HEADER_LEN }>() {
            let source = be64(start, 6);
            let words = be64(start, 14);
            // Type 0x0800, then version 4 with five words of header.
            if source & 0xffff == 0x0800 && words >> 56 == 0x45 {
                return Ok(Self {
                    dst: be64(start, 0) >> 16,
                    src: source >> 16,
                    link: 0x0800 << ETHERTYPE | 14,
                    ip: ipv4_word(words, [start[22], start[23]], 34),
                });
            }
        }
        Self::parse_uncommon(frame)
    }

    /// [`Inner::parse_ethernet`] without trying the straight line first.
    #[inline(always)]
    pub(crate) fn parse_uncommon(frame: &[u8]) -> Result<Self, WireError> {
        let Walked { ip, link, src, dst, error } = walk(frame);
        if let Some(error) = error {
            return Err(error);
        }
        Ok(Self { dst, src, link, ip })
    }

    /// Looks at addresses and EtherType of an Ethernet frame, and at nothing behind them: a tag's TPID is a type as any.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 14 bytes.
    pub(crate) fn parse_link(frame: &[u8]) -> Result<Self, WireError> {
        let Some(start) = frame.first_chunk::<{ ethernet::HEADER_LEN }>() else {
            return Err(WireError::truncated(Layer::Inner, 0, 14));
        };
        let source = be64(start, 6);
        Ok(Self { dst: be64(start, 0) >> 16, src: source >> 16, link: (source & 0xffff) << ETHERTYPE | 14, ip: 0 })
    }

    /// Looks at an IPv4 or IPv6 packet (Geneve and GPE carry them without Ethernet).
    ///
    /// The first four bits choose the version, and [`Inner::ethertype`] follows them.
    ///
    /// # Errors
    ///
    /// [`Layer::Inner`] with [`Reason::Truncated`] for no bytes at all, [`Reason::UnknownVersion`] for
    /// versions other than 4 and 6.
    #[inline]
    pub fn parse_ip(packet: &[u8]) -> Result<Self, WireError> {
        let (ethertype, ip) = match packet.first().map(|byte| byte >> 4) {
            Some(4) => (EtherType::IPV4, ipv4_packet(packet, 0)),
            Some(6) => (EtherType::IPV6, ipv6_packet(packet, 0)),
            Some(_) => return Err(WireError::new(Layer::Inner, Reason::UnknownVersion, 0)),
            None => return Err(WireError::truncated(Layer::Inner, 0, 1)),
        };
        Ok(Self { dst: 0, src: 0, link: u64::from(ethertype.0) << ETHERTYPE, ip })
    }

    /// The destination address; [`MacAddr::ZERO`] for an IP packet.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> MacAddr {
        MacAddr::from_u64(self.dst)
    }

    /// The source address; [`MacAddr::ZERO`] for an IP packet.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> MacAddr {
        MacAddr::from_u64(self.src)
    }

    /// The destination address as [`MacAddr::to_u64`] gives it, ready to be a table key.
    #[inline]
    #[must_use]
    pub const fn dst_key(&self) -> u64 {
        self.dst
    }

    /// The source address as [`MacAddr::to_u64`] gives it, ready to be a table key.
    #[inline]
    #[must_use]
    pub const fn src_key(&self) -> u64 {
        self.src
    }

    /// VLAN tags, 0 to 3.
    #[inline]
    #[must_use]
    pub const fn tags(&self) -> u8 {
        octet(self.ip, TAGS)
    }

    /// The outermost tag's TPID; 0 without tags.
    #[inline]
    #[must_use]
    pub const fn tpid(&self) -> EtherType {
        EtherType(pair(self.link, TPID))
    }

    /// The outermost tag's PCP, DEI and VID; 0 without tags.
    #[inline]
    #[must_use]
    pub const fn tci(&self) -> u16 {
        pair(self.link, TCI)
    }

    /// The outermost tag's VLAN identifier, 0 to 4095; `None` without tags.
    #[inline]
    #[must_use]
    pub const fn vid(&self) -> Option<u16> {
        if self.tags() == 0 { None } else { Some(self.tci() & 0xfff) }
    }

    /// The type after the tags: 802.3 lengths are kept as they are, a fourth tag shows as its TPID.
    #[inline]
    #[must_use]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(pair(self.link, ETHERTYPE))
    }

    /// Byte offset of what follows the Ethernet header and its tags: 14, 18, 22 or 26; 0 for an IP packet.
    #[inline]
    #[must_use]
    pub const fn l3(&self) -> u16 {
        pair(self.link, 0)
    }

    /// What the IP header at [`Inner::l3`] is like.
    #[inline]
    #[must_use]
    pub const fn ip(&self) -> IpKind {
        match octet(self.ip, KIND) {
            0 => IpKind::None,
            1 => IpKind::V4,
            2 => IpKind::V6,
            3 => IpKind::Short,
            _ => IpKind::Malformed,
        }
    }

    /// IPv4 TOS or IPv6 traffic class: DSCP in the upper six bits, ECN in the lower two.
    #[inline]
    #[must_use]
    pub const fn tos(&self) -> u8 {
        octet(self.ip, TOS)
    }

    /// IPv4 TTL or IPv6 hop limit.
    #[inline]
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        octet(self.ip, TTL)
    }

    /// Whether routers may not fragment it: IPv4's DF bit, always for IPv6.
    #[inline]
    #[must_use]
    pub const fn df(&self) -> bool {
        self.ip & DF != 0
    }

    /// Whether it is a part of an IP datagram only, the first part included.
    ///
    /// An IPv6 fragment header with offset 0 and no more to come ("atomic", RFC 6946) is a whole datagram.
    #[inline]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.ip & FRAGMENT != 0
    }

    /// IPv4 protocol, or the IPv6 next header at which the walk over extension headers ended.
    ///
    /// The walk ends early at a fragment, where the bytes end, and after eight extension headers.
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        octet(self.ip, PROTOCOL)
    }

    /// Byte offset of what follows the IP headers, at most the frame's length; 0 where unknown and in
    /// fragments.
    #[inline]
    #[must_use]
    pub const fn l4(&self) -> u16 {
        pair(self.ip, L4)
    }
}

impl core::fmt::Debug for Inner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inner")
            .field("dst", &self.dst())
            .field("src", &self.src())
            .field("tags", &self.tags())
            .field("tpid", &self.tpid())
            .field("tci", &self.tci())
            .field("ethertype", &self.ethertype())
            .field("l3", &self.l3())
            .field("ip", &self.ip())
            .field("tos", &self.tos())
            .field("ttl", &self.ttl())
            .field("df", &self.df())
            .field("fragment", &self.is_fragment())
            .field("protocol", &self.protocol())
            .field("l4", &self.l4())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Inner {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Inner {{ dst: {}, src: {}, tags: {}, tci: {=u16:#x}, ethertype: {}, ip: {}, tos: {=u8:#x}, ttl: {}, protocol: {} }}",
            self.dst(),
            self.src(),
            self.tags(),
            self.tci(),
            self.ethertype(),
            self.ip(),
            self.tos(),
            self.ttl(),
            self.protocol(),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const L2: [u8; 12] = [0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a];

    /// An Ethernet header with `tags` (TPID, TCI) and then `ethertype`.
    fn ethernet(tags: &[(u16, u16)], ethertype: u16) -> Vec<u8> {
        let mut frame = L2.to_vec();
        for (tpid, tci) in tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame
    }

    /// An IPv4 header of `words` words with TOS 0xb9 and TTL 63; the fragment word is `flags`.
    fn ipv4(words: u8, flags: u16, protocol: u8) -> Vec<u8> {
        let mut header = std::vec![0x40 | words, 0xb9, 0, 60, 0x12, 0x34];
        header.extend(flags.to_be_bytes());
        header.extend([63, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        header.resize(usize::from(words) * 4, 1);
        header
    }

    /// An IPv6 header with traffic class 0xb9 and hop limit 63.
    fn ipv6(next: u8) -> Vec<u8> {
        let mut header = std::vec![0x6b, 0x9a, 0xbc, 0xde, 0, 0, next, 63];
        header.extend([0x20; 32]);
        header
    }

    fn parse(parts: &[&[u8]]) -> Inner {
        Inner::parse_ethernet(&parts.concat()).unwrap()
    }

    #[test]
    fn is_small() {
        assert_eq!(size_of::<Inner>(), 32);
    }

    #[test]
    fn reads_every_field_of_an_untagged_ipv4_frame() {
        let frame = [&ethernet(&[], 0x0800)[..], &ipv4(5, 0x4000, 17), &[0; 8]].concat();
        let inner = Inner::parse_ethernet(&frame).unwrap();
        assert_eq!((inner.dst_key(), inner.src_key()), (0x0200_0000_000b, 0x0200_0000_000a));
        assert_eq!((inner.tags(), inner.tpid(), inner.tci()), (0, EtherType(0), 0));
        assert_eq!((inner.ethertype(), inner.l3(), inner.l4()), (EtherType::IPV4, 14, 34));
        assert_eq!((inner.ip(), inner.tos(), inner.ttl()), (IpKind::V4, 0xb9, 63));
        assert_eq!((inner.protocol(), inner.df(), inner.is_fragment()), (17, true, false));
        assert_eq!(inner.dst(), MacAddr([2, 0, 0, 0, 0, 0x0b]));
        assert_eq!(inner.src(), MacAddr([2, 0, 0, 0, 0, 0x0a]));
        assert_eq!(inner.vid(), None);
    }

    #[test]
    fn follows_three_tags_and_leaves_the_fourth() {
        for (tags, l3) in [(0_u8, 14), (1, 18), (2, 22), (3, 26)] {
            let stack = &[(0x88a8, 0x6123), (0x8100, 0x0004), (0x8100, 5)][..usize::from(tags)];
            let inner = parse(&[&ethernet(stack, 0x0800), &ipv4(5, 0, 6), &[0; 20]]);
            assert_eq!((inner.tags(), inner.l3(), inner.l4(), inner.ip()), (tags, l3, l3 + 20, IpKind::V4));
            assert_eq!(inner.ethertype(), EtherType::IPV4);
            let (tpid, tci) = stack.first().copied().unwrap_or_default();
            assert_eq!((inner.tpid(), inner.tci()), (EtherType(tpid), tci));
            assert_eq!(inner.vid(), (tags > 0).then_some(0x123));
        }
        let inner = parse(&[&ethernet(&[(0x8100, 1), (0x8100, 2), (0x8100, 3), (0x88a8, 4)], 0x0800), &ipv4(5, 0, 6)]);
        assert_eq!((inner.tags(), inner.ethertype(), inner.l3(), inner.ip()), (3, EtherType::QINQ, 26, IpKind::None));
    }

    #[test]
    fn ipv4_options_move_the_payload() {
        for words in 5..=15 {
            let inner = parse(&[&ethernet(&[], 0x0800), &ipv4(words, 0, 6)]);
            assert_eq!((inner.ip(), inner.l4()), (IpKind::V4, 14 + u16::from(words) * 4));
        }
    }

    #[test]
    fn any_part_of_an_ipv4_datagram_is_a_fragment() {
        for (flags, fragment) in
            [(0, false), (0x4000, false), (0x8000, false), (0x2000, true), (1, true), (0x1fff, true)]
        {
            for words in [5, 6] {
                let inner = parse(&[&ethernet(&[], 0x0800), &ipv4(words, flags, 17)]);
                assert_eq!((inner.is_fragment(), inner.l4() == 0), (fragment, fragment), "{flags:#x}");
                assert_eq!((inner.df(), inner.protocol()), (flags & 0x4000 != 0, 17));
            }
        }
    }

    #[test]
    fn names_what_is_wrong_with_an_ip_header() {
        let with = |ethertype, bytes: &[u8]| parse(&[&ethernet(&[], ethertype), bytes]).ip();
        for len in 0..20 {
            assert_eq!(with(0x0800, &ipv4(5, 0, 6)[..len]), IpKind::Short);
        }
        for len in 20..60 {
            assert_eq!(with(0x0800, &ipv4(15, 0, 6)[..len]), IpKind::Malformed);
        }
        for first in [0x44, 0x40, 0x65, 0x35, 0xf5] {
            let mut header = ipv4(5, 0, 6);
            header[0] = first;
            assert_eq!(with(0x0800, &header), IpKind::Malformed);
        }
        for len in 0..40 {
            assert_eq!(with(0x86dd, &ipv6(6)[..len]), IpKind::Short);
        }
        let mut header = ipv6(6);
        header[0] = 0x45;
        assert_eq!(with(0x86dd, &header), IpKind::Malformed);
        assert_eq!(with(0x0806, &ipv4(5, 0, 6)), IpKind::None);
        assert_eq!(with(0x05dc, &ipv4(5, 0, 6)), IpKind::None);
    }

    #[test]
    fn reads_ipv6_and_skips_extension_headers() {
        let inner = parse(&[&ethernet(&[], 0x86dd), &ipv6(17), &[0; 8]]);
        assert_eq!((inner.ip(), inner.tos(), inner.ttl()), (IpKind::V6, 0xb9, 63));
        assert_eq!((inner.protocol(), inner.l4(), inner.df(), inner.is_fragment()), (17, 54, true, false));

        // Hop-by-hop (16 bytes), routing (8), AH (24), destination options (8), then TCP.
        let mut chain = Vec::new();
        chain.extend([43, 1].iter().chain(&[9; 14]));
        chain.extend([51, 0].iter().chain(&[9; 6]));
        chain.extend([60, 4].iter().chain(&[9; 22]));
        chain.extend([6, 0].iter().chain(&[9; 6]));
        let inner = parse(&[&ethernet(&[(0x8100, 7)], 0x86dd), &ipv6(0), &chain]);
        assert_eq!((inner.protocol(), inner.l4()), (6, 18 + 40 + 56));
        for len in 0..chain.len() {
            let inner = parse(&[&ethernet(&[], 0x86dd), &ipv6(0), &chain[..len]]);
            let reached = [0, 43, 51, 60][[16, 24, 48].iter().filter(|end| len >= **end).count()];
            assert_eq!((inner.ip(), inner.protocol(), inner.l4()), (IpKind::V6, reached, 0), "{len}");
        }
    }

    #[test]
    fn stops_after_eight_extension_headers() {
        for count in 0..12_u8 {
            let mut chain = Vec::new();
            for i in 1..=count {
                chain.extend([if i == count { 17 } else { 60 }, 0, 0, 0, 0, 0, 0, 0]);
            }
            let inner = parse(&[&ethernet(&[], 0x86dd), &ipv6(if count == 0 { 17 } else { 60 }), &chain]);
            let l4 = if count <= 8 { 54 + u16::from(count) * 8 } else { 0 };
            assert_eq!((inner.l4(), inner.protocol()), (l4, if count <= 8 { 17 } else { 60 }));
        }
    }

    #[test]
    fn ipv6_fragments_have_no_payload_offset_and_atomic_ones_do() {
        for (word, fragment) in [(0_u16, false), (0x0006, false), (0x0001, true), (0x0008, true), (0xfff8, true)] {
            let [a, b] = word.to_be_bytes();
            let inner = parse(&[&ethernet(&[], 0x86dd), &ipv6(44), &[17, 0xff, a, b, 1, 2, 3, 4]]);
            assert_eq!((inner.is_fragment(), inner.protocol()), (fragment, 17), "{word:#x}");
            assert_eq!(inner.l4(), if fragment { 0 } else { 62 });
        }
    }

    #[test]
    fn names_every_truncation() {
        let frame = ethernet(&[(0x88a8, 1), (0x8100, 2), (0x8100, 3)], 0x0806);
        for len in 0..frame.len() {
            let error = match len {
                0..14 => WireError::truncated(Layer::Inner, 0, 14),
                14..18 => WireError::truncated(Layer::Vlan, 14, 4),
                18..22 => WireError::truncated(Layer::Vlan, 18, 4),
                _ => WireError::truncated(Layer::Vlan, 22, 4),
            };
            assert_eq!(Inner::parse_ethernet(&frame[..len]), Err(error), "{len}");
        }
        assert!(Inner::parse_ethernet(&frame).is_ok());
    }

    #[test]
    fn parses_packets_without_ethernet() {
        let inner = Inner::parse_ip(&ipv4(6, 0, 17)).unwrap();
        assert_eq!((inner.ethertype(), inner.ip(), inner.l3(), inner.l4()), (EtherType::IPV4, IpKind::V4, 0, 24));
        assert_eq!((inner.dst(), inner.src(), inner.tags()), (MacAddr::ZERO, MacAddr::ZERO, 0));
        let inner = Inner::parse_ip(&ipv6(6)).unwrap();
        assert_eq!((inner.ethertype(), inner.ip(), inner.l3(), inner.l4()), (EtherType::IPV6, IpKind::V6, 0, 40));
        assert_eq!(Inner::parse_ip(&ipv6(6)[..39]).unwrap().ip(), IpKind::Short);
        assert_eq!(Inner::parse_ip(&[]), Err(WireError::truncated(Layer::Inner, 0, 1)));
        assert_eq!(Inner::parse_ip(&[0x55]), Err(WireError::new(Layer::Inner, Reason::UnknownVersion, 0)));
    }

    proptest! {
        /// The straight line and the walk say the same, and what they say of offsets holds.
        #[test]
        fn both_paths_agree(
            ethertype in prop_oneof![Just(0x0800_u16), Just(0x86dd), Just(0x8100), any::<u16>()],
            first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
            mut frame in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            if let Some(start) = frame.get_mut(12..15) {
                let [a, b] = ethertype.to_be_bytes();
                start.copy_from_slice(&[a, b, first]);
            }
            let inner = Inner::parse_ethernet(&frame);
            let Walked { error, ip, link, src, dst } = walk(&frame);
            prop_assert_eq!(inner, error.map_or(Ok(Inner { dst, src, link, ip }), Err));
            if let Ok(inner) = inner {
                prop_assert!(usize::from(inner.l3()) <= frame.len());
                prop_assert!(usize::from(inner.l4()) <= frame.len());
                prop_assert!(inner.dst_key() >> 48 == 0 && inner.src_key() >> 48 == 0);
            }
            let _ = Inner::parse_ip(&frame);
        }
    }
}
