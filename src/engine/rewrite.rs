//! Carrying out a verdict on bytes: the only place that writes them.

use core::ops::Range;

use super::{Deliver, Encapsulate, Engine, OuterFields, RewriteError, Verdict};
use crate::table::{Endpoint, PortId, UnderlayId};
use crate::wire::edit::{Edit, Edited};
use crate::wire::geneve::MAX_OPTIONS_LEN;
use crate::wire::{
    Depth, Encapsulation, FrameKind, Payload, PerPacket, Reason, Sent, Span, TunnelFlags, Vni, WireError, template,
};

/// Where written bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Egress {
    /// Out of a port.
    Port(PortId),
    /// Into an underlay. With [`Depth::Tunnel`], [`Engine::sent`] tells the owner of the socket the rest.
    Underlay(UnderlayId),
}

/// Bytes ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where to.
    pub to: Egress,
    /// Where they lie in the buffer.
    pub bytes: Range<usize>,
}

/// A packet in two pieces: what was written, and what follows it unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// Where to.
    pub to: Egress,
    /// Bytes written at the start of the head buffer.
    pub head: usize,
    /// What follows, as a range of the input.
    pub rest: Range<usize>,
}

/// Most bytes that stand in front of an unedited frame: outer Ethernet with tag, IPv6, UDP, Geneve with all options.
pub const HEADROOM: usize = template::MAX_HEADER_LEN;

