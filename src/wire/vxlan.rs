//! VXLAN (RFC 7348 section 5) with the Group Policy extension (draft-smith-vxlan-group-policy).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        Group Policy ID        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          VXLAN Network Identifier (VNI)       |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Plain VXLAN has only I and the VNI; everything else is reserved there. [`Header::parse`] follows
//! RFC 7348 and ignores what is reserved; whoever wants such packets refused calls [`check_reserved`] too.

use super::{Layer, Reason, TunnelFlags, Vni, WireError};

/// Bytes of the header; the inner Ethernet frame follows.
pub const HEADER_LEN: usize = 8;

/// The flags that this header can carry.
const FLAGS: TunnelFlags = TunnelFlags::I.union(TunnelFlags::G).union(TunnelFlags::D).union(TunnelFlags::A);

const RESERVED_PLAIN: [u8; HEADER_LEN] = [0xf7, 0xff, 0xff, 0xff, 0, 0, 0, 0xff];
const RESERVED_GBP: [u8; HEADER_LEN] = [0x77, 0xb7, 0, 0, 0, 0, 0, 0xff];

/// What a VXLAN header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Header {
    /// The network.
    pub vni: Vni,
    /// I (always set after parsing, always written), G, D and A.
    pub flags: TunnelFlags,
    /// The group policy ID; 0 unless G is set.
    pub policy: u16,
}

impl Header {
    /// Reads the header at the start of `bytes`, the UDP payload.
    ///
    /// Reserved bits are ignored (RFC 7348 section 5). D and A are reported as they stand, with or without
    /// G; to a receiver that does not speak Group Policy they are reserved bits.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 8 bytes, [`Reason::NoVni`] where the I flag is clear.
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let Some(fixed) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(WireError::truncated(Layer::Vxlan, 0, 8));
        };
        let Some((flags, policy)) = flags(fixed) else {
            return Err(WireError::new(Layer::Vxlan, Reason::NoVni, 0));
        };
        let [.., v0, v1, v2, v3] = *fixed;
        Ok(Self { vni: Vni::truncating(u32::from_be_bytes([v0, v1, v2, v3]) >> 8), flags, policy })
    }

    /// The eight bytes of the header: I is always set, `policy` is written only with G, what is reserved is
    /// zero, and flags of other headers are not written.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let flags = self.flags.intersection(FLAGS).bits();
        let g = flags & TunnelFlags::G.bits();
        let [p0, p1] = if g == 0 { [0, 0] } else { self.policy.to_be_bytes() };
        let [v0, v1, v2] = self.vni.to_bytes();
        let d = flags & TunnelFlags::D.bits();
        let a = flags & TunnelFlags::A.bits();
        [0x08 | g << 6, d << 4 | a, p0, p1, v0, v1, v2, 0]
    }

    /// Writes the header to the start of `out` and returns its length, 8.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`] below 8 bytes; nothing is written then.
    #[inline]
    pub fn emit(self, out: &mut [u8]) -> Result<usize, WireError> {
        super::put_header(out, self.to_bytes(), Layer::Vxlan)
    }
}

/// The flags of a header and its policy ID; `None` where the I flag is clear.
#[inline(always)]
pub(super) const fn flags(fixed: &[u8; HEADER_LEN]) -> Option<(TunnelFlags, u16)> {
    let [word @ .., _, _, _, _] = fixed;
    if u32::from_be_bytes(*word) == 0x0800_0000 {
        return Some((TunnelFlags::I, 0));
    }
    let [f0, f1, f2, f3] = *word;
    if f0 & 0x08 == 0 {
        return None;
    }
    // G stands in bit 1 of `TunnelFlags`, D in bit 2, A in bit 3: shifts instead of branches.
    let flags = TunnelFlags::I.bits() | (f0 >> 6 & 0x02) | (f1 >> 4 & 0x04) | (f1 & 0x08);
    let policy = if f0 & 0x80 == 0 { 0 } else { u16::from_be_bytes([f2, f3]) };
    Some((TunnelFlags::from_bits_retain(flags), policy))
}

