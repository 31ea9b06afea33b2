//! The fast path of floods: untagged frames from a port to a group address, or to a station that the FDB does not know.

use super::fast_path::Ready;
use super::forward::flood_switch;
use super::{BridgeHandle, Engine, Flood, PuntReason, Verdict, VerdictKind};
use crate::table::{BridgeConfig, Destination, Entry, FloodSwitches, Instant, Meta, PortId};
use crate::wire::edit::Edit;
use crate::wire::{Label, TunnelFlags};

/// What of a bridge's floods may take this path, if there is neither a storm to be looked for nor a label.
pub(super) const fn fast_floods(config: &BridgeConfig) -> FloodSwitches {
    // A miss that is told of is rare enough.
    if config.l2miss { config.flood.difference(FloodSwitches::UNKNOWN_UNICAST) } else { config.flood }
}

impl Engine<'_> {
    /// A frame from a port to an address that the FDB does not know, or knows to have a flood list of its own.
    ///
    /// Nothing has changed where it is for the whole step.
    #[inline(never)]
    pub(super) fn flood_from_port(
        &mut self,
        now: Instant,
        ready: &Ready,
        from: PortId,
        verdict: &mut Verdict,
    ) -> Option<()> {
        self.fdb.is_current(now).then_some(())?;
        let list = match self.fdb.lookup_latest(ready.dst).map(Entry::destination) {
            None => None,
            Some(Destination::Group(group)) => Some(group),
            Some(_) => return None,
        };
        let mac = ready.dst.mac();
        let network = self.network(ready.bridge)?;
        let (bridge, config) = (network.bridge, network.config);
        if !bridge.fast_floods.contains(flood_switch(mac).0) || mac.is_reserved() {
            return None;
        }
        let group = list.or(bridge.flood_list);
        let members = group.map_or(0, |group| self.flood_lists.len(group));
        if members == 0 && bridge.ports < 2 {
            return None;
        }
        let handle = BridgeHandle { id: ready.bridge, generation: bridge.generation };
        let punt = config.host.then_some(PuntReason::HostCopy);
        if !self.fdb.refresh_latest(ready.src, Destination::Port(from), Meta::NONE) {
            return None;
        }
        *verdict = Verdict::Flood(Flood {
            bridge: handle,
            group: group.filter(|_| members > 0),
            from_port: Some(from),
            from_group: 0,
            from_endpoint: None,
            frame: ready.frame,
            port_edit: Edit::NONE,
            tunnel_edit: Edit::NONE,
            tunnel_len: ready.frame.len,
            outer: self.outer_of(ready, self.ident(), TunnelFlags::empty(), Label::NONE),
            punt,
        });
        self.count_fast(VerdictKind::Flood, ready, true);
        // Each copy to an endpoint has an identification; one has been counted.
        self.ident = self.ident.wrapping_add(members.saturating_sub(1).into());
        Some(())
    }
}
