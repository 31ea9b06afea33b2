//! ICMPv6 neighbour solicitation and advertisement (RFC 4861 sections 4.3 and 4.4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! | type 135, 136 |   code = 0    |           checksum            |
//! +-+-+-+---------+---------------+-------------------------------+
//! |R|S|O|                     reserved (29 bits)                  |
//! +-+-+-+---------------------------------------------------------+
//! |                   target address (128 bits)                   |
//! +---------------+---------------+-------------------------------+
//! |  option type  | length (8 B)  |  option data ...              |
//! +---------------+---------------+-------------------------------+
//! ```
//!
//! R, S and O are an advertisement's; a solicitation has them reserved. An option's length counts 8-byte
//! blocks and includes its type and length.

use core::net::Ipv6Addr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::Sum;
use super::{Layer, MacAddr, Reason, WireError, ipv6};

/// Bytes of a message without options; it follows the IPv6 headers.
pub const HEADER_LEN: usize = 24;
/// Bytes of the longest message that [`Message::emit`] writes: one link-layer address option.
pub const MAX_EMIT_LEN: usize = 32;
/// ICMPv6's number in the next header field.
pub const PROTOCOL: u8 = 58;
/// The option with a solicitation's link-layer address.
pub const SOURCE_LINK_LAYER: u8 = 1;
/// The option with an advertisement's link-layer address.
pub const TARGET_LINK_LAYER: u8 = 2;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// A solicitation or an advertisement, without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Message {
    /// Asks for the link-layer address of `target`.
    Solicitation {
        /// Not multicast.
        target: Ipv6Addr,
    },
    /// Tells that of `target`.
    Advertisement {
        /// Not multicast.
        target: Ipv6Addr,
        /// R, S and O.
        flags: Flags,
    },
}

bitflags::bitflags! {
    /// The flags of an advertisement.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u8 {
        /// R: the sender is a router.
        const ROUTER = 0x80;
        /// S: sent in answer to a solicitation.
        const SOLICITED = 0x40;
        /// O: overrides what a cache holds already.
        const OVERRIDE = 0x20;
    }
}

/// The options of a message: an iterator that advances by at least 8 bytes a step and ends after an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options<'a> {
    rest: &'a [u8],
    /// Where `rest` starts in the message.
    offset: u32,
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OptionView<'a> {
    /// The type octet.
    pub kind: u8,
    /// What follows type and length: 6 bytes, or 8 more for each block.
    pub data: &'a [u8],
}

