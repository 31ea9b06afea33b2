//! IPv4 (RFC 791).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! |Version|  IHL  |   DSCP    |ECN|         total length          |
//! +-------+-------+-----------+---+-----+-------------------------+
//! |        identification         |0|D|M|     fragment offset     |
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |    protocol   |        header checksum        |
//! +---------------+---------------+-------------------------------+
//! |                        source address                         |
//! +---------------------------------------------------------------+
//! |                      destination address                      |
//! +---------------------------------------------------------------+
//! |                  options, 0 to 40 bytes ...                   |
//! +---------------------------------------------------------------+
//! ```
//!
//! IHL counts 4-byte words and the fragment offset 8-byte blocks; the accessors give bytes. Options are
//! stepped over, never interpreted and never written.

use core::net::Ipv4Addr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::{self, Sum};
use super::{Layer, Reason, WireError};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = size_of::<Header>();
/// The don't-fragment bit, in the word that holds flags and fragment offset.
const DONT_FRAGMENT: u16 = 0x4000;
/// The more-fragments bit of the same word.
const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset of the same word, in 8-byte blocks.
const OFFSET: u16 = 0x1fff;

/// A whole IPv4 packet: header, options and payload, all lengths checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: &'a Header,
    /// The options, 0 to 40 bytes.
    pub options: &'a [u8],
    /// What follows: as long as the total length says, so without link-layer padding.
    pub payload: &'a [u8],
    /// Whether the total length is 0 and the payload therefore ends with the slice.
    pub superframe: bool,
}

impl<'a> Packet<'a> {
    /// Reads a packet from the start of `bytes`; what follows its total length is padding and left out.
    ///
    /// With `superframes`, a total length of 0 means the whole slice: segmentation offload (Linux BIG TCP)
    /// shows packets above 64 KiB that way. The header checksum is not looked at: see
    /// [`Packet::checksum_ok`]. Neither is whether this is a [fragment](Header::is_fragment).
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] where header or options pass the slice; [`Reason::UnknownVersion`];
    /// [`Reason::HeaderLengthTooShort`] for an IHL below 5; [`Reason::LengthTooShort`] and
    /// [`Reason::LengthTooLong`] for a total length below the header's or beyond the slice;
    /// [`Reason::ZeroLength`] for 0 without `superframes`.
    #[inline]
    pub fn parse(bytes: &'a [u8], superframes: bool) -> Result<Self, WireError> {
        let Ok((header, rest)) = Header::ref_from_prefix(bytes) else {
            return Err(WireError::truncated(Layer::Ipv4, 0, 20));
        };
        if header.version_ihl == 0x45 {
            // Nearly every packet. A total below 20 wraps to a length that no slice has.
            if let Some(payload) = rest.get(..usize::from(header.total_len()).wrapping_sub(HEADER_LEN)) {
                return Ok(Self { header, options: &[], payload, superframe: false });
            }
        }
        let (options_len, payload_len) = header.lengths(bytes.len(), superframes)?;
        let (options, rest) = rest.split_at_checked(options_len).unwrap_or((rest, &[]));
        let payload = rest.get(..payload_len).unwrap_or(rest);
        Ok(Self { header, options, payload, superframe: header.total_len() == 0 })
    }

    /// Whether the header checksum, options included, is right.
    #[inline]
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        if self.options.is_empty() { self.header.checksum_ok() } else { self.options_ok() }
    }

    /// Kept apart: the sum of a fixed number of bytes needs no loop, and most packets need no other.
    #[cold]
    fn options_ok(&self) -> bool {
        Sum::new().add_bytes(self.header.as_bytes()).add_bytes(self.options).is_valid()
    }
}

/// The fixed IPv4 header as it stands in the packet; 20 bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct Header {
    version_ihl: u8,
    tos: u8,
    total_len: [u8; 2],
    ident: [u8; 2],
    flags_offset: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    src: [u8; 4],
    dst: [u8; 4],
}

