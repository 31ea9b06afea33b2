//! The two profiles, and every difference between them by name.

use core::net::IpAddr;

use crate::table::{BridgeConfig, UnderlayConfig, VlanDecap, VlanEncap};
use crate::wire::{Df, EcnMode, Encapsulation, PortRange, Vni};

bitflags::bitflags! {
    /// Where Linux deviates from the RFCs, one switch each. None set is profile [`Profile::Rfc`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Switches: u32 {
        /// A reserved bit that is set drops the packet (RFC 7348 section 5: ignored on receipt).
        const STRICT_RESERVED = 1 << 0;
        /// The source is learned before the inner length and the ECN field are checked.
        const LEARN_BEFORE_VALIDATE = 1 << 1;
        /// A move changes the endpoint's IP address only; UDP port and VNI stay those of the old entry.
        const MOVE_IP_ONLY = 1 << 2;
        /// The Group Policy D bit ("don't learn") is ignored.
        const IGNORE_DONT_LEARN = 1 << 3;
        /// ECN is not looked at on decapsulation when the inner frame has a VLAN tag.
        const ECN_SKIPS_TAGGED = 1 << 4;
        /// Any outer destination address is accepted.
        const ANY_DESTINATION = 1 << 5;
        /// The first endpoint of a flood list gets its copy last.
        const FIRST_COPY_LAST = 1 << 6;
        /// Frames to 01-80-C2-00-00-0X are forwarded.
        const FORWARD_RESERVED_MULTICAST = 1 << 7;
        /// A Geneve C bit drops the packet unread; without it no option is looked at.
        const CRITICAL_BY_HEADER = 1 << 8;
        /// Geneve's O bit is ignored. (GPE's is not: Linux drops such packets, and here the host gets them.)
        const IGNORE_CONTROL = 1 << 9;
        /// Frames from ports are sent whatever their source MAC.
        const SEND_ANY_SOURCE = 1 << 10;
        /// A bad inner source MAC drops a tunnel packet only where learning is on.
        const CHECK_SOURCE_IF_LEARNING = 1 << 11;
        /// A tunnel packet moves an entry of the control plane, which keeps its owner. (A local port takes it over either
        /// way.)
        const DATA_MOVES_CONTROL = 1 << 12;
        /// Without DF the outer packet may pass the MTU: the underlay's IP layer fragments it.
        const UNDERLAY_FRAGMENTS = 1 << 13;
        /// Where zero checksums over IPv6 are accepted, they are from any sender.
        const ZERO_CHECKSUM_FROM_ANYONE = 1 << 14;
        /// A frame that ends inside a VLAN tag passes where tags are kept, into a tunnel and out of it.
        const PASS_CUT_TAGS = 1 << 15;
        /// No frame whose IPv4 or IPv6 header is cut short is sent into a tunnel.
        const SEND_NO_SHORT_IP = 1 << 16;
        /// DF is not inherited from a frame with a VLAN tag.
        const DF_SKIPS_TAGGED = 1 << 17;
        /// With `l2miss`, only a frame from a port that finds no flood list either is reported.
        const MISS_IF_NO_FLOOD_LIST = 1 << 18;
        /// Geneve packets that carry something else than Ethernet are dropped, as Linux does without `innerprotoinherit`.
        const GENEVE_ETHERNET_ONLY = 1 << 19;
    }
}

crate::macros::flag_traits!(Switches, u32);

/// Whose behaviour is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Profile {
    /// The RFCs, to the letter.
    #[default]
    Rfc = 0,
    /// The Linux kernel's VXLAN and Geneve devices.
    Linux = 1,
}

impl Profile {
    /// The engine's switches.
    #[must_use]
    pub const fn switches(self) -> Switches {
        match self {
            Self::Rfc => Switches::empty(),
            Self::Linux => Switches::all(),
        }
    }

    /// The range of UDP source ports (RFC 7348 section 5: 49152 to 65535; Linux: 32768 to 60999).
    #[must_use]
    pub const fn source_ports(self) -> PortRange {
        match self {
            Self::Rfc => PortRange::DYNAMIC,
            Self::Linux => PortRange::LINUX,
        }
    }

    /// A bridge with this profile's VLAN rules.
    #[must_use]
    pub const fn bridge(self, encapsulation: Encapsulation, vni: Vni) -> BridgeConfig {
        let rfc = BridgeConfig::new(encapsulation, vni);
        match self {
            Self::Rfc => rfc,
            Self::Linux => BridgeConfig { vlan_encap: VlanEncap::Keep, vlan_decap: VlanDecap::Keep, ..rfc },
        }
    }

    /// An underlay with this profile's checksum, TTL, DF and ECN rules.
    #[must_use]
    pub const fn underlay(self, address: IpAddr) -> UnderlayConfig {
        let rfc = UnderlayConfig::new(address);
        match self {
            Self::Rfc => rfc,
            Self::Linux => UnderlayConfig {
                group_ttl: Some(1),
                checksum_v4: Some(true),
                df: Df::Unset,
                ecn: EcnMode::Legacy3168,
                ..rfc
            },
        }
    }
}
