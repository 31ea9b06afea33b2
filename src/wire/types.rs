//! The small values every codec speaks of.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A 48-bit Ethernet address, in transmission order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros: no station's address; in an FDB, the key of the flood list.
    pub const ZERO: Self = Self([0; 6]);

    /// The address in the low 48 bits, first octet highest.
    #[must_use]
    #[inline]
    pub const fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        // Two loads; of eight octets at once, compilers make a dozen instructions.
        (u32::from_be_bytes([a, b, c, d]) as u64) << 16 | u16::from_be_bytes([e, f]) as u64
    }

    /// The address in the low 48 bits of `value`; the upper 16 are ignored.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// Whether the group bit is set (broadcast included).
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether this is the broadcast address.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.to_u64() == Self::BROADCAST.to_u64()
    }

    /// Whether a station may use it: neither zero nor multicast.
    #[must_use]
    pub const fn is_station(self) -> bool {
        !self.is_multicast() && self.to_u64() != 0
    }

    /// Whether this is 01-80-C2-00-00-00 to -0F, which bridges never forward (IEEE 802.1Q table 8-1).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.to_u64() & !0xf == 0x0180_c200_0000
    }
}

impl core::fmt::Display for MacAddr {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A 24-bit virtual network identifier; 0 is legal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Vni(u32);

impl Vni {
    /// The largest identifier, 16,777,215.
    pub const MAX: Self = Self(0xff_ffff);

    /// `value` as a VNI, or `None` above 24 bits.
    ///
    /// ```
    /// # use vtep::wire::Vni;
    /// assert_eq!(Vni::new(5000).map(Vni::get), Some(5000));
    /// assert_eq!(Vni::new(0x100_0000), None);
    /// ```
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The low 24 bits of `value`.
    #[must_use]
    pub const fn truncating(value: u32) -> Self {
        Self(value & Self::MAX.0)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From the three octets of a header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 3]) -> Self {
        let [a, b, c] = bytes;
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// As the three octets of a header.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Vni {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::truncating(u.arbitrary()?))
    }
}

impl core::fmt::Display for Vni {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

/// An EtherType: any 16-bit value, with names for those this crate looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// Transparent Ethernet bridging: an Ethernet frame follows (Geneve, GRE).
    pub const ETHERNET: Self = Self(0x6558);
    /// 802.1Q customer tag.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// 802.1ad service tag.
    pub const QINQ: Self = Self(0x88a8);
    /// Network service header (RFC 8300).
    pub const NSH: Self = Self(0x894f);

    /// Whether a VLAN tag follows (802.1Q or 802.1ad).
    #[must_use]
    pub const fn is_tag(self) -> bool {
        matches!(self, Self::VLAN | Self::QINQ)
    }
}

/// Which tunnel header follows UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Encapsulation {
    /// VXLAN (RFC 7348), with or without Group Policy.
    Vxlan = 0,
    /// VXLAN-GPE.
    Gpe = 1,
    /// Geneve (RFC 8926).
    Geneve = 2,
}

impl Encapsulation {
    /// The UDP destination port assigned by IANA: 4789, 4790, 6081.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Vxlan => 4789,
            Self::Gpe => 4790,
            Self::Geneve => 6081,
        }
    }

    /// Bytes of the fixed tunnel header: 8 for each of them.
    #[must_use]
    pub const fn header_len(self) -> usize {
        8
    }
}

bitflags::bitflags! {
    /// The flag bits of the three tunnel headers, one letter each.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TunnelFlags: u8 {
        /// The VNI is valid (VXLAN, GPE).
        const I = 1 << 0;
        /// A group policy ID follows (VXLAN-GBP).
        const G = 1 << 1;
        /// Do not learn from this packet (VXLAN-GBP).
        const D = 1 << 2;
        /// Policy has been applied already (VXLAN-GBP).
        const A = 1 << 3;
        /// The next-protocol field is valid (GPE).
        const P = 1 << 4;
        /// BUM traffic, ingress replicated (GPE).
        const B = 1 << 5;
        /// OAM (GPE) or control (Geneve) packet.
        const O = 1 << 6;
        /// Critical options are present (Geneve).
        const C = 1 << 7;
    }
}

crate::macros::flag_traits!(TunnelFlags, u8);

/// A range of bytes in a packet: 8 bytes instead of a slice, so that summaries stay `Copy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The span of `len` bytes from `start`.
    #[must_use]
    pub const fn new(start: u32, len: u32) -> Self {
        Self { start, len }
    }

    /// One past the last byte.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// The bytes, or `None` where the span passes the end of `packet`.
    #[must_use]
    pub fn of(self, packet: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.start).ok()?;
        let len = usize::try_from(self.len).ok()?;
        packet.get(start..)?.get(..len)
    }
}
