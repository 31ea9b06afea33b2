//! Head-end replication: the copies of a flood, found and written in one go.
//!
//! A [`Replication`] borrows its engine, so nothing changes while it lives. What all copies share is found out once, and a
//! copy is the next member of the flood list, its endpoint, and its header.

use super::copies::At;
use super::{Cursor, Egress, Engine, Flood, Gather, Output, RewriteError, Switches};
use crate::wire::template::plain;
use crate::wire::{Depth, Vni};

/// The copies of a flood that are still to be written; [`Engine::replicate`] makes one.
#[derive(Clone, Debug)]
pub struct Replication<'a, 'm> {
    engine: &'a Engine<'m>,
    flood: &'a Flood,
    input: &'a [u8],
    depth: Depth,
    cursor: Cursor,
    plain: Option<Plain<'a>>,
}

/// What copies to endpoints share that need neither edit, options nor a look at labels.
#[derive(Clone, Debug)]
struct Plain<'a> {
    frame: &'a [u8],
    shared: plain::Shared,
    /// The VNI of endpoints that want no other.
    vni: Vni,
    /// Where the cursor goes behind the last member of the list.
    after: At,
}

impl<'m> Engine<'m> {
    /// Writes the copies of a flood one after the other: the bytes that [`Engine::next_copy`] with
    /// [`Engine::rewrite_into`] or [`Engine::rewrite_head`] gives, in the same order, for less.
    ///
    /// `input` is what `step` saw.
    ///
    /// ```
    /// # use vtep::engine::{Engine, Flood, RewriteError};
    /// # use vtep::wire::Depth;
    /// /// Sends all copies; the count of those that could not be written.
    /// fn send(engine: &Engine<'_>, flood: &Flood, input: &[u8], mut transmit: impl FnMut(&[u8])) -> usize {
    ///     let mut copies = engine.replicate(flood, Depth::Ethernet, input);
    ///     let (mut buffer, mut failed) = ([0; 2048], 0);
    ///     while let Some(copy) = copies.next_into(&mut buffer) {
    ///         match copy {
    ///             Ok(output) => transmit(&buffer[output.bytes]),
    ///             Err(_) => failed += 1,
    ///         }
    ///     }
    ///     failed
    /// }
    /// ```
    #[inline]
    #[must_use]
    pub fn replicate<'a>(&'a self, flood: &'a Flood, depth: Depth, input: &'a [u8]) -> Replication<'a, 'm> {
        let plain = self.plain_copies(flood, depth, input);
        let cursor = if plain.is_some() { self.first_plain(flood) } else { Cursor::new() };
        Replication { engine: self, flood, input, depth, cursor, plain }
    }

    /// What a flood's plain copies share; `None` if it has none.
    fn plain_copies<'a>(&self, flood: &Flood, depth: Depth, input: &'a [u8]) -> Option<Plain<'a>> {
        if depth != Depth::Ethernet || !flood.tunnel_edit.is_none() {
            return None;
        }
        let bridge = self.bridge(flood.bridge.id).filter(|b| b.generation == flood.bridge.generation && !b.labelled)?;
        let frame = flood.frame.of(input)?;
        let after = if self.switches.contains(Switches::FIRST_COPY_LAST) { At::Last } else { At::End };
        let shared = flood.outer.shared(frame.len())?;
        Some(Plain { frame, shared, vni: bridge.config.as_ref()?.vni, after })
    }

    /// Before the first copy; behind the ports, if there is none but the one that the frame came from.
    fn first_plain(&self, flood: &Flood) -> Cursor {
        let first = self.bridge(flood.bridge.id).and_then(|bridge| bridge.first_port);
        let last = first.is_none_or(|id| self.ports.get(usize::from(id.0)).is_none_or(|port| port.next.is_none()));
        if last && (first.is_none() || first == flood.from_port) {
            Cursor { at: self.first_member(flood), sent: 0 }
        } else {
            Cursor::new()
        }
    }
}

