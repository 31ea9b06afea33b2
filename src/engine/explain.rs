//! Why a packet is treated as it is: every decision about it, without taking any.

use super::copies::Cursor;
use super::decision::{Decision, Source};
use super::labelled::{Copied, Judged};
use super::packet::{Origin, Packet};
use super::{Deliver, DropReason, Encapsulate, Engine, Flood, Input, Place, Switches, Verdict};
use crate::table::{BridgeId, Destination, EndpointAddress, EndpointId, Instant, Owner, PortId, Rule};
use crate::wire::{Label, MacAddr, SecurityGroup};

/// What is decided about a packet; see [`Engine::explain`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Explanation {
    /// The bridge, once it is known.
    pub bridge: Option<BridgeId>,
    /// The frame's source and destination, where there is a frame.
    pub macs: Option<(MacAddr, MacAddr)>,
    /// The security group and traffic class that the frame has here.
    pub label: Label,
    /// The source's place, if it is learned or refreshed, and the label that its entry gets.
    pub learns: Option<(Place, Label)>,
    /// What the bridge's policy says of the frame as a whole; of a flood see [`Engine::explain_copies`].
    pub policy: Option<PolicyDecision>,
    /// What happens to the frame. Storm control and duplicate detection, which count, are not asked.
    pub verdict: Verdict,
}

/// What a policy says of a pair of security groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PolicyDecision {
    /// The source's group, or what stands for none.
    pub from: SecurityGroup,
    /// The destination's group, or what stands for none.
    pub to: SecurityGroup,
    /// The rule that decides; `None`: the bridge's default, or a group is missing.
    pub rule: Option<Rule>,
    /// Why the frame is dropped, if it is.
    pub denied: Option<DropReason>,
}

/// One copy of a flood; see [`Engine::explain_copies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CopyDecision {
    /// A port, and what the policy says where it says something.
    Port(PortId, Option<PolicyDecision>),
    /// An endpoint gets it: the policy is asked where it leaves the tunnel.
    Endpoint(EndpointId),
}

impl Engine<'_> {
    /// What [`Engine::step`] would decide about a packet now, and why. Runs the same code, that of the whole step (which
    /// the fast path takes short cuts through, to the same verdict), and changes nothing, counters included.
    ///
    /// Cost: that of a step that learns nothing.
    #[must_use]
    pub fn explain(&self, now: Instant, input: &Input<'_>) -> Explanation {
        let now = now.max(self.now());
        let packet = self.read(input);
        let mut verdict = Verdict::NOTHING;
        let decision = self.decide(now, &packet, input.bytes, &mut verdict);
        let bridge = match packet.origin {
            Origin::Port(bridge, _) | Origin::Tunnel(bridge, _) | Origin::Payload(bridge, ..) => Some(bridge),
            Origin::Ended { bridge, .. } => bridge,
        };
        let framed = matches!(packet.origin, Origin::Port(..) | Origin::Tunnel(..));
        Explanation {
            bridge,
            macs: framed.then(|| (packet.inner.src(), packet.inner.dst())),
            label: decision.label,
            learns: self.would_learn(now, &packet, &decision, &verdict),
            policy: decision.judged.map(|judged| self.told(&judged)),
            verdict,
        }
    }

    /// The copies of a flood that [`Engine::explain`] has found, one by one, those included that a policy denies.
    pub fn explain_copies<'f>(&'f self, flood: &'f Flood) -> impl Iterator<Item = CopyDecision> + 'f {
        let copied =
            Copied { label: flood.outer.label, flags: flood.outer.flags, from_port: flood.from_port.is_some() };
        let bridge = self.bridge(flood.bridge.id);
        let first = bridge.and_then(|bridge| bridge.first_port);
        let chain = core::iter::successors(first, |id| self.ports.get(usize::from(id.0)).and_then(|port| port.next));
        let ports = chain.filter(|id| Some(*id) != flood.from_port).map(move |id| {
            let judged = bridge.and_then(|bridge| self.judge_copy(flood.bridge.id, bridge, &copied, id));
            CopyDecision::Port(id, judged.map(|judged| self.told(&judged)))
        });
        let mut cursor = Cursor::at_endpoints();
        let endpoints = core::iter::from_fn(move || {
            loop {
                match self.copy_of(flood, &mut cursor, false)?.ok()? {
                    Verdict::Encapsulate(Encapsulate { endpoint, .. }) => {
                        return Some(CopyDecision::Endpoint(endpoint.id));
                    }
                    Verdict::Deliver(Deliver { .. }) => {}
                    _ => return None,
                }
            }
        });
        ports.chain(endpoints)
    }

    fn would_learn(
        &self,
        now: Instant,
        packet: &Packet,
        decision: &Decision,
        verdict: &Verdict,
    ) -> Option<(Place, Label)> {
        let learn = decision.learn?;
        let dropped = matches!(verdict, Verdict::Drop(_)) && !self.switches.contains(Switches::LEARN_BEFORE_VALIDATE);
        if dropped {
            return None;
        }
        let place = match (learn.source, packet.origin) {
            (Source::Port(port), _) => Place::Port(port),
            (Source::Endpoint { id, .. }, Origin::Tunnel(bridge, carrier)) => {
                let address = carrier.tracks.address(self.bridge_config(bridge)?);
                Place::Remote(self.would_learn_at(now, packet, id, address).into())
            }
            _ => return None,
        };
        Some((place, learn.label))
    }

    /// Where an entry is after a packet from `address` was learned from, whose sender is the endpoint `id`, if any: what
    /// [`Engine::learn`] does about entries that stand at the same IP address with another port or VNI, and about Linux's
    /// moves, which keep both.
    fn would_learn_at(
        &self,
        now: Instant,
        packet: &Packet,
        id: Option<EndpointId>,
        address: EndpointAddress,
    ) -> EndpointAddress {
        let ip_only = self.switches.contains(Switches::MOVE_IP_ONLY);
        let entry = self.fdb.lookup_probe(now, packet.src);
        let known = entry.and_then(|entry| Some((entry, self.endpoint_of(entry.destination())?.address)));
        if let Some((entry, known)) = known {
            let is_there = id.is_some_and(|id| entry.destination() == Destination::Endpoint(id));
            let same_host = (known.underlay, known.address) == (address.underlay, address.address);
            if is_there || same_host && (ip_only || entry.sticky() || entry.owner() != Owner::Dynamic) {
                return known;
            }
            if ip_only {
                return EndpointAddress { underlay: address.underlay, address: address.address, ..known };
            }
        }
        let named = id.filter(|_| !ip_only).and_then(|id| self.endpoints.get(id));
        named.map_or(address, |endpoint| endpoint.address)
    }

    fn told(&self, judged: &Judged) -> PolicyDecision {
        let Judged { from, to, rule, denied } = *judged;
        PolicyDecision { from, to, rule: rule.and_then(|rule| self.policy.get(rule)), denied }
    }
}
