//! IPv6 (RFC 8200) and the way over its extension headers.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |Version| traffic class |           flow label (20 bits)        |
//! +-------+---------------+-------+---------------+---------------+
//! |        payload length         |  next header  |   hop limit   |
//! +-------------------------------+---------------+---------------+
//! |                   source address (128 bits)                   |
//! +---------------------------------------------------------------+
//! |                destination address (128 bits)                 |
//! +---------------------------------------------------------------+
//! ```
//!
//! The payload length counts the extension headers in. Each of these starts with the next header's number
//! and, but for the fragment header, its own length: in 8-byte blocks after the first eight bytes, for the
//! authentication header in 4-byte words after the first eight. Extension headers are stepped over, never
//! interpreted (fragmentation excepted) and never written.

use core::net::Ipv6Addr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Layer, Reason, WireError};

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = size_of::<Header>();
/// Extension headers that [`Packet::parse`] follows; one more is [`Reason::TooManyExtensions`].
pub const MAX_EXTENSIONS: usize = 8;
/// The next header number of nothing: no bytes follow.
const NO_NEXT_HEADER: u8 = 59;
const AUTHENTICATION: u8 = 51;
const FRAGMENT: u8 = 44;

/// A whole IPv6 packet: header, extension headers and payload, all lengths checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: &'a Header,
    /// The extension headers.
    pub extensions: &'a [u8],
    /// Number of the protocol at which the walk over the extension headers ended.
    pub protocol: u8,
    /// What follows: as long as the payload length says, so without link-layer padding.
    pub payload: &'a [u8],
    /// The fragment header of a part of a datagram, the first part included. A datagram that is whole in
    /// spite of its fragment header (RFC 6946) has `None`.
    pub fragment: Option<Fragment>,
    /// Whether the payload length is 0 and the payload therefore ends with the slice.
    pub superframe: bool,
}

/// A fragment header (RFC 8200 section 4.5) of a datagram that comes in more than one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Fragment {
    /// Byte offset of the fragment header in the packet.
    pub at: u32,
    /// Where in the datagram the payload belongs, in bytes: 0 to 65528.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// The identification, which fragments of one datagram share.
    pub ident: u32,
}

impl<'a> Packet<'a> {
    /// Reads a packet from the start of `bytes`; what follows its payload length is padding and left out.
    ///
    /// Stepped over are hop-by-hop (0), routing (43), fragment (44), authentication (51), destination
    /// (60), mobility (135), HIP (139) and shim6 (140) headers, as far as there are at most
    /// [`MAX_EXTENSIONS`] of them; behind the fragment header of a part other than the first, none.
    ///
    /// With `superframes`, a payload length of 0 means the whole slice: segmentation offload (Linux BIG
    /// TCP) shows packets above 64 KiB that way, with a jumbo payload option (RFC 2675) or without; the
    /// option is not looked at. A packet of 40 bytes and next header 59 has a payload of 0 bytes either way.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] where the header passes the slice or an extension header the payload;
    /// [`Reason::UnknownVersion`]; [`Reason::LengthTooLong`] for a payload length beyond the slice;
    /// [`Reason::ZeroLength`] for 0 without `superframes`; [`Reason::TooManyExtensions`].
    #[inline]
    pub fn parse(bytes: &'a [u8], superframes: bool) -> Result<Self, WireError> {
        let Ok((header, rest)) = Header::ref_from_prefix(bytes) else {
            return Err(WireError::truncated(Layer::Ipv6, 0, 40));
        };
        if header.version() != 6 {
            return Err(WireError::new(Layer::Ipv6, Reason::UnknownVersion, 0));
        }
        let len = header.payload_len();
        let superframe = len == 0 && header.next_header != NO_NEXT_HEADER;
        if superframe && !superframes {
            return Err(WireError::new(Layer::Ipv6, Reason::ZeroLength, 4));
        }
        let body = if superframe { Some(rest) } else { rest.get(..usize::from(len)) };
        let Some(body) = body else {
            // 40 bytes of header less the 4 in front of the length field.
            return Err(WireError::too_long(Layer::Ipv6, 4, u32::from(len).saturating_add(36)));
        };
        let mut packet =
            Self { header, extensions: &[], protocol: header.next_header, payload: body, fragment: None, superframe };
        if is_extension(packet.protocol) {
            let walked = walk(packet.protocol, body)?;
            packet.protocol = walked.protocol;
            packet.fragment = walked.fragment;
            if let Some((extensions, payload)) = body.split_at_checked(walked.len) {
                packet.extensions = extensions;
                packet.payload = payload;
            }
        }
        Ok(packet)
    }
}

