//! Bridges that know security groups and traffic classes: who a frame is from, whether it may go where it goes, and what
//! it says of that outside.
//!
//! Nothing here is reached for the frames of other bridges.

use super::decision::{Decision, Network, Source, set};
use super::forward::Frame;
use super::packet::Carrier;
use super::{DropReason, Engine, Verdict};
use crate::table::fdb::Probe;
use crate::table::{
    Action, Bridge, BridgeConfig, BridgeId, Destination, DiffServ, Enforce, Enforcement, Entry, Instant, Owner,
    PortConfig, PortId, RuleId, TrafficMap,
};
use crate::wire::geneve::Found;
use crate::wire::{Encapsulation, Inner, IpKind, Label, SecurityGroup, TrafficClass, TunnelFlags};

/// What a policy says of a frame or a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) from: SecurityGroup,
    pub(super) to: SecurityGroup,
    /// The rule that decided, if one did.
    pub(super) rule: Option<RuleId>,
    /// Why the frame is dropped, if it is.
    pub(super) denied: Option<DropReason>,
}

/// What a labelled bridge knows of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Labelled {
    pub(super) label: Label,
    /// Policy has been applied already, says a sender that is to be believed.
    pub(super) applied: bool,
    /// Tunnel flags that pass from one tunnel to the next.
    pub(super) flags: TunnelFlags,
    /// Bytes of received options that pass from one tunnel to the next.
    pub(super) options: u8,
    /// The outer DSCP of a packet whose tunnel and frame share one.
    pub(super) shared_dscp: Option<u8>,
    pub(super) marks: Marks,
}

/// Whether a bridge's frames come this way at all.
pub(super) const fn is_labelled(config: &BridgeConfig) -> bool {
    config.options || config.gbp || config.policy.is_some() || config.traffic.is_some()
}

