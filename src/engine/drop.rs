//! Why a packet was not forwarded, one number each.

use crate::macros::named;
use crate::wire::{FrameKind, Layer, Reason, WireError};

named! {
    /// Why a packet was dropped.
    ///
    /// The number is stable and is the index of its counter: 16 to 63 are counted globally and per VNI, from 64 on
    /// globally only, because no VNI of ours is known yet. From 96 on it is 96 plus the number of the wire
    /// [`Reason`] for which the outer headers were refused.
    DropReason {
        /// The frame is shorter than an Ethernet header, or ends inside a tag.
        InnerTruncated = 16, "inner-truncated";
        /// An inner IPv4 or IPv6 header is announced but cut short.
        InnerShortIp = 17, "inner-short-ip";
        /// The source MAC is zero or a group address.
        SourceMacInvalid = 18, "source-mac-invalid";
        /// The source MAC is one of our own.
        SourceMacOwn = 19, "source-mac-own";
        /// The source MAC has a static or sticky entry that points elsewhere.
        SourceMacStatic = 20, "source-mac-static";
        /// The destination is one of 01-80-C2-00-00-00 to -0F, which bridges do not forward.
        ReservedMulticast = 21, "reserved-multicast";
        /// The frame has a VLAN tag and the bridge's policy refuses it.
        VlanTagged = 22, "vlan-tagged";
        /// The frame's VLAN tag is not the one its port or the bridge's policy asks for.
        VlanMismatch = 23, "vlan-mismatch";
        /// Congestion was experienced by a packet that does not know ECN (RFC 6040 section 4.2).
        EcnConflict = 24, "ecn-conflict";
        /// The sender is not among the endpoints this bridge admits.
        UnknownEndpoint = 25, "unknown-endpoint";
        /// A zero UDP checksum over IPv6 from a sender that is not configured (RFC 8926 section 4.3.1).
        ZeroChecksumUnknownEndpoint = 26, "zero-checksum-unknown-endpoint";
        /// The destination is where the frame came from.
        Reflected = 27, "reflected";
        /// Source and destination are endpoints of one split-horizon group.
        SplitHorizon = 28, "split-horizon";
        /// There is nobody to flood to.
        NoFloodTarget = 29, "no-flood-target";
        /// Broadcast flooding is off.
        BroadcastOff = 30, "broadcast-off";
        /// Unknown-unicast flooding is off.
        UnknownUnicastOff = 31, "unknown-unicast-off";
        /// Multicast flooding is off.
        MulticastOff = 32, "multicast-off";
        /// The encapsulated packet would pass the underlay's MTU (RFC 7348 section 4.3: never fragment).
        TooBig = 33, "too-big";
        /// The destination's entry says drop.
        Blackhole = 34, "blackhole";
        /// The tunnel carries something else than Ethernet, IP and NSH, or a port's frame has no Ethernet header.
        UnsupportedPayload = 35, "unsupported-payload";
        /// The destination's port or endpoint is gone.
        DestinationGone = 36, "destination-gone";
        /// A Geneve option could not be accepted for a reason of this VNI's configuration.
        OptionRefused = 37, "option-refused";
        /// The bridge has flooded as many frames of this kind as it may.
        StormControl = 38, "storm-control";
        /// The source MAC has moved too often, and stays elsewhere (RFC 7432 section 15.1).
        SourceMacDuplicate = 39, "source-mac-duplicate";
        /// A packet without Ethernet header is not the IP packet that it is announced as: another version, or a length
        /// that the header or the payload does not have.
        InnerMalformedIp = 40, "inner-malformed-ip";
        /// The bridge's policy denies frames from this security group to that one: by a rule, or for want of one.
        PolicyDenied = 48, "policy-denied";
        /// The frame's source has no security group, and the policy asks for one.
        SourceGroupMissing = 49, "source-group-missing";
        /// The frame's destination has no security group, and the policy asks for one.
        DestinationGroupMissing = 50, "destination-group-missing";
        /// A security group that no table can hold.
        GroupOutOfRange = 51, "group-out-of-range";
        /// A traffic class that does not exist.
        ClassOutOfRange = 52, "class-out-of-range";
        /// The security group has more bits than the tunnel header's field for it (VXLAN: 16).
        GroupUnrepresentable = 53, "group-unrepresentable";

        /// The input names a port that does not exist.
        UnknownPort = 64, "unknown-port";
        /// The input names an underlay that does not exist.
        UnknownUnderlay = 65, "unknown-underlay";
        /// No bridge has this VNI on this UDP port.
        UnknownVni = 66, "unknown-vni";
        /// The outer source address is unspecified, multicast, broadcast or loopback.
        OuterSourceInvalid = 67, "outer-source-invalid";
        /// The outer source address is our own.
        OuterSourceOwn = 68, "outer-source-own";
        /// The outer destination is neither ours nor the bridge's group.
        OuterDestinationForeign = 69, "outer-destination-foreign";

        /// The outer stack ends early.
        OuterTruncated = 96, "outer-truncated";
        /// An unknown version of IP, GPE or Geneve.
        OuterUnknownVersion = 97, "outer-unknown-version";
        /// An outer header length below the minimum.
        OuterHeaderLengthTooShort = 98, "outer-header-length-too-short";
        /// An outer length field below its header's size.
        OuterLengthTooShort = 99, "outer-length-too-short";
        /// An outer length field above what is there.
        OuterLengthTooLong = 100, "outer-length-too-long";
        /// The outer IPv4 header checksum is wrong.
        OuterBadIpChecksum = 101, "outer-bad-ip-checksum";
        /// The outer UDP checksum is wrong.
        OuterBadChecksum = 102, "outer-bad-checksum";
        /// The outer UDP checksum is zero over IPv6.
        OuterZeroChecksum = 103, "outer-zero-checksum";
        /// The outer packet is a fragment.
        OuterFragment = 104, "outer-fragment";
        /// Too many outer VLAN tags.
        OuterTooManyTags = 105, "outer-too-many-tags";
        /// Too many outer IPv6 extension headers.
        OuterTooManyExtensions = 106, "outer-too-many-extensions";
        /// The I flag is clear.
        NoVni = 107, "no-vni";
        /// A reserved bit is set, and the profile is strict.
        ReservedBits = 108, "reserved-bits";
        /// An unknown GPE next protocol, or one that is named with P clear.
        UnknownNextProtocol = 109, "unknown-next-protocol";
        /// Geneve's option area passes the packet's end.
        OptionAreaTooLong = 110, "option-area-too-long";
        /// A Geneve option passes the option area's end.
        OptionTooLong = 111, "option-too-long";
        /// The Geneve option area ends inside an option header.
        OptionHeaderTruncated = 112, "option-header-truncated";
        /// A critical Geneve option that is not known.
        UnknownCriticalOption = 113, "unknown-critical-option";
        /// A known Geneve option of another length.
        OptionLengthMismatch = 114, "option-length-mismatch";
        /// A critical Geneve option under a clear C bit, and the profile is strict.
        CriticalBitMismatch = 115, "critical-bit-mismatch";
        /// A Geneve option that may stand once stands twice.
        DuplicateOption = 116, "duplicate-option";
        /// A length of zero where no super-frame is expected.
        OuterZeroLength = 124, "outer-zero-length";
        /// More Geneve options than are looked at.
        TooManyOptions = 125, "too-many-options";
        /// Any other fault of the outer headers.
        OuterOther = 127, "outer-other";
    }
}

