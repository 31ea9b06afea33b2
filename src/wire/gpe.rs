//! VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-13 section 3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |R|R|Ver|I|P|B|O|           Reserved            | Next Protocol |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          VXLAN Network Identifier (VNI)       |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! With P clear the next-protocol field must be zero, and the payload is an Ethernet frame as in plain
//! VXLAN. A header that names a next protocol without P contradicts itself: the payload is then not known,
//! so that no other packet is mistaken for a frame.

use super::{EtherType, Layer, Reason, TunnelFlags, Vni, WireError};

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// The flags that this header can carry.
const FLAGS: TunnelFlags = TunnelFlags::I.union(TunnelFlags::P).union(TunnelFlags::B).union(TunnelFlags::O);

const RESERVED: [u8; HEADER_LEN] = [0xc0, 0xff, 0xff, 0, 0, 0, 0, 0xff];

/// Next-protocol numbers that have an EtherType.
pub mod next_protocol {
    /// IPv4.
    pub const IPV4: u8 = 1;
    /// IPv6.
    pub const IPV6: u8 = 2;
    /// Ethernet.
    pub const ETHERNET: u8 = 3;
    /// Network service header.
    pub const NSH: u8 = 4;
    /// MPLS.
    pub const MPLS: u8 = 5;
}

/// EtherType of unicast MPLS, the only one that nothing else in this crate speaks of.
const MPLS: EtherType = EtherType(0x8847);

/// What a VXLAN-GPE header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Header {
    /// The network.
    pub vni: Vni,
    /// I (always set after parsing, always written), P, B and O.
    pub flags: TunnelFlags,
    /// The next protocol, as it stands in the header; written only with P.
    pub next_protocol: u8,
}

impl Header {
    /// A header for `payload`, or `None` where GPE has no number for it.
    ///
    /// P is set, also for Ethernet.
    #[must_use]
    pub const fn new(vni: Vni, payload: EtherType) -> Option<Self> {
        let next_protocol = match payload {
            EtherType::IPV4 => next_protocol::IPV4,
            EtherType::IPV6 => next_protocol::IPV6,
            EtherType::ETHERNET => next_protocol::ETHERNET,
            EtherType::NSH => next_protocol::NSH,
            MPLS => next_protocol::MPLS,
            _ => return None,
        };
        Some(Self { vni, flags: TunnelFlags::I.union(TunnelFlags::P), next_protocol })
    }

    /// Reads the header at the start of `bytes`, the UDP payload.
    ///
    /// Reserved bits are ignored. A next protocol that is not known is no error here: see
    /// [`Header::payload`].
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 8 bytes, [`Reason::UnknownVersion`] where the version is not 0,
    /// [`Reason::NoVni`] where the I flag is clear.
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let Some(&[high, _, _, next_protocol, v0, v1, v2, _]) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(WireError::truncated(Layer::Gpe, 0, 8));
        };
        if high & 0x38 != 0x08 {
            // Of a version that is not known, the I flag may mean anything.
            let reason = if high & 0x30 == 0 { Reason::NoVni } else { Reason::UnknownVersion };
            return Err(WireError::new(Layer::Gpe, reason, 0));
        }
        let (p, b, o) = (high & 0x04, high & 0x02, high & 0x01);
        let flags = TunnelFlags::I.bits() | p << 2 | b << 4 | o << 6;
        Ok(Self { vni: Vni::from_bytes([v0, v1, v2]), flags: TunnelFlags::from_bits_retain(flags), next_protocol })
    }

    /// The payload as an EtherType: [`EtherType::ETHERNET`] with P clear; `None` for a next protocol that
    /// is not known, or that is named with P clear.
    #[must_use]
    #[inline]
    pub const fn payload(self) -> Option<EtherType> {
        if !self.flags.contains(TunnelFlags::P) {
            return if self.next_protocol == 0 { Some(EtherType::ETHERNET) } else { None };
        }
        match self.next_protocol {
            next_protocol::IPV4 => Some(EtherType::IPV4),
            next_protocol::IPV6 => Some(EtherType::IPV6),
            next_protocol::ETHERNET => Some(EtherType::ETHERNET),
            next_protocol::NSH => Some(EtherType::NSH),
            next_protocol::MPLS => Some(MPLS),
            _ => None,
        }
    }

    /// The eight bytes of the header: version 0, I always set, `next_protocol` only with P, what is
    /// reserved zero; flags of other headers are not written.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let flags = self.flags.intersection(FLAGS).bits();
        let p = flags & TunnelFlags::P.bits();
        let b = flags & TunnelFlags::B.bits();
        let o = flags & TunnelFlags::O.bits();
        let next = if p == 0 { 0 } else { self.next_protocol };
        let [v0, v1, v2] = self.vni.to_bytes();
        [0x08 | p >> 2 | b >> 4 | o >> 6, 0, 0, next, v0, v1, v2, 0]
    }

    /// Writes the header to the start of `out` and returns its length, 8.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`] below 8 bytes; nothing is written then.
    #[inline]
    pub fn emit(self, out: &mut [u8]) -> Result<usize, WireError> {
        super::put_header(out, self.to_bytes(), Layer::Gpe)
    }
}

