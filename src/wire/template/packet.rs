//! What a template is given for each packet, and what it reports.

use core::net::IpAddr;

use super::Ttl;
use crate::wire::{EtherType, TunnelFlags, Vni};

/// The first header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Depth {
    /// The Ethernet header: the template must have a [`Link`](super::Link).
    Ethernet = 0,
    /// The IP header; a link header in the template is left out.
    Ip = 1,
    /// The tunnel header only, for a UDP socket; [`Template::sent`](super::Template::sent) tells it the rest.
    Tunnel = 2,
}

/// What one packet's header has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PerPacket<'a> {
    /// The virtual network.
    pub vni: Vni,
    /// The UDP source port, which carries the flow's entropy.
    pub src_port: u16,
    /// The IPv4 identification; of meaning only where DF is clear (RFC 6864 section 4).
    pub ident: u16,
    /// The outer TOS or traffic class, ECN included: see [`Template::resolve`](super::Template::resolve).
    pub tos: u8,
    /// The outer TTL or hop limit: see [`Template::resolve`](super::Template::resolve).
    pub ttl: u8,
    /// The outer IPv4 don't-fragment bit: see [`Template::resolve`](super::Template::resolve).
    pub df: bool,
    /// G, D and A for VXLAN, B and O for GPE, O for Geneve. I, P and C are computed, and flags of other
    /// headers are not written.
    pub flags: TunnelFlags,
    /// The group policy ID; written only by VXLAN with G.
    pub policy: u16,
    /// What the payload is; VXLAN carries [`EtherType::ETHERNET`] only.
    pub protocol: EtherType,
    /// Geneve: the encoded option area, a multiple of 4 bytes, 0 to 252. Copied as it is.
    pub options: &'a [u8],
}

impl PerPacket<'_> {
    /// An Ethernet frame for `vni`: TTL 64, DF set, everything else zero or empty.
    #[inline]
    #[must_use]
    pub const fn new(vni: Vni, src_port: u16) -> Self {
        Self {
            vni,
            src_port,
            ident: 0,
            tos: 0,
            ttl: Ttl::DEFAULT,
            df: true,
            flags: TunnelFlags::empty(),
            policy: 0,
            protocol: EtherType::ETHERNET,
            options: &[],
        }
    }
}

/// What follows the header, in two pieces: the edited start and the untouched rest of a frame.
///
/// Only its length is looked at, unless the UDP checksum is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Payload<'a> {
    /// The first bytes; of any length, odd or zero.
    pub head: &'a [u8],
    /// The bytes after them.
    pub rest: &'a [u8],
}

impl<'a> Payload<'a> {
    /// A payload in one piece.
    #[inline]
    #[must_use]
    pub const fn whole(frame: &'a [u8]) -> Self {
        Self { head: &[], rest: frame }
    }

    /// Bytes in both pieces.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.head.len().saturating_add(self.rest.len())
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.is_empty() && self.rest.is_empty()
    }
}

/// What a UDP socket must be told to send what [`Depth::Tunnel`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Sent {
    /// The outer source address.
    pub src: IpAddr,
    /// The outer destination address.
    pub dst: IpAddr,
    /// The UDP source port.
    pub src_port: u16,
    /// The UDP destination port.
    pub dst_port: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class, ECN included.
    pub tos: u8,
    /// IPv4's don't-fragment bit.
    pub df: bool,
}
