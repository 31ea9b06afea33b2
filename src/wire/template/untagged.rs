//! The headers that most other packets get: over untagged Ethernet, with whatever the template says of UDP's checksum,
//! TTL, DF and flow label, and at most the two options that carry a label.
//!
//! What [`Template::write`] does for packets of any kind, without asking what they are.

use super::plain::{self, plain_len};
use super::stack::{Ipv6, Stack};
use super::write::plain_tunnel;
use super::{FLOW_LABEL, Shape, Template, UDP, UDP_CHECKSUM};
use crate::wire::checksum::Sum;
use crate::wire::geneve::Written;
use crate::wire::{Encapsulation, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The header in front of the options, over IPv6.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header6 {
    link: [u8; 14],
    stack: Stack<Ipv6>,
}

/// What one packet's header has of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) vni: Vni,
    pub(crate) src_port: u16,
    pub(crate) ident: u16,
    /// The outer ones, as [`Template::resolve`] gives them.
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) df: bool,
    /// Geneve's options.
    pub(crate) options: Written,
}

impl Template {
    /// Writes the header of a frame into the end of `headroom` and returns its length. `None`, and nothing written, if the
    /// template has no link header or a tag in it, and for what [`Template::write`] refuses.
    #[inline(always)]
    pub(crate) fn write_untagged(&self, fields: &Fields, headroom: &mut [u8], frame: &[u8]) -> Option<usize> {
        let options = fields.options;
        let options_len = usize::from(options.len);
        let len = plain_len(frame.len().wrapping_add(options_len))?;
        let header_len = match self.shape {
            Shape::V4Ethernet => plain::LEN,
            Shape::V6Ethernet => size_of::<Header6>(),
            _ => return None,
        };
        let written = header_len.wrapping_add(options_len);
        if headroom.len() < written {
            return None;
        }
        let mut tunnel = plain_tunnel(self.encap, fields.vni);
        if self.encap == Encapsulation::Geneve {
            tunnel |= u64::from(options.len >> 2) << 56 | u64::from(options.critical) << 54;
        }
        let checksum = if self.switches & UDP_CHECKSUM == 0 {
            0
        } else {
            // The length counts twice: in the pseudo-header and in the header.
            let udp_len = len.wrapping_add(16);
            let sum = Sum::from_folded(self.udp_sum).add_u16(fields.src_port).add_u16(udp_len).add_u16(udp_len);
            let [first, last] = options.words;
            let sum = sum.add_u64(tunnel).add_u64(first).add_u64(last);
            sum.add_bytes(frame).finish_udp()
        };
        // They end where the frame starts; what is in front of them is stored over.
        *headroom.last_chunk_mut()? = options.bytes();
        let headers = headroom.get_mut(..headroom.len().wrapping_sub(options_len))?;
        if self.shape == Shape::V4Ethernet {
            self.put_plain_v4(fields, len, tunnel, checksum, headers.last_chunk_mut()?);
        } else {
            self.put_plain_v6(fields, len, tunnel, checksum, headers.last_chunk_mut()?);
        }
        Some(written)
    }

    #[inline(always)]
    fn put_plain_v4(&self, fields: &Fields, len: u16, tunnel: u64, checksum: u16, header: &mut [u8; plain::LEN]) {
        let mut header = self.begin_plain(len, fields.tos, header);
        if self.switches & super::INHERITED != 0 {
            header.inherit(if self.ttl == 0 { fields.ttl } else { 0 }, self.df & super::DF_INHERIT != 0 && fields.df);
        }
        header.set_tunnel((tunnel >> 32) as u32, checksum);
        header.finish(fields.ident, fields.src_port, fields.vni);
    }

    #[inline(always)]
    fn put_plain_v6(&self, fields: &Fields, len: u16, tunnel: u64, checksum: u16, header: &mut [u8; 70]) {
        let udp_len = u64::from(len.wrapping_add(16));
        let label = if self.switches & FLOW_LABEL == 0 { 0 } else { fields.src_port };
        let first = 6 << 60
            | u64::from(fields.tos) << 52
            | u64::from(label) << 32
            | udp_len << 16
            | u64::from(UDP) << 8
            | u64::from(fields.ttl);
        let udp =
            u64::from(fields.src_port) << 48 | u64::from(self.dst_port) << 32 | udp_len << 16 | u64::from(checksum);
        let Header6 { link, stack } = zerocopy::transmute_mut!(header);
        *link = self.link.first_chunk().copied().unwrap_or_default();
        *stack = Stack { ip: Ipv6 { first: first.into(), addresses: self.ip }, udp: udp.into(), tunnel: tunnel.into() };
    }
}