/// Where a walk over extension headers ended.
struct Walked {
    protocol: u8,
    fragment: Option<Fragment>,
    /// Bytes of extension headers, all of which are there.
    len: usize,
}

/// Steps over the extension headers of `body`, which starts behind the fixed header.
#[cold]
fn walk(first: u8, body: &[u8]) -> Result<Walked, WireError> {
    let mut walked = Walked { protocol: first, fragment: None, len: 0 };
    let mut rest = body;
    let mut count = 0_usize;
    while is_extension(walked.protocol) {
        let at = u32::try_from(walked.len.saturating_add(HEADER_LEN)).unwrap_or(u32::MAX);
        if count == MAX_EXTENSIONS {
            return Err(WireError::new(Layer::Ipv6, Reason::TooManyExtensions, at));
        }
        let Some(&[next, second, high, low, a, b, c, d]) = rest.first_chunk() else {
            return Err(WireError::truncated(Layer::Ipv6, at, 8));
        };
        let len = usize::from(extension_len(walked.protocol, second));
        let Some(after) = rest.get(len..) else {
            return Err(WireError::truncated(Layer::Ipv6, at, u32::try_from(len).unwrap_or(u32::MAX)));
        };
        let word = u16::from_be_bytes([high, low]);
        let (offset, more) = (word & !7, word & 1 != 0);
        let part = is_part(walked.protocol, word);
        if part {
            walked.fragment = Some(Fragment { at, offset, more, ident: u32::from_be_bytes([a, b, c, d]) });
        }
        walked.protocol = next;
        walked.len = walked.len.saturating_add(len);
        rest = after;
        count = count.saturating_add(1);
        if part && offset != 0 {
            break;
        }
    }
    Ok(walked)
}

/// Whether `next_header` is that of an extension header with a length this walk knows.
#[inline]
pub(super) const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | FRAGMENT | AUTHENTICATION | 60 | 135 | 139 | 140)
}

/// Bytes of an extension header of this number whose second octet is `second`: 8 to 2048.
#[inline]
pub(super) const fn extension_len(next_header: u8, second: u8) -> u16 {
    match next_header {
        FRAGMENT => 8,
        AUTHENTICATION => (second as u16).saturating_add(2) << 2,
        _ => (second as u16).saturating_add(1) << 3,
    }
}

/// Whether an extension header of this number, `word` its third and fourth octet, makes the packet a part of
/// a datagram: it is a fragment header with an offset or with more to come.
#[inline]
pub(super) const fn is_part(next_header: u8, word: u16) -> bool {
    next_header == FRAGMENT && word & !6 != 0
}

/// The fixed IPv6 header as it stands in the packet; 40 bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct Header {
    version_class_label: [u8; 4],
    payload_len: [u8; 2],
    next_header: u8,
    hop_limit: u8,
    src: [u8; 16],
    dst: [u8; 16],
}

impl Header {
    /// The version, 6 in a sound header.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version_class_label[0] >> 4
    }

    /// The traffic class: DSCP in the upper six bits, ECN in the lower two.
    #[inline]
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        let [a, b, ..] = self.version_class_label;
        a << 4 | b >> 4
    }

    /// The flow label, 20 bits.
    #[inline]
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes(self.version_class_label) & 0xf_ffff
    }

    /// Bytes of extension headers and payload; 0 in a super-frame.
    #[inline]
    #[must_use]
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes(self.payload_len)
    }

    /// The number of what follows the fixed header.
    #[inline]
    #[must_use]
    pub const fn next_header(&self) -> u8 {
        self.next_header
    }

    /// The hop limit.
    #[inline]
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// The source address.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from_be_bytes(self.src))
    }

    /// The destination address.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from_be_bytes(self.dst))
    }
}

