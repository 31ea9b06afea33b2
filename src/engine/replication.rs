//! Head-end replication: the copies of a flood, found and written in one go.
//!
//! A [`Replication`] borrows its engine, so nothing changes while it lives. What all copies share is found out once, and a
//! copy is the next member of the flood list, its endpoint, and its header.

use super::copies::At;
use super::decision::Network;
use super::{Cursor, Egress, Engine, Flood, Gather, OuterFields, Output, RewriteError, Switches, Verdict};
use crate::wire::template::plain;
use crate::wire::template::series::{Inherited, Series};
use crate::wire::{Depth, Vni};

/// The copies of a flood that are still to be written; [`Engine::replicate`] makes one.
#[derive(Clone, Debug)]
pub struct Replication<'a, 'm> {
    engine: &'a Engine<'m>,
    flood: &'a Flood,
    input: &'a [u8],
    depth: Depth,
    /// The member of the flood list whose turn it is, where plain copies have come to one.
    member: Option<u16>,
    /// How far the copies have been written; while plain copies are at members, what comes behind the last of them.
    cursor: Cursor,
    plain: Plain<'a>,
}

/// What copies to endpoints share that need neither edit, options nor a look at labels.
#[derive(Clone, Debug)]
struct Plain<'a> {
    /// Whether there are any.
    any: bool,
    /// Whether an endpoint or a split-horizon group gets none.
    from_tunnel: bool,
    /// The identification of the next copy.
    ident: u16,
    /// Bytes that an endpoint's limit is held against.
    len: u32,
    frame: &'a [u8],
    /// Headers for the kind of endpoint that was met last.
    series: Series,
    /// The VNI of endpoints that want no other.
    vni: Vni,
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
    #[inline(never)]
    #[must_use]
    pub fn replicate<'a>(&'a self, flood: &'a Flood, depth: Depth, input: &'a [u8]) -> Replication<'a, 'm> {
        let (member, cursor, plain) =
            self.plain_copies(flood, depth, input).unwrap_or((None, Cursor::new(), Plain::NONE));
        Replication { engine: self, flood, input, depth, member, cursor, plain }
    }

    /// Where plain copies of a flood begin, and what they share; `None` if there are none.
    #[inline(always)]
    fn plain_copies<'a>(
        &self,
        flood: &Flood,
        depth: Depth,
        input: &'a [u8],
    ) -> Option<(Option<u16>, Cursor, Plain<'a>)> {
        if depth != Depth::Ethernet || !flood.tunnel_edit.is_none() || !flood.outer.is_plain() {
            return None;
        }
        let Network { bridge, config, .. } = self.network(flood.bridge.id)?;
        if bridge.generation != flood.bridge.generation || bridge.labelled {
            return None;
        }
        let frame = flood.frame.of(input)?;
        let first = self.flood_lists.first(flood.group?)?;
        let series = self.series(flood, frame.len(), config.vni, first).unwrap_or(Series::NONE);
        let from_tunnel = flood.from_endpoint.is_some() || flood.from_group != 0;
        let plain = Plain {
            any: true,
            from_tunnel,
            ident: flood.outer.ident,
            len: flood.tunnel_len,
            frame,
            series,
            vni: config.vni,
        };
        // Where no port but the sender's is there, members come first.
        if bridge.ports > 1 || bridge.first_port != flood.from_port {
            return Some((None, Cursor::new(), plain));
        }
        let (member, at) = self.placed(self.first_member(flood));
        Some((member, Cursor { at, sent: 0 }, plain))
    }

    /// Where a cursor is, as [`Replication`] has it: the member, and what comes behind the last one.
    #[inline(always)]
    fn placed(&self, at: At) -> (Option<u16>, At) {
        match at {
            At::Member(place) if self.switches.contains(Switches::FIRST_COPY_LAST) => (Some(place), At::Last),
            At::Member(place) => (Some(place), At::End),
            _ => (None, at),
        }
    }

    /// Headers for all endpoints of the kind of the one at this place of the flood list, if it is of a plain kind.
    #[inline(always)]
    fn series(&self, flood: &Flood, len: usize, vni: Vni, place: u16) -> Option<Series> {
        let (id, _) = self.flood_lists.member(place)?;
        let OuterFields { src_port, tos, ttl, df, .. } = flood.outer;
        Series::new(&self.endpoints.get(id)?.template, Inherited { len, src_port, tos, ttl, df }, vni)
    }
}

