//! From a frame's destination to a verdict.

use super::decision::{Decision, Network, Source, set};
use super::labelled::{Labelled, Marks};
use super::{
    BridgeHandle, Deliver, DropReason, Encapsulate, EndpointHandle, Engine, Flood, OuterFields, Punt, PuntReason,
    Switches, Verdict,
};
use crate::table::fdb::Probe;
use crate::table::{
    BridgeConfig, BridgeId, Destination, Endpoint, EndpointId, Entry, FloodSwitches, GroupId, Horizon, Instant, PortId,
    VlanEncap,
};
use crate::wire::edit::{Edit, VlanEdit};
use crate::wire::{Ecn, Encapsulation, EtherType, Inner, IpKind, Layer, MacAddr, Span, WireError, flow_hash};

/// A frame as forwarding sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) inner: Inner,
    /// Outermost tags that have served their purpose and do not go on.
    popped: u8,
    /// An ECN field to be written into the inner IP header.
    ecn: Option<Ecn>,
    span: Span,
    /// What a bridge knows that knows labels.
    pub(super) labelled: Labelled,
}

impl Frame {
    #[inline(always)]
    pub(super) fn new(inner: Inner, popped: u8, span: Span) -> Self {
        Self { inner, popped, ecn: None, span, labelled: Labelled::default() }
    }

    pub(super) fn set_ecn(&mut self, ecn: Ecn) {
        self.ecn = Some(ecn);
    }

    /// Bytes of the frame after an edit.
    #[inline]
    fn edited_len(&self, edit: Edit) -> u32 {
        let len = usize::try_from(self.span.len).unwrap_or(usize::MAX);
        u32::try_from(edit.edited_len(len, self.inner.tags())).unwrap_or(u32::MAX)
    }

    /// Whether a tag is left that has not served its purpose.
    #[inline]
    const fn is_tagged(&self) -> bool {
        self.inner.tags() > self.popped
    }

    /// What changes wherever it goes.
    #[inline]
    fn edit(&self) -> Edit {
        let edit = Edit::NONE.with_pop(self.popped);
        self.ecn.map_or(edit, |ecn| edit.with_ecn(ecn))
    }

    /// What changes on the way to a port, before the port's own tag.
    #[inline]
    pub(super) fn port_edit(&self) -> Edit {
        let Marks { inner_dscp, pcp, .. } = self.labelled.marks;
        let edit = inner_dscp.map_or_else(|| self.edit(), |dscp| self.edit().with_dscp(dscp));
        pcp.map_or(edit, |pcp| edit.with_pcp(pcp))
    }

    /// The frame for the host.
    fn punt(&self, reason: PuntReason, bridge: BridgeId) -> Punt {
        Punt { reason, bridge: Some(bridge), sender: None, frame: self.span, edit: self.port_edit() }
    }
}

/// Which switch floods to an address are behind, and why they are dropped if it is off.
#[inline(always)]
pub(super) const fn flood_switch(mac: MacAddr) -> (FloodSwitches, DropReason) {
    if mac.is_broadcast() {
        (FloodSwitches::BROADCAST, DropReason::BroadcastOff)
    } else if mac.is_multicast() {
        (FloodSwitches::MULTICAST, DropReason::MulticastOff)
    } else {
        (FloodSwitches::UNKNOWN_UNICAST, DropReason::UnknownUnicastOff)
    }
}

/// A frame on its way into tunnels, whichever.
#[derive(Clone, Copy, Debug)]
pub(super) struct TunnelCopy {
    pub(super) frame: Span,
    pub(super) edit: Edit,
    /// Bytes of the frame after the edit.
    pub(super) len: u32,
    pub(super) outer: OuterFields,
    /// Bytes of options that it has in a Geneve tunnel.
    pub(super) options: u8,
    pub(super) shared: bool,
}

impl TunnelCopy {
    /// The frame for one endpoint, or `None` if it would pass the underlay's MTU.
    #[inline(always)]
    pub(super) fn to(self, id: EndpointId, endpoint: &Endpoint, config: &BridgeConfig) -> Option<Encapsulate> {
        let Self { frame, edit, mut len, outer, options, shared } = self;
        if options != 0 && endpoint.address.encapsulation == Encapsulation::Geneve {
            len = len.saturating_add(u32::from(options));
        }
        if len > endpoint.max_frame && !endpoint.may_fragment(outer.df) {
            return None;
        }
        Some(Encapsulate {
            endpoint: EndpointHandle { id, generation: endpoint.generation },
            vni: endpoint.address.vni.unwrap_or(config.vni),
            frame,
            edit,
            outer,
            shared,
        })
    }
}

