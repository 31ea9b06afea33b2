//! What a [`Template`](super::Template) is built from.

use core::net::IpAddr;

use crate::wire::ecn::EcnMode;
use crate::wire::vlan::Tag;
use crate::wire::{Encapsulation, MacAddr};

/// One tunnel, as its outer headers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct TemplateConfig {
    /// The tunnel header behind UDP.
    pub encap: Encapsulation,
    /// The outer Ethernet header, for whoever writes frames; `None` where someone else adds it.
    pub link: Option<Link>,
    /// The outer source address.
    pub src: IpAddr,
    /// The outer destination address, of the same family.
    pub dst: IpAddr,
    /// The UDP destination port.
    pub dst_port: u16,
    /// The outer TTL or hop limit.
    pub ttl: Ttl,
    /// The outer DSCP; see [`Tos`].
    pub tos: Tos,
    /// The outer IPv4 don't-fragment bit; IPv6 has none and never fragments.
    pub df: Df,
    /// Whether the UDP checksum is computed over the whole datagram; sent as 0 otherwise.
    pub udp_checksum: bool,
    /// How the outer ECN bits come from the inner ones (RFC 6040 section 4.1).
    pub ecn: EcnMode,
    /// Whether the IPv6 flow label carries the source port's entropy (RFC 6438); 0 otherwise.
    pub flow_label: bool,
}

impl TemplateConfig {
    /// What the RFCs ask for by default, without an Ethernet header.
    ///
    /// The assigned port; TTL 64; DSCP 0; DF set, since a tunnel endpoint must not fragment (RFC 7348
    /// section 4.3); ECN in normal mode (RFC 6040); a UDP checksum except for VXLAN and GPE over IPv4
    /// (RFC 7348 section 5, RFC 8926 section 4.3, RFC 6935 section 5); flow label 0.
    #[must_use]
    pub const fn new(encap: Encapsulation, src: IpAddr, dst: IpAddr) -> Self {
        Self {
            encap,
            link: None,
            src,
            dst,
            dst_port: encap.default_port(),
            ttl: Ttl::Fixed(Ttl::DEFAULT),
            tos: Tos::Fixed(0),
            df: Df::Set,
            udp_checksum: src.is_ipv6() || matches!(encap, Encapsulation::Geneve),
            ecn: EcnMode::Normal,
            flow_label: false,
        }
    }
}

/// The outer Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Link {
    /// The next hop's address, or the one that maps to the multicast group.
    pub dst: MacAddr,
    /// The underlay interface's address.
    pub src: MacAddr,
    /// The outer VLAN tag.
    pub vlan: Option<Tag>,
}

/// Where the outer TTL comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Ttl {
    /// Always this value, 1 to 255: the pipe model (RFC 2003, RFC 8926 section 4.4.2).
    Fixed(u8),
    /// The inner packet's; [`Ttl::DEFAULT`] where it has none.
    Inherit,
}

impl Ttl {
    /// 64, the default of RFC 1700.
    pub const DEFAULT: u8 = 64;
}

/// Where the outer DSCP comes from, the upper six bits of TOS or traffic class.
///
/// The lower two are ECN's, whatever is chosen here: they come from the inner packet (RFC 6040).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Tos {
    /// Always the upper six bits of this octet.
    Fixed(u8),
    /// The inner packet's; 0 where it is not IP.
    Inherit,
}

/// Where the outer IPv4 don't-fragment bit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Df {
    /// Always set.
    Set = 0,
    /// Always clear.
    Unset = 1,
    /// The inner packet's: its bit for IPv4, set for IPv6, clear for anything else.
    Inherit = 2,
}