/// Refuses a header with a reserved bit set; for receivers that are stricter than RFC 7348 section 5.
///
/// With `group_policy` the bits of that extension are not reserved, except a policy ID without G.
///
/// # Errors
///
/// [`Reason::ReservedBits`] with the offset of the first byte at fault, [`Reason::Truncated`] below 8 bytes.
pub fn check_reserved(bytes: &[u8], group_policy: bool) -> Result<(), WireError> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(WireError::truncated(Layer::Vxlan, 0, 8));
    };
    super::check_mask(header, if group_policy { &RESERVED_GBP } else { &RESERVED_PLAIN }, Layer::Vxlan)?;
    let &[high, _, p0, p1, ..] = header;
    if group_policy && high & 0x80 == 0 && p0 | p1 != 0 {
        return Err(WireError::new(Layer::Vxlan, Reason::ReservedBits, if p0 == 0 { 3 } else { 2 }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 8] = [0x08, 0, 0, 0, 0x00, 0x13, 0x88, 0];
    const POLICY: [u8; 8] = [0x88, 0x48, 0x00, 0x64, 0x2d, 0xc6, 0xc1, 0];

    #[test]
    fn deconstruct() {
        let header = Header::parse(&PLAIN).unwrap();
        assert_eq!(header, Header { vni: Vni::truncating(5000), flags: TunnelFlags::I, policy: 0 });
        let header = Header::parse(&POLICY).unwrap();
        assert_eq!((header.vni.get(), header.flags, header.policy), (3_000_001, FLAGS, 100));
    }

    #[test]
    fn construct_sets_every_byte() {
        for (bytes, flags, policy, vni) in [(PLAIN, TunnelFlags::empty(), 77, 5000), (POLICY, FLAGS, 100, 3_000_001)] {
            let mut out = [0xa5; 9];
            let header = Header { vni: Vni::truncating(vni), flags, policy };
            assert_eq!(header.emit(&mut out), Ok(8));
            assert_eq!(out[..8], bytes);
            assert_eq!(out[8], 0xa5);
        }
    }

    #[test]
    fn every_flag_alone_survives_and_foreign_flags_are_not_written() {
        for bits in 0..=255 {
            let flags = TunnelFlags::from_bits_retain(bits);
            let header = Header { vni: Vni::MAX, flags, policy: 0xffff };
            let back = Header::parse(&header.to_bytes()).unwrap();
            assert_eq!(back.flags, (flags | TunnelFlags::I) & FLAGS);
            assert_eq!(back.policy, if flags.contains(TunnelFlags::G) { 0xffff } else { 0 });
            assert_eq!(back.to_bytes(), header.to_bytes());
            assert!(check_reserved(&header.to_bytes(), true).is_ok());
        }
    }

    #[test]
    fn every_truncation() {
        for len in 0..8 {
            assert_eq!(Header::parse(&PLAIN[..len]), Err(WireError::truncated(Layer::Vxlan, 0, 8)));
            assert!(check_reserved(&PLAIN[..len], false).is_err());
            let mut out = [0xa5; 8];
            let error = Header::default().emit(&mut out[..len]).unwrap_err();
            assert_eq!((error.reason, error.needed), (Reason::BufferTooSmall, 8));
            assert_eq!(out, [0xa5; 8]);
        }
    }

    #[test]
    fn vni_borders() {
        for vni in [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff] {
            let header = Header { vni: Vni::truncating(vni), ..Header::default() };
            assert_eq!(Header::parse(&header.to_bytes()).unwrap().vni.get(), vni);
        }
    }

    #[test]
    fn a_clear_i_flag_is_no_vni_whatever_else_is_set() {
        let bytes = [0xf7, 0xff, 0xff, 0xff, 1, 2, 3, 0xff];
        assert_eq!(Header::parse(&bytes), Err(WireError::new(Layer::Vxlan, Reason::NoVni, 0)));
    }

    #[test]
    fn reserved_bits_one_by_one() {
        for bit in 0..64_usize {
            let mut bytes = PLAIN;
            bytes[4..7].fill(0);
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            let strict = check_reserved(&bytes, false);
            let is_vni = (32..56).contains(&bit);
            if bit == 4 {
                assert!(Header::parse(&bytes).is_err());
                continue;
            }
            let header = Header::parse(&bytes).unwrap();
            assert_eq!(header.vni.get() != 0, is_vni, "bit {bit}");
            assert_eq!(strict.is_ok(), is_vni, "bit {bit}");
            if let Err(error) = strict {
                assert_eq!((error.reason, error.offset as usize), (Reason::ReservedBits, bit / 8));
            }
            let of_group_policy = matches!(bit, 0 | 9 | 12);
            assert_eq!(check_reserved(&bytes, true).is_ok(), is_vni || of_group_policy, "bit {bit}");
        }
    }
}