impl Header {
    /// The version, 4 in a sound header.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Bytes of header and options as the IHL tells: 20 to 60 in a sound header.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> u8 {
        (self.version_ihl & 0x0f) << 2
    }

    /// DSCP in the upper six bits, ECN in the lower two.
    #[inline]
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.tos
    }

    /// Bytes of header, options and payload; 0 in a super-frame.
    #[inline]
    #[must_use]
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes(self.total_len)
    }

    /// The identification, which fragments of one datagram share.
    #[inline]
    #[must_use]
    pub const fn ident(&self) -> u16 {
        u16::from_be_bytes(self.ident)
    }

    /// Whether routers may not fragment the packet.
    #[inline]
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        u16::from_be_bytes(self.flags_offset) & DONT_FRAGMENT != 0
    }

    /// Whether more fragments follow.
    #[inline]
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        u16::from_be_bytes(self.flags_offset) & MORE_FRAGMENTS != 0
    }

    /// Where in the datagram the payload belongs, in bytes: 0 to 65528.
    #[inline]
    #[must_use]
    pub const fn fragment_offset(&self) -> u16 {
        (u16::from_be_bytes(self.flags_offset) & OFFSET) << 3
    }

    /// Whether this is a part of a datagram only, the first part included.
    #[inline]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        u16::from_ne_bytes(self.flags_offset) & (MORE_FRAGMENTS | OFFSET).to_be() != 0
    }

    /// The time to live, in hops.
    #[inline]
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.ttl
    }

    /// The number of the protocol that follows.
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The header checksum as it stands there.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes(self.checksum)
    }

    /// The source address.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be_bytes(self.src))
    }

    /// The destination address.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be_bytes(self.dst))
    }

    /// Whether the checksum of a header without options is right.
    #[inline(always)]
    pub(super) fn checksum_ok(&self) -> bool {
        let words: [[u8; 4]; 5] = zerocopy::transmute!(*self);
        checksum::is_valid_header(words)
    }

    /// Bytes of options and of payload of any packet in a slice of `available` bytes, at least 20.
    #[cold]
    fn lengths(&self, available: usize, superframes: bool) -> Result<(usize, usize), WireError> {
        let error = |reason, offset| Err(WireError::new(Layer::Ipv4, reason, offset));
        if self.version() != 4 {
            return error(Reason::UnknownVersion, 0);
        }
        let header_len = usize::from(self.header_len());
        let Some(options_len) = header_len.checked_sub(HEADER_LEN) else {
            return error(Reason::HeaderLengthTooShort, 0);
        };
        if header_len > available {
            return Err(WireError::truncated(Layer::Ipv4, 0, u32::from(self.header_len())));
        }
        let total = match self.total_len() {
            0 if superframes => available,
            0 => return error(Reason::ZeroLength, 2),
            total => usize::from(total),
        };
        let Some(payload_len) = total.checked_sub(header_len) else {
            return error(Reason::LengthTooShort, 2);
        };
        if total > available {
            return Err(WireError::too_long(Layer::Ipv4, 2, u32::from(self.total_len()).saturating_sub(2)));
        }
        Ok((options_len, payload_len))
    }
}

/// What a sender chooses of an IPv4 header; version, lengths and checksum follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Fields {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Number of the protocol that follows.
    pub protocol: u8,
    /// Time to live, in hops.
    pub ttl: u8,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub tos: u8,
    /// Identification.
    pub ident: u16,
    /// Whether routers may not fragment the packet.
    pub dont_fragment: bool,
}

