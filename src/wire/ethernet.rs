//! Ethernet II.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                  destination address (48 bits)                |
//! +                               +-------------------------------+
//! |                               |                               |
//! +-------------------------------+                               +
//! |                     source address (48 bits)                  |
//! +-------------------------------+-------------------------------+
//! |           EtherType           |
//! +-------------------------------+
//! ```
//!
//! VLAN tags stand between the source address and the EtherType, each behind an EtherType of its own:
//! see [`vlan`](super::vlan). An EtherType up to 1500 is an IEEE 802.3 length. The frame check sequence is
//! the network device's matter and no part of any slice here.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{EtherType, Layer, MacAddr, WireError};

/// Bytes of an Ethernet header without tags.
pub const HEADER_LEN: usize = size_of::<Header>();

/// An Ethernet header as it stands in the frame; 14 bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct Header {
    dst: MacAddr,
    src: MacAddr,
    ethertype: [u8; 2],
}

impl Header {
    /// The header and what follows it.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`](super::Reason::Truncated) below 14 bytes.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<(&Self, &[u8]), WireError> {
        Self::ref_from_prefix(frame).map_err(|_| WireError::truncated(Layer::Ethernet, 0, 14))
    }

    /// A header of these three fields.
    #[must_use]
    pub const fn new(dst: MacAddr, src: MacAddr, ethertype: EtherType) -> Self {
        Self { dst, src, ethertype: ethertype.0.to_be_bytes() }
    }

    /// The destination address.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> MacAddr {
        self.dst
    }

    /// The source address.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> MacAddr {
        self.src
    }

    /// What follows: a tag's TPID, a payload type, or an 802.3 length.
    #[inline]
    #[must_use]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(u16::from_be_bytes(self.ethertype))
    }

    /// Writes the header to the start of `out` and returns 14.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`](super::Reason::BufferTooSmall) below 14 bytes.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        self.write_to_prefix(out).map_err(|_| WireError::buffer_too_small(Layer::Ethernet, 14))?;
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reason;

    const BYTES: [u8; 16] = [0x02, 0, 0, 0, 0, 0x0a, 0x02, 0x11, 0x22, 0x33, 0x44, 0x0b, 0x86, 0xdd, 0x60, 0x00];

    #[test]
    fn deconstruct() {
        let (header, rest) = Header::parse(&BYTES).unwrap();
        assert_eq!(header.dst(), MacAddr([0x02, 0, 0, 0, 0, 0x0a]));
        assert_eq!(header.src(), MacAddr([0x02, 0x11, 0x22, 0x33, 0x44, 0x0b]));
        assert_eq!(header.ethertype(), EtherType::IPV6);
        assert_eq!(rest, [0x60, 0x00]);
    }

    #[test]
    fn construct_sets_every_byte_and_no_more() {
        let header = Header::new(
            MacAddr([0x02, 0, 0, 0, 0, 0x0a]),
            MacAddr([0x02, 0x11, 0x22, 0x33, 0x44, 0x0b]),
            EtherType::IPV6,
        );
        let mut out = [0xa5; 16];
        assert_eq!(header.emit(&mut out), Ok(HEADER_LEN));
        assert_eq!(out[..14], BYTES[..14]);
        assert_eq!(out[14..], [0xa5; 2]);
        assert_eq!(Header::parse(&out).unwrap().0, &header);
    }

    #[test]
    fn every_truncation() {
        for len in 0..HEADER_LEN {
            let error = Header::parse(&BYTES[..len]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Ethernet, 0, 14));
            let mut out = [0xa5; HEADER_LEN];
            let header = *Header::parse(&BYTES).unwrap().0;
            assert_eq!(header.emit(&mut out[..len]).unwrap_err().reason, Reason::BufferTooSmall);
            assert_eq!(out, [0xa5; HEADER_LEN]);
        }
    }
}