impl Replication<'_, '_> {
    /// Writes the next copy whole into `out`; `None` after the last.
    ///
    /// Cost: constant for each member of the bridge and the list that is passed over, and a copy of the bytes.
    ///
    /// # Errors
    /// [`RewriteError::StaleHandle`] if the flood is older than what befell its bridge, as [`Engine::next_copy`]: it is
    /// the last answer then. All others are about one copy, which is left out, as [`Engine::rewrite_into`].
    #[inline]
    pub fn next_into(&mut self, out: &mut [u8]) -> Option<Result<Output, RewriteError>> {
        match self.plain_into(out) {
            Some(output) => Some(Ok(output)),
            None => self.any_into(out),
        }
    }

    /// Writes what stands in front of the unchanged part of the next copy into `head`; `None` after the last.
    ///
    /// Cost: constant for each member of the bridge and the list that is passed over.
    ///
    /// # Errors
    /// As [`Replication::next_into`], and for one copy as [`Engine::rewrite_head`].
    #[inline]
    pub fn next_head(&mut self, head: &mut [u8]) -> Option<Result<Gather, RewriteError>> {
        match self.plain_head(head) {
            Some(gather) => Some(Ok(gather)),
            None => self.any_head(head),
        }
    }

    /// How far the copies have been written: [`Engine::next_copy`] goes on from there once this borrow has ended.
    #[inline]
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    #[inline(never)]
    fn any_into(&mut self, out: &mut [u8]) -> Option<Result<Output, RewriteError>> {
        let copy = self.engine.next_copy(self.flood, &mut self.cursor)?;
        Some(copy.and_then(|copy| self.engine.rewrite_into(&copy, self.depth, self.input, out)))
    }

    #[inline(never)]
    fn any_head(&mut self, head: &mut [u8]) -> Option<Result<Gather, RewriteError>> {
        let copy = self.engine.next_copy(self.flood, &mut self.cursor)?;
        Some(copy.and_then(|copy| self.engine.rewrite_head(&copy, self.depth, self.input, head)))
    }

    #[inline(always)]
    fn plain_into(&mut self, out: &mut [u8]) -> Option<Output> {
        let (head, body) = out.split_first_chunk_mut()?;
        let frame = self.plain.as_ref()?.frame;
        let body = body.get_mut(..frame.len())?;
        let to = self.put_plain(head)?;
        body.copy_from_slice(frame);
        Some(Output { to, bytes: 0..plain::LEN.wrapping_add(frame.len()) })
    }

    #[inline(always)]
    fn plain_head(&mut self, head: &mut [u8]) -> Option<Gather> {
        let frame = self.plain.as_ref()?.frame;
        let start = usize::try_from(self.flood.frame.start).ok()?;
        let to = self.put_plain(head.first_chunk_mut()?)?;
        Some(Gather { to, head: plain::LEN, rest: start..start.wrapping_add(frame.len()) })
    }

    /// Writes the header of the next copy if that is to an endpoint and a plain one. `None`, and nothing done, for all
    /// others: for ports, for members that get none, and where there is something to be refused or counted.
    #[inline(always)]
    fn put_plain(&mut self, head: &mut [u8; plain::LEN]) -> Option<Egress> {
        let Self { engine, flood, plain: Some(Plain { shared, vni, after, .. }), .. } = self else { return None };
        let At::Member(place) = self.cursor.at else { return None };
        let (id, next) = engine.flood_lists.member(place)?;
        let endpoint = engine.endpoints.get(id)?;
        let from_group = flood.from_group;
        if flood.from_endpoint == Some(id)
            || from_group != 0 && endpoint.config.split_horizon == from_group
            || flood.tunnel_len > endpoint.max_frame
            || !endpoint.template.is_plain()
        {
            return None;
        }
        let (vni, ident) = (endpoint.address.vni.unwrap_or(*vni), flood.outer.ident.wrapping_add(self.cursor.sent));
        endpoint.template.write_plain(shared, vni, ident, head);
        self.cursor = Cursor { at: next.map_or(*after, At::Member), sent: self.cursor.sent.wrapping_add(1) };
        engine.counters.count_copy();
        Some(Egress::Underlay(endpoint.address.underlay))
    }
}