impl Fields {
    /// The header for `payload_len` bytes of payload: no options, no fragment, checksum in place.
    ///
    /// # Errors
    ///
    /// [`Reason::Unrepresentable`] above 65515 bytes of payload.
    pub fn header(&self, payload_len: usize) -> Result<Header, WireError> {
        let Ok(total_len) = u16::try_from(payload_len.saturating_add(HEADER_LEN)) else {
            return Err(WireError::new(Layer::Ipv4, Reason::Unrepresentable, 2));
        };
        let flags_offset = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        let mut header = Header {
            version_ihl: 0x45,
            tos: self.tos,
            total_len: total_len.to_be_bytes(),
            ident: self.ident.to_be_bytes(),
            flags_offset: flags_offset.to_be_bytes(),
            ttl: self.ttl,
            protocol: self.protocol,
            checksum: [0; 2],
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        header.checksum = checksum::checksum(header.as_bytes()).to_be_bytes();
        Ok(header)
    }

    /// Writes the header for `payload_len` bytes of payload to the start of `out` and returns 20.
    ///
    /// # Errors
    ///
    /// Those of [`Fields::header`]; [`Reason::BufferTooSmall`] below 20 bytes.
    pub fn emit(&self, payload_len: usize, out: &mut [u8]) -> Result<usize, WireError> {
        let header = self.header(payload_len)?;
        header.write_to_prefix(out).map_err(|_| WireError::buffer_too_small(Layer::Ipv4, 20))?;
        Ok(HEADER_LEN)
    }
}

impl From<&Header> for Fields {
    fn from(header: &Header) -> Self {
        Self {
            src: header.src(),
            dst: header.dst(),
            protocol: header.protocol(),
            ttl: header.ttl(),
            tos: header.tos(),
            ident: header.ident(),
            dont_fragment: header.dont_fragment(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// The words without the checksum add up to 0xc39c with the carries; 0x3c63 complements that.
    const BYTES: [u8; 26] = [
        0x45, 0x02, 0x00, 0x18, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x3c, 0x63, 192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 3,
        4, 0, 0,
    ];
    const FIELDS: Fields = Fields {
        src: Ipv4Addr::new(192, 0, 2, 1),
        dst: Ipv4Addr::new(198, 51, 100, 7),
        protocol: 17,
        ttl: 64,
        tos: 2,
        ident: 0x1234,
        dont_fragment: true,
    };

    fn with(edits: &[(usize, u8)]) -> [u8; 26] {
        let mut bytes = BYTES;
        for &(at, value) in edits {
            bytes[at] = value;
        }
        bytes
    }

    fn refused(bytes: &[u8], superframes: bool) -> (Reason, u32, u32) {
        let error = Packet::parse(bytes, superframes).unwrap_err();
        assert_eq!(error.layer, Layer::Ipv4);
        (error.reason, error.offset, error.needed)
    }

    #[test]
    fn deconstruct() {
        let packet = Packet::parse(&BYTES, false).unwrap();
        assert!(packet.checksum_ok());
        assert_eq!((packet.options, packet.payload, packet.superframe), (&[][..], &[1, 2, 3, 4][..], false));
        let header = packet.header;
        assert_eq!((header.version(), header.header_len(), header.total_len()), (4, 20, 24));
        assert_eq!((header.dont_fragment(), header.more_fragments(), header.fragment_offset()), (true, false, 0));
        assert_eq!(header.checksum(), 0x3c63);
        assert_eq!(Fields::from(header), FIELDS);
    }

    #[test]
    fn construct_sets_every_byte_and_no_more() {
        let mut out = [0xa5; 22];
        assert_eq!(FIELDS.emit(4, &mut out), Ok(HEADER_LEN));
        assert_eq!(out[..20], BYTES[..20]);
        assert_eq!(out[20..], [0xa5; 2]);
        for len in 0..HEADER_LEN {
            let mut out = [0xa5; HEADER_LEN];
            assert_eq!(FIELDS.emit(4, &mut out[..len]), Err(WireError::buffer_too_small(Layer::Ipv4, 20)));
            assert_eq!(out, [0xa5; HEADER_LEN]);
        }
        assert_eq!(FIELDS.header(65_515).unwrap().total_len(), 65_535);
        for len in [65_516, usize::MAX] {
            assert_eq!(FIELDS.header(len).unwrap_err().reason, Reason::Unrepresentable);
        }
    }

    #[test]
    fn options_are_stepped_over_and_summed() {
        let mut bytes = with(&[(0, 0x46), (10, 0), (11, 0)]);
        let sum = checksum::checksum(&bytes[..24]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        let packet = Packet::parse(&bytes, false).unwrap();
        assert_eq!((packet.options, packet.payload), (&[1, 2, 3, 4][..], &[][..]));
        assert!(packet.checksum_ok());
        bytes[23] ^= 1;
        assert!(!Packet::parse(&bytes, false).unwrap().checksum_ok());
    }

    #[test]
    fn any_flipped_header_bit_breaks_the_checksum() {
        for bit in 32..160 {
            let mut bytes = BYTES;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!Packet::parse(&bytes, false).unwrap().checksum_ok(), "bit {bit}");
        }
    }

    #[test]
    fn fragments_are_told() {
        let fragment = |high, low| *Packet::parse(&with(&[(6, high), (7, low)]), false).unwrap().header;
        assert!(!fragment(0x40, 0).is_fragment());
        // The reserved bit says nothing.
        assert!(!fragment(0x80, 0).is_fragment());
        assert!(fragment(0x20, 0).is_fragment());
        assert!(fragment(0x00, 1).is_fragment());
        assert_eq!(fragment(0x1f, 0xff).fragment_offset(), 65_528);
    }

    #[test]
    fn lengths_are_checked_against_each_other() {
        assert_eq!(refused(&with(&[(0, 0x65)]), false), (Reason::UnknownVersion, 0, 0));
        assert_eq!(refused(&with(&[(0, 0x44)]), false), (Reason::HeaderLengthTooShort, 0, 0));
        assert_eq!(refused(&with(&[(0, 0x47)]), false), (Reason::Truncated, 0, 28));
        assert_eq!(refused(&with(&[(0, 0x47)]), true), (Reason::Truncated, 0, 28));
        for total in 1..20 {
            assert_eq!(refused(&with(&[(3, total)]), true), (Reason::LengthTooShort, 2, 0));
        }
        assert_eq!(refused(&with(&[(0, 0x46), (3, 23)]), false), (Reason::LengthTooShort, 2, 0));
        assert_eq!(refused(&with(&[(3, 27)]), false), (Reason::LengthTooLong, 2, 25));
        assert_eq!(Packet::parse(&with(&[(3, 20)]), false).unwrap().payload, []);
    }

    #[test]
    fn a_total_of_zero_is_a_superframe_or_refused() {
        let bytes = with(&[(3, 0)]);
        assert_eq!(refused(&bytes, false), (Reason::ZeroLength, 2, 0));
        let packet = Packet::parse(&bytes, true).unwrap();
        assert_eq!((packet.payload.len(), packet.superframe), (6, true));
        assert!(!Packet::parse(&BYTES, true).unwrap().superframe);
    }

    #[test]
    fn every_truncation() {
        for len in 0..20 {
            assert_eq!(refused(&BYTES[..len], false), (Reason::Truncated, 0, 20));
        }
        for len in 20..24 {
            assert_eq!(refused(&BYTES[..len], false), (Reason::LengthTooLong, 2, 22));
        }
    }
}
