//! The step: one packet in, one verdict out.

use super::decision::{Decision, Learn, Source};
use super::state::raise_removed;
use super::{DropReason, Engine, Event, Ingress, Input, Place, Switches, Verdict};
use crate::table::fdb::{LearnPolicy, Learned, Refusal, Yield};
use crate::table::{BridgeId, Destination, EndpointAddress, Instant, Meta, Owner};
use crate::wire::{Label, MacAddr};

impl Engine<'_> {
    /// Decides about one packet, and learns from it.
    ///
    /// `now` may stand still; where it goes backwards, the latest time seen counts. The packet is counted once, under
    /// its verdict or drop reason. In profile `Rfc`, a packet that is dropped changes no table.
    ///
    /// Cost: bounded. At most four FDB cache lines, two of the VNI map, two of the endpoint map; learning a new MAC into
    /// a crowded table visits up to [`MAX_VISITS`](crate::table::cuckoo::MAX_VISITS) more.
    pub fn step(&mut self, now: Instant, input: &Input<'_>) -> Verdict {
        let now = self.advance(now);
        let mut decision = match input.ingress {
            Ingress::Port { port, payload } => self.decide_from_port(now, port, payload, input.bytes),
            Ingress::Underlay { underlay, form } => self.decide_from_underlay(now, underlay, form, input.bytes),
        };
        self.control_storm(now, input.bytes, &mut decision);
        self.ident = self.ident.wrapping_add(self.idents(&decision.verdict));
        if let (Some(learn), Some(bridge)) = (decision.learn, decision.bridge) {
            let dropped = matches!(decision.verdict, Verdict::Drop(_));
            if !dropped || self.switches.contains(Switches::LEARN_BEFORE_VALIDATE) {
                if let Err(reason) = self.learn(now, bridge, learn) {
                    decision.verdict = Verdict::Drop(reason);
                }
            }
        }
        self.conclude(&decision);
        decision.verdict
    }

    /// How many IPv4 identifications the copies of a packet need.
    #[inline]
    fn idents(&self, verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Flood(flood) => flood.group.map_or(1, |group| self.flood_lists.len(group).max(1)),
            _ => 1,
        }
    }

    /// Counts a decision and raises its miss event.
    fn conclude(&mut self, decision: &Decision) {
        let code = decision.verdict.code();
        self.counters.count(code);
        let Some(bridge) = decision.bridge else { return };
        if let Some(counters) = self.bridge_counters.get_mut(usize::from(bridge.0)) {
            counters.count(code, decision.from_port, decision.bytes);
        }
        if let Some(mac) = decision.miss {
            self.events.push(Event::Miss { bridge, mac });
        }
    }

    /// Learns a source. An error is a reason to drop the packet after all; a full table is none.
    fn learn(&mut self, now: Instant, bridge: BridgeId, learn: Learn) -> Result<(), DropReason> {
        let Learn { mac, source } = learn;
        let policy = self.learn_policy(&source);
        let destination = match source {
            Source::Port(port) => Destination::Port(port),
            Source::Endpoint { id: Some(id), .. } if !self.switches.contains(Switches::MOVE_IP_ONLY) => {
                Destination::Endpoint(id)
            }
            Source::Endpoint { address, .. } => return self.learn_at(now, bridge, mac, address, policy),
        };
        let learned = self.learn_or_hold(now, bridge, mac, destination, policy);
        if learned == Learned::Refreshed {
            return Ok(());
        }
        match (self.place(destination), learned) {
            // It may stand there with another UDP port or VNI, which is no move.
            (Some(Place::Remote(_)), Learned::Refused(Refusal::Static | Refusal::Sticky | Refusal::Owned)) => {
                let endpoint = self.endpoint_of(destination).map(|endpoint| endpoint.address);
                endpoint.map_or(Ok(()), |address| self.learn_at(now, bridge, mac, address, policy))
            }
            (Some(place), learned) => self.report(bridge, mac, place, learned),
            (None, _) => Ok(()),
        }
    }

    /// Learns a MAC at a sender's address: by Linux's rule, or where that endpoint is not known or the MAC may not move
    /// to it.
    fn learn_at(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        mut address: EndpointAddress,
        policy: LearnPolicy,
    ) -> Result<(), DropReason> {
        if let Some(entry) = self.fdb.lookup(now, bridge, mac) {
            let ip_only = self.switches.contains(Switches::MOVE_IP_ONLY);
            if let Some(known) = self.endpoint_of(entry.destination()).map(|endpoint| endpoint.address) {
                let stays = (known.underlay, known.address) == (address.underlay, address.address);
                if stays && (ip_only || entry.sticky() || entry.owner() != Owner::Dynamic) {
                    self.fdb.learn(now, bridge, mac, entry.destination(), Meta::NONE, policy);
                    return Ok(());
                }
                if ip_only {
                    // The underlay is part of where the IP address is.
                    address = EndpointAddress { underlay: address.underlay, address: address.address, ..known };
                }
            }
            // Before an endpoint is added in vain.
            if let Err(refusal) = policy.permits(entry) {
                return self.report(bridge, mac, Place::Remote(address.into()), Learned::Refused(refusal));
            }
            if policy.hold && self.endpoints.find(&address).is_none() && self.is_held(now, bridge, mac) {
                return self.judge_held(bridge);
            }
        }
        let place = Place::Remote(address.into());
        let known = self.endpoints.find(&address);
        let Some(id) = known.or_else(|| self.add_endpoint(address, Self::RECYCLE_AT_ONCE).ok()) else {
            return self.report(bridge, mac, place, Learned::Refused(Refusal::TableFull));
        };
        let learned = self.learn_or_hold(now, bridge, mac, Destination::Endpoint(id), policy);
        if let (None, Learned::Refused(_)) = (known, learned) {
            self.endpoints.remove(id);
        }
        self.report(bridge, mac, place, learned)
    }

    /// Raises the events of a learned MAC, and says whether the packet is to be dropped for it.
    fn report(&mut self, bridge: BridgeId, mac: MacAddr, place: Place, learned: Learned) -> Result<(), DropReason> {
        match learned {
            Learned::Refreshed | Learned::Updated { .. } => {}
            Learned::New { removed } => {
                if let Some(removed) = removed {
                    raise_removed(&self.endpoints, &mut self.events, &removed);
                }
                self.events.push(Event::Learned { bridge, mac, place, label: Label::NONE });
            }
            Learned::Moved { from } => {
                if let Some(from) = self.place(from) {
                    self.events.push(Event::Moved { bridge, mac, from, to: place, label: Label::NONE });
                }
            }
            Learned::Refused(refusal) => match refusal {
                Refusal::Local => return Err(DropReason::SourceMacOwn),
                Refusal::Static | Refusal::Sticky => {
                    self.events.push(Event::MoveRefused { bridge, mac, place });
                    return Err(DropReason::SourceMacStatic);
                }
                Refusal::Owned => self.events.push(Event::MoveRefused { bridge, mac, place }),
                Refusal::TableFull | Refusal::BridgeLimit | Refusal::DestinationLimit => {
                    self.events.push(Event::TableFull { bridge, mac, place });
                }
                Refusal::Held => return self.judge_held(bridge),
                Refusal::BadMac | Refusal::BadBridge | Refusal::BadDestination | Refusal::NoLearn => {}
            },
        }
        Ok(())
    }

    /// A local port may take a MAC from the control plane: that is how it learns of a station that moved here. A tunnel
    /// may not, unless the profile says so.
    fn learn_policy(&self, source: &Source) -> LearnPolicy {
        let controlled = match source {
            Source::Port(_) => Yield::TakeOver,
            Source::Endpoint { .. } if self.switches.contains(Switches::DATA_MOVES_CONTROL) => Yield::Move,
            Source::Endpoint { .. } => Yield::Never,
        };
        LearnPolicy { statics: Yield::Never, controlled, hold: !self.moves.is_off() }
    }
}