/// What a sender chooses of an IPv6 header; version and payload length follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Fields {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// Number of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
}

impl Fields {
    /// The header for `payload_len` bytes of payload.
    ///
    /// # Errors
    ///
    /// [`Reason::Unrepresentable`] above 65535 bytes of payload or 20 bits of flow label.
    pub fn header(&self, payload_len: usize) -> Result<Header, WireError> {
        let Ok(payload_len) = u16::try_from(payload_len) else {
            return Err(WireError::new(Layer::Ipv6, Reason::Unrepresentable, 4));
        };
        if self.flow_label > 0xf_ffff {
            return Err(WireError::new(Layer::Ipv6, Reason::Unrepresentable, 1));
        }
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        Ok(Header {
            version_class_label: first.to_be_bytes(),
            payload_len: payload_len.to_be_bytes(),
            next_header: self.next_header,
            hop_limit: self.hop_limit,
            src: self.src.octets(),
            dst: self.dst.octets(),
        })
    }

    /// Writes the header for `payload_len` bytes of payload to the start of `out` and returns 40.
    ///
    /// # Errors
    ///
    /// Those of [`Fields::header`]; [`Reason::BufferTooSmall`] below 40 bytes.
    pub fn emit(&self, payload_len: usize, out: &mut [u8]) -> Result<usize, WireError> {
        let header = self.header(payload_len)?;
        header.write_to_prefix(out).map_err(|_| WireError::buffer_too_small(Layer::Ipv6, 40))?;
        Ok(HEADER_LEN)
    }
}