impl Engine<'_> {
    /// Writes in place: outer headers into the headroom in front of the frame.
    ///
    /// `input` is the range of `buffer` that `step` saw. Up to [`HEADROOM`] bytes in front of it are written, and 4 more
    /// where a tag is pushed. Nothing behind the frame is touched.
    ///
    /// # Errors
    /// [`RewriteError`]; the buffer is unchanged. A flood is [`RewriteError::NothingToWrite`]: take its copies.
    pub fn rewrite(
        &self,
        verdict: &Verdict,
        depth: Depth,
        buffer: &mut [u8],
        input: Range<usize>,
    ) -> Result<Output, RewriteError> {
        let Verdict::Encapsulate(encapsulate) = verdict else {
            return self.rewrite_delivery(verdict, depth, buffer, input);
        };
        match self.put_in_front(encapsulate, depth, buffer, &input) {
            Some(output) => Ok(output),
            None => self.rewrite_untagged(verdict, depth, buffer, input),
        }
    }

    /// [`Engine::rewrite`] of an encapsulation that has not quite a plain header.
    #[inline(never)]
    fn rewrite_untagged(
        &self,
        verdict: &Verdict,
        depth: Depth,
        buffer: &mut [u8],
        input: Range<usize>,
    ) -> Result<Output, RewriteError> {
        if let Verdict::Encapsulate(encapsulate) = verdict {
            if let Some(Range { start, end }) = within(encapsulate.frame, &input) {
                if let Some((headroom, frame)) = buffer.get_mut(..end).and_then(|b| b.split_at_mut_checked(start)) {
                    if let Some((to, len)) = self.put_untagged(encapsulate, depth, headroom, frame) {
                        return Ok(Output { to, bytes: start.wrapping_sub(len)..end });
                    }
                }
            }
        }
        self.rewrite_any(verdict, depth, buffer, input)
    }

    /// [`Engine::rewrite`] of a delivery; of its own, so that neither this nor an encapsulation saves the other's registers.
    #[inline(never)]
    fn rewrite_delivery(
        &self,
        verdict: &Verdict,
        depth: Depth,
        buffer: &mut [u8],
        input: Range<usize>,
    ) -> Result<Output, RewriteError> {
        let Verdict::Deliver(deliver) = verdict else { return self.rewrite_any(verdict, depth, buffer, input) };
        match self.pass_on(deliver, buffer, &input) {
            Some(output) => Ok(output),
            None => self.rewrite_any(verdict, depth, buffer, input),
        }
    }

    /// [`Engine::rewrite`] of everything; errors get their names here.
    #[inline(never)]
    fn rewrite_any(
        &self,
        verdict: &Verdict,
        depth: Depth,
        buffer: &mut [u8],
        input: Range<usize>,
    ) -> Result<Output, RewriteError> {
        if needs_options(verdict) {
            let mut scratch = [0; MAX_OPTIONS_LEN];
            let options =
                buffer.get(input.clone()).map_or(Ok(0), |bytes| self.put_options(verdict, bytes, &mut scratch));
            let options = options.map(|len| scratch.get(..len).unwrap_or_default());
            return self.counted(options.and_then(|o| self.write_in_place(verdict, depth, buffer, input, o)));
        }
        self.counted(self.write_in_place(verdict, depth, buffer, input, &[]))
    }

    /// Writes a whole packet into a buffer of its own; `input` stays as it is.
    ///
    /// # Errors
    /// [`RewriteError`]; `out` is unchanged but for [`RewriteError::TooLong`].
    pub fn rewrite_into(
        &self,
        verdict: &Verdict,
        depth: Depth,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<Output, RewriteError> {
        if let Verdict::Encapsulate(encapsulate) = verdict {
            if let Some(output) = self.plain_into(encapsulate, depth, input, out) {
                return Ok(output);
            }
        }
        if needs_options(verdict) {
            let mut scratch = [0; MAX_OPTIONS_LEN];
            let options = self.put_options(verdict, input, &mut scratch);
            let options = options.map(|len| scratch.get(..len).unwrap_or_default());
            return self.counted(options.and_then(|o| self.write_into(verdict, depth, input, out, o)));
        }
        self.counted(self.write_into(verdict, depth, input, out, &[]))
    }

    /// Writes only what stands in front of the unchanged part of the frame, for gathering output: `head` gets at most
    /// [`HEADROOM`] plus [`Edit::MAX_PREFIX`] bytes.
    ///
    /// # Errors
    /// [`RewriteError`]; `head` is unchanged but for [`RewriteError::TooLong`].
    pub fn rewrite_head(
        &self,
        verdict: &Verdict,
        depth: Depth,
        input: &[u8],
        head: &mut [u8],
    ) -> Result<Gather, RewriteError> {
        if let Verdict::Encapsulate(encapsulate) = verdict {
            if let Some(gather) = self.plain_head(encapsulate, depth, input, head) {
                return Ok(gather);
            }
        }
        if needs_options(verdict) {
            let mut scratch = [0; MAX_OPTIONS_LEN];
            let options = self.put_options(verdict, input, &mut scratch);
            let options = options.map(|len| scratch.get(..len).unwrap_or_default());
            return self.counted(options.and_then(|o| self.write_head(verdict, depth, input, head, o)));
        }
        self.counted(self.write_head(verdict, depth, input, head, &[]))
    }

    /// The outer addresses, ports, TTL, TOS and DF of an encapsulation, for whoever owns a socket.
    ///
    /// # Errors
    /// [`RewriteError::NothingToWrite`] for other verdicts, [`RewriteError::StaleHandle`].
    pub fn sent(&self, verdict: &Verdict) -> Result<Sent, RewriteError> {
        let plan = self.plan(verdict, &[])?;
        plan.tunnel.map(|(endpoint, packet)| endpoint.template.sent(&packet)).ok_or(RewriteError::NothingToWrite)
    }

    /// Writes the options that a copy has: those received, or those of its label; returns their length.
    #[cold]
    #[inline(never)]
    fn put_options(
        &self,
        verdict: &Verdict,
        input: &[u8],
        scratch: &mut [u8; MAX_OPTIONS_LEN],
    ) -> Result<usize, RewriteError> {
        let Verdict::Encapsulate(Encapsulate { endpoint, outer, frame, .. }) = verdict else { return Ok(0) };
        let endpoint = self.endpoints.get(endpoint.id).ok_or(RewriteError::StaleHandle)?;
        if endpoint.address.encapsulation != Encapsulation::Geneve {
            return Ok(0);
        }
        if outer.options == 0 {
            let labels = scratch.first_chunk_mut().ok_or(RewriteError::NoRoom)?;
            return Ok(self.schema.write(outer.label, labels));
        }
        let len = u32::from(outer.options);
        let start = frame.start.checked_sub(len).ok_or(RewriteError::BadRange)?;
        let received = Span::new(start, len).of(input).ok_or(RewriteError::BadRange)?;
        scratch.get_mut(..received.len()).ok_or(RewriteError::BadRange)?.copy_from_slice(received);
        Ok(received.len())
    }

    fn counted<T>(&self, result: Result<T, RewriteError>) -> Result<T, RewriteError> {
        if let Err(error) = &result {
            self.counters.count_rewrite_error(*error);
        }
        result
    }

    fn write_in_place(
        &self,
        verdict: &Verdict,
        depth: Depth,
        buffer: &mut [u8],
        input: Range<usize>,
        options: &[u8],
    ) -> Result<Output, RewriteError> {
        let plan = self.plan(verdict, options)?;
        let within = plan.frame_in(input.len())?;
        let start = input.start.checked_add(within.start).ok_or(RewriteError::BadRange)?;
        let end = input.start.checked_add(within.end).ok_or(RewriteError::BadRange)?;
        let frame = buffer.get(start..end).ok_or(RewriteError::BadRange)?;
        let mut scratch;
        let (mut start, mut head) = (start, &[][..]);
        if !plan.edit.is_none() {
            if plan.shared {
                return Err(RewriteError::SharedFrame);
            }
            scratch = [0; Edit::MAX_PREFIX];
            let edited = apply(plan.edit, frame, &mut scratch)?;
            let kept = start.checked_add(edited.skip).ok_or(RewriteError::BadRange)?;
            start = kept.checked_sub(edited.head).ok_or(RewriteError::NoRoom)?;
            head = scratch.get(..edited.head).ok_or(RewriteError::BadEdit)?;
        }
        let len = end.checked_sub(start).ok_or(RewriteError::BadRange)?;
        let (headroom, frame) = buffer.split_at_mut_checked(start).ok_or(RewriteError::BadRange)?;
        let frame = frame.get_mut(..len).ok_or(RewriteError::BadRange)?;
        let (edited, rest) = frame.split_at_mut_checked(head.len()).ok_or(RewriteError::BadRange)?;
        let mut written = 0;
        if let Some((endpoint, packet)) = plan.tunnel {
            // It may fail, and the edit may not: so the edit comes last.
            let payload = Payload { head, rest };
            written = endpoint.template.write(depth, &packet, headroom, payload).map_err(template_error)?;
        }
        edited.copy_from_slice(head);
        Ok(Output { to: plan.to, bytes: start.saturating_sub(written)..end })
    }

    fn write_into(
        &self,
        verdict: &Verdict,
        depth: Depth,
        input: &[u8],
        out: &mut [u8],
        options: &[u8],
    ) -> Result<Output, RewriteError> {
        let plan = self.plan(verdict, options)?;
        let frame = input.get(plan.frame_in(input.len())?).ok_or(RewriteError::BadRange)?;
        let mut scratch = [0; Edit::MAX_PREFIX];
        let (head, rest) = plan.pieces(frame, &mut scratch)?;
        let header = plan.header_len(depth);
        plan.check_depth(depth)?;
        let edited_end = header.checked_add(head.len()).ok_or(RewriteError::TooLong)?;
        let end = edited_end.checked_add(rest.len()).ok_or(RewriteError::TooLong)?;
        let (headroom, body) = out.split_at_mut_checked(header).ok_or(RewriteError::NoRoom)?;
        let (body_head, body) = body.split_at_mut_checked(head.len()).ok_or(RewriteError::NoRoom)?;
        let body_rest = body.get_mut(..rest.len()).ok_or(RewriteError::NoRoom)?;
        if let Some((endpoint, packet)) = &plan.tunnel {
            endpoint.template.write(depth, packet, headroom, Payload { head, rest }).map_err(template_error)?;
        }
        body_head.copy_from_slice(head);
        body_rest.copy_from_slice(rest);
        Ok(Output { to: plan.to, bytes: 0..end })
    }

    fn write_head(
        &self,
        verdict: &Verdict,
        depth: Depth,
        input: &[u8],
        out: &mut [u8],
        options: &[u8],
    ) -> Result<Gather, RewriteError> {
        let plan = self.plan(verdict, options)?;
        let range = plan.frame_in(input.len())?;
        let frame = input.get(range.clone()).ok_or(RewriteError::BadRange)?;
        let mut scratch = [0; Edit::MAX_PREFIX];
        let (head, rest) = plan.pieces(frame, &mut scratch)?;
        let header = plan.header_len(depth);
        plan.check_depth(depth)?;
        let end = header.checked_add(head.len()).ok_or(RewriteError::TooLong)?;
        let (headroom, edited) = out.split_at_mut_checked(header).ok_or(RewriteError::NoRoom)?;
        let edited = edited.get_mut(..head.len()).ok_or(RewriteError::NoRoom)?;
        if let Some((endpoint, packet)) = &plan.tunnel {
            endpoint.template.write(depth, packet, headroom, Payload { head, rest }).map_err(template_error)?;
        }
        edited.copy_from_slice(head);
        Ok(Gather { to: plan.to, head: end, rest: range.end.saturating_sub(rest.len())..range.end })
    }

    /// What a verdict asks for, with its handles resolved.
    #[inline(always)]
    fn plan<'s>(&'s self, verdict: &Verdict, options: &'s [u8]) -> Result<Plan<'s>, RewriteError> {
        match verdict {
            Verdict::Deliver(deliver) => self.plan_delivery(deliver),
            Verdict::Encapsulate(encapsulate) => self.plan_encapsulation(encapsulate, options),
            _ => Err(RewriteError::NothingToWrite),
        }
    }

    fn plan_delivery(&self, deliver: &Deliver) -> Result<Plan<'_>, RewriteError> {
        let current = self.port_handle(deliver.port.id).map(|(_, handle)| handle);
        if current != Some(deliver.port) {
            return Err(RewriteError::StaleHandle);
        }
        Ok(Plan {
            to: Egress::Port(deliver.port.id),
            span: deliver.frame,
            edit: deliver.edit,
            shared: deliver.shared,
            tunnel: None,
        })
    }

    #[inline(always)]
    fn plan_encapsulation<'s>(&'s self, verdict: &Encapsulate, options: &'s [u8]) -> Result<Plan<'s>, RewriteError> {
        let endpoint = self.endpoints.get(verdict.endpoint.id).ok_or(RewriteError::StaleHandle)?;
        if endpoint.generation != verdict.endpoint.generation {
            return Err(RewriteError::StaleHandle);
        }
        let packet = per_packet(endpoint, verdict.vni, &verdict.outer, options);
        Ok(Plan {
            to: Egress::Underlay(endpoint.address.underlay),
            span: verdict.frame,
            edit: verdict.edit,
            shared: verdict.shared,
            tunnel: Some((endpoint, packet)),
        })
    }
}

