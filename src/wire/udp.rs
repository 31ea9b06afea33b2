//! UDP (RFC 768).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          source port          |       destination port        |
//! +-------------------------------+-------------------------------+
//! |            length             |           checksum            |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! The length counts header and payload. A checksum of 0 means none: always legal over IPv4, over IPv6
//! only where it was agreed on (RFC 6935, RFC 6936).

use core::net::IpAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::Sum;
use super::{Layer, Reason, WireError};

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<Header>();
/// UDP's number in the protocol field of IPv4 and the next header field of IPv6.
pub const PROTOCOL: u8 = 17;

/// A whole UDP datagram: header and payload, lengths checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packet<'a> {
    /// The header.
    pub header: &'a Header,
    /// What follows: as long as the UDP length says, whatever the IP payload holds beyond it.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram from the start of `bytes`, the IP payload.
    ///
    /// With `superframe` (the IP length was 0 and that was fine), a length of 0 means the whole slice. The
    /// checksum is not looked at: see [`Packet::checksum_ok`].
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 8 bytes; [`Reason::LengthTooShort`] and [`Reason::LengthTooLong`] for a
    /// length below 8 or beyond the slice; [`Reason::ZeroLength`] for 0 without `superframe`.
    #[inline]
    pub fn parse(bytes: &'a [u8], superframe: bool) -> Result<Self, WireError> {
        let Ok((header, rest)) = Header::ref_from_prefix(bytes) else {
            return Err(WireError::truncated(Layer::Udp, 0, 8));
        };
        // A length below 8 wraps to one that no slice has.
        match rest.get(..usize::from(header.len()).wrapping_sub(HEADER_LEN)) {
            Some(payload) => Ok(Self { header, payload }),
            None if superframe && header.len() == 0 => Ok(Self { header, payload: rest }),
            None => Err(header.length_error()),
        }
    }

    /// Bytes of header and payload, as they count in the pseudo-header: not 0 in a super-frame either.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.payload.len().saturating_add(HEADER_LEN)).unwrap_or(u32::MAX)
    }

    /// Whether the payload is empty.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Whether the checksum, which is not 0, is right under this [`pseudo`] header.
    ///
    /// Cost: reads the whole payload.
    #[inline]
    #[must_use]
    pub fn checksum_ok(&self, pseudo: Sum) -> bool {
        pseudo.add_bytes(self.header.as_bytes()).add_bytes(self.payload).is_valid()
    }

    /// Whether the checksum covers the [`pseudo`] header only, not complemented: how a packet looks
    /// between a sender that left the rest to the network device and that device.
    #[inline]
    #[must_use]
    pub const fn checksum_partial(&self, pseudo: Sum) -> bool {
        self.header.checksum() == pseudo.fold()
    }
}

/// The sum of the pseudo-header for `len` bytes of UDP, or `None` for addresses of two families.
#[inline]
#[must_use]
pub const fn pseudo(src: IpAddr, dst: IpAddr, len: u32) -> Option<Sum> {
    match (src, dst) {
        // A super-frame's length passes the 16 bits of IPv4's pseudo-header and is added as if it did not.
        (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Sum::pseudo_v4(src, dst, PROTOCOL, 0).add_u32(len)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => Some(Sum::pseudo_v6(src, dst, PROTOCOL, len)),
        _ => None,
    }
}

/// A UDP header as it stands in the packet; 8 bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct Header {
    src_port: [u8; 2],
    dst_port: [u8; 2],
    len: [u8; 2],
    checksum: [u8; 2],
}