impl Message {
    /// The message in an IPv6 packet: `None` for anything but an unfragmented solicitation or
    /// advertisement. Fragmented ones are to be ignored (RFC 6980 section 5).
    ///
    /// # Errors
    ///
    /// Those of [`Message::parse`]; offsets count from the start of `packet.payload`.
    pub fn of<'a>(packet: &ipv6::Packet<'a>) -> Result<Option<(Self, Options<'a>)>, WireError> {
        match packet.payload {
            [SOLICITATION | ADVERTISEMENT, ..] if packet.protocol == PROTOCOL && packet.fragment.is_none() => {
                Self::parse(packet.header, packet.payload).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads and validates the ICMPv6 message `icmp`, the whole payload of an IPv6 packet with header `ip`.
    ///
    /// All checks of RFC 4861 sections 7.1.1 and 7.1.2 are made, the checksum's included, and walking the
    /// options returned meets no error. Reserved bits and unknown options are ignored.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 24 bytes or where one byte is left for an option;
    /// [`Reason::UnknownOperation`] for another type or a code other than 0; [`Reason::BadHopLimit`];
    /// [`Reason::BadChecksum`]; [`Reason::ZeroLengthOption`]; [`Reason::OptionTooLong`];
    /// [`Reason::BadAddress`] for a multicast target, for S in an advertisement to a multicast address,
    /// and for a solicitation from the unspecified address that goes to other than a solicited-node
    /// address or has a link-layer address.
    pub fn parse<'a>(ip: &ipv6::Header, icmp: &'a [u8]) -> Result<(Self, Options<'a>), WireError> {
        let Ok((header, rest)) = Header::ref_from_prefix(icmp) else {
            return Err(WireError::truncated(Layer::Ndp, 0, 24));
        };
        let target = Ipv6Addr::from(header.target);
        let message = match header.kind {
            SOLICITATION => Self::Solicitation { target },
            ADVERTISEMENT => Self::Advertisement { target, flags: Flags::from_bits_truncate(header.flags) },
            _ => return Err(WireError::new(Layer::Ndp, Reason::UnknownOperation, 0)),
        };
        if header.code != 0 {
            return Err(WireError::new(Layer::Ndp, Reason::UnknownOperation, 1));
        }
        // Every router takes one off: only a neighbour's message has it all.
        if ip.hop_limit() != 255 {
            return Err(WireError::new(Layer::Ndp, Reason::BadHopLimit, 0));
        }
        if !pseudo(ip.src(), ip.dst(), icmp.len()).add_bytes(icmp).is_valid() {
            return Err(WireError::new(Layer::Ndp, Reason::BadChecksum, 2));
        }
        let options = Options { rest, offset: 24 };
        let mut has_source = false;
        for option in options {
            has_source |= option?.kind == SOURCE_LINK_LAYER;
        }
        message.check(ip.src(), ip.dst(), has_source, Reason::BadAddress)?;
        Ok((message, options))
    }

    /// Writes the message to the start of `out`, checksum included, for an IPv6 header from `src` to `dst`
    /// with hop limit 255. Returns the length: 24, or 32 with a link-layer address, which becomes the
    /// source's in a solicitation and the target's in an advertisement.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`]; [`Reason::Unrepresentable`] for what [`Message::parse`] refuses as
    /// [`Reason::BadAddress`]. Nothing is written then.
    pub fn emit(
        &self,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        link_layer: Option<MacAddr>,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        self.check(src, dst, link_layer.is_some(), Reason::Unrepresentable)?;
        let (kind, flags, option) = match self {
            Self::Solicitation { .. } => (SOLICITATION, Flags::empty(), SOURCE_LINK_LAYER),
            Self::Advertisement { flags, .. } => (ADVERTISEMENT, *flags, TARGET_LINK_LAYER),
        };
        let flags = flags.intersection(Flags::all()).bits();
        let target = self.target().octets();
        let mut header = Header { kind, code: 0, checksum: [0; 2], flags, reserved: [0; 3], target };
        let option = link_layer.map(|MacAddr([a, b, c, d, e, f])| [option, 1, a, b, c, d, e, f]);
        let option = option.as_ref().map_or(&[][..], |option| option);

        let len = HEADER_LEN.saturating_add(option.len());
        let sum = pseudo(src, dst, len).add_bytes(header.as_bytes()).add_bytes(option);
        header.checksum = sum.finish().to_be_bytes();
        let Some((header_out, option_out)) =
            out.get_mut(..len).and_then(|out| out.split_first_chunk_mut::<HEADER_LEN>())
        else {
            return Err(super::too_small(Layer::Ndp, len));
        };
        *header_out = zerocopy::transmute!(header);
        for (out, byte) in option_out.iter_mut().zip(option) {
            *out = *byte;
        }
        Ok(len)
    }

    /// The address in question.
    #[must_use]
    pub const fn target(&self) -> Ipv6Addr {
        match self {
            Self::Solicitation { target } | Self::Advertisement { target, .. } => *target,
        }
    }

    /// The rules about addresses of RFC 4861 sections 7.1.1 and 7.1.2.
    fn check(&self, src: Ipv6Addr, dst: Ipv6Addr, link_layer: bool, reason: Reason) -> Result<(), WireError> {
        let offset = match self {
            _ if self.target().is_multicast() => 8,
            Self::Solicitation { .. } if src.is_unspecified() && !is_solicited_node(dst) => 0,
            Self::Solicitation { .. } if src.is_unspecified() && link_layer => 24,
            Self::Advertisement { flags, .. } if dst.is_multicast() && flags.contains(Flags::SOLICITED) => 4,
            _ => return Ok(()),
        };
        Err(WireError::new(Layer::Ndp, reason, offset))
    }
}

impl<'a> Options<'a> {
    /// The options in `area`; error offsets count from its start.
    #[must_use]
    pub const fn new(area: &'a [u8]) -> Self {
        Self { rest: area, offset: 0 }
    }

    /// The Ethernet address in the first option of type `kind`, [`SOURCE_LINK_LAYER`] or
    /// [`TARGET_LINK_LAYER`], that has one.
    #[must_use]
    pub fn link_layer(self, kind: u8) -> Option<MacAddr> {
        self.flatten().filter(|option| option.kind == kind).find_map(OptionView::link_layer)
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<OptionView<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        let (kind, blocks) = match *self.rest {
            [] => return None,
            [kind, blocks, ..] => (kind, blocks),
            [_] => {
                self.rest = &[];
                return Some(Err(WireError::truncated(Layer::Ndp, offset, 2)));
            }
        };
        let len = u16::from(blocks) << 3;
        let Some((option, rest)) = self.rest.split_at_checked(usize::from(len)) else {
            self.rest = &[];
            let error = WireError { layer: Layer::Ndp, reason: Reason::OptionTooLong, offset, needed: u32::from(len) };
            return Some(Err(error));
        };
        let Some((_, data)) = option.split_first_chunk::<2>() else {
            self.rest = &[];
            return Some(Err(WireError::new(Layer::Ndp, Reason::ZeroLengthOption, offset)));
        };
        self.rest = rest;
        self.offset = offset.saturating_add(u32::from(len));
        Some(Ok(OptionView { kind, data }))
    }
}

impl core::iter::FusedIterator for Options<'_> {}

impl OptionView<'_> {
    /// The Ethernet address in a link-layer address option; `None` if it is not 8 bytes in all.
    #[must_use]
    pub fn link_layer(self) -> Option<MacAddr> {
        self.data.try_into().ok().map(MacAddr)
    }
}