impl Engine<'_> {
    /// What is known of a frame from a port, and the label its source is learned with.
    #[inline(never)]
    pub(super) fn label_from_port(
        &self,
        now: Instant,
        network: Network<'_>,
        (id, port): (PortId, &PortConfig),
        source: Probe,
        inner: &Inner,
    ) -> (Labelled, Label) {
        let entry = self.fdb.lookup_probe(now, source);
        let entry = entry.filter(|entry| entry.destination() == Destination::Port(id));
        let known = entry.map_or(Label::NONE, |entry| self.label(entry));
        let group = port.group_of(known.group());
        let by_entry = Some(known.class()).filter(|class| *class != TrafficClass::BEST_EFFORT);
        let class = port.class.or(by_entry).unwrap_or_else(|| match self.map_of(network.config) {
            Some(map) => map.classify(pcp(inner), dscp(inner)),
            None => TrafficClass::BEST_EFFORT,
        });
        // The entry keeps what a command gave it; a port's group is the port's, and not learned.
        (Labelled { label: Label::new(group, class), ..Labelled::default() }, known)
    }

    /// What is known of a frame from a tunnel, and the label its source is learned with.
    #[inline(never)]
    pub(super) fn label_from_tunnel(&self, config: &BridgeConfig, carrier: &Carrier) -> (Labelled, Label) {
        let Carrier { found, flags, tracks, tos, options } = *carrier;
        let Found { group, class } = found;
        let map = self.map_of(config);
        let outer = tos >> 2;
        // An engine that has no room for labels at all learns without them.
        let keeps = self.fdb.labels().capacity() != 0;
        let learned = if keeps { Label::new(group, class.unwrap_or_default()) } else { Label::NONE };
        let class = class.or_else(|| map.map(|map| map.class_of_dscp(outer))).unwrap_or_default();
        let gbp = tracks.encapsulation == Encapsulation::Vxlan && config.gbp;
        let passed = if gbp { flags.intersection(TunnelFlags::A.union(TunnelFlags::D)) } else { TunnelFlags::empty() };
        let labelled = Labelled {
            label: Label::new(group, class),
            applied: passed.contains(TunnelFlags::A),
            flags: passed,
            options: if config.options { options } else { 0 },
            shared_dscp: map.filter(|map| map.model == DiffServ::Uniform).map(|_| outer),
            marks: Marks::NONE,
        };
        (labelled, learned)
    }

    fn map_of(&self, config: &BridgeConfig) -> Option<&TrafficMap> {
        config.traffic.and_then(|id| self.traffic_map(id))
    }

    /// Forwards a frame of a labelled bridge.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "as `forward`, of which it is the other half")]
    pub(super) fn forward_labelled(
        &self,
        network: Network<'_>,
        source: Source,
        mut frame: Frame,
        entry: Option<Entry>,
        bytes: &[u8],
        mut decision: Decision,
        verdict: &mut Verdict,
    ) -> Decision {
        let Network { id, config, .. } = network;
        decision.label = frame.labelled.label;
        let judged = config.policy.and_then(|policy| {
            let local = matches!(source, Source::Port(_));
            self.judge_frame(id, &policy, local, frame.labelled.label.group(), frame.labelled.applied, entry)
        });
        if let Some(judged) = judged {
            decision.judged = Some(judged);
            if let Some(reason) = judged.denied {
                return decision.drop(verdict, reason);
            }
            // Learned knowledge may be old: what it allows is judged again where the frame leaves the tunnels.
            let pinned = entry.is_some_and(|entry| entry.owner() != Owner::Dynamic);
            if pinned && matches!(source, Source::Port(_)) && config.gbp {
                frame.labelled.flags |= TunnelFlags::A;
            }
        }
        frame.labelled.flags |= self.carried(config, frame.labelled.label);
        frame.labelled.marks = self.marks(config, &frame);
        match entry.map(Entry::destination) {
            Some(Destination::Port(port)) => Decision { code: self.to_port(source, port, frame, verdict), ..decision },
            Some(Destination::Endpoint(to)) => {
                if self.is_unrepresentable(config, to, frame.labelled.label) {
                    return decision.drop(verdict, DropReason::GroupUnrepresentable);
                }
                Decision { code: self.to_endpoint(config, source, to, frame, bytes, verdict), ..decision }
            }
            other => {
                let (code, miss) = self.to_others(network, source, other, frame, bytes, verdict);
                let code = self.limit_flood(network, source, &frame, code, verdict);
                Decision { code, miss, ..decision }
            }
        }
    }

    /// What the policy says of a frame as a whole, which came from a local port or from a tunnel, and to which it was
    /// applied before or not; `None` where there is nothing to say here, or not yet.
    pub(super) fn judge_frame(
        &self,
        bridge: BridgeId,
        policy: &Enforcement,
        local: bool,
        from: SecurityGroup,
        applied: bool,
        entry: Option<Entry>,
    ) -> Option<Judged> {
        let here = if local { !policy.at.is_empty() } else { policy.at.contains(Enforce::EGRESS) };
        let here = here && !applied;
        let entering = local && policy.at.contains(Enforce::INGRESS);
        match entry.map(|entry| (entry.destination(), self.label(entry).group())) {
            Some((Destination::Port(port), group)) if here => {
                Some(self.judge(bridge, policy, from, self.group_at(port, group)))
            }
            Some((Destination::Host, group)) if here => {
                Some(self.judge(bridge, policy, from, if group.is_none() { policy.host } else { group }))
            }
            Some((Destination::Endpoint(_), group)) if entering => {
                let known = !group.is_none() || !policy.at.contains(Enforce::EGRESS) || self.is_denied(policy, from);
                known.then(|| self.judge(bridge, policy, from, group))
            }
            // Of a flood each copy is judged; but one without a group goes nowhere.
            None | Some((Destination::Group(_), _)) if (here && !local || entering) && self.is_denied(policy, from) => {
                Some(self.judge(bridge, policy, from, SecurityGroup::NONE))
            }
            _ => None,
        }
    }

    /// The group of a station behind a port, whose entry says `entry`.
    fn group_at(&self, port: PortId, entry: SecurityGroup) -> SecurityGroup {
        self.port(port).map_or(entry, |port| port.group_of(entry))
    }

    /// Whether a frame of this group is denied whoever it is for.
    fn is_denied(&self, policy: &Enforcement, from: SecurityGroup) -> bool {
        from.is_none() && policy.unlabelled.is_none()
    }

    /// What the policy says of one pair of groups.
    #[inline(always)]
    pub(super) fn judge(
        &self,
        bridge: BridgeId,
        policy: &Enforcement,
        from: SecurityGroup,
        to: SecurityGroup,
    ) -> Judged {
        let or_default = |group: SecurityGroup| if group.is_none() { policy.unlabelled } else { group };
        let (from, to) = (or_default(from), or_default(to));
        if from.is_none() {
            return Judged { from, to, rule: None, denied: Some(DropReason::SourceGroupMissing) };
        }
        if to.is_none() {
            return Judged { from, to, rule: None, denied: Some(DropReason::DestinationGroupMissing) };
        }
        let (rule, action) = match self.policy.decide(bridge, from, to) {
            Some((rule, action)) => (Some(rule), action),
            None => (None, policy.default),
        };
        Judged { from, to, rule, denied: (action == Action::Deny).then_some(DropReason::PolicyDenied) }
    }

    /// Takes out of a flood what cannot be judged copy by copy: the host's copy, and tunnels whose far sides are not asked.
    fn limit_flood(&self, network: Network<'_>, source: Source, frame: &Frame, code: u8, verdict: &mut Verdict) -> u8 {
        let Network { id, config, bridge } = network;
        let Some(policy) = config.policy.filter(|policy| !policy.at.is_empty()) else { return code };
        let from = frame.labelled.label.group();
        let local = matches!(source, Source::Port(_));
        let here = (local || policy.at.contains(Enforce::EGRESS)) && !frame.labelled.applied;
        let denied = |to| self.judge(id, &policy, from, to).denied;
        let host = || if here { denied(policy.host) } else { None };
        match verdict {
            Verdict::Punt(punt) if punt.reason == super::PuntReason::HostCopy => {
                host().map_or(code, |reason| set(verdict, Verdict::Drop(reason)))
            }
            Verdict::Flood(flood) => {
                if flood.punt.is_some() && host().is_some() {
                    flood.punt = None;
                }
                let mut refused = None;
                if local && policy.at == Enforce::INGRESS && flood.group.is_some() {
                    refused = denied(SecurityGroup::NONE);
                    flood.group = flood.group.filter(|_| refused.is_none());
                }
                let ports = bridge.ports > u16::from(local);
                match (refused, ports, flood.group, flood.punt) {
                    (Some(reason), false, None, None) => set(verdict, Verdict::Drop(reason)),
                    _ => code,
                }
            }
            _ => code,
        }
    }

    /// What the policy says of a flood's copy to a port; `None` where there is nothing to say.
    pub(super) fn judge_copy(&self, bridge: BridgeId, record: &Bridge, copy: &Copied, port: PortId) -> Option<Judged> {
        let policy = record.config.as_ref()?.policy?;
        let here = if copy.from_port { !policy.at.is_empty() } else { policy.at.contains(Enforce::EGRESS) };
        let applied = copy.flags.contains(TunnelFlags::A) && !copy.from_port;
        let to = self.port(port)?.group;
        (here && !applied).then(|| self.judge(bridge, &policy, copy.label.group(), to))
    }

    /// Which of the label's carriers a bridge has: G for a group policy ID, C for Geneve options.
    pub(super) fn carried(&self, config: &BridgeConfig, label: Label) -> TunnelFlags {
        let mut flags = TunnelFlags::empty();
        if config.gbp && !label.group().is_none() && label.group().policy_id().is_some() {
            flags |= TunnelFlags::G;
        }
        if config.options && self.schema.written_len(label) != 0 {
            flags |= TunnelFlags::C;
        }
        flags
    }

    /// Whether a group has too many bits for the only field that could carry it.
    pub(super) fn is_unrepresentable(&self, config: &BridgeConfig, to: crate::table::EndpointId, label: Label) -> bool {
        let vxlan = |e: &crate::table::Endpoint| e.address().encapsulation == Encapsulation::Vxlan;
        config.gbp && label.group().policy_id().is_none() && self.endpoints.get(to).is_some_and(vxlan)
    }

    /// Bytes of options that a copy to a Geneve endpoint has.
    #[inline]
    pub(super) fn options_len(&self, outer: &super::OuterFields) -> u8 {
        match (outer.options, outer.flags.contains(TunnelFlags::C)) {
            (0, false) => 0,
            (0, true) => self.schema.written_len(outer.label),
            (received, _) => received,
        }
    }

    /// DSCP and VLAN priority that a frame of a labelled bridge has outside and, on the way to a port, inside.
    pub(super) fn marks(&self, config: &BridgeConfig, frame: &Frame) -> Marks {
        let Some(map) = self.map_of(config) else { return Marks::NONE };
        let class = frame.labelled.label.class();
        let inner = dscp(&frame.inner);
        let written = if map.write_dscp { Some(map.dscp(class)) } else { None };
        Marks {
            outer_dscp: Some(map.outer_dscp(class, inner)),
            inner_dscp: frame.labelled.shared_dscp.or(written).filter(|dscp| inner.is_some_and(|inner| inner != *dscp)),
            pcp: map.write_pcp.then(|| map.pcp(class)),
        }
    }
}

/// Of a flood, what judging its copies needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) label: Label,
    pub(super) flags: TunnelFlags,
    pub(super) from_port: bool,
}

/// DSCP and VLAN priority that a frame gets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// Of the packet around it.
    pub(super) outer_dscp: Option<u8>,
    /// On the way to a port.
    pub(super) inner_dscp: Option<u8>,
    /// On the way to a port, where it has a tag there.
    pub(super) pcp: Option<u8>,
}

impl Marks {
    pub(super) const NONE: Self = Self { outer_dscp: None, inner_dscp: None, pcp: None };
}

fn pcp(inner: &Inner) -> Option<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "three bits")]
    (inner.tags() > 0).then_some((inner.tci() >> 13) as u8)
}

fn dscp(inner: &Inner) -> Option<u8> {
    matches!(inner.ip(), IpKind::V4 | IpKind::V6).then_some(inner.tos() >> 2)
}
