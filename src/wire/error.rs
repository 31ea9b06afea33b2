//! What is wrong with a packet's bytes.

use crate::macros::named;

/// Why bytes were refused: the layer, the reason, where, and how many bytes were needed.
///
/// `offset` counts bytes from the start of the slice that was given to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct WireError {
    /// The header that could not be read.
    pub layer: Layer,
    /// What is wrong with it.
    pub reason: Reason,
    /// Byte offset of the offending field, or of the header for [`Reason::Truncated`].
    pub offset: u32,
    /// Bytes needed from `offset` on; 0 where length is not the matter.
    pub needed: u32,
}

impl WireError {
    /// An error that is not about length.
    #[must_use]
    pub const fn new(layer: Layer, reason: Reason, offset: u32) -> Self {
        Self { layer, reason, offset, needed: 0 }
    }

    /// `needed` bytes had to follow `offset`, and did not.
    #[must_use]
    pub const fn truncated(layer: Layer, offset: u32, needed: u32) -> Self {
        Self { layer, reason: Reason::Truncated, offset, needed }
    }

    /// The length field at `offset` claims `needed` bytes from there on, more than the layer around it has.
    #[must_use]
    pub const fn too_long(layer: Layer, offset: u32, needed: u32) -> Self {
        Self { layer, reason: Reason::LengthTooLong, offset, needed }
    }

    /// A writer was given fewer than `needed` bytes.
    #[must_use]
    pub const fn buffer_too_small(layer: Layer, needed: u32) -> Self {
        Self { layer, reason: Reason::BufferTooSmall, offset: 0, needed }
    }

    /// The same error, seen from a slice in which this one starts at byte `base`.
    #[must_use]
    pub const fn shifted(self, base: u32) -> Self {
        Self { offset: self.offset.saturating_add(base), ..self }
    }
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {} at byte {}", self.layer.name(), self.reason.name(), self.offset)
    }
}

impl core::error::Error for WireError {}

named! {
    /// The header an error is about.
    Layer {
        /// Ethernet II.
        Ethernet = 0, "ethernet";
        /// 802.1Q or 802.1ad tag.
        Vlan = 1, "vlan";
        /// IPv4.
        Ipv4 = 2, "ipv4";
        /// IPv6 and its extension headers.
        Ipv6 = 3, "ipv6";
        /// UDP.
        Udp = 4, "udp";
        /// VXLAN, with or without Group Policy.
        Vxlan = 5, "vxlan";
        /// VXLAN-GPE.
        Gpe = 6, "gpe";
        /// Geneve's fixed header and option area.
        Geneve = 7, "geneve";
        /// One Geneve option.
        GeneveOption = 8, "geneve-option";
        /// ARP.
        Arp = 9, "arp";
        /// ICMPv6 neighbour discovery.
        Ndp = 10, "ndp";
        /// The frame carried by the tunnel.
        Inner = 11, "inner";
    }
}

named! {
    /// What is wrong with a header.
    Reason {
        /// The bytes end before the header (or what it announces) does.
        Truncated = 0, "truncated";
        /// The version field is not one this codec knows (IP, GPE, Geneve).
        UnknownVersion = 1, "unknown-version";
        /// A header-length field is smaller than the fixed header.
        HeaderLengthTooShort = 2, "header-length-too-short";
        /// A length field is smaller than the header it covers.
        LengthTooShort = 3, "length-too-short";
        /// A length field claims more bytes than the enclosing layer has.
        LengthTooLong = 4, "length-too-long";
        /// The IPv4 header checksum is wrong.
        BadIpChecksum = 5, "bad-ip-checksum";
        /// The UDP or ICMPv6 checksum is wrong.
        BadChecksum = 6, "bad-checksum";
        /// A zero UDP checksum over IPv6 where none is allowed (RFC 6935 section 5).
        ZeroChecksum = 7, "zero-checksum";
        /// An IP fragment: its payload cannot be judged alone.
        Fragment = 8, "fragment";
        /// More VLAN tags than are followed.
        TooManyTags = 9, "too-many-tags";
        /// More IPv6 extension headers than are followed.
        TooManyExtensions = 10, "too-many-extensions";
        /// The VXLAN or GPE I flag is clear: no valid VNI.
        NoVni = 11, "no-vni";
        /// A reserved bit is set and the check is strict.
        ReservedBits = 12, "reserved-bits";
        /// GPE: the next protocol is not known, or the P bit is clear where it is needed.
        UnknownNextProtocol = 13, "unknown-next-protocol";
        /// Geneve: `Opt Len` passes the end of the packet.
        OptionAreaTooLong = 14, "option-area-too-long";
        /// An option passes the end of the option area (Geneve, ND).
        OptionTooLong = 15, "option-too-long";
        /// Geneve: fewer than four bytes are left where an option header must stand.
        OptionHeaderTruncated = 16, "option-header-truncated";
        /// Geneve: an option that is critical and not known.
        UnknownCriticalOption = 17, "unknown-critical-option";
        /// Geneve: a known option with another length than its definition.
        OptionLengthMismatch = 18, "option-length-mismatch";
        /// Geneve: a critical option under a header whose C bit is clear.
        CriticalBitMismatch = 19, "critical-bit-mismatch";
        /// Geneve: an option that may appear once appears again.
        DuplicateOption = 20, "duplicate-option";
        /// ARP: hardware, protocol or address sizes other than Ethernet and IPv4.
        NotEthernetIpv4 = 21, "not-ethernet-ipv4";
        /// An ARP or ICMPv6 operation that this codec does not carry.
        UnknownOperation = 22, "unknown-operation";
        /// ND: an option of length zero.
        ZeroLengthOption = 23, "zero-length-option";
        /// ND: the hop limit is not 255.
        BadHopLimit = 24, "bad-hop-limit";
        /// A value that the header cannot carry was handed to a writer.
        Unrepresentable = 25, "unrepresentable";
        /// The output buffer cannot hold what is to be written.
        BufferTooSmall = 26, "buffer-too-small";
        /// Source and destination are of different address families.
        FamilyMismatch = 27, "family-mismatch";
        /// A length of zero where the packet is not a super-frame, or super-frames are refused.
        ZeroLength = 28, "zero-length";
        /// More options (or option bytes) than the receiver is configured to look at.
        TooManyOptions = 29, "too-many-options";
        /// ND: an address that may not stand there, or a flag or option that does not go with the addresses.
        BadAddress = 30, "bad-address";
        /// Geneve: a security group beyond [`SecurityGroup::MAX`](super::SecurityGroup::MAX).
        GroupOutOfRange = 31, "group-out-of-range";
        /// Geneve: a traffic class beyond [`TrafficClass::MAX`](super::TrafficClass::MAX).
        ClassOutOfRange = 32, "class-out-of-range";
    }
}
