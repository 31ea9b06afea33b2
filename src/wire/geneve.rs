//! Geneve (RFC 8926 section 3): the fixed header, the options and the rules for critical options.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |        Virtual Network Identifier (VNI)       |    Reserved   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                                                               |
//! ~              Options, 0 to 63 words of 4 bytes                ~
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Option Class         |C|     Type    |R|R|R| Length  |   each option: this word,
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   then `Length` words of data
//! ```
//!
//! A receiver that looks at options parses three times, each step linear in the bytes: [`Header::parse`]
//! for the fixed header and the size of the area, [`Options`] to walk it, [`Rules::validate`] to judge
//! it. One that does not look at them may skip the area while C is clear, and must drop the packet when C
//! is set (section 3.4); nothing but [`Header`] is needed for that.

use super::{EtherType, Layer, Reason, TunnelFlags, Vni, WireError};

pub use super::geneve_option::{
    Definition, Duplicates, OffloadRole, OptionId, OptionView, Options, Rules, Summary, Writer,
};
pub use super::schema::{Found, Schema};
pub(crate) use super::schema::{Quick, Written};
pub use super::typed_option::TypedOption;

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 8;

/// Most bytes that all options together can have: 63 words.
pub const MAX_OPTIONS_LEN: usize = 252;

/// Most bytes of data in one option: 31 words.
pub const MAX_OPTION_DATA_LEN: usize = 124;

/// Bytes of an option's own header.
pub const OPTION_HEADER_LEN: usize = 4;

const RESERVED: [u8; HEADER_LEN] = [0, 0x3f, 0, 0, 0, 0, 0, 0xff];

/// What the fixed header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Header {
    /// The network.
    pub vni: Vni,
    /// O (control packet: the payload is not to be forwarded) and C (critical options present).
    ///
    /// C is what the sender claims; an option's own bit counts whatever it says.
    pub flags: TunnelFlags,
    /// The payload's type; any EtherType, [`EtherType::ETHERNET`] for a frame.
    pub protocol: EtherType,
    /// Bytes of the option area, a multiple of 4 up to 252. Ignored by [`Header::emit`].
    pub options_len: u8,
}

impl Header {
    /// Reads the fixed header at the start of `bytes`, the UDP payload, and checks that the option area
    /// fits. The options themselves are not looked at; reserved bits are ignored.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 8 bytes, [`Reason::UnknownVersion`] where the version is not 0,
    /// [`Reason::OptionAreaTooLong`] where the area passes the end of `bytes` (`needed` counts header and
    /// area).
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(WireError::truncated(Layer::Geneve, 0, 8));
        };
        let header = Self::read(fixed)?;
        if usize::from(header.options_len) > rest.len() {
            return Err(WireError {
                layer: Layer::Geneve,
                reason: Reason::OptionAreaTooLong,
                offset: 0,
                needed: u32::from(header.options_len).saturating_add(8),
            });
        }
        Ok(header)
    }

    /// [`Header::parse`] without a look at what follows: the option area may not fit.
    #[inline(always)]
    pub(super) fn read(fixed: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        let &[first, second, t0, t1, v0, v1, v2, _] = fixed;
        if first & 0xc0 != 0 {
            return Err(WireError::new(Layer::Geneve, Reason::UnknownVersion, 0));
        }
        // O and C are the top bits here, in the other order than in `TunnelFlags`.
        let flags = (second & 0x80) >> 1 | (second & 0x40) << 1;
        Ok(Self {
            vni: Vni::from_bytes([v0, v1, v2]),
            flags: TunnelFlags::from_bits_retain(flags),
            protocol: EtherType(u16::from_be_bytes([t0, t1])),
            options_len: first << 2,
        })
    }

    /// Bytes of the header with its options, 8 to 260: the offset of the payload.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        HEADER_LEN.saturating_add(self.options_len as usize)
    }

    /// Never: a header has at least 8 bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The option area of `bytes`, from which this header was parsed; no options where it does not fit.
    #[must_use]
    #[inline]
    pub fn options(self, bytes: &[u8]) -> Options<'_> {
        let area = bytes.get(HEADER_LEN..).and_then(|rest| rest.get(..usize::from(self.options_len)));
        Options::new(area.unwrap_or_default())
    }

    /// Writes the header and the encoded option area `options` (of a [`Writer`], or as received) to the
    /// start of `out`, and returns their length.
    ///
    /// `Opt Len` and C follow from `options`; the area is copied verbatim, so that unknown options pass
    /// through as they came. Of the flags only O is taken from `self`.
    ///
    /// # Errors
    ///
    /// [`Reason::Unrepresentable`] for an area above 252 bytes, what [`Options`] reports (`offset`
    /// counting from the area's start) where it is not a sequence of options,
    /// [`Reason::BufferTooSmall`] where `out` cannot hold it; nothing is written then.
    pub fn emit(self, options: &[u8], out: &mut [u8]) -> Result<usize, WireError> {
        if options.len() > MAX_OPTIONS_LEN {
            return Err(WireError::new(Layer::Geneve, Reason::Unrepresentable, 0));
        }
        let mut critical = false;
        for option in Options::new(options) {
            critical |= option?.critical();
        }
        let len = HEADER_LEN.saturating_add(options.len());
        let Some((header, area)) = out.get_mut(..len).and_then(<[u8]>::split_first_chunk_mut::<HEADER_LEN>) else {
            return Err(super::too_small(Layer::Geneve, len));
        };
        *header = self.fixed(options.len(), critical);
        area.copy_from_slice(options);
        Ok(len)
    }

    /// The fixed header over an area of `options_len` bytes (a multiple of 4, at most 252) that holds a
    /// critical option or not.
    #[inline]
    pub(crate) const fn fixed(self, options_len: usize, critical: bool) -> [u8; HEADER_LEN] {
        // One word instead of eight bytes: whoever stores it has it in a register.
        let [.., area] = options_len.to_be_bytes();
        let control = (self.flags.bits() & TunnelFlags::O.bits()) << 1 | (critical as u8) << 6;
        let fields = (area as u64 >> 2) << 56 | (control as u64) << 48 | (self.protocol.0 as u64) << 32;
        (fields | (self.vni.get() as u64) << 8).to_be_bytes()
    }
}