impl Engine<'_> {
    /// Reads an inner frame, whose tags are left alone if `keep`.
    #[inline]
    pub(super) fn parse_inner(&self, frame: &[u8], keep: bool) -> Result<Inner, WireError> {
        match Inner::parse_ethernet(frame) {
            Err(error) if keep && error.layer == Layer::Vlan && self.switches.contains(Switches::PASS_CUT_TAGS) => {
                Inner::parse_link(frame)
            }
            result => result,
        }
    }

    /// Finds out where a frame goes. `decision` carries what is known so far.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "by value and by register: this is where the time goes")]
    pub(super) fn forward(
        &self,
        now: Instant,
        network: Network<'_>,
        source: Source,
        frame: Frame,
        dst: Probe,
        bytes: &[u8],
        decision: Decision,
        verdict: &mut Verdict,
    ) -> Decision {
        if frame.inner.dst().is_reserved() && !self.switches.contains(Switches::FORWARD_RESERVED_MULTICAST) {
            return decision.drop(verdict, DropReason::ReservedMulticast);
        }
        let entry = self.fdb.lookup_probe(now, dst);
        if network.bridge.labelled {
            return self.forward_labelled(network, source, frame, entry, bytes, decision, verdict);
        }
        match entry.map(Entry::destination) {
            Some(Destination::Port(port)) => Decision { code: self.to_port(source, port, frame, verdict), ..decision },
            Some(Destination::Endpoint(id)) => {
                Decision { code: self.to_endpoint(network.config, source, id, frame, bytes, verdict), ..decision }
            }
            other => {
                let (code, miss) = self.to_others(network, source, other, frame, bytes, verdict);
                Decision { code, miss, ..decision }
            }
        }
    }

    /// Forwards to whatever is neither one port nor one endpoint; the code, and whether a miss is to be reported.
    #[inline(never)]
    pub(super) fn to_others(
        &self,
        network: Network<'_>,
        source: Source,
        destination: Option<Destination>,
        frame: Frame,
        bytes: &[u8],
        verdict: &mut Verdict,
    ) -> (u8, bool) {
        let Network { id, bridge, config } = network;
        let mac = frame.inner.dst();
        let wanted = match destination {
            Some(Destination::Host) => {
                let punt = frame.punt(PuntReason::HostDestination, id);
                return (set(verdict, Verdict::Punt(punt)), false);
            }
            Some(Destination::Drop) => return (set(verdict, Verdict::Drop(DropReason::Blackhole)), false),
            Some(Destination::Group(group)) => Some(group),
            _ => None,
        };
        let (switch, off) = flood_switch(mac);
        // A group address with a list of its own is a known destination.
        let flood = if wanted.is_none() && !config.flood.contains(switch) {
            Verdict::Drop(off)
        } else {
            self.flood(network, source, wanted.or(bridge.flood_list), &frame, bytes)
        };
        let miss = config.l2miss && switch == FloodSwitches::UNKNOWN_UNICAST && self.reports_miss(network, source);
        (set(verdict, flood), miss)
    }

    fn reports_miss(&self, network: Network<'_>, source: Source) -> bool {
        let listed = || network.bridge.flood_list.is_some_and(|list| !self.flood_lists.is_empty(list));
        !self.switches.contains(Switches::MISS_IF_NO_FLOOD_LIST) || matches!(source, Source::Port(_)) && !listed()
    }

    #[inline(always)]
    pub(super) fn to_port(&self, source: Source, id: PortId, frame: Frame, verdict: &mut Verdict) -> u8 {
        if matches!(source, Source::Port(from) if from == id) {
            return set(verdict, Verdict::Drop(DropReason::Reflected));
        }
        match self.port_copy(id, frame.span, frame.port_edit(), false) {
            Some(deliver) => set(verdict, Verdict::Deliver(deliver)),
            None => set(verdict, Verdict::Drop(DropReason::DestinationGone)),
        }
    }

    #[inline(always)]
    pub(super) fn to_endpoint(
        &self,
        config: &BridgeConfig,
        source: Source,
        id: EndpointId,
        frame: Frame,
        bytes: &[u8],
        verdict: &mut Verdict,
    ) -> u8 {
        let mut refuse = |reason| set(verdict, Verdict::Drop(reason));
        let Some(endpoint) = self.endpoints.get(id) else { return refuse(DropReason::DestinationGone) };
        if let Source::Endpoint { id: from, group } = source {
            if from == Some(id) {
                return refuse(DropReason::Reflected);
            }
            if group != 0 && group == endpoint.config.split_horizon {
                return refuse(DropReason::SplitHorizon);
            }
        }
        let edit = match self.tunnel_edit(&frame, config.vlan_encap) {
            Ok(edit) => edit,
            Err(reason) => return refuse(reason),
        };
        let outer = self.outer_fields(&frame, bytes);
        let options = self.options_len(&outer);
        let copy = TunnelCopy { frame: frame.span, edit, len: frame.edited_len(edit), outer, options, shared: false };
        match copy.to(id, endpoint, config) {
            Some(encapsulate) => set(verdict, Verdict::Encapsulate(encapsulate)),
            None => refuse(DropReason::TooBig),
        }
    }

    fn flood(
        &self,
        network: Network<'_>,
        source: Source,
        group: Option<GroupId>,
        frame: &Frame,
        bytes: &[u8],
    ) -> Verdict {
        let Network { id, bridge, config } = network;
        let (from_port, from_endpoint, from_group) = match source {
            Source::Port(port) => (Some(port), None, 0),
            Source::Endpoint { id, group } => (None, id, group),
        };
        let ports = bridge.ports > u16::from(from_port.is_some());
        let mut group = group.filter(|g| self.has_target(*g, from_endpoint, from_group));
        let mut refused = DropReason::NoFloodTarget;
        let tunnel_edit = self.tunnel_edit(frame, config.vlan_encap).unwrap_or_else(|reason| {
            if group.take().is_some() {
                refused = reason;
            }
            Edit::NONE
        });
        let punt = config.host.then_some(PuntReason::HostCopy);
        if !ports && group.is_none() {
            return match punt {
                Some(reason) => Verdict::Punt(frame.punt(reason, id)),
                None => Verdict::Drop(refused),
            };
        }
        Verdict::Flood(Flood {
            bridge: BridgeHandle { id, generation: bridge.generation },
            group,
            from_port,
            from_group,
            from_endpoint,
            frame: frame.span,
            port_edit: frame.port_edit(),
            tunnel_edit,
            tunnel_len: frame.edited_len(tunnel_edit),
            outer: self.outer_fields(frame, bytes),
            punt,
        })
    }

    /// Whether a flood list has a member other than the sender and its split-horizon group. Cost: constant.
    fn has_target(&self, group: GroupId, from: Option<EndpointId>, from_group: u8) -> bool {
        if from_group == 0 {
            let sender = from.is_some_and(|id| self.flood_lists.contains(group, id));
            return self.flood_lists.len(group) > u16::from(sender);
        }
        match self.flood_lists.horizon(group) {
            Horizon::Empty => false,
            Horizon::All(same) => same != from_group,
            Horizon::Mixed => true,
        }
    }

    /// What changes in a frame on the way into a tunnel, or why it does not go there.
    #[inline]
    fn tunnel_edit(&self, frame: &Frame, policy: VlanEncap) -> Result<Edit, DropReason> {
        if frame.inner.ip() == IpKind::Short && self.switches.contains(Switches::SEND_NO_SHORT_IP) {
            return Err(DropReason::InnerShortIp);
        }
        let tagged = frame.is_tagged();
        let edit = frame.edit();
        match policy {
            VlanEncap::Strip => Ok(edit.with_pop(frame.inner.tags())),
            VlanEncap::Drop if tagged => Err(DropReason::VlanTagged),
            VlanEncap::Keep | VlanEncap::Drop => Ok(edit),
            // A tag that is set keeps its priority; one that is pushed has none.
            VlanEncap::Map(vid) if tagged => Ok(edit.with_vlan(VlanEdit::SetVid(vid))),
            VlanEncap::Map(vid) => Ok(edit.with_vlan(VlanEdit::PushVlan(vid))),
        }
    }

    /// The frame for one port, or `None` if there is no such port.
    #[inline(always)]
    pub(super) fn port_copy(&self, id: PortId, frame: Span, edit: Edit, shared: bool) -> Option<Deliver> {
        let (config, port) = self.port_handle(id)?;
        let edit = match config.vlan {
            None => edit,
            Some(vid) => edit.with_vlan(VlanEdit::PushVlan(vid)),
        };
        Some(Deliver { port, frame, edit, shared })
    }

    /// The outer header's share of the frame.
    #[inline(always)]
    fn outer_fields(&self, frame: &Frame, bytes: &[u8]) -> OuterFields {
        let inner = &frame.inner;
        let payload = frame.span.of(bytes).unwrap_or(&[]);
        OuterFields {
            src_port: self.source_ports.map(flow_hash(self.seed, inner, payload)),
            ident: self.ident(),
            // As the frame goes on, not as it came (RFC 6040 section 4.1).
            tos: frame.ecn.map_or(inner.tos(), |ecn| ecn.in_tos(inner.tos())),
            ttl: inner.ttl(),
            df: inner.df() && !(frame.is_tagged() && self.switches.contains(Switches::DF_SKIPS_TAGGED)),
            flags: frame.labelled.flags,
            label: frame.labelled.label,
            options: frame.labelled.options,
            dscp: frame.labelled.marks.outer_dscp.unwrap_or(OuterFields::DSCP_OF_TEMPLATE),
            protocol: EtherType::ETHERNET,
        }
    }
}
