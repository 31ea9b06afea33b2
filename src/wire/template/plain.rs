//! The header that nearly all packets get: an Ethernet frame without flags and options, over IPv4 and untagged Ethernet,
//! without a UDP checksum, with the template's own TTL and DF.
//!
//! It has one length, and most of it is the same for all packets to an endpoint: the template holds that part as it is
//! sent. Those of many copies of one frame are a [`Series`](super::series::Series).

use core::net::Ipv4Addr;

use super::write::plain_tunnel;
use super::{Template, TemplateConfig, UDP, overhead};
use crate::wire::checksum::Sum;
use crate::wire::{Encapsulation, Vni};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the header.
pub(crate) const LEN: usize = overhead(Encapsulation::Vxlan, false, true, false, 0);
/// The first 32 bits of the IPv4 header in front of an empty frame, TOS 0.
const FIRST: u32 = 0x4500_0000 | TOTAL as u32;
/// What IPv4's total length and UDP's length count beside the frame.
const TOTAL: u16 = 36;
const UDP_AND_TUNNEL: u16 = 16;

/// The header.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    link: [u8; 14],
    /// Version, header length, TOS, total length.
    first: U32,
    tail: Tail,
}

/// A header from IPv4's identification on; in a template, with zeros for what differs from packet to packet.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Tail {
    ident: U16,
    /// Flags and fragment offset.
    flags: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    pub(super) addresses: [u8; 8],
    src_port: U16,
    dst_port: U16,
    udp_len: U16,
    udp_checksum: U16,
    tunnel: U32,
    /// The VNI in the upper 24 bits.
    vni: U32,
}

impl Tail {
    /// The part that a template knows; a `ttl` of 0 is one that is inherited.
    pub(super) fn new(config: &TemplateConfig, addresses: [Ipv4Addr; 2], ttl: u8, df: bool) -> Self {
        let [tunnel, _]: [U32; 2] = zerocopy::transmute!(plain_tunnel(config.encap, Vni::truncating(0)).to_be_bytes());
        Self {
            ident: U16::ZERO,
            flags: (u16::from(df) << 14).into(),
            ttl,
            protocol: UDP,
            checksum: U16::ZERO,
            addresses: zerocopy::transmute!(addresses.map(|address| address.octets())),
            src_port: U16::ZERO,
            dst_port: config.dst_port.into(),
            udp_len: U16::ZERO,
            udp_checksum: U16::ZERO,
            tunnel,
            vni: U32::ZERO,
        }
    }

    /// The folded sum of the IPv4 header with this in front of an empty frame, TOS 0.
    pub(super) fn ip_sum(&self) -> u16 {
        let ip: &[u8; 16] = self.as_bytes().first_chunk().unwrap_or(&[0; 16]);
        Sum::new().add_u32(FIRST).add_u128(u128::from_be_bytes(*ip)).fold()
    }
}

/// The length of a frame, if it and what IPv4 counts with it fit 16 bits.
#[inline(always)]
pub(crate) fn plain_len(len: usize) -> Option<u16> {
    u16::try_from(len).ok().filter(|len| *len <= const { u16::MAX - TOTAL })
}

impl Template {
    /// Whether packets without flags and options have this header.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.switches == 0
    }

    /// Of an IPv4 template.
    #[inline(always)]
    pub(super) fn tail(&self) -> &Tail {
        zerocopy::transmute_ref!(&self.ip)
    }

    /// Writes the header in front of a frame of [`plain_len`] bytes but for what [`Begun`] is told; `tos` is the outer one.
    #[inline(always)]
    pub(crate) fn begin_plain<'h>(&self, len: u16, tos: u8, header: &'h mut [u8; LEN]) -> Begun<'h> {
        let tos = u32::from(tos);
        let sum = u32::from(self.ip_sum).wrapping_add(len.into()).wrapping_add(tos);
        let Header { link, first, tail } = zerocopy::transmute_mut!(header);
        *first = FIRST.wrapping_add(tos << 16).wrapping_add(len.into()).into();
        *link = self.link.first_chunk().copied().unwrap_or_default();
        *tail = *self.tail();
        tail.udp_len = len.wrapping_add(UDP_AND_TUNNEL).into();
        Begun { sum, tail }
    }
}

/// A header that lacks three fields and the checksum. They come last so that they are read last: the header is then put
/// together in the registers that need not be saved.
pub(crate) struct Begun<'h> {
    /// What the IPv4 checksum counts so far.
    sum: u32,
    tail: &'h mut Tail,
}

impl Begun<'_> {
    /// Sets a TTL and a DF bit that the template does not have: it says 0 for what is inherited.
    #[inline(always)]
    pub(super) fn inherit(&mut self, ttl: u8, df: bool) {
        let Self { sum, tail } = self;
        let flags = u16::from(df) << 14;
        *sum = sum.wrapping_add(u32::from(ttl) << 8).wrapping_add(flags.into());
        tail.ttl |= ttl;
        tail.flags = (tail.flags.get() | flags).into();
    }

    /// Sets the first half of the tunnel header and UDP's checksum.
    #[inline(always)]
    pub(super) fn set_tunnel(&mut self, tunnel: u32, checksum: u16) {
        self.tail.tunnel = tunnel.into();
        self.tail.udp_checksum = checksum.into();
    }

    #[inline(always)]
    pub(crate) fn finish(self, ident: u16, src_port: u16, vni: Vni) {
        let Self { sum, tail } = self;
        // A few numbers of 16 bits: 32 hold every carry, and the rotation brings them back in at the low end.
        let sum = sum.wrapping_add(ident.into());
        tail.checksum = (!((sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16)).into();
        tail.ident = ident.into();
        tail.src_port = src_port.into();
        tail.vni = (vni.get() << 8).into();
    }
}