impl From<&Header> for Fields {
    fn from(header: &Header) -> Self {
        Self {
            src: header.src(),
            dst: header.dst(),
            next_header: header.next_header(),
            hop_limit: header.hop_limit(),
            traffic_class: header.traffic_class(),
            flow_label: header.flow_label(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    const FIELDS: Fields = Fields {
        src: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        dst: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
        next_header: 17,
        hop_limit: 64,
        traffic_class: 0xb9,
        flow_label: 0x12345,
    };
    const HEADER: [u8; HEADER_LEN] = [
        0x6b, 0x91, 0x23, 0x45, 0x00, 0x04, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02,
    ];

    /// A packet whose first next-header number is `next` and whose payload is `body`.
    fn packet(next: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(HEADER);
        bytes[5] = body.len() as u8;
        bytes[6] = next;
        bytes.extend(body);
        bytes
    }

    fn refused(bytes: &[u8], superframes: bool) -> (Reason, u32, u32) {
        let error = Packet::parse(bytes, superframes).unwrap_err();
        assert_eq!(error.layer, Layer::Ipv6);
        (error.reason, error.offset, error.needed)
    }

    #[test]
    fn deconstruct() {
        let bytes = [&HEADER[..], &[1, 2, 3, 4, 0, 0]].concat();
        let packet = Packet::parse(&bytes, false).unwrap();
        assert_eq!((packet.protocol, packet.payload, packet.extensions), (17, &[1, 2, 3, 4][..], &[][..]));
        assert_eq!((packet.fragment, packet.superframe), (None, false));
        assert_eq!((packet.header.version(), packet.header.payload_len()), (6, 4));
        assert_eq!(Fields::from(packet.header), FIELDS);
    }

    #[test]
    fn construct_sets_every_byte_and_no_more() {
        let mut out = [0xa5; 42];
        assert_eq!(FIELDS.emit(4, &mut out), Ok(HEADER_LEN));
        assert_eq!(out[..40], HEADER);
        assert_eq!(out[40..], [0xa5; 2]);
        for len in 0..HEADER_LEN {
            let mut out = [0xa5; HEADER_LEN];
            assert_eq!(FIELDS.emit(4, &mut out[..len]), Err(WireError::buffer_too_small(Layer::Ipv6, 40)));
            assert_eq!(out, [0xa5; HEADER_LEN]);
        }
        assert_eq!(FIELDS.header(65_536).unwrap_err().reason, Reason::Unrepresentable);
        let fields = Fields { flow_label: 0x10_0000, ..FIELDS };
        assert_eq!(fields.header(4).unwrap_err().reason, Reason::Unrepresentable);
    }

    #[test]
    fn lengths_and_version_are_checked() {
        let mut bytes = packet(17, &[1, 2, 3, 4]);
        for len in 0..40 {
            assert_eq!(refused(&bytes[..len], false), (Reason::Truncated, 0, 40));
        }
        for len in 40..44 {
            assert_eq!(refused(&bytes[..len], false), (Reason::LengthTooLong, 4, 40));
        }
        bytes[0] = 0x45;
        assert_eq!(refused(&bytes, false), (Reason::UnknownVersion, 0, 0));
    }

    #[test]
    fn a_length_of_zero_is_a_superframe_refused_or_nothing_at_all() {
        let mut bytes = packet(17, &[1, 2, 3, 4]);
        bytes[5] = 0;
        assert_eq!(refused(&bytes, false), (Reason::ZeroLength, 4, 0));
        let parsed = Packet::parse(&bytes, true).unwrap();
        assert_eq!((parsed.payload.len(), parsed.superframe), (4, true));
        bytes[6] = 59;
        for superframes in [false, true] {
            let parsed = Packet::parse(&bytes, superframes).unwrap();
            assert_eq!((parsed.protocol, parsed.payload.len(), parsed.superframe), (59, 0, false));
        }
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let mut body = Vec::new();
        body.extend([43, 0, 1, 4, 0, 0, 0, 0]);
        body.extend([60, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([51, 0, 1, 4, 0, 0, 0, 0]);
        body.extend([44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // Offset 0 and no more to come: whole.
        body.extend([17, 0xff, 0, 6, 0xde, 0xad, 0xbe, 0xef]);
        let walked = body.len();
        body.extend([1, 2, 3]);
        let bytes = packet(0, &body);
        let parsed = Packet::parse(&bytes, false).unwrap();
        assert_eq!((parsed.protocol, parsed.payload), (17, &[1, 2, 3][..]));
        assert_eq!(parsed.extensions, &body[..walked]);
        assert_eq!(parsed.fragment, None);

        // Cut inside any extension header, with the payload length to match.
        for len in 0..walked {
            let bytes = packet(0, &body[..len]);
            let result = Packet::parse(&bytes, false);
            if len == 0 {
                assert_eq!(result.unwrap_err().reason, Reason::ZeroLength);
            } else if [8, 24, 32, 44].contains(&len) {
                // What is announced next is not there.
                assert_eq!(refused(&bytes, false), (Reason::Truncated, 40 + len as u32, 8));
            } else {
                assert_eq!(result.unwrap_err().reason, Reason::Truncated);
            }
        }
    }

    #[test]
    fn no_more_than_eight_are_followed() {
        let chain = |count: usize| {
            let mut body = Vec::new();
            for _ in 1..count {
                body.extend([60, 0, 0, 0, 0, 0, 0, 0]);
            }
            body.extend([17, 0, 0, 0, 0, 0, 0, 0, 9]);
            packet(60, &body)
        };
        assert_eq!(Packet::parse(&chain(8), false).unwrap().payload, [9]);
        assert_eq!(refused(&chain(9), false), (Reason::TooManyExtensions, 40 + 64, 0));
    }

    #[test]
    fn fragments_are_told_and_later_parts_not_looked_into() {
        let mut body = Vec::from([60, 0, 0x00, 0x01, 0xde, 0xad, 0xbe, 0xef]);
        body.extend([17, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let bytes = packet(44, &body);
        let first = Packet::parse(&bytes, false).unwrap();
        let fragment = Fragment { at: 40, offset: 0, more: true, ident: 0xdead_beef };
        assert_eq!((first.protocol, first.payload, first.fragment), (17, &[1, 2][..], Some(fragment)));

        let mut bytes = bytes.clone();
        bytes[42..44].copy_from_slice(&[0x01, 0x08]);
        let later = Packet::parse(&bytes, false).unwrap();
        let fragment = Fragment { at: 40, offset: 0x108, more: false, ident: 0xdead_beef };
        assert_eq!((later.protocol, later.payload.len(), later.fragment), (60, 10, Some(fragment)));
        assert_eq!(later.extensions.len(), 8);
    }
}
