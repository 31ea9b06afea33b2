//! The header that nearly all packets get: an Ethernet frame without flags and options, over IPv4 and untagged Ethernet,
//! without a UDP checksum.
//!
//! It has one length, and what a frame brings to it is the same for all copies of the frame. [`Shared`] is that, put
//! together once; a copy's header is the endpoint's template and a few additions.

use super::stack::{Ipv4, Stack};
use super::write::plain_tunnel;
use super::{DF_INHERIT, DF_SET, Shape, Template, Ttl, UDP, overhead};
use crate::wire::{Encapsulation, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the header.
pub(crate) const LEN: usize = overhead(Encapsulation::Vxlan, false, true, false, 0);

/// The header; the last two bytes of `link` are the first of the IP header, and stored over.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    link: [u8; 14],
    stack: Stack<Ipv4>,
}

/// What a frame brings to the headers of all its copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    /// The first word of the IP header, as far as it is the same: version, header length, total length.
    first: u64,
    /// UDP: source port and length.
    udp: u64,
    /// The total length, as the IP checksum counts it.
    sum: u32,
    /// The inner TOS.
    tos: u8,
    /// Twice the inner ECN field.
    ecn: u8,
    /// Which bits of the template's TOS count, and what stands in place of the others.
    kept: u8,
    dscp: u8,
    /// What is inherited as TTL.
    ttl: u8,
    /// The bits of [`Template::df`] that mean "set".
    df: u8,
}

impl Shared {
    /// For a frame of `len` bytes whose inner header has these, as [`Template::resolve`] takes them; with a `dscp`
    /// that of no template counts. `None` if the lengths do not fit 16 bits.
    #[inline(always)]
    pub(crate) fn new(len: usize, src_port: u16, inner: (u8, u8, bool), dscp: Option<u8>) -> Option<Self> {
        let (tos, ttl, df) = inner;
        // IP counts 36 bytes more than the frame, and UDP 16.
        let len = u16::try_from(len).ok()?;
        let total_len = len.checked_add(36)?;
        let udp_len = len.wrapping_add(16);
        Some(Self {
            first: 0x45 << 56 | u64::from(total_len) << 32,
            udp: u64::from(src_port) << 48 | u64::from(udp_len) << 16,
            sum: total_len.into(),
            tos,
            ecn: (tos & 3) << 1,
            kept: if dscp.is_none() { 0xfc } else { 0 },
            dscp: dscp.unwrap_or(0) << 2,
            ttl: if ttl == 0 { Ttl::DEFAULT } else { ttl },
            df: if df { DF_SET | DF_INHERIT } else { DF_SET },
        })
    }
}

impl Template {
    /// Whether its packets may have this header.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.shape == Shape::V4Ethernet && self.switches == 0
    }

    /// Writes the header of one copy; the template is a [plain](Template::is_plain) one.
    #[inline(always)]
    pub(crate) fn write_plain(&self, shared: &Shared, vni: Vni, ident: u16, header: &mut [u8; LEN]) {
        let tos = (self.tos | shared.tos & self.inherited_tos) & shared.kept | shared.dscp | self.ecn >> shared.ecn & 3;
        let ttl = if self.ttl == 0 { shared.ttl } else { self.ttl };
        let df = u16::from(self.df & shared.df != 0) << 14;
        let first = shared.first | u64::from(tos) << 48 | u64::from(ident) << 16 | u64::from(df);
        // Six numbers of 16 bits: 32 hold every carry, and the rotation brings them back in at the low end.
        let sum = u32::from(self.ip_sum)
            .wrapping_add(shared.sum)
            .wrapping_add(u32::from(tos))
            .wrapping_add(u32::from(ident))
            .wrapping_add(u32::from(df))
            .wrapping_add(u32::from(ttl) << 8);
        let checksum = !((sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16);
        let addresses = self.addresses.first_chunk().copied().unwrap_or_default();
        let ip = Ipv4 { first: first.into(), ttl, protocol: UDP, checksum: checksum.into(), addresses };
        let udp = shared.udp | u64::from(self.dst_port) << 32;
        let stack = Stack { ip, udp: udp.into(), tunnel: plain_tunnel(self.encap, vni).into() };
        let link = self.link.first_chunk().copied().unwrap_or_default();
        *zerocopy::transmute_mut!(header) = Header { link, stack };
    }
}
