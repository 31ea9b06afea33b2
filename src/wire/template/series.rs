//! The plain headers of one frame's copies to many endpoints.
//!
//! Endpoints of one kind, as nearly all of a flood list are, differ in addresses and UDP port only. A [`Series`] is what
//! their headers share, put together once; each of them then costs what differs.

use super::plain::{LEN, plain_len};
use super::write::plain_tunnel;
use super::{DF_SET, FLOW_LABEL, Shape, Template, UDP, UDP_CHECKSUM};
use crate::wire::Vni;
use zerocopy::network_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a frame brings to the headers of its copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    /// Bytes of the frame.
    pub(crate) len: usize,
    pub(crate) src_port: u16,
    /// The inner fields, as [`Template::resolve`] takes them.
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) df: bool,
}

/// Headers for endpoints of one kind, to be written one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The [kind](Template::kind).
    kind: (u64, u32),
    /// The first word of the IP header, but for the identification.
    first: u64,
    /// UDP: source port and length.
    udp: u64,
    /// The tunnel header, where an endpoint has no VNI of its own.
    tunnel: u64,
    /// The sum of the IP header, but for the template's part and the identification.
    sum: u32,
    /// The second word of the IP header, of 32 bits, but for the checksum.
    second: u32,
}

/// The header, in the words it is put together in; its first 14 bytes are written as 16.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    link: [u8; 14],
    /// Version, header length, TOS, total length, identification, flags, fragment offset.
    first: U64,
    /// TTL, protocol, checksum.
    second: U32,
    addresses: [u8; 8],
    udp: U64,
    tunnel: U64,
}

impl Series {
    /// For no kind: there is no such shape.
    pub(crate) const NONE: Self = Self { kind: (u64::MAX, 0), first: 0, udp: 0, tunnel: 0, sum: 0, second: 0 };

    /// Headers for endpoints of this template's kind; `None` if they have no plain ones, or if the
    /// lengths do not fit 16 bits.
    #[inline(always)]
    pub(crate) fn new(template: &Template, inherited: Inherited, vni: Vni) -> Option<Self> {
        let Inherited { len, src_port, tos, ttl, df } = inherited;
        if template.shape != Shape::V4Ethernet || template.switches & (UDP_CHECKSUM | FLOW_LABEL) != 0 {
            return None;
        }
        // IP counts 36 bytes more than the frame, and UDP 16.
        let len = plain_len(len)?;
        let (tos, ttl, df) = template.resolve(tos, ttl, df);
        // What the template's sum lacks of these: all of what is inherited.
        let (more_ttl, more_df) = (ttl ^ template.ttl, u16::from(df) ^ u16::from(template.df & DF_SET));
        Some(Self {
            kind: template.kind(),
            first: 0x45 << 56 | u64::from(tos) << 48 | u64::from(len.wrapping_add(36)) << 32 | u64::from(df) << 14,
            udp: u64::from(src_port) << 48 | u64::from(len.wrapping_add(16)) << 16,
            tunnel: plain_tunnel(template.encap, vni),
            sum: u32::from(len)
                .wrapping_add(tos.into())
                .wrapping_add(u32::from(more_df) << 14)
                .wrapping_add(u32::from(more_ttl) << 8),
            second: u32::from(ttl) << 24 | u32::from(UDP) << 16,
        })
    }

    /// Whether it is for endpoints of this template's kind.
    #[inline(always)]
    pub(crate) fn is_for(&self, template: &Template) -> bool {
        self.kind == template.kind()
    }

    /// Writes the next header, for an endpoint with this template, which it [is for](Self::is_for), and, if it wants
    /// one, this VNI.
    #[inline(always)]
    pub(crate) fn put(&self, template: &Template, vni: &Option<Vni>, ident: u16, header: &mut [u8; LEN]) {
        if let Some(start) = header.first_chunk_mut() {
            *start = template.link;
        }
        // Field by field: all of it would not fit the registers.
        let header: &mut Header = zerocopy::transmute_mut!(header);
        header.first = (self.first | u64::from(ident) << 16).into();
        // Six numbers of 16 bits: 32 hold every carry, and the rotation brings them back in at the low end.
        let sum = self.sum.wrapping_add(template.ip_sum.into()).wrapping_add(ident.into());
        header.second = (self.second | !sum.wrapping_add(sum.rotate_left(16)) >> 16).into();
        header.addresses = template.tail().addresses;
        header.udp = (self.udp | u64::from(template.dst_port) << 32).into();
        header.tunnel = vni.map_or(self.tunnel, |vni| plain_tunnel(template.encap, vni)).into();
    }
}

impl Template {
    /// Everything but addresses and UDP port, in numbers that only templates alike in all of it share.
    #[inline(always)]
    fn kind(&self) -> (u64, u32) {
        let Self { shape, encap, switches, ttl, tos, inherited_tos, df, .. } = *self;
        (u64::from_ne_bytes([shape as u8, encap as u8, switches, ttl, inherited_tos, df, 0, 0]), tos)
    }
}