impl DropReason {
    /// The lowest number; those of other verdicts are below.
    pub(super) const FIRST: u8 = 16;

    /// Whether it is counted per VNI as well.
    #[must_use]
    #[inline]
    pub const fn has_vni(self) -> bool {
        (self as u8) < 64
    }
}

impl From<WireError> for DropReason {
    /// The drop reason for outer headers that were refused; an error of the inner frame is [`Self::InnerTruncated`].
    fn from(error: WireError) -> Self {
        if matches!(error.layer, Layer::Inner) {
            return Self::InnerTruncated;
        }
        match error.reason {
            Reason::Truncated => Self::OuterTruncated,
            Reason::UnknownVersion => Self::OuterUnknownVersion,
            Reason::HeaderLengthTooShort => Self::OuterHeaderLengthTooShort,
            Reason::LengthTooShort => Self::OuterLengthTooShort,
            Reason::LengthTooLong => Self::OuterLengthTooLong,
            Reason::BadIpChecksum => Self::OuterBadIpChecksum,
            Reason::BadChecksum => Self::OuterBadChecksum,
            Reason::ZeroChecksum => Self::OuterZeroChecksum,
            Reason::Fragment => Self::OuterFragment,
            Reason::TooManyTags => Self::OuterTooManyTags,
            Reason::TooManyExtensions => Self::OuterTooManyExtensions,
            Reason::NoVni => Self::NoVni,
            Reason::ReservedBits => Self::ReservedBits,
            Reason::UnknownNextProtocol => Self::UnknownNextProtocol,
            Reason::OptionAreaTooLong => Self::OptionAreaTooLong,
            Reason::OptionTooLong => Self::OptionTooLong,
            Reason::OptionHeaderTruncated => Self::OptionHeaderTruncated,
            Reason::UnknownCriticalOption => Self::UnknownCriticalOption,
            Reason::OptionLengthMismatch => Self::OptionLengthMismatch,
            Reason::CriticalBitMismatch => Self::CriticalBitMismatch,
            Reason::DuplicateOption => Self::DuplicateOption,
            Reason::ZeroLength => Self::OuterZeroLength,
            Reason::TooManyOptions => Self::TooManyOptions,
            Reason::GroupOutOfRange => Self::GroupOutOfRange,
            Reason::ClassOutOfRange => Self::ClassOutOfRange,
            _ => Self::OuterOther,
        }
    }
}

