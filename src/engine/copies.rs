//! The copies of a flood, one by one.

use super::forward::TunnelCopy;
use super::labelled::Copied;
use super::{Engine, Flood, OuterFields, RewriteError, Switches, Verdict};
use crate::table::{Bridge, EndpointId, PortId};

/// How far a flood's copies have been handed out. A new cursor is at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cursor {
    pub(super) at: At,
    /// Copies to endpoints so far: two may go to one address, and then need an IPv4 identification each.
    pub(super) sent: u16,
}

impl Cursor {
    /// Before the first copy.
    #[must_use]
    pub const fn new() -> Self {
        Self { at: At::Start, sent: 0 }
    }

    /// Before the first copy to an endpoint.
    pub(super) const fn at_endpoints() -> Self {
        Self { at: At::Endpoints, sent: 0 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum At {
    #[default]
    Start,
    Port(PortId),
    Endpoints,
    Member(u16),
    /// The first member of the list, when it comes last.
    Last,
    End,
}

impl Engine<'_> {
    /// The next copy of a flood: [`Verdict::Deliver`] or [`Verdict::Encapsulate`], or `None` after the last.
    ///
    /// Ports come first, in the order they were added, then endpoints, in the order they were appended. A copy that
    /// would pass the underlay's MTU is left out and counted. All copies are of the frame as `step` saw it: carry them
    /// out with [`Engine::rewrite_into`] or [`Engine::rewrite_head`], or in place where the copy has no edit.
    /// [`Engine::replicate`] does both at once, where the engine stays as it is meanwhile.
    ///
    /// Cost: constant a copy; ports of one bridge are chained.
    ///
    /// # Errors
    /// [`RewriteError::StaleHandle`] if the bridge was removed or changed hands since, or lost a port or a member of a
    /// flood list; the flood ends there.
    pub fn next_copy(&self, flood: &Flood, cursor: &mut Cursor) -> Option<Result<Verdict, RewriteError>> {
        self.copy_of(flood, cursor, true)
    }

    /// The next copy; counted, or just looked at.
    #[inline(always)]
    pub(super) fn copy_of(
        &self,
        flood: &Flood,
        cursor: &mut Cursor,
        counts: bool,
    ) -> Option<Result<Verdict, RewriteError>> {
        if cursor.at == At::End {
            return None;
        }
        let bridge = self.bridge(flood.bridge.id).filter(|b| b.generation == flood.bridge.generation);
        let Some(bridge) = bridge else {
            cursor.at = At::End;
            if counts {
                self.counters.count_rewrite_error(RewriteError::StaleHandle);
            }
            return Some(Err(RewriteError::StaleHandle));
        };
        loop {
            let copy = match cursor.at {
                At::Start => {
                    cursor.at = bridge.first_port.map_or(At::Endpoints, At::Port);
                    None
                }
                At::Port(id) => {
                    let next = self.ports.get(usize::from(id.0)).and_then(|port| port.next);
                    cursor.at = next.map_or(At::Endpoints, At::Port);
                    self.copy_to_port(flood, bridge, id)
                }
                At::Endpoints => {
                    cursor.at = self.first_member(flood);
                    None
                }
                At::Member(place) => {
                    let member = self.flood_lists.member(place);
                    cursor.at = match member.and_then(|(_, next)| next) {
                        Some(next) => At::Member(next),
                        None if self.switches.contains(Switches::FIRST_COPY_LAST) => At::Last,
                        None => At::End,
                    };
                    member.and_then(|(id, _)| self.copy_to_endpoint(flood, bridge, id, &mut cursor.sent, counts))
                }
                At::Last => {
                    cursor.at = At::End;
                    let first = flood.group.and_then(|group| self.flood_lists.first(group));
                    let id = first.and_then(|place| self.flood_lists.member(place)).map(|(id, _)| id);
                    id.and_then(|id| self.copy_to_endpoint(flood, bridge, id, &mut cursor.sent, counts))
                }
                At::End => return None,
            };
            if let Some(copy) = copy {
                if counts {
                    self.counters.count_copy();
                }
                return Some(Ok(copy));
            }
        }
    }

    pub(super) fn first_member(&self, flood: &Flood) -> At {
        let Some(first) = flood.group.and_then(|group| self.flood_lists.first(group)) else { return At::End };
        if !self.switches.contains(Switches::FIRST_COPY_LAST) {
            return At::Member(first);
        }
        let second = self.flood_lists.member(first).and_then(|(_, next)| next);
        second.map_or(At::Last, At::Member)
    }

    /// A flood's place past whatever gets no copy and needs no look at it: the port that the frame came from, say.
    #[inline(never)]
    pub(super) fn past(&self, flood: &Flood, mut at: At) -> At {
        let port = |id: Option<PortId>| id.map_or(At::Endpoints, At::Port);
        if at == At::Start {
            at = port(self.bridge(flood.bridge.id).and_then(|bridge| bridge.first_port));
        }
        while let At::Port(id) = at {
            if flood.from_port != Some(id) {
                break;
            }
            at = port(self.ports.get(usize::from(id.0)).and_then(|port| port.next));
        }
        if at == At::Endpoints { self.first_member(flood) } else { at }
    }

    fn copy_to_port(&self, flood: &Flood, bridge: &Bridge, id: PortId) -> Option<Verdict> {
        if flood.from_port == Some(id) {
            return None;
        }
        if bridge.labelled {
            let copied =
                Copied { label: flood.outer.label, flags: flood.outer.flags, from_port: flood.from_port.is_some() };
            if let Some(judged) = self.judge_copy(flood.bridge.id, bridge, &copied, id) {
                judged.rule.inspect(|rule| self.policy.hit(*rule));
                if judged.denied.is_some() {
                    self.counters.count_copy_denied();
                    return None;
                }
            }
        }
        let copy = self.port_copy(id, flood.frame, flood.port_edit, true);
        if copy.is_none() {
            self.counters.count_copy_refused();
        }
        copy.map(Verdict::Deliver)
    }

    fn copy_to_endpoint(
        &self,
        flood: &Flood,
        bridge: &Bridge,
        id: EndpointId,
        sent: &mut u16,
        counts: bool,
    ) -> Option<Verdict> {
        let endpoint = self.endpoints.get(id)?;
        let from_group = flood.from_group;
        if flood.from_endpoint == Some(id) || from_group != 0 && endpoint.config.split_horizon == from_group {
            return None;
        }
        let config = bridge.config.as_ref()?;
        if bridge.labelled && self.is_unrepresentable(config, id, flood.outer.label) {
            if counts {
                self.counters.count_copy_denied();
            }
            return None;
        }
        let copy = TunnelCopy {
            frame: flood.frame,
            edit: flood.tunnel_edit,
            len: flood.tunnel_len,
            outer: OuterFields { ident: flood.outer.ident.wrapping_add(*sent), ..flood.outer },
            options: self.options_len(&flood.outer),
            shared: true,
        };
        let copy = copy.to(id, endpoint, config);
        match copy {
            Some(_) => *sent = sent.wrapping_add(1),
            None if counts => self.counters.count_copy_too_big(),
            None => {}
        }
        copy.map(Verdict::Encapsulate)
    }
}
