//! VLAN tags: IEEE 802.1Q customer tags and 802.1ad service tags, up to three in a row.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-----+-+-----------------------+
//! |         TPID (16 bits)        | PCP |D|      VID (12 bits)    |
//! +-------------------------------+-----+-+-----------------------+
//! ```
//!
//! The TPID stands where the EtherType of an untagged frame does; behind the tag comes the next EtherType,
//! which may be a TPID again.

use super::{EtherType, Layer, Reason, WireError};

/// Bytes of one tag.
pub const TAG_LEN: usize = 4;
/// Tags that [`Tags::parse`] follows; one more is [`Reason::TooManyTags`].
pub const MAX_TAGS: usize = 3;

/// One tag: which kind, and its 16 bits of tag control information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Tag {
    /// The tag protocol identifier: [`EtherType::VLAN`] or [`EtherType::QINQ`].
    pub tpid: EtherType,
    /// Priority, drop eligibility and VLAN identifier.
    pub tci: u16,
}

impl Tag {
    /// A tag, or `None` where `vid` passes 12 bits or `pcp` 3.
    #[must_use]
    pub const fn new(tpid: EtherType, vid: u16, pcp: u8, dei: bool) -> Option<Self> {
        if vid > 0x0fff || pcp > 7 {
            return None;
        }
        Some(Self { tpid, tci: (pcp as u16) << 13 | (dei as u16) << 12 | vid })
    }

    /// The VLAN identifier, 0 to 4095; 0 says that the tag carries a priority only.
    #[inline]
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The priority code point, 0 to 7.
    #[inline]
    #[must_use]
    pub const fn pcp(self) -> u8 {
        self.tci.to_be_bytes()[0] >> 5
    }

    /// The drop-eligible indicator.
    #[inline]
    #[must_use]
    pub const fn dei(self) -> bool {
        self.tci & 0x1000 != 0
    }

    /// The four bytes that stand between the source address and the EtherType.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; TAG_LEN] {
        let [a, b] = self.tpid.0.to_be_bytes();
        let [c, d] = self.tci.to_be_bytes();
        [a, b, c, d]
    }

    /// Writes the tag to the start of `out` and returns 4.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`] below 4 bytes.
    #[inline]
    pub fn emit(self, out: &mut [u8]) -> Result<usize, WireError> {
        let Some(place) = out.first_chunk_mut() else {
            return Err(WireError::buffer_too_small(Layer::Vlan, 4));
        };
        *place = self.to_bytes();
        Ok(TAG_LEN)
    }
}

/// The tags of one frame, outermost first, and the EtherType behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tags {
    list: [Tag; MAX_TAGS],
    count: u8,
    ethertype: EtherType,
}

impl Tags {
    /// Walks the tags: `ethertype` is the Ethernet header's, `bytes` what follows that header. Returns the
    /// tags and what follows them. Offsets count from the start of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] where a TPID is followed by fewer than 4 bytes (its TCI and the next
    /// EtherType), [`Reason::TooManyTags`] at the TPID of a fourth tag.
    #[inline]
    pub fn parse(ethertype: EtherType, bytes: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut tags = Self { ethertype, ..Self::default() };
        let mut rest = bytes;
        let mut offset = 0_u32;
        for place in &mut tags.list {
            if !tags.ethertype.is_tag() {
                return Ok((tags, rest));
            }
            let Some((&[a, b, c, d], after)) = rest.split_first_chunk() else {
                return Err(WireError::truncated(Layer::Vlan, offset, 4));
            };
            *place = Tag { tpid: tags.ethertype, tci: u16::from_be_bytes([a, b]) };
            tags.ethertype = EtherType(u16::from_be_bytes([c, d]));
            tags.count = tags.count.saturating_add(1);
            offset = offset.saturating_add(4);
            rest = after;
        }
        if tags.ethertype.is_tag() {
            return Err(WireError::new(Layer::Vlan, Reason::TooManyTags, offset.saturating_sub(2)));
        }
        Ok((tags, rest))
    }