named! {
    /// Why a packet is handed to the host.
    PuntReason {
        /// It came over the underlay and is no tunnel packet: ARP, ICMP, other UDP.
        NotTunnel = 0, "not-tunnel";
        /// Its destination's entry is the host.
        HostDestination = 1, "host-destination";
        /// It was flooded and the host takes part in the bridge.
        HostCopy = 2, "host-copy";
        /// It is a control packet: Geneve's or GPE's O bit (RFC 8926 section 3.4: never forwarded).
        ControlPacket = 3, "control-packet";
        /// The tunnel carries an IPv4 packet without Ethernet. Nothing is learned from it; its IPv4 header is sound, its
        /// total length within the payload. The header checksum is the host's to look at.
        InnerIpv4 = 4, "inner-ipv4";
        /// The tunnel carries an IPv6 packet without Ethernet. Nothing is learned from it; its IPv6 header is sound, its
        /// payload length within the payload.
        InnerIpv6 = 5, "inner-ipv6";
        /// The tunnel carries a network service header (RFC 8300) without Ethernet, of 8 bytes at least. Nothing is
        /// learned from it.
        InnerNsh = 6, "inner-nsh";
    }
}

impl PuntReason {
    /// What the bytes for the host start with, where they can be edited: `None` for packets that were in no tunnel, for
    /// control packets and for NSH.
    #[must_use]
    pub const fn frame_kind(self) -> Option<FrameKind> {
        match self {
            Self::HostDestination | Self::HostCopy => Some(FrameKind::Ethernet),
            Self::InnerIpv4 | Self::InnerIpv6 => Some(FrameKind::Ip),
            Self::NotTunnel | Self::ControlPacket | Self::InnerNsh => None,
        }
    }
}

named! {
    /// Why a verdict could not be carried out on bytes.
    RewriteError {
        /// The verdict has no bytes to write: drop, punt, or flood (whose copies are written one by one).
        NothingToWrite = 0, "nothing-to-write";
        /// A command has removed or replaced the port, endpoint or bridge since.
        StaleHandle = 1, "stale-handle";
        /// There is too little room in front of the frame, or the output is too small.
        NoRoom = 2, "no-room";
        /// The frame's range does not lie in the buffer, or its bytes are not those `step` saw.
        BadRange = 3, "bad-range";
        /// Outer Ethernet headers were asked for, but the underlay has no link or the endpoint no next hop.
        NoLink = 4, "no-link";
        /// The encapsulated packet would be larger than an IP packet can be.
        TooLong = 5, "too-long";
        /// The copy is edited and shares its buffer with others: write it into a buffer of its own.
        SharedFrame = 6, "shared-frame";
        /// The edit does not fit the frame's bytes.
        BadEdit = 7, "bad-edit";
    }
}

impl core::error::Error for RewriteError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_reasons_follow_the_wire_numbers() {
        for &reason in Reason::ALL {
            let drop = DropReason::from(WireError::new(Layer::Ipv4, reason, 0));
            // What a schema makes of an option is a matter of the VNI.
            if matches!(reason, Reason::GroupOutOfRange | Reason::ClassOutOfRange) {
                assert!(drop.has_vni() && drop.name() == reason.name());
                continue;
            }
            assert!(!drop.has_vni());
            if drop != DropReason::OuterOther {
                assert_eq!(drop as u8, 96 + reason as u8, "{drop:?}");
            }
        }
        assert_eq!(DropReason::from(WireError::truncated(Layer::Inner, 0, 14)), DropReason::InnerTruncated);
    }

    #[test]
    fn numbers_and_names_are_unique() {
        for (i, a) in DropReason::ALL.iter().enumerate() {
            assert!((*a as u8) >= 16 && (*a as u8) < 128);
            for b in &DropReason::ALL[i + 1..] {
                assert!((*a as u8) < (*b as u8) && a.name() != b.name());
            }
        }
    }
}