/// Refuses a fixed header with a reserved bit set; for receivers that are stricter than RFC 8926
/// section 3.4, which demands that they are ignored.
///
/// # Errors
///
/// [`Reason::ReservedBits`] with the offset of the first byte at fault, [`Reason::Truncated`] below 8 bytes.
pub fn check_reserved(bytes: &[u8]) -> Result<(), WireError> {
    match bytes.first_chunk::<HEADER_LEN>() {
        Some(header) => super::check_mask(header, &RESERVED, Layer::Geneve),
        None => Err(WireError::truncated(Layer::Geneve, 0, 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 8] = [0, 0, 0x65, 0x58, 0x00, 0x13, 0x88, 0];
    const WITH_OPTION: [u8; 17] =
        [0x02, 0xc0, 0x08, 0x00, 0x01, 0x00, 0x00, 0, 0x01, 0x02, 0x80, 0x01, 0xde, 0xad, 0xbe, 0xef, 0x45];

    #[test]
    fn deconstruct() {
        let header = Header::parse(&PLAIN).unwrap();
        assert_eq!(header.vni.get(), 5000);
        assert_eq!((header.protocol, header.flags), (EtherType::ETHERNET, TunnelFlags::empty()));
        assert_eq!((header.len(), header.options(&PLAIN).next()), (8, None));

        let header = Header::parse(&WITH_OPTION).unwrap();
        assert_eq!(header.vni.get(), 0x1_0000);
        assert_eq!((header.protocol, header.flags), (EtherType::IPV4, TunnelFlags::O | TunnelFlags::C));
        assert_eq!(header.len(), 16);
        let mut options = header.options(&WITH_OPTION);
        let option = options.next().unwrap().unwrap();
        assert_eq!((option.class, option.kind, option.data), (0x0102, 0x80, &[0xde, 0xad, 0xbe, 0xef][..]));
        assert_eq!(options.next(), None);
    }

    #[test]
    fn construct_computes_opt_len_and_c() {
        let header = Header {
            vni: Vni::truncating(0x1_0000),
            flags: TunnelFlags::O,
            protocol: EtherType::IPV4,
            options_len: 252,
        };
        let mut out = [0xa5; 17];
        assert_eq!(header.emit(&WITH_OPTION[8..16], &mut out), Ok(16));
        assert_eq!(out[..16], WITH_OPTION[..16]);
        assert_eq!(out[16], 0xa5);

        let mut out = [0xa5; 9];
        let header = Header { flags: TunnelFlags::all(), ..header };
        assert_eq!(header.emit(&[], &mut out), Ok(8));
        assert_eq!(out, [0, 0x80, 0x08, 0x00, 0x01, 0, 0, 0, 0xa5]);
    }

    #[test]
    fn o_and_c_are_told_apart() {
        for (bits, flags) in [(0x80, TunnelFlags::O), (0x40, TunnelFlags::C)] {
            let mut bytes = PLAIN;
            bytes[1] = bits;
            assert_eq!(Header::parse(&bytes).unwrap().flags, flags);
        }
    }

    #[test]
    fn the_largest_area() {
        let mut area = [0_u8; 252];
        for option in area.chunks_exact_mut(4) {
            option.copy_from_slice(&[0xff, 0xff, 0x7f, 0xe0]);
        }
        let mut out = [0xa5; 260];
        assert_eq!(Header::default().emit(&area, &mut out), Ok(260));
        let header = Header::parse(&out).unwrap();
        assert_eq!((header.len(), header.flags), (260, TunnelFlags::empty()));
        assert_eq!(header.options(&out).count(), 63);
        assert_eq!(out[8..], area);
    }

    #[test]
    fn every_truncation() {
        for len in 0..8 {
            assert_eq!(Header::parse(&WITH_OPTION[..len]), Err(WireError::truncated(Layer::Geneve, 0, 8)));
            assert!(check_reserved(&PLAIN[..len]).is_err());
        }
        for len in 8..16 {
            let error = Header::parse(&WITH_OPTION[..len]).unwrap_err();
            assert_eq!((error.reason, error.offset, error.needed), (Reason::OptionAreaTooLong, 0, 16));
        }
        for len in 0..16 {
            let mut out = [0xa5; 16];
            let error = Header::default().emit(&WITH_OPTION[8..16], &mut out[..len]).unwrap_err();
            assert_eq!((error.reason, error.needed), (Reason::BufferTooSmall, 16));
            assert_eq!(out, [0xa5; 16]);
        }
    }

    #[test]
    fn an_area_that_is_no_sequence_of_options_is_not_written() {
        let mut out = [0xa5; 300];
        for area in [&[0_u8; 5][..], &[0, 0, 0, 1], &[0; 3], &[0; 256]] {
            assert!(Header::default().emit(area, &mut out).is_err());
        }
        assert_eq!(out, [0xa5; 300]);
    }

    #[test]
    fn every_first_byte() {
        let bytes = [0xa5; 8 + 252];
        for first in 0..=255 {
            let mut bytes = bytes;
            bytes[0] = first;
            match Header::parse(&bytes) {
                Ok(header) => assert_eq!(usize::from(header.options_len), usize::from(first) * 4),
                Err(error) => assert!(first > 63 && error.reason == Reason::UnknownVersion),
            }
        }
    }

    #[test]
    fn reserved_bits_are_ignored_unless_checked() {
        for (byte, bits) in [(1, 0x3f), (7, 0xff)] {
            for bit in (0..8).map(|n| 1 << n).filter(|bit| bits & bit != 0) {
                let mut bytes = PLAIN;
                bytes[byte] |= bit;
                assert_eq!(Header::parse(&bytes), Header::parse(&PLAIN));
                let error = check_reserved(&bytes).unwrap_err();
                assert_eq!((error.reason, error.offset as usize), (Reason::ReservedBits, byte));
            }
        }
        assert_eq!(check_reserved(&WITH_OPTION), Ok(()));
    }

    #[test]
    fn vni_and_protocol_borders() {
        for vni in [0, 1, 0xffff, 0x1_0000, 0xff_ffff] {
            for protocol in [0, 0x0800, 0x6558, 0x86dd, 0x894f, 0xffff] {
                let header = Header { vni: Vni::truncating(vni), protocol: EtherType(protocol), ..Header::default() };
                assert_eq!(Header::parse(&header.fixed(0, false)), Ok(header));
            }
        }
    }
}