    /// The tags, outermost first.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        self.list.get(..usize::from(self.count)).unwrap_or(&self.list)
    }

    /// Number of tags, 0 to 3.
    #[inline]
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// Bytes the tags take, 0 to 12.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.count as usize).saturating_mul(TAG_LEN)
    }

    /// Whether there is no tag.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The outermost tag.
    #[inline]
    #[must_use]
    pub const fn outermost(&self) -> Option<Tag> {
        if self.count == 0 { None } else { Some(self.list[0]) }
    }

    /// The EtherType behind the tags.
    #[inline]
    #[must_use]
    pub const fn ethertype(&self) -> EtherType {
        self.ethertype
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the Ethernet header's 0x88a8: two more tags and IPv4.
    const BYTES: [u8; 14] = [0x60, 0x64, 0x81, 0x00, 0x1f, 0xff, 0x81, 0x00, 0xe0, 0x00, 0x08, 0x00, 0x45, 0x00];

    #[test]
    fn deconstruct_and_construct() {
        let tag = Tag { tpid: EtherType::QINQ, tci: 0x7064 };
        assert_eq!((tag.vid(), tag.pcp(), tag.dei()), (100, 3, true));
        assert_eq!(Tag::new(EtherType::QINQ, 100, 3, true), Some(tag));
        assert_eq!(Tag::new(EtherType::VLAN, 4096, 0, false), None);
        assert_eq!(Tag::new(EtherType::VLAN, 0, 8, false), None);
        assert_eq!(Tag::new(EtherType::VLAN, 4095, 7, false).map(|tag| tag.tci), Some(0xefff));

        let mut out = [0xa5; 6];
        assert_eq!(tag.emit(&mut out), Ok(4));
        assert_eq!(out, [0x88, 0xa8, 0x70, 0x64, 0xa5, 0xa5]);
        let mut out = [0xa5; 3];
        assert_eq!(tag.emit(&mut out).unwrap_err().reason, Reason::BufferTooSmall);
        assert_eq!(out, [0xa5; 3]);
    }

    #[test]
    fn none_to_three_are_walked() {
        let (tags, rest) = Tags::parse(EtherType::IPV4, &BYTES).unwrap();
        assert!(tags.is_empty());
        assert_eq!((tags.outermost(), tags.ethertype(), rest.len()), (None, EtherType::IPV4, 14));

        let (tags, rest) = Tags::parse(EtherType::QINQ, &BYTES).unwrap();
        let vids: [u16; 3] = [100, 0xfff, 0];
        assert!(tags.as_slice().iter().map(|tag| tag.vid()).eq(vids));
        assert_eq!(tags.outermost(), Some(Tag { tpid: EtherType::QINQ, tci: 0x6064 }));
        assert_eq!((tags.count(), tags.len(), tags.ethertype()), (3, 12, EtherType::IPV4));
        assert_eq!(rest, [0x45, 0x00]);

        let (tags, rest) = Tags::parse(EtherType::VLAN, &BYTES[8..]).unwrap();
        assert_eq!((tags.count(), tags.ethertype(), rest), (1, EtherType::IPV4, &BYTES[12..]));
    }

    #[test]
    fn a_fourth_is_refused_at_its_tpid() {
        let mut bytes = BYTES;
        bytes[10..12].copy_from_slice(&[0x88, 0xa8]);
        let error = Tags::parse(EtherType::VLAN, &bytes).unwrap_err();
        assert_eq!(error, WireError::new(Layer::Vlan, Reason::TooManyTags, 10));
    }

    #[test]
    fn every_truncation() {
        for len in 0..12 {
            let error = Tags::parse(EtherType::VLAN, &BYTES[..len]).unwrap_err();
            let start = u32::try_from(len / 4 * 4).unwrap();
            assert_eq!(error, WireError::truncated(Layer::Vlan, start, 4));
        }
    }
}