/// A verdict with its handles resolved.
struct Plan<'e> {
    to: Egress,
    span: Span,
    edit: Edit,
    shared: bool,
    tunnel: Option<(&'e Endpoint, PerPacket<'e>)>,
}

impl Plan<'_> {
    /// The frame as a range of an input of `len` bytes.
    #[inline]
    fn frame_in(&self, len: usize) -> Result<Range<usize>, RewriteError> {
        let start = usize::try_from(self.span.start).map_err(|_| RewriteError::BadRange)?;
        let end = usize::try_from(self.span.end()).map_err(|_| RewriteError::BadRange)?;
        if end > len { Err(RewriteError::BadRange) } else { Ok(start..end) }
    }

    #[inline]
    fn header_len(&self, depth: Depth) -> usize {
        self.tunnel.as_ref().map_or(0, |(endpoint, packet)| endpoint.template.header_len(depth, packet.options.len()))
    }

    fn check_depth(&self, depth: Depth) -> Result<(), RewriteError> {
        match &self.tunnel {
            Some((endpoint, _)) if depth == Depth::Ethernet && endpoint.template.link().is_none() => {
                Err(RewriteError::NoLink)
            }
            _ => Ok(()),
        }
    }

    /// The edited beginning of a frame, and the unchanged rest.
    fn pieces<'b>(
        &self,
        frame: &'b [u8],
        scratch: &'b mut [u8; Edit::MAX_PREFIX],
    ) -> Result<(&'b [u8], &'b [u8]), RewriteError> {
        if self.edit.is_none() {
            return Ok((&[], frame));
        }
        let edited = apply(self.edit, frame, scratch)?;
        let head = scratch.get(..edited.head).ok_or(RewriteError::BadEdit)?;
        let rest = frame.get(edited.skip..).ok_or(RewriteError::BadEdit)?;
        Ok((head, rest))
    }
}