impl Plain<'_> {
    const NONE: Self = Self {
        any: false,
        from_tunnel: false,
        ident: 0,
        len: 0,
        frame: &[],
        series: Series::NONE,
        vni: Vni::truncating(0),
    };
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
        let Cursor { at, sent } = self.cursor;
        let at = if let Some(place) = self.member { At::Member(place) } else { at };
        let sent = if self.plain.any { self.plain.ident.wrapping_sub(self.flood.outer.ident) } else { sent };
        Cursor { at, sent }
    }

    #[inline(never)]
    fn any_into(&mut self, out: &mut [u8]) -> Option<Result<Output, RewriteError>> {
        if let Some(output) = self.turned(|copies| copies.plain_into(out)) {
            return Some(Ok(output));
        }
        let copy = self.next_verdict()?;
        Some(copy.and_then(|copy| self.engine.rewrite_into(&copy, self.depth, self.input, out)))
    }

    #[inline(never)]
    fn any_head(&mut self, head: &mut [u8]) -> Option<Result<Gather, RewriteError>> {
        if let Some(gather) = self.turned(|copies| copies.plain_head(head)) {
            return Some(Ok(gather));
        }
        let copy = self.next_verdict()?;
        Some(copy.and_then(|copy| self.engine.rewrite_head(&copy, self.depth, self.input, head)))
    }

    /// Writes a plain copy to an endpoint of another kind than the last one's, or to the member that comes last out of
    /// its turn; `None`, and nothing done, for other copies.
    #[inline(always)]
    fn turned<T>(&mut self, write: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let Self { engine, flood, ref plain, member, cursor, .. } = *self;
        let last = member.is_none() && cursor.at == At::Last;
        let place = if last { engine.flood_lists.first(flood.group?) } else { member }?;
        if !plain.any {
            return None;
        }
        self.plain.series = engine.series(flood, plain.frame.len(), plain.vni, place)?;
        self.member = Some(place);
        let written = write(self);
        if last {
            self.member = None;
            self.cursor.at = if written.is_some() { At::End } else { At::Last };
        }
        written
    }

    fn next_verdict(&mut self) -> Option<Result<Verdict, RewriteError>> {
        let Self { engine, flood, .. } = *self;
        if self.member.is_none() && self.cursor.at == At::End {
            return None;
        }
        self.cursor = self.cursor();
        self.member = None;
        let copy = engine.next_copy(flood, &mut self.cursor);
        if self.plain.any {
            self.plain.ident = flood.outer.ident.wrapping_add(self.cursor.sent);
            (self.member, self.cursor.at) = engine.placed(engine.past(flood, self.cursor.at));
        }
        copy
    }

    #[inline(always)]
    fn plain_into(&mut self, out: &mut [u8]) -> Option<Output> {
        let (head, body) = out.split_first_chunk_mut()?;
        let frame = self.plain.frame;
        let body = body.get_mut(..frame.len())?;
        let to = self.put_plain(head)?;
        body.copy_from_slice(frame);
        Some(Output { to, bytes: 0..plain::LEN.wrapping_add(frame.len()) })
    }

    #[inline(always)]
    fn plain_head(&mut self, head: &mut [u8]) -> Option<Gather> {
        let to = self.put_plain(head.first_chunk_mut()?)?;
        let start = usize::try_from(self.flood.frame.start).ok()?;
        Some(Gather { to, head: plain::LEN, rest: start..start.wrapping_add(self.plain.frame.len()) })
    }

    /// Writes the header of the next copy if that is to an endpoint and a plain one. `None`, and nothing done, for all
    /// others: for ports, for members that get none, and where there is something to be refused or counted.
    #[inline(always)]
    fn put_plain(&mut self, head: &mut [u8; plain::LEN]) -> Option<Egress> {
        let Self { engine, flood, plain, member, .. } = self;
        let (id, next) = engine.flood_lists.member((*member)?)?;
        let endpoint = engine.endpoints.get(id)?;
        let group = endpoint.config.split_horizon;
        if plain.from_tunnel && (flood.from_endpoint == Some(id) || flood.from_group == group && group != 0)
            || plain.len > endpoint.max_frame
            || !plain.series.is_for(&endpoint.template)
        {
            return None;
        }
        *member = next;
        let ident = plain.ident;
        plain.ident = ident.wrapping_add(1);
        plain.series.put(&endpoint.template, &endpoint.address.vni, ident, head);
        engine.counters.count_copy();
        Some(Egress::Underlay(endpoint.address.underlay))
    }
}
