//! The short ways of carrying out a verdict: for packets without edits, and headers that nearly all packets get.
//!
//! Each answers `None`, and has written nothing, for what is not for it, errors included: [`rewrite`](super::rewrite) then
//! does it in full, and names what is wrong.

use core::ops::Range;

use super::rewrite::{Egress, Gather, Output, outer_ip, within};
use super::{Deliver, Encapsulate, Engine};
use crate::table::Endpoint;
use crate::wire::geneve::Written;
use crate::wire::template::{plain, untagged};
use crate::wire::{Depth, Encapsulation, EtherType, TunnelFlags};

impl Engine<'_> {
    /// [`Engine::rewrite`] of a delivery without an edit, which writes nothing.
    #[inline(always)]
    pub(super) fn pass_on(&self, deliver: &Deliver, buffer: &[u8], input: &Range<usize>) -> Option<Output> {
        let (_, port) = self.port_handle(deliver.port.id)?;
        let bytes = within(deliver.frame, input)?;
        if port != deliver.port || !deliver.edit.is_none() || bytes.end > buffer.len() {
            return None;
        }
        Some(Output { to: Egress::Port(port.id), bytes })
    }

    /// [`Engine::rewrite`] of an encapsulation that writes nothing but a plain header.
    #[inline(always)]
    pub(super) fn put_in_front(
        &self,
        verdict: &Encapsulate,
        depth: Depth,
        buffer: &mut [u8],
        input: &Range<usize>,
    ) -> Option<Output> {
        let endpoint = self.plain_endpoint(verdict, depth)?;
        let Range { start, end } = within(verdict.frame, &(input.start..input.end.min(buffer.len())))?;
        let headroom = buffer.get_mut(..start)?;
        let to = put_plain(verdict, endpoint, headroom.last_chunk_mut()?, end.wrapping_sub(start))?;
        Some(Output { to, bytes: start.wrapping_sub(plain::LEN)..end })
    }

    /// [`Engine::rewrite_into`] of the same.
    #[inline(always)]
    pub(super) fn plain_into(
        &self,
        verdict: &Encapsulate,
        depth: Depth,
        input: &[u8],
        out: &mut [u8],
    ) -> Option<Output> {
        let endpoint = self.plain_endpoint(verdict, depth)?;
        let frame = verdict.frame.of(input)?;
        let (header, body) = out.split_first_chunk_mut()?;
        let body = body.get_mut(..frame.len())?;
        let to = put_plain(verdict, endpoint, header, frame.len())?;
        body.copy_from_slice(frame);
        Some(Output { to, bytes: 0..plain::LEN.wrapping_add(frame.len()) })
    }

    /// [`Engine::rewrite_head`] of the same.
    #[inline(always)]
    pub(super) fn plain_head(
        &self,
        verdict: &Encapsulate,
        depth: Depth,
        input: &[u8],
        head: &mut [u8],
    ) -> Option<Gather> {
        let endpoint = self.plain_endpoint(verdict, depth)?;
        let rest = within(verdict.frame, &(0..input.len()))?;
        let to = put_plain(verdict, endpoint, head.first_chunk_mut()?, rest.len())?;
        Some(Gather { to, head: plain::LEN, rest })
    }

    /// Writes the header of an encapsulation that has no edit, no options but its label's, and an endpoint with an untagged
    /// link header; returns its length and where the packet goes.
    #[inline(always)]
    pub(super) fn put_untagged(
        &self,
        verdict: &Encapsulate,
        depth: Depth,
        headroom: &mut [u8],
        frame: &[u8],
    ) -> Option<(Egress, usize)> {
        let Encapsulate { endpoint, vni, edit, outer, .. } = verdict;
        if depth != Depth::Ethernet
            || !edit.is_none()
            || outer.options != 0
            || !TunnelFlags::C.contains(outer.flags)
            || outer.protocol != EtherType::ETHERNET
        {
            return None;
        }
        let generation = endpoint.generation;
        let endpoint = self.endpoints.get(endpoint.id)?;
        if endpoint.generation != generation {
            return None;
        }
        let labelled = !outer.flags.is_empty() && endpoint.address.encapsulation == Encapsulation::Geneve;
        let options = if labelled { self.schema.written(outer.label) } else { Written::NONE };
        let (tos, ttl, df) = outer_ip(endpoint, outer);
        let fields =
            untagged::Fields { vni: *vni, src_port: outer.src_port, ident: outer.ident, tos, ttl, df, options };
        let len = endpoint.template.write_untagged(&fields, headroom, frame)?;
        Some((Egress::Underlay(endpoint.address.underlay), len))
    }

    /// The endpoint of an encapsulation that has no edit and a plain header; `None` for others and where the handle is
    /// stale.
    #[inline(always)]
    fn plain_endpoint(&self, verdict: &Encapsulate, depth: Depth) -> Option<&Endpoint> {
        if depth != Depth::Ethernet || !verdict.edit.is_none() || !verdict.outer.is_plain() {
            return None;
        }
        let endpoint = self.endpoints.get(verdict.endpoint.id)?;
        (endpoint.generation == verdict.endpoint.generation && endpoint.template.is_plain()).then_some(endpoint)
    }
}

/// Writes a plain header in front of `len` bytes; `None` if they are too many.
#[inline(always)]
fn put_plain(verdict: &Encapsulate, endpoint: &Endpoint, header: &mut [u8; plain::LEN], len: usize) -> Option<Egress> {
    let outer = &verdict.outer;
    let tos = endpoint.template.outer_tos(outer.tos);
    let header = endpoint.template.begin_plain(plain::plain_len(len)?, tos, header);
    header.finish(outer.ident, outer.src_port, verdict.vni);
    Some(Egress::Underlay(endpoint.address.underlay))
}
