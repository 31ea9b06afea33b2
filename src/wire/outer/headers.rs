//! Headers that were checked on the way, kept by reference until the summary is written.

use core::net::IpAddr;

use super::{Datagram, UdpChecksum};
use crate::wire::{ipv4, ipv6, udp};

/// Where the fields of a [`Datagram`] come from when the summary is written, which is last.
pub(super) trait Source: Copy {
    fn datagram(self) -> Datagram;
}

impl Source for Datagram {
    #[inline(always)]
    fn datagram(self) -> Datagram {
        self
    }
}

/// Headers that have been checked: until then, only the references stay in registers.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    pub(super) ip: Ip<'a>,
    pub(super) udp: &'a udp::Header,
    pub(super) checksum: UdpChecksum,
}

impl Source for Headers<'_> {
    #[inline(always)]
    fn datagram(self) -> Datagram {
        let Self { ip, udp, checksum } = self;
        let (src_port, dst_port) = (udp.src_port(), udp.dst_port());
        Datagram { src: ip.src(), dst: ip.dst(), src_port, dst_port, tos: ip.tos(), ttl: ip.ttl(), checksum }
    }
}

/// An IP header whose fields are wanted last, for the summary: a reference is all that stays in a register.
#[derive(Clone, Copy)]
pub(super) enum Ip<'a> {
    V4(&'a ipv4::Header),
    V6(&'a ipv6::Header),
}

impl Ip<'_> {
    #[inline]
    pub(super) const fn src(self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::V4(header.src()),
            Self::V6(header) => IpAddr::V6(header.src()),
        }
    }

    #[inline]
    pub(super) const fn dst(self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::V4(header.dst()),
            Self::V6(header) => IpAddr::V6(header.dst()),
        }
    }

    #[inline]
    const fn tos(self) -> u8 {
        match self {
            Self::V4(header) => header.tos(),
            Self::V6(header) => header.traffic_class(),
        }
    }

    #[inline]
    const fn ttl(self) -> u8 {
        match self {
            Self::V4(header) => header.ttl(),
            Self::V6(header) => header.hop_limit(),
        }
    }
}