impl Header {
    /// The header at the start of `bytes`, nothing but its presence checked.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 8 bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), WireError> {
        Self::ref_from_prefix(bytes).map_err(|_| WireError::truncated(Layer::Udp, 0, 8))
    }

    /// The source port.
    #[inline]
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        u16::from_be_bytes(self.src_port)
    }

    /// The destination port.
    #[inline]
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        u16::from_be_bytes(self.dst_port)
    }

    /// Bytes of header and payload; 0 in a super-frame.
    #[expect(clippy::len_without_is_empty, reason = "a field of the header, not the size of a collection")]
    #[inline]
    #[must_use]
    pub const fn len(&self) -> u16 {
        u16::from_be_bytes(self.len)
    }

    /// The checksum as it stands there; 0 means none.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes(self.checksum)
    }

    #[cold]
    fn length_error(&self) -> WireError {
        match self.len() {
            0 => WireError::new(Layer::Udp, Reason::ZeroLength, 4),
            1..8 => WireError::new(Layer::Udp, Reason::LengthTooShort, 4),
            len => WireError::too_long(Layer::Udp, 4, u32::from(len).saturating_sub(4)),
        }
    }
}

/// What a sender chooses of a UDP header; length and checksum follow from it and the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Fields {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

impl Fields {
    /// The header for `payload`, with a checksum if `addresses` (source, destination) are given.
    ///
    /// # Errors
    ///
    /// [`Reason::Unrepresentable`] above 65527 bytes of payload; [`Reason::FamilyMismatch`] for addresses
    /// of two families.
    pub fn header(&self, payload: &[u8], addresses: Option<(IpAddr, IpAddr)>) -> Result<Header, WireError> {
        let Ok(len) = u16::try_from(payload.len().saturating_add(HEADER_LEN)) else {
            return Err(WireError::new(Layer::Udp, Reason::Unrepresentable, 4));
        };
        let mut header = Header {
            src_port: self.src_port.to_be_bytes(),
            dst_port: self.dst_port.to_be_bytes(),
            len: len.to_be_bytes(),
            checksum: [0; 2],
        };
        if let Some((src, dst)) = addresses {
            let Some(sum) = pseudo(src, dst, u32::from(len)) else {
                return Err(WireError::new(Layer::Udp, Reason::FamilyMismatch, 0));
            };
            header.checksum = sum.add_bytes(header.as_bytes()).add_bytes(payload).finish_udp().to_be_bytes();
        }
        Ok(header)
    }

    /// Writes the header for `payload` to the start of `out` and returns 8; see [`Fields::header`].
    ///
    /// # Errors
    ///
    /// Those of [`Fields::header`]; [`Reason::BufferTooSmall`] below 8 bytes.
    pub fn emit(
        &self,
        payload: &[u8],
        addresses: Option<(IpAddr, IpAddr)>,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let header = self.header(payload, addresses)?;
        header.write_to_prefix(out).map_err(|_| WireError::buffer_too_small(Layer::Udp, 8))?;
        Ok(HEADER_LEN)
    }
}