/// The multicast address that a solicitation for `target` goes to (RFC 4291 section 2.7.1).
#[must_use]
pub const fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(SOLICITED_NODE | target.to_bits() & 0xff_ffff)
}

/// ff02::1:ff00:0/104.
const SOLICITED_NODE: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;

const fn is_solicited_node(address: Ipv6Addr) -> bool {
    address.to_bits() & !0xff_ffff == SOLICITED_NODE
}

/// The fixed part of both messages.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    kind: u8,
    code: u8,
    checksum: [u8; 2],
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}

/// The sum of the pseudo-header for `len` bytes of ICMPv6.
fn pseudo(src: Ipv6Addr, dst: Ipv6Addr, len: usize) -> Sum {
    Sum::pseudo_v6(src, dst, PROTOCOL, u32::try_from(len).unwrap_or(u32::MAX))
}

crate::macros::flag_traits!(Flags, u8);

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
    const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x0a);
    const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
    const NS: Message = Message::Solicitation { target: TARGET };
    const NA: Message = Message::Advertisement { target: TARGET, flags: Flags::SOLICITED.union(Flags::OVERRIDE) };

    fn ip(src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8) -> ipv6::Header {
        let fields = ipv6::Fields { src, dst, next_header: PROTOCOL, hop_limit, traffic_class: 0, flow_label: 0 };
        fields.header(32).unwrap()
    }

    /// `message` with its checksum set right for `ip`.
    fn summed(ip: &ipv6::Header, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        message[2..4].fill(0);
        let sum = pseudo(ip.src(), ip.dst(), message.len()).add_bytes(&message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn emitted(message: Message, src: Ipv6Addr, dst: Ipv6Addr, link_layer: Option<MacAddr>) -> Vec<u8> {
        let mut out = [0xa5; 40];
        let len = message.emit(src, dst, link_layer, &mut out).unwrap();
        assert!(out[len..].iter().all(|byte| *byte == 0xa5));
        out[..len].to_vec()
    }

    #[test]
    fn writes_a_solicitation_and_reads_it_back() {
        let dst = solicited_node(TARGET);
        assert_eq!(dst, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
        let bytes = emitted(NS, HOST, dst, Some(MAC));
        assert_eq!(bytes[..8], [135, 0, bytes[2], bytes[3], 0, 0, 0, 0]);
        assert_eq!(bytes[8..24], TARGET.octets());
        assert_eq!(bytes[24..], [1, 1, 2, 0, 0, 0, 0, 0x0a]);
        let (message, options) = Message::parse(&ip(HOST, dst, 255), &bytes).unwrap();
        assert_eq!(message, NS);
        assert_eq!(options.link_layer(SOURCE_LINK_LAYER), Some(MAC));
        assert_eq!(options.link_layer(TARGET_LINK_LAYER), None);
        assert_eq!(options.count(), 1);
    }

    #[test]
    fn the_checksum_is_the_one_added_up_by_hand() {
        // fe80::1 asks ff02::1:ff00:2 for fe80::2, option 02:00:00:00:00:01.
        let [src, dst, target] = ["fe80::1", "ff02::1:ff00:2", "fe80::2"].map(|text| text.parse().unwrap());
        let bytes = emitted(Message::Solicitation { target }, src, dst, Some(MacAddr([2, 0, 0, 0, 0, 1])));
        // In 16-bit words: source, destination, length, next header, type and code, target, option.
        // fe80+1 + ff02+1+ff00+2 + 20 + 3a + 8700 + fe80+2 + 101+200+1 = 48564; folded 8568.
        assert_eq!(bytes[2..4], [0x7a, 0x97]);
    }

    #[test]
    fn writes_advertisements_with_every_flag() {
        for bits in 0..8_u8 {
            let flags = Flags::from_bits_retain(bits << 5);
            let message = Message::Advertisement { target: TARGET, flags };
            for link_layer in [None, Some(MAC)] {
                let bytes = emitted(message, TARGET, HOST, link_layer);
                assert_eq!(
                    (bytes.len(), bytes[0], bytes[4]),
                    (if link_layer.is_some() { 32 } else { 24 }, 136, bits << 5)
                );
                let (read, options) = Message::parse(&ip(TARGET, HOST, 255), &bytes).unwrap();
                assert_eq!((read, options.link_layer(TARGET_LINK_LAYER)), (message, link_layer));
            }
        }
        // Bits that are no flags are not written.
        let flags = Flags::from_bits_retain(0xff);
        let bytes = emitted(Message::Advertisement { target: TARGET, flags }, TARGET, HOST, None);
        assert_eq!(bytes[4..8], [0xe0, 0, 0, 0]);
    }

    #[test]
    fn names_every_truncation_and_writes_nothing_into_too_little() {
        let ip = ip(TARGET, HOST, 255);
        let whole = emitted(NA, TARGET, HOST, Some(MAC));
        for len in 0..whole.len() {
            let error = Message::parse(&ip, &whole[..len]).unwrap_err();
            let summed = if len < 4 { vec![0; len] } else { summed(&ip, &whole[..len]) };
            let with_good_sum = Message::parse(&ip, &summed).err();
            if len < 24 {
                assert_eq!(error, WireError::truncated(Layer::Ndp, 0, 24));
            } else {
                assert_eq!(error.reason, Reason::BadChecksum);
                let expected = match len {
                    24 => None,
                    25 => Some(WireError::truncated(Layer::Ndp, 24, 2)),
                    _ => Some(WireError { reason: Reason::OptionTooLong, ..WireError::truncated(Layer::Ndp, 24, 8) }),
                };
                assert_eq!(with_good_sum, expected, "{len}");
            }
            let mut out = [0xa5; 32];
            let error = NA.emit(TARGET, HOST, Some(MAC), &mut out[..len]).unwrap_err();
            assert_eq!((error.reason, error.needed, out), (Reason::BufferTooSmall, 32, [0xa5; 32]));
        }
        assert_eq!(NA.emit(TARGET, HOST, None, &mut [0; 23]).unwrap_err().needed, 24);
    }

    #[test]
    fn makes_every_check_of_rfc_4861() {
        let good = emitted(NA, TARGET, HOST, Some(MAC));
        let header = ip(TARGET, HOST, 255);
        let reason = |ip: &ipv6::Header, bytes: &[u8]| {
            Message::parse(ip, bytes).map_err(|error| (error.reason, error.offset)).err()
        };
        assert_eq!(reason(&header, &good), None);
        assert_eq!(reason(&ip(TARGET, HOST, 254), &good), Some((Reason::BadHopLimit, 0)));
        assert_eq!(reason(&ip(TARGET, TARGET, 255), &good), Some((Reason::BadChecksum, 2)));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Message::parse(&header, &bad).is_err(), "{bit}");
        }
        let changed = |ip: &ipv6::Header, at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            reason(ip, &summed(ip, &bytes))
        };
        for kind in [0, 128, 133, 134, 137] {
            assert_eq!(changed(&header, 0, kind), Some((Reason::UnknownOperation, 0)));
        }
        assert_eq!(changed(&header, 1, 1), Some((Reason::UnknownOperation, 1)));
        assert_eq!(changed(&header, 8, 0xff), Some((Reason::BadAddress, 8)));
        assert_eq!(changed(&header, 25, 0), Some((Reason::ZeroLengthOption, 24)));
        assert_eq!(changed(&header, 25, 2), Some((Reason::OptionTooLong, 24)));
        assert_eq!(changed(&header, 24, 77), None);
        assert_eq!(changed(&header, 5, 0xff), None);
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(changed(&ip(TARGET, all_nodes, 255), 4, 0x60), Some((Reason::BadAddress, 4)));
        assert_eq!(changed(&ip(TARGET, all_nodes, 255), 4, 0x20), None);

        // Duplicate address detection: from the unspecified address.
        let any = Ipv6Addr::UNSPECIFIED;
        let probe = emitted(NS, any, solicited_node(TARGET), None);
        assert_eq!(reason(&ip(any, solicited_node(TARGET), 255), &probe), None);
        let elsewhere = ip(any, TARGET, 255);
        assert_eq!(reason(&elsewhere, &summed(&elsewhere, &probe)), Some((Reason::BadAddress, 0)));
        let told = ip(any, solicited_node(TARGET), 255);
        let mut bytes = probe.clone();
        bytes.extend([1, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(reason(&told, &summed(&told, &bytes)), Some((Reason::BadAddress, 24)));
    }

    #[test]
    fn writes_nothing_that_it_would_refuse() {
        let any = Ipv6Addr::UNSPECIFIED;
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let multicast = Message::Solicitation { target: all_nodes };
        for (message, src, dst, link_layer, offset) in [
            (multicast, HOST, TARGET, None, 8),
            (NS, any, TARGET, None, 0),
            (NS, any, solicited_node(TARGET), Some(MAC), 24),
            (NA, TARGET, all_nodes, Some(MAC), 4),
        ] {
            let mut out = [0xa5; 32];
            let error = message.emit(src, dst, link_layer, &mut out).unwrap_err();
            assert_eq!((error.reason, error.offset, out), (Reason::Unrepresentable, offset, [0xa5; 32]));
        }
    }

    #[test]
    fn options_end_after_an_error() {
        let mut options = Options::new(&[5, 1, 1, 2, 3, 4, 5, 6, 7, 0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(options.next(), Some(Ok(OptionView { kind: 5, data: &[1, 2, 3, 4, 5, 6] })));
        assert_eq!(options.next(), Some(Err(WireError::new(Layer::Ndp, Reason::ZeroLengthOption, 8))));
        assert_eq!(options.next(), None);
        // Two blocks are no Ethernet address, and the next option is looked at.
        let mut area = vec![1, 2];
        area.extend([0; 14]);
        area.extend([1, 1, 2, 0, 0, 0, 0, 0x0a]);
        assert_eq!(Options::new(&area).link_layer(1), Some(MAC));
        assert_eq!(Options::new(&area[..16]).link_layer(1), None);
        assert_eq!(Options::new(&[]).next(), None);
    }

    #[test]
    fn finds_messages_in_packets() {
        let dst = solicited_node(TARGET);
        let bytes = emitted(NS, HOST, dst, Some(MAC));
        let mut packet = ip(HOST, dst, 255).as_bytes().to_vec();
        packet.extend(&bytes);
        packet.extend([0; 7]);
        let of = |packet: &[u8]| {
            Message::of(&ipv6::Packet::parse(packet, false).unwrap()).map(|found| found.map(|(message, _)| message))
        };
        assert_eq!(of(&packet), Ok(Some(NS)));
        let mut other = packet.clone();
        other[40] = 128;
        assert_eq!(of(&other), Ok(None));
        let mut other = packet.clone();
        other[6] = 17;
        assert_eq!(of(&other), Ok(None));
        packet[7] = 64;
        assert_eq!(of(&packet).unwrap_err().reason, Reason::BadHopLimit);
    }

    proptest! {
        #[test]
        fn the_walk_over_options_ends(area in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..120)) {
            let mut seen = 0;
            for option in Options::new(&area) {
                seen += option.map_or(0, |option| 2 + option.data.len());
            }
            prop_assert!(seen <= area.len());
            prop_assert!(Options::new(&area).count() <= area.len() / 8 + 1);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 4..80), kind in 135..=136_u8) {
            let ip = ip(HOST, TARGET, 255);
            let mut bytes = bytes;
            bytes[0] = kind;
            bytes[1] = 0;
            if let Ok((message, options)) = Message::parse(&ip, &summed(&ip, &bytes)) {
                prop_assert!(options.clone().all(|option| option.is_ok()));
                prop_assert!(!message.target().is_multicast());
            }
        }
    }
}
