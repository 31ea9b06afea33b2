//! How much a receiver looks at, and what it lets pass.

/// What [`parse`](super::parse) checks beyond lengths and versions, which it always checks.
///
/// [`Checks::default`] is a receiver on the wire that trusts nobody and follows the RFCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Checks {
    /// The IPv4 header checksum.
    pub ip_checksum: Checksums,
    /// The UDP checksum where it is not 0. Verifying reads the whole payload.
    pub udp_checksum: Checksums,
    /// Whether a UDP checksum of 0 is let pass over IPv6 (RFC 6935, RFC 6936); over IPv4 it always is.
    pub zero_udp6: bool,
    /// The reserved bits of VXLAN and GPE. Geneve's are ignored either way (RFC 8926 section 3.4).
    pub reserved: Reserved,
    /// Whether VXLAN's Group Policy extension is spoken. Without it G, D, A and the policy ID are reserved
    /// bits: not reported, or refused by [`Reserved::Strict`].
    pub gbp: bool,
    /// Whether packets come from segmentation offload on this host rather than from a wire: IP and UDP
    /// lengths of 0 then mean the rest of the slice (Linux BIG TCP, above 64 KiB), and a UDP checksum over
    /// the pseudo-header only, which the network device had still to complete, is
    /// [`UdpChecksum::Unverified`](super::UdpChecksum::Unverified) instead of an error.
    pub superframes: bool,
}

impl Checks {
    /// The value of [`Checks::default`], for constants.
    pub const DEFAULT: Self = Self {
        ip_checksum: Checksums::Verify,
        udp_checksum: Checksums::Verify,
        zero_udp6: false,
        reserved: Reserved::Ignore,
        gbp: true,
        superframes: false,
    };
}

impl Default for Checks {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Who verifies a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Checksums {
    /// The parser: a wrong one is an error.
    Verify = 0,
    /// Somebody else did, the network device as a rule: not looked at.
    Trust = 1,
}

/// What to do about reserved bits that are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Reserved {
    /// Ignore them (RFC 7348 section 5).
    Ignore = 0,
    /// Refuse the packet, as Linux does.
    Strict = 1,
}