impl From<&Header> for Fields {
    fn from(header: &Header) -> Self {
        Self { src_port: header.src_port(), dst_port: header.dst_port() }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec;

    const FIELDS: Fields = Fields { src_port: 0xc001, dst_port: 4789 };
    const V4: (IpAddr, IpAddr) =
        (IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(core::net::Ipv4Addr::new(198, 51, 100, 7)));
    const V6: (IpAddr, IpAddr) = (
        IpAddr::V6(core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
    );
    /// Twelve bytes of datagram and two of something else behind it.
    const BYTES: [u8; 14] = [0xc0, 0x01, 0x12, 0xb5, 0x00, 0x0c, 0x00, 0x00, 1, 2, 3, 4, 0xee, 0xee];

    fn refused(bytes: &[u8], superframe: bool) -> (Reason, u32, u32) {
        let error = Packet::parse(bytes, superframe).unwrap_err();
        assert_eq!(error.layer, Layer::Udp);
        (error.reason, error.offset, error.needed)
    }

    #[test]
    fn deconstruct() {
        let packet = Packet::parse(&BYTES, false).unwrap();
        assert_eq!((packet.payload, packet.len()), (&[1, 2, 3, 4][..], 12));
        assert_eq!((packet.header.len(), packet.header.checksum()), (12, 0));
        assert_eq!(Fields::from(packet.header), FIELDS);
        assert_eq!(Header::parse(&BYTES).unwrap().0, packet.header);
    }

    #[test]
    fn construct_sets_every_byte_and_no_more() {
        let mut out = [0xa5; 10];
        assert_eq!(FIELDS.emit(&[1, 2, 3, 4], None, &mut out), Ok(HEADER_LEN));
        assert_eq!(out[..8], BYTES[..8]);
        assert_eq!(out[8..], [0xa5; 2]);
        for len in 0..HEADER_LEN {
            let mut out = [0xa5; HEADER_LEN];
            let error = FIELDS.emit(&[], None, &mut out[..len]).unwrap_err();
            assert_eq!(error, WireError::buffer_too_small(Layer::Udp, 8));
            assert_eq!(out, [0xa5; HEADER_LEN]);
        }
        assert_eq!(FIELDS.header(&vec![0; 65_527], None).unwrap().len(), 65_535);
        assert_eq!(FIELDS.header(&vec![0; 65_528], None).unwrap_err().reason, Reason::Unrepresentable);
        assert_eq!(FIELDS.header(&[], Some((V4.0, V6.1))).unwrap_err().reason, Reason::FamilyMismatch);
    }

    #[test]
    fn checksums_round_trip_and_any_flipped_bit_shows() {
        for (src, dst) in [V4, V6] {
            for payload in [&[][..], &[7], &[1, 2, 3, 4], &[0xff; 33]] {
                let mut bytes = vec![0; HEADER_LEN];
                FIELDS.emit(payload, Some((src, dst)), &mut bytes).unwrap();
                bytes.extend(payload);
                let sum = pseudo(src, dst, u32::try_from(bytes.len()).unwrap()).unwrap();
                assert!(Packet::parse(&bytes, false).unwrap().checksum_ok(sum));
                for bit in (0..bytes.len() * 8).filter(|bit| !(32..48).contains(bit)) {
                    let mut bytes = bytes.clone();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    assert!(!Packet::parse(&bytes, false).unwrap().checksum_ok(sum), "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_computed_zero_is_sent_as_ones() {
        // The payload that makes the sum 0xffff: the checksum field of an otherwise equal datagram.
        let first = FIELDS.header(&[0, 0], Some(V4)).unwrap();
        let header = FIELDS.header(&first.checksum, Some(V4)).unwrap();
        assert_eq!(header.checksum(), 0xffff);
    }

    #[test]
    fn the_checksum_of_an_offloading_sender_is_known() {
        let sum = pseudo(V4.0, V4.1, 12).unwrap();
        let mut bytes = BYTES;
        bytes[6..8].copy_from_slice(&sum.fold().to_be_bytes());
        let packet = Packet::parse(&bytes, false).unwrap();
        assert!(packet.checksum_partial(sum));
        assert!(!packet.checksum_ok(sum));
        assert!(!Packet::parse(&BYTES, false).unwrap().checksum_partial(sum));
    }

    #[test]
    fn lengths_are_checked() {
        let with = |len| {
            let mut bytes = BYTES;
            bytes[5] = len;
            bytes
        };
        for len in 1..8 {
            assert_eq!(refused(&with(len), true), (Reason::LengthTooShort, 4, 0));
        }
        assert_eq!(refused(&with(15), true), (Reason::LengthTooLong, 4, 11));
        assert_eq!(refused(&with(0), false), (Reason::ZeroLength, 4, 0));
        assert_eq!(Packet::parse(&with(0), true).unwrap().len(), 14);
        assert!(Packet::parse(&with(8), true).unwrap().is_empty());
    }

    #[test]
    fn every_truncation() {
        for len in 0..8 {
            assert_eq!(refused(&BYTES[..len], false), (Reason::Truncated, 0, 8));
            assert_eq!(Header::parse(&BYTES[..len]), Err(WireError::truncated(Layer::Udp, 0, 8)));
        }
        for len in 8..12 {
            assert_eq!(refused(&BYTES[..len], false), (Reason::LengthTooLong, 4, 8));
        }
    }
}