/// What one packet's header has of its own.
#[inline(always)]
fn per_packet<'o>(endpoint: &Endpoint, vni: Vni, outer: &OuterFields, options: &'o [u8]) -> PerPacket<'o> {
    let (tos, ttl, df) = outer_ip(endpoint, outer);
    PerPacket {
        vni,
        src_port: outer.src_port,
        ident: outer.ident,
        tos,
        ttl,
        df,
        flags: outer.flags,
        policy: outer.label.group().policy_id().unwrap_or(0),
        protocol: outer.protocol,
        options,
    }
}

/// The outer TOS, TTL and DF.
#[inline(always)]
pub(super) fn outer_ip(endpoint: &Endpoint, outer: &OuterFields) -> (u8, u8, bool) {
    let (tos, ttl, df) = endpoint.template.resolve(outer.tos, outer.ttl, outer.df);
    let tos = if outer.dscp == OuterFields::DSCP_OF_TEMPLATE { tos } else { outer.dscp << 2 | tos & 3 };
    (tos, ttl, df)
}

/// A span of `input` as a range of the buffer that holds it; `None` where it passes the input's end.
#[inline(always)]
pub(super) fn within(span: Span, input: &Range<usize>) -> Option<Range<usize>> {
    let start = input.start.checked_add(usize::try_from(span.start).ok()?)?;
    let end = start.checked_add(usize::try_from(span.len).ok()?)?;
    (end <= input.end).then_some(start..end)
}

/// Whether a packet may have Geneve options.
#[inline]
const fn needs_options(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Encapsulate(e) => e.outer.options != 0 || e.outer.flags.contains(TunnelFlags::C),
        _ => false,
    }
}

fn apply(edit: Edit, frame: &[u8], scratch: &mut [u8; Edit::MAX_PREFIX]) -> Result<Edited, RewriteError> {
    edit.apply(frame, FrameKind::Ethernet, scratch).map_err(|_| RewriteError::BadEdit)
}

fn template_error(error: WireError) -> RewriteError {
    match error.reason {
        Reason::BufferTooSmall => RewriteError::NoRoom,
        Reason::Unrepresentable if error.layer == crate::wire::Layer::Ethernet => RewriteError::NoLink,
        _ => RewriteError::TooLong,
    }
}