/// Refuses a header with a reserved bit set, or with a next protocol that P does not announce; for
/// receivers that are stricter than the draft.
///
/// # Errors
///
/// [`Reason::ReservedBits`] with the offset of the first byte at fault, [`Reason::Truncated`] below 8 bytes.
pub fn check_reserved(bytes: &[u8]) -> Result<(), WireError> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(WireError::truncated(Layer::Gpe, 0, 8));
    };
    super::check_mask(header, &RESERVED, Layer::Gpe)?;
    let &[high, _, _, next, ..] = header;
    if high & 0x04 == 0 && next != 0 {
        return Err(WireError::new(Layer::Gpe, Reason::ReservedBits, 3));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NSH: [u8; 8] = [0x0c, 0, 0, 4, 0xff, 0xff, 0xff, 0];

    #[test]
    fn deconstruct() {
        let header = Header::parse(&NSH).unwrap();
        assert_eq!(header.vni, Vni::MAX);
        assert_eq!(header.flags, TunnelFlags::I | TunnelFlags::P);
        assert_eq!((header.next_protocol, header.payload()), (4, Some(EtherType::NSH)));
    }

    #[test]
    fn construct_sets_every_byte() {
        let mut out = [0xa5; 9];
        assert_eq!(Header::new(Vni::MAX, EtherType::NSH).unwrap().emit(&mut out), Ok(8));
        assert_eq!(out[..8], NSH);
        assert_eq!(out[8], 0xa5);
        assert_eq!(Header::new(Vni::MAX, EtherType::ARP), None);
    }

    #[test]
    fn round_trip_of_every_flag_and_next_protocol() {
        for bits in 0..=255 {
            for next_protocol in 0..=255 {
                let header = Header {
                    vni: Vni::truncating(0x01_0203),
                    flags: TunnelFlags::from_bits_retain(bits),
                    next_protocol,
                };
                let back = Header::parse(&header.to_bytes()).unwrap();
                assert_eq!(back.flags, (header.flags | TunnelFlags::I) & FLAGS);
                assert_eq!(back.to_bytes(), header.to_bytes());
                assert_eq!(back.next_protocol, if header.flags.contains(TunnelFlags::P) { next_protocol } else { 0 });
                assert!(check_reserved(&header.to_bytes()).is_ok());
            }
        }
    }

    #[test]
    fn payload_and_new_are_inverse() {
        for next_protocol in 0..=255 {
            let flags = TunnelFlags::I | TunnelFlags::P;
            let header = Header { vni: Vni::default(), flags, next_protocol };
            match header.payload() {
                Some(payload) => assert_eq!(Header::new(Vni::default(), payload), Some(header)),
                None => assert!(next_protocol == 0 || next_protocol > 5),
            }
        }
    }

    #[test]
    fn with_p_clear_the_payload_is_ethernet() {
        let header = Header::parse(&[0x08, 0, 0, 0, 0, 0, 1, 0]).unwrap();
        assert_eq!((header.next_protocol, header.payload()), (0, Some(EtherType::ETHERNET)));
    }

    #[test]
    fn a_next_protocol_without_p_leaves_the_payload_unknown() {
        for next_protocol in 1..=255 {
            let header = Header::parse(&[0x08, 0, 0, next_protocol, 0, 0, 1, 0]).unwrap();
            assert_eq!((header.next_protocol, header.payload()), (next_protocol, None));
        }
    }

    #[test]
    fn every_truncation() {
        for len in 0..8 {
            assert_eq!(Header::parse(&NSH[..len]), Err(WireError::truncated(Layer::Gpe, 0, 8)));
            assert!(check_reserved(&NSH[..len]).is_err());
            let mut out = [0xa5; 8];
            assert_eq!(Header::default().emit(&mut out[..len]).unwrap_err().reason, Reason::BufferTooSmall);
            assert_eq!(out, [0xa5; 8]);
        }
    }

    #[test]
    fn version_is_judged_before_the_i_flag() {
        for high in 0..=255_u8 {
            let bytes = [high, 0, 0, 3, 0, 0, 1, 0];
            let reason = Header::parse(&bytes).err().map(|error| error.reason);
            let expected = match high & 0x38 {
                0x08 => None,
                0x00 => Some(Reason::NoVni),
                _ => Some(Reason::UnknownVersion),
            };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn reserved_bits_one_by_one() {
        for bit in [0, 1, 8, 15, 16, 23, 56, 63_usize] {
            let mut bytes = NSH;
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(Header::parse(&bytes), Header::parse(&NSH), "bit {bit}");
            let offset = u32::try_from(bit / 8).unwrap();
            assert_eq!(check_reserved(&bytes), Err(WireError::new(Layer::Gpe, Reason::ReservedBits, offset)));
        }
        assert_eq!(check_reserved(&NSH), Ok(()));
        let unannounced = [0x08, 0, 0, 4, 0, 0, 0, 0];
        assert_eq!(check_reserved(&unannounced), Err(WireError::new(Layer::Gpe, Reason::ReservedBits, 3)));
    }
}
