//! Underlays: the networks the tunnels run over, as far as a VTEP must know them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Slot;
use crate::wire::{Checks, Checksums, Df, EcnMode, MacAddr, Tos, Ttl};

/// Where Ethernet frames to this underlay leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UnderlayLink {
    /// Our address on the link.
    pub mac: MacAddr,
    /// An outer 802.1Q tag (1 to 4094), or none.
    pub vlan: Option<u16>,
    /// Whom frames go to for endpoints whose own next hop is not known: a router.
    pub gateway: Option<MacAddr>,
}

/// One underlay: our addresses on it and how its outer headers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UnderlayConfig {
    /// Our IPv4 tunnel address.
    pub ipv4: Option<Ipv4Addr>,
    /// Our IPv6 tunnel address.
    pub ipv6: Option<Ipv6Addr>,
    /// The link, for whoever wants outer Ethernet headers; `None` for sockets.
    pub link: Option<UnderlayLink>,
    /// Which routing table it belongs to; carried for the caller, 0 by default.
    pub vrf: u16,
    /// Largest IP packet it carries, bytes.
    pub mtu: u16,
    /// Outer TTL or hop limit.
    pub ttl: Ttl,
    /// TTL or hop limit of packets to multicast groups (1 to 255), if another than `ttl`. Linux: 1 unless told otherwise.
    pub group_ttl: Option<u8>,
    /// Outer DSCP.
    pub tos: Tos,
    /// The don't-fragment bit over IPv4.
    pub df: Df,
    /// How the inner ECN field reaches the outer header.
    pub ecn: EcnMode,
    /// Whether a UDP checksum is sent over IPv4; `None` as the tunnel's RFC says (VXLAN: no, Geneve: yes).
    pub checksum_v4: Option<bool>,
    /// Whether a UDP checksum is sent over IPv6.
    pub checksum_v6: bool,
    /// Whether a zero UDP checksum is accepted over IPv6 (RFC 6935 section 5, RFC 6936 section 4).
    pub zero_checksum_v6: bool,
    /// Whether received checksums are verified here or were by the NIC.
    pub verify: Checksums,
}

impl UnderlayConfig {
    /// An underlay with one address, 1,500 bytes MTU, TTL 64, DF set and checksums as the RFCs demand.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        let (ipv4, ipv6) = match address {
            IpAddr::V4(a) => (Some(a), None),
            IpAddr::V6(a) => (None, Some(a)),
        };
        Self {
            ipv4,
            ipv6,
            link: None,
            vrf: 0,
            mtu: 1500,
            ttl: Ttl::Fixed(64),
            group_ttl: None,
            tos: Tos::Fixed(0),
            df: Df::Set,
            ecn: EcnMode::Normal,
            checksum_v4: None,
            checksum_v6: true,
            zero_checksum_v6: false,
            verify: Checksums::Verify,
        }
    }

    /// Our address of the same family as `peer`.
    #[must_use]
    pub const fn local_for(&self, peer: IpAddr) -> Option<IpAddr> {
        match (peer, self.ipv4, self.ipv6) {
            (IpAddr::V4(_), Some(a), _) => Some(IpAddr::V4(a)),
            (IpAddr::V6(_), _, Some(a)) => Some(IpAddr::V6(a)),
            _ => None,
        }
    }

    /// Whether `address` is one of ours.
    #[must_use]
    #[inline]
    pub fn is_local(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => self.ipv4 == Some(a),
            IpAddr::V6(a) => self.ipv6 == Some(a),
        }
    }
}

impl UnderlayConfig {
    /// How received packets are checked.
    #[must_use]
    #[inline]
    pub(crate) const fn checks(&self) -> Checks {
        Checks {
            ip_checksum: self.verify,
            udp_checksum: self.verify,
            zero_udp6: self.zero_checksum_v6,
            ..Checks::DEFAULT
        }
    }
}

/// A place for an underlay.
#[derive(Clone, Copy, Debug)]
pub struct UnderlaySlot {
    pub(crate) config: Slot<UnderlayConfig>,
}

impl UnderlaySlot {
    /// An unused place; all bits zero.
    pub const EMPTY: Self = Self { config: Slot::Empty };
}
